#include <cotangent/autograd/gradcheck/diagnosis_internal.hpp>

#include <algorithm>
#include <cmath>

#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::detail {
namespace {

using Values = std::vector<double>;

double norm(const Values& a) {
  double sum = 0;
  for (double v : a) sum += v * v;
  return std::sqrt(sum);
}

bool alike(const Values& a, const Values& b) {
  double error = 0;
  for (size_t i = 0; i < a.size(); ++i) error += (a[i] - b[i]) * (a[i] - b[i]);
  return std::sqrt(error) <= 1e-6 * norm(b);
}

// What the factor may come from.
const char* meaning(double c) {
  auto near = [&](double v) { return std::fabs(c - v) <= 1e-6 * std::fabs(v); };
  if (near(-1)) return "the sign is wrong";
  if (near(2)) return "counted twice?";
  if (near(0.5)) return "a square or an average?";
  return "a missing or superfluous scale?";
}

/// The elements of a row-major shape with dimensions `i` and `j` exchanged, where both have one size.
Values exchanged(const Values& a, const Shape& shape, int i, int j) {
  Values result(a.size());
  for (size_t e = 0; e < a.size(); ++e) {
    Shape index = shape;
    auto rest = static_cast<int64_t>(e);
    for (int d = shape.rank() - 1; d >= 0; --d) index[d] = rest % shape[d], rest /= shape[d];
    std::swap(index[i], index[j]);
    int64_t at = 0;
    for (int d = 0; d < shape.rank(); ++d) at = at * shape[d] + index[d];
    result[static_cast<size_t>(at)] = a[e];
  }
  return result;
}

std::string describe(const Values& a, const Values& n, const Shape& shape) {
  const double size = norm(n);
  if (norm(a) == 0)
    return "the rule gives 0: is the history cut (detach, data copied by hand), or an input not passed to record?";
  if (size == 0) return "differences give 0: the function does not depend on it, but the rule says so";
  double dot = 0;
  for (size_t i = 0; i < a.size(); ++i) dot += a[i] * n[i];
  const double c = dot / (size * size);
  Values scaled = n;
  for (double& v : scaled) v *= c;
  if (a.size() > 1 && c != 0 && alike(a, scaled))
    return fmt::format("the rule gives {:.6g} times the numeric gradient: {}", c, meaning(c));
  for (int i = 0; i < shape.rank(); ++i)
    for (int j = i + 1; j < shape.rank(); ++j)
      if (shape[i] == shape[j] && alike(exchanged(a, shape, i, j), n))
        return fmt::format("the rule gives the numeric gradient with dimensions {} and {} exchanged", i, j);
  Values sorted_a = a, sorted_n = n;
  std::sort(sorted_a.begin(), sorted_a.end()), std::sort(sorted_n.begin(), sorted_n.end());
  if (a.size() > 1 && alike(sorted_a, sorted_n))
    return "the rule gives the right values in the wrong places: a permutation or a stride?";
  Values difference = n;
  for (size_t i = 0; i < a.size(); ++i) difference[i] = n[i] - a[i];
  const Values constant(a.size(), difference[0]);
  if (a.size() > 2 && alike(difference, constant))
    return fmt::format("a constant {:.6g} is missing in every element", difference[0]);
  return "";
}

}  // namespace

void diagnose(GradcheckReport& report, const Comparison& comparison) {
  for (const Measured& m : comparison.measured()) {
    if (!m.wrong || !m.complete) continue;
    const Derivatives& d = comparison.derivatives();
    const bool fast_good = alike(m.fast, m.numeric), recorded_good = alike(m.recorded, m.numeric);
    std::string text;
    if (fast_good && !recorded_good)
      text = "only the pass that create_graph records is wrong";
    else if (recorded_good && !fast_good)
      text = "only the fast pass is wrong; the one that create_graph records is right";
    const std::string shape_of_error = describe(fast_good ? m.recorded : m.fast, m.numeric, d.inputs[m.input].shape());
    if (text.empty())
      text = shape_of_error;
    else if (!shape_of_error.empty())
      text += "; " + shape_of_error;
    if (!text.empty()) report.diagnosis.push_back(fmt::format("{}, order {}: {}", d.names[m.input], d.order, text));
  }
}

}  // namespace cotangent::detail
