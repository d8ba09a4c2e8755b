// y = f(a, b) over contiguous spans, where either operand may be one repeated element.
#include <cotangent/tensor/kernels/elementwise.hpp>
#include <cotangent/tensor/kernels/math.hpp>

namespace cotangent::kernels {
namespace {

// A function object for each op: `a` and `b` are the elements, `p` and `q` the parameters.
#define COTANGENT_BINARY(Name, expression)                                                   \
  template <class T>                                                                         \
  struct Name {                                                                              \
    T p, q;                                                                                  \
    auto operator()([[maybe_unused]] T a, [[maybe_unused]] T b) const { return expression; } \
  };

COTANGENT_BINARY(Add, static_cast<T>(a + b))
COTANGENT_BINARY(Sub, static_cast<T>(a - b))
COTANGENT_BINARY(Mul, static_cast<T>(a* b))
COTANGENT_BINARY(Div, a / b)
COTANGENT_BINARY(Pow, m_pow(a, b))
COTANGENT_BINARY(Minimum, (a < b || a != a) ? a : b)
COTANGENT_BINARY(Maximum, (a > b || a != a) ? a : b)
COTANGENT_BINARY(Remainder, a - m_floor(a / b) * b)
COTANGENT_BINARY(FloorDivide, m_floor(a / b))

// Integer division rounds down, as in Python; the caller has checked that b is not 0.
template <class T>
T floor_division(T a, T b) {
  if (b == T(-1)) return static_cast<T>(-static_cast<uint64_t>(a));
  const T quotient = static_cast<T>(a / b);
  return static_cast<T>(quotient - ((a % b != 0) && ((a < 0) != (b < 0))));
}
COTANGENT_BINARY(IntFloorDivide, floor_division(a, b))
template <class T>
T floor_remainder(T a, T b) {
  if (b == T(-1)) return T(0);
  const T rest = static_cast<T>(a % b);
  return static_cast<T>(rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest);
}
COTANGENT_BINARY(IntRemainder, floor_remainder(a, b))
template <class T>
T integer_power(T base, T exponent) {  // the caller has checked that the exponent is not negative
  uint64_t result = 1, factor = static_cast<uint64_t>(base);  // which wrap around, as the other operations do
  for (; exponent > 0; exponent = static_cast<T>(exponent >> 1), factor *= factor)
    if (exponent & 1) result *= factor;
  return static_cast<T>(result);
}
COTANGENT_BINARY(IntPow, integer_power(a, b))

// Gradients: a is dL/dy, b is the output y or the input x, as named.
COTANGENT_BINARY(TanhBackward, a*(T(1) - b * b))                                                            // y
COTANGENT_BINARY(SigmoidBackward, a* b*(T(1) - b))                                                          // y
COTANGENT_BINARY(ReluBackward, b <= T(0) ? T(0) : a)                                                        // y
COTANGENT_BINARY(ClampBackward, b<p || b> q ? T(0) : a)                                                     // x
COTANGENT_BINARY(HardtanhBackward, b <= p || b >= q ? T(0) : a)                                             // y or x
COTANGENT_BINARY(LeakyReluBackward, b > T(0) ? a : a * p)                                                   // x
COTANGENT_BINARY(ReluSquaredBackward, b <= T(0) ? T(0) : a * (T(2) * b))                                    // x
COTANGENT_BINARY(ThresholdBackward, b <= p ? T(0) : a)                                                      // x
COTANGENT_BINARY(EluBackward, b > T(0) ? a : a * (p * m_quick_exp(b * q)))                                  // x
COTANGENT_BINARY(SeluBackward, a*(b > T(0) ? T(kSeluScale) : T(kSeluScale * kSeluAlpha) * m_quick_exp(b)))  // x
COTANGENT_BINARY(SoftplusBackward, b* p > q ? a : a * m_sigmoid(b * p))                                     // x
COTANGENT_BINARY(GeluBackward, a* m_gelu_slope(b))                                                          // x
template <class T>
T gelu_tanh_slope(T x) {  // of x sigmoid(2 sqrt(2 / pi) (x + c x^3)), which is another way to write it
  constexpr T linear = T(2 * kSqrt2OverPi), cubic = T(2 * kSqrt2OverPi * kGeluCubic);
  const T s = T(1) / (T(1) + m_quickest_exp(-x * (linear + cubic * x * x)));
  return s + x * s * (T(1) - s) * (linear + T(3) * cubic * x * x);
}
COTANGENT_BINARY(GeluTanhBackward, a* gelu_tanh_slope(b))  // x
template <class T>
T silu_slope(T x) {
  const T s = T(1) / (T(1) + m_quickest_exp(-x));
  return s * (T(1) + x * (T(1) - s));
}
COTANGENT_BINARY(SiluBackward, a* silu_slope(b))  // x
template <class T>
T swish_slope(T x, T beta) {
  const T s = T(1) / (T(1) + m_quickest_exp(-x * beta));
  return s * (T(1) + beta * x * (T(1) - s));
}
COTANGENT_BINARY(SwishBackward, a* swish_slope(b, p))  // x
template <class T>
T mish_slope(T x) {  // t + x (1 - t^2) sigmoid(x) for t = tanh(softplus(x))
  const MishParts<T> parts = m_mish(x);
  const T d = parts.above + T(2);
  return parts.above / d + x * (T(4) * parts.e * (T(1) + parts.e) / (d * d));
}
COTANGENT_BINARY(MishBackward, a* mish_slope(b))                                                  // x
COTANGENT_BINARY(SoftsignBackward, a / ((T(1) + m_fabs(b)) * (T(1) + m_fabs(b))))                 // x
COTANGENT_BINARY(HardsigmoidBackward, b <= T(-3) || b >= T(3) ? T(0) : a * T(1.0 / 6))            // x
COTANGENT_BINARY(HardswishBackward, b <= T(-3) ? T(0) : b >= T(3) ? a : a * (b / T(3) + T(0.5)))  // x
COTANGENT_BINARY(ShrinkBackward, m_fabs(b) <= p ? T(0) : a)                                       // x
template <class T>
T tanhshrink_slope(T x) {
  const T t = m_tanh(x);
  return t * t;
}
COTANGENT_BINARY(TanhshrinkBackward, a* tanhshrink_slope(b))  // x

// Losses: a is what the model gives, b the target.
COTANGENT_BINARY(ScaledSub, (a - b) * p)
COTANGENT_BINARY(BceWithLogits, (a < T(0) ? T(0) : a) - a * b + m_log1p_unit(m_decay(a)))
COTANGENT_BINARY(BceWithLogitsSlope, m_sigmoid(a) - b)

COTANGENT_BINARY(Eq, a == b)
COTANGENT_BINARY(Ne, a != b)
COTANGENT_BINARY(Lt, a < b)
COTANGENT_BINARY(Le, a <= b)
COTANGENT_BINARY(Gt, a > b)
COTANGENT_BINARY(Ge, a >= b)
COTANGENT_BINARY(LogicalAnd, a != T(0) && b != T(0))
COTANGENT_BINARY(LogicalOr, a != T(0) || b != T(0))
COTANGENT_BINARY(LogicalXor, (a != T(0)) != (b != T(0)))

template <class F, class T>
void loop(const void* pa, const void* pb, void* py, int64_t n, Layout layout, double p, double q) {
  const T *a = static_cast<const T*>(pa), *b = static_cast<const T*>(pb);
  const F f{static_cast<T>(p), static_cast<T>(q)};
  using Result = decltype(f(a[0], b[0]));
  Result* y = static_cast<Result*>(py);
  if (layout == Layout::both) {
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) y[i] = f(a[i], b[i]);
  } else if (layout == Layout::array_scalar) {
    const T s = b[0];
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) y[i] = f(a[i], s);
  } else {
    const T s = a[0];
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) y[i] = f(s, b[i]);
  }
}

