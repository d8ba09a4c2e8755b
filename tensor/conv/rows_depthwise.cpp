// Convolution with one channel a group where pixels are rows of channels. There are no margins: results whose taps lie
// inside the image alike are computed together, and each is the sum of its taps that do.

#include <cotangent/tensor/conv/rows_internal.hpp>

#include <utility>

#include <cotangent/tensor/conv/loops_internal.hpp>
#include <cotangent/tensor/dispatch_internal.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/kernels/kernels.hpp>

namespace cotangent::raw {
namespace {

using kernels::DepthwiseRows;

constexpr MemoryFormat kRows = MemoryFormat::channels_last;
constexpr int64_t kElements = 2048;  // of the result, about, that are computed before the next ones

/// Neighbouring positions along an axis that read the same taps.
struct Stretch {
  const ConvAxis* axis;
  int64_t first, last, tap, end_tap;

  int64_t source(int64_t position) const { return position * axis->step; }
  int64_t place(int64_t position) const { return axis->place + position * axis->place_step; }
  int64_t offset(int64_t k) const { return axis->shift + k * axis->shift_step; }
  int64_t weight(int64_t k) const { return axis->tap + k * axis->tap_step; }
};

PooledVector<Stretch> stretches(const PooledVector<ConvAxis>& phases) {
  PooledVector<Stretch> all;
  for (const ConvAxis& a : phases)
    for (int64_t u = 0; u < a.positions; ++u) {
      const auto inside = [&](int64_t k) {
        const int64_t at = u * a.step + a.shift + k * a.shift_step;
        return 0 <= at && at < a.source;
      };
      int64_t tap = 0;
      while (tap < a.taps && !inside(tap)) ++tap;
      int64_t end = tap;
      while (end < a.taps && inside(end)) ++end;
      if (u > 0 && all.back().tap == tap && all.back().end_tap == end)
        ++all.back().last;
      else
        all.push_back({&a, u, u + 1, tap, end});
    }
  return all;
}

/// Whether there are three taps and a margin of one, which ends with the last result or before it.
bool has_margin(const PooledVector<ConvAxis>& phases) {
  const ConvAxis& a = phases[0];
  return phases.size() == 1 && a.taps == 3 && a.shift == -1 && a.shift_step == 1 &&
         a.positions == (a.source - 1) / a.step + 1;
}

/// How results are computed from the source, down and along the image. An input gradient has phases, between whose
/// positions those of the others lie.
class Pixels {
 public:
  Pixels(int64_t images, int64_t channels, PooledVector<ConvAxis> down, PooledVector<ConvAxis> along)
      : images_(images), channels_(channels), down_(std::move(down)), along_(std::move(along)) {
    for (PooledVector<ConvAxis>* axis : {&down_, &along_})
      for (ConvAxis& a : *axis)
        if (a.shift_step < 0) {  // taps from the first element to the last
          a.shift += (a.taps - 1) * a.shift_step, a.shift_step = -a.shift_step;
          a.tap += (a.taps - 1) * a.tap_step, a.tap_step = -a.tap_step;
        }
    if (has_margin(down_) && has_margin(along_) && down_[0].step == along_[0].step && down_[0].step <= 2)
      stride_ = down_[0].step;
    const auto all = [](const ConvAxis& a) { return PooledVector<Stretch>{{&a, 0, a.positions, 0, a.taps}}; };
    for (const Stretch& y : whole() ? all(down_[0]) : stretches(down_))
      for (const Stretch& x : whole() ? all(along_[0]) : stretches(along_)) {
        regions_.push_back({y, x, static_cast<int64_t>(taps_.size())});
        for (int64_t i = y.tap; i < y.end_tap; ++i)
          for (int64_t j = x.tap; j < x.end_tap; ++j) {
            offsets_.push_back((y.offset(i) * along_[0].source + x.offset(j)) * channels_);
            taps_.push_back((y.weight(i) * along_[0].kernel + x.weight(j)) * channels_);
          }
      }
  }

