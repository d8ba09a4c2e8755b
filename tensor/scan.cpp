#include <cotangent/tensor/scan.hpp>

#include <algorithm>

#include <cotangent/tensor/axis_internal.hpp>
#include <cotangent/tensor/dispatch_internal.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/strided.hpp>

namespace cotangent::raw {
namespace {

constexpr int64_t kBlock = 64;  // neighbouring lines that are summed at once

// `width` lines that lie side by side, from the first element on or from the last one back.
template <class T>
void scan_lines(const T* x, T* y, int64_t n, int64_t stride, int64_t width, bool reverse) {
  using Sum = std::conditional_t<std::is_same_v<T, float>, double, compute_t<T>>;
  Sum sums[kBlock] = {};
  for (int64_t k = 0; k < n; ++k) {
    const int64_t at = (reverse ? n - 1 - k : k) * stride;
    for (int64_t j = 0; j < width; ++j) y[at + j] = static_cast<T>(sums[j] += static_cast<Sum>(x[at + j]));
  }
}
// Four lines end to end: their sums do not wait for each other.
template <class T>
void scan_four(const T* x, T* y, int64_t n, bool reverse) {
  using Sum = std::conditional_t<std::is_same_v<T, float>, double, compute_t<T>>;
  Sum a{}, b{}, c{}, d{};
  for (int64_t k = 0; k < n; ++k) {
    const int64_t i = reverse ? n - 1 - k : k;
    y[i] = static_cast<T>(a += static_cast<Sum>(x[i]));
    y[i + n] = static_cast<T>(b += static_cast<Sum>(x[i + n]));
    y[i + 2 * n] = static_cast<T>(c += static_cast<Sum>(x[i + 2 * n]));
    y[i + 3 * n] = static_cast<T>(d += static_cast<Sum>(x[i + 3 * n]));
  }
}

}  // namespace

Tensor cumsum(const Tensor& x, int dim, bool reverse) {
  const Tensor dense = contiguous(x.is_floating() || x.dtype() == int64 ? x : cast(x, int64));
  const Tensor y = detail::make_tensor(x.shape(), dense.dtype());
  if (x.numel() == 0) return y;
  const Axis axis(x.shape(), dim);
  const int64_t blocks = (axis.inner + kBlock - 1) / kBlock, n = axis.size;
  dispatch(dense.dtype(), [&]<class T> {
    const T* from = dense.data<T>();
    T* to = y.data<T>();
    const int64_t grain =
        std::max<int64_t>(1, kElementGrain / n / (axis.inner == 1 ? 1 : std::min(kBlock, axis.inner)));
    parallel_for(0, axis.outer * blocks, grain, [&](int64_t first, int64_t last) {
      while (first < last) {
        const int64_t start = first / blocks * n * axis.inner + first % blocks * kBlock;
        if (axis.inner == 1 && last - first >= 4) {
          scan_four(from + start, to + start, n, reverse);
          first += 4;
        } else {
          const int64_t width = std::min(kBlock, axis.inner - first % blocks * kBlock);
          scan_lines(from + start, to + start, n, axis.inner, width, reverse);
          ++first;
        }
      }
    });
  });
  return y;
}

}  // namespace cotangent::raw
