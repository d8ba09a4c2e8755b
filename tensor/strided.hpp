#pragma once
// All stride arithmetic of the elementwise kernels: a walk over N operands of one shape.
#include <algorithm>
#include <array>

#include <cotangent/tensor/parallel.hpp>
#include <cotangent/tensor/shape.hpp>

namespace cotangent {

/// Elements that one thread should have at least, for cheap elementwise work.
inline constexpr int64_t kElementGrain = 32768;

/// Visits the elements of N operands that share a shape but not their strides. Dimensions are ordered by the strides of
/// the first operand (the output), and merged where all operands allow it, so that the inner runs are as long as they
/// can be:
///
///     StridedWalk<2> walk(shape, {&y.strides(), &x.strides()});
///     walk.run(kElementGrain, [&](const auto& at, int64_t n) { ... y + at[0], x + at[1], n elements ... });
///
/// Within a run operand k advances by inner_stride(k). Runs are handed out to several threads; n is never 0.
template <int N>
class StridedWalk {
 public:
  using Offsets = std::array<int64_t, N>;

  StridedWalk(const Shape& shape, const std::array<const Strides*, N>& strides) : numel_(shape.product()) {
    int order[kMaxRank];
    int rank = 0;
    for (int d = 0; d < shape.rank(); ++d)
      if (shape[d] != 1) order[rank++] = d;
    // outermost first; a stable insertion sort, since ranks are small
    auto outer = [&](int a, int b) {
      for (const Strides* s : strides)
        if ((*s)[a] != (*s)[b]) return (*s)[a] > (*s)[b];
      return false;
    };
    for (int i = 1; i < rank; ++i)
      for (int j = i; j > 0 && outer(order[j], order[j - 1]); --j) std::swap(order[j], order[j - 1]);
    rank_ = 0;
    for (int i = 0; i < rank; ++i) {
      const int d = order[i];
      bool merge = rank_ > 0;
      for (int k = 0; k < N && merge; ++k) merge = strides_[k][rank_ - 1] == (*strides[k])[d] * shape[d];
      if (merge) {
        sizes_[rank_ - 1] *= shape[d];
      } else {
        sizes_[rank_++] = shape[d];
      }
      for (int k = 0; k < N; ++k) strides_[k][rank_ - 1] = (*strides[k])[d];
    }
    if (rank_ == 0) {
      sizes_[0] = 1, rank_ = 1;
      for (int k = 0; k < N; ++k) strides_[k][0] = 1;
    }
  }

  int64_t numel() const { return numel_; }
  int rank() const { return rank_; }
  int64_t size(int d) const { return sizes_[d]; }
  int64_t stride(int k, int d) const { return strides_[k][d]; }
  int64_t inner_size() const { return sizes_[rank_ - 1]; }
  int64_t inner_stride(int k) const { return strides_[k][rank_ - 1]; }

  /// Whether the inner runs are shorter than `least`, and those of operand 0 lie one after another.
  bool has_short_runs(int64_t least) const {
    return rank_ > 1 && numel_ > 0 && inner_size() < least && strides_[0][rank_ - 2] == inner_size() * inner_stride(0);
  }
  /// The walk whose elements are the runs of this one, of rank 2 at least: at[k] is where a run begins.
  StridedWalk over_runs() const {
    StridedWalk outer = *this;
    --outer.rank_;
    outer.numel_ /= std::max<int64_t>(1, inner_size());
    return outer;
  }

  template <class Body>
  void run(int64_t grain, Body&& body) const {
    if (numel_ == 0) return;
    // cut runs at multiples of kParallelAlign from their start, so that vector loops end where they do with one thread
    const int64_t inner = sizes_[rank_ - 1];
    auto cut = [&](int64_t at) { return at == numel_ ? at : at - at % inner % kParallelAlign; };
    parallel_for(0, numel_, grain, [&](int64_t first, int64_t last) { run_range(cut(first), cut(last), body); });
  }
  /// The elements first..last in the walk's order, on this thread.
  template <class Body>
  void run_range(int64_t first, int64_t last, Body&& body) const {
    if (first >= last) return;
    const int inner = rank_ - 1;
    int64_t index[kMaxRank];
    Offsets at{};
    int64_t rest = first;
    for (int d = inner; d >= 0; --d) {
      index[d] = rest % sizes_[d], rest /= sizes_[d];
      for (int k = 0; k < N; ++k) at[k] += index[d] * strides_[k][d];
    }
    while (first < last) {
      const int64_t n = std::min(sizes_[inner] - index[inner], last - first);
      body(static_cast<const Offsets&>(at), n);
      first += n;
      if (first >= last) break;
      for (int k = 0; k < N; ++k) at[k] -= index[inner] * strides_[k][inner];
      index[inner] = 0;
      for (int d = inner - 1; d >= 0; --d) {
        for (int k = 0; k < N; ++k) at[k] += strides_[k][d];
        if (++index[d] < sizes_[d]) break;
        for (int k = 0; k < N; ++k) at[k] -= sizes_[d] * strides_[k][d];
        index[d] = 0;
      }
    }
  }

 private:
  int64_t numel_;
  int rank_;
  int64_t sizes_[kMaxRank];
  int64_t strides_[N][kMaxRank];
};

}  // namespace cotangent
