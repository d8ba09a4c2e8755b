#include <cotangent/nn/attention/lsh.hpp>

#include <cotangent/autograd/modes.hpp>
#include <cotangent/autograd/ops/heads_internal.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/nn/attention/headed.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/random.hpp>

namespace cotangent::nn {
namespace {

constexpr const char* kLshLayer = "LshAttention";

}  // namespace

LshAttention::LshAttention(int64_t width, int64_t count, const LshAttentionOptions& o)
    : Attention(width, o.causal, o.positions),
      query_key_proj(width, width, {.bias = o.bias, .dtype = o.dtype}),
      value_proj(width, width, {.bias = o.bias, .dtype = o.dtype}),
      out_proj(width, width, {.bias = o.bias, .dtype = o.dtype}),
      heads(checked_heads(kLshLayer, width, count)),
      chunk(o.chunk),
      redraw_every(o.redraw_every) {
  check_positive(kLshLayer, "number of rounds", o.rounds);
  check_positive(kLshLayer, "chunk", chunk);
  if (o.buckets < 2 || o.buckets % 2 != 0)
    fail<ValueError>("[{}] {} buckets; take an even number of them, 2 at least", kLshLayer, o.buckets);
  if (redraw_every < 0)
    fail<ValueError>("[{}] rotations drawn anew every {} calls; it can't be negative", kLshLayer, redraw_every);
  if (adds_to_scores(positions, {heads, width / heads, o.dtype}))
    fail<ValueError>(
        "[{}] takes no positions that add to scores; rotary or other positions of queries and keys will do", kLshLayer);
  rotations = randn({o.rounds, width / heads, o.buckets / 2}, o.dtype);
  calls = zeros({}, int64);
}

std::string LshAttention::settings() const {
  return fmt::format("{}, {}, rounds = {}, buckets = {}, chunk = {}{}", width(), heads, rotations.size(0),
                     2 * rotations.size(2), chunk, causal() ? ", causal = true" : "");
}

void LshAttention::redraw(Generator& generator) {
  rotations = randn(rotations.shape(), rotations.dtype(), generator);
  calls = zeros({}, int64);
}

Tensor LshAttention::run(const Tensor& x, const SequenceCall& call, StreamState*) {
  if (call.memory.defined() || call.mask.defined())
    fail<ValueError>("[{}] takes no {}; a key_mask hides keys", type_name(), call.mask.defined() ? "mask" : "memory");
  if (is_training() && redraw_every > 0 && !recomputing()) {
    if (calls.item<int64_t>() >= redraw_every) redraw();
    calls.add_(1);
  }
  const auto in_heads = [&](const Tensor& y) { return transpose(unflatten(y, 2, {heads, width() / heads}), 1, 2); };
  const Tensor y = lsh_attention(placed_query(in_heads(query_key_proj(x)), 0), in_heads(value_proj(x)), rotations,
                                 {.chunk = chunk, .causal = causal(), .key_mask = call.key_mask});
  return out_proj(flatten(transpose(y, 1, 2), 2));
}

}  // namespace cotangent::nn
