#include <cotangent/tensor/linear_attention.hpp>

#include <algorithm>

#include <cotangent/tensor/dispatch_internal.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/gemm.hpp>
#include <cotangent/tensor/kernels/kernels.hpp>
#include <cotangent/tensor/memory/scratch_internal.hpp>
#include <cotangent/tensor/parallel.hpp>

namespace cotangent::raw {
namespace {

/// Rows t and on of matrix (b, h) in a (B, H, T, d) tensor.
template <class T>
Matrix<T> rows_of(const Tensor& x, int64_t b, int64_t h, int64_t t) {
  const Strides& s = x.strides();
  return {x.data<T>() + b * s[0] + h * s[1] + t * s[2], s[2], s[3]};
}

template <class T>
Matrix<T> transposed(const Matrix<T>& x) {
  return {x.data, x.column, x.row};
}

}  // namespace

Tensor causal_product(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& state, bool reverse,
                      int64_t chunk) {
  const int64_t batch = q.size(0), heads = q.size(1), length = q.size(2), m = q.size(3), n = v.size(3);
  const Tensor y = detail::make_tensor({batch, heads, length, n}, q.dtype());
  chunk = std::min(chunk, std::max<int64_t>(length, 1));
  const int64_t chunks = (length + chunk - 1) / chunk;
  const Tensor start = state.defined() ? contiguous(state) : state;
  dispatch_compute("causal_product", q.dtype(), [&]<class T> {
    T* out = y.data<T>();
    parallel_chunks(batch * heads, [&](int64_t task) {
      const int64_t b = task / heads, h = task % heads;
      const Scratch<T> scores(chunk * chunk), sum(m * n);
      const auto multiply = [&](bool around_nan) {
        if (start.defined())
          std::copy_n(start.data<T>() + task * m * n, m * n, sum.data());
        else
          std::fill_n(sum.data(), m * n, T(0));
        for (int64_t g = 0; g < chunks; ++g) {
          const int64_t first = (reverse ? chunks - 1 - g : g) * chunk, rows = std::min(chunk, length - first);
          const Matrix<T> query = rows_of<T>(q, b, h, first), key = rows_of<T>(k, b, h, first),
                          value = rows_of<T>(v, b, h, first);
          T *place = out + (task * length + first) * n, *a = scores.data();
          const bool carried = g > 0 || start.defined();
          if (carried) gemm<T>(rows, n, m, query, {sum.data(), n, 1}, place, n);
          gemm<T>(rows, rows, m, query, transposed(key), a, rows);
          for (int64_t i = 0; i < rows; ++i) {
            T* row = a + i * rows;
            if (reverse)
              std::fill(row, row + i, T(0));
            else
              std::fill(row + i + 1, row + rows, T(0));
          }
          if (around_nan) {  // a weight of 0 would not keep NaN out of a product
            if (!carried) std::fill_n(place, rows * n, T(0));
            for (int64_t i = 0; i < rows; ++i)
              for (int64_t j = reverse ? i : 0; j < (reverse ? rows : i + 1); ++j)
                for (int64_t c = 0; c < n; ++c)
                  place[i * n + c] += a[i * rows + j] * value.data[j * value.row + c * value.column];
          } else {
            gemm<T>(rows, n, rows, {a, rows, 1}, value, place, n, 1, carried ? 1 : 0);
          }
          if (g + 1 < chunks) gemm<T>(m, n, rows, transposed(key), value, sum.data(), n, 1, 1);
        }
        return kernels::kernels().attention.of<T>().finite(out + task * length * n, n, length, n);
      };
      if (!multiply(false)) multiply(true);
    });
  });
  return y;
}

}  // namespace cotangent::raw
