// Private: the one place that turns a dtype into a type.
#pragma once
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent {

/// Calls f.template operator()<T>() with the element type of `dtype`:
///     dispatch(x.dtype(), [&]<class T> { ... x.data<T>() ... });
template <class F>
decltype(auto) dispatch(Dtype dtype, F&& f) {
  switch (dtype) {
    case Dtype::float32: return f.template operator()<float>();
    case Dtype::float64: return f.template operator()<double>();
    case Dtype::bfloat16: return f.template operator()<BFloat16>();
    case Dtype::float16: return f.template operator()<Half>();
    case Dtype::int64: return f.template operator()<int64_t>();
    case Dtype::int32: return f.template operator()<int32_t>();
    case Dtype::uint8: return f.template operator()<uint8_t>();
    case Dtype::boolean: break;
  }
  return f.template operator()<bool>();
}

/// The same for float32 and float64 only: the types that kernels compute in. `op` is named in the DTypeError.
template <class F>
decltype(auto) dispatch_compute(const char* op, Dtype dtype, F&& f) {
  if (dtype == float32) return f.template operator()<float>();
  if (dtype == float64) return f.template operator()<double>();
  fail<DTypeError>("[{}] takes float32 or float64, got {}; convert with to(float32)", op, dtype);
}

/// The same for integer indices: int64, int32 and uint8.
template <class F>
decltype(auto) dispatch_index(const char* op, Dtype dtype, F&& f) {
  if (dtype == int64) return f.template operator()<int64_t>();
  if (dtype == int32) return f.template operator()<int32_t>();
  if (dtype == uint8) return f.template operator()<uint8_t>();
  fail<DTypeError>("[{}] an index must be int64, int32 or uint8, got {}", op, dtype);
}

/// The type that sums and transcendental functions of T are computed in.
template <class T>
using compute_t = std::conditional_t<is_low_precision(dtype_of<T>), float, T>;

}  // namespace cotangent
