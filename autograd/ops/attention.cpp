#include <cotangent/autograd/ops/attention.hpp>

#include <cmath>

#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/heads_internal.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/random.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/autograd/record.hpp>
#include <cotangent/tensor/attention.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/precision_internal.hpp>

namespace cotangent {
namespace {

struct Attributes {
  double scale;
  bool causal;
  double dropout;
};

// Each key head as often as query heads read it.
Tensor repeat_heads(const Tensor& x, int64_t heads) {
  const int64_t groups = x.size(1);
  if (groups == heads) return x;
  const int64_t members = heads / groups;
  return reshape(expand(unsqueeze(x, 2), {x.size(0), groups, members, x.size(2), x.size(3)}),
                 {x.size(0), heads, x.size(2), x.size(3)});
}

// The definition, over the whole matrix of scores: inputs q, k, v, mask.
Tensor composite(std::span<const Tensor> x, const void* attributes) {
  const Attributes& a = *static_cast<const Attributes*>(attributes);
  const Tensor &q = x[0], &mask = x[3];
  const Tensor k = repeat_heads(x[1], q.size(1)), v = repeat_heads(x[2], q.size(1));
  const bool added = mask.defined() && mask.dtype() != boolean;
  const Tensor seen =
      both_seen(added ? mask != kHidden : mask, a.causal ? causal_mask(q.size(2), k.size(2)) : Tensor());
  Tensor s = seen_scores(q * a.scale, k, seen, kHidden);
  if (added) s = s + mask;
  Tensor p = masked_softmax(s, -1);
  if (a.dropout > 0) p = dropout(p, a.dropout);
  return seen_product(p, v, seen);
}

void check_shapes(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionOptions& o) {
  constexpr const char* op = "scaled_dot_product_attention";
  if (q.rank() < 2 || q.rank() != k.rank() || q.rank() != v.rank())
    fail<ShapeError>("[{}] q, k and v of shapes {}, {} and {} must have the same rank, 2 at least: (.., H, T, d)", op,
                     q.shape(), k.shape(), v.shape());
  if (q.size(-1) != k.size(-1))
    fail<ShapeError>("[{}] q {} and k {} differ in width; their last dimensions must be equal", op, q.shape(),
                     k.shape());
  if (k.size(-2) != v.size(-2))
    fail<ShapeError>("[{}] k {} and v {} differ in length; each key needs a value", op, k.shape(), v.shape());
  if (q.rank() > 2) {
    const int last = q.rank() - 3;
    if (k.shape().slice(0, last + 1) != v.shape().slice(0, last + 1) ||
        q.shape().slice(0, last) != k.shape().slice(0, last) || k.shape()[last] == 0 ||
        q.shape()[last] % k.shape()[last] != 0)
      fail<ShapeError>(
          "[{}] q {}, k {} and v {}: the batches must be equal, and the heads of k and v must be equal and divide "
          "those of q",
          op, q.shape(), k.shape(), v.shape());
  }
  if (q.dtype() != k.dtype() || q.dtype() != v.dtype() || !q.is_floating())
    fail<DTypeError>("[{}] q, k and v are {}, {} and {}; they must have one floating dtype", op, q.dtype(), k.dtype(),
                     v.dtype());
  if (o.mask.defined()) {
    if (o.mask.dtype() != boolean && o.mask.dtype() != q.dtype())
      fail<DTypeError>("[{}] the mask is {}; it must be bool (true: may be seen) or {} (added to the scores)", op,
                       o.mask.dtype(), q.dtype());
    Shape scores = q.shape();
    scores.back() = k.size(-2);
    if (o.mask.rank() > scores.rank() || broadcast_shapes(op, o.mask.shape(), scores) != scores)
      fail<ShapeError>("[{}] a mask of shape {} does not broadcast to the scores {}", op, o.mask.shape(), scores);
  }
  if (!(o.dropout >= 0 && o.dropout < 1))
    fail<ValueError>("[{}] dropout {} must be at least 0 and below 1", op, o.dropout);
}

// (.., H, T, d) as (B, H, T, d)
Tensor as_heads(const Tensor& x) {
  Tensor y = x;
  while (y.rank() < 4) y = unsqueeze(y, 0);
  return y.rank() == 4 ? y : flatten(y, 0, -4);
}

}  // namespace

Tensor scaled_dot_product_attention(const Tensor& q, const Tensor& k, const Tensor& v,
                                    const AttentionOptions& options) {
  check_shapes(q, k, v, options);
  if (is_low_precision(q.dtype())) {
    AttentionOptions wide = options;
    wide.mask = widened<to>(options.mask);
    return in_float32<to>(scaled_dot_product_attention, q, k, v, wide);
  }
  const double width = static_cast<double>(q.size(-1));
  const Attributes attributes{options.scale != 0 ? options.scale : 1 / std::sqrt(width), options.causal,
                              options.dropout};
  Shape shape = q.shape();
  shape.back() = v.size(-1);
  Tensor mask = options.mask;
  while (mask.defined() && mask.rank() < 2) mask = unsqueeze(mask, 0);
  if (q.rank() > 4 && mask.defined()) {
    Shape scores = q.shape();
    scores.back() = k.size(-2);
    mask = as_heads(expand(mask, scores));
  }
  const Tensor inputs[] = {as_heads(q), as_heads(k), as_heads(v), mask};
  if (options.dropout > 0 || (mask.defined() && mask.requires_grad() && grad_enabled()))
    return reshape(composite(inputs, &attributes), shape);
  auto [y, statistics] = raw::attention(inputs[0], inputs[1], inputs[2], mask, {attributes.scale, attributes.causal});
  y = record("scaled_dot_product_attention", {inputs[0], inputs[1], inputs[2], mask, statistics}, y,
             Keep::inputs(5) | Keep::output(), attributes, [](const Backward& b, const Attributes& a) -> Gradients {
               if (b.creates_graph()) {
                 Gradients all =
                     b.through([](std::span<const Tensor> x, const void* p) { return composite(x.first(4), p); }, &a);
                 return all;
               }
               auto [dq, dk, dv] = raw::attention_backward(b.grad(), b.input(0), b.input(1), b.input(2), b.input(3),
                                                           b.output(), b.input(4), {a.scale, a.causal});
               return {dq, dk, dv};
             });
  return q.rank() == 4 ? y : reshape(y, shape);
}

}  // namespace cotangent
