#include <cotangent/tensor/reduce.hpp>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <limits>

#include <cotangent/tensor/axis_internal.hpp>
#include <cotangent/tensor/dispatch_internal.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/kernels/kernels.hpp>
#include <cotangent/tensor/parts_internal.hpp>
#include <cotangent/tensor/precision_internal.hpp>
#include <cotangent/tensor/strided.hpp>
#include <cotangent/tensor/views.hpp>

namespace cotangent::raw {
namespace {

using detail::make_tensor;
using kernels::Fold;
using kernels::FoldLoops;
using kernels::kernels;

// The order of sums, alike on all machines:
constexpr int64_t kChunk = 32768;        // elements that one chunk of a long reduction has, about
constexpr int64_t kBlockColumns = 2048;  // columns that are summed at once

bool has(uint32_t dims, int d) { return dims >> d & 1u; }

Shape kept_shape(Shape shape, uint32_t dims) {
  for (int d = 0; d < shape.rank(); ++d)
    if (has(dims, d)) shape[d] = 1;
  return shape;
}

/// y (outer, inner) = x (outer, n, inner) folded along n. Long ones are cut in chunks, and `join` folds their results.
void fold_axis(const FoldLoops& loops, const FoldLoops& join, const char* x, char* y, Dtype dtype, const Axis& axis) {
  const int64_t outer = axis.outer, n = axis.size, inner = axis.inner, bytes = item_size(dtype);
  const int64_t blocks = (inner + kBlockColumns - 1) / kBlockColumns;
  const int64_t rows = inner == 1 ? kChunk : std::max<int64_t>(64, kChunk / inner);  // of a chunk
  if (n > 2 * rows) {
    const int64_t chunks = (n + rows - 1) / rows;
    const Tensor parts = make_tensor({outer, chunks, inner}, dtype);
    char* part = parts.get()->data;
    const int64_t work = rows * std::min(inner, kBlockColumns);
    parallel_for(
        0, outer * chunks * blocks, std::max<int64_t>(1, kElementGrain / work), [&](int64_t first, int64_t last) {
          for (int64_t i = first; i < last; ++i) {
            const int64_t column = i % blocks * kBlockColumns, c = i / blocks % chunks, o = i / blocks / chunks;
            const int64_t count = std::min(rows, n - c * rows);
            const char* from = x + ((o * n + c * rows) * inner + column) * bytes;
            char* to = part + ((o * chunks + c) * inner + column) * bytes;
            if (inner == 1)
              loops.rows(from, to, 1, count);
            else
              loops.columns(from, to, count, inner, std::min(kBlockColumns, inner - column));
          }
        });
    Axis rest = axis;
    rest.size = chunks;
    fold_axis(join, join, part, y, dtype, rest);
  } else if (inner == 1) {
    parallel_for(0, outer, std::max<int64_t>(1, kElementGrain / n), [&](int64_t first, int64_t last) {
      loops.rows(x + first * n * bytes, y + first * bytes, last - first, n);
    });
  } else {
    const int64_t work = n * std::min(inner, kBlockColumns);
    parallel_for(0, outer * blocks, std::max<int64_t>(1, kElementGrain / work), [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; ++i) {
        const int64_t column = i % blocks * kBlockColumns, o = i / blocks;
        loops.columns(x + (o * n * inner + column) * bytes, y + (o * inner + column) * bytes, n, inner,
                      std::min(kBlockColumns, inner - column));
      }
    });
  }
}

/// x with its dimensions in the order of memory, and the order itself. `dims` moves along.
Tensor in_memory_order(const char* op, const Tensor& x, uint32_t& dims, Dims& order) {
  order = Dims::filled(x.rank(), 0);
  for (int d = 0; d < x.rank(); ++d) order[d] = d;
  if (x.is_contiguous()) return x;
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return x.strides()[int(a)] > x.strides()[int(b)]; });
  const Tensor y = permute(op, x, order);
  uint32_t moved = 0;
  for (int i = 0; i < x.rank(); ++i)
    if (has(dims, int(order[i]))) moved |= 1u << i;
  dims = moved;
  return y;
}

