#include <cotangent/autograd/ops/activation.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include <cotangent/autograd/op_info.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/record.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent {
namespace {

using raw::Binary;
using raw::Unary;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Tensor floating(const Tensor& x) { return x.is_floating() ? x : to(x, default_dtype()); }

}  // namespace

Tensor relu(const Tensor& x) {
  return record("relu", {x}, raw::unary("relu", Unary::relu, x), Keep::output(), NoAttributes{},
                [](const Backward& b, NoAttributes) -> Gradients {
                  if (!b.creates_graph()) return {raw::binary("relu", Binary::relu_backward, b.grad(), b.output())};
                  return {masked_fill(b.grad(), b.output() <= 0, 0)};
                });
}

Tensor relu6(const Tensor& x) {
  return record("relu6", {x}, raw::unary("relu6", Unary::clamp, x, 0, 6), Keep::output(), NoAttributes{},
                [](const Backward& b, NoAttributes) -> Gradients {
                  const Tensor y = b.output();
                  if (!b.creates_graph()) return {raw::binary("relu6", Binary::hardtanh_backward, b.grad(), y, 0, 6)};
                  return {masked_fill(b.grad(), y <= 0 || y >= 6, 0)};
                });
}

Tensor leaky_relu(const Tensor& x, double slope) {
  const Tensor in = floating(x);
  return record("leaky_relu", {in}, raw::unary("leaky_relu", Unary::leaky_relu, in, slope), Keep::input(0), slope,
                [](const Backward& b, double s) -> Gradients {
                  if (!b.creates_graph())
                    return {raw::binary("leaky_relu", Binary::leaky_relu_backward, b.grad(), b.input(0), s)};
                  return {where(b.input(0) > 0, b.grad(), b.grad() * s)};
                });
}

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
  const Tensor in = floating(x);
  return record("gelu", {in}, raw::unary("gelu", form == Gelu::erf ? Unary::gelu : Unary::gelu_tanh, in),
                Keep::input(0), form, [](const Backward& b, Gelu f) -> Gradients {
                  const Tensor& v = b.input(0);
                  if (!b.creates_graph()) {
                    const Binary slope = f == Gelu::erf ? Binary::gelu_backward : Binary::gelu_tanh_backward;
                    return {raw::binary("gelu", slope, b.grad(), v)};
                  }
                  return {b.grad() * (f == Gelu::erf ? gelu_slope(v) : gelu_tanh_slope(v))};
                });
}

Tensor silu(const Tensor& x) {
  const Tensor in = floating(x);
  return record("silu", {in}, raw::unary("silu", Unary::silu, in), Keep::input(0), NoAttributes{},
                [](const Backward& b, NoAttributes) -> Gradients {
                  const Tensor& v = b.input(0);
                  if (!b.creates_graph()) return {raw::binary("silu", Binary::silu_backward, b.grad(), v)};
                  const Tensor s = sigmoid(v);
                  return {b.grad() * s * (v * (1 - s) + 1)};
                });
}

Tensor softplus(const Tensor& x, double beta, double threshold) {
  if (beta == 0) fail<ValueError>("[softplus] beta is 0, by which the result is divided; it must be another number");
  struct Bend {
    double beta, threshold;
  };
  const Tensor in = floating(x);
  return record("softplus", {in}, raw::unary("softplus", Unary::softplus, in, beta, threshold), Keep::input(0),
                Bend{beta, threshold}, [](const Backward& b, Bend bend) -> Gradients {
                  const Tensor& v = b.input(0);
                  if (!b.creates_graph())
                    return {raw::binary("softplus", Binary::softplus_backward, b.grad(), v, bend.beta, bend.threshold)};
                  const Tensor scaled = v * bend.beta;
                  return {where(scaled > bend.threshold, b.grad(), b.grad() * sigmoid(scaled))};
                });
}

