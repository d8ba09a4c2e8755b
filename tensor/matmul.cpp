#include <cotangent/tensor/matmul.hpp>

#include <algorithm>
#include <cstring>

#include <cotangent/tensor/dispatch_internal.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/gemm_half.hpp>
#include <cotangent/tensor/kernels/wrap.hpp>
#include <cotangent/tensor/strided.hpp>
#include <cotangent/tensor/views.hpp>

namespace cotangent::raw {
namespace {

constexpr int64_t kGrain = 200000;  // products m n k that one thread should have at least

/// Integers, by the definition.
template <class T>
void plain_product(int64_t m, int64_t n, int64_t k, Matrix<T> a, Matrix<T> b, T* c, int64_t c_row, bool add = false) {
  using W = kernels::wrap_t<T>;
  for (int64_t i = 0; i < m; ++i) {
    T* row = c + i * c_row;
    if (!add) std::fill(row, row + n, T(0));
    for (int64_t l = 0; l < k; ++l) {
      const W factor = W(a.data[i * a.row + l * a.column]);
      for (int64_t j = 0; j < n; ++j) row[j] = static_cast<T>(W(row[j]) + factor * W(b.data[l * b.row + j * b.column]));
    }
  }
}

/// c = a b + bias in any dtype but bool.
template <class T>
void product(int64_t m, int64_t n, int64_t k, Matrix<T> a, Matrix<T> b, T* c, const T* bias = nullptr) {
  if constexpr (std::is_integral_v<T>) {
    for (int64_t i = 0; bias && i < m; ++i) std::memcpy(c + i * n, bias, static_cast<size_t>(n) * sizeof(T));
    plain_product<T>(m, n, k, a, b, c, n, bias != nullptr);
  } else if constexpr (sizeof(T) == 2) {
    gemm_half<T>(m, n, k, a, b, c, n, 1, 0, bias);
  } else {
    gemm<T>(m, n, k, a, b, c, n, T(1), T(0), bias);
  }
}

void check_operands(const char* op, const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype())
    fail<DTypeError>("[{}] a is {} and b is {}; they must have one dtype, convert one with to()", op, a.dtype(),
                     b.dtype());
  if (a.dtype() == boolean) fail<DTypeError>("[{}] is not defined for bool; convert with to(int64) or to(float32)", op);
  const int64_t inner_a = a.shape()[a.rank() - 1], inner_b = b.shape()[b.rank() - 2];
  if (inner_a != inner_b)
    fail<ShapeError>("[{}] inner dimensions differ: a is {} and b is {}; the last of a must equal the second last of b",
                     op, a.shape(), b.shape());
}

/// The element offsets of the matrices of a batch.
struct BatchSteps {
  int rank = 0;
  int64_t sizes[kMaxRank], a[kMaxRank], b[kMaxRank];

  BatchSteps(const Shape& batch, const Tensor& x, const Tensor& y) : rank(batch.rank()) {
    for (int d = 0; d < rank; ++d) {
      sizes[d] = batch[d];
      a[d] = step(x, d), b[d] = step(y, d);
    }
  }
  int64_t step(const Tensor& x, int d) const {
    const int own = d - (rank - (x.rank() - 2));
    return own < 0 || x.shape()[own] == 1 ? 0 : x.strides()[own];
  }
  std::pair<int64_t, int64_t> at(int64_t index) const {
    int64_t offset_a = 0, offset_b = 0;
    for (int d = rank - 1; d >= 0; --d) {
      const int64_t i = index % sizes[d];
      index /= sizes[d];
      offset_a += i * a[d], offset_b += i * b[d];
    }
    return {offset_a, offset_b};
  }
};

}  // namespace

