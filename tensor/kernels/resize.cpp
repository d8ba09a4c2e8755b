// Weighted sums of neighbours along the rows and columns of a plane, block by block of its rows: each result's row of
// weighted rows first, and then the sums along it. Where the weights repeat, as all but those at the borders do when
// sizes are doubled or halved, the outputs of one phase are sums of runs of neighbours.
#include <cotangent/tensor/kernels/by_float.hpp>
#include <cotangent/tensor/kernels/resize.hpp>
#include <cotangent/tensor/kernels/transpose.hpp>

namespace cotangent::kernels {
namespace {

template <class T>
void weighted_row(const ResampleAxis<T>& r, const T* x, int64_t o, T* line, int64_t n) {
  int64_t width = r.width;
  const T* w = r.weight + o * width;
  x += r.first[o] * n;
  while (width > 1 && w[0] == T(0)) ++w, x += n, --width;
  while (width > 1 && w[width - 1] == T(0)) --width;
  if (width == 1 && w[0] == T(1)) {
    __builtin_memcpy(line, x, static_cast<uint64_t>(n) * sizeof(T));
  } else if (width == 1) {
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) line[i] = w[0] * x[i];
  } else {
    const T a = w[0], b = w[1];
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) line[i] = a * x[i] + b * x[n + i];
  }
  for (int64_t k = 2; k < width; k += 2) {
    const T* in = x + k * n;
    const T a = w[k], b = k + 1 < width ? w[k + 1] : T(0);
    if (k + 1 < width) {
#pragma omp simd
      for (int64_t i = 0; i < n; ++i) line[i] += a * in[i] + b * in[n + i];
    } else {
#pragma omp simd
      for (int64_t i = 0; i < n; ++i) line[i] += a * in[i];
    }
  }
}

// The outputs from `o` to before `end`, one by one.
template <class T>
void outputs(const ResampleAxis<T>& c, const T* x, T* y, int64_t o, int64_t end) {
  const int64_t* first = c.first;
  const T* w = c.weight;
  if (c.width == 1) {
    for (; o < end; ++o) y[o] = w[o] * x[first[o]];
  } else if (c.width == 2) {
#pragma omp simd
    for (int64_t i = o; i < end; ++i) y[i] = w[2 * i] * x[first[i]] + w[2 * i + 1] * x[first[i] + 1];
  } else if (c.width == 4) {
#pragma omp simd
    for (int64_t i = o; i < end; ++i) {
      const T *a = w + 4 * i, *b = x + first[i];
      y[i] = a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + a[3] * b[3];
    }
  } else {
    for (; o < end; ++o) {
      T sum = 0;
      for (int64_t k = 0; k < c.width; ++k) sum += w[o * c.width + k] * x[first[o] + k];
      y[o] = sum;
    }
  }
}

/// The sums of one phase, for a vector of outputs. The width is known to the compiler, or 0.
template <class T, int Width>
Row<T, kTransposed<T>> phase_sums(const T* panel, const int64_t* offset, const T* w, int64_t width) {
  using Vec = Row<T, kTransposed<T>>;
  Vec sum = w[0] * load_row<Vec>(panel + offset[0]);
  for (int64_t k = 1; k < (Width ? Width : width); ++k) sum += w[k] * load_row<Vec>(panel + offset[k]);
  return sum;
}

