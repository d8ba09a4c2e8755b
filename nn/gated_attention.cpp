#include <cotangent/nn/gated_attention.hpp>

#include <algorithm>
#include <cmath>

#include <cotangent/autograd/ops/activation.hpp>
#include <cotangent/autograd/ops/attention.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/nn/init.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::nn {
namespace {

int64_t checked(const char* name, const char* what, int64_t size) {
  if (size < 1) fail<ValueError>("[{}] {} {}; it must be 1 at least", name, what, size);
  return size;
}

Tensor small(const Shape& shape, Dtype dtype) { return init::normal_(empty(shape, dtype), 0, 0.02); }

Linear small_linear(int64_t in, int64_t out, Dtype dtype) {
  Linear layer(in, out, {.bias = false, .dtype = dtype});
  init::normal_(layer.weight, 0, 0.02);
  return layer;
}

/// Affine map i of the shared z: (B, T, s) -> (B, 1, T, s).
Tensor affine(const Tensor& z, const Tensor& gamma, const Tensor& beta, int64_t i) {
  return unsqueeze(z * select(gamma, 0, i) + select(beta, 0, i), 1);
}

/// (R_i a) . (R_j b) at the distances i - j of first, first + 1, ...: R turns dimensions c and c + s/2 by the angle of
/// RoPE, so that it is a sum of waves.
Tensor rotary_bias(const Tensor& a, const Tensor& b, int64_t first, int64_t count) {
  const int64_t half = a.size(0) / 2;
  const Tensor x = narrow(a, 0, 0, half), y = narrow(a, 0, half, half), u = narrow(b, 0, 0, half),
               v = narrow(b, 0, half, half);
  const Tensor rate = exp(arange(0, half, 1, float64) * (-std::log(10000.0) / static_cast<double>(half)));
  const Tensor angle = outer(arange(first, first + count, 1, float64), rate);
  return matmul(to(cos(angle), a.dtype()), x * u + y * v) + matmul(to(sin(angle), a.dtype()), x * v - y * u);
}

void refuse_memory(const char* name, const AttentionCall& call) {
  if (call.memory.defined()) fail<ValueError>("[{}] takes no memory: queries, keys and gates share one map of x", name);
}

}  // namespace

// ---- GatedAttentionUnit ----

GatedAttentionUnit::GatedAttentionUnit(int64_t width, const GatedAttentionUnitOptions& o)
    : Attention(checked("GatedAttentionUnit", "a width of", width), o.causal),
      in_proj(small_linear(
          width,
          2 * checked("GatedAttentionUnit", "an expanded width of", o.expanded == 0 ? 2 * width : o.expanded) +
              checked("GatedAttentionUnit", "a key_width of", o.key_width),
          o.dtype)),
      out_proj(small_linear(o.expanded == 0 ? 2 * width : o.expanded, width, o.dtype)),
      gamma(small({2, o.key_width}, o.dtype)),
      beta(zeros({2, o.key_width}, o.dtype)),
      positions(o.positions),
      expanded(out_proj.weight.size(1)),
      key_width(o.key_width),
      length(o.length),
      max_length(checked("GatedAttentionUnit", "a max_length of", o.max_length)),
      weights(o.weights) {
  if (length < 0) fail<ValueError>("[GatedAttentionUnit] a length of {}; it can't be negative", length);
  if (!o.relative_bias) return;
  if (max_length < 512) {
    bias_table = small({2 * max_length - 1}, o.dtype);
    return;
  }
  if (key_width % 2 != 0)
    fail<ValueError>("[GatedAttentionUnit] a rotary bias of width {}; it turns pairs, so the key_width must be even",
                     key_width);
  bias_a = small({key_width}, o.dtype);
  bias_b = small({key_width}, o.dtype);
}

std::string GatedAttentionUnit::settings() const {
  return fmt::format("{}, expanded = {}, key_width = {}{}", width(), expanded, key_width,
                     causal() ? ", causal = true" : "");
}

bool GatedAttentionUnit::has(AttentionForm form) const {
  const bool by_length = weights == GatedWeights::squared_relu || weights == GatedWeights::squared_relu_by_length;
  return form == AttentionForm::parallel || (causal() && (length > 0 || !by_length));
}

Tensor GatedAttentionUnit::attend(const Tensor& q, const Tensor& k, const Tensor& v, int64_t start, const Tensor& mask,
                                  const Tensor& key_mask) {
  const int64_t queries = q.size(2), keys = k.size(2), count = queries + keys - 1, first = start - (keys - 1);
  Tensor bias;
  if (bias_table.defined() && count > 0) {
    if (std::max(start + queries, keys) > max_length)
      fail<ValueError>("[GatedAttentionUnit] {} positions; the table of its bias ends at max_length = {}",
                       std::max(start + queries, keys), max_length);
    bias = toeplitz(narrow(bias_table, 0, first + max_length - 1, count), queries, keys);
  } else if (bias_a.defined() && count > 0) {
    bias = toeplitz(rotary_bias(bias_a, bias_b, first, count), queries, keys);
  }
  if (positions) {
    const Tensor further = positions->bias(distances(queries, keys, start), 1, q.dtype());
    if (further.defined()) bias = bias.defined() ? bias + further : further;
  }
  Tensor seen = mask;
  if (seen.defined() && seen.dtype() != boolean) {
    bias = bias.defined() ? bias + seen : seen;
    seen = Tensor();
  }
  if (weights == GatedWeights::softmax) {
    const Tensor kept = key_mask.defined() ? unsqueeze(unsqueeze(key_mask, 1), 1) : key_mask;
    return scaled_dot_product_attention(q, k, v,
                                        {.mask = combine_masks(combine_masks(seen, kept), bias), .causal = causal()});
  }
  const ReluNorm norm = weights == GatedWeights::squared_relu             ? ReluNorm::length
                        : weights == GatedWeights::squared_relu_by_length ? ReluNorm::squared_length
                                                                          : ReluNorm::row;
  return squared_relu_attention(
      q, k, v,
      {.norm = norm, .length = length, .causal = causal(), .bias = bias, .mask = seen, .key_padding = key_mask});
}

