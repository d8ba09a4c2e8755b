#pragma once
// What the op tables of functions of one element share.
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/tests/autograd/op_info.hpp>

namespace cotangent {

/// A function of one tensor as an op.
template <Tensor (*F)(const Tensor&)>
Results call(Arguments x) {
  return F(x[0]);
}

/// The reference: f of each element.
template <auto F>
Results by_element(Arguments x) {
  Tensor y = clone(contiguous(x[0].detach()));
  double* p = y.data<double>();
  for (int64_t i = 0; i < y.numel(); ++i) p[i] = F(p[i]);
  return y;
}

}  // namespace cotangent
