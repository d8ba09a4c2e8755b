#include <cotangent/tensor/resize.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>

#include <cotangent/tensor/dispatch_internal.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/kernels/kernels.hpp>
#include <cotangent/tensor/memory/scratch_internal.hpp>
#include <cotangent/tensor/parallel.hpp>
#include <cotangent/tensor/precision_internal.hpp>
#include <cotangent/tensor/views.hpp>

namespace cotangent::raw {
namespace {

/// Output o is the sum over k < width of weight[o * width + k] * input[first[o] + k]; unused weights are 0 and their
/// inputs exist.
struct Taps {
  int64_t width = 1;
  PooledVector<int64_t> first;
  PooledVector<double> weight;
};

double cubic_weight(double z, double a) {  // Keys' convolution kernel
  z = std::fabs(z);
  if (z <= 1) return ((a + 2) * z - (a + 3)) * z * z + 1;
  return z < 2 ? ((a * z - 5 * a) * z + 8 * a) * z - 4 * a : 0;
}

/// A row of the table before it is packed: weights of the inputs from `first` on.
struct Row {
  int64_t first;
  PooledVector<double> weights;
  // indices beyond the border count as the border
  void add(int64_t index, double w, int64_t in) {
    index = std::clamp<int64_t>(index, 0, in - 1);
    if (weights.empty()) first = index;
    const size_t at = static_cast<size_t>(index - first);
    if (weights.size() <= at) weights.resize(at + 1, 0.0);
    weights[at] += w;
  }
};

Row make_row(const Resampling& r, int64_t o) {
  Row row{0, {}};
  const double x = static_cast<double>(o);
  const double cubic_a = r.antialias ? -0.5 : -0.75;
  switch (r.filter) {
    case Filter::nearest: {  // in float32, like the rule that others follow
      const float scale = static_cast<float>(r.scale);
      const int64_t i = scale == 1      ? o  // exact, however large
                        : scale == 0.5f ? o / 2
                                        : static_cast<int64_t>(std::floor(static_cast<float>(o) * scale));
      row.add(i, 1, r.in);
      return row;
    }
    case Filter::nearest_exact:
      row.add(static_cast<int64_t>(std::floor((static_cast<float>(o) + 0.5f) * static_cast<float>(r.scale))), 1, r.in);
      return row;
    case Filter::area: {
      const int64_t begin = o * r.in / r.out, end = ((o + 1) * r.in + r.out - 1) / r.out;
      for (int64_t i = begin; i < end; ++i) row.add(i, 1.0 / static_cast<double>(end - begin), r.in);
      return row;
    }
    case Filter::linear:
    case Filter::cubic: break;
  }
  const bool cubic = r.filter == Filter::cubic;
  const double cells = static_cast<double>(r.in - 1) / static_cast<double>(std::max<int64_t>(r.out - 1, 1));
  const double scale = !r.align_corners ? r.scale : r.out > 1 ? cells : 0;
  if (r.antialias) {
    const double stretch = std::max(scale, 1.0), support = (cubic ? 2 : 1) * stretch, center = scale * (x + 0.5);
    const auto nearest = [](double edge) { return static_cast<int64_t>(std::floor(edge + 0.5)); };
    const int64_t begin = std::max<int64_t>(nearest(center - support), 0);
    const int64_t end = std::min<int64_t>(nearest(center + support), r.in);
    double total = 0;
    for (int64_t i = begin; i < end; ++i) {
      const double z = (static_cast<double>(i) - center + 0.5) / stretch;
      const double w = cubic ? cubic_weight(z, cubic_a) : std::max(0.0, 1 - std::fabs(z));
      row.add(i, w, r.in);
      total += w;
    }
    for (double& w : row.weights) w /= total;
    return row;
  }
  double position = r.align_corners ? scale * x : scale * (x + 0.5) - 0.5;
  if (!cubic) position = std::max(position, 0.0);
  const int64_t i = static_cast<int64_t>(std::floor(position));
  const double t = position - static_cast<double>(i);
  if (!cubic) {
    row.add(i, 1 - t, r.in);
    row.add(i + 1, t, r.in);
  } else {
    for (int64_t k = -1; k <= 2; ++k) row.add(i + k, cubic_weight(t - static_cast<double>(k), cubic_a), r.in);
  }
  return row;
}

Taps pack(const PooledVector<Row>& rows, int64_t inputs) {
  Taps taps;
  for (const Row& row : rows) taps.width = std::max(taps.width, static_cast<int64_t>(row.weights.size()));
  taps.weight.assign(rows.size() * static_cast<size_t>(taps.width), 0.0);
  for (size_t o = 0; o < rows.size(); ++o) {
    // near the end the row starts earlier, so that all its inputs exist
    const int64_t first = std::max<int64_t>(0, std::min(rows[o].first, inputs - taps.width));
    taps.first.push_back(first);
    const size_t shift = static_cast<size_t>(rows[o].first - first);
    std::copy(rows[o].weights.begin(), rows[o].weights.end(),
              taps.weight.begin() + static_cast<std::ptrdiff_t>(o * static_cast<size_t>(taps.width) + shift));
  }
  return taps;
}

Taps make_taps(const Resampling& r, bool adjoint) {
  PooledVector<Row> rows(static_cast<size_t>(r.out));
  for (int64_t o = 0; o < r.out; ++o) rows[static_cast<size_t>(o)] = make_row(r, o);
  if (!adjoint) return pack(rows, r.in);
  // the outputs that an input reaches lie side by side
  PooledVector<Row> columns(static_cast<size_t>(r.in), Row{0, {}});
  for (int64_t o = 0; o < r.out; ++o) {
    const Row& row = rows[static_cast<size_t>(o)];
    for (size_t k = 0; k < row.weights.size(); ++k)
      if (row.weights[k] != 0) columns[static_cast<size_t>(row.first) + k].add(o, row.weights[k], r.out);
  }
  return pack(columns, r.out);
}

/// One dimension, as the kernels want it.
template <class T>
class Axis {
 public:
  Axis(const Resampling& how, bool adjoint) : taps_(make_taps(how, adjoint)) {
    weight_.assign(taps_.weight.begin(), taps_.weight.end());
    const int64_t in = adjoint ? how.out : how.in, out = adjoint ? how.in : how.out;
    loop.in = in, loop.out = out, loop.width = taps_.width;
    loop.identity = in == out && taps_.width == 1;
    for (int64_t o = 0; o < out && loop.identity; ++o)
      loop.identity = taps_.first[size_t(o)] == o && weight_[size_t(o)] == T(1);
    find_period();
    loop.first = taps_.first.data(), loop.weight = weight_.data(), loop.offset = offset_.data();
  }
  Axis(const Axis&) = delete;
  Axis& operator=(const Axis&) = delete;

