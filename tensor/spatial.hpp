#pragma once
#include <cotangent/tensor/shape.hpp>

namespace cotangent {

/// A number for each spatial dimension, or one for all of them: `.stride = 2`, `.padding = {1, 0}`.
class Spatial {
 public:
  Spatial(int64_t all) : values_{all} {}
  Spatial(int all) : values_{all} {}
  Spatial(std::initializer_list<int64_t> values) : values_(values) {}
  Spatial(const Dims& values) : values_(values) {}
  /// Whether nothing was given (`{}`), which some options take for "as another one".
  bool empty() const { return values_.empty(); }
  /// The numbers of `dims` dimensions, each from `least` to 2^31 - 1, so that 64 bits hold the product of two of them.
  /// A ShapeError or ValueError names `op` and `what`.
  Dims over(const char* op, const char* what, int dims, int64_t least) const;

 private:
  Dims values_;
};

/// Zeros on either side of each spatial dimension, or Padding::same: as many as give a result of the input's size.
class Padding : public Spatial {
  struct Same {};

 public:
  static constexpr Same same{};
  using Spatial::Spatial;
  Padding(const Spatial& sides) : Spatial(sides) {}
  Padding(Same) : Spatial(0), same_(true) {}
  bool is_same() const { return same_; }

 private:
  bool same_ = false;
};

}  // namespace cotangent
