// Private: how a convolution reads its source. One description serves convolutions, their input gradients (as stride^d
// interleaved convolutions of the gradient without stride) and their weight gradients.
#pragma once
#include <algorithm>
#include <cstring>

#include <cotangent/tensor/conv/conv.hpp>
#include <cotangent/tensor/kernels/kernels.hpp>
#include <cotangent/tensor/tensor.hpp>

namespace cotangent::raw {

/// Along one dimension, position u of the result lies at place + u * place_step, and its tap j reads the source at
/// u * step + shift + j * shift_step (0 outside) with the kernel's element tap + j * tap_step (0 beyond its end).
struct ConvAxis {
  int64_t source = 1, result = 1;  // sizes
  int64_t spread = 1;              // of the source, whose elements lie so far apart, with zeros between them
  int64_t positions = 1, step = 1;
  int64_t place = 0, place_step = 1;
  int64_t taps = 1, shift = 0, shift_step = 0;
  int64_t kernel = 1, tap = 0, tap_step = 1;

  int64_t spread_source() const { return (source - 1) * spread + 1; }
  /// The first element that is read, and how many from there on `count` positions read.
  int64_t low() const { return shift + std::min<int64_t>(0, (taps - 1) * shift_step); }
  int64_t extent(int64_t count) const {
    return (count - 1) * step + (taps - 1) * (shift_step < 0 ? -shift_step : shift_step) + 1;
  }
};

struct ConvAxes {
  ConvAxis axes[3];
};
/// The axes of y = conv(x, w).
ConvAxes forward_axes(const Shape& x, const Shape& w, const Shape& y, const ConvGeometry& geometry);
/// One axis of x = conv_input_grad(g, w), for the positions p = phase + u * stride. Tap k of the kernel takes g at
/// (p + padding - k * dilation) / stride: those k that divide without remainder are an arithmetic progression.
ConvAxis adjoint_axis(int64_t g, int64_t w, int64_t x, const ConvGeometry& geometry, int d, int64_t phase);

/// The source of one group, cut into units of work: a few small images, or a band of rows of a large one. A unit is
/// copied with its margins of zeros, and with the columns of a strided convolution sorted by their remainder, so that
/// the pixels that a row of the result reads through one tap lie side by side. A source that lies so already is read
/// where it is.
struct ConvSource {
  static constexpr int64_t kUnitPixels = 768;  // of the result, about, where there are many units of as many
  static constexpr int64_t kUnits = 8;         // else so many units, of no fewer than
  static constexpr int64_t kFewPixels = 96;
  static constexpr int64_t kUnitElements = 384 * 1024;  // of the source, at most, where one image has fewer

  ConvAxis axes[3];
  int64_t images, channels;  // of a group
  int64_t image_stride, channel_stride;
  int64_t result_image_stride, result_channel_stride;
  bool in_place;
  int64_t unit_images, band, bands, units;
  int64_t rows, row, column_class, plane, image;  // of a copied unit, in elements (`rows` in rows)

  /// `channels` of a group, of `all_channels`. A loop that reads beyond the end of a row needs a copy.
  ConvSource(const ConvAxis (&axes_)[3], int64_t images_, int64_t channels_, int64_t all_channels,
             int64_t result_channels, bool always_copy)
      : axes{axes_[0], axes_[1], axes_[2]}, images(images_), channels(channels_) {
    const ConvAxis &z = axes[0], &y = axes[1], &x = axes[2];
    channel_stride = z.source * y.source * x.source;
    image_stride = all_channels * channel_stride;
    result_channel_stride = z.result * y.result * x.result;
    result_image_stride = result_channels * result_channel_stride;
    in_place = !always_copy;
    for (const ConvAxis& a : axes)
      in_place = in_place && a.taps == 1 && a.shift == 0 && a.step == 1 && a.spread == 1 && a.source == a.positions &&
                 a.result == a.positions;
    const int64_t pixels = z.positions * y.positions * x.positions;
    column_class = (x.extent(x.positions) + x.step - 1) / x.step;
    row = x.step * column_class;
    const int64_t unit_pixels = std::clamp<int64_t>(images * pixels / kUnits, kFewPixels, kUnitPixels);
    band = std::clamp<int64_t>((unit_pixels + x.positions - 1) / x.positions, 1, y.positions);
    if (z.positions > 1) band = y.positions;
    bands = (y.positions + band - 1) / band;
    band = (y.positions + bands - 1) / bands;
    bands = (y.positions + band - 1) / band;
    rows = y.extent(band);
    // an odd number of cache lines a plane, so that the planes of many channels do not compete for the same places
    plane = in_place ? channel_stride : (z.extent(z.positions) * rows * row + 15) / 16 * 16;
    if (!in_place && plane / 16 % 2 == 0) plane += 16;
    image = in_place ? image_stride : channels * plane;
    unit_images = bands > 1 ? 1
                            : std::clamp<int64_t>(std::min((unit_pixels + pixels / 2) / pixels, kUnitElements / image),
                                                  1, images);
    const int64_t parts = (images + unit_images - 1) / unit_images;
    unit_images = (images + parts - 1) / parts;
    units = (images + unit_images - 1) / unit_images * bands;
  }