  kernels::ResampleAxis<T> loop{};

 private:
  static constexpr int64_t kFewest = 16;  // at least a vector of any instruction set

  // From the middle on, both ways, as long as weights repeat exactly.
  void find_period() {
    const int64_t repeats = std::gcd(loop.in, loop.out), period = loop.out / repeats, step = loop.in / repeats;
    loop.begin = loop.out;
    if (repeats < kFewest || period > 16 || step > 16) return;
    const auto alike = [&](int64_t o) {  // the period from o on, and the next
      for (int64_t i = o; i < o + period; ++i) {
        if (taps_.first[size_t(i + period)] != taps_.first[size_t(i)] + step) return false;
        const T *a = weight_.data() + i * loop.width, *b = a + period * loop.width;
        if (!std::equal(a, a + loop.width, b)) return false;
      }
      return true;
    };
    int64_t begin = repeats / 2 * period, end = begin + period;
    while (begin >= period && alike(begin - period)) begin -= period;
    while (end + period <= loop.out && alike(end - period)) end += period;
    if ((end - begin) / period < kFewest) return;
    loop.begin = begin, loop.count = (end - begin) / period, loop.period = period, loop.step = step;
    loop.base = *std::min_element(taps_.first.begin() + begin, taps_.first.begin() + begin + period);
    loop.length = (loop.in - loop.base) / step + 1;
    for (int64_t p = 0; p < period; ++p)
      for (int64_t k = 0; k < loop.width; ++k) {
        const int64_t at = taps_.first[size_t(begin + p)] + k - loop.base;
        offset_.push_back(at % step * loop.length + at / step);
      }
  }

