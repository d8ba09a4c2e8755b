#include <cotangent/nn/attention/sparse.hpp>

#include <cmath>

#include <cotangent/autograd/ops/activation.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/index.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::nn {
namespace {

void append_cache(StreamState& state, int64_t batch, int64_t heads, int64_t width, Dtype dtype) {
  const Tensor none = empty({batch, heads, 0, width}, dtype);
  for (const Tensor& t : {none, none, empty({batch, 0}, boolean)}) state.tensors.push_back(t);
}

/// No memory: its keys have no place in the pattern.
void check_own_keys(const char* name, const Tensor& q, const Tensor& k) {
  if (q.size(2) != k.size(2))
    fail<ValueError>("[{}] {} queries and a memory of {} keys; the pattern needs a key for each query", name, q.size(2),
                     k.size(2));
}

}  // namespace

// ---- SparseAttention ----

SparseAttention::SparseAttention(int64_t width, int64_t count, const SparseAttentionOptions& o)
    : HeadedAttention("SparseAttention", width, count, o.causal, o.bias, o.positions, o.dtype) {
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

Tensor SparseAttention::attend(const Tensor& q, const Tensor& k, const Tensor& v, const HeadsCall& call) {
  check_own_keys("SparseAttention", q, k);
  const Tensor all[] = {placed_query(q, call.start), placed_key(k, call.start), v};
  const int64_t kinds = static_cast<int64_t>(patterns.size());
  Tensors outputs, caches;
  for (int64_t i = 0; i < kinds; ++i) {
    const auto own = [&](const Tensor& x) { return kinds == 1 ? x : slice(x, 1, i, heads, 2); };
    SparseOptions o = patterns[static_cast<size_t>(i)];
    o.key_padding = call.key_mask;
    if (!call.state) {
      outputs.push_back(sparse_attention(own(all[0]), own(all[1]), own(all[2]), o));
      continue;
    }
    const Tensor* kept = call.state->data() + 3 * i;
    SparseState state{kept[0], kept[1], kept[2], call.start};
    outputs.push_back(sparse_attention(own(all[0]), own(all[1]), own(all[2]), o, &state));
    for (const Tensor& t : {state.k, state.v, state.kept}) caches.push_back(t);
  }
  if (call.state) *call.state = caches;
  return kinds == 1 ? outputs[0] : flatten(stack(outputs, 2), 1, 2);
}

StreamState SparseAttention::begin(int64_t batch) {
  StreamState state;
  const int64_t kinds = static_cast<int64_t>(patterns.size());
  for (int64_t i = 0; i < kinds; ++i) append_cache(state, batch, heads / kinds, head_width(), in_proj_weight.dtype());
  return state;
}

// ---- DiagAttention ----

DiagAttention::DiagAttention(int64_t width, int64_t count, const DiagAttentionOptions& o)
    : HeadedAttention("DiagAttention", width, count, o.causal, o.bias, o.positions, o.dtype),
      block(o.block),
      weights(o.weights) {
  if (block < 1) fail<ValueError>("[DiagAttention] blocks of {} positions; take 1 at least", block);
}

Tensor DiagAttention::attend(const Tensor& q, const Tensor& k, const Tensor& v, const HeadsCall& call) {
  check_own_keys("DiagAttention", q, k);
  const Tensor query = placed_query(q, call.start), key = placed_key(k, call.start);
  const SparseOptions o{
      .pattern = SparsePattern::blocks, .stride = block, .causal = causal(), .key_padding = call.key_mask};
  if (weights == DiagWeights::softmax) {
    if (!call.state) return sparse_attention(query, key, v, o);
    SparseState state{(*call.state)[0], (*call.state)[1], (*call.state)[2], call.start};
    const Tensor y = sparse_attention(query, key, v, o, &state);
    *call.state = {state.k, state.v, state.kept};
    return y;
  }
  // block by block from the start of the one that is not full; padding is 0, which adds nothing without a denominator
  const int64_t batch = v.size(0), length = v.size(2);
  Tensor keys = key, values = v;
  if (call.key_mask.defined()) values = where(reshape(call.key_mask, {batch, 1, length, 1}), v, 0);
  const int64_t before = call.state ? call.start % block : 0;
  if (call.state) keys = cat({(*call.state)[0], keys}, 2), values = cat({(*call.state)[1], values}, 2);
  const int64_t total = before + length, count = (total + block - 1) / block;
  const auto cut = [&](const Tensor& x, int64_t skipped) {
    const auto none = [&](int64_t rows) { return zeros({batch, heads, rows, x.size(3)}, x.dtype()); };
    return reshape(cat({none(skipped), x, none(count * block - skipped - x.size(2))}, 2),
                   {batch, heads, count, block, x.size(3)});
  };
  Tensor a = relu(matmul(cut(query, before), transpose(cut(keys, 0), 3, 4)) *
                  (1 / std::sqrt(static_cast<double>(head_width()))));
  if (causal()) a = tril(a);
  const Tensor y = reshape(matmul(a, cut(values, 0)), {batch, heads, count * block, head_width()});
  if (call.state) {
    const int64_t left = total % block, gone = total - left;
    *call.state = {narrow(keys, 2, gone, left), narrow(values, 2, gone, left), ones({batch, left}, boolean)};
  }
  return narrow(y, 2, before, length);
}

StreamState DiagAttention::begin(int64_t batch) {
  StreamState state;
  append_cache(state, batch, heads, head_width(), in_proj_weight.dtype());
  return state;
}

}  // namespace cotangent::nn
