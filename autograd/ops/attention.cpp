#include <cotangent/autograd/ops/attention.hpp>

#include <cmath>

#include <cotangent/autograd/autocast_internal.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/heads_internal.hpp>
#include <cotangent/autograd/ops/index.hpp>
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

// The definition, over the whole matrix of scores: inputs q, k, v, mask, distance_bias.
Tensor composite(std::span<const Tensor> x, const void* attributes) {
  const Attributes& a = *static_cast<const Attributes*>(attributes);
  const Tensor& q = x[0];
  const Tensor k = repeat_heads(x[1], q.size(1)), v = repeat_heads(x[2], q.size(1));
  Tensor seen = a.causal ? causal_mask(q.size(2), k.size(2)) : Tensor(), added;
  if (x[3].defined() && x[3].dtype() == boolean)
    seen = both_seen(x[3], seen);
  else
    added = x[3];
  if (x[4].defined()) added = toeplitz(x[4], q.size(2), k.size(2));  // not next to a floating mask
  if (added.defined()) seen = both_seen(added != kHidden, seen);
  Tensor s = seen_scores(q * a.scale, k, seen, kHidden);
  if (added.defined()) s = s + added;
  Tensor p = masked_softmax(s, -1);
  if (a.dropout > 0) p = dropout(p, a.dropout);
  return seen_product(p, v, seen);
}

// (.., H, T, d) as (B, H, T, d)
Tensor as_heads(const Tensor& x) {
  Tensor y = x;
  while (y.rank() < 4) y = unsqueeze(y, 0);
  return y.rank() == 4 ? y : flatten(y, 0, -4);
}

}  // namespace

Tensor repeat_heads(const Tensor& x, int64_t heads) {
  const int64_t groups = x.size(1);
  if (groups == heads) return x;
  const int64_t members = heads / groups;
  return reshape(expand(unsqueeze(x, 2), {x.size(0), groups, members, x.size(2), x.size(3)}),
                 {x.size(0), heads, x.size(2), x.size(3)});
}

void check_attention(const char* op, const Tensor& q, const Tensor& k, const Tensor& v, const AttentionOptions& o) {
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
  if (o.distance_bias.defined()) {
    const Tensor& bias = o.distance_bias;
    if (bias.dtype() != q.dtype())
      fail<DTypeError>("[{}] the distance_bias is {}; it must be {}, as q is", op, bias.dtype(), q.dtype());
    const int64_t heads = q.rank() > 2 ? q.size(-3) : 1, count = std::max<int64_t>(q.size(-2) + k.size(-2), 1) - 1;
    if (bias.rank() != 2 || (bias.size(0) != heads && bias.size(0) != 1) || bias.size(1) != count)
      fail<ShapeError>("[{}] a distance_bias of shape {}; for {} heads, {} queries and {} keys it must be ({}, {})", op,
                       bias.shape(), heads, q.size(-2), k.size(-2), heads, count);
  }
  if (!(o.dropout >= 0 && o.dropout < 1))
    fail<ValueError>("[{}] dropout {} must be at least 0 and below 1", op, o.dropout);
}

Tensor scaled_dot_product_attention(const Tensor& q, const Tensor& k, const Tensor& v,
                                    const AttentionOptions& options) {
  const auto again = [&](const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& a_mask,
                         const Tensor& distance_bias) {
    AttentionOptions own = options;
    own.mask = a_mask, own.distance_bias = distance_bias;
    return scaled_dot_product_attention(query, key, value, own);
  };
  if (detail::t_autocast.enabled) [[unlikely]]
    return detail::autocast("scaled_dot_product_attention", again, q, k, v, options.mask, options.distance_bias);
  check_attention("scaled_dot_product_attention", q, k, v, options);
  if (is_low_precision(q.dtype())) return in_float32<to>(again, q, k, v, options.mask, options.distance_bias);
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
  Tensor bias = options.distance_bias;
  if (bias.defined() && mask.defined() && mask.dtype() != boolean) {
    mask = mask + toeplitz(bias, q.size(-2), k.size(-2));
    bias = Tensor();
  }
  if (bias.defined() && q.rank() > 2) bias = expand(bias, {q.size(-3), bias.size(1)});
  const Tensor inputs[] = {as_heads(q), as_heads(k), as_heads(v), mask, bias};
  if (options.dropout > 0 || (mask.defined() && mask.requires_grad() && grad_enabled()))
    return reshape(composite(inputs, &attributes), shape);
  auto [y, statistics] =
      raw::attention(inputs[0], inputs[1], inputs[2], mask, bias, {attributes.scale, attributes.causal});
  y = record("scaled_dot_product_attention", {inputs[0], inputs[1], inputs[2], mask, bias, statistics}, y,
             Keep::inputs(6) | Keep::output(), attributes, [](const Backward& b, const Attributes& a) -> Gradients {
               if (b.creates_graph()) {
                 Gradients all =
                     b.through([](std::span<const Tensor> x, const void* p) { return composite(x.first(5), p); }, &a);
                 return all;
               }
               const raw::AttentionGradients d =
                   raw::attention_backward(b.grad(), b.input(0), b.input(1), b.input(2), b.input(3), b.input(4),
                                           b.output(), b.input(5), {a.scale, a.causal}, b.needs(4));
               return Tensors{d.q, d.k, d.v, {}, d.distance_bias};
             });
  return q.rank() == 4 ? y : reshape(y, shape);
}

Tensor toeplitz(const Tensor& weight, int64_t queries, int64_t keys) {
  constexpr const char* op = "toeplitz";
  int64_t wanted;
  if (__builtin_add_overflow(queries, keys, &wanted)) wanted = INT64_MAX;
  wanted = std::max<int64_t>(wanted, 1) - 1;
  if (queries < 0 || keys < 0 || weight.rank() < 1 || weight.size(-1) != wanted)
    fail<ShapeError>("[{}] a weight of shape {} for {} queries and {} keys; its last dimension must be {}", op,
                     weight.shape(), queries, keys, wanted);
  const Tensor place = reshape(arange(queries), {queries, 1}) - reshape(arange(keys), {1, keys}) + (keys - 1);
  Shape shape = weight.shape();
  shape.back() = queries;
  shape.push_back(keys);
  return reshape(index_select(weight, -1, flatten(place)), shape);
}

}  // namespace cotangent