  int64_t taps() const { return axes[0].taps * axes[1].taps * axes[2].taps; }
  int64_t depth() const { return channels * taps(); }
  /// Elements that a copied unit takes.
  int64_t size() const { return in_place ? 0 : unit_images * image; }

  /// Where tap k of the depth (channels, then taps) reads, from the position's own place in the unit.
  void offsets(int64_t* to) const {
    const ConvAxis &z = axes[0], &y = axes[1], &x = axes[2];
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t i = 0; i < z.taps; ++i)
        for (int64_t j = 0; j < y.taps; ++j)
          for (int64_t k = 0; k < x.taps; ++k) {
            const int64_t column = x.shift + k * x.shift_step - x.low();
            *to++ = in_place ? c * plane
                             : c * plane + (z.shift + i * z.shift_step - z.low()) * rows * row +
                                   (y.shift + j * y.shift_step - y.low()) * row + column % x.step * column_class +
                                   column / x.step;
          }
  }

  /// A unit: the positions that it covers, and its elements.
  struct Unit {
    int64_t first_image, images;
    int64_t first_row, rows;
    int64_t pixels;
  };
  Unit unit(int64_t i) const {
    Unit u;
    u.first_image = i / bands * unit_images;
    u.images = std::min(unit_images, images - u.first_image);
    u.first_row = i % bands * band;
    u.rows = std::min(band, axes[1].positions - u.first_row);
    u.pixels = u.images * axes[0].positions * u.rows * axes[2].positions;
    return u;
  }

  /// The unit's elements of the group that starts at `x`: copied to `space`, whose margins hold zeros already.
  template <class T>
  const T* load(const Unit& u, const T* x, T* space) const {
    const ConvAxis &az = axes[0], &ay = axes[1], &ax = axes[2];
    x += u.first_image * image_stride;
    if (in_place) return x + u.first_row * ax.source;
    const auto copy = kernels::kernels().conv.of<T>().copy;
    const int64_t planes = az.extent(az.positions), height = ay.extent(u.rows), width = ax.extent(ax.positions);
    if (ax.spread > 1 || ay.spread > 1 || az.spread > 1) return load_spread(u, x, space);
    const int64_t left = std::max<int64_t>(0, -ax.low()), right = std::min(width, ax.source - ax.low());
    const int64_t first_row = u.first_row * ay.step + ay.low();
    const int64_t top = std::clamp<int64_t>(-first_row, 0, height);
    const int64_t bottom = std::clamp<int64_t>(ay.source - first_row, top, height);
    for (int64_t n = 0; n < u.images; ++n)
      for (int64_t c = 0; c < channels; ++c)
        for (int64_t i = std::max<int64_t>(0, -az.low()); i < std::min(planes, az.source - az.low()); ++i) {
          T* to = space + n * image + c * plane + i * rows * row;
          const T* from = x + n * image_stride + c * channel_stride +
                          ((az.low() + i) * ay.source + first_row) * ax.source + ax.low();
          if (bands > 1) {  // the margins above and below differ
            std::memset(to, 0, static_cast<size_t>(top * row) * sizeof(T));
            std::memset(to + bottom * row, 0, static_cast<size_t>((height - bottom) * row) * sizeof(T));
          }
          for (int64_t remainder = 0; remainder < ax.step; ++remainder) {
            const int64_t q = left + (remainder - left % ax.step + ax.step) % ax.step;
            if (q >= right || top >= bottom) continue;
            copy(from + top * ax.source + q, ax.source, ax.step,
                 to + top * row + remainder * column_class + q / ax.step, row, bottom - top,
                 (right - q + ax.step - 1) / ax.step);
          }
        }
    return space;
  }

