// y = f(x) over contiguous spans.
#include <cotangent/tensor/kernels/elementwise.hpp>
#include <cotangent/tensor/kernels/math.hpp>

namespace cotangent::kernels {
namespace {

// A function object for each op: `x` is the element, `p` and `q` the parameters.
#define COTANGENT_UNARY(Name, expression)                              \
  template <class T>                                                   \
  struct Name {                                                        \
    T p, q;                                                            \
    auto operator()([[maybe_unused]] T x) const { return expression; } \
  };

COTANGENT_UNARY(Neg, static_cast<T>(-x))
COTANGENT_UNARY(Abs, static_cast<T>(x < T(0) ? -x : x))
COTANGENT_UNARY(FloatAbs, m_fabs(x))
COTANGENT_UNARY(Sign, static_cast<T>((x > T(0)) - (x < T(0))))
COTANGENT_UNARY(FloatSign, x != x ? x : static_cast<T>((x > T(0)) - (x < T(0))))
COTANGENT_UNARY(Square, static_cast<T>(x* x))
COTANGENT_UNARY(Sqrt, m_sqrt(x))
COTANGENT_UNARY(Rsqrt, T(1) / m_sqrt(x))
COTANGENT_UNARY(Reciprocal, T(1) / x)
COTANGENT_UNARY(Exp, m_exp(x))
COTANGENT_UNARY(Expm1, m_expm1(x))
COTANGENT_UNARY(Log, m_log(x))
COTANGENT_UNARY(Log1p, m_log1p(x))
COTANGENT_UNARY(Sin, m_sin(x))
COTANGENT_UNARY(Cos, m_cos(x))
COTANGENT_UNARY(Tanh, m_tanh(x))
COTANGENT_UNARY(Sigmoid, m_sigmoid(x))
COTANGENT_UNARY(Erf, m_erf(x))
COTANGENT_UNARY(Relu, x < T(0) ? T(0) : x)
COTANGENT_UNARY(Clamp, x < p ? p : (x > q ? q : x))
COTANGENT_UNARY(LeakyRelu, x < T(0) ? p * x : x)
COTANGENT_UNARY(ReluSquared, x < T(0) ? T(0) : x * x)
COTANGENT_UNARY(Threshold, x <= p ? q : x)
COTANGENT_UNARY(Heaviside, x > T(0) ? T(1) : x < T(0) ? T(0) : x == T(0) ? p : x)
COTANGENT_UNARY(Elu, x > T(0) ? x : p * m_negative_expm1(x * q))
COTANGENT_UNARY(Selu, x > T(0) ? T(kSeluScale) * x : T(kSeluScale * kSeluAlpha) * m_negative_expm1(x))
COTANGENT_UNARY(Gelu, m_gelu(x))
COTANGENT_UNARY(GeluTanh,
                x / (T(1) + m_quickest_exp(x * (T(-2 * kSqrt2OverPi) - T(2 * kSqrt2OverPi * kGeluCubic) * x * x))))
COTANGENT_UNARY(Silu, x / (T(1) + m_quickest_exp(-x)))
COTANGENT_UNARY(Swish, x / (T(1) + m_quickest_exp(-x * p)))
template <class T>
T mish_of(T x) {
  const MishParts<T> parts = m_mish(x);
  return x * (parts.above / (parts.above + T(2)));
}
COTANGENT_UNARY(Mish, mish_of(x))
COTANGENT_UNARY(Softplus, x* p > q ? x : m_softplus(x * p) * (T(1) / p))
COTANGENT_UNARY(LogSigmoid, -m_softplus(-x))
COTANGENT_UNARY(Softsign, x / (T(1) + m_fabs(x)))
COTANGENT_UNARY(Hardsigmoid, x <= T(-3) ? T(0) : x >= T(3) ? T(1) : (x + T(3)) / T(6))
COTANGENT_UNARY(Hardswish, x <= T(-3) ? T(0) : x >= T(3) ? x : x * (x + T(3)) / T(6))
COTANGENT_UNARY(Softshrink, x > p ? x - p : x < -p ? x + p : x != x ? x : T(0))
COTANGENT_UNARY(Hardshrink, m_fabs(x) <= p ? T(0) : x)
COTANGENT_UNARY(Tanhshrink, x - m_tanh(x))
COTANGENT_UNARY(Power, m_pow(x, p))
COTANGENT_UNARY(Floor, m_floor(x))
COTANGENT_UNARY(Ceil, m_ceil(x))
COTANGENT_UNARY(Round, m_rint(x))
COTANGENT_UNARY(Trunc, m_trunc(x))
COTANGENT_UNARY(IsNan, x != x)
COTANGENT_UNARY(IsFinite, m_fabs(x) <= (sizeof(T) == 4 ? T(__FLT_MAX__) : T(__DBL_MAX__)))
COTANGENT_UNARY(Never, false)
COTANGENT_UNARY(Always, true)
COTANGENT_UNARY(LogicalNot, x == T(0))

template <class F, class T>
void loop(const void* x, void* y, int64_t n, double p, double q) {
  const T* in = static_cast<const T*>(x);
  const F f{static_cast<T>(p), static_cast<T>(q)};
  using Result = decltype(f(in[0]));
  Result* out = static_cast<Result*>(y);
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) out[i] = f(in[i]);
}

template <template <class> class F>
void floats(UnaryTable& t, Unary op) {
  t[int(op)][0] = loop<F<float>, float>;
  t[int(op)][1] = loop<F<double>, double>;
}
template <template <class> class F>
void integers(UnaryTable& t, Unary op) {
  t[int(op)][4] = loop<F<int64_t>, int64_t>;
  t[int(op)][5] = loop<F<int32_t>, int32_t>;
  t[int(op)][6] = loop<F<uint8_t>, uint8_t>;
}

}  // namespace

