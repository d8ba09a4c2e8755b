#include <cotangent/autograd/ops/random.hpp>

#include <cotangent/autograd/op_info.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/record.hpp>
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

}  // namespace

Tensor dropout(const Tensor& x, double p, bool training, Generator& generator) {
  if (!(p >= 0 && p <= 1)) fail<ValueError>("[dropout] probability {} is not between 0 and 1", p);
  if (!x.is_floating())
    fail<DTypeError>("[dropout] takes a floating tensor, got {}; convert it with to(float32)", x.dtype());
  if (!training || p == 0) return x;
  const bool channels_last = !x.is_contiguous() && x.is_contiguous(MemoryFormat::channels_last);
  return apply_mask(x, {p, generator.draw(raw::dropout_blocks(x)),
                        channels_last ? MemoryFormat::channels_last : MemoryFormat::contiguous});
}

// ---- op table ----

namespace {
Tensor seeded(const Tensor& x, double p, bool training = true) {
  Generator generator(7);
  return dropout(x, p, training, generator);
}
}  // namespace

std::vector<OpInfo> random_ops() {
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
  };
}

}  // namespace cotangent