Tensor back_from(const char* op, const Tensor& y, const Dims& order) {
  Dims inverse = order;
  for (int i = 0; i < y.rank(); ++i) inverse[int(order[i])] = i;
  return inverse == order && std::is_sorted(order.begin(), order.end()) ? y : permute(op, y, inverse);
}

/// Folds the dimensions of `dims` one group of neighbours after another, the innermost first.
Tensor fold(const char* op, Fold f, const Tensor& x, uint32_t dims) {
  const Dtype dtype = x.dtype();
  const auto& table = kernels().reduce.fold;
  const FoldLoops join = table[int(f == Fold::sum_squares ? Fold::sum : f)][int(dtype)];
  FoldLoops loops = table[int(f)][int(dtype)];
  if (!loops.rows) fail<DTypeError>("[{}] is not defined for {}; convert with to(float32) or another dtype", op, dtype);
  Dims order;
  const Tensor in = contiguous(in_memory_order(op, x, dims, order));
  const Shape result = kept_shape(in.shape(), dims);
  const Tensor y = make_tensor(result, dtype);
  if (y.numel() == 0) return back_from(op, y, order);

  // groups of neighbouring dimensions that are all reduced or all kept
  int64_t sizes[kMaxRank + 1];
  bool reduced[kMaxRank + 1];
  int groups = 0;
  for (int d = 0; d < in.rank(); ++d) {
    if (in.shape()[d] == 1) continue;
    if (groups && reduced[groups - 1] == has(dims, d))
      sizes[groups - 1] *= in.shape()[d];
    else
      sizes[groups] = in.shape()[d], reduced[groups++] = has(dims, d);
  }
  int rest = 0;
  for (int g = 0; g < groups; ++g) rest += reduced[g];
  if (rest == 0) {  // one element each
    Axis axis(Shape{}, 0);
    axis.inner = in.numel();
    fold_axis(loops, join, in.get()->data, y.get()->data, dtype, axis);
  }
  Tensor from = in;
  int64_t left = in.numel();
  while (rest-- > 0) {
    int g = groups - 1;
    while (!reduced[g]) --g;
    Axis axis(Shape{}, 0);
    for (int i = 0; i < g; ++i) axis.outer *= sizes[i];
    axis.size = sizes[g];
    for (int i = g + 1; i < groups; ++i) axis.inner *= sizes[i];
    left /= axis.size;
    const Tensor to = rest == 0 ? y : make_tensor({left}, dtype);
    fold_axis(loops, join, from.get()->data, to.get()->data, dtype, axis);
    from = to, loops = join;
    sizes[g] = 1, reduced[g] = false;
  }
  return back_from(op, y, order);
}

/// Without the reduced dimensions along which x only repeats itself; `times` is how often.
Tensor without_repeats(const Tensor& x, uint32_t dims, int64_t& times) {
  times = 1;
  Shape shape = x.shape();
  for (int d = 0; d < x.rank(); ++d)
    if (has(dims, d) && x.strides()[d] == 0 && shape[d] > 1) times *= shape[d], shape[d] = 1;
  return times == 1 ? x : detail::make_view(x, shape, x.strides(), 0);
}

/// A sum (of squares) in the dtype that x is computed in.
Tensor added(const char* op, Fold f, const Tensor& x, uint32_t dims) {
  if (x.numel() == 0) return filled(op, kept_shape(x.shape(), dims), 0, compute_dtype(x.dtype()));
  if (is_low_precision(x.dtype())) {
    if (x.rank() == 0) return added(op, f, cast(x, float32), dims);
    Dims order;
    const Tensor in = in_memory_order(op, x, dims, order);
    const auto add = [&](const Tensor& part) { return added(op, f, part, dims); };
    Tensor sum;
    if (!has(dims, 0))
      sum = by_parts(op, in, make_tensor(kept_shape(in.shape(), dims), float32), add);
    else
      for_parts(in.shape()[0], in.numel() / in.shape()[0], [&](int64_t first, int64_t last) {
        add_part(op, sum, add(cast(part_of(op, in, first, last), float32)));
      });
    return back_from(op, sum, order);
  }
  int64_t times;
  Tensor y = fold(op, f, without_repeats(x, dims, times), dims);
  if (times != 1) binary_into(op, Binary::mul, y, times, y);
  return y;
}

