#include <cotangent/autograd/gradcheck/comparison_internal.hpp>

#include <climits>
#include <map>

#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::detail {
namespace {

constexpr size_t kMaxRows = 200;
constexpr double kNegligible = 1e-2;  // of what the tolerance allows in the largest derivative
constexpr double kFine = 1e-9;        // of a sum of many, what the rules' own rounding may come to
constexpr int kClosely = 12;          // evaluations for a direction of the first round
constexpr double kFloor = 1e-10;      // of the largest derivative: no error below it is told from rounding

double magnitude(double a, double b) { return std::max(std::fabs(a), std::fabs(b)); }

// Tolerances that fit the least precise dtype: half of its digits, but what float64 is asked for.
double fitting(double rtol, double epsilon) {
  return epsilon <= epsilon_of(float64) ? rtol : std::max(rtol, std::sqrt(epsilon));
}

// What a sum of some terms may be off by, of its largest.
double rounding_of(const std::vector<double>& gradient, double epsilon) {
  double largest = 0;
  for (double g : gradient)
    if (std::isfinite(g)) largest = std::max(largest, std::fabs(g));
  return (epsilon <= epsilon_of(float64) ? 32 : 2) * epsilon * largest;
}

std::string why(const Difference& d, double analytic) {
  if (!d.finite)
    return "the function is not finite on both sides of this element: an edge of its domain? Move the input inside";
  if (d.jump) return "the function jumps here; move the input away from it";
  if (d.kink)
    return fmt::format(
        "a kink: the slope is {:.4g} on the left and {:.4g} on the right, and {:.4g} by the rule; move the input away "
        "from it",
        d.left, d.right, analytic);
  return fmt::format(
      "rounding hides it: differences are uncertain by {:.2g}; take away what is large and constant in the outputs, or "
      "bring the input to a place where it matters more",
      std::max(d.error, d.hidden));
}

}  // namespace

bool is_left_to_chance(const std::string& line) {
  return line.find(": nondeterministic: the function") != std::string::npos;
}

void add_problem(GradcheckReport& report, int order, const std::string& input, const char* word,
                 const std::string& text) {
  report.problems.push_back(order > 1 ? fmt::format("order {}: {}", order, text) : text);
  // what is changed or left to chance spoils all that is measured after it
  auto place = report.diagnosis.end();
  if (word == std::string("changes data"))
    place = std::find_if_not(report.diagnosis.begin(), report.diagnosis.end(), is_left_to_chance);
  report.diagnosis.insert(place, fmt::format("{}, order {}: {}: {}", input, order, word, text));
}

void sort_rows(GradcheckReport& report) {
  std::stable_sort(report.rows.begin(), report.rows.end(), [](const GradcheckRow& a, const GradcheckRow& b) {
    return a.relative_error() * a.absolute_error() > b.relative_error() * b.absolute_error();
  });
  if (report.rows.size() > kMaxRows) report.rows.resize(kMaxRows);
}

Comparison::Comparison(NumericDerivative& numeric, Derivatives derivatives, const GradcheckOptions& options,
                       CheckRandom& random, GradcheckReport& report)
    : numeric_(numeric),
      d_(std::move(derivatives)),
      options_(options),
      random_(random),
      report_(report),
      first_(report.inputs.size()),
      rtol_(fitting(options.rtol, numeric.epsilon())),
      moves_(d_.inputs.size(), false) {
  for (size_t i = 0; i < d_.inputs.size(); ++i) {
    rounding_.push_back(rounding_of(d_.fast[i], numeric.epsilon()));
    units_.push_back(elements_of(d_.inputs[i]));
    for (double& x : units_.back()) x = std::max(std::fabs(x), 0.1);
    for (double g : d_.fast[i])
      if (std::isfinite(g)) floor_ = std::max(floor_, kFloor * std::fabs(g));
    report_.inputs.push_back(
        {.order = d_.order, .input = d_.names[i], .shape = d_.inputs[i].shape(), .elements = d_.inputs[i].numel()});
  }
}

void Comparison::run() {
  for (size_t i = 0; i < d_.inputs.size(); ++i) {
    for (const auto* gradient : {&d_.fast[i], &d_.recorded[i]})
      for (double g : *gradient) moves_[i] = moves_[i] || g != 0;
    if (d_.inputs[i].numel() > options_.full_limit)
      check_directions(i);
    else
      check_all(i);
  }
  settle();
  if (!options_.allow_zero) check_influence();
}

