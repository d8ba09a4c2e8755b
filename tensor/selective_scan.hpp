#pragma once
// The selective scan without history; autograd/ops/selective_scan.hpp has the contract.
#include <cotangent/tensor/tensor.hpp>

namespace cotangent::raw {

struct SelectiveScanned {
  Tensor y, state;
  Tensor starts;  ///< (B, chunks, N, D): the states before each chunk, from which the gradient computes them again
};
/// All have one dtype, float32 or float64, and their shapes fit; skip and state may be undefined.
SelectiveScanned selective_scan(const Tensor& x, const Tensor& dt, const Tensor& a, const Tensor& b, const Tensor& c,
                                const Tensor& skip, const Tensor& state);

struct SelectiveGradients {
  Tensor x, dt, a, b, c, skip, state;
};
/// From dy, and dstate of the last state (undefined for 0).
SelectiveGradients selective_scan_backward(const Tensor& x, const Tensor& dt, const Tensor& a, const Tensor& b,
                                           const Tensor& c, const Tensor& skip, const Tensor& starts, const Tensor& dy,
                                           const Tensor& dstate);

}  // namespace cotangent::raw
