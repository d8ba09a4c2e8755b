#include <cotangent/nn/attention/sparse.hpp>

#include <algorithm>
#include <cmath>

#include <cotangent/autograd/ops/activation.hpp>
#include <cotangent/autograd/ops/attention.hpp>
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

/// The heads in turns by these patterns.
Tensor attend_by_pattern(const Tensor& q, const Tensor& k, const Tensor& v, const std::vector<SparseOptions>& patterns,
                         const Tensor& key_mask, std::vector<SparseState>* states) {
  const int64_t kinds = static_cast<int64_t>(patterns.size());
  if (states) states->resize(patterns.size());
  Tensors outputs;
  for (int64_t i = 0; i < kinds; ++i) {
    const auto own = [&](const Tensor& x) { return kinds == 1 ? x : slice(x, 1, i, x.size(1), kinds); };
    SparseOptions o = patterns[static_cast<size_t>(i)];
    o.key_mask = key_mask;
    outputs.push_back(
        sparse_attention(own(q), own(k), own(v), o, states ? &(*states)[static_cast<size_t>(i)] : nullptr));
  }
  return kinds == 1 ? outputs[0] : flatten(stack(outputs, 2), 1, 2);
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
  const Tensor query = placed_query(q, first(state)), key = placed_key(k, first(state));
  SparseStates* kept = fields<SparseStates>(state);
  return attend_by_pattern(query, key, v, patterns, call.key_mask, kept ? &kept->heads : nullptr);
}

// ---- Longformer ----

Longformer::Longformer(int64_t width, int64_t count, const LongformerOptions& o)
    : HeadedAttention("Longformer", width, count, {o.causal, o.bias, o.positions, o.dtype}) {
  if (o.window < 1) fail<ValueError>("[Longformer] a window of {} tokens; take 1 at least", o.window);
  if (o.dilations.empty() || count % static_cast<int64_t>(o.dilations.size()) != 0)
    fail<ValueError>("[Longformer] {} dilations for {} heads; their number must divide the heads", o.dilations.size(),
                     count);
  for (const int64_t dilation : o.dilations) {
    patterns.push_back({.window = o.causal ? o.window - 1 : o.window / 2,
                        .dilation = dilation,
                        .globals = o.globals,
                        .causal = o.causal});
    sparse_scores(1, patterns.back());  // checks the numbers
  }
  if (o.globals.empty()) return;
  global_proj_weight = in_proj_weight.detach().clone();
  if (o.bias) global_proj_bias = in_proj_bias.detach().clone();
}

std::string Longformer::settings() const {
  return fmt::format("{}, window = {}", HeadedAttention::settings(),
                     causal() ? patterns[0].window + 1 : 2 * patterns[0].window);
}

Tensor Longformer::run(const Tensor& x, const SequenceCall& call, StreamState* state) {
  if (call.mask.defined() || call.memory.defined())
    fail<ValueError>("[Longformer] takes no {}; a key_mask hides keys", call.mask.defined() ? "mask" : "memory");
  const Tensors parts = split(in_heads(x, in_proj_weight, in_proj_bias), heads, 1);
  const Tensor y = attend(parts[0], parts[1], parts[2], call, state);
  return out_proj(flatten(transpose(with_globals(y, x, call.key_mask, state), 1, 2), 2));
}

Tensor Longformer::attend(const Tensor& q, const Tensor& k, const Tensor& v, const SequenceCall& call,
                          StreamState* state) {
  const Tensor query = placed_query(q, first(state)), key = placed_key(k, first(state));
  LongformerState* kept = fields<LongformerState>(state);
  return attend_by_pattern(query, key, v, patterns, call.key_mask, kept ? &kept->heads : nullptr);
}