  Pixels(const Pixels&) = delete;  // a Stretch points to its axis

  /// Whether there are 3 x 3 taps with a margin of one and a stride of one or two, for which loops take whole rows.
  bool whole() const { return stride_ > 0; }
  /// Which of these loops.
  int64_t loop() const { return stride_ - 1; }
  /// Rows of results, image by image; those of all phases count as one.
  int64_t lines() const { return images_ * down_[0].positions; }
  int64_t line_pixels() const { return along_[0].result * static_cast<int64_t>(down_.size()); }
  int64_t channels() const { return channels_; }
  int64_t taps() const { return down_[0].kernel * along_[0].kernel; }
  double work() const { return double(lines() * line_pixels()) * double(taps() * channels_); }
  /// The elements of a row of the source.
  int64_t row() const { return along_[0].source * channels_; }

  /// Calls f(part, offset in the source, offset in the result) for the lines from `first` to before `last`.
  template <class T, class F>
  void for_parts(int64_t first, int64_t last, const T* x, const T* y, F&& f) const {
    const ConvAxis &down = down_[0], &along = along_[0];
    const int64_t height = down.positions, most = std::max<int64_t>(1, kElements / (line_pixels() * channels_));
    // what the lines up to this one read and write
    const auto source_end = [&](int64_t line) {
      const int64_t reach = down.shift + (down.taps - 1) * down.shift_step;
      const int64_t rows = std::clamp<int64_t>(line % height * down.step + reach, 0, down.source);
      return (line / height * down.source + rows) * row();
    };
    const auto result_end = [&](int64_t line) {
      return (line / height * down.result + line % height * down.place_step) * along.result * channels_;
    };
    DepthwiseRows<T> part = {};
    part.channels = channels_, part.height = down.source, part.width = along.source;
    part.x_block = down.source * row(), part.y_block = down.result * along.result * channels_;
    while (first < last) {
      const int64_t row = first % height, image = first / height, rows = std::min({most, height - row, last - first});
      part.blocks = rows == height ? std::min(most, last - first) / height : 1;
      const int64_t next = first + part.blocks * rows, end = std::min(last, next + part.blocks * rows);
      const T* const soon[2] = {x + source_end(next), y + result_end(next)};
      const int64_t count[2] = {source_end(end) - source_end(next), result_end(end) - result_end(next)};
      int64_t done = 0;  // pixels of the part, which share in asking for the next one
      for (const Region& r : regions_) {
        const int64_t top = std::max(row, r.y.first), bottom = std::min(row + rows, r.y.last);
        if (top >= bottom) continue;
        part.first_row = top, part.rows = bottom - top, part.pixels = r.x.last - r.x.first;
        const int64_t todo = done + part.rows * part.pixels, all = rows * line_pixels();
        for (int i = 0; i < 2; ++i)
          part.next[i] = {soon[i] + count[i] * done / all, count[i] * (todo - done) / all * int64_t(sizeof(T))};
        done = todo;
        part.x_row = r.y.axis->step * this->row(), part.x_pixel = r.x.axis->step * channels_;
        part.y_row = r.y.axis->place_step * along.result * channels_, part.y_pixel = r.x.axis->place_step * channels_;
        part.depth = (r.y.end_tap - r.y.tap) * (r.x.end_tap - r.x.tap);
        part.offsets = offsets_.data() + r.first, part.taps = taps_.data() + r.first;
        if (whole()) {
          part.x_row = this->row(), part.x_pixel = channels_;
          f(part, image * part.x_block, image * part.y_block);
          continue;
        }
        f(part, image * part.x_block + (r.y.source(top) * along.source + r.x.source(r.x.first)) * channels_,
          image * part.y_block + (r.y.place(top) * along.result + r.x.place(r.x.first)) * channels_);
      }
      first += part.blocks * rows;
    }
  }

