#include <cotangent/nn/attention/multihead.hpp>

#include <cmath>

#include <cotangent/autograd/ops/attention.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/scan.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/nn/init.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::nn {
namespace {

int64_t checked_heads(int64_t width, int64_t heads, int64_t kv_heads) {
  if (width < 1 || heads < 1 || width % heads != 0)
    fail<ValueError>("[MultiHeadAttention] {} heads for a width of {}; the heads must divide the width", heads, width);
  if (kv_heads < 1 || heads % kv_heads != 0)
    fail<ValueError>("[MultiHeadAttention] {} key heads for {} heads; the key heads must divide the heads", kv_heads,
                     heads);
  return kv_heads;
}

}  // namespace

MultiHeadAttention::MultiHeadAttention(int64_t width, int64_t heads_, const MultiHeadAttentionOptions& o)
    : Attention(width, o.causal),
      out_proj(width, width, {.bias = o.bias, .dtype = o.dtype}),
      positions(o.positions),
      heads(heads_),
      kv_heads(checked_heads(width, heads_, o.kv_heads == 0 ? heads_ : o.kv_heads)),
      dropout(o.dropout),
      scale(o.scale),
      scale_length(o.scale_length) {
  const int64_t dh = width / heads;
  factor_ = scale == ScoreScale::none ? 1 : 1 / std::sqrt(static_cast<double>(dh));
  if (scale == ScoreScale::gradient) factor_ *= gradient_scale(scale_length);
  if (scale == ScoreScale::cosine) factor_ = cosine_scale(scale_length, dh);
  if (scale == ScoreScale::log_length && scale_length < 2)
    fail<ValueError>("[MultiHeadAttention] scale_length {} must be at least 2", scale_length);
  if (!(dropout >= 0 && dropout < 1))
    fail<ValueError>("[MultiHeadAttention] dropout {} must be at least 0 and below 1", dropout);
  const int64_t rows = (heads + 2 * kv_heads) * dh;
  in_proj_weight = init::xavier_uniform_(empty({rows, width}, o.dtype));
  if (o.bias) {
    in_proj_bias = zeros({rows}, o.dtype);
    init::zeros_(out_proj.bias);
  }
}

std::string MultiHeadAttention::settings() const {
  return fmt::format("{}, {}{}{}", width(), heads, kv_heads == heads ? "" : fmt::format(", kv_heads = {}", kv_heads),
                     causal() ? ", causal = true" : "");
}

bool MultiHeadAttention::has(SequenceForm form) const { return form == SequenceForm::parallel || causal(); }

Tensor MultiHeadAttention::project(const Tensor& x, int64_t first, int64_t count) const {
  const int64_t dh = width() / heads;
  const bool all = first == 0 && count == heads + 2 * kv_heads;
  auto rows = [&](const Tensor& p) { return all || !p.defined() ? p : narrow(p, 0, first * dh, count * dh); };
  return transpose(unflatten(linear(x, rows(in_proj_weight), rows(in_proj_bias)), 2, {count, dh}), 1, 2);
}

namespace {
Tensor unit(const Tensor& x) { return x * rsqrt(sum(square(x), -1, true) + 1e-12); }
}  // namespace

Tensor MultiHeadAttention::place_query(const Tensor& q, int64_t start) const {
  const Tensor x = scale == ScoreScale::cosine ? unit(q) : q;
  return positions ? positions->query(x, start) : x;
}

Tensor MultiHeadAttention::place_key(const Tensor& k, int64_t start) const {
  const Tensor x = scale == ScoreScale::cosine ? unit(k) : k;
  return positions ? positions->key(x, start) : x;
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
  return unsqueeze(log(maximum(n, tensor(1)).to(dtype)) / std::log(static_cast<double>(scale_length)), -1);
}

Tensor MultiHeadAttention::attend(const Tensor& q, const Tensor& k, const Tensor& v, int64_t start, Tensor mask,
                                  const Tensor& key_mask) {
  if (key_mask.defined()) mask = combine_masks(mask, unsqueeze(unsqueeze(key_mask, 1), 1));
  mask = combine_masks(mask, score_bias(positions, q.size(2), k.size(2), start, heads, q.dtype()));
  const bool by_row = scale == ScoreScale::log_length;
  const Tensor y = scaled_dot_product_attention(
      by_row ? q * row_scale(q.size(2), k.size(2), start, key_mask, q.dtype()) : q, k, v,
      {.mask = mask, .causal = causal(), .scale = factor_, .dropout = is_training() ? dropout : 0});
  return out_proj(flatten(transpose(y, 1, 2), 2));
}

Tensor MultiHeadAttention::parallel(const Tensor& x, const SequenceCall& call) {
  Tensors parts;
  if (call.memory.defined()) {
    parts = split(project(call.memory, heads, 2 * kv_heads), kv_heads, 1);
    parts.insert(parts.begin(), project(x, 0, heads));
  } else {
    parts = split(project(x, 0, heads + 2 * kv_heads), {heads, kv_heads, kv_heads}, 1);
  }
  return attend(place_query(parts[0], 0), place_key(parts[1], 0), parts[2], 0, call.mask, call.key_mask);
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
  const int64_t dh = width() / heads;
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

// ---- streaming: tensors {keys, values (B, G, T, dh)}, and from the first key_mask on that of all keys (B, T) ----

StreamState MultiHeadAttention::begin(int64_t batch) {
  const Tensor none = empty({batch, kv_heads, 0, width() / heads}, in_proj_weight.dtype());
  return {.tensors = {none, none}};
}

StreamState MultiHeadAttention::begin_cross(const Tensor& memory, const Tensor& key_mask) {
  Tensors parts = split(project(memory, heads, 2 * kv_heads), kv_heads, 1);
  parts[0] = place_key(parts[0], 0);
  if (key_mask.defined()) parts.push_back(key_mask);
  return {.tensors = parts};
}

Tensor MultiHeadAttention::advance(const Tensor& x, StreamState& state, const Tensor& key_mask) {
  Tensors& kept = state.tensors;
  Tensor q;
  if (state.cross) {
    q = project(x, 0, heads);
  } else {
    Tensors parts = split(project(x, 0, heads + 2 * kv_heads), {heads, kv_heads, kv_heads}, 1);
    q = parts[0];
    kept[0] = cat({kept[0], place_key(parts[1], state.length)}, 2);
    kept[1] = cat({kept[1], parts[2]}, 2);
    if (key_mask.defined() && kept.size() == 2) kept.push_back(ones({x.size(0), state.length}, boolean));
    if (kept.size() == 3)
      kept[2] = cat({kept[2], key_mask.defined() ? key_mask : ones({x.size(0), x.size(1)}, boolean)}, 1);
  }
  return attend(place_query(q, state.length), kept[0], kept[1], state.length, {},
                kept.size() == 3 ? kept[2] : Tensor());
}

}  // namespace cotangent::nn
