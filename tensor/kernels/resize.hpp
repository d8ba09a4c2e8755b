#pragma once
// Resampling of planes.
#include <cstdint>

namespace cotangent::kernels {

/// Resampling along one dimension: output o is the sum over k < width of weight[o * width + k] * input[first[o] + k].
/// The weights of the outputs from `begin` on repeat `count` times, after `period` outputs, which advance by `step`
/// inputs. These go to a panel: input base + i stands at i % step * length + i / step, and tap k of the phase p of the
/// first outputs at offset[p * width + k].
template <class T>
struct ResampleAxis {
  int64_t in, out, width;
  const int64_t* first;
  const T* weight;
  bool identity;
  int64_t begin, count, period, step, base, length;
  const int64_t* offset;
};
inline constexpr int64_t kResampleBlock = 8;
template <class T>
struct ResizeLoops {
  /// Rows `begin` to before `end` of the result of resampling a plane along its rows' numbers and along its rows. The
  /// space is for kResampleBlock rows: in, step * length and period * count elements each.
  void (*resample)(const ResampleAxis<T>& rows, const ResampleAxis<T>& columns, const T* x, T* y, int64_t begin,
                   int64_t end, T* space);
  /// The same of an image whose pixels are rows of channels. The space is for a row of it.
  void (*resample_pixels)(const ResampleAxis<T>& rows, const ResampleAxis<T>& columns, int64_t channels, const T* x,
                          T* y, int64_t begin, int64_t end, T* space);
};

}  // namespace cotangent::kernels
