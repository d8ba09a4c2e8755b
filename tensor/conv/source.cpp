#include <cotangent/tensor/conv/source_internal.hpp>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>

#include <cotangent/tensor/kernels/kernels.hpp>

namespace cotangent::raw {
namespace {

// How weight gradients are cut into sums, alike on all machines:
constexpr int64_t kUnitPixels = 768;  // of the result, about, where there are many units of as many
constexpr int64_t kUnits = 8;         // else so many units, of no fewer than
constexpr int64_t kFewPixels = 96;
constexpr int64_t kUnitElements = 384 * 1024;  // of the source, at most, where one image has fewer

}  // namespace

int64_t spatial(const Shape& shape, const ConvGeometry& geometry, int d) {
  return d < 3 - geometry.dims ? 1 : shape[shape.rank() - 3 + d];
}

ConvAxes forward_axes(const Shape& x, const Shape& w, const Shape& y, const ConvGeometry& geometry) {
  ConvAxes all;
  for (int d = 0; d < 3; ++d) {
    const int64_t result = spatial(y, geometry, d), kernel = spatial(w, geometry, d);
    all.axes[d] = {.source = spatial(x, geometry, d),
                   .result = result,
                   .positions = result,
                   .step = result == 1 ? 1 : geometry.stride[d],  // which then only makes the copy larger
                   .taps = kernel,
                   .shift = -geometry.padding[d],
                   .shift_step = geometry.dilation[d],
                   .kernel = kernel};
  }
  return all;
}

// The inverse of a modulo n, which have no common divisor, by Euclid's algorithm.
static int64_t inverse(int64_t a, int64_t n) {
  int64_t before = 0, now = 1, larger = n, smaller = a % n;
  while (smaller != 0) {
    const int64_t quotient = larger / smaller;
    before = std::exchange(now, before - quotient * now);
    larger = std::exchange(smaller, larger - quotient * smaller);
  }
  return before < 0 ? before + n : before;
}

PooledVector<int64_t> reached_phases(int64_t w, int64_t x, const ConvGeometry& geometry, int d) {
  const int64_t stride = geometry.stride[d], dilation = geometry.dilation[d];
  PooledVector<int64_t> phases;
  for (int64_t tap = 0; tap < std::min(w, stride / std::gcd(stride, dilation)); ++tap) {
    const int64_t phase = (tap * dilation - geometry.padding[d]) % stride, place = phase < 0 ? phase + stride : phase;
    if (place < x) phases.push_back(place);
  }
  return phases;
}

ConvAxis adjoint_axis(int64_t g, int64_t w, int64_t x, const ConvGeometry& geometry, int d, int64_t phase) {
  const int64_t stride = geometry.stride[d], padding = geometry.padding[d], dilation = geometry.dilation[d];
  const int64_t common = std::gcd(stride, dilation), every = stride / common, rest = (phase + padding) % stride;
  // first * dilation = rest, modulo the stride
  const int64_t first = rest % common == 0 ? rest / common * inverse(dilation / common, every) % every : every;
  return {.source = g,
          .result = x,
          .positions = phase < x ? (x - phase + stride - 1) / stride : 0,
          .step = 1,
          .place = phase,
          .place_step = stride,
          .taps = first < every && first < w ? (w - 1 - first) / every + 1 : 0,
          .shift = (phase + padding - first * dilation) / stride,
          .shift_step = -(every * dilation / stride),
          .kernel = w,
          .tap = first,
          .tap_step = every};
}

ConvAxis spread_axis(int64_t g, int64_t w, int64_t x, const ConvGeometry& geometry, int d) {
  return {.source = g,
          .result = x,
          .spread = geometry.stride[d],
          .positions = x,
          .taps = w,
          .shift = geometry.padding[d],
          .shift_step = -geometry.dilation[d],
          .kernel = w};
}

ConvGroup::ConvGroup(const ConvAxis (&all)[3], int64_t images_, int64_t channels_, int64_t all_channels_,
                     int64_t result_channels_, MemoryFormat format_)
    : axes{all[0], all[1], all[2]},
      images(images_),
      channels(channels_),
      all_channels(all_channels_),
      result_channels(result_channels_),
      format(format_) {
  const ConvAxis &z = axes[0], &y = axes[1], &x = axes[2];
  const bool rows = format == MemoryFormat::channels_last;
  const int64_t plane = z.source * y.source * x.source, result = result_plane();
  image_stride = all_channels * plane;
  channel_stride = rows ? 1 : plane;
  pixel_stride = rows ? all_channels : 1;
  result_channel_stride = rows ? 1 : result;
  result_image_stride = rows ? result : result_channels * result;
}

ConvSource::ConvSource(const ConvGroup& group, bool always_copy) : ConvGroup(group) {
  const ConvAxis &z = axes[0], &y = axes[1], &x = axes[2];
  in_place_ = !always_copy && pixel_stride == 1;
  for (const ConvAxis& a : axes)
    in_place_ = in_place_ && a.taps == 1 && a.shift == 0 && a.step == 1 && a.spread == 1 && a.source == a.positions &&
                a.result == a.positions;
  const int64_t pixels = z.positions * y.positions * x.positions;
  column_class_ = (x.extent(x.positions) + x.step - 1) / x.step;
  row_ = x.step * column_class_;
  const int64_t unit_pixels = std::clamp<int64_t>(images * pixels / kUnits, kFewPixels, kUnitPixels);
  band_ = std::clamp<int64_t>((unit_pixels + x.positions - 1) / x.positions, 1, y.positions);
  if (z.positions > 1) band_ = y.positions;
  bands_ = (y.positions + band_ - 1) / band_;
  band_ = (y.positions + bands_ - 1) / bands_;
  bands_ = (y.positions + band_ - 1) / band_;
  rows_ = in_place_ ? y.source : y.extent(band_);
  // an odd number of cache lines a plane, so that the planes of many channels do not compete for the same places
  plane_ = in_place_ ? channel_stride : (z.extent(z.positions) * rows_ * row_ + 15) / 16 * 16;
  if (!in_place_ && plane_ / 16 % 2 == 0) plane_ += 16;
  image_ = in_place_ ? image_stride : channels * plane_;
  unit_images_ = bands_ > 1 ? 1
                            : std::clamp<int64_t>(std::min((unit_pixels + pixels / 2) / pixels, kUnitElements / image_),
                                                  1, images);
  const int64_t parts = (images + unit_images_ - 1) / unit_images_;
  unit_images_ = (images + parts - 1) / parts;
  units_ = (images + unit_images_ - 1) / unit_images_ * bands_;
}

ConvSource::Unit ConvSource::unit(int64_t i) const {
  Unit u;
  u.first_image = i / bands_ * unit_images_;
  u.images = std::min(unit_images_, images - u.first_image);
  u.first_row = i % bands_ * band_;
  u.rows = std::min(band_, axes[1].positions - u.first_row);
  return u;
}

void ConvSource::offsets(int64_t* to) const {
  const ConvAxis &z = axes[0], &y = axes[1], &x = axes[2];
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t i = 0; i < z.taps; ++i)
      for (int64_t j = 0; j < y.taps; ++j)
        for (int64_t k = 0; k < x.taps; ++k) {
          const int64_t column = x.shift + k * x.shift_step - x.low();
          *to++ = in_place_ ? c * plane_
                            : c * plane_ + (z.shift + i * z.shift_step - z.low()) * rows_ * row_ +
                                  (y.shift + j * y.shift_step - y.low()) * row_ + column % x.step * column_class_ +
                                  column / x.step;
        }
}

