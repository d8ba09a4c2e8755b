#pragma once
// Which recorded op is to blame for a derivative that is wrong.
#include <cotangent/autograd/gradcheck/function_internal.hpp>

namespace cotangent::detail {

/// A function at one order, where a check of it has failed.
struct BlameQuestion {
  CheckedFunction& f;
  const Tensors& inputs;
  const Tensors& cotangents;
  const std::vector<std::string>& names;  ///< of the inputs
  int order;
  uint64_t seed;
};

/// Looks for the first op whose rule is wrong, by what the report says is wrong, and fills report.blame. `first` is the
/// same question at order 1, of which `question` is the gradient.
void find_blame(const BlameQuestion& question, const BlameQuestion& first, GradcheckReport& report);

}  // namespace cotangent::detail
