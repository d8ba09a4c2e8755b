#include <cotangent/tensor/norm.hpp>

#include <algorithm>
#include <utility>

#include <cotangent/tensor/dispatch_internal.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/kernels/kernels.hpp>
#include <cotangent/tensor/memory/scratch_internal.hpp>
#include <cotangent/tensor/norm_internal.hpp>
#include <cotangent/tensor/parts_internal.hpp>
#include <cotangent/tensor/strided.hpp>

namespace cotangent::raw {
namespace {

using detail::make_tensor;
using kernels::ChannelNorm;
using kernels::kernels;
using kernels::NormLoops;
using namespace norms;

constexpr int64_t kChunk = 65536;  // elements of a reduction that one thread sums up by itself: the order of sums
constexpr int64_t kMaxChunks = 32;

/// A fixed number of chunks for a reduction over `rows` of `width` elements, few enough for their sums to cost little.
int64_t chunk_count(int64_t rows, int64_t width) {
  return std::clamp<int64_t>(rows * width / kChunk, 1, std::clamp<int64_t>(rows / 8, 1, kMaxChunks));
}

}  // namespace

// ---- layer norm ----

Normalized layer_norm(const char* op, const Tensor& x, int dims, bool centred, const Tensor& weight, const Tensor& bias,
                      double eps) {
  const Dtype dtype = compute_dtype(x.dtype());
  const Tensor in = prepared(x, dtype), w = prepared(weight, dtype), b = prepared(bias, dtype);
  const int64_t n = x.shape().slice(x.rank() - dims, x.rank()).product(),
                rows = x.shape().slice(0, x.rank() - dims).product();
  const Tensor y = make_tensor(x.shape(), dtype), mean = make_tensor({rows}, float64),
               rstd = make_tensor({rows}, dtype);
  dispatch_compute(op, dtype, [&]<class T> {
    const NormLoops<T>& loops = kernels().norm.of<T>();
    parallel_for(0, n == 0 ? 0 : rows, std::max<int64_t>(kElementGrain / (n + 1), 1), [&](int64_t first, int64_t last) {
      loops.layer_norm[centred](in.data<T>() + first * n, data_or_null<T>(w), data_or_null<T>(b),
                                y.data<T>() + first * n, mean.data<double>() + first, rstd.data<T>() + first,
                                last - first, n, eps);
    });
  });
  return {in_dtype(y, x.dtype()), mean, rstd};
}

NormGradients layer_norm_backward(const char* op, const Tensor& dy, const Tensor& x, bool centred, const Tensor& weight,
                                  const Tensor& mean, const Tensor& rstd, NormWanted wanted) {
  const Dtype dtype = rstd.dtype();
  const Tensor g = prepared(dy, dtype), in = prepared(x, dtype), w = prepared(weight, dtype);
  const int64_t rows = mean.numel(), n = rows == 0 ? 0 : x.numel() / rows;
  const Shape shape = weight.defined() ? weight.shape() : Shape{n};
  NormGradients result;
  if (wanted.x) result.x = make_tensor(x.shape(), dtype);
  dispatch_compute(op, dtype, [&]<class T> {
    const NormLoops<T>& loops = kernels().norm.of<T>();
    const bool reduces = wanted.weight || wanted.bias;
    const int64_t chunks = reduces ? chunk_count(rows, n) : std::max<int64_t>(chunk_count(rows, n), 1);
    // the sums of each chunk of rows: of the weight, then of the bias
    const Scratch<T> sums(reduces ? chunks * 2 * n : 0);
    parallel_chunks(n == 0 ? 0 : chunks, [&](int64_t chunk) {
      const int64_t first = rows * chunk / chunks, last = rows * (chunk + 1) / chunks;
      T* dw = wanted.weight ? sums.data() + chunk * 2 * n : nullptr;
      T* db = wanted.bias ? sums.data() + (chunk * 2 + 1) * n : nullptr;
      if (dw) std::fill(dw, dw + n, T(0));
      if (db) std::fill(db, db + n, T(0));
      loops.layer_norm_backward[centred](g.data<T>() + first * n, in.data<T>() + first * n, data_or_null<T>(w),
                                         mean.data<double>() + first, rstd.data<T>() + first,
                                         wanted.x ? result.x.template data<T>() + first * n : nullptr, dw, db,
                                         last - first, n);
    });
    auto total = [&](int64_t which) {
      const Tensor y = make_tensor(shape, dtype);
      T* p = y.data<T>();
      std::fill(p, p + y.numel(), T(0));
      if (n > 0)
        for (int64_t chunk = 0; chunk < chunks; ++chunk)
          kernels().gemm.of<T>().axpy(n, 1, sums.data() + (chunk * 2 + which) * n, p);
      return y;
    };
    if (wanted.weight) result.weight = total(0);
    if (wanted.bias) result.bias = total(1);
  });
  result.x = in_dtype(result.x, x.dtype());
  return result;
}

// ---- batch norm ----

namespace {

/// How the channels of a dense (N, C, ...) tensor lie: in `outer` times C spans of `inner` elements, or in rows of C.
/// Rows of few channels are taken several together, as one row in which each channel occurs as often.
struct Channels {
  explicit Channels(const Tensor& x) : channels(x.shape()[1]) {
    by_rows = (x.rank() == 4 && !x.is_contiguous() && x.is_contiguous(MemoryFormat::channels_last)) ||
              x.shape().slice(2, x.rank()).product() == 1;
    outer = x.shape()[0];
    inner = x.shape().slice(2, x.rank()).product();
    if (!by_rows || channels == 0) return;
    while (2 * together * channels <= kWideRow && count() % (2 * together) == 0) together *= 2;
  }
  int64_t count() const { return outer * inner; }
  /// The rows that are taken together as rows of so many more channels.
  Channels wide() const {
    Channels w = *this;
    if (together == 1) return w;
    w.channels *= together, w.outer = count() / together, w.inner = 1, w.together = 1;
    return w;
  }
  int64_t stride() const { return channels * inner; }  ///< from one span of a channel to the next
  bool by_rows;
  int64_t outer, channels, inner, together = 1;