// Of an input whose derivatives are all 0, by the rule and by differences, nothing was seen.
void Comparison::check_influence() {
  if (std::find(moves_.begin(), moves_.end(), true) == moves_.end()) {
    bool influence = false;
    for (size_t i = 0; i < d_.inputs.size(); ++i) influence = influence || numeric_.has_influence(i);
    return add_problem(report_, d_.order, "all inputs", influence ? "saturated" : "stale copy",
                       fmt::format("vacuous: all derivatives of order {} are 0, by the rule and by differences: {}; "
                                   "allow_zero says that this is right",
                                   d_.order,
                                   influence ? "the function is flat here"
                                             : "does the function read copies of its inputs, made before?"));
  }
  for (size_t i = 0; i < d_.inputs.size() && d_.order == 1; ++i) {
    if (moves_[i] || d_.reached[i] || d_.inputs[i].numel() == 0) continue;
    const bool influence = numeric_.has_influence(i);
    add_problem(
        report_, 1, d_.names[i], influence ? "saturated" : "stale copy",
        fmt::format("vacuous: {}; allow_zero says that this is right",
                    influence ? fmt::format("all derivatives by {} are 0: the function is flat here", d_.names[i])
                              : fmt::format("{} has no influence on the outputs: their bits are the same wherever it "
                                            "is. Does the function read a copy of it, made before?",
                                            d_.names[i])));
  }
}

// The verdict on a derivative by the rule, where `size` is the magnitude that its error is relative to.
Verdict Comparison::judge(double analytic, const Difference& d, double size, double rounding) const {
  if (!d.finite) return Verdict::inconclusive;
  if (!std::isfinite(analytic)) return Verdict::fail;
  if (d.kink && !d.jump) {  // any slope between those of both sides may be chosen
    const double slack = 1e-3 * magnitude(d.left, d.right);
    const bool between = analytic >= std::min(d.left, d.right) - slack && analytic <= std::max(d.left, d.right) + slack;
    return between ? Verdict::inconclusive : Verdict::fail;
  }
  if (!(d.error < INFINITY)) return Verdict::inconclusive;
  const double error = std::fabs(analytic - d.value), allowed = options_.atol + rtol_ * size + rounding;
  if (error > std::max(allowed + 2 * d.error + d.hidden, floor_)) return Verdict::fail;
  if (analytic == 0 && d.value == 0 && d.noise == 0) return Verdict::pass;  // not a bit moves
  if (error <= allowed && d.error <= options_.atol + rtol_ * size) return Verdict::pass;
  return Verdict::inconclusive;
}

GradcheckRow Comparison::row(size_t input, int64_t place, bool recorded, const Difference& d) const {
  const auto e = static_cast<size_t>(place);
  return {d_.order,
          recorded,
          d_.names[input],
          element_index(d_.inputs[input].shape(), place),
          element_at(d_.inputs[input], place),
          (recorded ? d_.recorded : d_.fast)[input][e],
          d.value,
          d.error,
          ""};
}

void Comparison::add_row(GradcheckRow row) {
  ++report_.bad_elements;
  report_.worst_error = std::max(report_.worst_error, row.relative_error());
  report_.rows.push_back(std::move(row));
  if (report_.rows.size() > 2 * kMaxRows) sort_rows(report_);
}

Verdict Comparison::check_element(size_t input, int64_t place, Measured& measured) {
  ++report_.elements;
  const auto e = static_cast<size_t>(place);
  const double fast = d_.fast[input][e], recorded = d_.recorded[input][e];
  const Moves moves = numeric_.element(input, place);
  Difference d = numeric_.quick(moves);
  const auto verdict_on = [&](double a) { return judge(a, d, magnitude(a, d.value), rounding_[input]); };
  const auto passes = [&] { return verdict_on(fast) == Verdict::pass && verdict_on(recorded) == Verdict::pass; };
  if (!passes()) {
    const Difference better = numeric_.refined(moves);
    if (!d.finite || better.kink || better.error < d.error) d = better;
  }
  measured.places.push_back(place);
  measured.numeric.push_back(d);
  GradcheckInput& part = found(input);
  if (std::isfinite(d.value)) {
    moves_[input] = moves_[input] || d.value != 0;
    if (d.error <= rtol_ * std::fabs(d.value)) part.largest = std::max(part.largest, std::fabs(d.value));
  }
  if (passes()) {
    ++part.certified;
    const double size = magnitude(fast, d.value);
    if (size > rounding_[input]) {  // else it is 0 but for rounding
      report_.worst_error = std::max(report_.worst_error, magnitude(fast - d.value, recorded - d.value) / size);
      part.smallest_fault = std::max(part.smallest_fault, (options_.atol + rtol_ * size + d.error) / size);
    }
    return Verdict::pass;
  }
  const std::string note = !d.finite || d.kink ? why(d, fast) : "";
  bool failed = false;
  for (const bool by_graph : {false, true}) {
    const double a = by_graph ? recorded : fast;
    if (verdict_on(a) != Verdict::fail) continue;
    const bool same =
        std::fabs(recorded - fast) <= 1e-9 * std::fabs(fast) || (std::isnan(fast) && std::isnan(recorded));
    if (by_graph && failed && same) continue;  // the same row again
    failed = true;
    GradcheckRow bad = row(input, place, by_graph, d);
    bad.note = note;
    add_row(std::move(bad));
  }
  if (failed) {
    ++part.failed;
    measured.wrong = true;
    return Verdict::fail;
  }
  GradcheckRow doubtful = row(input, place, verdict_on(fast) == Verdict::pass, d);
  doubtful.note = why(d, doubtful.analytic);
  double bound = d.finite ? magnitude(fast - d.value, recorded - d.value) + d.error : INFINITY;
  if (d.kink) bound = std::max(bound, magnitude(fast - d.left, fast - d.right));
  doubts_.push_back({std::move(doubtful), input, 1, bound});
  return Verdict::inconclusive;
}

