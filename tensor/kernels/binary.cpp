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

// Division rounds down, as in Python, but for fmod, where it rounds towards 0. fmod is exact, where a / b is rounded.
// The caller has checked that no integer b is 0; the smallest integer has no quotient by -1.
template <Integer T>
bool is_minus_one(T b) {
  return std::is_signed_v<T> && b == static_cast<T>(-1);
}

COTANGENT_BINARY(fmod, Float, T a, T b) { return m_fmod(a, b); }
COTANGENT_BINARY(fmod, Integer, T a, T b) { return is_minus_one(b) ? T(0) : static_cast<T>(a % b); }

// Of two, without a branch, which chance would mislead.
template <class T>
T second_if(bool second, T a, T b) {
  const T both[] = {a, b};
  return both[second];
}
template <Float T>
bool are_apart(T rest, T b) {
  return rest != T(0) && (rest < T(0)) != (b < T(0));
}

COTANGENT_BINARY(remainder, Float, T a, T b) {
  const T rest = m_fmod(a, b);
  return rest == T(0) ? m_copysign(rest, b) : second_if(are_apart(rest, b), rest, rest + b);
}
COTANGENT_BINARY(remainder, Integer, T a, T b) {
  if (is_minus_one(b)) return T(0);
  const T rest = static_cast<T>(a % b);
  return static_cast<T>(rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest);
}

COTANGENT_BINARY(floor_divide, Float, T a, T b) {
  const T rest = m_fmod(a, b), quotient = m_rint((a - rest) / b);
  return b == T(0) ? a / b : quotient - T(are_apart(rest, b));
}
COTANGENT_BINARY(floor_divide, Integer, T a, T b) {
  if (is_minus_one(b)) return static_cast<T>(-wrap_t<T>(a));
  const T quotient = static_cast<T>(a / b);
  return static_cast<T>(quotient - ((a % b != 0) && ((a < 0) != (b < 0))));
}

// Losses: a is what the model gives, b the target.
COTANGENT_BINARY(scaled_sub, Float, T a, T b, T scale) { return (a - b) * scale; }
COTANGENT_BINARY(bce_with_logits, Float, T a, T b) {
  const T factor = (a > T(0) ? T(1) : T(0)) - b;  // 0 where the target is certain and right, be a infinite
  const T distance = (factor == T(0)) & (m_fabs(a) == T(__builtin_inf())) ? T(0) : factor * a;
  return distance + m_log1p_unit(m_decay(a));
}
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
