// The op table of autograd/ops/random.hpp.
#include <cmath>

#include <cotangent/autograd/ops/activation.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/random.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tests/autograd/op_info.hpp>

namespace cotangent {
namespace {
Tensor seeded(const Tensor& x, double p, bool training = true) {
  Generator generator(7);
  return dropout(x, p, training, generator);
}
Tensor seeded_rrelu(const Tensor& x, bool training) {
  Generator generator(7);
  return rrelu(x, 0.1, 0.4, training, generator);
}
}  // namespace

COTANGENT_OP_TABLE(random) {
  return {
      {"dropout",
       {{{normal({3, 4})},
         [](Arguments x) -> Results { return seeded(x[0], 0.25); },
         [](Arguments x) -> Results {
           Generator generator(7);
           return x[0] * bernoulli(x[0].shape(), 0.75, float64, generator) / 0.75;
         }},
        {{normal({5})},
         [](Arguments x) -> Results { return seeded(x[0], 0.5, false); },
         [](Arguments x) -> Results { return x[0] * 1; }},
        {{constant(normal({2, 2}))},
         [](Arguments x) -> Results { return seeded(x[0], 1); },
         [](Arguments x) -> Results { return x[0] * 0; }},
        {{normal({})}, [](Arguments x) -> Results { return seeded(x[0], 0.01); }}},
       {{{normal({2})},
         [](Arguments x) -> Results { return dropout(x[0], 1.5); },
         "probability 1.5 is not between 0 and 1"},
        {{integers({2}, 0, 3)}, [](Arguments x) -> Results { return dropout(x[0]); }, "takes a floating tensor"}}},
      {"alpha_dropout",
       {{{normal({3, 4})},
         [](Arguments x) -> Results {
           Generator generator(7);
           return alpha_dropout(x[0], 0.25, true, generator);
         },
         [](Arguments x) -> Results {
           Generator generator(7);
           const Tensor kept = bernoulli(x[0].shape(), 0.75, boolean, generator);
           const double limit = -1.7580993408473766, a = 1 / std::sqrt(0.75 * (1 + 0.25 * limit * limit));
           return (where(kept, x[0], limit) - 0.25 * limit) * a;
         }},
        {{normal({5})},
         [](Arguments x) -> Results { return alpha_dropout(x[0], 0.5, false); },
         [](Arguments x) -> Results { return x[0] * 1; }},
        {{constant(normal({2, 2}))},
         [](Arguments x) -> Results { return alpha_dropout(x[0], 1); },
         [](Arguments x) -> Results { return x[0] * 0; }}},
       {{{normal({2})},
         [](Arguments x) -> Results { return alpha_dropout(x[0], -0.5); },
         "[alpha_dropout] probability -0.5 is not between 0 and 1"},
        {{integers({2}, 0, 3)},
         [](Arguments x) -> Results { return alpha_dropout(x[0]); },
         "[alpha_dropout] takes a floating tensor"}}},
      {"rrelu",
       {{{distinct({2, 3})},
         [](Arguments x) -> Results { return seeded_rrelu(x[0], true); },
         [](Arguments x) -> Results {
           Generator generator(7);
           return maximum(x[0], x[0] * to(uniform(x[0].shape(), 0.1, 0.4, float32, generator), float64));
         }},
        {{distinct({2, 3})},
         [](Arguments x) -> Results { return seeded_rrelu(x[0], false); },
         [](Arguments x) -> Results { return maximum(x[0], x[0] * 0.25); }}},
       {{{normal({2})}, [](Arguments x) -> Results { return rrelu(x[0], 0.5, 0.25); }, "lower 0.5 is greater than"}}},
  };
}

}  // namespace cotangent
