#pragma once
// What a wrong gradient looks like: hypotheses, of which the first that predicts it from the right one speaks.
#include <functional>
#include <string>

#include <cotangent/autograd/gradcheck/comparison_internal.hpp>

namespace cotangent::detail {

using Values = std::vector<double>;

inline constexpr double kExact = 1e-5;  // within which a hypothesis predicts

/// What is known of the gradient of one input: that by the rule everywhere, that by differences at some places, and
/// there also how each output moves. A place counts the elements of the input in row-major order; a spot counts those
/// of all outputs, one output after the other.
struct Evidence {
  int order;
  Shape shape;
  Values x, rule;               ///< of all elements
  std::vector<int64_t> places;  ///< that were measured: all, or those around a wrong one, at the ends, and random ones
  Values a, n, error;           ///< at these: by the rule, by differences, and the error bar of these
  Values other_pass;            ///< and by the other of the two passes
  double tolerance;
  bool influence = true;  ///< moving the input far away changes the outputs
  std::vector<Shape> outputs;
  Values y, v;                   ///< at all spots: the outputs and their cotangents
  std::vector<Values> columns;   ///< for each place how each spot moves; none where that is too much
  std::vector<size_t> rows;      ///< spots whose gradient is known by the rule
  std::vector<Values> row_rule;  ///< that, at the places

  bool complete() const { return places.size() == rule.size(); }
  bool wrong(size_t p) const { return !near(a[p], n[p], tolerance, p); }
  bool other_is_right() const;
  /// Whether the rule gives these values at the places: within 1e-5, and far closer than the right ones.
  bool is_rule(const Values& values) const { return match(a, values); }
  /// The other way round: these values of the rule, taken from other places, are the right ones.
  bool is_right(const Values& values) const { return match(values, n); }
  /// Whether the rule gives what is right for these cotangents, in place of v.
  bool is_rule_for(const Values& cotangents) const;
  /// Whether input and output go element by element.
  bool elementwise() const;
  /// The spots of output k: from the first on, numel of its shape.
  size_t first_spot(size_t k) const;

 private:
  friend class EvidenceOf;
  bool near(double one, double other, double tolerance, size_t p) const;
  bool match(const Values& got, const Values& wanted) const;
  double scale_ = 0, misfit_ = 0;
};

/// What a hypothesis says if it explains the evidence; else "".
using Hypothesis = std::string (*)(const Evidence&);

std::string explain_sign(const Evidence& e);
std::string explain_factor(const Evidence& e);
std::string explain_factors(const Evidence& e);            ///< one for each row or channel
std::string explain_factors_of_blocks(const Evidence& e);  ///< one for each index along several dimensions
std::string explain_epsilon(const Evidence& e);
std::string explain_precision(const Evidence& e);

std::string explain_layout(const Evidence& e);
std::string explain_permutation(const Evidence& e);  ///< slices, or elements, in any order
std::string explain_broadcast(const Evidence& e);
std::string explain_reduced_too_far(const Evidence& e);  ///< sums, or means, along dimensions of the input

std::string explain_accumulation(const Evidence& e);
std::string explain_missing_term(const Evidence& e);
std::string explain_only_where(const Evidence& e);
std::string explain_few(const Evidence& e);  ///< wrong at a few places of no pattern

/// Another order of the elements of a shape: element i comes from the place from(i).
struct Arrangement {
  std::string text;
  std::function<int64_t(int64_t)> from;
};
std::vector<Arrangement> arrangements(const Shape& shape);

/// A factor, as 1 + 4e-6 where it is nearly that.
std::string factor_text(double c);
/// One that all of these are of those, within the tolerance of a hypothesis; NaN where there is none.
double common_factor(const Values& these, const Values& those);

/// The gradients of all inputs for any cotangents by the rules, without and with create_graph.
using GradientsFor = std::function<Tensors(const Tensors& cotangents, bool recorded)>;

/// Adds to the report what the errors of each input look like: "<input>, order <n>: <word>: <sentence>". `rule` is
/// empty if only the gradient for the one cotangent is known.
void diagnose(GradcheckReport& report, const Comparison& comparison, NumericDerivative& numeric,
              const GradientsFor& rule, const Tensors& cotangents, const GradcheckOptions& options);

/// Whether a line of the diagnosis says no more than what was measured.
bool fits_nothing(const std::string& line);
/// The same of the op that is to blame, as a function of its own: what is wrong there is often hidden in the whole. `f`
/// is the function of order 1; `order` is that of the check that failed.
void diagnose_blame(GradcheckReport& report, CheckedFunction& f, const Tensors& inputs, int order,
                    const GradcheckOptions& options);

}  // namespace cotangent::detail