Tensor Longformer::with_globals(const Tensor& y, const Tensor& x, const Tensor& key_mask, StreamState* state) {
  const std::vector<int64_t>& globals = patterns[0].globals;
  const int64_t start = first(state), length = x.size(1);
  if (globals.empty() || length == 0 || (causal() && start > globals.back())) return y;
  // causal: no more keys than the last of the queries sees
  const int64_t seen = causal() ? std::min(length, globals.back() + 1 - start) : length;
  const auto projected = [&](const Tensor& tokens, int64_t part, int64_t count) {
    const auto rows = [&](const Tensor& p) { return p.defined() ? narrow(p, 0, part * width(), count * width()) : p; };
    return in_heads(tokens, rows(global_proj_weight), rows(global_proj_bias));
  };
  const Tensors kv = split(projected(narrow(x, 1, 0, seen), 1, 2), heads, 1);
  KeyValueCache own;
  KeyValueCache& all = state ? fields<LongformerState>(state)->global : own;
  all.append(placed_key(kv[0], start), kv[1], key_mask.defined() ? narrow(key_mask, 1, 0, seen) : key_mask);

  Tensors queries;
  std::vector<int64_t> positions_of, places;
  for (int64_t t = 0; t < length; ++t) places.push_back(t);
  for (const int64_t g : globals)
    if (g >= start && g < start + length) {
      queries.push_back(placed_query(projected(narrow(x, 1, g - start, 1), 0, 1), g));
      places[static_cast<size_t>(g - start)] = length + static_cast<int64_t>(positions_of.size());
      positions_of.push_back(g);
    }
  Tensor result = y;
  if (!queries.empty()) {
    const Tensor at = from_vector(positions_of, {static_cast<int64_t>(positions_of.size()), 1});
    const Tensor mask = combine_masks(causal() ? arange(all.keys.size(2)) <= at : Tensor(), score_mask(all.key_mask));
    const Tensor rows = scaled_dot_product_attention(cat(queries, 2), all.keys, all.values, {.mask = mask});
    result = index_select(cat({y, rows}, 2), 2, from_vector(places, {length}));
  }
  if (state && start + length > globals.back()) all = {};
  return result;
}

// ---- SinkAttention ----

SinkAttention::SinkAttention(int64_t width, int64_t count, const SinkAttentionOptions& o)
    : HeadedAttention("SinkAttention", width, count, {true, o.bias, o.positions, o.dtype}) {
  if (o.window < 1 || o.sinks < 0)
    fail<ValueError>("[SinkAttention] a window of {} tokens and {} sinks; take 1 and 0 at least", o.window, o.sinks);
  pattern = {.window = o.window - 1, .causal = true};
  for (int64_t i = 0; i < o.sinks; ++i) pattern.globals.push_back(i);
}

std::string SinkAttention::settings() const {
  return fmt::format("{}, sinks = {}, window = {}", HeadedAttention::settings(), pattern.globals.size(),
                     pattern.window + 1);
}

Tensor SinkAttention::attend(const Tensor& q, const Tensor& k, const Tensor& v, const SequenceCall& call,
                             StreamState* state) {
  SparseOptions o = pattern;
  o.key_mask = call.key_mask;
  Tensor query = q, key = k;
  if (positions) {
    const int64_t start = first(state), length = q.size(2), sinks = static_cast<int64_t>(pattern.globals.size()),
                  last = sinks + pattern.window, before = std::clamp<int64_t>(last - start, 0, length);
    o.scale = 1 / std::sqrt(static_cast<double>(head_width()));
    // one half of the width for the window, the other for the sinks, from which a query gets no further than `last`
    const Tensor near = placed_query(q, start),
                 far = squeeze(placed_query(unsqueeze(narrow(q, 2, before, length - before), 3), last), 3);
    query = cat({near, cat({narrow(near, 2, 0, before), far}, 2)}, 3);
    const Tensor placed = placed_key(k, start), sink = unsqueeze(arange(start, start + length) < sinks, 1);
    key = cat({where(sink, 0, placed), where(sink, placed, 0)}, 3);
  }
  return sparse_attention(query, key, v, o, fields<SparseState>(state));
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
