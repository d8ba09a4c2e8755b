#pragma once
// Integers wrap around where a result does not fit, as NumPy's do. In C++ only unsigned ones may.
#include <cstdint>

namespace cotangent::kernels {

template <class T>
struct Wrap {
  using type = T;
};
template <>
struct Wrap<int64_t> {
  using type = uint64_t;
};
template <>
struct Wrap<int32_t> {
  using type = uint32_t;
};
/// What to add, subtract and multiply T in.
template <class T>
using wrap_t = typename Wrap<T>::type;

}  // namespace cotangent::kernels
