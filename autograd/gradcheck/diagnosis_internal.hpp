#pragma once
#include <cotangent/autograd/gradcheck/comparison_internal.hpp>

namespace cotangent::detail {

/// Adds to the report what the errors of an input look like, if its analytic gradient (by the fast and the recorded
/// pass) is a simple distortion of the numeric one: zero, a constant factor, other places, a constant difference.
void diagnose(GradcheckReport& report, const Comparison& comparison);

}  // namespace cotangent::detail
