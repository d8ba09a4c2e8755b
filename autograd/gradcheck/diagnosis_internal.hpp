#pragma once
#include <cotangent/autograd/gradcheck/report.hpp>

namespace cotangent::detail {

/// Adds to the report what the errors of an input look like, if its analytic gradient (by the fast and the recorded
/// pass) is a simple distortion of the numeric one: zero, a constant factor, other places, a constant difference.
void diagnose(GradcheckReport& report, const std::string& input, int order, const Shape& shape, const double* fast,
              const double* recorded, const std::vector<double>& numeric);

}  // namespace cotangent::detail
