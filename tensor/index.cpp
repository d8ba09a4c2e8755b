#include <cotangent/tensor/index.hpp>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <utility>

#include <cotangent/tensor/dispatch_internal.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/kernels/kernels.hpp>
#include <cotangent/tensor/kernels/wrap.hpp>
#include <cotangent/tensor/parallel.hpp>
#include <cotangent/tensor/precision_internal.hpp>
#include <cotangent/tensor/strided.hpp>

namespace cotangent::raw {
namespace {

using detail::make_tensor;

/// Calls f<T> with an unsigned type of the dtype's size: for what moves elements and never looks at them.
template <class F>
void dispatch_size(Dtype dtype, F&& f) {
  switch (item_size(dtype)) {
    case 8: return f.template operator()<uint64_t>();
    case 4: return f.template operator()<uint32_t>();
    case 2: return f.template operator()<uint16_t>();
    default: return f.template operator()<uint8_t>();
  }
}

/// x seen as (outer, indexed, inner), with the places of its memory that the indices name.
struct Lines {
  Lines(const Tensor& x, IndexedDims at, const Tensor& index_)
      : outer_shape(x.shape().slice(0, at.first)),
        outer_strides(x.strides().slice(0, at.first)),
        inner_shape(x.shape().slice(at.first + at.count, x.rank())),
        inner_strides(x.strides().slice(at.first + at.count, x.rank())),
        outer(outer_shape.product()),
        inner(inner_shape.product()),
        count(index_.numel()),
        index(index_) {
    const Shape sizes = x.shape().slice(at.first, at.first + at.count);
    const Strides strides = x.strides().slice(at.first, at.first + at.count);
    stride = at.count > 0 ? strides.back() : 0;
    bool merges = true;
    for (int d = 0; d + 1 < at.count; ++d) merges &= strides[d] == strides[d + 1] * sizes[d + 1];
    if (merges) return;
    const Tensor offsets = make_tensor({count}, int64);  // the dimensions do not lie as one
    for (int64_t i = 0; i < count; ++i) {
      int64_t rest = index.data<int64_t>()[i], offset = 0;
      for (int d = at.count - 1; d >= 0; --d) offset += rest % sizes[d] * strides[d], rest /= sizes[d];
      offsets.data<int64_t>()[i] = offset;
    }
    index = offsets, stride = 1;
  }

  int64_t outer_offset(int64_t o) const {
    int64_t offset = 0;
    for (int d = outer_shape.rank() - 1; d >= 0; --d)
      offset += o % outer_shape[d] * outer_strides[d], o /= outer_shape[d];
    return offset;
  }
  /// Where the i-th index leads, in elements from the start of its outer part.
  int64_t offset(int64_t i) const { return index.data<int64_t>()[i] * stride; }

