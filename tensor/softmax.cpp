#include <cotangent/tensor/softmax.hpp>

#include <algorithm>

#include <cotangent/tensor/axis_internal.hpp>
#include <cotangent/tensor/dispatch_internal.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/kernels/kernels.hpp>
#include <cotangent/tensor/parallel.hpp>
#include <cotangent/tensor/precision_internal.hpp>

namespace cotangent::raw {
namespace {

using kernels::kernels;
using kernels::SoftmaxLoops;

constexpr int64_t kGrain = 4096;  // elements a thread: each costs an exponential

Tensor forward(const char* op, const Tensor& x, int dim, bool log) {
  if (is_low_precision(x.dtype())) return in_float32<cast>(forward, op, x, dim, log);
  const FormattedAxis axis(x, dim);
  const Tensor in = contiguous(x, axis.format), y = empty_in_format(x.shape(), x.dtype(), axis.format);
  if (x.numel() == 0) return y;
  dispatch_compute(op, x.dtype(), [&]<class T> {
    const SoftmaxLoops<T>& loops = (log ? kernels().softmax.log_softmax : kernels().softmax.softmax).of<T>();
    const T* from = in.data<T>();
    T* to = y.data<T>();
    if (axis.inner == 1) {
      parallel_for(0, axis.outer, std::max<int64_t>(1, kGrain / axis.size), [&](int64_t first, int64_t last) {
        loops.rows(from + first * axis.size, to + first * axis.size, last - first, axis.size);
      });
      return;
    }
    const int64_t blocks = (axis.inner + kernels::kColumns - 1) / kernels::kColumns;
    parallel_for(0, axis.outer * blocks, 1, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; ++i) {
        const int64_t column = i % blocks * kernels::kColumns, at = i / blocks * axis.size * axis.inner + column;
        loops.columns(from + at, to + at, axis.size, axis.inner, std::min(kernels::kColumns, axis.inner - column));
      }
    });
  });
  return y;
}

Tensor backward(const char* op, const Tensor& dy, const Tensor& y, int dim, bool log) {
  if (is_low_precision(y.dtype())) return in_float32<cast>(backward, op, dy, y, dim, log);
  const FormattedAxis axis(y, dim);
  const Tensor g = contiguous(dy, axis.format), out = contiguous(y, axis.format),
               dx = empty_in_format(y.shape(), y.dtype(), axis.format);
  if (y.numel() == 0) return dx;
  dispatch_compute(op, y.dtype(), [&]<class T> {
    const SoftmaxLoops<T>& loops = (log ? kernels().softmax.log_softmax : kernels().softmax.softmax).of<T>();
    const T *pg = g.data<T>(), *py = out.data<T>();
    T* px = dx.data<T>();
    if (axis.inner == 1) {
      parallel_for(0, axis.outer, std::max<int64_t>(1, kGrain / axis.size), [&](int64_t first, int64_t last) {
        const int64_t at = first * axis.size;
        loops.rows_backward(pg + at, py + at, px + at, last - first, axis.size);
      });
      return;
    }
    const int64_t blocks = (axis.inner + kernels::kColumns - 1) / kernels::kColumns;
    parallel_for(0, axis.outer * blocks, 1, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; ++i) {
        const int64_t column = i % blocks * kernels::kColumns, at = i / blocks * axis.size * axis.inner + column;
        const int64_t columns = std::min(kernels::kColumns, axis.inner - column);
        loops.columns_backward(pg + at, py + at, px + at, axis.size, axis.inner, columns);
      }
    });
  });
  return dx;
}

}  // namespace

Tensor softmax(const char* op, const Tensor& x, int dim) { return forward(op, x, dim, false); }
Tensor log_softmax(const char* op, const Tensor& x, int dim) { return forward(op, x, dim, true); }
Tensor softmax_backward(const char* op, const Tensor& dy, const Tensor& y, int dim) {
  return backward(op, dy, y, dim, false);
}
Tensor log_softmax_backward(const char* op, const Tensor& dy, const Tensor& y, int dim) {
  return backward(op, dy, y, dim, true);
}

}  // namespace cotangent::raw
