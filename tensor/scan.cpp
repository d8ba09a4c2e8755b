#include <cotangent/tensor/scan.hpp>

#include <algorithm>

#include <cotangent/tensor/axis_internal.hpp>
#include <cotangent/tensor/dispatch_internal.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/kernels/kernels.hpp>
#include <cotangent/tensor/kernels/wrap.hpp>
#include <cotangent/tensor/processor_internal.hpp>
#include <cotangent/tensor/strided.hpp>

namespace cotangent::raw {
namespace {

using kernels::kColumns;

constexpr int64_t kTileRows = 16, kTileColumns = 64;  // that are transposed at once
static_assert(2 * kTileRows * kTileColumns * int64_t{sizeof(double)} <= kLeastFirstCache);  // which holds both sides

// `width` lines that lie side by side, from the first element on or from the last one back.
template <class T>
void scan_lines(const T* x, T* y, int64_t n, int64_t stride, int64_t width, bool reverse) {
  using W = kernels::wrap_t<compute_t<T>>;
  W sums[kColumns] = {};
  for (int64_t k = 0; k < n; ++k) {
    const int64_t at = (reverse ? n - 1 - k : k) * stride;
    for (int64_t j = 0; j < width; ++j) y[at + j] = static_cast<T>(sums[j] += static_cast<W>(x[at + j]));
  }
}

template <class T>
constexpr bool kWide = std::is_same_v<T, float> || std::is_same_v<T, double>;  // summed in float64, by a kernel

template <class T>
requires kWide<T>
void scan_lines(const T* x, T* y, int64_t n, int64_t stride, int64_t width, bool reverse) {
  double sums[kColumns] = {};
  const int64_t first = reverse ? (n - 1) * stride : 0;
  kernels::kernels().reduce.scan.of<T>().columns(x + first, y + first, sums, n, reverse ? -stride : stride, width);
}
// Lines end to end are laid side by side for it, tile by tile.
template <class T>
requires kWide<T>
void scan_rows(const T* x, T* y, int64_t n, int64_t rows, bool reverse) {
  const auto scan = kernels::kernels().reduce.scan.of<T>().columns;
  const auto transpose = kernels::kernels().copy.of<T>().transpose;
  T tile[kTileRows * kTileColumns];
  double sums[kTileRows] = {};
  for (int64_t done = 0; done < n; done += kTileColumns) {
    const int64_t columns = std::min(kTileColumns, n - done), at = reverse ? n - done - columns : done;
    T* const first = tile + (reverse ? (columns - 1) * rows : 0);
    transpose(x + at, rows, columns, n, tile, rows);
    scan(first, first, sums, columns, reverse ? -rows : rows, rows);
    transpose(tile, columns, rows, rows, y + at, n);
  }
}

}  // namespace

Tensor cumsum(const Tensor& x, int dim, bool reverse) {
  const Tensor dense = contiguous(x.is_floating() || x.dtype() == int64 ? x : cast(x, int64));
  const Tensor y = detail::make_tensor(x.shape(), dense.dtype());
  if (x.numel() == 0) return y;
  const Axis axis(x.shape(), dim);
  const int64_t blocks = (axis.inner + kColumns - 1) / kColumns, n = axis.size;
  dispatch(dense.dtype(), [&]<class T> {
    const T* from = dense.data<T>();
    T* to = y.data<T>();
    const int64_t grain = std::max<int64_t>(1, kElementGrain / n / std::min(kColumns, axis.inner));
    parallel_for(0, axis.outer * blocks, grain, [&](int64_t first, int64_t last) {
      while (first < last) {
        const int64_t column = first % blocks * kColumns, start = first / blocks * n * axis.inner + column;
        if constexpr (kWide<T>) {
          const int64_t rows = std::min(kTileRows, last - first);
          if (axis.inner == 1 && rows >= kTileRows / 2) {
            scan_rows(from + start, to + start, n, rows, reverse);
            first += rows;
            continue;
          }
        }
        scan_lines(from + start, to + start, n, axis.inner, std::min(kColumns, axis.inner - column), reverse);
        ++first;
      }
    });
  });
  return y;
}

}  // namespace cotangent::raw
