#include <cotangent/nn/attention/relative.hpp>

#include <algorithm>
#include <cmath>

#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/index.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/nn/init.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::nn {
namespace {

void check_fits(const char* name, int64_t heads, int64_t head_width, const HeadSizes& n) {
  if (heads != n.heads || head_width != n.width)
    fail<ValueError>("[{}] made for {} heads of width {}, in an attention of {} heads of width {}", name, heads,
                     head_width, n.heads, n.width);
}

/// clip(distance, -reach, reach) + reach
Tensor clipped(const Tensor& distance, int64_t reach) {
  return to(clamp(distance, -static_cast<double>(reach), static_cast<double>(reach)), int64) + reach;
}

/// (R, H dh) as (H, R, dh).
Tensor of_heads(const Tensor& rows, int64_t heads) {
  return transpose(unflatten(rows, 1, {heads, rows.size(1) / heads}), 0, 1);
}

Linear map(int64_t width, double std, Dtype dtype) {
  Linear layer(width, width, {.bias = false, .dtype = dtype});
  if (std > 0) init::normal_(layer.weight, 0, std);
  return layer;
}

/// map(x), a call, so that what computes or tunes the weight takes part in it. It changes nothing in a linear map.
Tensor called(const Linear& map, const Tensor& x) { return const_cast<Linear&>(map)(x); }

}  // namespace

// ---- Shaw ----

Shaw::Shaw(int64_t head_width, const ShawOptions& o) : reach(o.reach), head_width_(head_width) {
  if (reach < 0 || head_width < 1)
    fail<ValueError>("[Shaw] a reach of {} and heads of width {}; they must be 0 and 1 at least", reach, head_width);
  const auto table = [&] { return init::xavier_uniform_(empty({2 * reach + 1, head_width}, o.dtype)); };
  if (o.keys) key_rows = table();
  if (o.values) value_rows = table();
}

DistanceRows Shaw::rows(const Tensor& distance, const HeadSizes& n) const {
  if (n.width != head_width_)
    fail<ValueError>("[Shaw] heads of width {} in an attention of heads of width {}", head_width_, n.width);
  return {.buckets = clipped(distance, reach), .for_queries = key_rows, .for_values = value_rows};
}

std::string Shaw::settings() const { return fmt::format("{}, reach = {}", head_width_, reach); }

// ---- TransformerXL ----

TransformerXL::TransformerXL(int64_t width, int64_t heads, const TransformerXLOptions& o)
    : base(o.base), proj(map(checked_width("TransformerXL", width, heads), o.std, o.dtype)) {
  content_bias = init::normal_(empty({heads, width / heads}, o.dtype), 0, o.std);
  position_bias = init::normal_(empty({heads, width / heads}, o.dtype), 0, o.std);
}

Tensor TransformerXL::query(const Tensor& q, int64_t) const {
  check_fits("TransformerXL", content_bias.size(0), content_bias.size(1), {q.size(-3), q.size(-1), q.dtype()});
  return q + unsqueeze(content_bias, 1).to(q.dtype());
}

DistanceRows TransformerXL::rows(const Tensor& distance, const HeadSizes& n) const {
  const int64_t heads = content_bias.size(0), width = proj.weight.size(0);
  check_fits("TransformerXL", heads, width / heads, n);
  const Tensor r = sinusoids(distance, width, base, proj.weight.dtype());
  return {.buckets = arange(distance.numel()),
          .for_queries = of_heads(called(proj, r), heads),
          .offset = unsqueeze(position_bias - content_bias, 1)};
}

std::string TransformerXL::settings() const { return fmt::format("{}, {}", proj.weight.size(0), content_bias.size(0)); }

// ---- Disentangled ----

