// Private: ops on float16 and bfloat16 whose operands become float32 a part at a time, not as a whole.
#pragma once
#include <algorithm>

#include <cotangent/tensor/copy.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/views.hpp>

namespace cotangent::raw {

inline Tensor part_of(const char* op, const Tensor& x, int64_t first, int64_t last) {
  return slice(op, x, 0, first, last, 1);
}

/// Calls body(first, last) for parts of the first dimension, of n entries with so many elements each: of about 2^16
/// elements, or 8 entries, so that threads have enough to do; once if n is 0. The same parts on all machines, since
/// sums over them depend on it.
template <class Body>
void for_parts(int64_t n, int64_t elements, Body body) {
  const int64_t count = std::max<int64_t>((int64_t{1} << 16) / std::max<int64_t>(elements, 1), 8);
  int64_t first = 0;
  do {
    body(first, std::min(first + count, n));
    first += count;
  } while (first < n);
}

/// The sum over such parts, so far.
inline void add_part(const char* op, Tensor& sum, const Tensor& part) {
  if (sum.defined())
    binary_into(op, Binary::add, sum, part, sum);
  else
    sum = part;
}

/// y = f(x), for an op that treats each entry along the first dimension by itself, where f takes and gives float32.
template <class F>
Tensor by_parts(const char* op, const Tensor& x, const Tensor& y, F f) {
  const int64_t n = y.shape()[0];
  for_parts(n, std::max(x.numel(), y.numel()) / std::max<int64_t>(n, 1), [&](int64_t first, int64_t last) {
    copy_into(op, f(cast(part_of(op, x, first, last), float32)), part_of(op, y, first, last));
  });
  return y;
}

}  // namespace cotangent::raw
