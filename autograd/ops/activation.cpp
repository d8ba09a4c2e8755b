#include <cotangent/autograd/ops/activation.hpp>

#include <limits>
#include <numbers>
#include <utility>

#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/autograd/record.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/limits.hpp>

// A rule calls one kernel, except where it is recorded itself: then it is written in differentiable ops.

namespace cotangent {
namespace {

using raw::Binary;
using raw::Unary;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Tensor floating(const Tensor& x) { return x.is_floating() ? x : to(x, default_dtype()); }

}  // namespace

// ---- thresholds and rectifiers ----

Tensor threshold(const Tensor& x, double threshold, double value) {
  const Tensor in = floating(x);
  return record("threshold", {in}, raw::unary("threshold", Unary::threshold, in, threshold, value), Keep::input(0),
                threshold, [](const Backward& b, double limit) -> Gradients {
                  const Tensor& v = b.input(0);
                  if (!b.creates_graph())
                    return {raw::binary("threshold", Binary::threshold_backward, b.take_grad(), v, limit)};
                  return {masked_fill(b.grad(), v <= limit, 0)};
                });
}

Tensor heaviside(const Tensor& x, double value) {
  const Tensor in = floating(x);
  return record("heaviside", {in}, raw::unary("heaviside", Unary::heaviside, in, value), Keep::nothing(),
                NoAttributes{}, [](const Backward& b, NoAttributes) -> Gradients { return {zeros_like(b.grad())}; });
}

namespace {
// Over x, if that is a temporary.
template <class X>
Tensor rectified(X&& x) {
  Tensor y = record("relu", {x}, raw::unary("relu", Unary::relu, std::forward<X>(x)), Keep::output(), NoAttributes{},
                    [](const Backward& b, NoAttributes) -> Gradients {
                      if (!b.creates_graph())
                        return {raw::binary("relu", Binary::relu_backward, b.take_grad(), b.output())};
                      return {masked_fill(b.grad(), b.output() <= 0, 0)};
                    });
  if constexpr (!std::is_lvalue_reference_v<X>) x = Tensor();
  return y;
}
}  // namespace

Tensor relu(const Tensor& x) { return rectified(x); }
Tensor relu(Tensor&& x) { return rectified(std::move(x)); }

Tensor relu6(const Tensor& x) {
  return record("relu6", {x}, raw::unary("relu6", Unary::clamp, x, 0, 6), Keep::output(), NoAttributes{},
                [](const Backward& b, NoAttributes) -> Gradients {
                  const Tensor y = b.output();
                  if (!b.creates_graph())
                    return {raw::binary("relu6", Binary::hardtanh_backward, b.take_grad(), y, 0, 6)};
                  return {masked_fill(b.grad(), y <= 0 || y >= 6, 0)};
                });
}

Tensor relu_squared(const Tensor& x) {
  const Tensor in = floating(x);
  return record("relu_squared", {in}, raw::unary("relu_squared", Unary::relu_squared, in), Keep::input(0),
                NoAttributes{}, [](const Backward& b, NoAttributes) -> Gradients {
                  const Tensor& v = b.input(0);
                  if (!b.creates_graph())
                    return {raw::binary("relu_squared", Binary::relu_squared_backward, b.take_grad(), v)};
                  return {b.grad() * relu(v) * 2};
                });
}

Tensor leaky_relu(const Tensor& x, double slope) {
  const Tensor in = floating(x);
  return record("leaky_relu", {in}, raw::unary("leaky_relu", Unary::leaky_relu, in, slope), Keep::input(0), slope,
                [](const Backward& b, double s) -> Gradients {
                  if (!b.creates_graph())
                    return {raw::binary("leaky_relu", Binary::leaky_relu_backward, b.take_grad(), b.input(0), s)};
                  return {where(b.input(0) > 0, b.grad(), b.grad() * s)};
                });
}

Tensor prelu(const Tensor& x, const Tensor& weight) {
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

// The slope below 0 is scale * e^(rate x).
struct Decay {
  double scale, rate;
};
// The exponential of what lies below 0, so that nothing overflows where its gradient is multiplied by 0.
Tensor decay(const Tensor& x, Decay d) { return exp(where(x < 0, x * d.rate, 0)) * d.scale; }

Tensor exponential_unit(const char* op, const Tensor& x, double alpha, double rate) {
  const Tensor in = floating(x);
  return record(op, {in}, raw::unary(op, Unary::elu, in, alpha, rate), Keep::input(0), Decay{alpha * rate, rate},
                [](const Backward& b, Decay d) -> Gradients {
                  const Tensor& v = b.input(0);
                  if (!b.creates_graph())
                    return {raw::binary("elu", Binary::elu_backward, b.take_grad(), v, d.scale, d.rate)};
                  return {where(v > 0, b.grad(), b.grad() * decay(v, d))};
                });
}

}  // namespace

Tensor elu(const Tensor& x, double alpha) { return exponential_unit("elu", x, alpha, 1); }

Tensor celu(const Tensor& x, double alpha) {
  if (alpha == 0) fail<ValueError>("[celu] alpha is 0, by which x is divided; it must be another number");
  return exponential_unit("celu", x, alpha, 1 / alpha);
}

Tensor selu(const Tensor& x) {
  const Tensor in = floating(x);
  return record("selu", {in}, raw::unary("selu", Unary::selu, in), Keep::input(0), NoAttributes{},
                [](const Backward& b, NoAttributes) -> Gradients {
                  constexpr double scale = 1.0507009873554804934, alpha = 1.6732632423543772848;
                  const Tensor& v = b.input(0);
                  if (!b.creates_graph()) return {raw::binary("selu", Binary::selu_backward, b.take_grad(), v)};
                  return {where(v > 0, b.grad() * scale, b.grad() * decay(v, {scale * alpha, 1}))};
                });
}

// ---- smooth rectifiers ----

namespace {

// The slope of gelu in differentiable ops.
Tensor gelu_slope(const Tensor& x) {
  const Tensor cdf = (erf(x * std::numbers::sqrt2 / 2) + 1) * 0.5;
  return cdf + x * exp(square(x) * -0.5) * (std::numbers::inv_sqrtpi / std::numbers::sqrt2);
}
Tensor gelu_tanh_slope(const Tensor& x) {
  const double scale = std::numbers::sqrt2 * std::numbers::inv_sqrtpi, cubic = 0.044715;
  const Tensor t = tanh((x + pow(x, 3) * cubic) * scale);
  return (t + 1) * 0.5 + x * (1 - square(t)) * (square(x) * (3 * cubic) + 1) * (scale / 2);
}

}  // namespace

Tensor gelu(const Tensor& x, Gelu form) {
  if (form == Gelu::sigmoid) return swish(x, 1.702);
  const Tensor in = floating(x);
  return record("gelu", {in}, raw::unary("gelu", form == Gelu::erf ? Unary::gelu : Unary::gelu_tanh, in),
                Keep::input(0), form, [](const Backward& b, Gelu f) -> Gradients {
                  const Tensor& v = b.input(0);
                  if (!b.creates_graph()) {
                    const Binary slope = f == Gelu::erf ? Binary::gelu_backward : Binary::gelu_tanh_backward;
                    return {raw::binary("gelu", slope, b.take_grad(), v)};
                  }
                  return {b.grad() * (f == Gelu::erf ? gelu_slope(v) : gelu_tanh_slope(v))};
                });
}

Tensor silu(const Tensor& x) {
  const Tensor in = floating(x);
  return record("silu", {in}, raw::unary("silu", Unary::silu, in), Keep::input(0), NoAttributes{},
                [](const Backward& b, NoAttributes) -> Gradients {
                  const Tensor& v = b.input(0);
                  if (!b.creates_graph()) return {raw::binary("silu", Binary::silu_backward, b.take_grad(), v)};
                  const Tensor s = sigmoid(v);
                  return {b.grad() * s * (v * (1 - s) + 1)};
                });
}

Tensor swish(const Tensor& x, double beta) {
  const Tensor in = floating(x);
  return record("swish", {in}, raw::unary("swish", Unary::swish, in, beta), Keep::input(0), beta,
                [](const Backward& b, double rate) -> Gradients {
                  const Tensor& v = b.input(0);
                  if (!b.creates_graph()) return {raw::binary("swish", Binary::swish_backward, b.take_grad(), v, rate)};
                  const Tensor s = sigmoid(v * rate);
                  return {b.grad() * s * (v * (1 - s) * rate + 1)};
                });
}

Tensor swish(const Tensor& x, const Tensor& beta) {
  const Tensor in = floating(x);
  return in * sigmoid(in * beta);
}

Tensor mish(const Tensor& x) {
  const Tensor in = floating(x);
  return record("mish", {in}, raw::unary("mish", Unary::mish, in), Keep::input(0), NoAttributes{},
                [](const Backward& b, NoAttributes) -> Gradients {
                  const Tensor& v = b.input(0);
                  if (!b.creates_graph()) return {raw::binary("mish", Binary::mish_backward, b.take_grad(), v)};
                  const Tensor t = tanh(softplus(v));
                  return {b.grad() * (t + v * (1 - square(t)) * sigmoid(v))};
                });
}

Tensor softplus(const Tensor& x, double beta, double threshold) {
  if (beta == 0) fail<ValueError>("[softplus] beta is 0, by which the result is divided; it must be another number");
  struct Bend {
    double beta, threshold;
  };
  const Tensor in = floating(x);
  return record(
      "softplus", {in}, raw::unary("softplus", Unary::softplus, in, beta, threshold), Keep::input(0),
      Bend{beta, threshold}, [](const Backward& b, Bend bend) -> Gradients {
        const Tensor& v = b.input(0);
        if (!b.creates_graph())
          return {raw::binary("softplus", Binary::softplus_backward, b.take_grad(), v, bend.beta, bend.threshold)};
        const Tensor scaled = v * bend.beta;
        return {where(scaled > bend.threshold, b.grad(), b.grad() * sigmoid(scaled))};
      });
}

// ---- functions with two limits ----

Tensor log_sigmoid(const Tensor& x) {
  const Tensor in = floating(x);
  return record("log_sigmoid", {in}, raw::unary("log_sigmoid", Unary::log_sigmoid, in), Keep::input(0), NoAttributes{},
                [](const Backward& b, NoAttributes) -> Gradients {
                  const Tensor& v = b.input(0);
                  if (!b.creates_graph())  // softplus's slope for beta = -1
                    return {raw::binary("log_sigmoid", Binary::softplus_backward, b.take_grad(), v, -1, kInfinity)};
                  return {b.grad() * sigmoid(neg(v))};
                });
}

Tensor softsign(const Tensor& x) {
  const Tensor in = floating(x);
  return record("softsign", {in}, raw::unary("softsign", Unary::softsign, in), Keep::input(0), NoAttributes{},
                [](const Backward& b, NoAttributes) -> Gradients {
                  const Tensor& v = b.input(0);
                  if (!b.creates_graph()) return {raw::binary("softsign", Binary::softsign_backward, b.take_grad(), v)};
                  return {b.grad() / square(abs(v) + 1)};
                });
}

Tensor hardsigmoid(const Tensor& x) {
  const Tensor in = floating(x);
  return record("hardsigmoid", {in}, raw::unary("hardsigmoid", Unary::hardsigmoid, in), Keep::input(0), NoAttributes{},
                [](const Backward& b, NoAttributes) -> Gradients {
                  const Tensor& v = b.input(0);
                  if (!b.creates_graph())
                    return {raw::binary("hardsigmoid", Binary::hardsigmoid_backward, b.take_grad(), v)};
                  return {masked_fill(b.grad() * (1.0 / 6), v <= -3 || v >= 3, 0)};
                });
}

Tensor hardswish(const Tensor& x) {
  const Tensor in = floating(x);
  return record("hardswish", {in}, raw::unary("hardswish", Unary::hardswish, in), Keep::input(0), NoAttributes{},
                [](const Backward& b, NoAttributes) -> Gradients {
                  const Tensor& v = b.input(0);
                  if (!b.creates_graph())
                    return {raw::binary("hardswish", Binary::hardswish_backward, b.take_grad(), v)};
                  const Tensor slope = where(v < 3, v / 3 + 0.5, 1);
                  return {b.grad() * masked_fill(slope, v <= -3, 0)};
                });
}

Tensor hardtanh(const Tensor& x, double low, double high) {
  if (!(low <= high)) fail<ValueError>("[hardtanh] low {} is greater than high {}", low, high);
  // The result would tell less than x: a limit may lie between two numbers of the dtype.
  return record("hardtanh", {x}, raw::unary("hardtanh", Unary::clamp, x, low, high), Keep::input(0), Limits{low, high},
                [](const Backward& b, const Limits& l) -> Gradients {
                  const Tensor& v = b.input(0);
                  if (!b.creates_graph())
                    return {raw::binary("hardtanh", Binary::hardtanh_backward, b.take_grad(), v, l.low, l.high)};
                  return {masked_fill(b.grad(), v <= l.low || v >= l.high, 0)};
                });
}

// ---- shrinkage ----

namespace {

Tensor shrunk(const char* op, Unary f, const Tensor& x, double lambda) {
  if (!(lambda >= 0)) fail<ValueError>("[{}] lambda is {}; it must be 0 or more", op, lambda);
  const Tensor in = floating(x);
  return record(op, {in}, raw::unary(op, f, in, lambda), Keep::input(0), lambda,
                [](const Backward& b, double limit) -> Gradients {
                  const Tensor& v = b.input(0);
                  if (!b.creates_graph())
                    return {raw::binary("shrink", Binary::shrink_backward, b.take_grad(), v, limit)};
                  return {masked_fill(b.grad(), abs(v) <= limit, 0)};
                });
}

}  // namespace

Tensor softshrink(const Tensor& x, double lambda) { return shrunk("softshrink", Unary::softshrink, x, lambda); }
Tensor hardshrink(const Tensor& x, double lambda) { return shrunk("hardshrink", Unary::hardshrink, x, lambda); }

// A kernel of its own: the slope of the composition, 1 - (1 - tanh(x)^2), cancels near 0.
Tensor tanhshrink(const Tensor& x) {
  const Tensor in = floating(x);
  return record("tanhshrink", {in}, raw::unary("tanhshrink", Unary::tanhshrink, in), Keep::input(0), NoAttributes{},
                [](const Backward& b, NoAttributes) -> Gradients {
                  const Tensor& v = b.input(0);
                  if (!b.creates_graph())
                    return {raw::binary("tanhshrink", Binary::tanhshrink_backward, b.take_grad(), v)};
                  return {b.grad() * square(tanh(v))};
                });
}

}  // namespace cotangent