  Taps taps_;
  PooledVector<T> weight_;
  PooledVector<int64_t> offset_;
};

// x as planes of `rows.in` times `columns.in`.
template <class T>
void resample_planes(const kernels::ResampleAxis<T>& rows, const kernels::ResampleAxis<T>& columns, const T* x, T* y,
                     int64_t planes) {
  const auto loop = kernels::kernels().resize.of<T>().resample;
  const int64_t space =
      columns.identity ? 0 : columns.in + columns.step * columns.length + columns.period * columns.count;
  const int64_t work = std::max<int64_t>(1, columns.out * (rows.width + columns.width));
  parallel_for(0, planes * rows.out, std::max<int64_t>(1, 65536 / work), [&](int64_t begin, int64_t end) {
    const Scratch<T> scratch(kernels::kResampleBlock * space);
    while (begin < end) {
      const int64_t plane = begin / rows.out, row = begin % rows.out, count = std::min(rows.out - row, end - begin);
      loop(rows, columns, x + plane * rows.in * columns.in, y + plane * rows.out * columns.out, row, row + count,
           scratch.data());
      begin += count;
    }
  });
}

// The same of images whose pixels are rows of channels.
template <class T>
void resample_pixels(const kernels::ResampleAxis<T>& rows, const kernels::ResampleAxis<T>& columns, int64_t channels,
                     const T* x, T* y, int64_t images) {
  const auto loop = kernels::kernels().resize.of<T>().resample_pixels;
  const int64_t in = columns.in * channels, out = columns.out * channels;
  const int64_t work = std::max<int64_t>(1, out * (rows.width + columns.width));
  parallel_for(0, images * rows.out, std::max<int64_t>(1, 65536 / work), [&](int64_t begin, int64_t end) {
    const Scratch<T> line(in);
    while (begin < end) {
      const int64_t image = begin / rows.out, row = begin % rows.out, count = std::min(rows.out - row, end - begin);
      loop(rows, columns, channels, x + image * rows.in * in, y + image * rows.out * out, row, row + count,
           line.data());
      begin += count;
    }
  });
}
constexpr int64_t kFewChannels = 8;  // fewer are resampled in planes, whatever it takes to turn them

}  // namespace

Tensor resample(const char* op, const Tensor& x, std::span<const Resampling> how, bool adjoint) {
  if (is_low_precision(x.dtype())) return in_float32<cast>(resample, op, x, how, adjoint);
  const int dims = static_cast<int>(how.size()), outer = x.rank() - dims;
  if (dims > 2) {  // one after the other: the first of them is that of the rows, which hold all of the others
    Tensor y = resample(op, x, how.subspan(1), adjoint);
    Shape flat = {y.shape().slice(0, outer).product(), y.shape()[outer],
                  y.shape().slice(outer + 1, y.rank()).product()};
    const Resampling same{.filter = Filter::nearest, .in = flat[2], .out = flat[2], .scale = 1};
    const Resampling both[] = {how[0], same};
    Shape shape = y.shape();
    shape[outer] = adjoint ? how[0].in : how[0].out;
    return reshape(op, resample(op, reshape(op, y, flat), both, adjoint), shape);
  }
  const MemoryFormat format = memory_format(x);
  const bool pixels = format == MemoryFormat::channels_last;
  if (pixels && x.shape()[1] < kFewChannels)
    return in_format(resample(op, in_format(x, MemoryFormat::contiguous), how, adjoint), format);
  const Tensor dense = contiguous(x, format);
  Shape shape = x.shape();
  for (int d = 0; d < dims; ++d) shape[outer + d] = adjoint ? how[size_t(d)].in : how[size_t(d)].out;
  const Tensor y = empty_in_format(shape, x.dtype(), format, op);
  if (y.numel() == 0) return y;
  const Resampling one{.filter = Filter::nearest, .in = 1, .out = 1, .scale = 1};
  dispatch_compute(op, x.dtype(), [&]<class T> {
    const Axis<T> rows(dims == 2 ? how[0] : one, adjoint), columns(how[size_t(dims - 1)], adjoint);
    if (pixels)
      resample_pixels(rows.loop, columns.loop, shape[1], dense.data<T>(), y.data<T>(), shape[0]);
    else
      resample_planes(rows.loop, columns.loop, dense.data<T>(), y.data<T>(), shape.slice(0, outer).product());
  });
  return y;
}

}  // namespace cotangent::raw
