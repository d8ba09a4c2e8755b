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

Dtype result_dtype(Unary f, Dtype d) { return kernels::is_predicate(f) ? boolean : d; }
Dtype result_dtype(Binary f, Dtype d) { return kernels::is_comparison(f) ? boolean : d; }

kernels::ConvertLoop converter(Dtype from, Dtype to) {
  return from == to ? nullptr : kernels().convert[int(from)][int(to)];
}

struct Scratch {
  alignas(64) char bytes[kBlock * 16];
};

/// An operand of a loop, in the dtype that the loop wants: a tensor, or a number.
struct Source {
  Source(const Tensor& x, Dtype wanted)
      : tensor(&x), data(x.get()->data), bytes(item_size(x.dtype())), convert(converter(x.dtype(), wanted)) {}
  Source(const Scalar& s, Dtype wanted) : tensor(nullptr), data(number), bytes(item_size(wanted)), convert(nullptr) {
    dispatch(wanted, [&]<class T> { new (number) T(s.to<T>()); });
  }
  Source(const Source&) = delete;

  bool is_one() const { return !tensor || tensor->numel() == 1; }
  bool lies_as(const detail::TensorImpl& y) const {
    return tensor ? tensor->get()->contiguous && tensor->shape() == y.shape : y.numel == 1;
  }
  /// n elements from the one at `at`, so many apart, as a block.
  const char* load(int64_t at, int64_t stride, int64_t n, char* scratch) const {
    const char* p = data + at * bytes;
    if (n > 1 && stride != 1) {
      char* space = scratch + (convert ? kBlock * 8 : 0);
      kernels().copy.of(bytes).gather(p, space, n, stride);
      p = space;
    }
    if (!convert) return p;
    convert(p, scratch, n);
    return scratch;
  }

  const Tensor* tensor;  // nullptr for a number
  const char* data;
  int64_t bytes;
  kernels::ConvertLoop convert;
  alignas(8) char number[8];
};

/// The result of a loop: blocks are written in place, or to scratch and then converted, scattered or streamed.
struct Sink {
  Sink(const detail::TensorImpl& y, int64_t inner_stride, Dtype computed, bool streams)
      : data(y.data),
        stride(inner_stride),
        bytes(item_size(y.dtype)),
        convert(converter(computed, y.dtype)),
        streamed(streams && !convert && stride == 1) {}

