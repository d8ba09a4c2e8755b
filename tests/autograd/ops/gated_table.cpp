// The op table of autograd/ops/gated.hpp.
#include <algorithm>
#include <cmath>
#include <numbers>

#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/gated.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tests/autograd/op_info.hpp>

namespace cotangent {
namespace {

// f(value, gate) of the halves of the last dimension, element by element.
template <auto f>
Results by_halves(Arguments x) {
  const std::vector<double> in = x[0].to_vector<double>();
  Shape shape = x[0].shape();
  const auto n = static_cast<size_t>(shape.back() / 2);
  shape[shape.rank() - 1] /= 2;
  Tensor y = detail::make_tensor(shape, float64);
  for (size_t i = 0; i < static_cast<size_t>(y.numel()); ++i) {
    const size_t at = i / n * 2 * n + i % n;
    y.data<double>()[i] = f(in[at], in[at + n]);
  }
  return y;
}
double sigmoid_of(double v) { return 1 / (1 + std::exp(-v)); }

template <auto f>
Results on_last(Arguments x) {
  return f(x[0], -1);
}
Tensor geglu_erf(const Tensor& x, int64_t dim) { return geglu(x, dim); }

template <int64_t pieces, int64_t dim>
Results maxout_of(Arguments x) {
  return maxout(x[0], pieces, dim);
}

}  // namespace

COTANGENT_OP_TABLE(gated) {
  return {
      {"glu",
       {{{normal({2, 6})}, on_last<glu>, by_halves<[](double a, double b) { return a * sigmoid_of(b); }>},
        {{normal({4, 3})},
         [](Arguments x) -> Results { return glu(x[0], 0); },
         [](Arguments x) -> Results { return x[0].narrow(0, 0, 2) * sigmoid(x[0].narrow(0, 2, 2)); }}},
       {{{normal({2, 3})}, on_last<glu>, "[glu] dimension 1 of x, (2, 3), has the odd size 3; it must be even"},
        {{normal({})}, on_last<glu>, "odd size 1"},
        {{normal({2, 3})}, [](Arguments x) -> Results { return glu(x[0], 2); }, "[glu] dimension 2 is out of range"}}},
      {"bilinear_glu",
       {{{normal({2, 6})}, on_last<bilinear_glu>, by_halves<[](double a, double b) { return a * b; }>}},
       {{{normal({5})}, on_last<bilinear_glu>, "odd size 5"}}},
      {"reglu",
       {{{distinct({2, 6})}, on_last<reglu>, by_halves<[](double a, double b) { return a * std::max(b, 0.0); }>}},
       {{{normal({5})}, on_last<reglu>, "odd size 5"}}},
      {"geglu",
       {{{normal({2, 6})},
         on_last<geglu_erf>,
         by_halves<[](double a, double b) { return a * 0.5 * b * std::erfc(-b / std::numbers::sqrt2); }>},
        {{normal({2, 4})},
         [](Arguments x) -> Results { return geglu(x[0], 1, Gelu::tanh); },
         by_halves<[](double a, double b) {
           return a * b * sigmoid_of(2 * std::sqrt(2 / std::numbers::pi) * (b + 0.044715 * b * b * b));
         }>}},
       {{{normal({5})}, on_last<geglu_erf>, "odd size 5"}}},
      {"swiglu",
       {{{normal({2, 6})}, on_last<swiglu>, by_halves<[](double a, double b) { return a * b * sigmoid_of(b); }>}},
       {{{normal({5})}, on_last<swiglu>, "odd size 5"}}},
      {"maxout",
       {{{distinct({2, 4})},
         maxout_of<2, -1>,
         [](Arguments x) -> Results { return maximum(x[0].slice(1, 0, 4, 2), x[0].slice(1, 1, 4, 2)); }},
        {{distinct({6, 2})},
         maxout_of<3, 0>,
         [](Arguments x) -> Results {
           return maximum(maximum(x[0].slice(0, 0, 6, 3), x[0].slice(0, 1, 6, 3)), x[0].slice(0, 2, 6, 3));
         }},
        {{normal({})}, maxout_of<1, 0>, [](Arguments x) -> Results { return x[0] * 1; }}},
       {{{normal({2, 4})}, maxout_of<3, 1>, "has the size 4; it must be a multiple of the 3 pieces"},
        {{normal({2, 4})}, maxout_of<0, 1>, "[maxout] 0 pieces"},
        {{normal({2, 4})}, maxout_of<2, 2>, "[maxout] dimension 2 is out of range"}}},
  };
}

}  // namespace cotangent
