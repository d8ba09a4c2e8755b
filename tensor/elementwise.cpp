#include <cotangent/tensor/elementwise.hpp>

#include <cstring>
#include <utility>

#include <cotangent/tensor/dispatch_internal.hpp>
#include <cotangent/tensor/kernels/kernels.hpp>
#include <cotangent/tensor/strided.hpp>

namespace cotangent::raw {
namespace {

using detail::make_tensor;
using kernels::kernels;
using kernels::Layout;

constexpr int64_t kBlock = 512;  // elements that are gathered or converted at once
// Results of so many bytes, half of what a large cache holds, are written past the caches: these would read first what
// is overwritten, and drop for it what the next op needs.
constexpr int64_t kStreamed = 16 << 20;

bool is_low_precision(Dtype d) { return d == bfloat16 || d == float16; }
Dtype compute_dtype(Dtype d) { return is_low_precision(d) ? float32 : d; }

bool streams(const Tensor& x, const Tensor& y, int64_t least = kStreamed) {
  return y.numel() * item_size(y.dtype()) >= least && x.raw_data() != y.raw_data();
}

/// An operand of a loop: gives contiguous blocks of it in another dtype, without a copy where it can.
struct Source {
  Source(const Tensor& x, int64_t inner_stride, Dtype wanted, bool spread_ = false)
      : data(static_cast<const char*>(x.raw_data())),
        stride(inner_stride),
        bytes(item_size(x.dtype())),
        spread(spread_),
        convert(x.dtype() == wanted ? nullptr : kernels().convert[int(x.dtype())][int(wanted)]) {}

  bool direct() const { return !convert && stride == 1; }
  /// n elements from `at` + first strides. With stride 0 that is one element, unless it is to be spread over the block.
  const void* load(int64_t at, int64_t first, int64_t n, void* scratch) const {
    const char* p = data + (at + first * stride) * bytes;
    if (stride == 0 && !spread) n = 1;
    if (n > 1 && stride != 1) {
      char* space = static_cast<char*>(scratch) + (convert ? kBlock * 8 : 0);
      kernels().copy.of(bytes).gather(p, space, n, stride);
      p = space;
    }
    if (!convert) return p;
    convert(p, scratch, n);
    return scratch;
  }

  const char* data;
  int64_t stride, bytes;
  bool spread;
  kernels::ConvertLoop convert;
};

/// The result of a loop: blocks are written in place, or to scratch and then converted, scattered or streamed.
struct Sink {
  Sink(const Tensor& y, int64_t inner_stride, Dtype computed, bool streams)
      : data(static_cast<char*>(y.raw_data())),
        stride(inner_stride),
        bytes(item_size(y.dtype())),
        convert(y.dtype() == computed ? nullptr : kernels().convert[int(computed)][int(y.dtype())]),
        streamed(streams && !convert && stride == 1) {}

  bool direct() const { return !convert && stride == 1 && !streamed; }
  void* place(int64_t at, int64_t first, void* scratch) const {
    return direct() ? data + (at + first) * bytes : scratch;
  }
  void store(int64_t at, int64_t first, int64_t n, const void* block, void* scratch) const {
    if (direct()) return;
    char* p = data + (at + first * stride) * bytes;
    if (streamed) {
      kernels().copy.stream(block, p, n * bytes);
    } else if (convert && stride == 1) {
      convert(block, p, n);
    } else {
      if (convert) convert(block, scratch = static_cast<char*>(scratch) + kBlock * 8, n), block = scratch;
      kernels().copy.of(bytes).scatter(block, p, n, stride);
    }
  }
  /// Other threads see what this one streamed; the rest of them meet a barrier.
  void finish() const {
    if (streamed) kernels().copy.end_stream();
  }

