#include <cotangent/autograd/ops/random.hpp>

#include <cmath>

#include <cotangent/autograd/ops/activation.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/elementwise_internal.hpp>
#include <cotangent/autograd/record.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/precision_internal.hpp>

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
  if (is_low_precision(x.dtype()))
    return in_float32<to>([&](const Tensor& wide) { return alpha_dropout(wide, p, training, generator); }, x);
  constexpr double limit = -1.7580993408473766;  // selu(-infinity)
  // what is kept has mean 0 and variance 1, so the mixture has mean p limit and variance (1 - p) (1 + p limit^2)
  const double scale = 1 / std::sqrt((1 - p) * (1 + p * limit * limit)), shift = -scale * p * limit;
  const Tensor kept = bernoulli(x.shape(), 1 - p, x.dtype(), generator);
  return x * (kept * scale) + (kept * (-scale * limit) + (scale * limit + shift));
}

Tensor rrelu(const Tensor& x, double lower, double upper, bool training, Generator& generator) {
  if (!(lower <= upper)) fail<ValueError>("[rrelu] lower {} is greater than upper {}", lower, upper);
  if (!training) return leaky_relu(x, (lower + upper) / 2);
  if (is_low_precision(x.dtype()))
    return in_float32<to>([&](const Tensor& wide) { return rrelu(wide, lower, upper, training, generator); }, x);
  const Tensor in = detail::floating(x);
  // drawn in one dtype, so that a seed gives the same slopes in all of them
  const Tensor slopes = to(uniform(in.shape(), lower, upper, float32, generator), in.dtype());
  return where(in > 0, in, in * slopes);
}

}  // namespace cotangent