  bool direct() const { return !convert && stride == 1 && !streamed; }
  char* place(int64_t at, char* scratch) const { return direct() ? data + at * bytes : scratch; }
  void store(int64_t at, int64_t n, const char* block, char* scratch) const {
    if (direct()) return;
    char* p = data + at * bytes;
    if (streamed) {
      kernels().copy.stream(block, p, n * bytes);
    } else if (convert && stride == 1) {
      convert(block, p, n);
    } else {
      if (convert) convert(block, scratch += kBlock * 8, n), block = scratch;
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

/// y = loop(in), for a loop(blocks, y, n, repeats) over n elements of each operand that lie one after another, but for
/// those operands of which one element is repeated: these have a bit in `repeats`. Those with a bit in `arrays` are
/// laid out for the loop instead, and so is one of them if all are repeated. y may be an operand itself.
///
/// Where all lie alike and have the loop's dtypes, it is called once for each thread. Else the elements are walked over
/// in runs, at once where the loop can read and write them in place, or by blocks that are gathered, converted,
/// scattered or streamed.
template <int N, class Loop>
[[gnu::noinline]] void execute(const char* op, const Tensor& result, Dtype computed, const Source (&in)[N],
                               unsigned arrays, Loop loop) {
  const detail::TensorImpl& y = *result.get();
  constexpr unsigned all = (1u << N) - 1;
  bool streamed = y.numel * item_size(y.dtype) >= kStreamed, alike = y.contiguous && y.dtype == computed;
  unsigned repeats = 0;
  for (int k = 0; k < N; ++k) {
    const bool repeated = in[k].is_one() && y.numel != 1 && !(arrays >> k & 1);
    repeats |= unsigned(repeated) << k;
    alike = alike && !in[k].convert && (repeated || in[k].lies_as(y));
    streamed = streamed && in[k].data != y.data;
  }
  if (alike && !streamed && repeats != all) {
    parallel_for(0, y.numel, kElementGrain, [&](int64_t first, int64_t last) {
      const char* blocks[N];
      for (int k = 0; k < N; ++k) blocks[k] = in[k].data + (repeats >> k & 1 ? 0 : first * in[k].bytes);
      loop(blocks, y.data + first * item_size(computed), last - first, repeats);
    });
    return;
  }

  Strides strides[N];
  std::array<const Strides*, N + 1> walked{&y.strides};
  for (int k = 0; k < N; ++k) {
    strides[k] = in[k].tensor ? broadcast_strides(op, *in[k].tensor, y.shape) : Dims::filled(y.shape.rank(), 0);
    walked[k + 1] = &strides[k];
  }
  const StridedWalk<N + 1> walk(y.shape, walked);
  repeats = 0;
  for (int k = 0; k < N; ++k) repeats |= unsigned(walk.inner_stride(k + 1) == 0) << k;
  if (repeats == all) {
    arrays |= 1;
    streamed = streamed && y.numel * item_size(y.dtype) >= 2 * kStreamed;  // what only repeats has the cache to itself
  }
  const unsigned fixed = repeats;
  repeats &= ~arrays;
  const Sink sink(y, walk.inner_stride(0), computed, streamed);
  bool direct = sink.direct();
  for (int k = 0; k < N; ++k)
    direct = direct && (repeats >> k & 1 || (!in[k].convert && walk.inner_stride(k + 1) == 1));
  walk.run(kElementGrain, [&](const auto& at, int64_t n) {
    Scratch scratch[N + 1];
    const char* blocks[N];
    const int64_t step = direct ? n : std::min(n, kBlock);
    for (int64_t i = 0; i < n; i += step) {
      const int64_t m = std::min(step, n - i), to = at[0] + i * walk.inner_stride(0);
      for (int k = 0; k < N; ++k) {
        if (i > 0 && fixed >> k & 1) continue;
        const int64_t stride = walk.inner_stride(k + 1);
        blocks[k] = in[k].load(at[k + 1] + i * stride, stride, repeats >> k & 1 ? 1 : m, scratch[k].bytes);
      }
      char* block = sink.place(to, scratch[N].bytes);
      loop(blocks, block, m, repeats);
      sink.store(to, m, block, scratch[N].bytes);
    }
  });
  sink.finish();
}

// The common case of everything below: small dense operands of a dtype that kernels compute in, and of one shape.
bool is_plain(const detail::TensorImpl* x) { return x->contiguous && x->numel <= kElementGrain && x->dtype <= float64; }
bool is_alike(const detail::TensorImpl* x, const detail::TensorImpl* y) {
  return y->contiguous && x->dtype == y->dtype && x->shape == y->shape;
}

void check_divisors(const char* op, Binary f, const Source& b, Dtype dtype) {
  if (f != Binary::remainder && f != Binary::floor_divide && f != Binary::pow) return;
  const Tensor dense = b.tensor ? contiguous(*b.tensor) : Tensor();
  const void* data = b.tensor ? dense.raw_data() : b.data;
  dispatch(dtype, [&]<class T> {
    if constexpr (std::is_integral_v<T>) {
      const T* p = static_cast<const T*>(data);
      for (int64_t i = 0; i < (b.tensor ? dense.numel() : 1); ++i) {
        if (f == Binary::pow && p[i] < T(0))
          fail<ValueError>("[{}] an integer is raised to the negative power {}; convert the base with to(float32)", op,
                           p[i]);
        if (f != Binary::pow && p[i] == T(0)) fail<ValueError>("[{}] integer division by zero, at element {}", op, i);
      }
    }
  });
}

// Any operands.
void general_unary(const char* op, Unary f, const Tensor& x, const Tensor& y, double p, double q) {
  const Dtype dtype = compute_dtype(x.dtype());
  const kernels::UnaryLoop loop = kernels().unary.value[int(f)][int(dtype)];
  if (!loop) unsupported(op, x.dtype());
  const Source in[] = {{x, dtype}};
  execute(op, y, result_dtype(f, dtype), in, 1,
          [=](const char* const* from, char* to, int64_t n, unsigned) { loop(from[0], to, n, p, q); });
}

void general_gradient(kernels::GradientLoop loop, const Tensor& dy, const Tensor& kept, const Tensor& dx, double p,
                      double q) {
  const Dtype dtype = compute_dtype(dy.dtype());
  const Source in[] = {{dy, dtype}, {kept, dtype}};
  execute("gradient", dx, dtype, in, 3,
          [=](const char* const* from, char* to, int64_t n, unsigned) { loop(from[0], from[1], to, n, p, q); });
}

void general_binary(const char* op, Binary f, const Source (&in)[2], Dtype given, const Tensor& y, double p, double q) {
  const Dtype dtype = compute_dtype(given);
  const kernels::BinaryLoop loop = kernels().binary[int(f)][int(dtype)];
  if (!loop) unsupported(op, given);
  if (!is_floating(dtype)) check_divisors(op, f, in[1], dtype);
  execute(op, y, result_dtype(f, dtype), in, 0, [=](const char* const* from, char* to, int64_t n, unsigned repeats) {
    loop(from[0], from[1], to, n, Layout(repeats), p, q);
  });
}

void scalar_into(const char* op, Binary f, const Tensor& x, const Scalar& s, const Tensor& y, bool scalar_first) {
  const Dtype dtype = compute_dtype(x.dtype());
  if (scalar_first)
    general_binary(op, f, {{s, dtype}, {x, dtype}}, x.dtype(), y, 0, 0);
  else
    general_binary(op, f, {{x, dtype}, {s, dtype}}, x.dtype(), y, 0, 0);
}

}  // namespace

void unary_into(const char* op, Unary f, const Tensor& x, const Tensor& y, double p, double q) {
  if (is_plain(x.get()) && is_alike(x.get(), y.get()) && !kernels::is_predicate(f))
    if (const auto loop = kernels().unary.value[int(f)][int(x.dtype())])
      return loop(x.raw_data(), y.raw_data(), x.numel(), p, q);
  general_unary(op, f, x, y, p, q);
}

void binary_into(const char* op, Binary f, const Tensor& a, const Tensor& b, const Tensor& y, double p, double q) {
  const detail::TensorImpl *ia = a.get(), *ib = b.get(), *iy = y.get();
  if (is_plain(ia) && is_alike(ia, ib) && iy->contiguous && ia->shape == iy->shape &&
      iy->dtype == result_dtype(f, ia->dtype))
    return kernels().binary[int(f)][int(ia->dtype)](ia->data, ib->data, iy->data, ia->numel, Layout::both, p, q);
  if (ia->dtype != ib->dtype)
    fail<DTypeError>("[{}] operands must have one dtype, got {} and {}; convert one with to()", op, ia->dtype,
                     ib->dtype);
  const Dtype dtype = compute_dtype(ia->dtype);
  general_binary(op, f, {{a, dtype}, {b, dtype}}, ia->dtype, y, p, q);
}

void binary_into(const char* op, Binary f, const Tensor& x, const Scalar& s, const Tensor& y) {
  scalar_into(op, f, x, s, y, false);
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
    Tensor y = detail::make_like(x, result_dtype(f, x.dtype()));
    if (const auto loop = kernels().unary.value[int(f)][int(x.dtype())]) {
      loop(x.impl()->data, y.impl()->data, x.numel(), p, q);
      return y;
    }
  }
  Tensor y = empty_like(x, result_dtype(f, x.dtype()));
  unary_into(op, f, x, y, p, q);
  return y;
}

[[gnu::noinline]] static Tensor empty_for(const char* op, const Tensor& a, const Tensor& b, Dtype dtype) {
  if (a.shape() == b.shape())
    return a.strides() == b.strides() ? empty_like(a, dtype)
                                      : empty_in_format(a.shape(), dtype, std::max(memory_format(a), memory_format(b)));
  if (b.numel() == 1 && b.rank() <= a.rank()) return empty_like(a, dtype);
  return make_tensor(broadcast_shapes(op, a.shape(), b.shape()), dtype);
}

Tensor binary(const char* op, Binary f, const Tensor& a, const Tensor& b, double p, double q) {
  const detail::TensorImpl *ia = a.get(), *ib = b.get();
  const Dtype dtype = result_dtype(f, ia->dtype);
  if (is_plain(ia) && is_alike(ia, ib)) {
    Tensor y = detail::make_like(a, dtype);
    kernels().binary[int(f)][int(ia->dtype)](ia->data, ib->data, y.impl()->data, ia->numel, Layout::both, p, q);
    return y;
  }
  Tensor y = empty_for(op, a, b, dtype);
  binary_into(op, f, a, b, y, p, q);
  return y;
}

Tensor binary(const char* op, Binary f, const Tensor& x, const Scalar& s) {
  Tensor y = empty_like(x, result_dtype(f, x.dtype()));
  scalar_into(op, f, x, s, y, false);
  return y;
}

Tensor binary(const char* op, Binary f, const Scalar& s, const Tensor& x) {
  Tensor y = empty_like(x, result_dtype(f, x.dtype()));
  scalar_into(op, f, x, s, y, true);
  return y;
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

Tensor unary_gradient(Unary f, Tensor dy, const Tensor& kept, double p, double q) {
  const auto loop = kernels().unary.gradient[int(f)][int(compute_dtype(dy.dtype()))];
  const bool over = is_disposable(dy), plain = is_plain(dy.get()) && is_alike(dy.get(), kept.get());
  Tensor dx = over ? Tensor() : plain ? detail::make_like(dy, dy.dtype()) : empty_for("gradient", dy, kept, dy.dtype());
  const Tensor& to = over ? dy : dx;
  if (plain)
    loop(dy.raw_data(), kept.raw_data(), to.raw_data(), dy.numel(), p, q);
  else
    general_gradient(loop, dy, kept, to, p, q);
  return over ? written_over(std::move(dy)) : dx;
}

bool keeps_integers(Unary f) { return kernels().unary.value[int(f)][int(int64)]; }

Tensor where(const char* op, const Tensor& condition, const Tensor& a, const Tensor& b) {
  if (condition.dtype() != boolean)
    fail<DTypeError>("[{}] the condition must be bool, got {}; compare it first, as in x != 0", op, condition.dtype());
  if (a.dtype() != b.dtype())
    fail<DTypeError>("[{}] both choices must have one dtype, got {} and {}", op, a.dtype(), b.dtype());
  const Dtype dtype = a.dtype();
  Tensor y = make_tensor(broadcast_shapes(op, condition.shape(), broadcast_shapes(op, a.shape(), b.shape())), dtype);
  const auto loop = kernels().copy.of(item_size(dtype)).where;
  const Source in[] = {{condition, boolean}, {a, dtype}, {b, dtype}};
  execute(op, y, dtype, in, 1, [=](const char* const* from, char* to, int64_t n, unsigned repeats) {
    loop(reinterpret_cast<const bool*>(from[0]), from[1], from[2], to, n, !(repeats & 2), !(repeats & 4));
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
  const Dtype dtype = y.dtype();
  const int64_t bytes = item_size(dtype);
  const Source in[] = {{x, x.dtype()}};
  if (const auto convert = converter(x.dtype(), dtype))
    return execute(op, y, dtype, in, 1,
                   [=](const char* const* from, char* to, int64_t n, unsigned) { convert(from[0], to, n); });
  const auto gather = kernels().copy.of(bytes).gather;
  const bool is_large = y.numel() * bytes >= kStreamed && in[0].data != y.raw_data();
  if (y.get()->contiguous && in[0].lies_as(*y.get())) {
    parallel_for(0, x.numel(), kElementGrain, [&](int64_t first, int64_t last) {
      const char* from = in[0].data + first * bytes;
      char* to = y.get()->data + first * bytes;
      if (!is_large) return gather(from, to, last - first, 1);
      kernels().copy.stream(from, to, (last - first) * bytes);
      kernels().copy.end_stream();
    });
    return;
  }
  const Strides strides = broadcast_strides(op, x, y.shape());
  const StridedWalk<2> walk(y.shape(), {&y.strides(), &strides});
  if (copy_transposed(walk, x, y)) return;
  if (walk.inner_stride(0) == 1 && !is_large)
    return walk.run(kElementGrain, [&](const auto& at, int64_t n) {
      gather(in[0].data + at[1] * bytes, y.get()->data + at[0] * bytes, n, walk.inner_stride(1));
    });
  execute(op, y, dtype, in, 1,
          [=](const char* const* from, char* to, int64_t n, unsigned) { gather(from[0], to, n, 1); });
}

Tensor cast(const Tensor& x, Dtype dtype) {
  Tensor y = empty_like(x, dtype);
  copy_into("to", x, y);
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
