#include <cotangent/nn/multihead_attention.hpp>

#include <cotangent/autograd/ops/attention.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
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
      dropout(o.dropout) {
  if (!(dropout >= 0 && dropout < 1))
    fail<ValueError>("[MultiHeadAttention] dropout {} must be at least 0 and below 1", dropout);
  const int64_t rows = (heads + 2 * kv_heads) * (width / heads);
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

bool MultiHeadAttention::has(AttentionForm form) const { return form == AttentionForm::parallel || causal(); }

Tensor MultiHeadAttention::project(const Tensor& x, int64_t first, int64_t count) const {
  const int64_t dh = width() / heads;
  const bool all = first == 0 && count == heads + 2 * kv_heads;
  auto rows = [&](const Tensor& p) { return all || !p.defined() ? p : narrow(p, 0, first * dh, count * dh); };
  return transpose(unflatten(linear(x, rows(in_proj_weight), rows(in_proj_bias)), 2, {count, dh}), 1, 2);
}

Tensor MultiHeadAttention::attend(const Tensor& q, const Tensor& k, const Tensor& v, int64_t start, Tensor mask,
                                  const Tensor& key_mask) {
  if (key_mask.defined()) mask = combine_masks(mask, unsqueeze(unsqueeze(key_mask, 1), 1));
  if (positions) {
    const Tensor distance = distances(q.size(2), k.size(2), start);
    mask = combine_masks(mask, positions->bias(distance, heads, q.dtype()));
  }
  const Tensor y =
      scaled_dot_product_attention(q, k, v, {.mask = mask, .causal = causal(), .dropout = is_training() ? dropout : 0});
  return out_proj(flatten(transpose(y, 1, 2), 2));
}

Tensor MultiHeadAttention::parallel(const Tensor& x, const AttentionCall& call) {
  Tensors parts;
  if (call.memory.defined()) {
    parts = split(project(call.memory, heads, 2 * kv_heads), kv_heads, 1);
    parts.insert(parts.begin(), project(x, 0, heads));
  } else {
    parts = split(project(x, 0, heads + 2 * kv_heads), {heads, kv_heads, kv_heads}, 1);
  }
  if (positions) parts[0] = positions->query(parts[0], 0), parts[1] = positions->key(parts[1], 0);
  return attend(parts[0], parts[1], parts[2], 0, call.mask, call.key_mask);
}

// ---- streaming: tensors {keys, values (B, G, T, dh)}, and from the first key_mask on that of all keys (B, T) ----

StreamState MultiHeadAttention::begin(int64_t batch) {
  const Tensor none = empty({batch, kv_heads, 0, width() / heads}, in_proj_weight.dtype());
  return {.tensors = {none, none}};
}

StreamState MultiHeadAttention::begin_cross(const Tensor& memory, const Tensor& key_mask) {
  Tensors parts = split(project(memory, heads, 2 * kv_heads), kv_heads, 1);
  if (positions) parts[0] = positions->key(parts[0], 0);
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
    if (positions) parts[1] = positions->key(parts[1], state.length);
    kept[0] = cat({kept[0], parts[1]}, 2);
    kept[1] = cat({kept[1], parts[2]}, 2);
    if (key_mask.defined() && kept.size() == 2) kept.push_back(ones({x.size(0), state.length}, boolean));
    if (kept.size() == 3)
      kept[2] = cat({kept[2], key_mask.defined() ? key_mask : ones({x.size(0), x.size(1)}, boolean)}, 1);
  }
  if (positions) q = positions->query(q, state.length);
  return attend(q, kept[0], kept[1], state.length, {}, kept.size() == 3 ? kept[2] : Tensor());
}

}  // namespace cotangent::nn
