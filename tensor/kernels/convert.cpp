// Conversions between dtypes.
#include <cotangent/tensor/kernels/copy.hpp>
#include <cotangent/tensor/kernels/half.hpp>

namespace cotangent::kernels {
namespace {

template <class T>
inline T load(T x) {
  return x;
}
inline float load(BFloat16Bits x) { return widened(x); }
inline float load(Float16Bits x) { return widened(x); }
template <class To>
struct Store {
  template <class From>
  static To convert(From x) {
    return static_cast<To>(x);
  }
};
template <>
struct Store<bool> {
  template <class From>
  static bool convert(From x) {
    return x != From(0);
  }
};
template <class Half>
struct StoreHalf {
  template <class From>
  static Half convert(From x) {
    return narrowed<Half>(static_cast<float>(x));
  }
};
template <>
struct Store<BFloat16Bits> : StoreHalf<BFloat16Bits> {};
template <>
struct Store<Float16Bits> : StoreHalf<Float16Bits> {};

template <class T>
constexpr bool is_half = sizeof(T) == 2;

template <class From, class To>
void loop(const void* x, void* y, int64_t n) {
  const From* in = static_cast<const From*>(x);
  To* out = static_cast<To*>(y);
  if constexpr (is_half<From> && __is_same(To, float)) {
    widen(in, out, n);
  } else if constexpr (__is_same(From, float) && is_half<To>) {
    narrow(in, out, n);
  } else {
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) out[i] = Store<To>::convert(load(in[i]));
  }
}

template <class From>
void row(ConvertLoop* to) {
  to[0] = loop<From, float>;
  to[1] = loop<From, double>;
  to[2] = loop<From, BFloat16Bits>;
  to[3] = loop<From, Float16Bits>;
  to[4] = loop<From, int64_t>;
  to[5] = loop<From, int32_t>;
  to[6] = loop<From, uint8_t>;
  to[7] = loop<From, bool>;
}

}  // namespace

namespace COTANGENT_ISA {
void fill(ConvertTable& t) {
  row<float>(t[0]);
  row<double>(t[1]);
  row<BFloat16Bits>(t[2]);
  row<Float16Bits>(t[3]);
  row<int64_t>(t[4]);
  row<int32_t>(t[5]);
  row<uint8_t>(t[6]);
  row<bool>(t[7]);
}
}  // namespace COTANGENT_ISA
}  // namespace cotangent::kernels