Tensor log_sigmoid(const Tensor& x) {
  const Tensor in = floating(x);
  return record("log_sigmoid", {in}, raw::unary("log_sigmoid", Unary::log_sigmoid, in), Keep::input(0), NoAttributes{},
                [](const Backward& b, NoAttributes) -> Gradients {
                  const Tensor& v = b.input(0);
                  if (!b.creates_graph())  // softplus's slope for beta = -1
                    return {raw::binary("log_sigmoid", Binary::softplus_backward, b.grad(), v, -1, kInfinity)};
                  return {b.grad() * sigmoid(neg(v))};
                });
}

// ---- op table ----

namespace {

/// f of each element.
template <auto F>
Results by_element(Arguments x) {
  Tensor y = clone(contiguous(x[0].detach()));
  double* p = y.data<double>();
  for (int64_t i = 0; i < y.numel(); ++i) p[i] = F(p[i]);
  return y;
}
double sigmoid_of(double v) { return 1 / (1 + std::exp(-v)); }

}  // namespace

std::vector<OpInfo> activation_ops() {
  return {
      {"relu",
       {{{distinct({2, 3})},
         [](Arguments x) -> Results { return relu(x[0]); },
         by_element<[](double v) { return std::max(v, 0.0); }>},
        {{distinct({})},
         [](Arguments x) -> Results { return relu(x[0]); },
         by_element<[](double v) { return std::max(v, 0.0); }>}}},
      {"relu6",
       {{{uniform({2, 3}, -4, -1)},
         [](Arguments x) -> Results { return relu6(x[0]); },
         by_element<[](double) { return 0.0; }>},
        {{uniform({2, 3}, 0.1, 5.9)},
         [](Arguments x) -> Results { return relu6(x[0]); },
         by_element<[](double v) { return v; }>},
        {{uniform({2, 3}, 6.1, 9)},
         [](Arguments x) -> Results { return relu6(x[0]); },
         by_element<[](double) { return 6.0; }>}}},
      {"leaky_relu",
       {{{distinct({2, 3})},
         [](Arguments x) -> Results { return leaky_relu(x[0]); },
         by_element<[](double v) { return std::max(v, 0.01 * v); }>},
        {{distinct({2, 3})},
         [](Arguments x) -> Results { return leaky_relu(x[0], 0.25); },
         by_element<[](double v) { return std::max(v, 0.25 * v); }>}}},
      {"gelu",
       {{{normal({2, 3})},
         [](Arguments x) -> Results { return gelu(x[0]); },
         by_element<[](double v) { return 0.5 * v * std::erfc(-v / std::numbers::sqrt2); }>},
        {{normal({2, 3})}, [](Arguments x) -> Results { return gelu(x[0], Gelu::tanh); }, by_element<[](double v) {
           return v * sigmoid_of(2 * std::sqrt(2 / std::numbers::pi) * (v + 0.044715 * v * v * v));
         }>}}},
      {"silu",
       {{{normal({2, 3})},
         [](Arguments x) -> Results { return silu(x[0]); },
         by_element<[](double v) { return v * sigmoid_of(v); }>}}},
      {"softplus",
       {{{normal({2, 3})},
         [](Arguments x) -> Results { return softplus(x[0]); },
         by_element<[](double v) { return std::log(1 + std::exp(v)); }>},
        {{uniform({2, 3}, -1, 1)},
         [](Arguments x) -> Results { return softplus(x[0], 3); },
         by_element<[](double v) { return std::log(1 + std::exp(3 * v)) / 3; }>},
        {{uniform({2, 3}, 1.1, 3)},
         [](Arguments x) -> Results { return softplus(x[0], 2, 2); },
         by_element<[](double v) { return v; }>}},
       {{{normal({2})}, [](Arguments x) -> Results { return softplus(x[0], 0); }, "beta is 0"}}},
      {"log_sigmoid",
       {{{normal({2, 3})},
         [](Arguments x) -> Results { return log_sigmoid(x[0]); },
         by_element<[](double v) { return std::log(sigmoid_of(v)); }>}}},
  };
}

}  // namespace cotangent