  char* data;
  int64_t stride, bytes;
  kernels::ConvertLoop convert;
  bool streamed;
};

struct Scratch {
  alignas(64) char bytes[kBlock * 16];
};

[[noreturn]] void unsupported(const char* op, Dtype dtype) {
  fail<DTypeError>("[{}] is not defined for {}; convert with to(float32) or another dtype", op, dtype);
}

/// Strides of x seen as `shape`: 0 where it is repeated.
Strides broadcast_strides(const char* op, const Tensor& x, const Shape& shape) {
  const Shape& from = x.shape();
  const int skip = shape.rank() - from.rank();
  bool fits = skip >= 0;
  Strides strides = Dims::filled(shape.rank(), 0);
  for (int d = 0; fits && d < from.rank(); ++d) {
    if (from[d] == shape[skip + d])
      strides[skip + d] = x.strides()[d];
    else
      fits = from[d] == 1;
  }
  if (!fits) fail<ShapeError>("[{}] shape {} does not broadcast to {}", op, from, shape);
  return strides;
}

Layout layout_of(const Source& a, const Source& b) {
  return b.stride == 0 ? Layout::array_scalar : a.stride == 0 ? Layout::scalar_array : Layout::both;
}

// The operands are dense, alike and need no conversion: one call a thread.
bool simple(const Tensor& x, const Tensor& y) { return x.get()->contiguous && x.shape() == y.shape(); }

// The common case of everything below: small dense operands of one shape, of a dtype that kernels compute in.
bool is_plain(const detail::TensorImpl* x) { return x->contiguous && x->numel <= kElementGrain && x->dtype <= float64; }

void check_integer_operands(const char* op, Binary f, const Tensor& b) {
  if (f != Binary::remainder && f != Binary::floor_divide && f != Binary::pow) return;
  const Tensor dense = contiguous(b);
  dispatch(b.dtype(), [&]<class T> {
    if constexpr (std::is_integral_v<T>) {
      const T* p = dense.data<T>();
      for (int64_t i = 0; i < dense.numel(); ++i) {
        if (f == Binary::pow && p[i] < T(0))
          fail<ValueError>("[{}] an integer is raised to the negative power {}; convert the base with to(float32)", op,
                           p[i]);
        if (f != Binary::pow && p[i] == T(0)) fail<ValueError>("[{}] integer division by zero, at element {}", op, i);
      }
    }
  });
}

}  // namespace

void unary_into(const char* op, Unary f, const Tensor& x, const Tensor& y, double p, double q) {
  const Dtype dtype = compute_dtype(x.dtype());
  const Dtype result = kernels::is_predicate(f) ? boolean : dtype;
  const kernels::UnaryLoop loop = kernels().unary[int(f)][int(dtype)];
  if (!loop) unsupported(op, x.dtype());
  if (simple(x, y) && y.get()->contiguous && x.dtype() == dtype && y.dtype() == result && !streams(x, y)) {
    const char* in = x.get()->data;
    char* out = y.get()->data;
    parallel_for(0, x.numel(), kElementGrain, [&](int64_t first, int64_t last) {
      loop(in + first * item_size(dtype), out + first * item_size(result), last - first, p, q);
    });
    return;
  }
  const Strides x_strides = broadcast_strides(op, x, y.shape());
  const StridedWalk<2> walk(y.shape(), {&y.strides(), &x_strides});
  const Source source(x, walk.inner_stride(1), dtype, true);
  const Sink sink(y, walk.inner_stride(0), result, streams(x, y));
  walk.run(kElementGrain, [&](const auto& at, int64_t n) {
    Scratch in, out;
    const int64_t step = source.direct() && sink.direct() ? n : kBlock;
    for (int64_t i = 0; i < n; i += step) {
      const int64_t m = std::min(step, n - i);
      const void* block = source.load(at[1], i, m, in.bytes);
      loop(block, sink.place(at[0], i, out.bytes), m, p, q);
      sink.store(at[0], i, m, out.bytes, out.bytes);
    }
  });
  sink.finish();
}

// Any operands. Out of line, since its frame is large.
[[gnu::noinline]] static void general_binary_into(const char* op, Binary f, const Tensor& a, const Tensor& b,
                                                  const Tensor& y, double p, double q) {
  if (a.dtype() != b.dtype())
    fail<DTypeError>("[{}] operands must have one dtype, got {} and {}; convert one with to()", op, a.dtype(),
                     b.dtype());
  const Dtype dtype = compute_dtype(a.dtype());
  const Dtype result = kernels::is_comparison(f) ? boolean : dtype;
  const kernels::BinaryLoop loop = kernels().binary[int(f)][int(dtype)];
  if (!loop) unsupported(op, a.dtype());
  if (!is_floating(dtype)) check_integer_operands(op, f, b);
  const bool streamed = streams(a, y) && streams(b, y);
  if (a.dtype() == dtype && y.dtype() == result && y.get()->contiguous && !streamed) {
    const bool one_a = a.numel() == 1, one_b = b.numel() == 1;
    if ((one_b || simple(b, y)) && (one_a || simple(a, y)) && !(one_a && one_b && y.numel() != 1)) {
      const char *pa = a.get()->data, *pb = b.get()->data;
      char* py = y.get()->data;
      const int64_t size = item_size(dtype), n = y.numel();
      const Layout layout = one_b && n != 1   ? Layout::array_scalar
                            : one_a && n != 1 ? Layout::scalar_array
                                              : Layout::both;
      if (n <= kElementGrain) {
        loop(pa, pb, py, n, layout, p, q);
        return;
      }
      parallel_for(0, n, kElementGrain, [&](int64_t first, int64_t last) {
        loop(one_a ? pa : pa + first * size, one_b ? pb : pb + first * size, py + first * item_size(result),
             last - first, layout, p, q);
      });
      return;
    }
  }
  const Strides a_strides = broadcast_strides(op, a, y.shape()), b_strides = broadcast_strides(op, b, y.shape());
  const StridedWalk<3> walk(y.shape(), {&y.strides(), &a_strides, &b_strides});
  const Source source_a(a, walk.inner_stride(1), dtype), source_b(b, walk.inner_stride(2), dtype);
  const Sink sink(y, walk.inner_stride(0), result, streamed);
  const bool direct =
      (source_a.direct() || source_a.stride == 0) && (source_b.direct() || source_b.stride == 0) && sink.direct();
  const bool both_repeat = source_a.stride == 0 && source_b.stride == 0;
  walk.run(kElementGrain, [&](const auto& at, int64_t n) {
    Scratch in_a, in_b, out;
    const int64_t step = both_repeat ? 1 : direct ? n : kBlock;
    for (int64_t i = 0; i < n; i += step) {
      const int64_t m = std::min(step, n - i);
      const void* block_a = source_a.load(at[1], i, m, in_a.bytes);
      const void* block_b = source_b.load(at[2], i, m, in_b.bytes);
      loop(block_a, block_b, sink.place(at[0], i, out.bytes), m,
           both_repeat ? Layout::both : layout_of(source_a, source_b), p, q);
      sink.store(at[0], i, m, out.bytes, out.bytes);
    }
  });
  sink.finish();
}

void binary_into(const char* op, Binary f, const Tensor& a, const Tensor& b, const Tensor& y, double p, double q) {
  const detail::TensorImpl *ia = a.get(), *ib = b.get(), *iy = y.get();
  if (is_plain(ia) && ib->contiguous && iy->contiguous && ia->dtype == ib->dtype && ia->shape == ib->shape &&
      ia->shape == iy->shape && iy->dtype == (kernels::is_comparison(f) ? boolean : ia->dtype))
    kernels().binary[int(f)][int(ia->dtype)](ia->data, ib->data, iy->data, ia->numel, Layout::both, p, q);
  else
    general_binary_into(op, f, a, b, y, p, q);
}

Tensor empty_like(const Tensor& x, Dtype dtype) {
  if (x.get()->contiguous) return detail::make_like(x, dtype);
  return empty_in_order(x.shape(), x.strides(), dtype);  // channels-last stays channels-last
}

Tensor empty_in_order(const Shape& shape, const Strides& strides, Dtype dtype) {
  const int64_t numel = shape.product();
  const StridedWalk<1> walk(shape, {&strides});
  if (walk.inner_size() != numel || walk.inner_stride(0) != 1) return make_tensor(shape, dtype);
  return detail::make_view(make_tensor({numel}, dtype), shape, strides, 0);
}

Tensor unary(const char* op, Unary f, const Tensor& x, double p, double q) {
  if (is_plain(x.get())) {
    Tensor y = detail::make_like(x, kernels::is_predicate(f) ? boolean : x.dtype());
    if (const auto loop = kernels().unary[int(f)][int(x.dtype())]) {
      loop(x.impl()->data, y.impl()->data, x.numel(), p, q);
      return y;
    }
  }
  Tensor y = empty_like(x, kernels::is_predicate(f) ? boolean : x.dtype());
  unary_into(op, f, x, y, p, q);
  return y;
}

[[gnu::noinline]] static Tensor general_binary(const char* op, Binary f, const Tensor& a, const Tensor& b, double p,
                                               double q) {
  const Dtype dtype = kernels::is_comparison(f) ? boolean : a.dtype();
  Tensor y;
  if (a.shape() == b.shape())
    y = a.strides() == b.strides() ? empty_like(a, dtype)
                                   : empty_in_format(a.shape(), dtype, std::max(memory_format(a), memory_format(b)));
  else if (b.numel() == 1 && b.rank() <= a.rank())
    y = empty_like(a, dtype);
  else
    y = make_tensor(broadcast_shapes(op, a.shape(), b.shape()), dtype);
  binary_into(op, f, a, b, y, p, q);
  return y;
}

Tensor binary(const char* op, Binary f, const Tensor& a, const Tensor& b, double p, double q) {
  const detail::TensorImpl *ia = a.get(), *ib = b.get();
  if (!is_plain(ia) || !ib->contiguous || ia->dtype != ib->dtype || ia->shape != ib->shape)
    return general_binary(op, f, a, b, p, q);
  Tensor y = detail::make_like(a, kernels::is_comparison(f) ? boolean : ia->dtype);
  kernels().binary[int(f)][int(ia->dtype)](ia->data, ib->data, y.impl()->data, ia->numel, Layout::both, p, q);
  return y;
}

namespace {
// The scalar as a tensor of one element on the stack costs an allocation; this runs the loop with a pointer to it
// instead.
void scalar_into(const char* op, Binary f, const Tensor& x, const Scalar& s, const Tensor& y, bool scalar_first) {
  const Dtype dtype = compute_dtype(x.dtype());
  const Dtype result = kernels::is_comparison(f) ? boolean : dtype;
  const kernels::BinaryLoop loop = kernels().binary[int(f)][int(dtype)];
  if (!loop) unsupported(op, x.dtype());
  if (simple(x, y) && y.get()->contiguous && x.dtype() == dtype && y.dtype() == result && is_floating(dtype) &&
      !streams(x, y)) {
    const float s4 = s.to<float>();
    const double s8 = s.to<double>();
    const void* ps = dtype == float32 ? static_cast<const void*>(&s4) : &s8;
    const char* px = x.get()->data;
    char* py = y.get()->data;
    parallel_for(0, x.numel(), kElementGrain, [&](int64_t first, int64_t last) {
      const char* part = px + first * item_size(dtype);
      char* to = py + first * item_size(result);
      if (scalar_first)
        loop(ps, part, to, last - first, Layout::scalar_array, 0, 0);
      else
        loop(part, ps, to, last - first, Layout::array_scalar, 0, 0);
    });
    return;
  }
  const Tensor one = make_tensor({}, x.dtype());
  fill_into(one, s);
  if (scalar_first)
    binary_into(op, f, one, x, y);
  else
    binary_into(op, f, x, one, y);
}
}  // namespace

Tensor binary(const char* op, Binary f, const Tensor& x, const Scalar& s) {
  Tensor y = empty_like(x, kernels::is_comparison(f) ? boolean : x.dtype());
  scalar_into(op, f, x, s, y, false);
  return y;
}

Tensor binary(const char* op, Binary f, const Scalar& s, const Tensor& x) {
  Tensor y = empty_like(x, kernels::is_comparison(f) ? boolean : x.dtype());
  scalar_into(op, f, x, s, y, true);
  return y;
}

void binary_into(const char* op, Binary f, const Tensor& x, const Scalar& s, const Tensor& y) {
  scalar_into(op, f, x, s, y, false);
}

namespace {
bool is_ours(const Tensor& x) {
  const bool lent = x.get()->storage->release;  // read only
  return !lent && detail::is_sole_owner(x) && detail::is_dense(x) && !x.get()->inference;
}
bool is_disposable(const Tensor& x) {
  const detail::TensorImpl* impl = x.get();
  const bool pays = !impl->node || impl->numel > kElementGrain;  // a result beside a history needs a handle of its own
  return pays && is_ours(x);
}
// What was written over x. With a history, x keeps that, since the op is yet to be recorded.
Tensor written_over(Tensor&& x) { return x.impl()->node ? detail::make_alias(x) : std::move(x); }
}  // namespace

Tensor in_place_of(const Tensor& x) { return is_ours(x) ? detail::make_alias(x) : empty_like(x, x.dtype()); }

Tensor unary(const char* op, Unary f, Tensor&& x, double p, double q) {
  if (!is_disposable(x) || kernels::is_predicate(f)) return unary(op, f, std::as_const(x), p, q);
  unary_into(op, f, x, x, p, q);
  return written_over(std::move(x));
}

Tensor binary(const char* op, Binary f, Tensor&& a, const Tensor& b, double p, double q) {
  if (!is_disposable(a) || kernels::is_comparison(f) || a.shape() != b.shape())
    return binary(op, f, std::as_const(a), b, p, q);
  binary_into(op, f, a, b, a, p, q);
  return written_over(std::move(a));
}

Tensor binary(const char* op, Binary f, Tensor&& x, const Scalar& s) {
  if (!is_disposable(x) || kernels::is_comparison(f)) return binary(op, f, std::as_const(x), s);
  scalar_into(op, f, x, s, x, false);
  return written_over(std::move(x));
}

Tensor where(const char* op, const Tensor& condition, const Tensor& a, const Tensor& b) {
  if (condition.dtype() != boolean)
    fail<DTypeError>("[{}] the condition must be bool, got {}; compare it first, as in x != 0", op, condition.dtype());
  if (a.dtype() != b.dtype())
    fail<DTypeError>("[{}] both choices must have one dtype, got {} and {}", op, a.dtype(), b.dtype());
  const Shape shape = broadcast_shapes(op, condition.shape(), broadcast_shapes(op, a.shape(), b.shape()));
  Tensor y = make_tensor(shape, a.dtype());
  const Strides sc = broadcast_strides(op, condition, shape), sa = broadcast_strides(op, a, shape),
                sb = broadcast_strides(op, b, shape);
  const StridedWalk<4> walk(shape, {&y.strides(), &sc, &sa, &sb});
  const Source from_c(condition, walk.inner_stride(1), boolean, true), from_a(a, walk.inner_stride(2), a.dtype()),
      from_b(b, walk.inner_stride(3), b.dtype());
  const int64_t bytes = item_size(a.dtype());
  const auto loop = kernels().copy.of(bytes).where;
  walk.run(kElementGrain, [&](const auto& at, int64_t n) {
    Scratch in_c, in_a, in_b;
    for (int64_t i = 0; i < n; i += kBlock) {
      const int64_t m = std::min(kBlock, n - i);
      const void* c = from_c.load(at[1], i, m, in_c.bytes);
      loop(static_cast<const bool*>(c), from_a.load(at[2], i, m, in_a.bytes), from_b.load(at[3], i, m, in_b.bytes),
           y.get()->data + (at[0] + i) * bytes, m, from_a.stride != 0, from_b.stride != 0);
    }
  });
  return y;
}

namespace {
constexpr int64_t kTile = 64;  // rows and columns that are transposed at once, so that both sides stay in the cache

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
  const bool streams = y.numel() * bytes >= kStreamed && height >= kTile && width >= kTile;
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
              if (streams) kernels().copy.end_stream();
            });
  return true;
}

}  // namespace

