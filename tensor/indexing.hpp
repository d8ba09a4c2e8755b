#pragma once
// NumPy's indexing, x.index({...}) and x.index_put_({...}, values), with one entry for each dimension or group of them:
//
//     x.index({0, Slice(1, None)})             x[0, 1:]              a view
//     x.index({Ellipsis, None, Slice()})       x[..., None, :]       a view
//     x.index({rows, Slice(), columns})        x[rows, :, columns]   a copy, as for every index tensor
//     x.index_put_({mask}, 0)                  x[mask] = 0
//
// - Dimensions that no entry names are kept whole. Integers and integer tensors may count from the end.
// - Integer tensors broadcast together, and the dimensions of their common shape take the place of those they index. A
// bool
//   tensor of rank r stands for r dimensions and the places where it is true. If another entry (a slice, None,
//   Ellipsis) lies between index tensors, their dimensions come first in the result. Beside index tensors an integer
//   counts as one.
// - Gradients: those of x are dy added at the indices; those of written values are dy at the indices, where of values
// written
//   to one place the last counts, as it is the one that stays; those of x before the write are dy, 0 where it was
//   written.
// - An IndexError for an index out of range (it names the index, the dimension and its size), for too many of them, for
// two
//   Ellipsis and for a mask of another shape; a ShapeError for tensors that do not broadcast.
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