template <class T>
const T* ConvSource::load(const Unit& u, const T* x, T* space) const {
  const ConvAxis &az = axes[0], &ay = axes[1], &ax = axes[2];
  x += u.first_image * image_stride;
  if (in_place_) return x + u.first_row * ax.source;
  const auto copy = kernels::kernels().conv.of<T>().copy;
  const int64_t planes = az.extent(az.positions), height = ay.extent(u.rows), width = ax.extent(ax.positions);
  if (ax.spread > 1 || ay.spread > 1 || az.spread > 1) return load_spread(u, x, space);
  if (pixel_stride > 1) return load_rows(u, x, space);
  const int64_t left = std::max<int64_t>(0, -ax.low()), right = std::min(width, ax.source - ax.low());
  const int64_t first_row = u.first_row * ay.step + ay.low();
  const int64_t top = std::clamp<int64_t>(-first_row, 0, height);
  const int64_t bottom = std::clamp<int64_t>(ay.source - first_row, top, height);
  for (int64_t n = 0; n < u.images; ++n)
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t i = std::max<int64_t>(0, -az.low()); i < std::min(planes, az.source - az.low()); ++i) {
        T* to = space + n * image_ + c * plane_ + i * rows_ * row_;
        const T* from =
            x + n * image_stride + c * channel_stride + ((az.low() + i) * ay.source + first_row) * ax.source + ax.low();
        if (bands_ > 1) {  // the margins above and below differ
          std::memset(to, 0, static_cast<size_t>(top * row_) * sizeof(T));
          std::memset(to + bottom * row_, 0, static_cast<size_t>((height - bottom) * row_) * sizeof(T));
        }
        for (int64_t remainder = 0; remainder < ax.step; ++remainder) {
          const int64_t q = left + (remainder - left % ax.step + ax.step) % ax.step;
          if (q >= right || top >= bottom) continue;
          copy(from + top * ax.source + q, ax.source, ax.step,
               to + top * row_ + remainder * column_class_ + q / ax.step, row_, bottom - top,
               (right - q + ax.step - 1) / ax.step);
        }
      }
  return space;
}