Tensor GatedAttentionUnit::parallel(const Tensor& x, const AttentionCall& call) {
  refuse_memory("GatedAttentionUnit", call);
  const Tensors parts = split(silu(in_proj(x)), {expanded, expanded, key_width}, 2);
  Tensor q = affine(parts[2], gamma, beta, 0), k = affine(parts[2], gamma, beta, 1);
  if (positions) q = positions->query(q, 0), k = positions->key(k, 0);
  return out_proj(parts[0] * squeeze(attend(q, k, unsqueeze(parts[1], 1), 0, call.mask, call.key_mask), 1));
}

// tensors {keys (B, 1, T, s), values (B, 1, T, e), which are no padding (B, T)}
StreamState GatedAttentionUnit::begin(int64_t batch) {
  const Dtype dtype = gamma.dtype();
  return {.tensors = {empty({batch, 1, 0, key_width}, dtype), empty({batch, 1, 0, expanded}, dtype),
                      empty({batch, 0}, boolean)}};
}

Tensor GatedAttentionUnit::advance(const Tensor& x, StreamState& state, const Tensor& key_mask) {
  const Tensors parts = split(silu(in_proj(x)), {expanded, expanded, key_width}, 2);
  Tensor q = affine(parts[2], gamma, beta, 0), k = affine(parts[2], gamma, beta, 1);
  if (positions) q = positions->query(q, state.length), k = positions->key(k, state.length);
  Tensors& kept = state.tensors;
  kept[0] = cat({kept[0], k}, 2);
  kept[1] = cat({kept[1], unsqueeze(parts[1], 1)}, 2);
  kept[2] = cat({kept[2], key_mask.defined() ? key_mask : ones({x.size(0), x.size(1)}, boolean)}, 1);
  return out_proj(parts[0] * squeeze(attend(q, kept[0], kept[1], state.length, {}, kept[2]), 1));
}

// ---- MixedChunkAttention ----

MixedChunkAttention::MixedChunkAttention(int64_t width, const MixedChunkAttentionOptions& o)
    : Attention(checked("MixedChunkAttention", "a width of", width), o.causal),
      in_proj(small_linear(
          width,
          2 * checked("MixedChunkAttention", "an expanded width of", o.expanded == 0 ? 2 * width : o.expanded) +
              checked("MixedChunkAttention", "a key_width of", o.key_width),
          o.dtype)),
      out_proj(small_linear(o.expanded == 0 ? 2 * width : o.expanded, width, o.dtype)),
      gamma(small({4, o.key_width}, o.dtype)),
      beta(zeros({4, o.key_width}, o.dtype)),
      positions(o.positions),
      expanded(out_proj.weight.size(1)),
      key_width(o.key_width),
      size(checked("MixedChunkAttention", "a chunk size of", o.size)),
      norm(o.norm),
      local(o.local),
      global(o.global) {
  if (o.relative_bias) bias_table = small({2 * size - 1}, o.dtype);
}

std::string MixedChunkAttention::settings() const {
  return fmt::format("{}, expanded = {}, key_width = {}, size = {}{}", width(), expanded, key_width, size,
                     causal() ? ", causal = true" : "");
}

Tensor MixedChunkAttention::attend(const Tensor& x, int64_t start, const Tensor& key_mask, MixedChunkState* state) {
  const Tensors parts = split(silu(in_proj(x)), {expanded, expanded, key_width}, 2);
  Tensor maps[4];
  for (int i = 0; i < 4; ++i) {
    maps[i] = affine(parts[2], gamma, beta, i);
    if (positions) maps[i] = i % 2 == 0 ? positions->query(maps[i], start) : positions->key(maps[i], start);
  }
  const Tensor y = mixed_chunk_attention(maps[0], maps[1], maps[2], maps[3], unsqueeze(parts[1], 1),
                                         {.causal = causal(),
                                          .chunk = size,
                                          .norm = norm,
                                          .local = local,
                                          .global = global,
                                          .bias = bias_table.defined() ? toeplitz(bias_table, size, size) : Tensor(),
                                          .key_padding = key_mask},
                                         state);
  return out_proj(parts[0] * squeeze(y, 1));
}

Tensor MixedChunkAttention::parallel(const Tensor& x, const AttentionCall& call) {
  refuse_memory("MixedChunkAttention", call);
  if (call.mask.defined())
    fail<ValueError>("[MixedChunkAttention] takes no mask, since it forms no matrix of scores; a key_mask hides keys");
  return attend(x, 0, call.key_mask, nullptr);
}

StreamState MixedChunkAttention::begin(int64_t batch) {
  const Dtype dtype = gamma.dtype();
  const Tensor keys = empty({batch, 1, 0, key_width}, dtype);
  return {
      .tensors = {zeros({batch, 1, key_width, expanded}, dtype), keys, keys, empty({batch, 1, 0, expanded}, dtype)}};
}

Tensor MixedChunkAttention::advance(const Tensor& x, StreamState& state, const Tensor& key_mask) {
  Tensors& kept = state.tensors;
  MixedChunkState sums{kept[0], kept[1], kept[2], kept[3], state.length};
  const Tensor y = attend(x, state.length, key_mask, &sums);
  kept = {sums.kv, sums.k_quad, sums.k_lin, sums.v};
  return y;
}

}  // namespace cotangent::nn