Tensor extreme(const char* op, Fold f, const Tensor& x, uint32_t dims) {
  if (x.numel() == 0) {
    const Shape shape = kept_shape(x.shape(), dims);
    if (shape.product() != 0)
      fail<ShapeError>("[{}] a tensor of shape {} has no element to choose along the reduced dimensions", op,
                       x.shape());
    return make_tensor(shape, x.dtype());
  }
  if (is_low_precision(x.dtype())) return in_float32<cast>(extreme, op, f, x, dims);
  if (x.dtype() == boolean) return cast(extreme(op, f, cast(x, uint8), dims), boolean);
  int64_t times;
  return fold(op, f, without_repeats(x, dims, times), dims);
}

ValuesAndIndices extreme_along(const char* op, Fold f, const Tensor& x, int dim) {
  if (is_low_precision(x.dtype())) return in_float32<cast>(extreme_along, op, f, x, dim);
  if (x.dtype() == boolean) {
    ValuesAndIndices r = extreme_along(op, f, cast(x, uint8), dim);
    return {cast(r.values, boolean), std::move(r.indices)};
  }
  const Tensor in = contiguous(x);
  ValuesAndIndices r{extreme(op, f, in, 1u << dim), Tensor()};
  r.indices = make_tensor(r.values.shape(), int64);
  const Axis axis(x.shape(), dim);
  const kernels::FindLoops& find = kernels().reduce.find[int(x.dtype())];
  const char *from = in.get()->data, *value = r.values.get()->data;
  int64_t* index = r.indices.data<int64_t>();
  const int64_t bytes = item_size(x.dtype());
  if (r.indices.numel() == 0) return r;
  if (axis.inner == 1) {
    parallel_for(0, axis.outer, std::max<int64_t>(1, kElementGrain / axis.size), [&](int64_t first, int64_t last) {
      find.rows(from + first * axis.size * bytes, value + first * bytes, index + first, last - first, axis.size);
    });
  } else {
    const int64_t blocks = (axis.inner + kernels::kColumns - 1) / kernels::kColumns;
    parallel_for(0, axis.outer * blocks, std::max<int64_t>(1, kElementGrain / axis.size / kernels::kColumns),
                 [&](int64_t first, int64_t last) {
                   for (int64_t i = first; i < last; ++i) {
                     const int64_t column = i % blocks * kernels::kColumns, o = i / blocks,
                                   at = o * axis.inner + column;
                     find.columns(from + (o * axis.size * axis.inner + column) * bytes, value + at * bytes, index + at,
                                  axis.size, axis.inner, std::min(kernels::kColumns, axis.inner - column));
                   }
                 });
  }
  return r;
}

/// x dense and with the dimensions of `dims` side by side, as the `axis`; the others keep their order. A copy where it
/// must be.
struct Grouped {
  Grouped(const char* op, const Tensor& source, uint32_t dims) : x(contiguous(source)), axis(Shape{}, 0) {
    int first = x.rank(), last = -1;
    for (int d = 0; d < x.rank(); ++d)
      if (has(dims, d) && x.shape()[d] != 1) first = std::min(first, d), last = d;
    bool together = true;
    for (int d = first; d < last; ++d) together &= has(dims, d) || x.shape()[d] == 1;
    if (!together) {
      Dims order;
      for (int d = 0; d < x.rank(); ++d)
        if (!has(dims, d)) order.push_back(d);
      first = static_cast<int>(order.size()), last = x.rank() - 1;
      for (int d = 0; d < x.rank(); ++d)
        if (has(dims, d)) order.push_back(d);
      x = contiguous(permute(op, source, order));
    }
    for (int d = 0; d < x.rank(); ++d) (d < first ? axis.outer : d <= last ? axis.size : axis.inner) *= x.shape()[d];
    if (last < 0) axis.outer = 1, axis.inner = x.numel();
  }
  /// Whether one loop along the axis would keep other threads waiting: then the steps run one after another instead.
  bool is_long() const { return axis.size > 2 * kChunk && axis.outer * axis.inner < 8; }

