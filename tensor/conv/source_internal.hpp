// Private: how a convolution reads its source. One description serves convolutions, their input gradients (as stride^d
// interleaved convolutions of the gradient without stride) and their weight gradients.
#pragma once
#include <cotangent/tensor/conv/conv.hpp>

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
/// The phases below x with at least one tap.
PooledVector<int64_t> reached_phases(int64_t w, int64_t x, const ConvGeometry& geometry, int d);
/// The same for all positions: g lies `stride` apart, with zeros between its elements.
ConvAxis spread_axis(int64_t g, int64_t w, int64_t x, const ConvGeometry& geometry, int d);
/// The size of spatial dimension d of three, where missing ones have size 1.
int64_t spatial(const Shape& shape, const ConvGeometry& geometry, int d);

/// One group of a convolution, and where its images and channels lie among those of all groups.
struct ConvGroup {
  /// `channels` of `all_channels` are the group's. The format is that of the source and of the result.
  ConvGroup(const ConvAxis (&axes)[3], int64_t images, int64_t channels, int64_t all_channels, int64_t result_channels,
            MemoryFormat format = MemoryFormat::contiguous);
  int64_t taps() const { return axes[0].taps * axes[1].taps * axes[2].taps; }
  int64_t depth() const { return channels * taps(); }
  int64_t result_plane() const { return axes[0].result * axes[1].result * axes[2].result; }

  ConvAxis axes[3];
  int64_t images, channels, all_channels, result_channels;
  MemoryFormat format;
  int64_t image_stride, channel_stride, pixel_stride;
  /// In elements of one channel: where channels lie side by side, pixels are counted.
  int64_t result_image_stride, result_channel_stride;
};

/// The source of a group, cut into units of work: a few small images, or a band of rows of a large one. A unit is
/// copied with its margins of zeros, and with the columns of a strided convolution sorted by their remainder, so that
/// the pixels that a row of the result reads through one tap lie side by side. A source that lies so already is read
/// where it is.
class ConvSource : public ConvGroup {
 public:
  /// A loop that reads beyond the end of a row needs a copy.
  ConvSource(const ConvGroup& group, bool always_copy);

  /// A unit: the positions that it covers.
  struct Unit {
    int64_t first_image, images;
    int64_t first_row, rows;
  };
  int64_t units() const { return units_; }
  Unit unit(int64_t i) const;

  /// The unit's elements of the group that starts at `x`: copied to `space`, whose margins hold zeros already, unless
  /// they can be read in place.
  template <class T>
  const T* load(const Unit& u, const T* x, T* space) const;
  bool in_place() const { return in_place_; }
  /// Elements that a copied unit takes.
  int64_t size() const { return in_place_ ? 0 : unit_images_ * image_; }
  /// Where tap k of the depth (channels, then taps) reads, from the position's own place in the unit.
  void offsets(int64_t* to) const;
  /// How far apart the unit's images, channels and rows lie, and what positions below one another and slices read.
  int64_t image() const { return image_; }
  int64_t plane() const { return plane_; }
  int64_t row() const { return row_; }
  int64_t row_step() const { return axes[1].step * row_; }
  int64_t slice_step() const { return axes[0].step * rows_ * row_; }

  /// The pixels of a unit lie in lines, which follow one another: rows, or whole images where they are read in place.
  /// Where a line starts in the unit's elements and in the first channel of the result, and how many pixels of the
  /// result from there on belong to the unit.
  struct Line {
    int64_t source, result, pixels_left;
  };
  int64_t lines(const Unit& u) const { return u.images * (in_place_ ? 1 : axes[0].positions * u.rows); }
  int64_t line_pixels(const Unit& u) const { return axes[2].positions * (in_place_ ? axes[0].positions * u.rows : 1); }
  Line line(const Unit& u, int64_t i) const;
  /// The pixels of the result that a unit covers, which follow one another where channels lie side by side; each
  /// position is `side` rows of the result.
  struct Pixels {
    int64_t first, count;
  };
  Pixels result_pixels(const Unit& u, int64_t side = 1) const;
  int64_t most_result_pixels(int64_t side = 1) const;

  /// Whether the taps are 3 x 3 pixels side by side of one channel, and rows of the result follow one another: then
  /// loops may walk down the columns and read each pixel once.
  bool is_3x3() const;
  /// Which loops without a copy take 3 x 3 taps of one channel with a margin of one zero around its planes: those with
  /// a stride of one or of two (halved), or the adjoint of the latter (doubled).
  enum class Planes : uint8_t { none, same, halved, doubled };
  Planes planes_3x3(size_t element) const;

 private:
  template <class T>
  const T* load_spread(const Unit& u, const T* x, T* space) const;
  template <class T>
  const T* load_rows(const Unit& u, const T* x, T* space) const;

  bool in_place_;
  int64_t unit_images_, band_, bands_, units_;
  int64_t rows_, row_, column_class_, plane_, image_;  // of a copied unit, in elements (rows_ in rows)
};

}  // namespace cotangent::raw