namespace COTANGENT_ISA {
void fill(UnaryTable& t) {
  floats<Neg>(t, Unary::neg), integers<Neg>(t, Unary::neg);
  floats<FloatAbs>(t, Unary::abs), integers<Abs>(t, Unary::abs);
  floats<FloatSign>(t, Unary::sign), integers<Sign>(t, Unary::sign);
  floats<Square>(t, Unary::square), integers<Square>(t, Unary::square);
  floats<Relu>(t, Unary::relu), integers<Relu>(t, Unary::relu);
  floats<Clamp>(t, Unary::clamp), integers<Clamp>(t, Unary::clamp);
  floats<Sqrt>(t, Unary::sqrt);
  floats<Rsqrt>(t, Unary::rsqrt);
  floats<Reciprocal>(t, Unary::reciprocal);
  floats<Exp>(t, Unary::exp);
  floats<Expm1>(t, Unary::expm1);
  floats<Log>(t, Unary::log);
  floats<Log1p>(t, Unary::log1p);
  floats<Sin>(t, Unary::sin);
  floats<Cos>(t, Unary::cos);
  floats<Tanh>(t, Unary::tanh);
  floats<Sigmoid>(t, Unary::sigmoid);
  floats<Erf>(t, Unary::erf);
  floats<LeakyRelu>(t, Unary::leaky_relu);
  floats<ReluSquared>(t, Unary::relu_squared);
  floats<Threshold>(t, Unary::threshold);
  floats<Heaviside>(t, Unary::heaviside);
  floats<Elu>(t, Unary::elu);
  floats<Selu>(t, Unary::selu);
  floats<Gelu>(t, Unary::gelu);
  floats<GeluTanh>(t, Unary::gelu_tanh);
  floats<Silu>(t, Unary::silu);
  floats<Swish>(t, Unary::swish);
  floats<Mish>(t, Unary::mish);
  floats<Softplus>(t, Unary::softplus);
  floats<LogSigmoid>(t, Unary::log_sigmoid);
  floats<Softsign>(t, Unary::softsign);
  floats<Hardsigmoid>(t, Unary::hardsigmoid);
  floats<Hardswish>(t, Unary::hardswish);
  floats<Softshrink>(t, Unary::softshrink);
  floats<Hardshrink>(t, Unary::hardshrink);
  floats<Tanhshrink>(t, Unary::tanhshrink);
  floats<Power>(t, Unary::power);
  floats<Floor>(t, Unary::floor);
  floats<Ceil>(t, Unary::ceil);
  floats<Round>(t, Unary::round);
  floats<Trunc>(t, Unary::trunc);
  floats<IsNan>(t, Unary::is_nan), integers<Never>(t, Unary::is_nan);
  floats<IsFinite>(t, Unary::is_finite), integers<Always>(t, Unary::is_finite);
  floats<LogicalNot>(t, Unary::logical_not), integers<LogicalNot>(t, Unary::logical_not);
  t[int(Unary::logical_not)][7] = loop<LogicalNot<bool>, bool>;
  t[int(Unary::is_nan)][7] = loop<Never<bool>, bool>;
  t[int(Unary::is_finite)][7] = loop<Always<bool>, bool>;
}
}  // namespace COTANGENT_ISA
}  // namespace cotangent::kernels