  /// The same where zeros lie between the elements.
  template <class T>
  const T* load_spread(const Unit& u, const T* x, T* space) const {
    const ConvAxis &az = axes[0], &ay = axes[1], &ax = axes[2];
    const int64_t first_row = u.first_row * ay.step + ay.low();
    if (bands > 1) std::memset(space, 0, static_cast<size_t>(size()) * sizeof(T));  // its elements lie in other rows
    // the elements of an axis that a unit reads, from its position `low` on
    const auto first = [](const ConvAxis& a, int64_t low) {
      return std::max<int64_t>(0, (low + a.spread - 1) / a.spread);
    };
    const auto last = [](const ConvAxis& a, int64_t low, int64_t extent) {
      return std::min(a.source, low + extent <= 0 ? 0 : (low + extent - 1) / a.spread + 1);
    };
    const auto loop = kernels::kernels().depthwise.of<T>().spread;
    const int64_t top = first(ay, first_row), bottom = last(ay, first_row, ay.extent(u.rows)),
                  left = first(ax, ax.low()), right = last(ax, ax.low(), ax.extent(ax.positions));
    const bool by_two = ax.spread == 2 && 2 * right - ax.low() <= row;  // the last zero is within the row
    for (int64_t n = 0; n < u.images; ++n)
      for (int64_t c = 0; c < channels; ++c)
        for (int64_t i = first(az, az.low()); i < last(az, az.low(), az.extent(az.positions)); ++i) {
          const T* from = x + n * image_stride + c * channel_stride + i * ay.source * ax.source;
          T* to = space + n * image + c * plane + (i * az.spread - az.low()) * rows * row - ax.low();
          if (by_two && top < bottom) {
            loop(from + top * ax.source + left, ax.source, to + (top * ay.spread - first_row) * row + left * ax.spread,
                 ay.spread * row, bottom - top, right - left);
            continue;
          }
          for (int64_t j = top; j < bottom; ++j)
            for (int64_t k = left; k < right; ++k)
              to[(j * ay.spread - first_row) * row + k * ax.spread] = from[j * ax.source + k];
        }
    return space;
  }

  /// The pixels of a unit lie in lines, which follow one another: rows, or whole images where they are read in place.
  int64_t line_pixels(const Unit& u) const {
    return in_place ? axes[0].positions * u.rows * axes[2].positions : axes[2].positions;
  }
  /// Where a line starts in the unit's elements and in the first channel of the result, and how many pixels of the
  /// result from there on belong to the unit.
  struct Line {
    int64_t source, result, pixels_left;
  };
  /// Calls f with the first line of each image and slice.
  template <class F>
  void for_slices(const Unit& u, F&& f) const {
    const ConvAxis &z = axes[0], &y = axes[1], &x = axes[2];
    for (int64_t n = 0; n < u.images; ++n)
      for (int64_t k = 0; k < z.positions; ++k) {
        const int64_t slice = (z.place + k * z.place_step) * y.result + y.place;
        f(Line{n * image + k * z.step * rows * row,
               (u.first_image + n) * result_image_stride + x.place + (slice + u.first_row * y.place_step) * x.result,
               u.rows * x.positions});
      }
  }
  template <class F>
  void for_lines(const Unit& u, F&& f) const {
    const ConvAxis &y = axes[1], &x = axes[2];
    if (in_place) {
      for (int64_t n = 0; n < u.images; ++n)
        f(Line{n * image, (u.first_image + n) * result_image_stride + x.place + u.first_row * x.result,
               line_pixels(u)});
      return;
    }
    for_slices(u, [&](const Line& first) {
      for (int64_t j = 0; j < u.rows; ++j)
        f(Line{first.source + j * y.step * row, first.result + j * y.place_step * x.result,
               (u.rows - j) * x.positions});
    });
  }
  /// Whether the taps are 3 x 3 pixels side by side of one channel, and rows of the result follow one another: then
  /// loops may walk down the columns and read each pixel once.
  bool is_3x3() const {
    const ConvAxis &z = axes[0], &y = axes[1], &x = axes[2];
    bool dense = channels == 1 && z.taps == 1 && !in_place;
    for (const ConvAxis* a : {&y, &x})
      dense =
          dense && a->taps == 3 && a->step == 1 && a->place_step == 1 && (a->shift_step == 1 || a->shift_step == -1);
    return dense;
  }
  /// Which loops without a copy take 3 x 3 taps of one channel with a margin of one zero around its planes: those with
  /// a stride of one or of two (halved), or the adjoint of the latter (doubled).
  enum class Planes : uint8_t { none, same, halved, doubled };
  Planes planes_3x3(size_t element) const {
    const ConvAxis &z = axes[0], &y = axes[1], &x = axes[2];
    if (in_place || channels != 1 || z.source != 1 || z.positions != 1 || z.taps != 1 || z.shift != 0)
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
};

/// Where the weight of (row of the result, channel of the source) lies: its taps are one after another.
struct WeightStrides {
  int64_t group, row, channel;
};

/// y = bias + the convolution of the source x with w, for `rows` channels of the result in each group. Only those
/// positions of y are written that the source's axes name.
template <class T>
void convolve(const ConvSource& source, int64_t groups, int64_t rows, const T* x, const T* w, WeightStrides strides,
              const T* bias, T* y);
/// dw = the gradient g of that convolution's result correlated with its source.
template <class T>
void correlate(const ConvSource& source, int64_t groups, int64_t rows, const T* x, const T* g, T* dw);
/// Whether these are faster by Winograd's algorithm.
bool winograd_pays(const ConvSource& source, int64_t rows);
/// Fewer rows than this are computed one at a time, by loops that need a copy of the source.
inline constexpr int64_t kNarrowConv = 4;

}  // namespace cotangent::raw