 private:
  static constexpr int64_t kWideRow = 64;
};

Tensor dense(const Tensor& x) { return contiguous(x, memory_format(x)); }
/// dy in x's order of dimensions.
Tensor like(const Tensor& dy, const Tensor& x) {
  const Tensor y = dy.dtype() == x.dtype() ? dy : cast(dy, x.dtype());
  return contiguous(y, x.is_contiguous() ? MemoryFormat::contiguous : MemoryFormat::channels_last);
}

/// Calls body(first, last) for all images at once, or for parts of those that become float32.
template <class Body>
void for_images(const Tensor& x, Body body) {
  const int64_t n = x.shape()[0];
  if (is_low_precision(x.dtype()))
    for_parts(n, x.numel() / std::max<int64_t>(n, 1), body);
  else
    body(0, n);
}
/// These images of x as they are computed with.
Tensor images(const char* op, const Tensor& x, int64_t first, int64_t last) {
  return is_low_precision(x.dtype()) ? cast(part_of(op, x, first, last), float32) : x;
}
/// Where their results are computed, and their way into y.
Tensor place_for(const Tensor& part, const Tensor& y) {
  return is_low_precision(y.dtype()) ? empty_like(part, float32) : y;
}
void put(const char* op, const Tensor& result, const Tensor& y, int64_t first, int64_t last) {
  if (is_low_precision(y.dtype())) copy_into(op, result, part_of(op, y, first, last));
}

/// Calls body(channel) for each channel, on several threads.
template <class Body>
void for_channels(const Channels& c, Body body) {
  parallel_for(0, c.channels, std::max<int64_t>(kElementGrain / (c.count() + 1), 1), [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) body(i);
  });
}

/// Calls body(offset, spans, n) for the elements of a channel: for parts of its spans, or for several that are short.
template <class Body>
void for_spans(const Channels& c, int64_t channel, Body body) {
  const int64_t together = std::max<int64_t>(kSpan / std::max<int64_t>(c.inner, 1), 1);
  for (int64_t i = 0; i < c.outer; i += together)
    for (int64_t first = 0; first < c.inner; first += kSpan)
      body((i * c.channels + channel) * c.inner + first, std::min(together, c.outer - i),
           std::min(kSpan, c.inner - first));
}

/// Calls body(chunk, first, rows) for blocks of rows that fit in a core's caches; a chunk's blocks come in order.
template <class Body>
void for_row_blocks(const Channels& c, int64_t chunks, Body body) {
  const int64_t block = row_block(c.channels);
  parallel_chunks(chunks, [&](int64_t chunk) {
    const int64_t end = c.count() * (chunk + 1) / chunks;
    for (int64_t row = c.count() * chunk / chunks; row < end; row += block)
      body(chunk, row, std::min(block, end - row));
  });
}

/// Calls body(offset, first, last) for parts of all rows or spans, from the one of number `first` to before `last`.
template <class Body>
void for_parts(const Channels& c, Body body) {
  const int64_t each = c.by_rows ? c.channels : c.inner, count = c.by_rows ? c.count() : c.outer * c.channels;
  parallel_for(0, count, std::max<int64_t>(kElementGrain / (each + 1), 1),
               [&](int64_t first, int64_t last) { body(first * each, first, last); });
}

/// The mean and the sum of squared deviations of each channel.
template <class T>
void channel_moments(const Channels& c, const T* x, double* mean, double* squares) {
  const NormLoops<T>& loops = kernels().norm.of<T>();
  const int64_t channels = c.channels;
  if (!c.by_rows) {
    for_channels(c, [&](int64_t channel) {
      double m = 0, s = 0;
      int64_t count = 0;
      for_spans(c, channel, [&](int64_t offset, int64_t spans, int64_t n) {
        double part_mean, part_squares;
        loops.span_moments(x + offset, spans, n, c.stride(), &part_mean, &part_squares);
        merge(m, s, count, part_mean, part_squares, spans * n);
        count += spans * n;
      });
      mean[channel] = m, squares[channel] = s;
    });
    return;
  }
  if (c.together > 1) {
    const Channels wide = c.wide();
    const Scratch<double> parts(2 * wide.channels);
    channel_moments(wide, x, parts.data(), parts.data() + wide.channels);
    std::fill(mean, mean + channels, 0.0);
    std::fill(squares, squares + channels, 0.0);
    for (int64_t i = 0; i < wide.channels; ++i)
      merge(mean[i % channels], squares[i % channels], i / channels * wide.count(), parts[i], parts[wide.channels + i],
            wide.count());
    return;
  }
  const int64_t chunks = chunk_count(c.count(), channels);
  const Scratch<double> parts(chunks * 2 * channels);
  const Scratch<T> blocks(chunks * 3 * channels);
  std::fill(parts.data(), parts.data() + chunks * 2 * channels, 0.0);
  for_row_blocks(c, chunks, [&](int64_t chunk, int64_t row, int64_t rows) {
    double* part = parts.data() + chunk * 2 * channels;
    merge_rows(part, part + channels, row - c.count() * chunk / chunks, x + row * channels, rows, channels,
               blocks.data() + chunk * 3 * channels);
  });
  std::fill(mean, mean + channels, 0.0);
  std::fill(squares, squares + channels, 0.0);
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    const int64_t first = c.count() * chunk / chunks, last = c.count() * (chunk + 1) / chunks;
    const double* part = parts.data() + chunk * 2 * channels;
    for (int64_t i = 0; i < channels; ++i) merge(mean[i], squares[i], first, part[i], part[channels + i], last - first);
  }
}

