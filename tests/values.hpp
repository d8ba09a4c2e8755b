#pragma once
// How tests look at tensors and errors.
#include <string>
#include <vector>

#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/tensor/create.hpp>

namespace cotangent {

using Values = std::vector<double>;

inline Values to_values(const Tensor& x) { return x.detach().to_vector<double>(); }

inline bool close(const Tensor& a, const Tensor& b, double tolerance = 1e-12) { return allclose(a, b, 0, tolerance); }

/// What the Error that f throws says.
template <class F>
std::string error_of(F f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing thrown";
}

}  // namespace cotangent