void Comparison::check_all(size_t input) {
  Measured measured{.input = input};
  for (int64_t e = 0; e < d_.inputs[input].numel(); ++e) check_element(input, e, measured);
  measured_.push_back(std::move(measured));
}

Comparison::Sums Comparison::sums(const Moves& moves) const {
  Sums s;
  for (size_t i = 0; i < moves.weights.size(); ++i) {
    const auto e = static_cast<size_t>(moves.places[i]);
    const double w = moves.weights[i], a = d_.fast[moves.input][e], b = d_.recorded[moves.input][e];
    s.fast += w * a, s.recorded += w * b, s.size += w * w * std::max(a * a, b * b);
  }
  s.size = std::sqrt(s.size);
  return s;
}

// A step moves no element by more than its own scale, and all together as far as one.
Moves Comparison::part_of(const Moves& moves, size_t first, size_t last) const {
  const auto from = static_cast<std::ptrdiff_t>(first), to = static_cast<std::ptrdiff_t>(last);
  Moves part{moves.input,
             {moves.places.begin() + from, moves.places.begin() + to},
             {moves.weights.begin() + from, moves.weights.begin() + to},
             0};
  double longest = 0;
  for (size_t i = 0; i < part.places.size(); ++i)
    longest = std::max(longest, std::fabs(part.weights[i]) / unit(part.input, part.places[i]));
  part.scale = 1 / (longest * std::cbrt(static_cast<double>(last - first)));
  return part;
}

// Elements of like influence (gradient times scale), a factor of 16 a group, so that in no direction the small ones
// drown in the large; each moves so far that all of a group have the same part in the sum. Those that were measured one
// by one already are left out.
std::vector<Moves> Comparison::directions(size_t input, const Measured& measured) {
  struct Group {
    std::vector<int64_t> places;
    double smallest = INFINITY;
  };
  std::map<int, Group> groups;
  const auto gradient = [&](int64_t e) {
    const double g = magnitude(d_.fast[input][static_cast<size_t>(e)], d_.recorded[input][static_cast<size_t>(e)]);
    return std::isfinite(g) ? g : 0;
  };
  for (int64_t e = 0; e < d_.inputs[input].numel(); ++e) {
    if (std::find(measured.places.begin(), measured.places.end(), e) != measured.places.end()) continue;
    const double influence = gradient(e) * unit(input, e);
    Group& group = groups[influence == 0 ? INT_MIN : std::ilogb(influence) / 4];
    group.places.push_back(e);
    group.smallest = std::min(group.smallest, influence);
  }
  std::vector<Moves> all;
  for (auto& [key, group] : groups) {
    Moves moves{input, std::move(group.places), {}, 0};
    for (const int64_t e : moves.places)
      moves.weights.push_back(random_.weight() * (group.smallest > 0 ? group.smallest / gradient(e) : unit(input, e)));
    all.push_back(part_of(moves, 0, moves.places.size()));
  }
  return all;
}

void Comparison::check_directions(size_t input) {
  constexpr int64_t kEnough = 8;  // wrong elements
  Measured measured{.input = input};
  GradcheckInput& part = found(input);
  int64_t along = 0;
  for (int round = 0; round < options_.directions && part.failed < kEnough; ++round) {
    int64_t certified = 0;
    for (const Moves& moves : directions(input, measured)) certified += check_direction(moves, round == 0, measured);
    along = std::max(along, certified);
  }
  for (int sample = 0; sample < options_.directions; ++sample)
    check_element(input, random_.below(d_.inputs[input].numel()), measured);
  part.certified = std::min(part.certified + along, part.elements - part.failed);
  measured_.push_back(std::move(measured));
}