  Shape outer_shape;
  Strides outer_strides;
  Shape inner_shape;
  Strides inner_strides;
  int64_t outer, inner, count;
  Tensor index;
  int64_t stride;
};

/// Calls copy(line of x, line of dense) for every index and outer part, where a line is `inner` elements; on several
/// threads if the order does not matter.
template <class T, class Copy>
void for_lines(const Lines& lines, T* x, T* dense, bool ordered, Copy&& copy) {
  const int64_t all = lines.outer * lines.count;
  auto run = [&](int64_t first, int64_t last) {
    while (first < last) {
      const int64_t o = first / lines.count, i = first % lines.count, n = std::min(last - first, lines.count - i);
      T* from = x + lines.outer_offset(o);
      T* line = dense + first * lines.inner;
      if (lines.inner == 1) {
        const int64_t* index = lines.index.data<int64_t>() + i;
        for (int64_t j = 0; j < n; ++j) copy(from + index[j] * lines.stride, line + j);
      } else {
        for (int64_t j = 0; j < n; ++j) copy(from + lines.offset(i + j), line + j * lines.inner);
      }
      first += n;
    }
  };
  const int64_t grain = std::max<int64_t>(1, kElementGrain / 4 / std::max<int64_t>(1, lines.inner));
  if (!ordered)
    parallel_for(0, all, grain, run);
  else
    parallel_for(0, lines.outer, std::max<int64_t>(1, grain / std::max<int64_t>(1, lines.count)),
                 [&](int64_t first, int64_t last) { run(first * lines.count, last * lines.count); });
}

/// Moves lines from x to `dense`, or back.
template <class T>
void move_lines(const Lines& lines, T* x, T* dense, bool to_x) {
  if (lines.inner == 1) {
    if (to_x)
      for_lines(lines, x, dense, true, [](T* a, T* b) { *a = *b; });
    else
      for_lines(lines, x, dense, false, [](T* a, T* b) { *b = *a; });
    return;
  }
  const Strides dense_strides = contiguous_strides(lines.inner_shape);
  const StridedWalk<2> walk(lines.inner_shape, {&dense_strides, &lines.inner_strides});
  if (walk.inner_size() == lines.inner && walk.inner_stride(0) == 1 && walk.inner_stride(1) == 1) {
    const size_t bytes = static_cast<size_t>(lines.inner) * sizeof(T);
    if (to_x)
      for_lines(lines, x, dense, true, [=](T* a, T* b) { std::memcpy(a, b, bytes); });
    else
      for_lines(lines, x, dense, false, [=](T* a, T* b) { std::memcpy(b, a, bytes); });
    return;
  }
  const int64_t step_dense = walk.inner_stride(0), step_x = walk.inner_stride(1);
  for_lines(lines, x, dense, to_x, [&](T* a, T* b) {
    walk.run_range(0, lines.inner, [&](const auto& at, int64_t n) {
      T *p = a + at[1], *q = b + at[0];
      if (to_x)
        for (int64_t i = 0; i < n; ++i) p[i * step_x] = q[i * step_dense];
      else
        for (int64_t i = 0; i < n; ++i) q[i * step_dense] = p[i * step_x];
    });
  });
}

template <class T>
constexpr bool is_float = std::is_same_v<T, float> || std::is_same_v<T, double>;

// y (outer, size, inner), not yet initialised, = the sum of g (outer, count, inner) by index. A task owns a range of
// rows of y and goes through all indices in order, so that the threads change nothing.
template <class T>
void sum_lines(T* y, const T* g, const int64_t* index, int64_t outer, int64_t size, int64_t count, int64_t inner,
               int64_t skip) {
  constexpr int64_t kShort = 8;  // shorter lines are not worth a search through the indices
  const int64_t bytes = size * inner * static_cast<int64_t>(sizeof(T));
  const int64_t ranges = inner < kShort ? 1 : std::clamp<int64_t>(bytes >> 18, 1, std::min<int64_t>(size, 16));
  auto task = [&](int64_t t) {
    const int64_t o = t / ranges, first = size * (t % ranges) / ranges, last = size * (t % ranges + 1) / ranges;
    T* to = y + o * size * inner;
    const T* from = g + o * count * inner;
    std::fill(to + first * inner, to + last * inner, T(0));
    if (inner == 1 && skip < 0) {
      for (int64_t i = 0; i < count; ++i) to[index[i]] = static_cast<T>(to[index[i]] + from[i]);
      return;
    }
    for (int64_t i = 0; i < count; ++i) {
      const int64_t row = index[i];
      if (row < first || row >= last || row == skip) continue;
      if constexpr (is_float<T>) {
        if (inner >= kShort) {
          kernels::kernels().gemm.of<T>().axpy(inner, 1, from + i * inner, to + row * inner);
          continue;
        }
      }
      for (int64_t j = 0; j < inner; ++j)
        to[row * inner + j] = static_cast<T>(to[row * inner + j] + from[i * inner + j]);
    }
  };
  if (outer * ranges == 1 || (bytes + count * inner) * outer < kElementGrain * 4) {
    for (int64_t t = 0; t < outer * ranges; ++t) task(t);
  } else {
    parallel_for(0, outer * ranges, 1, [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t) task(t);
    });
  }
}

}  // namespace

