#pragma once
#include <cotangent/tensor/tensor.hpp>

namespace cotangent {

/// A missing bound of a Slice, as in Python's `x[:3]`, and a new axis of size 1 as an index.
struct NoneType {};
inline constexpr NoneType None{};
/// All the dimensions that the other indices leave: `x.index({Ellipsis, 0})`.
struct EllipsisType {};
inline constexpr EllipsisType Ellipsis{};

/// start:stop:step with Python's rules for negative and missing bounds. The step must be positive.
struct Slice {
  struct Bound {
    Bound(NoneType) {}
    Bound(int64_t v) : value(v), given(true) {}
    Bound(int v) : value(v), given(true) {}
    int64_t value = 0;
    bool given = false;
  };
  Slice() : start(None), stop(None) {}
  Slice(Bound start_, Bound stop_, int64_t step_ = 1) : start(start_), stop(stop_), step(step_) {}
  Bound start, stop;
  int64_t step = 1;
};

/// One entry of `x.index({...})`.
class Index {
 public:
  enum class Kind : uint8_t { integer, slice, ellipsis, none, tensor };
  Index(int64_t i) : kind(Kind::integer), integer(i) {}
  Index(int i) : kind(Kind::integer), integer(i) {}
  Index(Slice s) : kind(Kind::slice), slice(s) {}
  Index(EllipsisType) : kind(Kind::ellipsis) {}
  Index(NoneType) : kind(Kind::none) {}
  Index(const Tensor& t) : kind(Kind::tensor), tensor(t) {}

  Kind kind;
  int64_t integer = 0;
  Slice slice;
  Tensor tensor;
};

}  // namespace cotangent