// The half that fits worse, until one element is left.
int64_t Comparison::worst_of(const Moves& moves) {
  const auto misfit = [&](size_t first, size_t last) {
    const Moves half = part_of(moves, first, last);
    const Sums s = sums(half);
    const Difference d = numeric_.quick(half);
    const double error = magnitude(s.fast - d.value, s.recorded - d.value);
    return std::isfinite(error) ? error / (options_.atol + kFine * s.size + d.error) : INFINITY;
  };
  size_t first = 0, last = moves.places.size();
  while (last - first > 1) {
    const size_t middle = first + (last - first) / 2;
    if (misfit(first, middle) >= misfit(middle, last))
      last = middle;
    else
      first = middle;
  }
  return moves.places[first];
}

// Returns how many elements are certified by it.
int64_t Comparison::check_direction(const Moves& moves, bool closely, Measured& measured) {
  ++report_.directions;
  const size_t input = moves.input;
  GradcheckInput& part = found(input);
  const auto members = static_cast<int64_t>(moves.places.size());
  const Sums s = sums(moves);
  Difference d = closely ? numeric_.refined(moves, kClosely) : numeric_.quick(moves);
  const auto size = [&] { return std::max(s.size, std::fabs(d.value)); };
  const auto verdict = [&] {
    const Verdict fast = judge(s.fast, d, size(), 0), recorded = judge(s.recorded, d, size(), 0);
    if (fast == Verdict::fail || recorded == Verdict::fail) return Verdict::fail;
    return fast == Verdict::pass ? recorded : fast;
  };
  if (verdict() == Verdict::inconclusive) {
    const Difference better = numeric_.refined(moves);
    if (!d.finite || better.error < d.error) d = better;
  }
  if (d.finite) moves_[input] = moves_[input] || d.value != 0;
  // one wrong element of many is within the tolerance of the sum, but not within its error bar
  const double noticed = options_.atol + kFine * size() + 3 * d.error;
  const bool fits = magnitude(s.fast - d.value, s.recorded - d.value) <= noticed;
  if (fits && verdict() == Verdict::pass) return certify(moves, noticed, d, s.size);
  const int64_t place = worst_of(moves);
  if (check_element(input, place, measured) == Verdict::fail) return 0;
  if (verdict() == Verdict::fail) {
    const Difference better = numeric_.refined(moves);
    if (better.error < d.error) d = better;
  }
  if (verdict() == Verdict::pass) return certify(moves, rtol_ * size() + d.error, d, s.size);
  GradcheckRow along = row(input, place, false, d);
  along.analytic = s.fast;
  along.note = "along a random direction; no element stands out";
  if (verdict() == Verdict::fail) {
    ++part.failed;
    measured.wrong = true;
    add_row(std::move(along));
    return 0;
  }
  along.note += ": " + why(d, s.fast);
  doubts_.push_back(
      {std::move(along), input, members, std::isfinite(d.error) ? std::fabs(s.fast - d.value) + d.error : INFINITY});
  return 0;
}

// `noticed` is the error in the sum that would not have passed.
int64_t Comparison::certify(const Moves& moves, double noticed, const Difference& d, double size) {
  GradcheckInput& part = found(moves.input);
  const auto members = static_cast<int64_t>(moves.places.size());
  if (d.error > rtol_ * size || size == 0) return members;
  double smallest = INFINITY, largest = 0;
  for (size_t i = 0; i < moves.places.size(); ++i) {
    const double g = std::fabs(d_.fast[moves.input][static_cast<size_t>(moves.places[i])]);
    smallest = std::min(smallest, std::fabs(moves.weights[i]) * g);
    largest = std::max(largest, g);
  }
  part.largest = std::max(part.largest, largest);
  report_.worst_error = std::max(
      report_.worst_error, std::fabs(d.value - sums(moves).fast) / (size * std::sqrt(static_cast<double>(members))));
  if (smallest > 0) part.smallest_fault = std::max({part.smallest_fault, options_.rtol, noticed / smallest});
  return members;
}

// What could not be measured to the tolerance is left aside where no error in it can be more than a hundredth of what
// the tolerance allows in the largest derivative, and makes the input inconclusive elsewhere.
void Comparison::settle() {
  double largest = 0;
  for (size_t i = 0; i < d_.inputs.size(); ++i) largest = std::max(largest, found(i).largest);
  for (Doubt& doubt : doubts_) {
    GradcheckInput& part = found(doubt.input);
    part.unresolved += doubt.elements;
    if (doubt.bound <= (rtol_ > options_.rtol ? 1 : kNegligible) * rtol_ * largest) {
      doubt.row.note = "negligible beside the largest derivative: " + doubt.row.note;
    } else if (part.verdict != Verdict::inconclusive) {
      part.verdict = Verdict::inconclusive;
      part.reason = doubt.row.note;
    }
    if (report_.unresolved.size() < kMaxRows) report_.unresolved.push_back(std::move(doubt.row));
  }
  for (size_t i = 0; i < d_.inputs.size(); ++i)
    if (found(i).failed > 0) found(i).verdict = Verdict::fail;
}

}  // namespace cotangent::detail