Tensor checked_index(const char* op, const Tensor& index, int64_t size, int dim, bool wrap) {
  if (!is_integral(index.dtype()))
    fail<DTypeError>("[{}] an index must be int64, int32 or uint8, got {}", op, index.dtype());
  const Tensor dense = index.dtype() == int64 ? contiguous(index) : contiguous(cast(index, int64));
  const int64_t n = dense.numel(), *p = dense.data<int64_t>();
  std::atomic<bool> inside = true;  // and not negative, which is a large number without a sign
  parallel_for(0, n, kElementGrain, [&](int64_t first, int64_t last) {
    bool all = true;
    for (int64_t i = first; i < last; ++i) all &= static_cast<uint64_t>(p[i]) < static_cast<uint64_t>(size);
    if (!all) inside.store(false, std::memory_order_relaxed);
  });
  if (inside) return dense;
  for (int64_t i = 0; i < n; ++i)
    if (p[i] >= size || p[i] < (wrap ? -size : 0))
      fail<IndexError>(
          "[{}] index {}, at position {} of the index, is out of range for dimension {} of size {}; it must be from {} "
          "to {}",
          op, p[i], i, dim, size, wrap ? -size : 0, size - 1);
  const Tensor wrapped = make_tensor(dense.shape(), int64);
  for (int64_t i = 0; i < n; ++i) wrapped.data<int64_t>()[i] = p[i] < 0 ? p[i] + size : p[i];
  return wrapped;
}

int64_t indexed_size(const Shape& shape, IndexedDims at) {
  return shape.slice(at.first, at.first + at.count).product();
}

Tensor pick(const Tensor& x, IndexedDims at, const Tensor& index, const Shape& index_shape) {
  Shape shape = x.shape().slice(0, at.first);
  for (int64_t size : index_shape) shape.push_back(size);
  for (int d = at.first + at.count; d < x.rank(); ++d) shape.push_back(x.shape()[d]);
  const Tensor y = make_tensor(shape, x.dtype());
  if (y.numel() == 0) return y;
  const Lines lines(x, at, index);
  dispatch_size(x.dtype(), [&]<class T> {
    move_lines(lines, static_cast<T*>(x.raw_data()), static_cast<T*>(y.raw_data()), false);
  });
  return y;
}

void put(const Tensor& x, IndexedDims at, const Tensor& index, const Tensor& values) {
  if (values.numel() == 0) return;
  const Lines lines(x, at, index);
  const Tensor dense = contiguous(values.dtype() == x.dtype() ? values : cast(values, x.dtype()));
  dispatch_size(x.dtype(), [&]<class T> {
    move_lines(lines, static_cast<T*>(x.raw_data()), static_cast<T*>(dense.raw_data()), true);
  });
}

Tensor pick_sum(const Tensor& g, const Shape& shape, IndexedDims at, const Tensor& index, int64_t skip) {
  if (is_low_precision(g.dtype())) return in_float32<cast>(pick_sum, g, shape, at, index, skip);
  const Tensor y = make_tensor(shape, g.dtype()), dense = contiguous(g);
  if (y.numel() == 0) return y;
  int64_t outer = 1, inner = 1;
  for (int d = 0; d < at.first; ++d) outer *= shape[d];
  for (int d = at.first + at.count; d < shape.rank(); ++d) inner *= shape[d];
  dispatch(g.dtype(), [&]<class T> {
    if constexpr (!is_low_precision(dtype_of<T>))
      sum_lines(y.data<T>(), dense.data<T>(), index.data<int64_t>(), outer, indexed_size(shape, at), index.numel(),
                inner, skip);
  });
  return y;
}

