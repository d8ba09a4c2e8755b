#include <cotangent/nn/attention/sparse.hpp>

#include <cmath>

#include <cotangent/autograd/ops/activation.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/heads_internal.hpp>
#include <cotangent/autograd/ops/index.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::nn {
namespace {

/// No memory: its keys have no place in the pattern.
void check_own_keys(const char* name, const Tensor& q, const Tensor& k) {
  if (q.size(2) != k.size(2))
    fail<ValueError>("[{}] {} queries and a memory of {} keys; the pattern needs a key for each query", name, q.size(2),
                     k.size(2));
}

}  // namespace

// ---- SparseAttention ----

SparseAttention::SparseAttention(int64_t width, int64_t count, const SparseAttentionOptions& o)
    : HeadedAttention("SparseAttention", width, count, {o.causal, o.bias, o.positions, o.dtype}) {
  SparseOptions pattern{
      .pattern = o.pattern, .window = o.window, .stride = o.stride, .summary = o.summary, .causal = o.causal};
  patterns = {pattern};
  if (o.odd_heads) {
    if (count % 2 != 0)
      fail<ValueError>("[SparseAttention] {} heads of two patterns; their number must be even", count);
    pattern.pattern = *o.odd_heads;
    patterns.push_back(pattern);
  }
  for (const SparseOptions& p : patterns) sparse_scores(1, p);  // checks the numbers
}

Tensor SparseAttention::attend(const Tensor& q, const Tensor& k, const Tensor& v, const SequenceCall& call,
                               StreamState* state) {
  check_own_keys("SparseAttention", q, k);
  const Tensor qs = placed_query(q, first(state)), ks = placed_key(k, first(state));
  const int64_t kinds = static_cast<int64_t>(patterns.size());
  SparseStates* kept = fields<SparseStates>(state);
  Tensors outputs;
  for (int64_t i = 0; i < kinds; ++i) {
    const auto own = [&](const Tensor& x) { return kinds == 1 ? x : slice(x, 1, i, heads, 2); };
    SparseOptions o = patterns[static_cast<size_t>(i)];
    o.key_mask = call.key_mask;
    outputs.push_back(sparse_attention(own(qs), own(ks), own(v), o, kept ? &kept->heads[i] : nullptr));
  }
  return kinds == 1 ? outputs[0] : flatten(stack(outputs, 2), 1, 2);
}

// ---- DiagAttention ----

DiagAttention::DiagAttention(int64_t width, int64_t count, const DiagAttentionOptions& o)
    : HeadedAttention("DiagAttention", width, count, {o.causal, o.bias, o.positions, o.dtype}),
      block(o.block),
      weights(o.weights) {
  if (block < 1) fail<ValueError>("[DiagAttention] blocks of {} positions; take 1 at least", block);
}

Tensor DiagAttention::attend(const Tensor& q, const Tensor& k, const Tensor& v, const SequenceCall& call,
                             StreamState* state) {
  check_own_keys("DiagAttention", q, k);
  const Tensor query = placed_query(q, first(state)), key = placed_key(k, first(state));
  SparseState* kept = fields<SparseState>(state);
  if (weights == DiagWeights::softmax)
    return sparse_attention(
        query, key, v,
        {.pattern = SparsePattern::blocks, .stride = block, .causal = causal(), .key_mask = call.key_mask}, kept);
  // block by block from the start of the one that is not full; padding is 0, which adds nothing without a denominator
  const int64_t batch = v.size(0), length = v.size(2);
  Tensor keys = key, values = v;
  if (call.key_mask.defined()) {
    const Tensor seen = reshape(call.key_mask, {batch, 1, length, 1});
    keys = where(seen, key, 0), values = where(seen, v, 0);
  }
  const int64_t before = first(state) % block;
  if (before > 0) keys = cat({kept->k, keys}, 2), values = cat({kept->v, values}, 2);
  const int64_t total = before + length, count = total / block + (total % block != 0);
  const auto cut = [&](const Tensor& x, int64_t skipped) {
    const auto none = [&](int64_t rows) { return zeros({batch, heads, rows, x.size(3)}, x.dtype()); };
    return reshape(cat({none(skipped), x, none(count * block - skipped - x.size(2))}, 2),
                   {batch, heads, count, block, x.size(3)});
  };
  const Tensor seen = causal() ? causal_mask(block, block) : Tensor();
  const Tensor a =
      relu(seen_scores(cut(query, before), cut(keys, 0), seen, 0) * (1 / std::sqrt(static_cast<double>(head_width()))));
  const Tensor y = reshape(seen_product(a, cut(values, 0), seen), {batch, heads, count * block, head_width()});
  if (kept) {
    const int64_t left = total % block, gone = total - left;
    kept->k = narrow(keys, 2, gone, left), kept->v = narrow(values, 2, gone, left);
  }
  return narrow(y, 2, before, length);
}

}  // namespace cotangent::nn
