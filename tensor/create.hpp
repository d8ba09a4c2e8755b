#pragma once
// Making tensors. Random ones are in tensor/random.hpp.
#include <cotangent/tensor/tensor.hpp>

namespace cotangent {

/// Nested brackets of numbers: what `tensor({{1, 2}, {3, 4}})` is called with.
class NestedList {
 public:
  template <class T>
  requires std::is_arithmetic_v<T> NestedList(T value) : dtype_(Scalar(value).dtype()), values_{Scalar(value)} {}
  /// A ShapeError if the parts differ in shape.
  NestedList(std::initializer_list<NestedList> parts);
  const Shape& shape() const { return shape_; }
  Dtype dtype() const { return dtype_; }
  const std::vector<Scalar>& values() const { return values_; }

 private:
  Shape shape_;
  Dtype dtype_;
  std::vector<Scalar> values_;
};

/// The numbers as they are nested. Floating-point numbers give default_dtype(), integers int64, booleans bool. For an
/// integral dtype fractions are dropped, as by to(); a ValueError where it does not hold the rest.
Tensor tensor(const NestedList& values);
Tensor tensor(const NestedList& values, Dtype dtype);

/// A copy of a span in row-major order. A ShapeError if the shape has another number of elements.
template <class T>
Tensor from_span(std::span<const T> values, const Shape& shape, const char* op = "from_span");
template <class T>
Tensor from_vector(const std::vector<T>& values, const Shape& shape) {
  return from_span(std::span<const T>(values), shape, "from_vector");
}
/// Someone else's memory as a tensor, without a copy. `release(owner)` is called when the last view of it has gone.
Tensor from_memory(void* data, const Shape& shape, Dtype dtype, void (*release)(void* owner) = nullptr,
                   void* owner = nullptr);

/// Uninitialised.
Tensor empty(const Shape& shape, Dtype dtype = default_dtype());
Tensor zeros(const Shape& shape, Dtype dtype = default_dtype());
Tensor ones(const Shape& shape, Dtype dtype = default_dtype());
/// A ValueError if the dtype does not take the number: 300 or 0.5 for uint8 (tensor/scalar.hpp).
Tensor full(const Shape& shape, const Scalar& value, Dtype dtype = default_dtype());
/// The same with x's shape and dtype.
Tensor empty_like(const Tensor& x);
Tensor zeros_like(const Tensor& x);
Tensor ones_like(const Tensor& x);
Tensor full_like(const Tensor& x, const Scalar& value);

/// start, start + step, ... below (for a negative step: above) stop: int64 for integers, else default_dtype().
/// A ValueError where the dtype does not take one of them.
Tensor arange(const Scalar& stop);
Tensor arange(const Scalar& start, const Scalar& stop, const Scalar& step = 1);
Tensor arange(const Scalar& start, const Scalar& stop, const Scalar& step, Dtype dtype);
/// `count` values from start to stop, both included. For an integral dtype without their fractions; a ValueError where
/// it does not hold the rest.
Tensor linspace(double start, double stop, int64_t count, Dtype dtype = default_dtype());
/// The (rows, columns) matrix with ones on the diagonal; square when `columns` is left out.
Tensor eye(int64_t rows, int64_t columns = -1, Dtype dtype = default_dtype());

}  // namespace cotangent