Tensor last_of_each(const Tensor& index, int64_t size) {
  const int64_t n = index.numel(), *p = index.data<int64_t>();
  const Tensor seen = make_tensor({size}, boolean), last = make_tensor({n}, boolean);
  fill_into(seen, false);
  bool twice = false;
  for (int64_t i = n - 1; i >= 0; --i) {
    bool& before = seen.data<bool>()[p[i]];
    twice |= before;
    last.data<bool>()[i] = !before;
    before = true;
  }
  return twice ? last : Tensor();
}

// ---- one index an element ----

namespace {

/// Calls body(place in a, place in b, k) for each element of the index: a advances by the index along dim, b by k. The
/// work is cut between lines along dim, and k ascends within each.
template <class A, class B, class Body>
void for_each_index(const Tensor& index, int dim, A* a, const Strides& a_strides, B* b, const Strides& b_strides,
                    Body&& body) {
  if (index.numel() == 0) return;
  Shape lines = index.shape();
  const int64_t length = lines[dim];
  lines[dim] = 1;
  const Strides& i_strides = index.strides();
  const StridedWalk<3> walk(lines, {&i_strides, &a_strides, &b_strides});
  const int64_t step_i = walk.inner_stride(0), step_a = walk.inner_stride(1), step_b = walk.inner_stride(2);
  const int64_t dim_i = i_strides[dim], dim_a = a_strides[dim], dim_b = b_strides[dim];
  const int64_t* p = index.data<int64_t>();
  walk.run(std::max<int64_t>(1, kElementGrain / 4 / length), [&](const auto& at, int64_t n) {
    if (dim_i <= step_i) {
      for (int64_t j = 0; j < n; ++j) {
        const int64_t* index_line = p + at[0] + j * step_i;
        A* a_line = a + at[1] + j * step_a;
        B* b_line = b + at[2] + j * step_b;
        // without multiplications more elements are under way at once, and so more misses of the cache
        if (dim_i == 1 && dim_a == 1 && dim_b == 1)
          for (int64_t k = 0; k < length; ++k) body(a_line[index_line[k]], b_line[k]);
        else
          for (int64_t k = 0; k < length; ++k) body(a_line[index_line[k * dim_i] * dim_a], b_line[k * dim_b]);
      }
    } else {
      for (int64_t k = 0; k < length; ++k)
        for (int64_t j = 0; j < n; ++j)
          body(a[at[1] + j * step_a + p[at[0] + j * step_i + k * dim_i] * dim_a], b[at[2] + j * step_b + k * dim_b]);
    }
  });
}

}  // namespace

Tensor gather(const Tensor& x, int dim, const Tensor& index) {
  const Tensor y = make_tensor(index.shape(), x.dtype());
  if (index.rank() == 0) {
    copy_into("gather", x, y);
    return y;
  }
  dispatch_size(x.dtype(), [&]<class T> {
    for_each_index(index, dim, static_cast<const T*>(x.raw_data()), x.strides(), static_cast<T*>(y.raw_data()),
                   y.strides(), [](const T& from, T& to) { to = from; });
  });
  return y;
}

void scatter_add_into(const Tensor& y, int dim, const Tensor& index, const Tensor& g) {
  if (index.rank() == 0) {
    binary_into("scatter_add", Binary::add, y, g, y);
    return;
  }
  if (is_low_precision(y.dtype())) {
    const Tensor sum = cast(y, float32);
    scatter_add_into(sum, dim, index, cast(g, float32));
    copy_into("scatter_add", sum, y);
    return;
  }
  dispatch(y.dtype(), [&]<class T> {
    if constexpr (!is_low_precision(dtype_of<T>))
      for_each_index(
          index, dim, y.data<T>(), y.strides(), static_cast<const T*>(g.data<T>()), g.strides(),
          [](T& to, const T& from) { to = static_cast<T>(kernels::wrap_t<T>(to) + kernels::wrap_t<T>(from)); });
  });
}

void scatter_into(const Tensor& y, int dim, const Tensor& index, const Tensor& g) {
  if (index.rank() == 0) return copy_into("scatter", g, y);
  dispatch_size(y.dtype(), [&]<class T> {
    for_each_index(index, dim, static_cast<T*>(y.raw_data()), y.strides(), static_cast<const T*>(g.raw_data()),
                   g.strides(), [](T& to, const T& from) { to = from; });
  });
}

