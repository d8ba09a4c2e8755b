#include <cotangent/nn/attention/synthesizer.hpp>

#include <algorithm>
#include <cmath>

#include <cotangent/autograd/ops/activation.hpp>
#include <cotangent/autograd/ops/attention.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/heads_internal.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/softmax.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/nn/attention/headed.hpp>
#include <cotangent/nn/init.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::nn {
namespace {

constexpr const char* kSynthesizer = "Synthesizer";

int64_t checked_tile(int64_t length, int64_t tile) {
  check_positive(kSynthesizer, "length", length);
  if (tile < 0 || (tile > 0 && length % tile != 0))
    fail<ValueError>("[{}] a tile of {} for a length of {}; it must divide it, or be 0", kSynthesizer, tile, length);
  if (tile == 0)
    for (tile = static_cast<int64_t>(std::sqrt(static_cast<double>(length))); length % tile != 0;) --tile;
  return tile;
}

const char* name_of(SynthesizerScores kind) {
  switch (kind) {
    case SynthesizerScores::dot_product: return "dot_product";
    case SynthesizerScores::dense: return "dense";
    case SynthesizerScores::random: return "random";
    case SynthesizerScores::factorized_dense: return "factorized_dense";
    case SynthesizerScores::factorized_random: break;
  }
  return "factorized_random";
}

}  // namespace

Synthesizer::Synthesizer(int64_t width, int64_t count, const SynthesizerOptions& o)
    : Attention(width, o.causal, o.positions),
      value_proj(width, width, {.bias = o.bias, .dtype = o.dtype}),
      out_proj(width, width, {.bias = o.bias, .dtype = o.dtype}),
      heads(checked_heads(kSynthesizer, width, count)),
      length(o.length),
      tile(checked_tile(o.length, o.tile)),
      scores(o.scores) {
  check_positive(kSynthesizer, "rank", o.rank);
  check_no_rows(kSynthesizer, positions, {heads, width / heads, o.dtype});
  if (scores.empty()) fail<ValueError>("[{}] no kind of scores; name one at least", kSynthesizer);
  const auto map = [&](int64_t out) { return Linear(width, out, {.bias = o.bias, .dtype = o.dtype}); };
  const int64_t dh = width / heads;
  const double bound = 1 / std::sqrt(static_cast<double>(dh));
  const auto weight = [&](int64_t rows) { return init::uniform_(empty({heads, rows, dh}, o.dtype), -bound, bound); };
  const auto drawn = [&](int64_t columns, double deviation) {
    Parameter r = init::normal_(empty({heads, length, columns}, o.dtype), 0, deviation);
    r.requires_grad_(o.train_random);
    return r;
  };
  for (size_t n = 0; n < scores.size(); ++n) {
    if (std::find(scores.begin(), scores.begin() + static_cast<std::ptrdiff_t>(n), scores[n]) - scores.begin() <
        static_cast<std::ptrdiff_t>(n))
      fail<ValueError>("[{}] {} is named twice; one of each kind is enough, as they are summed", kSynthesizer,
                       name_of(scores[n]));
    switch (scores[n]) {
      case SynthesizerScores::dot_product: query_key_proj = map(2 * width); break;
      case SynthesizerScores::dense:
        dense_hidden = map(width);
        dense_weight = weight(length), dense_bias = zeros({heads, length}, o.dtype);
        break;
      case SynthesizerScores::random: random = drawn(length, 1); break;
      case SynthesizerScores::factorized_dense:
        factor_hidden = map(width);
        factor_weight = weight(tile + length / tile);
        factor_bias = zeros({heads, tile + length / tile}, o.dtype);
        break;
      case SynthesizerScores::factorized_random: {
        const double deviation = std::pow(static_cast<double>(o.rank), -0.25);  // of a product of rank terms: 1
        random_left = drawn(o.rank, deviation), random_right = drawn(o.rank, deviation);
        break;
      }
    }
  }
  if (scores.size() > 1) mixture = zeros({static_cast<int64_t>(scores.size())}, o.dtype);
}