  Tensor x;
  Axis axis;
};

/// Calls rows(o, count) for rows o.. of a grouped tensor, or columns(o, column, count) for blocks of its columns.
template <class Rows, class Columns>
void along(const Axis& axis, Rows&& rows, Columns&& columns) {
  if (axis.inner == 1) {
    parallel_for(0, axis.outer, std::max<int64_t>(1, kElementGrain / 4 / axis.size),
                 [&](int64_t first, int64_t last) { rows(first, last - first); });
    return;
  }
  const int64_t blocks = (axis.inner + kernels::kColumns - 1) / kernels::kColumns;
  parallel_for(0, axis.outer * blocks, 1, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) {
      const int64_t column = i % blocks * kernels::kColumns;
      columns(i / blocks, column, std::min(kernels::kColumns, axis.inner - column));
    }
  });
}

}  // namespace

int64_t reduced_count(const Shape& shape, uint32_t dims) {
  int64_t n = 1;
  for (int d = 0; d < shape.rank(); ++d)
    if (has(dims, d)) n *= shape[d];
  return n;
}

Tensor sum(const char* op, const Tensor& x, uint32_t dims) {
  if (is_low_precision(x.dtype())) return cast(added(op, Fold::sum, x, dims), x.dtype());
  if (!x.is_floating() && x.dtype() != int64) return sum(op, cast(x, int64), dims);
  return added(op, Fold::sum, x, dims);
}

Tensor mean(const char* op, const Tensor& x, uint32_t dims) {
  Tensor y = added(op, Fold::sum, x, dims);
  binary_into(op, Binary::div, y, reduced_count(x.shape(), dims), y);
  return y.dtype() == x.dtype() ? y : cast(y, x.dtype());
}

Tensor sum_squares(const char* op, const Tensor& x, uint32_t dims) {
  if (is_low_precision(x.dtype())) return cast(added(op, Fold::sum_squares, x, dims), x.dtype());
  return added(op, Fold::sum_squares, x, dims);
}

Tensor prod(const char* op, const Tensor& x, uint32_t dims) {
  if (is_low_precision(x.dtype())) return in_float32<cast>(prod, op, x, dims);
  if (!x.is_floating() && x.dtype() != int64) return prod(op, cast(x, int64), dims);
  if (x.numel() == 0) return filled(op, kept_shape(x.shape(), dims), 1, x.dtype());
  return fold(op, Fold::product, x, dims);
}

Tensor amax(const char* op, const Tensor& x, uint32_t dims) { return extreme(op, Fold::max, x, dims); }
Tensor amin(const char* op, const Tensor& x, uint32_t dims) { return extreme(op, Fold::min, x, dims); }

Tensor all(const char* op, const Tensor& x, uint32_t dims) {
  if (x.numel() == 0) return filled(op, kept_shape(x.shape(), dims), true, boolean);
  return amin(op, x.dtype() == boolean ? x : cast(x, boolean), dims);
}
Tensor any(const char* op, const Tensor& x, uint32_t dims) {
  if (x.numel() == 0) return filled(op, kept_shape(x.shape(), dims), false, boolean);
  return amax(op, x.dtype() == boolean ? x : cast(x, boolean), dims);
}