template <template <class> class F>
void floats(BinaryTable& t, Binary op) {
  t[int(op)][0] = loop<F<float>, float>;
  t[int(op)][1] = loop<F<double>, double>;
}
template <template <class> class F>
void integers(BinaryTable& t, Binary op) {
  t[int(op)][4] = loop<F<int64_t>, int64_t>;
  t[int(op)][5] = loop<F<int32_t>, int32_t>;
  t[int(op)][6] = loop<F<uint8_t>, uint8_t>;
}
template <template <class> class F>
void all(BinaryTable& t, Binary op) {
  floats<F>(t, op);
  integers<F>(t, op);
  t[int(op)][7] = loop<F<bool>, bool>;
}

}  // namespace

namespace COTANGENT_ISA {
void fill(BinaryTable& t) {
  all<Add>(t, Binary::add);
  floats<Sub>(t, Binary::sub), integers<Sub>(t, Binary::sub);
  all<Mul>(t, Binary::mul);
  floats<Div>(t, Binary::div);
  floats<Pow>(t, Binary::pow), integers<IntPow>(t, Binary::pow);
  all<Minimum>(t, Binary::minimum);
  all<Maximum>(t, Binary::maximum);
  floats<Remainder>(t, Binary::remainder), integers<IntRemainder>(t, Binary::remainder);
  floats<FloorDivide>(t, Binary::floor_divide), integers<IntFloorDivide>(t, Binary::floor_divide);
  floats<TanhBackward>(t, Binary::tanh_backward);
  floats<SigmoidBackward>(t, Binary::sigmoid_backward);
  floats<ReluBackward>(t, Binary::relu_backward);
  floats<ClampBackward>(t, Binary::clamp_backward);
  floats<HardtanhBackward>(t, Binary::hardtanh_backward);
  floats<LeakyReluBackward>(t, Binary::leaky_relu_backward);
  floats<ReluSquaredBackward>(t, Binary::relu_squared_backward);
  floats<ThresholdBackward>(t, Binary::threshold_backward);
  floats<EluBackward>(t, Binary::elu_backward);
  floats<SeluBackward>(t, Binary::selu_backward);
  floats<GeluBackward>(t, Binary::gelu_backward);
  floats<GeluTanhBackward>(t, Binary::gelu_tanh_backward);
  floats<SiluBackward>(t, Binary::silu_backward);
  floats<SwishBackward>(t, Binary::swish_backward);
  floats<MishBackward>(t, Binary::mish_backward);
  floats<SoftplusBackward>(t, Binary::softplus_backward);
  floats<SoftsignBackward>(t, Binary::softsign_backward);
  floats<HardsigmoidBackward>(t, Binary::hardsigmoid_backward);
  floats<HardswishBackward>(t, Binary::hardswish_backward);
  floats<ShrinkBackward>(t, Binary::shrink_backward);
  floats<TanhshrinkBackward>(t, Binary::tanhshrink_backward);
  floats<ScaledSub>(t, Binary::scaled_sub);
  floats<BceWithLogits>(t, Binary::bce_with_logits);
  floats<BceWithLogitsSlope>(t, Binary::bce_with_logits_slope);
  all<Eq>(t, Binary::eq);
  all<Ne>(t, Binary::ne);
  all<Lt>(t, Binary::lt);
  all<Le>(t, Binary::le);
  all<Gt>(t, Binary::gt);
  all<Ge>(t, Binary::ge);
  all<LogicalAnd>(t, Binary::logical_and);
  all<LogicalOr>(t, Binary::logical_or);
  all<LogicalXor>(t, Binary::logical_xor);
}
}  // namespace COTANGENT_ISA
}  // namespace cotangent::kernels
