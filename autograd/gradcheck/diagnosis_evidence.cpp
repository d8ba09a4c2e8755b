// What a diagnosis looks at: the derivatives at the places that tell most, and a part of the Jacobian there.
#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include <cotangent/autograd/gradcheck/diagnosis_evidence_internal.hpp>

namespace cotangent::detail {
namespace {

constexpr double kOfMisfit = 0.1;      // and what it may leave of the misfit
constexpr int64_t kWork = 20'000'000;  // elements that all evaluations may read and write
constexpr int64_t kMostPlaces = 1024, kFewestPlaces = 24;
constexpr int64_t kMostSpots = 8192, kAllRows = 128, kSomeRows = 48;

double total(const Values& a, const Values& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return std::sqrt(sum);
}

}  // namespace

bool Evidence::near(double one, double other, double tol, size_t p) const {
  const double allowed = tol * std::max(std::fabs(one), std::fabs(other)) + 3 * error[p] + 1e-11 * scale_;
  return std::fabs(one - other) <= allowed;
}

bool Evidence::other_is_right() const {
  for (size_t p = 0; p < places.size(); ++p)
    if (!near(other_pass[p], n[p], tolerance, p)) return false;
  return true;
}

bool Evidence::match(const Values& got, const Values& wanted) const {
  if (got.size() != places.size() || wanted.size() != places.size()) return false;
  for (size_t p = 0; p < got.size(); ++p)
    if (!near(got[p], wanted[p], kExact, p)) return false;
  return total(got, wanted) <= kOfMisfit * misfit_;
}

bool Evidence::is_rule_for(const Values& cotangents) const {
  if (columns.empty()) return false;
  Values values;
  for (size_t p = 0; p < places.size(); ++p) {
    double sum = 0, size = 0;
    for (size_t o = 0; o < cotangents.size(); ++o)
      sum += cotangents[o] * columns[p][o], size += std::fabs(cotangents[o] * columns[p][o]);
    if (!near(sum, a[p], kExact, p) && std::fabs(sum - a[p]) > 1e-9 * size) return false;
    values.push_back(sum);
  }
  return total(values, a) <= kOfMisfit * misfit_;
}

bool Evidence::elementwise() const {
  if (outputs.size() != 1 || v.size() != rule.size() || columns.empty()) return false;
  for (size_t p = 0; p < places.size(); ++p)
    for (size_t o = 0; o < v.size(); ++o)
      if (std::cmp_not_equal(o, places[p]) && columns[p][o] != 0) return false;
  return true;
}

size_t Evidence::first_spot(size_t k) const {
  size_t first = 0;
  for (size_t i = 0; i < k; ++i) first += static_cast<size_t>(outputs[i].product());
  return first;
}

EvidenceOf::EvidenceOf(const Comparison& comparison, NumericDerivative& numeric, const GradientsFor& rule,
                       const Tensors& cotangents)
    : comparison_(comparison), numeric_(numeric), rule_(rule), cotangents_(cotangents), cost_(0) {
  for (const Tensor& x : comparison.derivatives().inputs) cost_ += x.numel();
  for (const Tensor& v : cotangents) cost_ += v.numel();
}

// All places where they are few; else the wrong ones that are known, lines through one of them, the ends, and any.
std::vector<int64_t> EvidenceOf::places_of(const Measured& m, const Shape& shape, int64_t most) const {
  const int64_t n = shape.product();
  std::set<int64_t> places(m.places.begin(), m.places.end());
  if (n <= most) {
    for (int64_t e = 0; e < n; ++e) places.insert(e);
    return {places.begin(), places.end()};
  }
  CheckRandom random(11);
  const Shape center = element_index(shape, m.places.empty() ? 0 : m.places.front());
  const auto add = [&](const Shape& index) {
    int64_t place = 0;
    for (int d = 0; d < shape.rank(); ++d) place = place * shape[d] + index[d];
    if (std::cmp_less(places.size(), most)) places.insert(place);
  };
  for (int64_t corner = 0; corner < (int64_t{1} << std::min(shape.rank(), 3)); ++corner) {
    Shape index = center;
    for (int d = 0; d < shape.rank(); ++d) index[d] = corner >> std::min(d, 2) & 1 ? shape[d] - 1 : 0;
    add(index);
  }
  const int64_t line = std::max<int64_t>(most / (4 * shape.rank()), 3);
  for (int d = 0; d < shape.rank(); ++d)
    for (int64_t i = 0; i < std::min(line, shape[d]); ++i) {
      Shape index = center;
      const int64_t close = center[d] + (i % 2 ? i / 2 + 1 : -i / 2);
      index[d] = i < line / 2 && close >= 0 && close < shape[d] ? close : random.below(shape[d]);
      add(index);
    }
  for (int64_t tries = 0; std::cmp_less(places.size(), most) && tries < 4 * most; ++tries)
    places.insert(random.below(n));
  return {places.begin(), places.end()};
}

Evidence EvidenceOf::operator()(const Measured& m, bool recorded, double tolerance) {
  const Derivatives& d = comparison_.derivatives();
  const Tensor& x = d.inputs[m.input];
  Evidence e;
  e.order = d.order, e.shape = x.shape(), e.tolerance = tolerance;
  e.x = elements_of(x), e.rule = (recorded ? d.recorded : d.fast)[m.input];
  const Values& other = (recorded ? d.fast : d.recorded)[m.input];
  for (size_t k = 0; k < cotangents_.size(); ++k) {
    e.outputs.push_back(cotangents_[k].shape());
    for (double w : elements_of(cotangents_[k])) e.v.push_back(w);
    for (double w : elements_of(numeric_.outputs()[k])) e.y.push_back(w);
  }
  const int64_t most = std::clamp(kWork / (8 * cost_), kFewestPlaces, kMostPlaces);
  const bool jacobian = std::cmp_less_equal(e.v.size(), kMostSpots);
  int refined = 0;
  std::map<int64_t, Difference> known;
  for (size_t i = 0; i < m.places.size(); ++i) known[m.places[i]] = m.numeric[i];
  for (const int64_t place : places_of(m, e.shape, most)) {
    const Moves moves = numeric_.element(m.input, place);
    Difference& n = known[place];
    if (!n.finite) n = numeric_.quick(moves);
    if (!(n.error <= 0.1 * tolerance * std::fabs(n.value)) && ++refined <= most / 8)
      if (const Difference better = numeric_.refined(moves); better.error < n.error) n = better;
    const double a = e.rule[static_cast<size_t>(place)];
    if (!n.finite || n.kink || !std::isfinite(a) || !std::isfinite(n.error)) continue;
    Values column = jacobian ? numeric_.column(moves) : Values{};
    if (std::any_of(column.begin(), column.end(), [](double c) { return !std::isfinite(c); })) continue;
    e.places.push_back(place);
    e.a.push_back(a), e.n.push_back(n.value), e.error.push_back(n.error);
    e.other_pass.push_back(other[static_cast<size_t>(place)]);
    if (jacobian) e.columns.push_back(std::move(column));
  }
  for (double n : e.n) e.scale_ = std::max(e.scale_, std::fabs(n));
  e.misfit_ = total(e.a, e.n);
  if (e.scale_ == 0) e.influence = numeric_.has_influence(m.input);
  add_rows(e, m.input, recorded);
  return e;
}

// The gradient of single spots: of all, or of those that wrong places move.
void EvidenceOf::add_rows(Evidence& e, size_t input, bool recorded) {
  if (!rule_ || e.columns.empty()) return;
  std::set<size_t> rows;
  const bool all = std::cmp_less_equal(e.v.size(), kAllRows);
  for (size_t o = 0; all && o < e.v.size(); ++o) rows.insert(o);
  for (size_t p = 0; !all && p < e.places.size(); ++p)
    for (size_t o = 0, taken = 0; e.wrong(p) && o < e.v.size() && taken < 6; ++o)
      if (e.columns[p][o] != 0 && std::cmp_less(rows.size(), kSomeRows)) taken += rows.insert(o).second ? 1 : 0;
  for (const size_t row : rows) {
    Tensors one;
    size_t spot = 0;
    for (const Tensor& v : cotangents_) {
      one.push_back(make_tensor(v.shape(), v.dtype()));
      for (int64_t i = 0; i < v.numel(); ++i) set_element(one.back(), i, spot++ == row ? 1 : 0);
    }
    const Tensor g = rule_(one, recorded)[input];
    Values at_places;
    for (const int64_t place : e.places) at_places.push_back(element_at(g, place));
    e.rows.push_back(row);
    e.row_rule.push_back(std::move(at_places));
  }
}

}  // namespace cotangent::detail
