// Hypotheses on what is left out: contributions, terms.
#include <algorithm>

#include <cotangent/autograd/gradcheck/diagnosis_internal.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::detail {
namespace {

// Of all spots that an element moves, one alone: the last written or the first.
std::string last_write(const Evidence& e) {
  if (e.columns.empty()) return "";
  for (const bool last : {true, false}) {
    Values predicted;
    bool several = false;
    for (const Values& column : e.columns) {
      double sum = 0;
      int count = 0;
      for (size_t o = 0; o < column.size(); ++o)
        if (column[o] != 0) {
          if (++count == 1 || last) sum = e.v[o] * column[o];
          several = several || count > 1;
        }
      predicted.push_back(sum);
    }
    if (several && e.is_rule(predicted))
      return fmt::format(
          "of the outputs that an element moves the {} one alone counts: = in place of +=, where an index or an "
          "element is used several times",
          last ? "last" : "first");
  }
  return "";
}

// A slice of an output whose cotangent is left out, or counts alone.
std::string left_out(const Evidence& e) {
  bool kept = false;  // where nothing is left of an element, it is a matter of where
  for (size_t p = 0; p < e.places.size(); ++p) kept = kept || (e.wrong(p) && e.a[p] != 0);
  if (!kept || e.columns.empty() || e.elementwise()) return "";
  for (size_t k = 0; k < e.outputs.size(); ++k) {
    const size_t first = e.first_spot(k);
    const auto size = static_cast<size_t>(e.outputs[k].product());
    if (e.outputs.size() > 1) {
      Values w = e.v;
      std::fill_n(w.begin() + static_cast<std::ptrdiff_t>(first), size, 0);
      if (e.is_rule_for(w)) return fmt::format("what comes from output {} is left out", k);
    }
    for (int d = 0; d < e.outputs[k].rank(); ++d)
      for (int64_t slice = 0; slice < std::min<int64_t>(e.outputs[k][d], 64); ++slice)
        for (const bool alone : {true, false}) {
          Values w = e.v;
          for (size_t i = 0; i < size; ++i)
            if ((element_index(e.outputs[k], static_cast<int64_t>(i))[d] == slice) != alone) w[first + i] = 0;
          if (!e.is_rule_for(w)) continue;
          return fmt::format("what comes from index {} of dimension {} of output {} {}", slice, d, k,
                             alone ? "counts alone" : "is left out");
        }
  }
  return "";
}

// Spot by spot: the rule has some contributions to an element whole, and others not at all, in part, or several times.
std::string contributions(const Evidence& e) {
  if (e.rows.empty()) return "";
  int64_t none = 0, whole = 0, part = 0, more = 0, emptied = 0, diminished = 0;
  std::string first;
  for (size_t p = 0; p < e.places.size(); ++p) {
    double largest = 0;
    for (size_t r : e.rows) largest = std::max(largest, std::fabs(e.columns[p][r]));
    int64_t kept = 0, lost = 0, wrong = 0;
    for (size_t r = 0; r < e.rows.size(); ++r) {
      const double rule = e.row_rule[r][p], right = e.columns[p][e.rows[r]];
      if (std::fabs(right) <= 1e-7 * largest && std::fabs(rule) <= 1e-7 * largest) continue;
      const double ratio = rule / right, inverse = right / rule;
      const auto is_count = [](double x) { return x > 1.5 && x < 20 && std::fabs(x - std::round(x)) <= kExact * x; };
      ++kept;
      if (std::fabs(ratio - 1) <= kExact)
        ++whole;
      else if (std::fabs(ratio) <= kExact)
        ++none, ++lost, --kept;
      else if (is_count(inverse))
        ++part, ++wrong;
      else if (is_count(ratio))
        ++more, ++wrong;
      else
        return "";
    }
    if (lost + wrong == 0) continue;
    (kept + lost > 1 && kept > 0 ? diminished : emptied) += 1;
    if (first.empty()) first = to_string(element_index(e.shape, e.places[p]));
  }
  if (emptied > diminished) return "";  // nothing is left of most of them: a matter of where
  if (whole == 0 || none + part + more == 0) return "";
  std::string text = fmt::format("of {} single derivatives of an output by an element the rule gives {} right",
                                 whole + none + part + more, whole);
  if (none > 0) text += fmt::format(", leaves {} out", none);
  if (part > 0) text += fmt::format(", divides {} by a count", part);
  if (more > 0) text += fmt::format(", counts {} several times", more);
  return text + fmt::format(" (the first by {}): = for +=, or a tensor that is used several times", first);
}

// The rank of a matrix, up to a limit.
size_t rank_of(std::vector<Values> rows, size_t limit) {
  double largest = 0;
  for (const Values& row : rows)
    for (double v : row) largest = std::max(largest, std::fabs(v));
  size_t rank = 0;
  while (rank < limit && rank < rows.size()) {
    size_t best = rank, column = 0;
    double pivot = 0;
    for (size_t r = rank; r < rows.size(); ++r)
      for (size_t c = 0; c < rows[r].size(); ++c)
        if (std::fabs(rows[r][c]) > pivot) pivot = std::fabs(rows[r][c]), best = r, column = c;
    if (!(pivot > 1e-6 * largest)) break;
    std::swap(rows[rank], rows[best]);
    for (size_t r = rank + 1; r < rows.size(); ++r) {
      const double c = rows[r][column] / rows[rank][column];
      for (size_t i = 0; c != 0 && i < rows[r].size(); ++i) rows[r][i] -= c * rows[rank][i];
    }
    ++rank;
  }
  return rank;
}

// What is missing in the Jacobian has far fewer independent rows than it: a sum along an axis goes into each element.
std::string low_rank(const Evidence& e) {
  if (e.rows.size() < 3 || e.places.size() < 3) return "";
  std::vector<Values> missing, right;
  for (size_t r = 0; r < e.rows.size(); ++r) {
    Values m, n;
    for (size_t p = 0; p < e.places.size(); ++p) {
      n.push_back(e.columns[p][e.rows[r]]);
      m.push_back(n.back() - e.row_rule[r][p]);
    }
    missing.push_back(std::move(m)), right.push_back(std::move(n));
  }
  const size_t full = rank_of(right, 64), rank = rank_of(missing, full);
  if (rank == 0 || 3 * rank > 2 * full) return "";
  // along which dimension: elements that agree in all others
  std::string axis;
  if (e.outputs.size() == 1 && e.outputs[0] == e.shape)
    for (int d = 0; d < e.shape.rank() && axis.empty(); ++d) {
      bool along = e.shape[d] > 1;
      for (size_t r = 0; r < missing.size() && along; ++r) {
        double largest = 0;
        for (double m : missing[r]) largest = std::max(largest, std::fabs(m));
        for (size_t p = 0; p < e.places.size() && along; ++p) {
          Shape one = element_index(e.shape, static_cast<int64_t>(e.rows[r])),
                other = element_index(e.shape, e.places[p]);
          one[d] = other[d] = 0;
          along = one == other || std::fabs(missing[r][p]) <= 1e-6 * largest;
        }
      }
      if (along) axis = fmt::format(" along dimension {}", d);
    }
  return fmt::format(
      "what the rule leaves out has rank {} in the Jacobian, whose rank is {}{}: a sum or mean{} that is subtracted or "
      "added in every element",
      rank, full == 64 ? "at least " : "", full, axis);
}

// A difference that is the same along a dimension.
std::string same_along(const Evidence& e, const Values& missing) {
  for (int d = 0; d < e.shape.rank(); ++d) {
    if (e.shape[d] < 3) continue;
    std::vector<std::pair<int64_t, double>> lines;  // of each line along d its first
    bool same = true;
    size_t shared = 0;
    for (size_t p = 0; p < e.places.size() && same; ++p) {
      Shape index = element_index(e.shape, e.places[p]);
      index[d] = 0;
      int64_t line = 0;
      for (int k = 0; k < e.shape.rank(); ++k) line = line * e.shape[k] + index[k];
      const auto known = std::find_if(lines.begin(), lines.end(), [&](const auto& l) { return l.first == line; });
      if (known == lines.end()) {
        lines.push_back({line, missing[p]});
        continue;
      }
      ++shared;
      same = std::fabs(missing[p] - known->second) <= 1e-5 * std::fabs(missing[p]) + 6 * e.error[p];
    }
    if (same && shared >= 2)
      return fmt::format(
          "the same is missing all along dimension {}, {:.6g} in its first line: a sum or a mean along it is left out",
          d, lines.front().second);
  }
  return "";
}

// Where input and output go element by element: a factor, or a term, that is a simple function of x or y.
std::string value_missing(const Evidence& e) {
  if (e.places.size() < 3 || !e.elementwise()) return "";
  const struct {
    const char* text;
    double (*of)(double x, double y);
  } simple[] = {{"x", [](double x, double) { return x; }},
                {"1 / x", [](double x, double) { return 1 / x; }},
                {"x^2", [](double x, double) { return x * x; }},
                {"1 / x^2", [](double x, double) { return 1 / (x * x); }},
                {"sqrt(x)", [](double x, double) { return std::sqrt(x); }},
                {"1 / sqrt(x)", [](double x, double) { return 1 / std::sqrt(x); }},
                {"|x|", [](double x, double) { return std::fabs(x); }},
                {"sign(x)", [](double x, double) { return std::copysign(1.0, x); }},
                {"y", [](double, double y) { return y; }},
                {"1 / y", [](double, double y) { return 1 / y; }},
                {"y^2", [](double, double y) { return y * y; }},
                {"1 / y^2", [](double, double y) { return 1 / (y * y); }},
                {"1 / (1 - y)", [](double, double y) { return 1 / (1 - y); }},
                {"1 - y", [](double, double y) { return 1 - y; }},
                {"1 / (1 - y^2)", [](double, double y) { return 1 / (1 - y * y); }},
                {"1 / (y (1 - y))", [](double, double y) { return 1 / (y * (1 - y)); }},
                {"y / x", [](double x, double y) { return y / x; }},
                {"x / y", [](double x, double y) { return x / y; }},
                {"1 + x^2", [](double x, double) { return 1 + x * x; }},
                {"1 / (1 + x^2)", [](double x, double) { return 1 / (1 + x * x); }},
                {"cos(x)", [](double x, double) { return std::cos(x); }},
                {"1 / cos(x)", [](double x, double) { return 1 / std::cos(x); }}};
  for (const auto& s : simple)
    for (const bool added : {false, true}) {  // a + c v s = n, or a = c s n
      Values of, rest;
      for (size_t p = 0; p < e.places.size(); ++p) {
        const auto i = static_cast<size_t>(e.places[p]);
        of.push_back((added ? e.v[i] : e.n[p]) * s.of(e.x[i], e.y[i]));
        rest.push_back(added ? e.n[p] - e.a[p] : e.a[p]);
      }
      const double c = common_factor(rest, of);
      if (!std::isfinite(c) || c == 0) continue;
      for (size_t p = 0; p < of.size(); ++p) of[p] = added ? e.n[p] - c * of[p] : c * of[p];
      if (!e.is_rule(of)) continue;
      return added ? fmt::format("the cotangent times {} times {} is missing in every element (x: input, y: output)",
                                 factor_text(c), s.text)
                   : fmt::format(
                         "in every element the rule gives {} times the numeric gradient times {} (x: input, y: "
                         "output), which is missing or superfluous",
                         factor_text(c), s.text);
    }
  return "";
}

}  // namespace

std::string explain_accumulation(const Evidence& e) {
  if (const std::string text = left_out(e); !text.empty()) return text;
  if (const std::string text = last_write(e); !text.empty()) return text;
  return contributions(e);
}

std::string explain_missing_term(const Evidence& e) {
  if (e.places.size() < 3) return "";
  Values missing;
  for (size_t p = 0; p < e.places.size(); ++p) missing.push_back(e.n[p] - e.a[p]);
  if (std::fabs(common_factor(missing, Values(missing.size(), 1))) > 0)
    return fmt::format("a constant {:.6g} is missing in every element", missing[0]);
  if (const std::string text = same_along(e, missing); !text.empty()) return text;
  if (e.elementwise()) {
    Values v;
    for (const int64_t place : e.places) v.push_back(e.v[static_cast<size_t>(place)]);
    if (const double c = common_factor(missing, v); std::fabs(c) > 0)
      return fmt::format("the cotangent times the constant {:.6g} is missing in every element", c);
  }
  if (const std::string text = low_rank(e); !text.empty()) return text;
  return value_missing(e);
}

}  // namespace cotangent::detail