void copy_into(const char* op, const Tensor& x, const Tensor& y) {
  const int64_t bytes = item_size(y.dtype());
  const auto gather = kernels().copy.of(bytes).gather;
  const bool moves = x.dtype() == y.dtype();
  if (simple(x, y) && y.get()->contiguous && moves) {
    const bool streamed = streams(x, y);
    parallel_for(0, x.numel(), kElementGrain, [&](int64_t first, int64_t last) {
      const char* from = x.get()->data + first * bytes;
      char* to = y.get()->data + first * bytes;
      if (!streamed) return gather(from, to, last - first, 1);
      kernels().copy.stream(from, to, (last - first) * bytes);
      kernels().copy.end_stream();
    });
    return;
  }
  const Strides x_strides = broadcast_strides(op, x, y.shape());
  const StridedWalk<2> walk(y.shape(), {&y.strides(), &x_strides});
  if (moves && copy_transposed(walk, x, y)) return;
  const Source source(x, walk.inner_stride(1), y.dtype(), true);
  // what only repeats elements has the cache to itself
  const bool streamed = streams(x, y, source.stride == 0 ? 2 * kStreamed : kStreamed);
  const Sink sink(y, walk.inner_stride(0), y.dtype(), streamed);
  walk.run(kElementGrain, [&](const auto& at, int64_t n) {
    if (moves && sink.direct()) return gather(source.data + at[1] * bytes, sink.data + at[0] * bytes, n, source.stride);
    Scratch in;
    for (int64_t i = 0; i < n; i += kBlock) {
      const int64_t m = std::min(kBlock, n - i);
      const void* block = source.load(at[1], i, m, in.bytes);
      if (sink.direct())
        gather(block, sink.place(at[0], i, in.bytes), m, 1);
      else
        sink.store(at[0], i, m, block, in.bytes);
    }
  });
  sink.finish();
}

