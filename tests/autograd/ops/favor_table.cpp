// The op table of autograd/ops/favor.hpp.
#include <cmath>

#include <cotangent/autograd/ops/activation.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/favor.hpp>
#include <cotangent/autograd/ops/heads_internal.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/softmax.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tests/autograd/op_info.hpp>

namespace cotangent {
namespace {

double dot(const double* a, const double* b, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

template <FavorKernel Kernel>
Results features(Arguments x) {
  return favor_features(x[0], x[1], Kernel, 0.01);
}
template <FavorKernel Kernel>
Results features_naively(Arguments x) {
  const Tensor a = x[0].detach(), w = x[1].detach();
  const int64_t m = w.size(0), d = w.size(1);
  const std::vector<double> va = a.to_vector<double>(), vw = w.to_vector<double>();
  std::vector<double> out;
  for (int64_t i = 0; i < a.size(0); ++i)
    for (int64_t f = 0; f < (Kernel == FavorKernel::hyperbolic ? 2 * m : m); ++f) {
      const double *row = va.data() + i * d, *wf = vw.data() + f % m * d;
      const double wx = dot(row, wf, d) * (f < m ? 1 : -1);
      const double y = Kernel == FavorKernel::relu ? std::max(wx, 0.0) : std::exp(wx - dot(row, row, d) / 2);
      out.push_back((y + 0.01) / std::sqrt(static_cast<double>(Kernel == FavorKernel::hyperbolic ? 2 * m : m)));
    }
  return from_vector(out, {a.size(0), Kernel == FavorKernel::hyperbolic ? 2 * m : m});
}
// Without eps all shifts cancel.
template <FavorKernel Kernel, bool Causal>
Results attend(Arguments x) {
  return favor_attention(x[0], x[1], x[2], x[3], {.kernel = Kernel, .causal = Causal, .eps = 0, .chunk = 2});
}
template <FavorKernel Kernel, bool Causal>
Results attend_unshifted(Arguments x) {
  const double scale = std::pow(static_cast<double>(x[0].size(3)), -0.25);
  const auto map = [&](const Tensor& t) { return favor_features(t * scale, x[3], Kernel); };
  return linear_attention(map(x[0]), map(x[1]), x[2], {.causal = Causal, .eps = 0, .form = LinearForm::parallel});
}

}  // namespace

COTANGENT_OP_TABLE(favor) {
  using enum FavorKernel;
  const InputSpec q = normal({1, 2, 4, 2}), k = normal({1, 2, 5, 2}), v = normal({1, 2, 5, 3}), w = normal({3, 2});
  const InputSpec same = normal({1, 2, 4, 3});
  return {{.name = "random_projection",
           .samples = {{{},
                        [](Arguments) -> Results {
                          Generator g(1);
                          return random_projection(5, 2, true, float64, g);
                        }}},
           .errors = {{{}, [](Arguments) -> Results { return random_projection(0, 2); }, "a number of features of 0"},
                      {{}, [](Arguments) -> Results { return random_projection(2, 0); }, "a width of 0"}},
           .orders = 0},
          {"favor_features",
           {{{normal({4, 2}), w}, features<positive>, features_naively<positive>},
            {{normal({4, 2}), w}, features<hyperbolic>, features_naively<hyperbolic>},
            {{normal({4, 2}), w}, features<relu>, features_naively<relu>}},
           {{{normal({4, 3}), w}, features<positive>, "with the width d of x"}}},
          {"favor_attention",
           {{{q, k, v, w}, attend<positive, false>, attend_unshifted<positive, false>},
            {{q, q, same, w}, attend<positive, true>, attend_unshifted<positive, true>},
            {{q, k, v, w}, attend<hyperbolic, false>, attend_unshifted<hyperbolic, false>},
            {{q, q, same, w}, attend<hyperbolic, true>, attend_unshifted<hyperbolic, true>}},
           {{{q, k, v, normal({3, 4})}, attend<positive, false>, "with the width d of x"},
            {{q, k, v, w}, attend<positive, true>, "one key for each query"},
            {{q, k, v, w},
             [](Arguments x) -> Results {
               return favor_attention(x[0], x[1], x[2], x[3], {.form = LinearForm::recurrent});
             },
             "needs causal = true"}}}};
}

}  // namespace cotangent
