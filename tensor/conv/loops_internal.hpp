// Private: what the ways to compute a convolution share.
#pragma once
#include <algorithm>
#include <atomic>
#include <cstring>

#include <cotangent/tensor/conv/source_internal.hpp>
#include <cotangent/tensor/kernels/kernels.hpp>
#include <cotangent/tensor/parallel.hpp>

namespace cotangent::raw {

using detail::make_tensor;

inline constexpr int64_t kSerialWork = 400'000;  // multiplications that do not pay for a second thread
inline constexpr int64_t kPartials = 4'000'000;  // elements of the partial sums of a weight gradient, at most

template <class T>
const kernels::ConvLoops<T>& loops() {
  return kernels::kernels().conv.of<T>();
}
inline int64_t round_up(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }

/// Calls body(space, task) for each task; `work` is that of all of them. The tasks of a worker run one after another
/// and share its `space` of so many elements, of which the first `cleared` ones are zero at first. Each worker begins
/// with its own neighbouring tasks, the same ones every time, whose memory its caches may still hold, and then helps
/// the others.
template <class T, class Body>
void for_tasks(int64_t tasks, double work, int64_t size, int64_t cleared, Body&& body) {
  const int64_t workers = work < kSerialWork ? 1 : std::min<int64_t>(num_threads(), tasks), each = round_up(size, 64);
  const Tensor memory = make_tensor({workers * each}, dtype_of<T>);
  T* const all = memory.data<T>();
  struct alignas(64) Share {  // on a line of the cache of its own
    std::atomic<int64_t> next;
  };
  constexpr int64_t kMostShares = 32;
  const int64_t n = std::min(workers, kMostShares);
  Share shares[kMostShares];
  for (int64_t i = 0; i < n; ++i) shares[i].next.store(tasks * i / n, std::memory_order_relaxed);
  parallel_chunks(workers, [&](int64_t w) {
    T* const space = all + w * each;
    std::memset(space, 0, static_cast<size_t>(cleared) * sizeof(T));
    for (int64_t k = 0; k < n; ++k) {
      const int64_t i = (w + k) % n, end = tasks * (i + 1) / n;
      for (int64_t t; (t = shares[i].next.fetch_add(1, std::memory_order_relaxed)) < end;) body(space, t);
    }
  });
}

/// Where a unit's results go: to their places, or, if channels lie side by side, to `space` in planes first.
template <class T>
class ResultRows {
 public:
  ResultRows(const ConvSource& source, int64_t rows, int64_t side)
      : s_(source), rows_(rows), side_(side), turned_(source.format == MemoryFormat::channels_last) {
    if (turned_) plane_ = round_up(source.most_result_pixels(side), 16) + 16;
  }
  int64_t size() const { return turned_ ? rows_ * plane_ : 0; }
  int64_t channel_stride() const { return turned_ ? plane_ : s_.result_channel_stride; }
  /// `y` as the unit's results are to be written, in planes.
  T* begin(const ConvSource::Unit& u, T* y, T* space) const {
    return turned_ ? space - s_.result_pixels(u, side_).first : y;
  }
  void finish(const ConvSource::Unit& u, T* y, const T* space) const {
    if (!turned_) return;
    const ConvSource::Pixels at = s_.result_pixels(u, side_);
    kernels::kernels().copy.of<T>().transpose(space, rows_, at.count, plane_, y + at.first * s_.result_channels,
                                              s_.result_channels);
  }

 private:
  const ConvSource& s_;
  int64_t rows_, side_;
  bool turned_;
  int64_t plane_ = 0;
};

/// to[p * to_row + r] = the gradient of channel r < rows at pixel `first` + p, for p < pixels, in g's format.
template <class T>
void gather_gradient(const ConvGroup& s, const T* g, int64_t first, int64_t rows, int64_t pixels, T* to,
                     int64_t to_row) {
  if (s.format == MemoryFormat::channels_last)
    loops<T>().copy(g + first * s.result_channels, s.result_channels, 1, to, to_row, pixels, rows);
  else
    kernels::kernels().copy.of<T>().transpose(g + first, rows, pixels, s.result_channel_stride, to, to_row);
}

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
bool winograd_pays(const ConvGroup& group, int64_t rows);
/// Fewer rows than this are computed one at a time, by loops that need a copy of the source.
inline constexpr int64_t kNarrowConv = 4;

/// Weights in the order of use: blocks of `tile` rows of a group, the depth, the rows of a block. Missing rows are 0.
template <class T>
void pack_weights(const ConvGroup& s, int64_t groups, int64_t rows, int64_t tile, const T* w, WeightStrides strides,
                  T* to);

/// A weight gradient is summed over chunks of units, which the shapes alone determine: how many, where a partial sum
/// has `elements`; and then the sum of them, of depth x width elements each or more, into its place.
inline int64_t chunk_count(const ConvSource& s, int64_t elements) {
  return std::min(s.units(), std::clamp<int64_t>(kPartials / elements, 4, 32));
}
template <class T>
void sum_chunks(T* partial, int64_t chunks, int64_t groups, int64_t each, int64_t depth, int64_t rows, int64_t width,
                T* dw);

/// convolve and correlate by Winograd's algorithm.
template <class T>
void convolve_winograd(const ConvSource& s, int64_t groups, int64_t rows, const T* x, const T* w, WeightStrides strides,
                       const T* bias, T* y);
template <class T>
void correlate_winograd(const ConvSource& s, int64_t groups, int64_t rows, const T* x, const T* g, T* dw);

}  // namespace cotangent::raw
