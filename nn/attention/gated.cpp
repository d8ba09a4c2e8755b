#include <cotangent/nn/attention/gated.hpp>

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

/// y = x W^T where y has `gain` times the deviation of x.
Linear scaled_linear(int64_t in, int64_t out, double gain, Dtype dtype) {
  Linear layer(in, out, {.bias = false, .dtype = dtype});
  init::normal_(layer.weight, 0, gain / std::sqrt(static_cast<double>(in)));
  return layer;
}

/// Of the two maps of squared rectified scores, what makes a score 1 where z is 0: (beta . beta) / sqrt(s).
Tensor first_offsets(int64_t maps, int64_t key_width, Dtype dtype) {
  const Tensor beta = zeros({maps, key_width}, dtype);
  narrow(beta, 0, 0, 2).fill_(std::pow(static_cast<double>(key_width), -0.25));
  return beta;
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

/// Of 32 of `width` dimensions, or all that make pairs.
AnyPosition first_rotations(int64_t width) {
  const int64_t turned = std::min<int64_t>(32, width / 2 * 2);
  return turned > 0 ? AnyPosition(Rotary({.width = turned})) : AnyPosition();
}

}  // namespace

// ---- what both have ----

GatedAttention::GatedAttention(const char* name, int64_t width, int64_t expanded_, int64_t key_width_, int64_t maps,
                               bool causal, const AnyPosition& encoding, Dtype dtype)
    : Attention(checked(name, "a width of", width), causal, encoding),
      expanded(checked(name, "an expanded width of", expanded_ == 0 ? 2 * width : expanded_)),
      key_width(checked(name, "a key_width of", key_width_)),
      in_proj(scaled_linear(width, 2 * expanded + key_width, 1, dtype)),
      out_proj(scaled_linear(expanded, width, 0.01, dtype)),
      gamma(init::normal_(empty({maps, key_width}, dtype), 1, 0.02)),
      beta(first_offsets(maps, key_width, dtype)) {}

std::string GatedAttention::settings() const {
  return fmt::format("{}, expanded = {}, key_width = {}{}", width(), expanded, key_width,
                     causal() ? ", causal = true" : "");
}

Tensor GatedAttention::run(const Tensor& x, const SequenceCall& call, StreamState* state) {
  if (call.memory.defined())
    fail<ValueError>("[{}] takes no memory: queries, keys and gates share one map of x", type_name());
  const Tensors parts = split(silu(in_proj(x)), {expanded, expanded, key_width}, 2);
  Tensors maps;
  for (int64_t i = 0; i < gamma.size(0); ++i) {
    const Tensor map = unsqueeze(parts[2] * select(gamma, 0, i) + select(beta, 0, i), 1);
    maps.push_back(i % 2 == 0 ? placed_query(map, first(state)) : placed_key(map, first(state)));
  }
  return out_proj(parts[0] * squeeze(attend(maps, unsqueeze(parts[1], 1), call, state), 1));
}

// ---- GatedAttentionUnit ----

GatedAttentionUnit::GatedAttentionUnit(int64_t width, const GatedAttentionUnitOptions& o)
    : GatedAttention("GatedAttentionUnit", width, o.expanded, o.key_width, 2, o.causal, o.positions, o.dtype),
      length(o.length),
      max_length(checked("GatedAttentionUnit", "a max_length of", o.max_length)),
      weights(o.weights) {
  if (weights == GatedWeights::softmax) init::zeros_(beta);  // it has a gradient at any score
  if (length < 0) fail<ValueError>("[GatedAttentionUnit] a length of {}; it can't be negative", length);
  check_no_rows("GatedAttentionUnit", positions, {1, key_width, o.dtype});
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

bool GatedAttentionUnit::has(SequenceForm form) const {
  const bool by_length = weights == GatedWeights::squared_relu || weights == GatedWeights::squared_relu_by_length;
  return form == SequenceForm::parallel || (causal() && (length > 0 || !by_length));
}

Tensor GatedAttentionUnit::bias(int64_t queries, int64_t keys, int64_t start) const {
  const int64_t count = queries + keys - 1, first = start - (keys - 1);
  const Tensor of_positions = distance_bias(positions, queries, keys, start, 1, gamma.dtype());
  Tensor own;
  if (bias_table.defined() && count > 0) {
    if (std::max(start + queries, keys) > max_length)
      fail<ValueError>("[GatedAttentionUnit] {} positions; the table of its bias ends at max_length = {}",
                       std::max(start + queries, keys), max_length);
    own = unsqueeze(narrow(bias_table, 0, first + max_length - 1, count), 0);
  } else if (bias_a.defined() && count > 0) {
    own = unsqueeze(rotary_bias(bias_a, bias_b, first, count), 0);
  }
  return combine_masks(own, of_positions);
}

Tensor GatedAttentionUnit::attend(const Tensors& maps, const Tensor& v, const SequenceCall& call, StreamState* state) {
  KeyValueCache own;
  KeyValueCache& all = state ? *fields<KeyValueCache>(state) : own;
  all.append(maps[1], v, call.key_mask);
  const Tensor &q = maps[0], &k = all.keys;
  const Tensor by_distance = bias(q.size(2), k.size(2), first(state));
  if (weights == GatedWeights::softmax)
    return scaled_dot_product_attention(
        q, k, all.values,
        {.mask = combine_masks(call.mask, score_mask(all.key_mask)), .causal = causal(), .distance_bias = by_distance});
  Tensor added = by_distance.defined() ? toeplitz(by_distance, q.size(2), k.size(2)) : Tensor(), seen = call.mask;
  if (seen.defined() && seen.dtype() != boolean) {
    added = combine_masks(added, seen);
    seen = Tensor();
  }
  const ReluNorm norm = weights == GatedWeights::squared_relu             ? ReluNorm::length
                        : weights == GatedWeights::squared_relu_by_length ? ReluNorm::squared_length
                                                                          : ReluNorm::row;
  return squared_relu_attention(
      q, k, all.values,
      {.norm = norm, .length = length, .causal = causal(), .bias = added, .mask = seen, .key_mask = all.key_mask});
}

// ---- MixedChunkAttention ----

MixedChunkAttention::MixedChunkAttention(int64_t width, const MixedChunkAttentionOptions& o)
    : GatedAttention("MixedChunkAttention", width, o.expanded, o.key_width, 4, o.causal,
                     o.positions ? *o.positions : first_rotations(o.key_width), o.dtype),
      size(checked("MixedChunkAttention", "a chunk size of", o.size)),
      norm(o.norm),
      local(o.local),
      global(o.global) {
  if (adds_to_scores(positions, {1, key_width, o.dtype}))
    fail<ValueError>(
        "[MixedChunkAttention] takes no positions that add to scores: its linear part has none; rotary positions or "
        "relative_bias will do");
  if (o.relative_bias) bias_table = small({2 * size - 1}, o.dtype);
}

std::string MixedChunkAttention::settings() const {
  return fmt::format("{}, size = {}", GatedAttention::settings(), size);
}

Tensor MixedChunkAttention::attend(const Tensors& maps, const Tensor& v, const SequenceCall& call, StreamState* state) {
  if (call.mask.defined())
    fail<ValueError>("[MixedChunkAttention] takes no mask, since it forms no matrix of scores; a key_mask hides keys");
  return mixed_chunk_attention(maps[0], maps[1], maps[2], maps[3], v,
                               {.causal = causal(),
                                .chunk = size,
                                .norm = norm,
                                .local = local,
                                .global = global,
                                .distance_bias = bias_table,
                                .key_mask = call.key_mask},
                               fields<MixedChunkState>(state));
}

}  // namespace cotangent::nn