 private:
  struct Region {
    Stretch y, x;
    int64_t first;  // in offsets_ and taps_
  };
  int64_t images_, channels_;
  PooledVector<ConvAxis> down_, along_;
  int64_t stride_ = 0;
  PooledVector<Region> regions_;
  PooledVector<int64_t> offsets_, taps_;
};

template <class T>
const kernels::DepthwiseRowsLoops<T>& loop() {
  return kernels::kernels().depthwise_rows.of<T>();
}

/// The weights of each tap side by side.
template <class T>
Tensor by_taps(const Tensor& w) {
  const int64_t channels = w.shape()[0], taps = w.numel() / channels;
  const Tensor turned = make_tensor({taps, channels}, dtype_of<T>);
  kernels::kernels().copy.of<T>().transpose(w.raw_data(), channels, taps, taps, turned.data<T>(), channels);
  return turned;
}

template <class T>
const T* data_or_null(const Tensor& x) {
  return x.defined() ? x.data<T>() : nullptr;
}

/// y = bias + the sum over the taps of w (channels, taps) times x.
template <class T>
void filter(const Pixels& pixels, const T* x, const Tensor& w, const Tensor& bias, T* y) {
  const Tensor turned = by_taps<T>(w);
  const PooledVector<T> zeros(static_cast<size_t>(pixels.row()));
  const int64_t grain = static_cast<int64_t>(kSerialWork / pixels.work() * double(pixels.lines()));
  parallel_for(0, pixels.lines(), std::max<int64_t>(1, grain), [&](int64_t first, int64_t last) {
    pixels.for_parts(first, last, x, y, [&](DepthwiseRows<T> part, int64_t from, int64_t to) {
      part.x = x + from, part.w = turned.data<T>(), part.start = data_or_null<T>(bias), part.y = y + to;
      part.zeros = zeros.data();
      if (pixels.whole()) return loop<T>().filter_3x3[pixels.loop()](part);
      if (part.pixels < part.rows) {  // blocks of pixels go the longer way
        std::swap(part.rows, part.pixels);
        std::swap(part.x_row, part.x_pixel);
        std::swap(part.y_row, part.y_pixel);
      }
      loop<T>().filter(part);
    });
  });
}

/// dw (channels, taps) = the sum over the pixels of g times x, for each tap; and where pixels are whole, dx = bias +
/// the gradient of x. Without x or w there is no dw or dx.
template <class T>
void gradients(const Pixels& pixels, T* g, const T* x, const Tensor& w, const Tensor& bias, T* dx, const Tensor& dw) {
  const int64_t channels = pixels.channels(), each = pixels.taps() * channels, lines = pixels.lines();
  const int64_t most = std::clamp<int64_t>(kPartials / each, 4, 32),
                chunks = pixels.work() < kSerialWork ? 1 : std::min(lines, most);
  const Tensor turned = dx ? by_taps<T>(w) : Tensor(), partial = make_tensor({x ? chunks * each : 0}, dtype_of<T>);
  std::fill_n(partial.data<T>(), partial.numel(), T(0));
  const PooledVector<T> zeros(static_cast<size_t>(pixels.row()));
  parallel_chunks(chunks, [&](int64_t chunk) {
    pixels.for_parts(lines * chunk / chunks, lines * (chunk + 1) / chunks, x, g,
                     [&](DepthwiseRows<T> part, int64_t from, int64_t to) {
                       part.y = g + to, part.start = data_or_null<T>(bias), part.zeros = zeros.data();
                       if (x) part.x = x + from, part.dw = partial.data<T>() + chunk * each;
                       if (dx) part.dx = dx + from, part.w = turned.data<T>();
                       (pixels.whole() ? loop<T>().gradients_3x3[pixels.loop()] : loop<T>().correlate)(part);
                     });
  });
  if (x) sum_chunks(partial.data<T>(), chunks, 1, each, pixels.taps(), channels, channels, dw.data<T>());
}

Pixels forward_pixels(const Shape& x, const Shape& w, const Shape& y, const ConvGeometry& geometry) {
  const ConvAxes all = forward_axes(x, w, y, geometry);
  return Pixels(x[0], x[1], {all.axes[1]}, {all.axes[2]});
}

}  // namespace

Tensor conv_rows_depthwise(const Tensor& x, const Tensor& w, const Tensor& bias, const Shape& shape,
                           const ConvGeometry& geometry) {
  const Tensor source = contiguous(x, kRows), weight = contiguous(w), start = bias.defined() ? contiguous(bias) : bias;
  const Tensor y = empty_in_format(shape, x.dtype(), kRows);
  const Pixels pixels = forward_pixels(x.shape(), w.shape(), shape, geometry);
  dispatch_compute("conv", x.dtype(),
                   [&]<class T> { filter<T>(pixels, source.data<T>(), weight, start, y.data<T>()); });
  return y;
}

Tensor conv_rows_depthwise_input_grad(const Tensor& g, const Tensor& w, const Tensor& bias, const Shape& x_shape,
                                      const ConvGeometry& geometry) {
  const Tensor gradient = contiguous(g, kRows), weight = contiguous(w),
               start = bias.defined() ? contiguous(bias) : bias;
  const Tensor dx = empty_in_format(x_shape, g.dtype(), kRows);
  const Pixels whole = forward_pixels(x_shape, w.shape(), g.shape(), geometry);
  PooledVector<ConvAxis> phases[2];
  for (int d = 1; d < 3; ++d)
    for (int64_t phase = 0; phase < std::min(geometry.stride[d], x_shape[1 + d]); ++phase)
      phases[d - 1].push_back(adjoint_axis(g.shape()[1 + d], w.shape()[1 + d], x_shape[1 + d], geometry, d, phase));
  dispatch_compute("conv", g.dtype(), [&]<class T> {
    if (whole.whole()) return gradients<T>(whole, gradient.data<T>(), nullptr, weight, start, dx.data<T>(), Tensor());
    filter<T>(Pixels(g.shape()[0], g.shape()[1], phases[0], phases[1]), gradient.data<T>(), weight, start,
              dx.data<T>());
  });
  return dx;
}

Tensor conv_rows_depthwise_weight_grad(const Tensor& g, const Tensor& x, const Shape& w_shape,
                                       const ConvGeometry& geometry) {
  const Tensor gradient = contiguous(g, kRows), source = contiguous(x, kRows), dw = make_tensor(w_shape, g.dtype());
  const Pixels pixels = forward_pixels(x.shape(), w_shape, g.shape(), geometry);
  dispatch_compute("conv", g.dtype(), [&]<class T> {
    gradients<T>(pixels, gradient.data<T>(), source.data<T>(), Tensor(), Tensor(), nullptr, dw);
  });
  return dw;
}

ConvGradients conv_rows_depthwise_grads(const Tensor& g, Tensor x, const Tensor& w, const ConvGeometry& geometry) {
  const Shape shape = x.shape();
  const Pixels pixels = forward_pixels(shape, w.shape(), g.shape(), geometry);
  if (!pixels.whole()) {
    const Tensor dw = conv_rows_depthwise_weight_grad(g, std::exchange(x, {}), w.shape(), geometry);
    return {conv_rows_depthwise_input_grad(g, w, Tensor(), shape, geometry), dw};
  }
  const Tensor gradient = contiguous(g, kRows), source = contiguous(std::exchange(x, {}), kRows),
               weight = contiguous(w), dx = in_place_of(source), dw = make_tensor(w.shape(), g.dtype());
  dispatch_compute("conv", g.dtype(), [&]<class T> {
    gradients<T>(pixels, gradient.data<T>(), source.data<T>(), weight, Tensor(), dx.data<T>(), dw);
  });
  return {dx, dw};
}

}  // namespace cotangent::raw