std::string Synthesizer::settings() const {
  std::string kinds;
  for (SynthesizerScores kind : scores) kinds += (kinds.empty() ? "" : " + ") + std::string(name_of(kind));
  return fmt::format("{}, {}, {}, length = {}{}", width(), heads, kinds, length, causal() ? ", causal = true" : "");
}

Tensor Synthesizer::in_heads(const Tensor& x) const {
  return transpose(unflatten(x, 2, {heads, width() / heads}), 1, 2);
}

Tensor Synthesizer::scores_of(SynthesizerScores kind, const Tensor& x, const Tensor& q, const Tensor& keys,
                              int64_t count, int64_t start) {
  const int64_t queries = x.size(1);
  const auto mapped = [&](Linear& hidden, const Tensor& weight, const Tensor& bias) {
    return matmul(relu(in_heads(hidden(x))), transposed(weight)) + unsqueeze(bias, 1);
  };
  switch (kind) {
    case SynthesizerScores::dot_product: return matmul(q, transposed(keys));
    case SynthesizerScores::dense:
      return mapped(*dense_hidden, narrow(dense_weight, 1, 0, count), narrow(dense_bias, 1, 0, count));
    case SynthesizerScores::random: return narrow(narrow(random, 1, start, queries), 2, 0, count);
    case SynthesizerScores::factorized_dense: {
      const Tensors ab = split(mapped(*factor_hidden, factor_weight, factor_bias), {tile, length / tile}, 3);
      const int64_t repeats = count / tile + (count % tile != 0);
      return narrow(flatten(unsqueeze(ab[0], 3) * unsqueeze(narrow(ab[1], 3, 0, repeats), 4), 3), 3, 0, count);
    }
    case SynthesizerScores::factorized_random: break;
  }
  return matmul(narrow(random_left, 1, start, queries), transposed(narrow(random_right, 1, 0, count)));
}

Tensor Synthesizer::run(const Tensor& x, const SequenceCall& call, StreamState* state) {
  if (call.memory.defined()) fail<ValueError>("[{}] takes no memory: its scores are those of x alone", type_name());
  const int64_t start = first(state), queries = x.size(1);
  const Tensor v = in_heads(value_proj(x));
  Tensor q, k = narrow(v, 3, 0, 0);  // the cache counts keys, also those of no width
  if (query_key_proj) {
    const Tensors parts = split((*query_key_proj)(x), width(), 2);
    const int64_t head_width = width() / heads;
    q = placed_query(in_heads(parts[0]) * (1 / std::sqrt(static_cast<double>(head_width))), start);
    k = placed_key(in_heads(parts[1]), start);
  }
  KeyValueCache own;
  KeyValueCache& all = state ? *fields<KeyValueCache>(state) : own;
  all.append(k, v, call.key_mask);
  const int64_t keys = all.values.size(2);
  if (keys > length) fail<ValueError>("[{}] {} tokens; its scores end at length = {}", type_name(), keys, length);

  Tensor s;
  const Tensor shares = mixture.defined() ? softmax(mixture, 0) : Tensor();
  for (size_t n = 0; n < scores.size(); ++n) {
    Tensor part = scores_of(scores[n], x, q, all.keys, keys, start);
    if (shares.defined()) part = part * select(shares, 0, static_cast<int64_t>(n));
    s = s.defined() ? s + part : part;
  }
  const Tensor bias = distance_bias(positions, queries, keys, start, heads, x.dtype());
  if (bias.defined()) s = s + toeplitz(bias, queries, keys);
  const Tensor mask = combine_masks(call.mask, score_mask(all.key_mask));
  const bool added = mask.defined() && mask.dtype() != boolean;
  if (added) s = s + mask;
  const Tensor seen =
      both_seen(added ? mask != kHidden : mask, causal() ? cotangent::causal_mask(queries, keys) : Tensor());
  if (seen.defined()) s = where(seen, s, kHidden);
  // without masks each row has a key, and the softmax in one pass will do
  const Tensor p = mask.defined() ? masked_softmax(s, -1) : softmax(s, -1);
  const Tensor weights = expand(p, {x.size(0), heads, queries, keys});
  return out_proj(flatten(transpose(seen_product(weights, all.values, seen), 1, 2), 2));
}

}  // namespace cotangent::nn
