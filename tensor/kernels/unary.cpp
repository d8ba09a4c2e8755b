// y = f(x) over contiguous spans, and dx = gradient(dy, x or y).
#include <cotangent/tensor/kernels/function.hpp>
#include <cotangent/tensor/kernels/math.hpp>

namespace cotangent::kernels {
namespace {

// ---- of integers, too ----

template <Number T>
T sign_of(T x) {
  const T sign = static_cast<T>((x > T(0)) - (x < T(0)));
  return x != x ? x : sign;
}
COTANGENT_UNARY(sign, Number, T x) { return sign_of(x); }

COTANGENT_UNARY(neg, Number, T x) { return static_cast<T>(-wrap_t<T>(x)); }

COTANGENT_UNARY(abs, Integer, T x) { return static_cast<T>(x < T(0) ? -wrap_t<T>(x) : wrap_t<T>(x)); }
COTANGENT_UNARY(abs, Float, T x) { return m_fabs(x); }
COTANGENT_GRADIENT(abs, T dy, T x) { return dy * sign_of(x); }

COTANGENT_UNARY(square, Number, T x) { return static_cast<T>(wrap_t<T>(x) * wrap_t<T>(x)); }
COTANGENT_GRADIENT(square, T dy, T x) { return dy * x * T(2); }

COTANGENT_UNARY(relu, Number, T x) { return x < T(0) ? T(0) : x; }
COTANGENT_GRADIENT(relu, T dy, T y) { return y <= T(0) ? T(0) : dy; }

COTANGENT_UNARY(clamp, Number, T x, T low, T high) { return x < low ? low : (x > high ? high : x); }
COTANGENT_GRADIENT(clamp, T dy, T x, T low, T high) { return x < low || x > high ? T(0) : dy; }

// The same, but that no gradient passes at a limit. Either x or y is kept.
COTANGENT_UNARY(hardtanh, Number, T x, T low, T high) { return x < low ? low : (x > high ? high : x); }
COTANGENT_GRADIENT(hardtanh, T dy, T kept, T low, T high) { return kept <= low || kept >= high ? T(0) : dy; }

// ---- powers, exponentials and what belongs to them ----

COTANGENT_UNARY(sqrt, Float, T x) { return m_sqrt(x); }
COTANGENT_GRADIENT(sqrt, T dy, T y) { return dy / (y * T(2)); }

COTANGENT_UNARY(rsqrt, Float, T x) { return T(1) / m_sqrt(x); }
COTANGENT_GRADIENT(rsqrt, T dy, T y) { return dy * m_pow(y, T(3)) * T(-0.5); }

COTANGENT_UNARY(reciprocal, Float, T x) { return T(1) / x; }
COTANGENT_GRADIENT(reciprocal, T dy, T y) { return -(dy * (y * y)); }

COTANGENT_UNARY(exp, Float, T x) { return m_exp(x); }
COTANGENT_GRADIENT(exp, T dy, T y) { return dy * y; }

COTANGENT_UNARY(expm1, Float, T x) { return m_expm1(x); }
COTANGENT_GRADIENT(expm1, T dy, T y) { return dy * (y + T(1)); }

COTANGENT_UNARY(log, Float, T x) { return m_log(x); }
COTANGENT_GRADIENT(log, T dy, T x) { return dy / x; }

COTANGENT_UNARY(log1p, Float, T x) { return m_log1p(x); }
COTANGENT_GRADIENT(log1p, T dy, T x) { return dy / (x + T(1)); }

COTANGENT_UNARY(sin, Float, T x) { return m_sin(x); }
COTANGENT_GRADIENT(sin, T dy, T x) { return dy * m_cos(x); }

COTANGENT_UNARY(cos, Float, T x) { return m_cos(x); }
COTANGENT_GRADIENT(cos, T dy, T x) { return -(dy * m_sin(x)); }

COTANGENT_UNARY(tanh, Float, T x) { return m_tanh(x); }
COTANGENT_GRADIENT(tanh, T dy, T y) { return dy * (T(1) - y * y); }

COTANGENT_UNARY(sigmoid, Float, T x) { return m_sigmoid(x); }
COTANGENT_GRADIENT(sigmoid, T dy, T y) { return dy * y * (T(1) - y); }

COTANGENT_UNARY(erf, Float, T x) { return m_erf(x); }
COTANGENT_GRADIENT(erf, T dy, T x) { return dy * m_exp(-(x * x)) * T(k2OverSqrtPi); }

COTANGENT_UNARY(power, Float, T x, T exponent) { return m_pow(x, exponent); }

// ---- rectifiers ----

COTANGENT_UNARY(leaky_relu, Float, T x, T slope) { return x < T(0) ? slope * x : x; }
COTANGENT_GRADIENT(leaky_relu, T dy, T x, T slope) { return x > T(0) ? dy : dy * slope; }

COTANGENT_UNARY(relu_squared, Float, T x) { return x < T(0) ? T(0) : x * x; }
COTANGENT_GRADIENT(relu_squared, T dy, T x) { return x <= T(0) ? T(0) : dy * (T(2) * x); }

COTANGENT_UNARY(threshold, Float, T x, T limit, T below) { return x <= limit ? below : x; }
COTANGENT_GRADIENT(threshold, T dy, T x, T limit) { return x <= limit ? T(0) : dy; }

COTANGENT_UNARY(heaviside, Float, T x, T at_zero) {
  return x > T(0) ? T(1) : x < T(0) ? T(0) : x == T(0) ? at_zero : x;
}

// ---- exponential units ----

COTANGENT_UNARY(elu, Float, T x, T alpha) { return x > T(0) ? x : alpha * m_negative_expm1(x); }
COTANGENT_GRADIENT(elu, T dy, T x, T alpha) { return x > T(0) ? dy : dy * (alpha * m_quick_exp(x)); }

COTANGENT_UNARY(celu, Float, T x, T alpha, T rate) { return x > T(0) ? x : alpha * m_negative_expm1(x * rate); }
COTANGENT_GRADIENT(celu, T dy, T x, T, T rate) { return x > T(0) ? dy : dy * m_quick_exp(x * rate); }

COTANGENT_UNARY(selu, Float, T x) {
  return x > T(0) ? T(kSeluScale) * x : T(kSeluScale * kSeluAlpha) * m_negative_expm1(x);
}
COTANGENT_GRADIENT(selu, T dy, T x) {
  return dy * (x > T(0) ? T(kSeluScale) : T(kSeluScale * kSeluAlpha) * m_quick_exp(x));
}

// ---- smooth rectifiers ----

COTANGENT_UNARY(gelu, Float, T x) { return m_gelu(x); }
COTANGENT_GRADIENT(gelu, T dy, T x) { return dy * m_gelu_slope(x); }

// As x sigmoid(x (linear + cubic x^2)), which is another way to write it.
template <class T>
struct GeluTanh {
  static constexpr T linear = T(2 * kSqrt2OverPi), cubic = T(2 * kSqrt2OverPi * kGeluCubic);
};
COTANGENT_UNARY(gelu_tanh, Float, T x) {
  constexpr GeluTanh<T> c;
  return x / (T(1) + m_quickest_exp(x * (-c.linear - c.cubic * x * x)));
}
COTANGENT_GRADIENT(gelu_tanh, T dy, T x) {
  constexpr GeluTanh<T> c;
  const T s = T(1) / (T(1) + m_quickest_exp(-x * (c.linear + c.cubic * x * x)));
  return dy * (s + x * s * (T(1) - s) * (c.linear + T(3) * c.cubic * x * x));
}

COTANGENT_UNARY(silu, Float, T x) { return x / (T(1) + m_quickest_exp(-x)); }
COTANGENT_GRADIENT(silu, T dy, T x) {
  const T s = T(1) / (T(1) + m_quickest_exp(-x));
  return dy * (s * (T(1) + x * (T(1) - s)));
}

COTANGENT_UNARY(swish, Float, T x, T beta) { return x / (T(1) + m_quickest_exp(-x * beta)); }
COTANGENT_GRADIENT(swish, T dy, T x, T beta) {
  const T s = T(1) / (T(1) + m_quickest_exp(-x * beta));
  return dy * (s * (T(1) + beta * x * (T(1) - s)));
}

COTANGENT_UNARY(mish, Float, T x) {
  const MishParts<T> parts = m_mish(x);
  return x * (parts.above / (parts.above + T(2)));
}
COTANGENT_GRADIENT(mish, T dy, T x) {  // dy (t + x (1 - t^2) sigmoid(x)) for t = tanh(softplus(x))
  const MishParts<T> parts = m_mish(x);
  const T d = parts.above + T(2);
  return dy * (parts.above / d + x * (T(4) * parts.e * (T(1) + parts.e) / (d * d)));
}

COTANGENT_UNARY(softplus, Float, T x, T beta, T threshold) {
  return x * beta > threshold ? x : m_softplus(x * beta) * (T(1) / beta);
}
COTANGENT_GRADIENT(softplus, T dy, T x, T beta, T threshold) {
  return x * beta > threshold ? dy : dy * m_sigmoid(x * beta);
}

// Of half = sqrt(b) / 2 and h = sqrt(x^2 + b): squareplus(-|x|) = half^2 / (h/2 + |x|/2), and the slope there, which
// is that over h. Nothing overflows or cancels.
template <class T>
struct SquareplusParts {
  T below, slope;
};
template <class T>
SquareplusParts<T> m_squareplus(T x, T half) {
  const T u = m_fabs(x) * T(0.5), large = u < half ? half : u, ratio = (u < half ? u : half) / large;
  const T half_h = large * m_sqrt(T(1) + ratio * ratio), below = half * (half / (half_h + u));
  return {half > T(0) ? below : T(0), half > T(0) ? below * T(0.5) / half_h : T(0)};
}
COTANGENT_UNARY(squareplus, Float, T x, T half) { return (x < T(0) ? T(0) : x) + m_squareplus(x, half).below; }
COTANGENT_GRADIENT(squareplus, T dy, T x, T half) {
  const T slope = m_squareplus(x, half).slope;
  return dy * (x <= T(0) ? slope : T(1) - slope);
}

// ---- functions with two limits ----

COTANGENT_UNARY(log_sigmoid, Float, T x) { return -m_softplus(-x); }
COTANGENT_GRADIENT(log_sigmoid, T dy, T x) { return dy * m_sigmoid(-x); }

COTANGENT_UNARY(softsign, Float, T x) { return x / (T(1) + m_fabs(x)); }
COTANGENT_GRADIENT(softsign, T dy, T x) { return dy / ((T(1) + m_fabs(x)) * (T(1) + m_fabs(x))); }

COTANGENT_UNARY(hardsigmoid, Float, T x) { return x <= T(-3) ? T(0) : x >= T(3) ? T(1) : (x + T(3)) / T(6); }
COTANGENT_GRADIENT(hardsigmoid, T dy, T x) { return x <= T(-3) || x >= T(3) ? T(0) : dy * T(1.0 / 6); }

COTANGENT_UNARY(hardswish, Float, T x) { return x <= T(-3) ? T(0) : x >= T(3) ? x : x * (x + T(3)) / T(6); }
COTANGENT_GRADIENT(hardswish, T dy, T x) { return x <= T(-3) ? T(0) : x >= T(3) ? dy : dy * (x / T(3) + T(0.5)); }

// ---- shrinkage ----

COTANGENT_UNARY(softshrink, Float, T x, T lambda) {
  return x > lambda ? x - lambda : x < -lambda ? x + lambda : x != x ? x : T(0);
}
COTANGENT_GRADIENT(softshrink, T dy, T x, T lambda) { return m_fabs(x) <= lambda ? T(0) : dy; }

COTANGENT_UNARY(hardshrink, Float, T x, T lambda) { return m_fabs(x) <= lambda ? T(0) : x; }
COTANGENT_GRADIENT(hardshrink, T dy, T x, T lambda) { return m_fabs(x) <= lambda ? T(0) : dy; }

COTANGENT_UNARY(tanhshrink, Float, T x) { return x - m_tanh(x); }
COTANGENT_GRADIENT(tanhshrink, T dy, T x) {
  const T t = m_tanh(x);
  return dy * (t * t);
}

// ---- rounding and predicates ----

COTANGENT_UNARY(floor, Float, T x) { return m_floor(x); }
COTANGENT_UNARY(ceil, Float, T x) { return m_ceil(x); }
COTANGENT_UNARY(round, Float, T x) { return m_rint(x); }
COTANGENT_UNARY(trunc, Float, T x) { return m_trunc(x); }
COTANGENT_UNARY(is_nan, Any, T x) { return x != x; }
COTANGENT_UNARY(is_finite, Float, T x) { return m_fabs(x) <= (sizeof(T) == 4 ? T(__FLT_MAX__) : T(__DBL_MAX__)); }
COTANGENT_UNARY(is_finite, Any, T) { return true; }
COTANGENT_UNARY(logical_not, Any, T x) { return x == T(0); }

template <class Of, class T>
void loop(const void* x, void* y, int64_t n, double p, double q) {
  const T* in = static_cast<const T*>(x);
  const T tp = static_cast<T>(p), tq = static_cast<T>(q);
  auto* out = static_cast<decltype(apply<Of>(tp, tq, in[0]))*>(y);
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) out[i] = apply<Of>(tp, tq, in[i]);
}

template <class Of, class T>
void gradient_loop(const void* dy, const void* kept, void* dx, int64_t n, double p, double q) {
  const T *g = static_cast<const T*>(dy), *in = static_cast<const T*>(kept);
  const T tp = static_cast<T>(p), tq = static_cast<T>(q);
  T* out = static_cast<T*>(dx);
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) out[i] = apply<Of>(tp, tq, g[i], in[i]);
}

}  // namespace

namespace COTANGENT_ISA {
void fill(UnaryTable& t) {
  for_each_function<Unary::count>([&]<Unary f, class T, int dtype>() {
    static_assert(!Float<T> || Defined<Value<f>, T>, "each member of the enum has a function");
    if constexpr (Defined<Value<f>, T>) t.value[int(f)][dtype] = loop<Value<f>, T>;
    if constexpr (Defined<Gradient<f>, T, T>) t.gradient[int(f)][dtype] = gradient_loop<Gradient<f>, T>;
  });
}
}  // namespace COTANGENT_ISA
}  // namespace cotangent::kernels
