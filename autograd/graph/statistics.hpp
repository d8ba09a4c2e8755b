#pragma once
#include <cotangent/tensor/tensor.hpp>

namespace cotangent {

/// What a tensor holds, at a glance. Minimum, maximum, mean and standard deviation (of the population) are of its
/// finite elements, in float64; NaN where there are none.
struct Statistics {
  int64_t count = 0, nans = 0, infinities = 0;
  double min, max, mean, std;
};
Statistics statistics(const Tensor& x);
/// "min -1.2, max 3.4, mean 0.1, std 0.9", and the counts of NaN and infinity if there are any.
std::string to_string(const Statistics& s);

}  // namespace cotangent
