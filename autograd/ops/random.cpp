#include <cotangent/autograd/ops/random.hpp>

#include <cmath>

#include <cotangent/autograd/op_info.hpp>
#include <cotangent/autograd/ops/activation.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/record.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent {
namespace {

struct Mask {
  double p;
  Generator::State state;
  MemoryFormat format;
};

// Linear in x, so that its rule is itself.
Tensor apply_mask(const Tensor& x, const Mask& mask) {
  return record("dropout", {x}, raw::dropout(x, mask.p, mask.state, mask.format), Keep::nothing(), mask,
                [](const Backward& b, const Mask& m) -> Gradients { return {apply_mask(b.grad(), m)}; });
}

void check(const char* op, const Tensor& x, double p) {
  if (!(p >= 0 && p <= 1)) fail<ValueError>("[{}] probability {} is not between 0 and 1", op, p);
  if (!x.is_floating())
    fail<DTypeError>("[{}] takes a floating tensor, got {}; convert it with to(float32)", op, x.dtype());
}

}  // namespace

Tensor dropout(const Tensor& x, double p, bool training, Generator& generator) {
  check("dropout", x, p);
  if (!training || p == 0) return x;
  const bool channels_last = !x.is_contiguous() && x.is_contiguous(MemoryFormat::channels_last);
  return apply_mask(x, {p, generator.draw(raw::dropout_blocks(x)),
                        channels_last ? MemoryFormat::channels_last : MemoryFormat::contiguous});
}

Tensor alpha_dropout(const Tensor& x, double p, bool training, Generator& generator) {
  check("alpha_dropout", x, p);
  if (!training || p == 0) return x;
  if (p == 1) return masked_fill(x, ones({}, boolean), 0);
  constexpr double limit = -1.7580993408473766;  // selu(-infinity)
  // what is kept has mean 0 and variance 1, so the mixture has mean p limit and variance (1 - p) (1 + p limit^2)
  const double scale = 1 / std::sqrt((1 - p) * (1 + p * limit * limit)), shift = -scale * p * limit;
  const Tensor kept = bernoulli(x.shape(), 1 - p, x.dtype(), generator);
  return x * (kept * scale) + (kept * (-scale * limit) + (scale * limit + shift));
}

Tensor rrelu(const Tensor& x, double lower, double upper, bool training, Generator& generator) {
  if (!(lower <= upper)) fail<ValueError>("[rrelu] lower {} is greater than upper {}", lower, upper);
  if (!training) return leaky_relu(x, (lower + upper) / 2);
  const Tensor in = x.is_floating() ? x : to(x, default_dtype());
  // drawn in one dtype, so that a seed gives the same slopes in all of them
  const Tensor slopes = to(uniform(in.shape(), lower, upper, float32, generator), in.dtype());
  return where(in > 0, in, in * slopes);
}

// ---- op table ----

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
