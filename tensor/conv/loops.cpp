// How a convolution is computed: the source is copied unit by unit, with its margins, and multiplied in tiles that read
// it where it lies (no im2col, but for lines much shorter than a vector).
#include <array>

#include <cotangent/tensor/conv/loops_internal.hpp>
#include <cotangent/tensor/kernels/kernels.hpp>

namespace cotangent::raw {
namespace {

template <class T>
const kernels::DepthwiseLoops<T>& depthwise() {
  return kernels::kernels().depthwise.of<T>();
}

using kernels::ConvLoops;
using kernels::PixelRun;

constexpr int64_t kOuterPixels = 192;  // that a weight gradient sums at once, on all machines
constexpr int64_t kPackedRows = 48;    // of a result from which its pixels are packed

/// Calls f(channel, tap of the kernel) in the order of the depth; the tap is -1 where it is missing.
template <class F>
void for_depth(const ConvGroup& s, F&& f) {
  const ConvAxis &z = s.axes[0], &y = s.axes[1], &x = s.axes[2];
  for (int64_t c = 0; c < s.channels; ++c)
    for (int64_t i = 0; i < z.taps; ++i)
      for (int64_t j = 0; j < y.taps; ++j)
        for (int64_t k = 0; k < x.taps; ++k) {
          const int64_t row = y.tap + j * y.tap_step, column = x.tap + k * x.tap_step;
          const bool missing = row >= y.kernel || column >= x.kernel;
          f(c, missing ? -1 : ((z.tap + i * z.tap_step) * y.kernel + row) * x.kernel + column);
        }
}

/// Which pixels a tile of the result consists of: vectors of the source, and stretches of them in the result.
struct TilePixels {
  static constexpr int64_t kMax = 64;
  int64_t vectors = 0, stretches = 0;
  int64_t from[3], place[3];
  kernels::PixelRun runs[kMax];  // from the unit's elements to the tile
  int64_t places[kMax];
  bool direct = true;  // whole vectors may be written to `place`