/// What is done with each element of a row, or each channel, in `factors`, of 3 numbers each.
template <class T>
ChannelNorm<T> channel_norm(const Channels& c, const double* mean, const T* rstd, const T* weight, const T* bias,
                            const Limits& limits, T* factors) {
  const int64_t width = c.wide().channels;
  T *rounded = factors, *scale = rounded + width, *shift = scale + width;
  for (int64_t i = 0; i < width; ++i) {
    const int64_t k = i % c.channels;
    rounded[i] = static_cast<T>(mean[k]);
    scale[i] = weight ? weight[k] * rstd[k] : rstd[k];
    shift[i] = (bias ? bias[k] : T(0)) - scale[i] * static_cast<T>(mean[k] - static_cast<double>(rounded[i]));
  }
  return {width, rounded, scale, shift, limits.low, limits.high};
}

/// Of each channel, the sums of the gradient that passes the limits, and of it times (x - mean).
template <class T>
void channel_sums(const Channels& c, const ChannelNorm<T>& norm, const T* dy, const T* x, double* sum,
                  double* product) {
  const NormLoops<T>& loops = kernels().norm.of<T>();
  const int64_t channels = c.channels;
  if (!c.by_rows) {
    for_channels(c, [&](int64_t channel) {
      double s = 0, p = 0;
      for_spans(c, channel, [&](int64_t offset, int64_t spans, int64_t n) {
        loops.span_sums(norm, channel, dy + offset, x + offset, spans, n, c.stride(), &s, &p);
      });
      sum[channel] = s, product[channel] = p;
    });
    return;
  }
  if (c.together > 1) {
    const Channels wide = c.wide();
    const Scratch<double> parts(2 * wide.channels);
    channel_sums(wide, norm, dy, x, parts.data(), parts.data() + wide.channels);
    std::fill(sum, sum + channels, 0.0);
    std::fill(product, product + channels, 0.0);
    for (int64_t i = 0; i < wide.channels; ++i)
      sum[i % channels] += parts[i], product[i % channels] += parts[wide.channels + i];
    return;
  }
  const int64_t chunks = chunk_count(c.count(), channels);
  const Scratch<double> parts(chunks * 2 * channels);
  const Scratch<T> blocks(chunks * 2 * channels);
  std::fill(parts.data(), parts.data() + chunks * 2 * channels, 0.0);
  for_row_blocks(c, chunks, [&](int64_t chunk, int64_t row, int64_t rows) {
    double* part = parts.data() + chunk * 2 * channels;
    T* block = blocks.data() + chunk * 2 * channels;
    loops.row_sums(norm, dy + row * channels, x + row * channels, rows, block, block + channels);
    for (int64_t i = 0; i < 2 * channels; ++i) part[i] += block[i];
  });
  for (int64_t i = 0; i < channels; ++i) {
    sum[i] = product[i] = 0;
    for (int64_t chunk = 0; chunk < chunks; ++chunk)
      sum[i] += parts[chunk * 2 * channels + i], product[i] += parts[(chunk * 2 + 1) * channels + i];
  }
}