// The same where channels lie side by side, of images.
template <class T>
const T* ConvSource::load_rows(const Unit& u, const T* x, T* space) const {
  const ConvAxis &ay = axes[1], &ax = axes[2];
  const auto transpose = kernels::kernels().copy.of<T>().transpose;
  const int64_t height = ay.extent(u.rows), width = ax.extent(ax.positions);
  const int64_t left = std::max<int64_t>(0, -ax.low()), right = std::min(width, ax.source - ax.low());
  const int64_t first_row = u.first_row * ay.step + ay.low();
  for (int64_t n = 0; n < u.images; ++n)
    for (int64_t i = 0; i < height; ++i) {
      T* const to = space + n * image_ + i * row_;
      const int64_t row = first_row + i;
      if (row < 0 || row >= ay.source) {  // a margin, where another band has pixels
        for (int64_t c = 0; bands_ > 1 && c < channels; ++c)
          std::memset(to + c * plane_, 0, static_cast<size_t>(row_) * sizeof(T));
        continue;
      }
      const T* from = x + n * image_stride + (row * ax.source + ax.low()) * pixel_stride;
      for (int64_t remainder = 0; remainder < ax.step; ++remainder) {
        const int64_t q = left + (remainder - left % ax.step + ax.step) % ax.step;
        if (q < right)
          transpose(from + q * pixel_stride, (right - q + ax.step - 1) / ax.step, channels, ax.step * pixel_stride,
                    to + remainder * column_class_ + q / ax.step, plane_);
      }
    }
  return space;
}

