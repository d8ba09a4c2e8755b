// Private: how a loop over contiguous blocks is run over operands of any layout and dtype.
#pragma once
#include <array>
#include <cstring>

#include <cotangent/tensor/dispatch_internal.hpp>
#include <cotangent/tensor/kernels/kernels.hpp>
#include <cotangent/tensor/processor_internal.hpp>
#include <cotangent/tensor/strided.hpp>
#include <cotangent/tensor/tensor.hpp>

namespace cotangent::raw {

inline constexpr int64_t kBlock = 512;     // elements that are gathered or converted at once
inline constexpr int64_t kShortRun = 128;  // elements: of shorter runs, several make a block

/// Whether a result is so large that it is written past the caches.
inline bool is_streamed(const detail::TensorImpl& y, int64_t times = 1) {
  return y.numel * item_size(y.dtype) >= times * processor().streams_from();
}

inline kernels::ConvertLoop converter(Dtype from, Dtype to) {
  return from == to ? nullptr : kernels::kernels().convert[int(from)][int(to)];
}

struct Scratch {
  alignas(64) char bytes[kBlock * 16];
};
static_assert(4 * sizeof(Scratch) <= kLeastFirstCache);  // of three operands and the result

/// An operand of a loop, in the dtype that the loop wants: a tensor, or a number.
struct Source {
  Source(const Tensor& x, Dtype wanted)
      : tensor(&x), data(x.get()->data), bytes(item_size(x.dtype())), convert(converter(x.dtype(), wanted)) {}
  /// A ValueError names `op` where the dtype does not take the number.
  Source(const char* op, const Scalar& s, Dtype wanted)
      : tensor(nullptr), data(number), bytes(item_size(wanted)), convert(nullptr) {
    dispatch(wanted, [&]<class T> { new (number) T(s.element<T>(op)); });
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
      kernels::kernels().copy.of(bytes).gather(p, space, n, stride);
      p = space;
    }
    return converted(p, n, scratch);
  }
  /// The same for `runs` runs of n elements, which begin so many apart.
  const char* load_runs(int64_t at, int64_t run_stride, int64_t runs, int64_t stride, int64_t n, char* scratch) const {
    const kernels::CopyLoops& copy = kernels::kernels().copy.of(bytes);
    const char* p = data + at * bytes;
    if (stride == 1 && run_stride == n) return converted(p, runs * n, scratch);
    char* space = scratch + (convert ? kBlock * 8 : 0);
    if (run_stride == 1) {
      copy.transpose(p, n, runs, stride, space, n);
    } else if (run_stride == 0) {  // one run again and again
      copy.gather(p, space, n, stride);
      for (int64_t made = 1; made < runs; made *= 2)
        std::memcpy(space + made * n * bytes, space, static_cast<size_t>(std::min(made, runs - made) * n * bytes));
    } else if (stride == 1) {
      copy.rows(p, run_stride, space, n, runs, n);
    } else {
      for (int64_t i = 0; i < runs; ++i) copy.gather(p + i * run_stride * bytes, space + i * n * bytes, n, stride);
    }
    return converted(space, runs * n, scratch);
  }

  const Tensor* tensor;  // nullptr for a number
  const char* data;
  int64_t bytes;
  kernels::ConvertLoop convert;
  alignas(8) char number[8];

 private:
  const char* converted(const char* p, int64_t n, char* scratch) const {
    if (!convert) return p;
    convert(p, scratch, n);
    return scratch;
  }
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
      kernels::kernels().copy.stream(block, p, n * bytes);
    } else if (convert && stride == 1) {
      convert(block, p, n);
    } else {
      if (convert) convert(block, scratch += kBlock * 8, n), block = scratch;
      kernels::kernels().copy.of(bytes).scatter(block, p, n, stride);
    }
  }
  /// After the loop: other threads see what this one streamed.
  void finish() const {
    if (streamed) kernels::kernels().copy.end_stream();
  }

  char* data;
  int64_t stride, bytes;
  kernels::ConvertLoop convert;
  bool streamed;
};

/// Strides of x seen as `shape`: 0 where it is repeated.
inline Strides broadcast_strides(const char* op, const Tensor& x, const Shape& shape) {
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
/// scattered or streamed. Short runs, as of few channels side by side, are gathered into blocks of several.
template <int N, class Loop>
[[gnu::noinline]] void execute(const char* op, const Tensor& result, Dtype computed, const Source (&in)[N],
                               unsigned arrays, Loop loop) {
  const detail::TensorImpl& y = *result.get();
  constexpr unsigned all = (1u << N) - 1;
  bool streamed = is_streamed(y), alike = y.contiguous && y.dtype == computed;
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
    streamed = streamed && is_streamed(y, 2);  // what only repeats has the cache to itself
  }
  const unsigned fixed = repeats;
  repeats &= ~arrays;
  const Sink sink(y, walk.inner_stride(0), computed, streamed);
  if (walk.has_short_runs(kShortRun) && sink.stride == 1) {
    const StridedWalk<N + 1> outer = walk.over_runs();
    const int64_t run = walk.inner_size();
    int64_t most = kParallelAlign;  // which it divides: vector loops end where they do with one thread
    while (most * run > kBlock) most /= 2;
    for (int k = 0; k < N; ++k)
      if (outer.inner_stride(k + 1) != 0) repeats &= ~(1u << k);
    outer.run(std::max<int64_t>(1, kElementGrain / run), [&](const auto& at, int64_t n) {
      Scratch scratch[N + 1];
      const char* blocks[N] = {};
      for (int64_t i = 0; i < n; i += most) {
        const int64_t runs = std::min(most, n - i), to = at[0] + i * run;
        for (int k = 0; k < N; ++k) {
          const int64_t step = outer.inner_stride(k + 1), stride = walk.inner_stride(k + 1);
          if (i > 0 && step == 0) continue;
          blocks[k] = repeats >> k & 1
                          ? in[k].load(at[k + 1], 0, 1, scratch[k].bytes)
                          : in[k].load_runs(at[k + 1] + i * step, step, runs, stride, run, scratch[k].bytes);
        }
        char* block = sink.place(to, scratch[N].bytes);
        loop(blocks, block, runs * run, repeats);
        sink.store(to, runs * run, block, scratch[N].bytes);
      }
    });
    return sink.finish();
  }
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

}  // namespace cotangent::raw
