#pragma once
#include <cotangent/autograd/gradcheck/diagnosis_internal.hpp>

namespace cotangent::detail {

/// Gathers the evidence of one input after the other.
class EvidenceOf {
 public:
  EvidenceOf(const Comparison& comparison, NumericDerivative& numeric, const GradientsFor& rule,
             const Tensors& cotangents);
  /// With the gradient by the fast or the recorded pass.
  Evidence operator()(const Measured& m, bool recorded, double tolerance);

 private:
  std::vector<int64_t> places_of(const Measured& m, const Shape& shape, int64_t most) const;
  void add_rows(Evidence& e, size_t input, bool recorded);

  const Comparison& comparison_;
  NumericDerivative& numeric_;
  const GradientsFor& rule_;
  const Tensors& cotangents_;
  int64_t cost_;  // elements that an evaluation reads and writes
};

}  // namespace cotangent::detail
