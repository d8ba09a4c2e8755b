#include <cotangent/tensor/copy.hpp>

#include <cotangent/tensor/elementwise_internal.hpp>

namespace cotangent::raw {

using detail::make_tensor;
using kernels::kernels;

Tensor empty_like(const Tensor& x, Dtype dtype, const char* op) {
  if (x.get()->contiguous) return detail::make_like(x, dtype);
  if (memory_format(x) == MemoryFormat::channels_last)
    return empty_in_format(x.shape(), dtype, MemoryFormat::channels_last, op);
  return empty_in_order(x.shape(), x.strides(), dtype, op);
}

Tensor empty_in_order(const Shape& shape, const Strides& strides, Dtype dtype, const char* op) {
  const int64_t numel = shape.product();
  const StridedWalk<1> walk(shape, {&strides});
  if (walk.inner_size() != numel || walk.inner_stride(0) != 1) return make_tensor(shape, dtype, op);
  return detail::make_view(make_tensor({numel}, dtype, op), shape, strides, 0);
}

namespace {
constexpr int64_t kTile = 64;  // rows and columns that are transposed at once
static_assert(2 * kTile * kTile * int64_t{sizeof(float)} <= kLeastFirstCache);  // which holds both sides

// Where the dimension that is contiguous in y is not the one that is contiguous in x, the two make matrices that are
// transposed; tile by tile, over all the other dimensions. False where there is no such pair.
bool copy_transposed(const StridedWalk<2>& walk, const Tensor& x, const Tensor& y) {
  const int inner = walk.rank() - 1;
  int columns = inner - 1;
  while (columns >= 0 && walk.stride(1, columns) != 1) --columns;
  if (columns < 0 || walk.inner_stride(0) != 1 || walk.inner_stride(1) <= 1 || walk.numel() == 0) return false;
  // the other dimensions, then the tiles; these count their first row and column as third and fourth operand
  Shape shape;
  Strides strides[4];
  const auto add = [&](int64_t size, std::initializer_list<int64_t> steps) {
    shape.push_back(size);
    int k = 0;
    for (int64_t step : steps) strides[k++].push_back(step);
  };
  for (int d = 0; d < inner; ++d)
    if (d != columns) add(walk.size(d), {walk.stride(0, d), walk.stride(1, d), 0, 0});
  const int64_t y_stride = walk.stride(0, columns), x_stride = walk.inner_stride(1);
  const int64_t height = walk.inner_size(), width = walk.size(columns);
  add((width + kTile - 1) / kTile, {kTile * y_stride, kTile, 0, kTile});
  add((height + kTile - 1) / kTile, {kTile, kTile * x_stride, kTile, 0});
  const StridedWalk<4> tiles(shape, {&strides[0], &strides[1], &strides[2], &strides[3]});
  const int64_t bytes = item_size(y.dtype());
  const auto transpose = kernels().copy.of(bytes).transpose;
  const bool streams = is_streamed(*y.get()) && height >= kTile && width >= kTile;
  tiles.run(std::max<int64_t>(1, kElementGrain / (std::min(height, kTile) * std::min(width, kTile))),
            [&](auto at, int64_t n) {
              alignas(64) char tile[kTile * kTile * 8];
              for (int64_t i = 0; i < n; ++i) {
                const int64_t rows = std::min(kTile, height - at[2]), count = std::min(kTile, width - at[3]);
                const char* from = x.get()->data + at[1] * bytes;
                char* to = y.get()->data + at[0] * bytes;
                if (streams) {
                  transpose(from, rows, count, x_stride, tile, rows);
                  for (int64_t j = 0; j < count; ++j)
                    kernels().copy.stream(tile + j * rows * bytes, to + j * y_stride * bytes, rows * bytes);
                } else {
                  transpose(from, rows, count, x_stride, to, y_stride);
                }
                for (int k = 0; k < 4; ++k) at[k] += tiles.inner_stride(k);
              }
            });
  if (streams) kernels().copy.end_stream();
  return true;
}

}  // namespace

void copy_into(const char* op, const Tensor& x, const Tensor& y) {
  const Dtype dtype = y.dtype();
  const int64_t bytes = item_size(dtype);
  const Source in[] = {{x, x.dtype()}};
  if (const auto convert = converter(x.dtype(), dtype))
    return execute(op, y, dtype, in, 1,
                   [=](const char* const* from, char* to, int64_t n, unsigned) { convert(from[0], to, n); });
  const auto gather = kernels().copy.of(bytes).gather;
  const bool is_large = is_streamed(*y.get()) && in[0].data != y.raw_data();
  if (y.get()->contiguous && in[0].lies_as(*y.get())) {
    parallel_for(0, x.numel(), kElementGrain, [&](int64_t first, int64_t last) {
      const char* from = in[0].data + first * bytes;
      char* to = y.get()->data + first * bytes;
      if (!is_large) return gather(from, to, last - first, 1);
      kernels().copy.stream(from, to, (last - first) * bytes);
    });
    if (is_large) kernels().copy.end_stream();
    return;
  }
  const Strides strides = broadcast_strides(op, x, y.shape());
  const StridedWalk<2> walk(y.shape(), {&y.strides(), &strides});
  if (copy_transposed(walk, x, y)) return;
  const int64_t run = walk.inner_size(), step = walk.inner_stride(1);
  if (run == 0) return;
  const bool streams = is_large && (step != 0 || is_streamed(*y.get(), 2));  // what repeats has the cache to itself
  const bool simple = walk.inner_stride(0) == 1 && (step == 0 || step == 1);
  if (walk.rank() > 1 && run < (streams ? kShortRun : kBlock) && simple) {
    const StridedWalk<2> runs = walk.over_runs();
    return runs.run(std::max<int64_t>(1, kElementGrain / run), [&](const auto& at, int64_t n) {
      const int64_t from_step = runs.inner_stride(1), to_step = runs.inner_stride(0);
      const char* from = in[0].data + at[1] * bytes;
      char* to = y.get()->data + at[0] * bytes;
      if (step == 1) return kernels().copy.of(bytes).rows(from, from_step, to, to_step, n, run);
      for (int64_t i = 0; i < n; ++i) gather(from + i * from_step * bytes, to + i * to_step * bytes, run, 0);
    });
  }
  if (walk.inner_stride(0) == 1 && (step == 1 || !streams)) {
    walk.run(kElementGrain, [&](const auto& at, int64_t n) {
      const char* from = in[0].data + at[1] * bytes;
      char* to = y.get()->data + at[0] * bytes;
      if (!streams) return gather(from, to, n, step);
      kernels().copy.stream(from, to, n * bytes);
    });
    if (streams) kernels().copy.end_stream();
    return;
  }
  execute(op, y, dtype, in, 1,
          [=](const char* const* from, char* to, int64_t n, unsigned) { gather(from[0], to, n, 1); });
}

Tensor cast(const Tensor& x, Dtype dtype) {
  Tensor y = empty_like(x, dtype, "to");
  copy_into("to", x, y);
  return y;
}

void fill_into(const Tensor& y, const Scalar& value, const char* op) {
  dispatch(y.dtype(), [&]<class T> {
    const T v = value.element<T>(op);
    const StridedWalk<1> walk(y.shape(), {&y.strides()});
    const int64_t stride = walk.inner_stride(0);
    T* data = y.data<T>();
    walk.run(kElementGrain, [&](const auto& at, int64_t n) {
      T* p = data + at[0];
      if (stride == 1)
        kernels().copy.of<T>().gather(&v, p, n, 0);
      else
        for (int64_t i = 0; i < n; ++i) p[i * stride] = v;
    });
  });
}

Tensor filled(const char* op, const Shape& shape, const Scalar& value, Dtype dtype) {
  Tensor y = make_tensor(shape, dtype, op);
  fill_into(y, value, op);
  return y;
}

Tensor contiguous(const Tensor& x, MemoryFormat format) {
  if (x.is_contiguous(format)) return x;
  const Tensor y = empty_in_format(x.shape(), x.dtype(), format, "contiguous");
  copy_into("contiguous", x, y);
  return y;
}

namespace {
Strides channels_last_strides(const Shape& s) { return {s[1] * s[2] * s[3], 1, s[1] * s[3], s[1]}; }
}  // namespace

MemoryFormat memory_format(const Tensor& x) {
  if (x.rank() == 4 && x.shape()[1] > 1 && x.strides()[1] == 1) {  // whole or a part
    const Shape& s = x.shape();
    const Strides& by = x.strides();
    const bool pixels = by[3] >= s[1] && by[2] >= by[3] * s[3] && (s[0] == 1 || by[0] >= by[2] * s[2]);
    if (pixels && s[2] * s[3] > 1) return MemoryFormat::channels_last;
  }
  const bool lies_last = x.is_contiguous(MemoryFormat::channels_last);
  if (!lies_last || !x.is_contiguous()) return lies_last ? MemoryFormat::channels_last : MemoryFormat::contiguous;
  return x.strides() == channels_last_strides(x.shape()) && x.strides() != contiguous_strides(x.shape())
             ? MemoryFormat::channels_last
             : MemoryFormat::contiguous;
}

Tensor in_format(const Tensor& x, MemoryFormat format) {
  const Tensor y = contiguous(x, format);
  if (y.rank() != 4 || memory_format(y) == format) return y;
  const bool last = format == MemoryFormat::channels_last;
  return detail::make_view(y, y.shape(), last ? channels_last_strides(y.shape()) : contiguous_strides(y.shape()), 0);
}

Tensor empty_in_format(const Shape& shape, Dtype dtype, MemoryFormat format, const char* op) {
  if (format == MemoryFormat::contiguous) return make_tensor(shape, dtype, op);
  if (shape.rank() != 4)
    fail<ShapeError>("[contiguous] channels_last is for tensors of shape (N, C, H, W), got {}", shape);
  const Tensor flat = make_tensor({shape.product(op)}, dtype, op);
  return detail::make_view(flat, shape, channels_last_strides(shape), 0);
}

Tensor clone(const Tensor& x) {
  Tensor y = empty_like(x, x.dtype(), "clone");
  copy_into("clone", x, y);
  return y;
}

Tensor to_floating(const Tensor& x) { return x.is_floating() ? x : cast(x, default_dtype()); }

}  // namespace cotangent::raw
