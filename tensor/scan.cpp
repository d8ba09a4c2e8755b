#include <cotangent/tensor/scan.hpp>

#include <algorithm>

#include <cotangent/tensor/axis_internal.hpp>
#include <cotangent/tensor/dispatch_internal.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/kernels/kernels.hpp>
#include <cotangent/tensor/kernels/wrap.hpp>
#include <cotangent/tensor/precision_internal.hpp>
#include <cotangent/tensor/processor_internal.hpp>
#include <cotangent/tensor/strided.hpp>

namespace cotangent::raw {
namespace {

using kernels::kColumns;

constexpr int64_t kTileRows = 16, kTileColumns = 64;  // that are transposed at once
static_assert(2 * kTileRows * kTileColumns * int64_t{sizeof(double)} <= kLeastFirstCache);  // which holds both sides

enum class Running : uint8_t { sum, product };

// `width` lines that lie side by side, from the first element on or from the last one back.
template <Running kind, class T>
void scan_lines(const T* x, T* y, int64_t n, int64_t stride, int64_t width, bool reverse) {
  using W = kernels::wrap_t<compute_t<T>>;
  W totals[kColumns];
  std::fill_n(totals, width, kind == Running::sum ? W(0) : W(1));
  for (int64_t k = 0; k < n; ++k) {
    const int64_t at = (reverse ? n - 1 - k : k) * stride;
    for (int64_t j = 0; j < width; ++j) {
      const W v = static_cast<W>(x[at + j]);
      totals[j] = kind == Running::sum ? totals[j] + v : totals[j] * v;
      y[at + j] = static_cast<T>(totals[j]);
    }
  }
}

template <class T>
constexpr bool kWide = std::is_same_v<T, float> || std::is_same_v<T, double>;  // joined in float64, by a kernel

template <Running kind, class T>
auto kernel_of() {
  const kernels::ScanLoops<T>& loops = kernels::kernels().reduce.scan.of<T>();
  return kind == Running::sum ? loops.sums : loops.products;
}

template <Running kind, class T>
requires kWide<T>
void scan_lines(const T* x, T* y, int64_t n, int64_t stride, int64_t width, bool reverse) {
  double totals[kColumns];
  std::fill_n(totals, width, kind == Running::sum ? 0.0 : 1.0);
  const int64_t first = reverse ? (n - 1) * stride : 0;
  kernel_of<kind, T>()(x + first, y + first, totals, n, reverse ? -stride : stride, width);
}
// Lines end to end are laid side by side for it, tile by tile.
template <Running kind, class T>
requires kWide<T>
void scan_rows(const T* x, T* y, int64_t n, int64_t rows, bool reverse) {
  const auto scan = kernel_of<kind, T>();
  const auto transpose = kernels::kernels().copy.of<T>().transpose;
  T tile[kTileRows * kTileColumns];
  double totals[kTileRows];
  std::fill_n(totals, rows, kind == Running::sum ? 0.0 : 1.0);
  for (int64_t done = 0; done < n; done += kTileColumns) {
    const int64_t columns = std::min(kTileColumns, n - done), at = reverse ? n - done - columns : done;
    T* const first = tile + (reverse ? (columns - 1) * rows : 0);
    transpose(x + at, rows, columns, n, tile, rows);
    scan(first, first, totals, columns, reverse ? -rows : rows, rows);
    transpose(tile, columns, rows, rows, y + at, n);
  }
}

/// Calls lines(start, width, count) for `width` lines side by side from element `start` on; where each lies by itself,
/// width is 1, and `count` of them follow one another, of which it says how many it took.
template <class Body>
void for_lines(const Axis& axis, Body body) {
  const int64_t blocks = (axis.inner + kColumns - 1) / kColumns, n = axis.size;
  const int64_t grain = std::max<int64_t>(1, kElementGrain / n / std::min(kColumns, axis.inner));
  parallel_for(0, axis.outer * blocks, grain, [&](int64_t first, int64_t last) {
    while (first < last) {
      const int64_t column = first % blocks * kColumns, start = first / blocks * n * axis.inner + column;
      first += body(start, std::min(kColumns, axis.inner - column), axis.inner == 1 ? last - first : 1);
    }
  });
}

template <Running kind>
Tensor running(const Tensor& x, int dim, bool reverse) {
  const Tensor dense = contiguous(x.is_floating() || x.dtype() == int64 ? x : cast(x, int64));
  const Tensor y = detail::make_tensor(x.shape(), dense.dtype());
  if (x.numel() == 0) return y;
  const Axis axis(x.shape(), dim);
  dispatch(dense.dtype(), [&]<class T> {
    const T* from = dense.data<T>();
    T* to = y.data<T>();
    for_lines(axis, [&](int64_t start, int64_t width, int64_t count) -> int64_t {
      if constexpr (kWide<T>) {
        const int64_t rows = std::min(kTileRows, count);
        if (rows >= kTileRows / 2) {
          scan_rows<kind>(from + start, to + start, axis.size, rows, reverse);
          return rows;
        }
      }
      scan_lines<kind>(from + start, to + start, axis.size, axis.inner, width, reverse);
      return 1;
    });
  });
  return y;
}

template <bool kMax>
ValuesAndIndices running_extreme(const Tensor& x, int dim) {
  const Tensor dense = contiguous(x);
  const ValuesAndIndices y{detail::make_tensor(x.shape(), x.dtype()), detail::make_tensor(x.shape(), int64)};
  if (x.numel() == 0) return y;
  const Axis axis(x.shape(), dim);
  dispatch(x.dtype(), [&]<class T> {
    const T* from = dense.data<T>();
    T* values = y.values.data<T>();
    int64_t* indices = y.indices.data<int64_t>();
    for_lines(axis, [&](int64_t start, int64_t width, int64_t) -> int64_t {
      std::copy_n(from + start, width, values + start);
      std::fill_n(indices + start, width, 0);
      for (int64_t k = 1; k < axis.size; ++k) {
        const int64_t at = start + k * axis.inner, before = at - axis.inner;
        for (int64_t j = 0; j < width; ++j) {
          const auto v = static_cast<compute_t<T>>(from[at + j]), most = static_cast<compute_t<T>>(values[before + j]);
          const bool chosen = detail::is_nan(v) || (!detail::is_nan(most) && (kMax ? v >= most : v <= most));
          values[at + j] = chosen ? from[at + j] : values[before + j];
          indices[at + j] = chosen ? k : indices[before + j];
        }
      }
      return 1;
    });
  });
  return y;
}

}  // namespace

Tensor cumsum(const Tensor& x, int dim, bool reverse) { return running<Running::sum>(x, dim, reverse); }
Tensor cumprod(const Tensor& x, int dim) { return running<Running::product>(x, dim, false); }
ValuesAndIndices cummax(const Tensor& x, int dim) { return running_extreme<true>(x, dim); }
ValuesAndIndices cummin(const Tensor& x, int dim) { return running_extreme<false>(x, dim); }

}  // namespace cotangent::raw