Disentangled::Disentangled(int64_t width, int64_t count, const DisentangledOptions& o) : options(o), heads(count) {
  checked_width("Disentangled", width, count);
  if (o.reach < 1) fail<ValueError>("[Disentangled] a reach of {}; it must be 1 at least", o.reach);
  if (!o.content_position && !o.position_content)
    fail<ValueError>("[Disentangled] neither term by position; take one of them or both");
  if (o.position_content) query_proj = map(width, 0, o.dtype);
  if (o.content_position) key_proj = map(width, 0, o.dtype);
  weight = init::normal_(empty({2 * o.reach, width}, o.dtype), 0, o.std);
}

double Disentangled::factor() const {
  return 1 / std::sqrt(1.0 + (options.content_position ? 1 : 0) + (options.position_content ? 1 : 0));
}

Tensor Disentangled::query(const Tensor& q, int64_t) const { return q * factor(); }

DistanceRows Disentangled::rows(const Tensor& distance, const HeadSizes& n) const {
  const int64_t k = options.reach;
  check_fits("Disentangled", heads, weight.size(1) / heads, n);
  // One bucket for each distance from -k to k, since d(i, j) and d(j, i) end at different distances.
  const Tensor bucket = arange(2 * k + 1), last = tensor(2 * k - 1);
  const Tensor forward = minimum(bucket, last), backward = minimum(2 * k - bucket, last);
  const auto at = [&](const Linear& map, const Tensor& index) {
    return index_select(of_heads(called(map, weight), heads), 1, index);
  };
  DistanceRows result{.buckets = clipped(distance, k)};
  if (options.content_position) result.for_queries = at(*key_proj, forward);
  if (options.position_content) result.for_keys = at(*query_proj, options.same_index ? forward : backward) * factor();
  return result;
}

std::string Disentangled::settings() const {
  return fmt::format("{}, {}, reach = {}{}", weight.size(1), heads, options.reach,
                     options.same_index ? ", same_index = true" : "");
}

// ---- SegmentAttention ----

namespace {
MultiHeadAttentionOptions causal_options(MultiHeadAttentionOptions o) {
  o.causal = true;
  return o;
}
}  // namespace

SegmentAttention::SegmentAttention(int64_t width, int64_t count, int64_t tokens, const MultiHeadAttentionOptions& o)
    : MultiHeadAttention(width, count, causal_options(o)), memory(tokens) {
  if (memory < 1) fail<ValueError>("[SegmentAttention] a memory of {} tokens; it must be 1 at least", memory);
}

std::string SegmentAttention::settings() const {
  return fmt::format("{}, memory = {}", MultiHeadAttention::settings(), memory);
}

Tensor SegmentAttention::run(const Tensor& x, const SequenceCall& call, StreamState* state) {
  const int64_t length = x.size(1), start = first(state);
  Tensor tokens = x, key_mask = call.key_mask;
  int64_t before = 0;
  if (state) {
    SegmentMemory& kept = *fields<SegmentMemory>(state);
    if (kept.hidden.defined()) {
      before = kept.hidden.size(1);
      tokens = cat({kept.hidden, x}, 1);
      if (kept.key_mask.defined() || key_mask.defined()) {
        const auto or_all = [&](const Tensor& mask, int64_t count) {
          return mask.defined() ? mask : ones({x.size(0), count}, boolean);
        };
        key_mask = cat({or_all(kept.key_mask, before), or_all(key_mask, length)}, 1);
      }
    }
    const int64_t all = before + length, left = std::min(all, memory);
    kept.hidden = narrow(tokens, 1, all - left, left).detach();
    kept.key_mask = key_mask.defined() ? narrow(key_mask, 1, all - left, left) : key_mask;
  }
  const Tensor distance = unsqueeze(arange(before, before + length), 1) - arange(before + length);
  const Tensor mask = combine_masks(call.mask, distance <= memory);
  const Tensors parts = keys_and_values(tokens);
  const Tensor y = weighed(queries(x), key(parts[0], start - before), parts[1], start, before,
                           combine_masks(mask, score_mask(key_mask)), key_mask);
  return out_proj(flatten(transpose(y, 1, 2), 2));
}

}  // namespace cotangent::nn