Tensor matmul(const char* op, const Tensor& a, const Tensor& b) {
  check_operands(op, a, b);
  const int ra = a.rank(), rb = b.rank();
  if (ra > 2 && rb == 2) {  // one large product, where the rows of a lie evenly
    Shape shape = a.shape();
    const int64_t k = shape.back(), rows = shape.slice(0, ra - 1).product();
    const Tensor x = try_view(op, a, {rows, k});
    shape.back() = b.shape()[1];
    if (x.defined()) return try_view(op, matmul(op, x, b), shape);
  }
  const int64_t m = a.shape()[ra - 2], k = a.shape()[ra - 1], n = b.shape()[rb - 1];
  Shape shape;
  if (ra > 2 || rb > 2) shape = broadcast_shapes(op, a.shape().slice(0, ra - 2), b.shape().slice(0, rb - 2));
  const BatchSteps steps(shape, a, b);
  const int64_t count = shape.product();
  shape.push_back(m), shape.push_back(n);
  const Tensor y = detail::make_tensor(shape, a.dtype(), op);
  if (y.numel() == 0) return y;
  const int64_t a_row = a.strides()[ra - 2], a_column = a.strides()[ra - 1], b_row = b.strides()[rb - 2],
                b_column = b.strides()[rb - 1];
  dispatch(a.dtype(), [&]<class T> {
    const T *pa = a.data<T>(), *pb = b.data<T>();
    T* py = y.data<T>();
    auto one = [&](int64_t i) {
      const auto [offset_a, offset_b] = steps.at(i);
      product<T>(m, n, k, {pa + offset_a, a_row, a_column}, {pb + offset_b, b_row, b_column}, py + i * m * n);
    };
    const int64_t work = std::max<int64_t>(m * n * k, 1);
    if (count == 1) {
      one(0);
    } else if (count >= num_threads() || work < kGrain) {
      parallel_for(0, count, (kGrain + work - 1) / work, [&](int64_t first, int64_t last) {
        for (int64_t i = first; i < last; ++i) one(i);
      });
    } else {
      for (int64_t i = 0; i < count; ++i) one(i);
    }
  });
  return y;
}

Tensor addmm(const char* op, const Tensor& c, const Tensor& a, const Tensor& b, double beta, double alpha) {
  check_operands(op, a, b);
  if (c.defined() && c.dtype() != a.dtype())
    fail<DTypeError>("[{}] c is {} and a is {}; they must have one dtype, convert one with to()", op, c.dtype(),
                     a.dtype());
  if (!a.is_floating()) {
    const Tensor product = binary(op, Binary::mul, matmul(op, a, b), alpha);
    if (!c.defined()) return product;
    return binary(op, Binary::add, product, binary(op, Binary::mul, expand(op, c, product.shape()), beta));
  }
  const int64_t m = a.shape()[0], k = a.shape()[1], n = b.shape()[1];
  const Tensor y = detail::make_tensor({m, n}, a.dtype(), op);
  const bool add = c.defined() && beta != 0;
  if (add) copy_into(op, c, y);
  if (y.numel() == 0) return y;
  dispatch(a.dtype(), [&]<class T> {
    const Matrix<T> x{a.data<T>(), a.strides()[0], a.strides()[1]}, z{b.data<T>(), b.strides()[0], b.strides()[1]};
    if constexpr (sizeof(T) == 2)
      gemm_half<T>(m, n, k, x, z, y.data<T>(), n, static_cast<float>(alpha), static_cast<float>(add ? beta : 0));
    else if constexpr (std::is_floating_point_v<T>)
      gemm<T>(m, n, k, x, z, y.data<T>(), n, static_cast<T>(alpha), static_cast<T>(add ? beta : 0));
  });
  return y;
}

Tensor linear(const char* op, const Tensor& x, const Tensor& weight, const Tensor& bias) {
  if (x.dtype() != weight.dtype() || (bias.defined() && bias.dtype() != x.dtype()) || x.dtype() == boolean)
    fail<DTypeError>("[{}] x is {}, the weight {} and the bias {}; they must have one dtype that can be multiplied", op,
                     x.dtype(), weight.dtype(), bias.defined() ? bias.dtype() : x.dtype());
  Shape shape = x.shape();
  const int64_t k = shape.back(), n = weight.shape()[0], m = shape.slice(0, shape.rank() - 1).product();
  shape.back() = n;
  const Tensor y = detail::make_tensor(shape, x.dtype(), op);
  if (y.numel() == 0) return y;
  int64_t x_row = k, x_column = 1;
  Tensor rows = x;
  if (x.rank() == 2)
    x_row = x.strides()[0], x_column = x.strides()[1];
  else
    rows = contiguous(x);
  const Tensor b = bias.defined() ? contiguous(bias) : bias;
  dispatch(x.dtype(), [&]<class T> {
    product<T>(m, n, k, {rows.data<T>(), x_row, x_column}, {weight.data<T>(), weight.strides()[1], weight.strides()[0]},
               y.data<T>(), bias.defined() ? b.data<T>() : nullptr);
  });
  return y;
}

}  // namespace cotangent::raw
