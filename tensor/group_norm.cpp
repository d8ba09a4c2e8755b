// A group is `channels / groups` spans that lie one after another, so its moments are those of one long span, and the
// rest is done channel by channel.
#include <algorithm>
#include <cmath>

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

}  // namespace

Normalized group_norm(const char* op, const Tensor& x, int64_t groups, const Tensor& weight, const Tensor& bias,
                      double eps) {
  const Dtype dtype = compute_dtype(x.dtype());
  const Tensor in = prepared(x, dtype), w = prepared(weight, dtype), b = prepared(bias, dtype);
  const Groups g(x, groups);
  const Tensor y = make_tensor(x.shape(), dtype), mean = make_tensor({g.count}, float64),
               rstd = make_tensor({g.count}, dtype);
  dispatch_compute(op, dtype, [&]<class T> {
    const NormLoops<T>& loops = kernels().norm.of<T>();
    const T *px = in.data<T>(), *pw = data_or_null<T>(w), *pb = data_or_null<T>(b);
    T *py = y.data<T>(), *pr = rstd.data<T>();
    double* pm = mean.data<double>();
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
      pr[i] = static_cast<T>(1 / std::sqrt(squares / static_cast<double>(g.size) + eps));
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
  const Tensor grad = prepared(dy, dtype), in = prepared(x, dtype), w = prepared(weight, dtype);
  const Groups g(x, groups);
  NormGradients result;
  if (wanted.x) result.x = make_tensor(x.shape(), dtype);
  dispatch_compute(op, dtype, [&]<class T> {
    const NormLoops<T>& loops = kernels().norm.of<T>();
    const T *pg = grad.data<T>(), *px = in.data<T>(), *pw = data_or_null<T>(w), *pr = rstd.data<T>();
    const double* pm = mean.data<double>();
    T* to = wanted.x ? result.x.template data<T>() : nullptr;
    // of each channel of each of the batch: the sums of dy and of dy * (x - mean)
    const Scratch<double> scratch(2 * g.count * g.members);
    double *sums = scratch.data(), *products = sums + g.count * g.members;
    std::fill(sums, sums + 2 * g.count * g.members, 0.0);
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