void scatter_extreme_into(const Tensor& y, int dim, const Tensor& index, const Tensor& g, bool largest) {
  if (index.rank() == 0) return binary_into("scatter_reduce", largest ? Binary::maximum : Binary::minimum, y, g, y);
  dispatch(y.dtype(), [&]<class T> {
    if constexpr (!is_low_precision(dtype_of<T>)) {
      const auto run = [&](auto beats) {
        for_each_index(index, dim, y.data<T>(), y.strides(), static_cast<const T*>(g.data<T>()), g.strides(),
                       [beats](T& to, const T& from) {
                         if (beats(from, to) || detail::is_nan(from)) to = from;
                       });
      };
      largest ? run([](T a, T b) { return a > b; }) : run([](T a, T b) { return a < b; });
    }
  });
}

Tensor scatter_before(const Tensor& y, int dim, const Tensor& index, const Tensor& g, Binary op) {
  const Tensor before = clone(g);
  if (index.rank() == 0) {
    copy_into("scatter_reduce", y, before);
    binary_into("scatter_reduce", op, y, g, y);
    return before;
  }
  dispatch(y.dtype(), [&]<class T> {
    if constexpr (!is_low_precision(dtype_of<T>)) {
      using Wrap = kernels::wrap_t<T>;
      const auto run = [&](auto with) {
        for_each_index(index, dim, y.data<T>(), y.strides(), before.data<T>(), before.strides(),
                       [with](T& to, T& from) { to = static_cast<T>(with(Wrap(std::exchange(from, to)), Wrap(to))); });
      };
      op == Binary::mul ? run([](Wrap a, Wrap b) { return a * b; }) : run([](Wrap a, Wrap b) { return a + b; });
    }
  });
  return before;
}

// ---- masks, classes, triangles ----

Tensor nonzero(const Tensor& mask) {
  const Tensor dense = contiguous(mask);
  const bool* p = dense.data<bool>();
  int64_t count = 0;
  for (int64_t i = 0; i < dense.numel(); ++i) count += p[i];
  const Tensor y = make_tensor({count}, int64);
  int64_t* out = y.data<int64_t>();
  for (int64_t i = 0, found = 0; found < count; ++i) {
    out[found] = i;
    found += p[i];
  }
  return y;
}

Tensor one_hot(const Tensor& index, int64_t classes) {
  Shape shape = index.shape();
  shape.push_back(classes);
  const Tensor y = make_tensor(shape, int64, "one_hot");
  fill_into(y, 0);
  for (int64_t i = 0; i < index.numel(); ++i) y.data<int64_t>()[i * classes + index.data<int64_t>()[i]] = 1;
  return y;
}

Tensor triangle(const Tensor& x, int64_t diagonal, bool lower) {
  const Tensor y = make_tensor(x.shape(), x.dtype());
  copy_into("triangle", x, y);
  const int64_t rows = x.shape()[x.rank() - 2], columns = x.shape()[x.rank() - 1], bytes = item_size(x.dtype());
  if (y.numel() == 0) return y;
  diagonal = std::clamp<int64_t>(diagonal, -rows - 1, columns);
  parallel_for(0, y.numel() / columns, std::max<int64_t>(1, kElementGrain / columns), [&](int64_t first, int64_t last) {
    for (int64_t row = first; row < last; ++row) {
      // columns below `edge` belong to one part, the others to the other
      const int64_t edge = std::clamp<int64_t>(row % rows + diagonal + (lower ? 1 : 0), 0, columns);
      char* line = y.get()->data + row * columns * bytes;
      if (lower)
        std::memset(line + edge * bytes, 0, static_cast<size_t>((columns - edge) * bytes));
      else
        std::memset(line, 0, static_cast<size_t>(edge * bytes));
    }
  });
  return y;
}

}  // namespace cotangent::raw
