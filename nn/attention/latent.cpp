#include <cotangent/nn/attention/latent.hpp>

#include <cmath>

#include <cotangent/autograd/ops/attention.hpp>
#include <cotangent/autograd/ops/heads_internal.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/nn/attention/headed.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::nn {
namespace {

constexpr const char* kLatent = "LatentAttention";

int64_t checked(const char* what, int64_t size) {
  check_positive(kLatent, what, size);
  return size;
}

int64_t width_of_head(int64_t width, int64_t heads, int64_t head_width) {
  if (head_width != 0) return checked("head_width", head_width);
  return width / checked_heads(kLatent, width, heads);
}

int64_t even(int64_t width) {
  if (width < 2 || width % 2 != 0)
    fail<ValueError>("[{}] a rope_width of {}; it must be even, 2 at least", kLatent, width);
  return width;
}

}  // namespace

LatentAttention::LatentAttention(int64_t width, int64_t count, const LatentAttentionOptions& o)
    : Attention(checked("width", width), o.causal),
      heads(checked("number of heads", count)),
      kv_rank(checked("kv_rank", o.kv_rank)),
      head_width(width_of_head(width, count, o.head_width)),
      rope_width(even(o.rope_width)),
      rope(o.rope),
      kv_a_proj_with_mqa(width, kv_rank + rope_width, {.bias = o.bias, .dtype = o.dtype}),
      kv_a_layernorm(kv_rank, {.dtype = o.dtype}),
      kv_b_proj(kv_rank, heads * 2 * head_width, {.bias = false, .dtype = o.dtype}),
      o_proj(heads * head_width, width, {.bias = o.bias, .dtype = o.dtype}) {
  const int64_t queries = heads * (head_width + rope_width);
  if (o.q_rank < 0) fail<ValueError>("[{}] a q_rank of {}; it can't be negative", kLatent, o.q_rank);
  if (o.q_rank == 0) {
    q_proj = Linear(width, queries, {.bias = false, .dtype = o.dtype});
    return;
  }
  q_a_proj = Linear(width, o.q_rank, {.bias = o.bias, .dtype = o.dtype});
  q_a_layernorm = RMSNorm(o.q_rank, {.dtype = o.dtype});
  q_b_proj = Linear(o.q_rank, queries, {.bias = false, .dtype = o.dtype});
}

std::string LatentAttention::settings() const {
  return fmt::format("{}, {}, kv_rank = {}{}", width(), heads, kv_rank, causal() ? ", causal = true" : "");
}

Tensor LatentAttention::run(const Tensor& x, const SequenceCall& call, StreamState* state) {
  if (call.memory.defined()) fail<ValueError>("[{}] takes no memory", type_name());
  const int64_t start = first(state);
  const auto in_heads = [](const Tensor& y, int64_t count) {
    return transpose(unflatten(y, 2, {count, y.size(2) / count}), 1, 2);
  };
  const Tensor mapped = q_proj ? (*q_proj)(x) : (*q_b_proj)((*q_a_layernorm)((*q_a_proj)(x)));
  Tensors q = split(in_heads(mapped, heads), {head_width, rope_width}, 3);
  q[1] = cotangent::rope(q[1], start, rope);
  const Tensors own = split(in_heads(kv_a_proj_with_mqa(x), 1), {kv_rank, rope_width}, 3);
  KeyValueCache fresh;
  KeyValueCache& all = state ? *fields<KeyValueCache>(state) : fresh;
  all.append(cotangent::rope(own[1], start, rope), kv_a_layernorm(own[0]), call.key_mask);
  const Tensor &latents = all.values, &turned = all.keys;

  AttentionOptions o{.mask = combine_masks(call.mask, score_mask(all.key_mask)),
                     .causal = causal(),
                     .scale = 1 / std::sqrt(static_cast<double>(head_width + rope_width))};
  Tensor y;
  if (start == 0 || detail::is_heard()) {  // as many keys as queries: narrow heads are cheaper than latents
    const int64_t batch = x.size(0), length = latents.size(2);
    const Tensors kv = split(in_heads(kv_b_proj(squeeze(latents, 1)), heads), {head_width, head_width}, 3);
    const Tensor k = cat({kv[0], expand(turned, {batch, heads, length, rope_width})}, 3);
    y = scaled_dot_product_attention(cat(q, 3), k, kv[1], o);
  } else {
    const Tensors b = split(unflatten(kv_b_proj.weight, 0, {heads, 2 * head_width}), {head_width, head_width}, 1);
    const Tensor query = cat({matmul(q[0], b[0]), q[1]}, 3);
    const Tensor sums = scaled_dot_product_attention(query, cat({latents, turned}, 3), latents, o);
    y = matmul(sums, transposed(b[1]));
  }
  return o_proj(flatten(transpose(y, 1, 2), 2));
}

}  // namespace cotangent::nn