/// running = (1 - momentum) * running + momentum * value, in place.
void update_running(const Tensor& running, const double* value, double momentum) {
  if (!running.defined()) return;
  dispatch(running.dtype(), [&]<class T> {
    if constexpr (std::is_floating_point_v<T> || std::is_same_v<compute_t<T>, float>) {
      T* p = running.data<T>();
      const int64_t stride = running.strides()[0];
      for (int64_t i = 0; i < running.numel(); ++i) {
        const double old = static_cast<double>(static_cast<compute_t<T>>(p[i * stride]));
        p[i * stride] = T(static_cast<compute_t<T>>((1 - momentum) * old + momentum * value[i]));
      }
    }
  });
  detail::bump_version(running);
}

}  // namespace

Normalized batch_norm(const char* op, const Tensor& x, const Tensor& running_mean, const Tensor& running_var,
                      const Tensor& weight, const Tensor& bias, bool training, double momentum, double eps,
                      const Limits& limits) {
  const Dtype dtype = compute_dtype(x.dtype());
  const Tensor in = dense(x), w = prepared(weight, dtype), b = prepared(bias, dtype);
  const int64_t channels = x.shape()[1], count = Channels(in).count();
  const Tensor y = empty_like(in, in.dtype()), mean = make_tensor({channels}, float64),
               rstd = make_tensor({channels}, dtype);
  const Tensor old_mean = training ? Tensor() : prepared(running_mean, float64),
               old_var = training ? Tensor() : prepared(running_var, float64);
  dispatch_compute(op, dtype, [&]<class T> {
    const NormLoops<T>& loops = kernels().norm.of<T>();
    const Scratch<double> variances(channels), some(2 * channels);
    double *means = mean.data<double>(), *vars = variances.data();
    if (!training) {
      std::copy_n(old_mean.data<double>(), channels, means);
      std::copy_n(old_var.data<double>(), channels, vars);
    } else {
      std::fill(means, means + channels, 0.0);
      std::fill(vars, vars + channels, 0.0);
    }
    if (training && count > 0) {
      int64_t before = 0;
      for_images(in, [&](int64_t first, int64_t last) {
        const Tensor part = images(op, in, first, last);
        const Channels c(part);
        channel_moments<T>(c, part.data<T>(), some.data(), some.data() + channels);
        for (int64_t i = 0; i < channels; ++i) merge(means[i], vars[i], before, some[i], some[channels + i], c.count());
        before += c.count();
      });
      const double n = static_cast<double>(count);
      for (int64_t i = 0; i < channels; ++i) vars[i] /= n - 1;  // as the running variance wants it
      update_running(running_mean, means, momentum);
      update_running(running_var, vars, momentum);
      for (int64_t i = 0; i < channels; ++i) vars[i] *= (n - 1) / n;
    }
    T* pr = rstd.data<T>();
    for (int64_t i = 0; i < channels; ++i) pr[i] = static_cast<T>(kernels::inverse_deviation(vars[i] + eps));
    for_images(in, [&](int64_t first_image, int64_t last_image) {
      const Tensor part = images(op, in, first_image, last_image), result = place_for(part, y);
      const Channels c(part), wide = c.wide();
      const Scratch<T> factors(3 * wide.channels);
      const ChannelNorm<T> norm =
          channel_norm<T>(c, means, pr, data_or_null<T>(w), data_or_null<T>(b), limits, factors.data());
      for_parts(wide, [&, from = part.data<T>(), to = result.data<T>()](int64_t at, int64_t first, int64_t last) {
        if (c.by_rows)
          loops.row_normalize(norm, from + at, to + at, last - first);
        else
          loops.span_normalize(norm, from, to, first, last, c.inner);
      });
      put(op, result, y, first_image, last_image);
    });
  });
  return {y, mean, rstd};
}

