#pragma once
// Copies of a tensor in another arrangement: padded, rolled, repeated. dy is the gradient of the result.
#include <optional>

#include <cotangent/tensor/tensor.hpp>

namespace cotangent {

/// What stands outside of a padded tensor. Each goes on for as far as one asks.
enum class PadMode : uint8_t {
  constant,   ///< a number
  reflect,    ///< mirrored at the first and the last element, which are not repeated:  c b | a b c | b a
  replicate,  ///< the first and the last element again and again:                     a a | a b c | c c
  circular    ///< the other end:                                                      b c | a b c | a b
};

/// x with more elements around it. `sizes` has two numbers for each dimension from the last one on, before and after:
/// {1, 2} pads the last dimension by 1 in front and 2 at the end, {1, 2, 3, 3} also the one before it by 3 on either
/// side. A negative number takes elements away.
///   (.., n, ..) -> (.., before + n + after, ..);   dx = the sum of dy over the places that show an element
/// A ShapeError if there are more sizes than dimensions or an odd number of them, if more is taken away than there is,
/// or if a dimension has nothing to repeat (reflect needs two elements, replicate and circular one).
Tensor pad(const Tensor& x, std::span<const int64_t> sizes, PadMode mode = PadMode::constant, const Scalar& value = 0);
Tensor pad(const Tensor& x, std::initializer_list<int64_t> sizes, PadMode mode = PadMode::constant,
           const Scalar& value = 0);

/// Element i of dimension dims[k] stands at i + shifts[k], and what leaves at one end comes back at the other.
///   dx = dy rolled back. A ValueError unless there is a shift for each dimension. A dimension may be named twice.
Tensor roll(const Tensor& x, const DimList& shifts, const DimList& dims);
/// The same for the elements in row-major order.
Tensor roll(const Tensor& x, int64_t shift);

/// x repeated as a whole, repeats[d] times along dimension d; numbers more than x's dimensions stand for new ones in
/// front.   (a, b), {r, s} -> (r a, s b);   dx = the sum of dy over the repetitions
/// A ShapeError if there are fewer numbers than dimensions, a ValueError if one is negative.
Tensor repeat(const Tensor& x, const Shape& repeats);
/// The same with fewer numbers too: those that are missing, in front, are 1.
Tensor tile(const Tensor& x, const Shape& repeats);

/// Each element (slice along `dim`) `repeats` times, next to one another; without a dimension x is flattened first.
///   (.., n, ..) -> (.., n repeats, ..);   dx = the sum of dy over the repetitions
Tensor repeat_interleave(const Tensor& x, int64_t repeats, std::optional<int64_t> dim = {});
/// Slice i repeats[i] times, for an integer tensor of shape (n) or of one element. A ValueError if a number is
/// negative.
Tensor repeat_interleave(const Tensor& x, const Tensor& repeats, std::optional<int64_t> dim = {});

}  // namespace cotangent
