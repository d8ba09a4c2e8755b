// The op table of activation.hpp, apart from the functions because it is long.
#include <algorithm>
#include <cmath>
#include <numbers>

#include <cotangent/autograd/ops/activation.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tests/autograd/op_info.hpp>

namespace cotangent {
namespace {

/// f of each element.
template <auto F>
Results by_element(Arguments x) {
  Tensor y = clone(contiguous(x[0].detach()));
  double* p = y.data<double>();
  for (int64_t i = 0; i < y.numel(); ++i) p[i] = F(p[i]);
  return y;
}
template <Tensor (*F)(const Tensor&)>
Results call(Arguments x) {
  return F(x[0]);
}
double sigmoid_of(double v) { return 1 / (1 + std::exp(-v)); }

/// Positive and negative values between the kinks at -3 and 3, and beyond them.
InputSpec around_three() { return values({2, 4}, {-4.2, -3.1, -2.7, -0.6, 0.4, 2.8, 3.2, 5.1}); }

}  // namespace

COTANGENT_OP_TABLE(activation) {
  return {
      {"threshold",
       {{{distinct({2, 3})},
         [](Arguments x) -> Results { return threshold(x[0], 0.2, 20); },
         by_element<[](double v) { return (v > 0.2) ? v : 20; }>}}},
      {.name = "heaviside",
       .samples = {{{distinct({2, 3})},
                    [](Arguments x) -> Results { return heaviside(x[0]); },
                    by_element<[](double v) { return double((v > 0)); }>},
                   {{constant(values({3}, {-1, 0, 2}))},
                    [](Arguments x) -> Results { return heaviside(x[0], 0.5); },
                    by_element<[](double v) { return v == 0 ? 0.5 : double((v > 0)); }>}},
       .zero_gradient = true},
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
         }>},
        {{normal({2, 3})},
         [](Arguments x) -> Results { return gelu(x[0], Gelu::sigmoid); },
         by_element<[](double v) { return v * sigmoid_of(1.702 * v); }>}}},
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
      {"squareplus",
       {{{normal({2, 3})},
         [](Arguments x) -> Results { return squareplus(x[0]); },
         by_element<[](double v) { return (v + std::sqrt(v * v + 4)) / 2; }>},
        {{normal({2, 3})},
         [](Arguments x) -> Results { return squareplus(x[0], 0.25); },
         by_element<[](double v) { return (v + std::sqrt(v * v + 0.25)) / 2; }>},
        {{values({4}, {-1e3, -30, 0, 1e3})},
         [](Arguments x) -> Results { return squareplus(x[0]); },
         by_element<[](double v) {
           return (v > 0) ? (v + std::sqrt(v * v + 4)) / 2 : 2 / (std::sqrt(v * v + 4) - v);
         }>},
        {{distinct({2, 3})},
         [](Arguments x) -> Results { return squareplus(x[0], 0); },
         by_element<[](double v) { return std::max(v, 0.0); }>}},
       {{{normal({2})}, [](Arguments x) -> Results { return squareplus(x[0], -1); }, "[squareplus] b is -1"},
        {{normal({2})}, [](Arguments x) -> Results { return squareplus(x[0], INFINITY); }, "must be finite"}}},
      {"log_sigmoid",
       {{{normal({2, 3})},
         [](Arguments x) -> Results { return log_sigmoid(x[0]); },
         by_element<[](double v) { return std::log(sigmoid_of(v)); }>}}},
      {"relu_squared",
       {{{normal({2, 3})}, call<relu_squared>, by_element<[](double v) { return (v > 0) ? v * v : 0; }>}}},
      {"prelu",
       {{{distinct({2, 3}), values({3}, {0.25, -0.5, 2})},
         [](Arguments x) -> Results { return prelu(x[0], x[1]); },
         [](Arguments x) -> Results { return maximum(x[0], x[0] * 0) + x[1] * minimum(x[0], x[0] * 0); }},
        {{distinct({2, 2, 3}), values({2}, {0.25, -0.5})},
         [](Arguments x) -> Results { return prelu(x[0], x[1]); },
         [](Arguments x) -> Results { return maximum(x[0], x[0] * 0) + x[1].unsqueeze(1) * minimum(x[0], x[0] * 0); }},
        {{distinct({4}), values({1}, {0.25})},
         [](Arguments x) -> Results { return prelu(x[0], x[1]); },
         [](Arguments x) -> Results { return maximum(x[0], x[0] * 0.25); }}},
       {{{normal({2, 3}), normal({2})},
         [](Arguments x) -> Results { return prelu(x[0], x[1]); },
         "[prelu] weight (2,) for x (2, 3); it must hold one slope, or one for each of the 3 channels"},
        {{normal({2, 3}), normal({1, 3})},
         [](Arguments x) -> Results { return prelu(x[0], x[1]); },
         "[prelu] weight (1, 3)"},
        {{normal({3}), normal({3})}, [](Arguments x) -> Results { return prelu(x[0], x[1]); }, "the 1 channels"}}},
      {"elu",
       {{{distinct({2, 3})},
         [](Arguments x) -> Results { return elu(x[0]); },
         by_element<[](double v) { return (v > 0) ? v : std::exp(v) - 1; }>},
        {{distinct({2, 3})},
         [](Arguments x) -> Results { return elu(x[0], 1.7); },
         by_element<[](double v) { return (v > 0) ? v : 1.7 * (std::exp(v) - 1); }>}}},
      {"celu",
       {{{distinct({2, 3})},
         [](Arguments x) -> Results { return celu(x[0]); },
         by_element<[](double v) { return (v > 0) ? v : std::exp(v) - 1; }>},
        {{distinct({2, 3})},
         [](Arguments x) -> Results { return celu(x[0], 0.4); },
         by_element<[](double v) { return (v > 0) ? v : 0.4 * (std::exp(v / 0.4) - 1); }>}},
       {{{normal({2})}, [](Arguments x) -> Results { return celu(x[0], 0); }, "alpha is 0"}}},
      {"selu", {{{distinct({2, 3})}, call<selu>, by_element<[](double v) {
                   return 1.0507009873554805 * ((v > 0) ? v : 1.6732632423543772 * (std::exp(v) - 1));
                 }>}}},
      {"swish",
       {{{normal({2, 3})},
         [](Arguments x) -> Results { return swish(x[0], 1.5); },
         by_element<[](double v) { return v * sigmoid_of(1.5 * v); }>},
        {{normal({2, 3})},
         [](Arguments x) -> Results { return swish(x[0], 0.0); },
         by_element<[](double v) { return v / 2; }>},
        {{normal({2, 3}), uniform({3}, 0.5, 2)},
         [](Arguments x) -> Results { return swish(x[0], x[1]); },
         [](Arguments x) -> Results { return x[0] / (exp(neg(x[0] * x[1])) + 1); }},
        {{normal({4}), uniform({}, 0.5, 2)}, [](Arguments x) -> Results { return swish(x[0], x[1]); }}}},
      {"mish",
       {{{normal({2, 3})}, call<mish>, by_element<[](double v) { return v * std::tanh(std::log(1 + std::exp(v))); }>}}},
      {"softsign", {{{distinct({2, 3})}, call<softsign>, by_element<[](double v) { return v / (1 + std::fabs(v)); }>}}},
      {"hardsigmoid",
       {{{around_three()}, call<hardsigmoid>, by_element<[](double v) { return std::clamp((v + 3) / 6, 0.0, 1.0); }>}}},
      {"hardswish",
       {{{around_three()},
         call<hardswish>,
         by_element<[](double v) { return v * std::clamp((v + 3) / 6, 0.0, 1.0); }>}}},
      {"hardtanh",
       {{{distinct({3, 4})},
         [](Arguments x) -> Results { return hardtanh(x[0]); },
         by_element<[](double v) { return std::clamp(v, -1.0, 1.0); }>},
        {{distinct({2, 3})},
         [](Arguments x) -> Results { return hardtanh(x[0], -0.2, 0.5); },
         by_element<[](double v) { return std::clamp(v, -0.2, 0.5); }>}},
       {{{normal({2})},
         [](Arguments x) -> Results { return hardtanh(x[0], 1, -1); },
         "low 1 is greater than high -1"}}},
      {"softshrink",
       {{{distinct({2, 3})},
         [](Arguments x) -> Results { return softshrink(x[0]); },
         by_element<[](double v) { return std::copysign(std::max(std::fabs(v) - 0.5, 0.0), v); }>},
        {{distinct({2, 3})},
         [](Arguments x) -> Results { return softshrink(x[0], 0.2); },
         by_element<[](double v) { return std::copysign(std::max(std::fabs(v) - 0.2, 0.0), v); }>}},
       {{{normal({2})}, [](Arguments x) -> Results { return softshrink(x[0], -1); }, "[softshrink] lambda is -1"}}},
      {"hardshrink",
       {{{distinct({2, 3})},
         [](Arguments x) -> Results { return hardshrink(x[0]); },
         by_element<[](double v) { return (std::fabs(v) > 0.5) ? v : 0; }>}},
       {{{normal({2})}, [](Arguments x) -> Results { return hardshrink(x[0], -1); }, "[hardshrink] lambda is -1"}}},
      {"tanhshrink", {{{normal({2, 3})}, call<tanhshrink>, by_element<[](double v) { return v - std::tanh(v); }>}}},
  };
}

}  // namespace cotangent
