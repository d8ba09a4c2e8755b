#include <cotangent/nn/sequence/retention.hpp>

#include <algorithm>
#include <cmath>

#include <cotangent/autograd/ops/activation.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/norm.hpp>
#include <cotangent/autograd/ops/rope.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/nn/init.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/precision_internal.hpp>

namespace cotangent::nn {
namespace {

/// (B, T, d) -> (B, H, T, d / H), and back.
Tensor split_heads(const Tensor& x, int64_t heads) {
  return transpose(unflatten(x, 2, {heads, x.size(2) / heads}), 1, 2);
}
Tensor joined_heads(const Tensor& x) { return flatten(transpose(x, 1, 2), 2); }

/// x (B, H, T, d) with 0 at the padding.
Tensor without_padding(const Tensor& x, const Tensor& key_mask) {
  return key_mask.defined() ? masked_fill(x, !unsqueeze(unsqueeze(key_mask, 1), 3), 0) : x;
}

Linear projection(int64_t in, int64_t out, double gain, Dtype dtype, bool bias = false) {
  Linear y(in, out, {.bias = bias, .dtype = dtype});
  init::xavier_uniform_(y.weight, gain);
  if (bias) init::zeros_(y.bias);
  return y;
}

const double kSmallGain = std::pow(2, -2.5);

}  // namespace

// ---- Retention ----

Retention::Retention(int64_t width, int64_t count, const RetentionOptions& o)
    : SequenceLayer(width, true),
      q_proj(projection(checked_width("Retention", width, count), width, kSmallGain, o.dtype)),
      k_proj(projection(width, width, kSmallGain, o.dtype)),
      v_proj(projection(width, checked_width("Retention", o.value_width == 0 ? 2 * width : o.value_width, count),
                        kSmallGain, o.dtype)),
      g_proj(projection(width, v_proj.weight.size(0), kSmallGain, o.dtype)),
      out_proj(projection(v_proj.weight.size(0), width, 0.5, o.dtype)),
      heads(count),
      eps(o.eps) {
  if (width / heads % 2 != 0)
    fail<ValueError>("[Retention] a head width of {}; it must be even, since pairs are rotated", width / heads);
}

Tensor Retention::log_decay(Dtype dtype) const {
  std::vector<double> values;
  for (int64_t h = 0; h < heads; ++h) values.push_back(std::log1p(-std::exp2(-5 - static_cast<double>(h))));
  return from_vector(values, {heads, 1, 1}).to(dtype);
}

Tensor Retention::run(const Tensor& x, const SequenceCall& call, StreamState* state) {
  check_no_mask(call);
  const int64_t dk = width() / heads, pairs = dk / 2;
  // the last pair turns by 1 / 10000, where rope's own would turn by a little more
  const double steps = static_cast<double>(pairs) / static_cast<double>(std::max<int64_t>(pairs - 1, 1));
  const RopeOptions turn{.base = std::pow(10'000, steps)};
  MatrixState* own = fields<MatrixState>(state);
  // in float32 where x is low, up to the norm, which would magnify what the heads are rounded by
  const auto retain = [&](const Tensor& queries, const Tensor& keys, const Tensor& values) {
    const auto placed = [&](const Tensor& t) { return rope(split_heads(t, heads), first(state), turn); };
    const Tensor k = placed(keys) / std::sqrt(static_cast<double>(dk)), v = split_heads(values, heads);
    const GatedLinearSequence o =
        gated_linear_attention(placed(queries), without_padding(k, call.key_mask), without_padding(v, call.key_mask),
                               log_decay(k.dtype()), own ? own->kv : Tensor());
    if (own) own->kv = o.state;
    return joined_heads(rms_norm(o.output, {o.output.size(3)}, {}, eps));
  };
  return out_proj(silu(g_proj(x)) * in_float32<cotangent::to>(retain, q_proj(x), k_proj(x), v_proj(x)));
}

std::string Retention::settings() const {
  const int64_t values = v_proj.weight.size(0);
  return fmt::format("{}, {}{}", width(), heads,
                     values == 2 * width() ? "" : fmt::format(", value_width = {}", values));
}

// ---- GatedLinearAttention ----

GatedLinearAttention::GatedLinearAttention(int64_t width, int64_t count, const GatedLinearAttentionOptions& o)
    : SequenceLayer(width, true),
      q_proj(projection(std::max<int64_t>(width, 1),
                        checked_width("GatedLinearAttention", o.key_width == 0 ? width / 2 : o.key_width, count),
                        kSmallGain, o.dtype)),
      k_proj(projection(width, q_proj.weight.size(0), kSmallGain, o.dtype)),
      v_proj(projection(width, checked_width("GatedLinearAttention", o.value_width == 0 ? width : o.value_width, count),
                        kSmallGain, o.dtype)),
      g_proj(projection(width, v_proj.weight.size(0), kSmallGain, o.dtype)),
      gate_down(projection(width, o.gate_rank, kSmallGain, o.dtype)),
      gate_up(projection(o.gate_rank, q_proj.weight.size(0), kSmallGain, o.dtype, true)),
      out_proj(projection(v_proj.weight.size(0), width, kSmallGain, o.dtype)),
      norm(v_proj.weight.size(0) / count, {.eps = o.eps, .dtype = o.dtype}),
      heads(count),
      temperature(o.temperature) {
  if (!(temperature > 0))
    fail<ValueError>("[GatedLinearAttention] a temperature of {}; it must be above 0", temperature);
}

Tensor GatedLinearAttention::run(const Tensor& x, const SequenceCall& call, StreamState* state) {
  check_no_mask(call);
  MatrixState* own = fields<MatrixState>(state);
  const auto attend = [&](const Tensor& queries, const Tensor& keys, const Tensor& values, const Tensor& gates,
                          const Tensor& weight) {
    const auto kept = [&](const Tensor& t) { return without_padding(split_heads(t, heads), call.key_mask); };
    const Tensor k = kept(keys), q = split_heads(queries, heads) / std::sqrt(static_cast<double>(k.size(3)));
    const GatedLinearSequence o =
        gated_linear_attention(q, k, kept(values), kept(log_sigmoid(gates) / temperature), own ? own->kv : Tensor());
    if (own) own->kv = o.state;
    return joined_heads(rms_norm(o.output, {o.output.size(3)}, weight, norm.eps));
  };
  const Tensor o =
      in_float32<cotangent::to>(attend, q_proj(x), k_proj(x), v_proj(x), gate_up(gate_down(x)), Tensor(norm.weight));
  return out_proj(silu(g_proj(x)) * o);
}

std::string GatedLinearAttention::settings() const {
  const int64_t keys = q_proj.weight.size(0), values = v_proj.weight.size(0);
  return fmt::format("{}, {}{}{}", width(), heads, keys == width() / 2 ? "" : fmt::format(", key_width = {}", keys),
                     values == width() ? "" : fmt::format(", value_width = {}", values));
}

}  // namespace cotangent::nn
