#include <cotangent/nn/attention/multihead.hpp>

#include <cmath>

#include <cotangent/autograd/ops/attention.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/scan.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/nn/sequence/tree.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::nn {

MultiHeadAttention::MultiHeadAttention(int64_t width, int64_t count, const MultiHeadAttentionOptions& o)
    : HeadedAttention("MultiHeadAttention", width, count,
                      {.causal = o.causal,
                       .bias = o.bias,
                       .positions = o.positions,
                       .dtype = o.dtype,
                       .has_scores = true,
                       .kv_heads = o.kv_heads}),
      dropout(o.dropout),
      scale(o.scale),
      scale_length(o.scale_length) {
  factor_ = scale == ScoreScale::none ? 1 : 1 / std::sqrt(static_cast<double>(head_width()));
  if (scale == ScoreScale::gradient) factor_ *= gradient_scale(scale_length);
  if (scale == ScoreScale::cosine) factor_ = cosine_scale(scale_length, head_width());
  if (scale == ScoreScale::log_length && scale_length < 2)
    fail<ValueError>("[MultiHeadAttention] scale_length {} must be at least 2", scale_length);
  if (scale == ScoreScale::log_length && has_rows(positions, {heads, head_width(), o.dtype}))
    fail<ValueError>("[MultiHeadAttention] vectors by distance go with each scale but log_length, that of a row");
  if (!(dropout >= 0 && dropout < 1))
    fail<ValueError>("[MultiHeadAttention] dropout {} must be at least 0 and below 1", dropout);
}

std::string MultiHeadAttention::settings() const {
  return HeadedAttention::settings() + (dropout > 0 ? fmt::format(", dropout = {}", dropout) : "");
}

namespace {
Tensor unit(const Tensor& x) { return unit_rms(x) * (1 / std::sqrt(static_cast<double>(x.size(-1)))); }
}  // namespace

Tensor MultiHeadAttention::query(const Tensor& q, int64_t start) const {
  return placed_query(scale == ScoreScale::cosine ? unit(q) : q, start);
}
Tensor MultiHeadAttention::key(const Tensor& k, int64_t start) const {
  return placed_key(scale == ScoreScale::cosine ? unit(k) : k, start);
}

Tensor MultiHeadAttention::row_scale(int64_t queries, int64_t keys, int64_t start, const Tensor& key_mask,
                                     Dtype dtype) const {
  Tensor n;
  if (causal() && key_mask.defined())
    n = unsqueeze(narrow(cumsum(key_mask, 1), 1, start, queries), 1);
  else if (causal())
    n = arange(start + 1, start + queries + 1);
  else
    n = key_mask.defined() ? unsqueeze(sum(key_mask, 1, true), 1) : tensor(keys).view({1});
  return unsqueeze((log(maximum(n, tensor(1)).to(float64)) / std::log(static_cast<double>(scale_length))).to(dtype),
                   -1);
}

Tensor MultiHeadAttention::attend(const Tensor& q, const Tensor& k, const Tensor& v, const SequenceCall& call,
                                  StreamState* state) {
  if (call.parents.defined()) return attend_tree(q, k, v, call.parents, *state);
  const int64_t start = first(state);
  KeyValueCache own;
  KeyValueCache& all = state ? *fields<KeyValueCache>(state) : own;
  if (k.defined()) all.append(key(k, start), v, call.key_mask);
  return weighed(q, all.keys, all.values, start, start, combine_masks(call.mask, score_mask(all.key_mask)),
                 all.key_mask, state ? &all.rows : nullptr);
}

bool MultiHeadAttention::has_trees() const {
  return scale != ScoreScale::log_length && !prefix_keys.defined() &&
         !has_rows(positions, {heads, head_width(), in_proj_weight.dtype()});
}

Tensor MultiHeadAttention::attend_tree(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& parents,
                                       StreamState& state) const {
  const int64_t start = state.length;
  auto& all = *fields<KeyValueCache>(&state);
  const auto placed = [&](const Tensor& x, auto place) {
    return positions ? by_depth(place, x, start, parents) : place(x, start);
  };
  const auto as_query = [this](const Tensor& x, int64_t position) { return query(x, position); };
  const auto as_key = [this](const Tensor& x, int64_t position) { return key(x, position); };
  all.append(placed(k, as_key), v, {});
  Tensor mask = combine_masks(tree_mask(parents, start), score_mask(all.key_mask));
  if (positions) {
    const auto depths = checked_depths("step_tree", parents);
    const Tensor own = start + from_vector(depths, {q.size(2)});
    const Tensor distance = unsqueeze(own, 1) - cat({arange(start), own}, 0);
    const Tensor bias = positions->bias(distance, heads, q.dtype());
    if (bias.defined()) mask = combine_masks(mask, bias);
  }
  return scaled_dot_product_attention(placed(q, as_query), all.keys, all.values, {.mask = mask, .scale = factor_});
}