  void add_run(int64_t source, int64_t tile, int64_t count, int64_t result, bool may_merge) {
    if (stretches > 0 && may_merge) {
      PixelRun& last = runs[stretches - 1];
      if (last.from + last.count == source && places[stretches - 1] + last.count == result) {
        last.count += count;
        return;
      }
    }
    places[stretches] = result;
    runs[stretches++] = {source, tile, count};
  }
};

/// Cuts the pixels of a unit into tiles and calls f(tile, packed) for each, in order. Lines that fill vectors well are
/// cut into vectors of their own: the last one of a line overlaps the one before it, or reaches over the line's end and
/// is mended by the next line. Short lines must be `packed`: the tile's vectors are then those of a panel.
template <class T, class F>
void for_tiles(const ConvSource& s, const ConvSource::Unit& u, const ConvLoops<T>& loop, int64_t rows, F&& f) {
  const int64_t lanes = loop.lanes, line = s.line_pixels(u), vectors = (line + lanes - 1) / lanes;
  const bool adjacent = s.axes[2].place_step == 1, mended = s.axes[1].place_step == 1;
  // a panel is aligned and close together, which pays where many rows read it
  const bool pack = rows >= kPackedRows || line * 10 < vectors * lanes * 7 || (s.in_place() && line < lanes);
  TilePixels tile;
  auto flush = [&] {
    if (tile.vectors > 0) f(static_cast<const TilePixels&>(tile), pack);
    tile.vectors = tile.stretches = 0;
    tile.direct = true;
  };
  if (!pack) {
    for (int64_t i = 0; i < s.lines(u); ++i) {
      const ConvSource::Line at = s.line(u, i);
      for (int64_t v = 0; v < vectors; ++v) {
        const int64_t first = line < lanes ? 0 : std::min(v * lanes, line - lanes);
        const int64_t place = at.result + first * s.axes[2].place_step;
        tile.from[tile.vectors] = at.source + first;
        tile.place[tile.vectors] = place;
        tile.add_run(at.source + first, tile.vectors * lanes, std::min(lanes, line), place, false);
        tile.direct = tile.direct && adjacent && (line >= lanes || (mended && at.pixels_left >= lanes));
        if (++tile.vectors == loop.vectors) flush();
      }
    }
    flush();
    return;
  }
  const int64_t width = loop.vectors * lanes;
  for (int64_t v = 0; v < loop.vectors; ++v) tile.from[v] = v * lanes;
  int64_t filled = 0;
  auto finish = [&] {
    tile.vectors = (filled + lanes - 1) / lanes;
    tile.direct = adjacent && filled % lanes == 0;
    for (int64_t r = 1; r < tile.stretches; ++r)
      tile.direct = tile.direct && tile.places[r] == tile.places[0] + tile.runs[r].to;
    for (int64_t v = 0; v < tile.vectors; ++v) tile.place[v] = tile.places[0] + v * lanes;
    flush();
    filled = 0;
  };
  for (int64_t i = 0; i < s.lines(u); ++i) {
    const ConvSource::Line at = s.line(u, i);
    for (int64_t first = 0; first < line;) {
      const int64_t count = std::min(line - first, width - filled);
      tile.add_run(at.source + first, filled, count, at.result + first * s.axes[2].place_step, adjacent);
      first += count, filled += count;
      if (filled == width) finish();
    }
  }
  if (filled > 0) finish();
}

/// The weights of 3 x 3 taps in the order of the pixels: those of an input gradient come backwards.
template <class T>
std::array<T, 9> nine(const ConvGroup& s, const T* w) {
  std::array<T, 9> result;
  for (size_t j = 0; j < 3; ++j)
    for (size_t i = 0; i < 3; ++i)
      result[3 * (s.axes[1].shift_step < 0 ? 2 - j : j) + (s.axes[2].shift_step < 0 ? 2 - i : i)] = w[3 * j + i];
  return result;
}

/// Cuts a unit into blocks of rows that hold about kOuterPixels pixels and calls f(part, result) with where they lie.
template <class T, class F>
void for_parts(const ConvSource& s, const ConvSource::Unit& u, F&& f) {
  const ConvAxis &z = s.axes[0], &y = s.axes[1], &x = s.axes[2];
  const int64_t rows = std::clamp<int64_t>(kOuterPixels / x.positions, 1, u.rows);
  const bool whole = rows == u.rows && z.positions == 1;
  const int64_t images = whole ? std::clamp<int64_t>(kOuterPixels / (rows * x.positions), 1, u.images) : 1;
  for (int64_t n = 0; n < u.images; n += images)
    for (int64_t k = 0; k < z.positions; ++k)
      for (int64_t j = 0; j < u.rows; j += rows) {
        const kernels::ConvOuter<T> part = {.blocks = std::min(images, u.images - n),
                                            .block_stride = s.image(),
                                            .rows = std::min(rows, u.rows - j),
                                            .row_stride = s.row_step(),
                                            .pixels = x.positions};
        f(part, n * s.image() + k * s.slice_step() + j * s.row_step(),
          (u.first_image + n) * s.result_image_stride + (k * y.positions + u.first_row + j) * x.positions);
      }
}

}  // namespace

template <class T>
void pack_weights(const ConvGroup& s, int64_t groups, int64_t rows, int64_t tile, const T* w, WeightStrides strides,
                  T* to) {
  const int64_t blocks = (rows + tile - 1) / tile, depth = s.depth(), taps = s.taps();
  const ConvAxis &z = s.axes[0], &y = s.axes[1], &x = s.axes[2];
  const int64_t first_tap = (z.tap * y.kernel + y.tap) * x.kernel + x.tap;
  bool in_order = strides.channel == taps;  // the depth of a row is then one run
  for (const ConvAxis& a : s.axes) in_order = in_order && a.tap == 0 && a.tap_step == 1 && a.taps == a.kernel;
  const auto pack = kernels::kernels().gemm.of<T>().pack;
  parallel_for(0, groups * blocks, std::max<int64_t>(1, 65536 / (tile * depth)), [&](int64_t first, int64_t last) {
    for (int64_t b = first; b < last; ++b) {
      const int64_t first_row = b % blocks * tile, count = std::min(tile, rows - first_row);
      const T* from = w + b / blocks * strides.group + first_row * strides.row;
      T* block = to + b * tile * depth;
      if (in_order || taps == 1) {
        pack(tile, depth, count, from + first_tap, in_order ? 1 : strides.channel, strides.row, block, 0);
        continue;
      }
      std::fill_n(block, tile * depth, T(0));
      for (int64_t r = 0; r < count; ++r) {
        T* column = block + r;
        for_depth(s, [&](int64_t c, int64_t tap) {
          if (tap >= 0) *column = from[r * strides.row + c * strides.channel + tap];
          column += tile;
        });
      }
    }
  });
}

template <class T>
void convolve(const ConvSource& s, int64_t groups, int64_t rows, const T* x, const T* w, WeightStrides strides,
              const T* bias, T* y) {
  if (winograd_pays(s, rows)) return convolve_winograd(s, groups, rows, x, w, strides, bias, y);
  const ConvLoops<T>& loop = loops<T>();
  const bool narrow = rows < kNarrowConv;
  const int64_t depth = s.depth(), block = narrow ? 1 : loop.rows, blocks = (rows + block - 1) / block,
                padded = blocks * block;
  const int64_t x_group = s.channels * s.channel_stride, y_group = rows * s.result_channel_stride;
  const int64_t place_step = s.axes[2].place_step;
  using Planes = ConvSource::Planes;
  const Planes planes = rows == 1 ? s.planes_3x3(sizeof(T)) : Planes::none;
  if (planes != Planes::none) {
    const bool doubled = planes == Planes::doubled;
    const ConvAxis &down = s.axes[1], &along = s.axes[2];
    const auto filter = planes == Planes::same     ? depthwise<T>().filter_plane
                        : planes == Planes::halved ? depthwise<T>().filter_halved
                                                   : depthwise<T>().filter_doubled;
    const T zero = 0;
    parallel_for(0, s.images * groups, std::max<int64_t>(1, kSerialWork / (9 * s.channel_stride)),
                 [&](int64_t first, int64_t last) {
                   for (int64_t i = first; i < last; ++i) {
                     const T* taps = w + i % groups * strides.group;
                     filter(doubled ? taps : nine(s, taps).data(), x + i * s.channel_stride,
                            bias ? bias + i % groups : &zero, y + i * s.result_channel_stride,
                            doubled ? down.result : down.source, doubled ? along.result : along.source);
                   }
                 });
    return;
  }

  const Tensor packed = make_tensor({groups * padded * depth}, dtype_of<T>);
  pack_weights(s, groups, rows, block, w, strides, packed.data<T>());
  const Tensor starts = make_tensor({groups * padded}, dtype_of<T>);
  for (int64_t i = 0; i < groups * padded; ++i)
    starts.data<T>()[i] = bias && i % padded < rows ? bias[i / padded * rows + i % padded] : T(0);
  const int64_t width = loop.vectors * loop.lanes;
  const Tensor offsets = make_tensor({2 * depth}, int64);
  int64_t* const panel_offsets = offsets.data<int64_t>() + depth;
  s.offsets(offsets.data<int64_t>());
  for (int64_t k = 0; k < depth; ++k) panel_offsets[k] = k * width;

  const int64_t tasks = s.units() * groups;
  const double work = double(s.images) * double(s.result_plane()) * double(groups * rows * depth);
  const ResultRows<T> in_rows(s, rows, 1);
  const int64_t copy = round_up(s.size() + 8 * loop.lanes, 64), panel_size = narrow ? 0 : depth * width,
                size = copy + panel_size + (narrow ? s.axes[2].positions : block * width);
  for_tasks<T>(tasks, work, size + in_rows.size(), copy, [&](T* space, int64_t task) {
    T* const panel = space + copy;
    T* const result = panel + panel_size;
    const int64_t g = task % groups;
    const ConvSource::Unit u = s.unit(task / groups);
    const T* in = s.load(u, x + g * x_group, space);
    const T* weights = packed.data<T>() + g * padded * depth;
    const T* start = starts.data<T>() + g * padded;
    T* out = in_rows.begin(u, y + g * y_group, space + size);
    if (narrow && s.is_3x3()) {
      for (int64_t i = 0; i < s.lines(u); i += u.rows) {  // the first line of each slice
        const ConvSource::Line first = s.line(u, i);
        for (int64_t r = 0; r < rows; ++r)
          depthwise<T>().filter_3x3(nine(s, weights + r * depth).data(), in + first.source, s.row(), start + r,
                                    out + r * s.result_channel_stride + first.result, s.axes[2].result, u.rows,
                                    s.axes[2].positions);
      }
      return;
    }
    if (narrow) {
      const int64_t pixels = s.line_pixels(u);
      for (int64_t i = 0; i < s.lines(u); ++i) {
        const ConvSource::Line line = s.line(u, i);
        for (int64_t r = 0; r < rows; ++r) {
          T* to = out + r * s.result_channel_stride + line.result;
          depthwise<T>().filter(depth, weights + r * depth, in + line.source, offsets.data<int64_t>(), start + r,
                                place_step == 1 ? to : result, pixels);
          if (place_step != 1)
            for (int64_t p = 0; p < pixels; ++p) to[p * place_step] = result[p];
        }
      }
      return;
    }
    for_tiles(s, u, loop, rows, [&](const TilePixels& pixels, bool pack) {
      if (pack) loop.pack(in, offsets.data<int64_t>(), depth, pixels.runs, pixels.stretches, panel, width);
      const int64_t in_order[3] = {0, loop.lanes, 2 * loop.lanes};
      for (int64_t row = 0; row < rows; row += block) {
        T* to = out + row * in_rows.channel_stride();
        const bool direct = pixels.direct && row + block <= rows;
        loop.product({.depth = depth,
                      .vectors = pixels.vectors,
                      .weights = weights + row * depth,
                      .start = start + row,
                      .x = pack ? panel : in,
                      .offsets = pack ? panel_offsets : offsets.data<int64_t>(),
                      .from = pixels.from,
                      .place = direct ? pixels.place : in_order,
                      .y = direct ? to : result,
                      .row_stride = direct ? in_rows.channel_stride() : width});
        if (direct) continue;
        for (int64_t r = 0; r < std::min(block, rows - row); ++r)
          for (int64_t i = 0; i < pixels.stretches; ++i) {
            const T* from = result + r * width + pixels.runs[i].to;
            T* line = to + r * in_rows.channel_stride() + pixels.places[i];
            if (place_step == 1)
              std::memcpy(line, from, static_cast<size_t>(pixels.runs[i].count) * sizeof(T));
            else
              for (int64_t p = 0; p < pixels.runs[i].count; ++p) line[p * place_step] = from[p];
          }
      }
    });
    in_rows.finish(u, y + g * y_group, space + size);
  });
}

template <class T>
void sum_chunks(T* partial, int64_t chunks, int64_t groups, int64_t each, int64_t depth, int64_t rows, int64_t width,
                T* dw) {
  const auto transpose = kernels::kernels().copy.of<T>().transpose;
  const auto add = kernels::kernels().binary[int(kernels::Binary::add)][int(dtype_of<T>)];
  parallel_for(0, groups * each, std::max<int64_t>(64, 32768 / chunks), [&](int64_t first, int64_t last) {
    for (int64_t c = 1; c < chunks; ++c)
      add(partial + first, partial + c * groups * each + first, partial + first, last - first, kernels::Layout::both, 0,
          0);
  });
  for (int64_t i = 0; i < groups; ++i) {
    if (rows < kNarrowConv)
      std::memcpy(dw + i * rows * depth, partial + i * each, static_cast<size_t>(rows * depth) * sizeof(T));
    else
      transpose(partial + i * each, depth, rows, width, dw + i * rows * depth, depth);
  }
}

template <class T>
void correlate(const ConvSource& s, int64_t groups, int64_t rows, const T* x, const T* g, T* dw) {
  if (winograd_pays(s, rows)) return correlate_winograd(s, groups, rows, x, g, dw);
  const ConvLoops<T>& loop = loops<T>();
  const bool narrow = rows < kNarrowConv;
  using Planes = ConvSource::Planes;
  const Planes planes = rows == 1 ? s.planes_3x3(sizeof(T)) : Planes::none;
  const int64_t depth = s.depth();
  const int64_t height = narrow ? depth : round_up(depth, loop.outer_rows);
  const int64_t width = narrow ? rows : round_up(rows, loop.lanes);
  const int64_t each = height * width;
  const int64_t x_group = s.channels * s.channel_stride, g_group = rows * s.result_channel_stride;
  const int64_t chunks = chunk_count(s, groups * each);
  const int64_t tasks = chunks * groups;
  const double work = double(s.images) * double(s.result_plane()) * double(groups * rows * depth);

  const Tensor offsets = make_tensor({height}, int64);
  std::fill_n(offsets.data<int64_t>(), height, int64_t{0});
  s.offsets(offsets.data<int64_t>());
  const Tensor partial = make_tensor({tasks * each}, dtype_of<T>);
  const int64_t copy = round_up(s.size() + 4 * loop.lanes, 64);
  const int64_t size = copy + (narrow ? 0 : std::max(kOuterPixels, s.axes[2].positions) * width);
  for_tasks<T>(tasks, work, size, size, [&](T* space, int64_t task) {
    T* const turned = space + copy;  // the gradient with its channels side by side
    const int64_t group = task % groups, chunk = task / groups;
    T* const sums = partial.data<T>() + task * each;
    std::memset(sums, 0, static_cast<size_t>(each) * sizeof(T));
    const T* gradient = g + group * g_group;
    if (planes == Planes::same || planes == Planes::halved) {
      const int64_t first = s.images * chunk / chunks, last = s.images * (chunk + 1) / chunks;
      const auto sum = planes == Planes::same ? depthwise<T>().correlate_planes : depthwise<T>().correlate_halved;
      sum(x + group * x_group + first * s.image_stride, s.image_stride, gradient + first * s.result_image_stride,
          s.result_image_stride, last - first, s.axes[1].source, s.axes[2].source, sums);
      return;
    }
    for (int64_t i = s.units() * chunk / chunks; i < s.units() * (chunk + 1) / chunks; ++i) {
      const ConvSource::Unit u = s.unit(i);
      const T* in = s.load(u, x + group * x_group, space);
      for_parts<T>(s, u, [&](kernels::ConvOuter<T> part, int64_t from, int64_t place) {
        const int64_t pixels = part.rows * part.pixels;
        if (narrow && s.is_3x3()) {
          for (int64_t b = 0; b < part.blocks; ++b)
            for (int64_t r = 0; r < rows; ++r)
              depthwise<T>().correlate_3x3(in + from + b * part.block_stride, part.row_stride,
                                           gradient + b * s.result_image_stride + r * s.result_channel_stride + place,
                                           part.pixels, part.rows, part.pixels, sums + r * depth);
          return;
        }
        if (narrow) {
          for (int64_t b = 0; b < part.blocks; ++b)
            for (int64_t r = 0; r < rows; ++r)
              depthwise<T>().correlate(depth, in + from + b * part.block_stride, part.row_stride,
                                       offsets.data<int64_t>(),
                                       gradient + b * s.result_image_stride + r * s.result_channel_stride + place,
                                       part.pixels, part.rows, part.pixels, sums + r * depth);
          return;
        }
        for (int64_t b = 0; b < part.blocks; ++b)
          gather_gradient(s, gradient, place + b * s.result_image_stride, rows, pixels, turned + b * pixels * width,
                          width);
        part.x = in + from;
        part.g_stride = part.sums_stride = width;
        if (part.row_stride == part.pixels) part.pixels = pixels, part.rows = 1;
        for (int64_t column = 0; column < width; column += loop.outer_vectors * loop.lanes)
          for (int64_t k = 0; k < height; k += loop.outer_rows) {
            part.offsets = offsets.data<int64_t>() + k;
            part.g = turned + column;
            part.channels = std::min(loop.outer_vectors * loop.lanes, width - column);
            part.sums = sums + k * width + column;
            loop.outer(part);
          }
      });
    }
  });

  sum_chunks(partial.data<T>(), chunks, groups, each, depth, rows, width, dw);
}

template void convolve(const ConvSource&, int64_t, int64_t, const float*, const float*, WeightStrides, const float*,
                       float*);
template void convolve(const ConvSource&, int64_t, int64_t, const double*, const double*, WeightStrides, const double*,
                       double*);
template void pack_weights(const ConvGroup&, int64_t, int64_t, int64_t, const float*, WeightStrides, float*);
template void pack_weights(const ConvGroup&, int64_t, int64_t, int64_t, const double*, WeightStrides, double*);
template void sum_chunks(float*, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, float*);
template void sum_chunks(double*, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, double*);
template void correlate(const ConvSource&, int64_t, int64_t, const float*, const float*, float*);
template void correlate(const ConvSource&, int64_t, int64_t, const double*, const double*, double*);

}  // namespace cotangent::raw
