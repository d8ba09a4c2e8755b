// A group is `channels / groups` spans that lie one after another, so its moments are those of one long span, and the
// rest is done channel by channel. Of channels-last images, pixels are rows of all channels, whose moments are merged.
#include <algorithm>

#include <cotangent/tensor/dispatch_internal.hpp>
#include <cotangent/tensor/kernels/kernels.hpp>
#include <cotangent/tensor/memory/scratch_internal.hpp>
#include <cotangent/tensor/norm.hpp>
#include <cotangent/tensor/norm_internal.hpp>
#include <cotangent/tensor/strided.hpp>

namespace cotangent::raw {
namespace {

using detail::make_tensor;
using kernels::kernels;
using kernels::NormLoops;
using namespace norms;

/// Spans of `inner` elements of one channel each: `batch` times `groups` times `members` of them.
struct Groups {
  Groups(const Tensor& x, int64_t groups_)
      : groups(groups_),
        channels(x.shape()[1]),
        members(channels / groups),
        inner(x.shape().slice(2, x.rank()).product()),
        count(x.shape()[0] * groups),
        size(members * inner) {}
  int64_t groups, channels, members, inner, count, size;

  /// Calls body(i, first channel, offset) for group i of all, on several threads.
  template <class Body>
  void for_each(Body body) const {
    parallel_for(0, size == 0 ? 0 : count, std::max<int64_t>(kElementGrain / (size + 1), 1),
                 [&](int64_t first, int64_t last) {
                   for (int64_t i = first; i < last; ++i) body(i, i % groups * members, i * size);
                 });
  }
};

bool is_in_rows(const Tensor& x) { return memory_format(x) == MemoryFormat::channels_last; }

/// Calls body(image, offset) for each image, on several threads.
template <class Body>
void for_images(const Groups& g, Body body) {
  const int64_t each = g.groups * g.size;
  parallel_for(0, each == 0 ? 0 : g.count / g.groups, std::max<int64_t>(kElementGrain / (each + 1), 1),
               [&](int64_t first, int64_t last) {
                 for (int64_t i = first; i < last; ++i) body(i, i * each);
               });
}
/// Calls body(first, rows) for blocks of the pixels of an image.
template <class Body>
void for_row_blocks(const Groups& g, Body body) {
  const int64_t block = row_block(g.channels);
  for (int64_t row = 0; row < g.inner; row += block) body(row, std::min(block, g.inner - row));
}

template <class T>
void normalize_rows(const Groups& g, const T* x, const T* weight, const T* bias, double eps, T* y, double* mean,
                    T* rstd) {
  for_images(g, [&](int64_t image, int64_t offset) {
    const Scratch<double> moments(2 * g.channels);
    double *means = moments.data(), *squares = means + g.channels;
    std::fill(means, means + 2 * g.channels, 0.0);
    const Scratch<T> factors(3 * g.channels);
    T *rounded = factors.data(), *scale = rounded + g.channels, *shift = scale + g.channels;
    for_row_blocks(g, [&](int64_t row, int64_t rows) {
      merge_rows(means, squares, row, x + offset + row * g.channels, rows, g.channels, factors.data());
    });
    for (int64_t i = image * g.groups, c = 0; c < g.channels; ++i) {
      double m = 0, s = 0;
      for (int64_t k = 0; k < g.members; ++k, ++c) merge(m, s, k * g.inner, means[c], squares[c], g.inner);
      mean[i] = m, rstd[i] = static_cast<T>(kernels::inverse_deviation(s / static_cast<double>(g.size) + eps));
    }
    for (int64_t c = 0; c < g.channels; ++c) {
      const int64_t i = image * g.groups + c / g.members;
      rounded[c] = static_cast<T>(mean[i]);
      scale[c] = weight ? weight[c] * rstd[i] : rstd[i];
      shift[c] = (bias ? bias[c] : T(0)) - scale[c] * static_cast<T>(mean[i] - static_cast<double>(rounded[c]));
    }
    kernels().norm.of<T>().row_normalize({g.channels, rounded, scale, shift}, x + offset, y + offset, g.inner);
  });
}

/// dx, unless it is null, and of each channel of each image the sums of dy and of dy * (x - mean).
template <class T>
void gradient_of_rows(const Groups& g, const T* dy, const T* x, const T* weight, const double* mean, const T* rstd,
                      T* dx, double* sums, double* products) {
  const NormLoops<T>& loops = kernels().norm.of<T>();
  for_images(g, [&](int64_t image, int64_t offset) {
    const Scratch<T> factors(5 * g.channels);
    T *rounded = factors.data(), *scale = rounded + g.channels, *none = scale + g.channels, *slope = none + g.channels,
      *shift = slope + g.channels;
    double *s = sums + image * g.channels, *p = products + image * g.channels;
    const auto group = [&](int64_t c) { return image * g.groups + c / g.members; };
    for (int64_t c = 0; c < g.channels; ++c) {
      rounded[c] = static_cast<T>(mean[group(c)]), none[c] = T(0);
      scale[c] = weight ? weight[c] * rstd[group(c)] : rstd[group(c)];
    }
    const kernels::ChannelNorm<T> norm = {g.channels, rounded, scale, none};
    for_row_blocks(g, [&](int64_t row, int64_t rows) {
      const int64_t at = offset + row * g.channels;
      loops.row_sums(norm, dy + at, x + at, rows, slope, shift);
      for (int64_t c = 0; c < g.channels; ++c)
        s[c] += static_cast<double>(slope[c]), p[c] += static_cast<double>(shift[c]);
    });
    for (int64_t c = 0; c < g.channels; ++c) p[c] -= (mean[group(c)] - static_cast<double>(rounded[c])) * s[c];
    if (!dx) return;
    for (int64_t first = 0; first < g.channels; first += g.members) {
      double sum = 0, product = 0;
      for (int64_t c = first; c < first + g.members; ++c) {
        const double factor = weight ? static_cast<double>(weight[c]) : 1.0;
        sum += factor * s[c], product += factor * p[c];
      }
      const double r = static_cast<double>(rstd[group(first)]), n = static_cast<double>(g.size),
                   factor = -r * r * r * product / n, m = mean[group(first)];
      for (int64_t c = first; c < first + g.members; ++c) {
        slope[c] = static_cast<T>(factor);
        shift[c] = static_cast<T>(-r * sum / n - factor * (m - static_cast<double>(rounded[c])));
      }
    }
    loops.row_gradient(norm, slope, shift, dy + offset, x + offset, dx + offset, g.inner);
  });
}

}  // namespace

Normalized group_norm(const char* op, const Tensor& x, int64_t groups, const Tensor& weight, const Tensor& bias,
                      double eps) {
  const Dtype dtype = compute_dtype(x.dtype());
  const MemoryFormat format = memory_format(x);
  const Tensor in = prepared(x, dtype, format), w = prepared(weight, dtype), b = prepared(bias, dtype);
  const Groups g(x, groups);
  const Tensor y = empty_in_format(x.shape(), dtype, format), mean = make_tensor({g.count}, float64),
               rstd = make_tensor({g.count}, dtype);
  dispatch_compute(op, dtype, [&]<class T> {
    const NormLoops<T>& loops = kernels().norm.of<T>();
    const T *px = in.data<T>(), *pw = data_or_null<T>(w), *pb = data_or_null<T>(b);
    T *py = y.data<T>(), *pr = rstd.data<T>();
    double* pm = mean.data<double>();
    if (is_in_rows(in)) return normalize_rows(g, px, pw, pb, eps, py, pm, pr);
    g.for_each([&](int64_t i, int64_t channel, int64_t offset) {
      double m = 0, squares = 0;
      for (int64_t first = 0; first < g.size; first += kSpan) {
        const int64_t n = std::min(kSpan, g.size - first);
        double part_mean, part_squares;
        loops.span_moments(px + offset + first, 1, n, n, &part_mean, &part_squares);
        merge(m, squares, first, part_mean, part_squares, n);
      }
      pm[i] = m;
      const T rounded = static_cast<T>(m), rest = static_cast<T>(m - static_cast<double>(rounded));
      pr[i] = static_cast<T>(kernels::inverse_deviation(squares / static_cast<double>(g.size) + eps));
      for (int64_t k = 0; k < g.members; ++k) {
        const int64_t at = offset + k * g.inner, c = channel + k;
        const T scale = pw ? pw[c] * pr[i] : pr[i], shift = (pb ? pb[c] : T(0)) - scale * rest;
        loops.span_normalize({1, &rounded, &scale, &shift}, px + at, py + at, 0, 1, g.inner);
      }
    });
  });
  return {in_dtype(y, x.dtype()), mean, rstd};
}

// With g = dy * weight and h = (x - mean) * rstd:   dx = rstd * (g - mean(g) - h * mean(g * h)), the means over a group
NormGradients group_norm_backward(const char* op, const Tensor& dy, const Tensor& x, int64_t groups,
                                  const Tensor& weight, const Tensor& mean, const Tensor& rstd, NormWanted wanted) {
  const Dtype dtype = rstd.dtype();
  const MemoryFormat format = memory_format(x);
  const Tensor grad = prepared(dy, dtype, format), in = prepared(x, dtype, format), w = prepared(weight, dtype);
  const Groups g(x, groups);
  NormGradients result;
  if (wanted.x) result.x = empty_in_format(x.shape(), dtype, format);
  dispatch_compute(op, dtype, [&]<class T> {
    const NormLoops<T>& loops = kernels().norm.of<T>();
    const T *pg = grad.data<T>(), *px = in.data<T>(), *pw = data_or_null<T>(w), *pr = rstd.data<T>();
    const double* pm = mean.data<double>();
    T* to = wanted.x ? result.x.template data<T>() : nullptr;
    // of each channel of each of the batch: the sums of dy and of dy * (x - mean)
    const Scratch<double> scratch(2 * g.count * g.members);
    double *sums = scratch.data(), *products = sums + g.count * g.members;
    std::fill(sums, sums + 2 * g.count * g.members, 0.0);
    if (is_in_rows(in))
      gradient_of_rows(g, pg, px, pw, pm, pr, to, sums, products);
    else
      g.for_each([&](int64_t i, int64_t channel, int64_t offset) {
        const double r = static_cast<double>(pr[i]);
        const T m = static_cast<T>(pm[i]);
        const double rest = pm[i] - static_cast<double>(m);
        double sum = 0, product = 0;
        for (int64_t k = 0; k < g.members; ++k) {
          double &s = sums[i * g.members + k], &p = products[i * g.members + k];
          for (int64_t first = 0; first < g.inner; first += kSpan) {
            const int64_t at = offset + k * g.inner + first;
            const int64_t count = std::min(kSpan, g.inner - first);
            loops.span_sums({1, &m, pr + i, &m}, 0, pg + at, px + at, 1, count, count, &s, &p);
          }
          p -= rest * s;
          const double factor = pw ? static_cast<double>(pw[channel + k]) : 1.0;
          sum += factor * s, product += factor * p;
        }
        if (!to) return;
        const double n = static_cast<double>(g.size), factor = -r * r * r * product / n;
        for (int64_t k = 0; k < g.members; ++k) {
          const int64_t at = offset + k * g.inner;
          const T scale = pw ? pw[channel + k] * pr[i] : pr[i], slope = static_cast<T>(factor),
                  shift = static_cast<T>(-r * sum / n - factor * rest);
          loops.span_gradient({1, &m, &scale, &m}, &slope, &shift, pg + at, px + at, to + at, 0, 1, g.inner);
        }
      });
    const int64_t batch = x.shape()[0];
    if (wanted.weight) {
      result.weight = make_tensor({g.channels}, dtype);
      for (int64_t c = 0; c < g.channels; ++c) {
        double total = 0;
        for (int64_t i = 0; i < batch; ++i)
          total += products[i * g.channels + c] * static_cast<double>(pr[i * g.groups + c / g.members]);
        result.weight.data<T>()[c] = static_cast<T>(total);
      }
    }
    if (wanted.bias) {
      result.bias = make_tensor({g.channels}, dtype);
      for (int64_t c = 0; c < g.channels; ++c) {
        double total = 0;
        for (int64_t i = 0; i < batch; ++i) total += sums[i * g.channels + c];
        result.bias.data<T>()[c] = static_cast<T>(total);
      }
    }
  });
  result.x = in_dtype(result.x, x.dtype());
  return result;
}

}  // namespace cotangent::raw