namespace {

/// Keys or values (B, G, T, dh) behind those of a prefix (G, l, dh).
Tensor after_prefix(const Tensor& prefix, const Tensor& x) {
  if (!prefix.defined()) return x;
  if (prefix.rank() != 3 || prefix.size(0) != x.size(1) || prefix.size(2) != x.size(3))
    fail<ShapeError>("[MultiHeadAttention] a prefix of {} before {}; it must be ({}, l, {})", prefix.shape(), x.shape(),
                     x.size(1), x.size(3));
  return cat({expand(unsqueeze(prefix, 0), {x.size(0), x.size(1), prefix.size(1), x.size(3)}), x}, 2);
}

/// A mask (.., keys) behind `count` keys that may be seen.
Tensor after_seen(int64_t count, const Tensor& mask) {
  if (count == 0 || !mask.defined()) return mask;
  Shape shape = mask.shape();
  shape[shape.rank() - 1] = count;
  return cat({mask.dtype() == boolean ? ones(shape, boolean) : zeros(shape, mask.dtype()), mask}, -1);
}

}  // namespace

Tensor MultiHeadAttention::weighed(const Tensor& q, const Tensor& own_keys, const Tensor& own_values, int64_t start,
                                   int64_t own_before, const Tensor& own_mask, const Tensor& key_mask,
                                   KnownRows* known) const {
  Tensor scaled = query(q, start);
  if (scale == ScoreScale::log_length)
    scaled = scaled * row_scale(q.size(2), own_keys.size(2), own_before, key_mask, q.dtype());
  const Tensor k = after_prefix(prefix_keys, own_keys), v = after_prefix(prefix_values, own_values);
  const int64_t queries = q.size(2), keys = k.size(2), prefix = keys - own_keys.size(2), before = own_before + prefix;
  const Tensor mask = after_seen(prefix, own_mask);
  const AttentionOptions options{.mask = mask,
                                 .causal = causal(),
                                 .scale = factor_,
                                 .dropout = is_training() ? dropout : 0,
                                 .distance_bias = distance_bias(positions, queries, keys, before, heads, q.dtype())};
  const HeadSizes sizes{heads, head_width(), q.dtype()};
  const DistanceRows rows = known ? known->find(positions, queries, keys, before, sizes)
                                  : distance_rows(positions, queries, keys, before, sizes);
  return rows.buckets.defined() ? relative_attention(scaled, k, v, rows, options)
                                : scaled_dot_product_attention(scaled, k, v, options);
}

LayerState MultiHeadAttention::begin_cross(const Tensor& memory, const Tensor& key_mask) {
  const Tensors parts = keys_and_values(memory);
  return KeyValueCache{key(parts[0], 0), parts[1], key_mask};
}

MultiHeadAttention MultiHeadAttention::grouped(int64_t count) const {
  if (count < 1 || kv_heads % count != 0)
    fail<ValueError>("[MultiHeadAttention] {} key heads can't become {}; it must divide them", kv_heads, count);
  MultiHeadAttention result(width(), heads,
                            {.kv_heads = count,
                             .causal = causal(),
                             .bias = in_proj_bias.defined(),
                             .dropout = dropout,
                             .positions = positions,
                             .scale = scale,
                             .scale_length = scale_length,
                             .dtype = in_proj_weight.dtype()});
  const int64_t dh = head_width();
  auto pool = [&](const Tensor& p) {  // rows of queries as they are, those of keys and values by groups
    const Tensor q = narrow(p, 0, 0, heads * dh), kv = narrow(p, 0, heads * dh, 2 * kv_heads * dh);
    return cat({q, flatten(mean(unflatten(kv, 0, {2 * count, kv_heads / count, dh}), 1), 0, 1)}, 0);
  };
  result.in_proj_weight = pool(in_proj_weight).detach();
  if (in_proj_bias.defined()) result.in_proj_bias = pool(in_proj_bias).detach();
  result.out_proj = out_proj.clone();
  result.train(is_training());
  return result;
}

}  // namespace cotangent::nn
