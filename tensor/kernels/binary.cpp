// y = f(a, b) over contiguous spans, where either operand may be one repeated element.
#include <cotangent/tensor/kernels/function.hpp>
#include <cotangent/tensor/kernels/math.hpp>

namespace cotangent::kernels {
namespace {

COTANGENT_BINARY(add, Any, T a, T b) { return static_cast<T>(wrap_t<T>(a) + wrap_t<T>(b)); }
COTANGENT_BINARY(sub, Number, T a, T b) { return static_cast<T>(wrap_t<T>(a) - wrap_t<T>(b)); }
COTANGENT_BINARY(mul, Any, T a, T b) { return static_cast<T>(wrap_t<T>(a) * wrap_t<T>(b)); }
COTANGENT_BINARY(div, Float, T a, T b) { return a / b; }
COTANGENT_BINARY(pow, Float, T a, T b) { return m_pow(a, b); }

COTANGENT_BINARY(pow, Integer, T base, T exponent) {  // the caller has checked that the exponent is not negative
  uint64_t result = 1, factor = static_cast<uint64_t>(base);  // which wrap around, as the other operations do
  for (; exponent > 0; exponent = static_cast<T>(exponent >> 1), factor *= factor)
    if (exponent & 1) result *= factor;
  return static_cast<T>(result);
}

COTANGENT_BINARY(minimum, Any, T a, T b) { return (a < b || a != a) ? a : b; }
COTANGENT_BINARY(maximum, Any, T a, T b) { return (a > b || a != a) ? a : b; }

// Integer division rounds down, as in Python; the caller has checked that b is not 0.
COTANGENT_BINARY(remainder, Float, T a, T b) { return a - m_floor(a / b) * b; }

COTANGENT_BINARY(remainder, Integer, T a, T b) {
  if (b == T(-1)) return T(0);
  const T rest = static_cast<T>(a % b);
  return static_cast<T>(rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest);
}

COTANGENT_BINARY(floor_divide, Float, T a, T b) { return m_floor(a / b); }

COTANGENT_BINARY(floor_divide, Integer, T a, T b) {
  if (b == T(-1)) return static_cast<T>(-static_cast<uint64_t>(a));
  const T quotient = static_cast<T>(a / b);
  return static_cast<T>(quotient - ((a % b != 0) && ((a < 0) != (b < 0))));
}

// Losses: a is what the model gives, b the target.
COTANGENT_BINARY(scaled_sub, Float, T a, T b, T scale) { return (a - b) * scale; }
COTANGENT_BINARY(bce_with_logits, Float, T a, T b) { return (a < T(0) ? T(0) : a) - a * b + m_log1p_unit(m_decay(a)); }
COTANGENT_BINARY(bce_with_logits_slope, Float, T a, T b) { return m_sigmoid(a) - b; }

COTANGENT_BINARY(eq, Any, T a, T b) { return a == b; }
COTANGENT_BINARY(ne, Any, T a, T b) { return a != b; }
COTANGENT_BINARY(lt, Any, T a, T b) { return a < b; }
COTANGENT_BINARY(le, Any, T a, T b) { return a <= b; }
COTANGENT_BINARY(gt, Any, T a, T b) { return a > b; }
COTANGENT_BINARY(ge, Any, T a, T b) { return a >= b; }
COTANGENT_BINARY(logical_and, Any, T a, T b) { return a != T(0) && b != T(0); }
COTANGENT_BINARY(logical_or, Any, T a, T b) { return a != T(0) || b != T(0); }
COTANGENT_BINARY(logical_xor, Any, T a, T b) { return (a != T(0)) != (b != T(0)); }

template <class Of, class T>
void loop(const void* pa, const void* pb, void* py, int64_t n, Layout layout, double p, double q) {
  const T *a = static_cast<const T*>(pa), *b = static_cast<const T*>(pb);
  const T tp = static_cast<T>(p), tq = static_cast<T>(q);
  auto* y = static_cast<decltype(apply<Of>(tp, tq, a[0], b[0]))*>(py);
  if (layout == Layout::both) {
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) y[i] = apply<Of>(tp, tq, a[i], b[i]);
  } else if (layout == Layout::array_scalar) {
    const T s = b[0];
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) y[i] = apply<Of>(tp, tq, a[i], s);
  } else {
    const T s = a[0];
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) y[i] = apply<Of>(tp, tq, s, b[i]);
  }
}

}  // namespace

namespace COTANGENT_ISA {
void fill(BinaryTable& t) {
  for_each_function<Binary::count>([&]<Binary f, class T, int dtype>() {
    static_assert(!Float<T> || Defined<Value<f>, T, T>, "each member of the enum has a function");
    if constexpr (Defined<Value<f>, T, T>) t[int(f)][dtype] = loop<Value<f>, T>;
  });
}
}  // namespace COTANGENT_ISA
}  // namespace cotangent::kernels