// With h = (x - mean) * rstd, and g = dy where y is within the limits, else 0:   dx = weight * rstd * (g - mean(g) - h
// * mean(g * h)) in training, else weight * rstd * g
NormGradients batch_norm_backward(const char* op, Tensor dy, const Tensor& x, const Tensor& weight, const Tensor& bias,
                                  const Tensor& mean, const Tensor& rstd, bool training, NormWanted wanted,
                                  const Limits& limits) {
  const Dtype dtype = rstd.dtype();
  const Tensor in = dense(x), g = like(std::exchange(dy, {}), in), w = prepared(weight, dtype),
               b = prepared(bias, dtype);
  NormGradients result;
  dispatch_compute(op, dtype, [&]<class T> {
    const NormLoops<T>& loops = kernels().norm.of<T>();
    const int64_t channels = x.shape()[1], count = Channels(in).count();
    const double* pm = mean.data<double>();
    const T *pr = rstd.data<T>(), *pw = data_or_null<T>(w);
    const auto norm_of = [&](const Channels& c, T* factors) {  // as in the forward pass
      return channel_norm<T>(c, pm, pr, pw, data_or_null<T>(b), limits, factors);
    };
    const auto rest = [&](int64_t i) { return pm[i] - static_cast<double>(static_cast<T>(pm[i])); };
    const Scratch<double> sums(4 * channels);
    double *sum = sums.data(), *product = sum + channels, *some = product + channels;
    std::fill(sum, sum + 2 * channels, 0.0);
    if ((training || wanted.weight || wanted.bias) && count > 0)
      for_images(in, [&](int64_t first, int64_t last) {
        const Tensor dy_part = images(op, g, first, last), part = images(op, in, first, last);
        const Channels c(part);
        const Scratch<T> factors(3 * c.wide().channels);
        channel_sums<T>(c, norm_of(c, factors.data()), dy_part.data<T>(), part.data<T>(), some, some + channels);
        for (int64_t i = 0; i < 2 * channels; ++i) sum[i] += some[i];
      });
    for (int64_t i = 0; i < channels; ++i) product[i] -= rest(i) * sum[i];
    if (wanted.weight) {
      result.weight = make_tensor({channels}, dtype);
      for (int64_t i = 0; i < channels; ++i) result.weight.data<T>()[i] = static_cast<T>(product[i] * pr[i]);
    }
    if (wanted.bias) {
      result.bias = make_tensor({channels}, dtype);
      for (int64_t i = 0; i < channels; ++i) result.bias.data<T>()[i] = static_cast<T>(sum[i]);
    }
    if (!wanted.x) return;
    result.x = in_place_of(g);
    for_images(in, [&](int64_t first_image, int64_t last_image) {
      const Tensor dy_part = images(op, g, first_image, last_image), part = images(op, in, first_image, last_image),
                   dx = place_for(part, result.x);
      const Channels c(part), wide = c.wide();
      const Scratch<T> factors(5 * wide.channels);
      T *slope = factors.data() + 3 * wide.channels, *offset = slope + wide.channels;
      const ChannelNorm<T> norm = norm_of(c, factors.data());
      const double n = static_cast<double>(count);
      for (int64_t i = 0; i < wide.channels; ++i) {
        const int64_t k = i % channels;
        const double a = static_cast<double>(pr[k]) * (pw ? static_cast<double>(pw[k]) : 1.0), r = pr[k];
        const double factor = training ? -a * r * r * product[k] / n : 0;
        slope[i] = static_cast<T>(factor);
        offset[i] = training ? static_cast<T>(-a * sum[k] / n - factor * rest(k)) : T(0);
      }
      const T *pg = dy_part.data<T>(), *from = part.data<T>();
      T* to = dx.data<T>();
      for_parts(wide, [&](int64_t at, int64_t first, int64_t last) {
        if (c.by_rows)
          loops.row_gradient(norm, slope, offset, pg + at, from + at, to + at, last - first);
        else
          loops.span_gradient(norm, slope, offset, pg, from, to, first, last, c.inner);
      });
      put(op, dx, result.x, first_image, last_image);
    });
  });
  return result;
}

}  // namespace cotangent::raw
