// The op table of autograd/ops/math.hpp.
#include <cmath>

#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tests/autograd/ops/by_element.hpp>

namespace cotangent {
COTANGENT_OP_TABLE(math) {
  return {
      {"exp", {{{normal({2, 3})}, call<exp>, by_element<[](double v) { return std::exp(v); }>}}},
      {"expm1", {{{normal({2, 3})}, call<expm1>, by_element<[](double v) { return std::expm1(v); }>}}},
      {"log", {{{uniform({2, 3}, 0.1, 3)}, call<log>, by_element<[](double v) { return std::log(v); }>}}},
      {"log1p", {{{uniform({2, 3}, -0.9, 3)}, call<log1p>, by_element<[](double v) { return std::log1p(v); }>}}},
      {"sqrt", {{{uniform({2, 3}, 0.1, 3)}, call<sqrt>, by_element<[](double v) { return std::sqrt(v); }>}}},
      {"rsqrt", {{{uniform({2, 3}, 0.1, 3)}, call<rsqrt>, by_element<[](double v) { return 1 / std::sqrt(v); }>}}},
      {"reciprocal", {{{uniform({2, 3}, 0.3, 3)}, call<reciprocal>, by_element<[](double v) { return 1 / v; }>}}},
      {"square", {{{normal({2, 3})}, call<square>, by_element<[](double v) { return v * v; }>}}},
      {"sin", {{{normal({2, 3})}, call<sin>, by_element<[](double v) { return std::sin(v); }>}}},
      {"cos", {{{normal({2, 3})}, call<cos>, by_element<[](double v) { return std::cos(v); }>}}},
      {"tanh", {{{normal({2, 3})}, call<tanh>, by_element<[](double v) { return std::tanh(v); }>}}},
      {"sigmoid", {{{normal({2, 3})}, call<sigmoid>, by_element<[](double v) { return 1 / (1 + std::exp(-v)); }>}}},
      {"erf", {{{normal({2, 3})}, call<erf>, by_element<[](double v) { return std::erf(v); }>}}},
      {"abs", {{{distinct({2, 3})}, call<abs>, by_element<[](double v) { return std::fabs(v); }>}}},
      {.name = "sign",
       .samples = {{{distinct({2, 3})}, call<sign>, by_element<[](double v) { return double((v > 0) - (v < 0)); }>}},
       .zero_gradient = true},
      {.name = "floor",
       .samples = {{{uniform({2, 3}, 0.1, 0.9)}, call<floor>, by_element<[](double v) { return std::floor(v); }>}},
       .zero_gradient = true},
      {.name = "ceil",
       .samples = {{{uniform({2, 3}, 0.1, 0.9)}, call<ceil>, by_element<[](double v) { return std::ceil(v); }>}},
       .zero_gradient = true},
      {.name = "round",
       .samples = {{{uniform({2, 3}, 0.6, 1.4)}, call<round>, by_element<[](double v) { return std::rint(v); }>}},
       .zero_gradient = true},
      {.name = "trunc",
       .samples = {{{uniform({2, 3}, -0.9, -0.1)}, call<trunc>, by_element<[](double v) { return std::trunc(v); }>}},
       .zero_gradient = true},
  };
}

}  // namespace cotangent