/// The outputs whose weights repeat, to y. `space` has room for them.
template <class T, int Width>
void repeated(const ResampleAxis<T>& c, const T* panel, T* y, T* space) {
  constexpr int L = kTransposed<T>;
  constexpr std::make_integer_sequence<int, L> lanes;
  const int64_t width = Width ? Width : c.width;
  const T* w = c.weight + c.begin * width;
  if (c.period == 2) {
    for (int64_t j = 0; j < c.count; j += L) {
      const int64_t at = j + L <= c.count ? j : c.count - L;
      const auto a = phase_sums<T, Width>(panel + at, c.offset, w, width),
                 b = phase_sums<T, Width>(panel + at, c.offset + width, w + width, width);
      const auto low = interleave<T, L, L, false>(a, b, lanes), high = interleave<T, L, L, true>(a, b, lanes);
      __builtin_memcpy(y + 2 * at, &low, sizeof low);
      __builtin_memcpy(y + 2 * at + L, &high, sizeof high);
    }
    return;
  }
  T* to = c.period == 1 ? y : space;
  for (int64_t p = 0; p < c.period; ++p)
    for (int64_t j = 0; j < c.count; j += L) {
      const int64_t at = j + L <= c.count ? j : c.count - L;
      const auto sum = phase_sums<T, Width>(panel + at, c.offset + p * width, w + p * width, width);
      __builtin_memcpy(to + p * c.count + at, &sum, sizeof sum);
    }
  if (c.period > 1) transpose(space, c.period, c.count, c.count, y, c.period);
}

template <class T>
void resample(const ResampleAxis<T>& r, const ResampleAxis<T>& c, const T* x, T* y, int64_t begin, int64_t end,
              T* lines) {
  if (c.identity) {
    for (int64_t o = begin; o < end; ++o) weighted_row(r, x, o, y + o * c.out, c.in);
    return;
  }
  // step by step: what is stored has left the processor's store buffer when it is loaded again, from other places
  const int64_t panel_size = c.step * c.length;
  T *panels = lines + kResampleBlock * c.in, *phases = panels + kResampleBlock * panel_size;
  for (; begin < end; begin += kResampleBlock) {
    const int64_t count = end - begin < kResampleBlock ? end - begin : kResampleBlock;
    for (int64_t i = 0; i < count; ++i) weighted_row(r, x, begin + i, lines + i * c.in, c.in);
    if (c.count > 0 && c.step > 1)
      for (int64_t i = 0; i < count; ++i) {
        const T* from = lines + i * c.in + c.base;
        T* panel = panels + i * panel_size;
        const int64_t groups = (c.in - c.base) / c.step;
        transpose(from, groups, c.step, c.step, panel, c.length);
        for (int64_t k = groups * c.step; k < c.in - c.base; ++k) panel[k % c.step * c.length + groups] = from[k];
      }
    for (int64_t i = 0; i < count; ++i) {
      const T* line = lines + i * c.in;
      T* to = y + (begin + i) * c.out;
      if (c.count > 0) {
        const T* panel = c.step > 1 ? panels + i * panel_size : line + c.base;
        T* middle = to + c.begin;
        if (c.width == 1)
          repeated<T, 1>(c, panel, middle, phases);
        else if (c.width == 2)
          repeated<T, 2>(c, panel, middle, phases);
        else if (c.width == 4)
          repeated<T, 4>(c, panel, middle, phases);
        else
          repeated<T, 0>(c, panel, middle, phases);
      }
      outputs(c, line, to, 0, c.begin);
      outputs(c, line, to, c.begin + c.count * c.period, c.out);
    }
  }
}

template <class T>
void resample_pixels(const ResampleAxis<T>& r, const ResampleAxis<T>& c, int64_t channels, const T* x, T* y,
                     int64_t begin, int64_t end, T* line) {
  const int64_t n = c.in * channels;
  for (int64_t o = begin; o < end; ++o) {
    const T* from = line;
    if (r.width == 1 && r.weight[o] == T(1))
      from = x + r.first[o] * n;
    else
      weighted_row(r, x, o, line, n);
    for (int64_t j = 0; j < c.out; ++j) weighted_row(c, from, j, y + (o * c.out + j) * channels, channels);
  }
}

template <class T>
ResizeLoops<T> loops() {
  return {resample<T>, resample_pixels<T>};
}

}  // namespace

namespace COTANGENT_ISA {
void fill(ByFloat<ResizeLoops>& t) { t = {loops<float>(), loops<double>()}; }
}  // namespace COTANGENT_ISA
}  // namespace cotangent::kernels
