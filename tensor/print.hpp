#pragma once
#include <iosfwd>

#include <cotangent/tensor/tensor.hpp>

namespace cotangent {

/// Writes to_string(x).
std::ostream& operator<<(std::ostream& out, const Tensor& x);

}  // namespace cotangent