// The same where zeros lie between the elements.
template <class T>
const T* ConvSource::load_spread(const Unit& u, const T* x, T* space) const {
  const ConvAxis &az = axes[0], &ay = axes[1], &ax = axes[2];
  const int64_t first_row = u.first_row * ay.step + ay.low();
  if (bands_ > 1) std::memset(space, 0, static_cast<size_t>(size()) * sizeof(T));  // its elements lie in other rows_
  // the elements of an axis that a unit reads, from its position `low` on
  const auto first = [](const ConvAxis& a, int64_t low) {
    return std::max<int64_t>(0, (low + a.spread - 1) / a.spread);
  };
  const auto last = [](const ConvAxis& a, int64_t low, int64_t extent) {
    return std::min(a.source, low + extent <= 0 ? 0 : (low + extent - 1) / a.spread + 1);
  };
  const auto loop = kernels::kernels().depthwise.of<T>().spread;
  const int64_t top = first(ay, first_row), bottom = last(ay, first_row, ay.extent(u.rows)), left = first(ax, ax.low()),
                right = last(ax, ax.low(), ax.extent(ax.positions));
  const bool by_two = ax.spread == 2 && 2 * right - ax.low() <= row_;  // the last zero is within the row_
  for (int64_t n = 0; n < u.images; ++n)
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t i = first(az, az.low()); i < last(az, az.low(), az.extent(az.positions)); ++i) {
        const T* from = x + n * image_stride + c * channel_stride + i * ay.source * ax.source;
        T* to = space + n * image_ + c * plane_ + (i * az.spread - az.low()) * rows_ * row_ - ax.low();
        if (by_two && top < bottom) {
          loop(from + top * ax.source + left, ax.source, to + (top * ay.spread - first_row) * row_ + left * ax.spread,
               ay.spread * row_, bottom - top, right - left);
          continue;
        }
        for (int64_t j = top; j < bottom; ++j)
          for (int64_t k = left; k < right; ++k)
            to[(j * ay.spread - first_row) * row_ + k * ax.spread] = from[j * ax.source + k];
      }
  return space;
}

ConvSource::Line ConvSource::line(const Unit& u, int64_t i) const {
  const ConvAxis &z = axes[0], &y = axes[1], &x = axes[2];
  if (in_place_)
    return {i * image_, (u.first_image + i) * result_image_stride + x.place + u.first_row * x.result, line_pixels(u)};
  const int64_t row = i % u.rows, k = i / u.rows % z.positions, n = i / u.rows / z.positions;
  const int64_t slice = (z.place + k * z.place_step) * y.result + y.place;
  return {n * image_ + k * slice_step() + row * row_step(),
          (u.first_image + n) * result_image_stride + x.place + (slice + (u.first_row + row) * y.place_step) * x.result,
          (u.rows - row) * x.positions};
}

ConvSource::Pixels ConvSource::result_pixels(const Unit& u, int64_t side) const {
  const ConvAxis &y = axes[1], &x = axes[2];
  const int64_t first = std::max<int64_t>(0, y.place + side * u.first_row),
                last = std::min(y.result, y.place + side * (u.first_row + u.rows));
  return {u.first_image * result_image_stride + first * x.result,
          (u.images - 1) * result_image_stride + (last - first) * x.result};
}

int64_t ConvSource::most_result_pixels(int64_t side) const {
  return bands_ > 1 ? side * band_ * axes[2].result : unit_images_ * result_image_stride;
}

bool ConvSource::is_3x3() const {
  const ConvAxis &z = axes[0], &y = axes[1], &x = axes[2];
  bool dense = channels == 1 && z.taps == 1 && !in_place_;
  for (const ConvAxis* a : {&y, &x})
    dense = dense && a->taps == 3 && a->step == 1 && a->place_step == 1 && (a->shift_step == 1 || a->shift_step == -1);
  return dense;
}

ConvSource::Planes ConvSource::planes_3x3(size_t element) const {
  const ConvAxis &z = axes[0], &y = axes[1], &x = axes[2];
  if (in_place_ || channels != 1 || z.source != 1 || z.positions != 1 || z.taps != 1 || z.shift != 0)
    return Planes::none;
  if (std::min(x.source, x.result) * static_cast<int64_t>(element) < 16) return Planes::none;
  const auto all = [&](int64_t step, int64_t spread) {
    for (const ConvAxis* a : {&y, &x}) {
      const int64_t large = spread > 1 ? a->result : a->source, small = spread > 1 ? a->source : a->result;
      if (a->taps != 3 || a->step != step || a->spread != spread || a->low() != -1 || a->positions != a->result ||
          (a->shift_step != 1 && a->shift_step != -1) || small != (large + step * spread - 1) / (step * spread))
        return false;
    }
    return true;
  };
  return all(1, 1) ? Planes::same : all(2, 1) ? Planes::halved : all(1, 2) ? Planes::doubled : Planes::none;
}

template const float* ConvSource::load(const Unit&, const float*, float*) const;
template const double* ConvSource::load(const Unit&, const double*, double*) const;

}  // namespace cotangent::raw
