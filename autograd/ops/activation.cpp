#include <cotangent/autograd/ops/activation.hpp>

#include <cmath>
#include <numbers>
#include <utility>

#include <cotangent/autograd/autocast_internal.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/elementwise_internal.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/format_internal.hpp>

// The functions and the gradients that are computed stand in tensor/kernels/unary.cpp; here are the gradients that are
// differentiated again, of the same dy and v.

namespace cotangent {

using detail::floating;
using detail::Reads;
using detail::record_unary;
using raw::Unary;

// ---- thresholds and rectifiers ----

Tensor threshold(const Tensor& x, double threshold, double value) {
  constexpr auto gradient = [](const Tensor& dy, const Tensor& v, double limit, double) {
    return masked_fill(dy, v <= limit, 0);
  };
  return record_unary<Unary::threshold, Reads::x>("threshold", x, gradient, threshold, value);
}

Tensor heaviside(const Tensor& x, double value) {
  return detail::record_flat<Unary::heaviside>("heaviside", floating(x), value);
}

constexpr auto relu_gradient = [](const Tensor& dy, const Tensor& y) { return masked_fill(dy, y <= 0, 0); };
Tensor relu(const Tensor& x) { return record_unary<Unary::relu, Reads::y>("relu", x, relu_gradient); }
Tensor relu(Tensor&& x) { return record_unary<Unary::relu, Reads::y>("relu", std::move(x), relu_gradient); }

constexpr auto hardtanh_gradient = [](const Tensor& dy, const Tensor& v, double low, double high) {
  return masked_fill(dy, v <= low || v >= high, 0);
};
Tensor relu6(const Tensor& x) {
  return record_unary<Unary::hardtanh, Reads::y>("relu6", x, hardtanh_gradient, 0.0, 6.0);
}

Tensor relu_squared(const Tensor& x) {
  return record_unary<Unary::relu_squared, Reads::x>(
      "relu_squared", x, [](const Tensor& dy, const Tensor& v) { return dy * relu(v) * 2; });
}

Tensor leaky_relu(const Tensor& x, double slope) {
  constexpr auto gradient = [](const Tensor& dy, const Tensor& v, double s) { return where(v > 0, dy, dy * s); };
  return record_unary<Unary::leaky_relu, Reads::x>("leaky_relu", x, gradient, slope);
}

Tensor prelu(const Tensor& x, const Tensor& weight) {
  COTANGENT_AUTOCAST(prelu, x, weight);
  const int64_t channels = x.rank() > 1 ? x.shape()[1] : 1, count = weight.numel();
  if (weight.rank() > 1 || (count != 1 && count != channels))
    fail<ShapeError>("[prelu] weight {} for x {}; it must hold one slope, or one for each of the {} channels",
                     weight.shape(), x.shape(), channels);
  Shape broadcast = Shape::filled(count == 1 ? 0 : x.rank() - 1, 1);
  if (count != 1) broadcast[0] = channels;
  const Tensor in = floating(x), below = in * reshape(weight, broadcast);
  return where(in > 0, in, below);
}

// ---- exponential units ----

namespace {
// e^x of what lies below 0, so that nothing overflows where its gradient is multiplied by 0.
Tensor decay(const Tensor& x, double rate = 1) { return exp(where(x < 0, x * rate, 0)); }
}  // namespace

Tensor elu(const Tensor& x, double alpha) {
  constexpr auto gradient = [](const Tensor& dy, const Tensor& v, double a) {
    return where(v > 0, dy, dy * (decay(v) * a));
  };
  return record_unary<Unary::elu, Reads::x>("elu", x, gradient, alpha);
}

Tensor celu(const Tensor& x, double alpha) {
  if (alpha == 0) fail<ValueError>("[celu] alpha is 0, by which x is divided; it must be another number");
  constexpr auto gradient = [](const Tensor& dy, const Tensor& v, double, double rate) {
    return where(v > 0, dy, dy * decay(v, rate));
  };
  return record_unary<Unary::celu, Reads::x>("celu", x, gradient, alpha, 1 / alpha);
}

Tensor selu(const Tensor& x) {
  return record_unary<Unary::selu, Reads::x>("selu", x, [](const Tensor& dy, const Tensor& v) {
    constexpr double scale = 1.0507009873554804934, alpha = 1.6732632423543772848;
    return where(v > 0, dy * scale, dy * (decay(v) * (scale * alpha)));
  });
}

// ---- smooth rectifiers ----

Tensor gelu(const Tensor& x, Gelu form) {
  if (form == Gelu::sigmoid) return swish(x, 1.702);
  if (form == Gelu::tanh)
    return record_unary<Unary::gelu_tanh, Reads::x>("gelu", x, [](const Tensor& dy, const Tensor& v) {
      const double scale = std::numbers::sqrt2 * std::numbers::inv_sqrtpi, cubic = 0.044715;
      const Tensor t = tanh((v + pow(v, 3) * cubic) * scale);
      return dy * ((t + 1) * 0.5 + v * (1 - square(t)) * (square(v) * (3 * cubic) + 1) * (scale / 2));
    });
  return record_unary<Unary::gelu, Reads::x>("gelu", x, [](const Tensor& dy, const Tensor& v) {
    const Tensor cdf = (erf(v * std::numbers::sqrt2 / 2) + 1) * 0.5;
    return dy * (cdf + v * exp(square(v) * -0.5) * (std::numbers::inv_sqrtpi / std::numbers::sqrt2));
  });
}

Tensor silu(const Tensor& x) {
  return record_unary<Unary::silu, Reads::x>("silu", x, [](const Tensor& dy, const Tensor& v) {
    const Tensor s = sigmoid(v);
    return dy * s * (v * (1 - s) + 1);
  });
}

Tensor swish(const Tensor& x, double beta) {
  constexpr auto gradient = [](const Tensor& dy, const Tensor& v, double rate) {
    const Tensor s = sigmoid(v * rate);
    return dy * s * (v * (1 - s) * rate + 1);
  };
  return record_unary<Unary::swish, Reads::x>("swish", x, gradient, beta);
}

Tensor swish(const Tensor& x, const Tensor& beta) {
  const Tensor in = floating(x);
  return in * sigmoid(in * beta);
}

Tensor mish(const Tensor& x) {
  return record_unary<Unary::mish, Reads::x>("mish", x, [](const Tensor& dy, const Tensor& v) {
    const Tensor t = tanh(softplus(v));
    return dy * (t + v * (1 - square(t)) * sigmoid(v));
  });
}

Tensor softplus(const Tensor& x, double beta, double threshold) {
  COTANGENT_AUTOCAST(softplus, x, beta, threshold);
  if (beta == 0) fail<ValueError>("[softplus] beta is 0, by which the result is divided; it must be another number");
  constexpr auto gradient = [](const Tensor& dy, const Tensor& v, double b, double limit) {
    const Tensor scaled = v * b;
    return where(scaled > limit, dy, dy * sigmoid(scaled));
  };
  return record_unary<Unary::softplus, Reads::x>("softplus", x, gradient, beta, threshold);
}

Tensor squareplus(const Tensor& x, double b) {
  if (!(b >= 0 && std::isfinite(b))) fail<ValueError>("[squareplus] b is {}; it must be finite, and 0 or more", b);
  constexpr auto gradient = [](const Tensor& dy, const Tensor& v, double half) {
    const Tensor below = where(v > 0, neg(v), v), y = squareplus(below, 4 * half * half);
    const Tensor slope = half == 0 ? y : y / (y * 2 - below);
    return dy * where(v > 0, 1 - slope, slope);
  };
  return record_unary<Unary::squareplus, Reads::x>("squareplus", x, gradient, std::sqrt(b) / 2);
}

// ---- functions with two limits ----

Tensor log_sigmoid(const Tensor& x) {
  return record_unary<Unary::log_sigmoid, Reads::x>(
      "log_sigmoid", x, [](const Tensor& dy, const Tensor& v) { return dy * sigmoid(neg(v)); });
}

Tensor softsign(const Tensor& x) {
  return record_unary<Unary::softsign, Reads::x>(
      "softsign", x, [](const Tensor& dy, const Tensor& v) { return dy / square(abs(v) + 1); });
}

Tensor hardsigmoid(const Tensor& x) {
  return record_unary<Unary::hardsigmoid, Reads::x>("hardsigmoid", x, [](const Tensor& dy, const Tensor& v) {
    return masked_fill(dy * (1.0 / 6), v <= -3 || v >= 3, 0);
  });
}

Tensor hardswish(const Tensor& x) {
  return record_unary<Unary::hardswish, Reads::x>("hardswish", x, [](const Tensor& dy, const Tensor& v) {
    return dy * masked_fill(where(v < 3, v / 3 + 0.5, 1), v <= -3, 0);
  });
}

Tensor hardtanh(const Tensor& x, double low, double high) {
  if (!(low <= high)) fail<ValueError>("[hardtanh] low {} is greater than high {}", low, high);
  if (!x.is_floating()) return detail::clamp_integers("hardtanh", x, low, high);
  // The result would tell less than x: a limit may lie between two numbers of the dtype.
  return record_unary<Unary::hardtanh, Reads::x>("hardtanh", x, hardtanh_gradient, low, high);
}

// ---- shrinkage ----

constexpr auto shrink_gradient = [](const Tensor& dy, const Tensor& v, double limit) {
  return masked_fill(dy, abs(v) <= limit, 0);
};
static void check_lambda(const char* op, double lambda) {
  if (!(lambda >= 0)) fail<ValueError>("[{}] lambda is {}; it must be 0 or more", op, lambda);
}
Tensor softshrink(const Tensor& x, double lambda) {
  check_lambda("softshrink", lambda);
  return record_unary<Unary::softshrink, Reads::x>("softshrink", x, shrink_gradient, lambda);
}
Tensor hardshrink(const Tensor& x, double lambda) {
  check_lambda("hardshrink", lambda);
  return record_unary<Unary::hardshrink, Reads::x>("hardshrink", x, shrink_gradient, lambda);
}

// A kernel of its own: the slope of the composition, 1 - (1 - tanh(x)^2), cancels near 0.
Tensor tanhshrink(const Tensor& x) {
  return record_unary<Unary::tanhshrink, Reads::x>(
      "tanhshrink", x, [](const Tensor& dy, const Tensor& v) { return dy * square(tanh(v)); });
}

}  // namespace cotangent
