#pragma once
// Reductions along dimensions. `dims` empty means all; the reduced dimensions go, or stay with size 1 under `keepdim`.
#include <cotangent/tensor/tensor.hpp>

namespace cotangent {

/// A list of dimensions as an argument: `sum(x, {0, -1})`, `sum(x, 1)`, `sum(x)` (all).
class DimList {
 public:
  DimList() = default;
  DimList(int64_t dim) : dims_{dim} {}
  DimList(int dim) : dims_{dim} {}
  DimList(std::initializer_list<int64_t> dims) : dims_(dims) {}
  DimList(const Dims& dims) : dims_(dims) {}
  operator std::span<const int64_t>() const { return {dims_.begin(), dims_.size()}; }

 private:
  Dims dims_;
};

/// The sum; integers and bools are summed in int64.   dx = dy, repeated
Tensor sum(const Tensor& x, const DimList& dims = {}, bool keepdim = false);
/// The mean of a floating tensor.   dx = dy / n, repeated
Tensor mean(const Tensor& x, const DimList& dims = {}, bool keepdim = false);
/// x summed over the dimensions along which `shape` would be repeated to give x's: the adjoint of expand.   dx = dy,
/// repeated
Tensor sum_to(const Tensor& x, const Shape& shape);

}  // namespace cotangent