Tensor cast(const Tensor& x, Dtype dtype) {
  Tensor y = empty_like(x, dtype);
  if (x.get()->contiguous && x.dtype() != dtype) {
    const auto loop = kernels().convert[int(x.dtype())][int(dtype)];
    parallel_for(0, x.numel(), kElementGrain, [&](int64_t first, int64_t last) {
      loop(x.get()->data + first * item_size(x.dtype()), y.get()->data + first * item_size(dtype), last - first);
    });
  } else {
    copy_into("to", x, y);
  }
  return y;
}

void fill_into(const Tensor& y, const Scalar& value) {
  dispatch(y.dtype(), [&]<class T> {
    const T v = value.to<T>();
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

Tensor contiguous(const Tensor& x, MemoryFormat format) {
  if (x.is_contiguous(format)) return x;
  const Tensor y = empty_in_format(x.shape(), x.dtype(), format);
  copy_into("contiguous", x, y);
  return y;
}

namespace {
Strides channels_last_strides(const Shape& s) { return {s[1] * s[2] * s[3], 1, s[1] * s[3], s[1]}; }
}  // namespace

MemoryFormat memory_format(const Tensor& x) {
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

Tensor empty_in_format(const Shape& shape, Dtype dtype, MemoryFormat format) {
  if (format == MemoryFormat::contiguous) return make_tensor(shape, dtype);
  if (shape.rank() != 4)
    fail<ShapeError>("[contiguous] channels_last is for tensors of shape (N, C, H, W), got {}", shape);
  const Tensor flat = make_tensor({shape.product()}, dtype);
  return detail::make_view(flat, shape, channels_last_strides(shape), 0);
}

Tensor clone(const Tensor& x) {
  Tensor y = empty_like(x, x.dtype());
  copy_into("clone", x, y);
  return y;
}

Tensor to_floating(const Tensor& x) { return x.is_floating() ? x : cast(x, default_dtype()); }

}  // namespace cotangent::raw