ValuesAndIndices max_along(const char* op, const Tensor& x, int dim) { return extreme_along(op, Fold::max, x, dim); }
ValuesAndIndices min_along(const char* op, const Tensor& x, int dim) { return extreme_along(op, Fold::min, x, dim); }

Deviation deviation(const char* op, const Tensor& x, uint32_t dims) {
  if (is_low_precision(x.dtype())) return in_float32<cast>(deviation, op, x, dims);
  const Grouped g(op, x, dims);
  const Shape shape = kept_shape(x.shape(), dims);
  if (x.numel() == 0) return {mean(op, x, dims), filled(op, shape, 0, x.dtype()), {}};
  Deviation y;
  if (g.is_long()) {
    const Tensor m = mean(op, x, dims), d = binary(op, Binary::sub, x, m);
    y = {m, sum_squares(op, d, dims), sum(op, d, dims)};
  } else {
    y = {make_tensor(shape, x.dtype()), make_tensor(shape, x.dtype()), make_tensor(shape, x.dtype())};
  }
  std::atomic<bool> rest_matters = false;
  dispatch_compute(op, x.dtype(), [&]<class T> {
    const kernels::DeviationLoops<T>& loops = kernels().reduce.deviation.of<T>();
    const T* from = g.x.data<T>();
    T *m = y.mean.data<T>(), *s = y.squares.data<T>(), *d = y.rest.data<T>();
    const int64_t n = g.axis.size, inner = g.axis.inner;
    const auto refine = [&](int64_t at, int64_t count) {
      if (loops.refine(m + at, s + at, d + at, count, n)) rest_matters.store(true, std::memory_order_relaxed);
    };
    if (g.is_long()) return refine(0, y.mean.numel());
    along(
        g.axis,
        [&](int64_t o, int64_t count) {
          loops.rows(from + o * n, m + o, s + o, d + o, count, n);
          refine(o, count);
        },
        [&](int64_t o, int64_t column, int64_t count) {
          const int64_t at = o * inner + column;
          loops.columns(from + o * n * inner + column, m + at, s + at, d + at, n, inner, count);
          refine(at, count);
        });
  });
  if (!rest_matters) y.rest = Tensor();
  return y;
}

LogSumExp logsumexp(const char* op, const Tensor& x, uint32_t dims) {
  if (is_low_precision(x.dtype())) return in_float32<cast>(logsumexp, op, x, dims);
  const Shape shape = kept_shape(x.shape(), dims);
  if (x.numel() == 0)
    return {filled(op, shape, -std::numeric_limits<double>::infinity(), x.dtype()), filled(op, shape, 0, x.dtype()),
            filled(op, shape, 0, x.dtype())};
  const Grouped g(op, x, dims);
  if (g.is_long()) {
    const Tensor m = amax(op, x, dims);
    const Tensor shift = where(op, unary(op, Unary::is_finite, m), m, filled(op, {}, 0, x.dtype()));
    const Tensor total = sum(op, unary(op, Unary::exp, binary(op, Binary::sub, x, shift)), dims);
    return {binary(op, Binary::add, unary(op, Unary::log, total), shift), shift, total};
  }
  LogSumExp y{make_tensor(shape, x.dtype()), make_tensor(shape, x.dtype()), make_tensor(shape, x.dtype())};
  dispatch_compute(op, x.dtype(), [&]<class T> {
    const auto& loops = kernels().softmax.logsumexp.of<T>();
    const T* from = g.x.data<T>();
    T *to = y.result.data<T>(), *shift = y.shift.data<T>(), *total = y.sum.data<T>();
    const int64_t n = g.axis.size, inner = g.axis.inner;
    along(
        g.axis, [&](int64_t o, int64_t count) { loops.rows(from + o * n, to + o, shift + o, total + o, count, n); },
        [&](int64_t o, int64_t column, int64_t count) {
          const int64_t at = o * inner + column;
          loops.columns(from + o * n * inner + column, to + at, shift + at, total + at, n, inner, count);
        });
  });
  return y;
}

}  // namespace cotangent::raw
