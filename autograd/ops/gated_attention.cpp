#include <cotangent/autograd/ops/gated_attention.hpp>

#include <cmath>

#include <cotangent/autograd/autocast_internal.hpp>
#include <cotangent/autograd/ops/activation.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/heads_internal.hpp>
#include <cotangent/autograd/ops/index.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/scan.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/range.hpp>

namespace cotangent {
namespace {

double reciprocal_root(int64_t n) { return 1 / std::sqrt(static_cast<double>(n)); }

/// x divided by the number of keys that are no padding: of all sequences alike, or of each.
Tensor per_key(const Tensor& x, const Tensor& kept, int64_t keys) {
  if (!kept.defined()) return x / static_cast<double>(std::max<int64_t>(keys, 1));
  const Tensor count = to(sum(kept, -2, true), x.dtype());
  return x / maximum(count, ones(count.shape(), x.dtype()));
}

}  // namespace

Tensor squared_relu_attention(const Tensor& q, const Tensor& k, const Tensor& v, const SquaredReluOptions& options) {
  COTANGENT_AUTOCAST(squared_relu_attention, q, k, v, options);
  constexpr const char* op = "squared_relu_attention";
  check_heads(op, q, k, v, false);
  if (options.length < 0)
    fail<ValueError>("[{}] a length of {}; it must be at least 1, or 0 for the number of keys", op, options.length);
  detail::check_not_negative(op, "eps", options.eps);
  const Tensor kept = checked_key_mask(op, options.key_mask, k);
  const Shape scores{q.size(0), q.size(1), q.size(2), k.size(2)};
  for (const Tensor* t : {&options.bias, &options.mask})
    if (t->defined() && (t->rank() > 4 || broadcast_shapes(op, t->shape(), scores) != scores))
      fail<ShapeError>("[{}] a {} of shape {} does not broadcast to the scores {}", op,
                       t == &options.bias ? "bias" : "mask", t->shape(), scores);
  if (options.mask.defined() && options.mask.dtype() != boolean)
    fail<DTypeError>("[{}] the mask is {}; it must be bool (true: may be seen)", op, options.mask.dtype());
  if (is_low_precision(q.dtype())) return in_float32<to>(squared_relu_attention, q, k, v, options);
  const int64_t keys = options.length ? options.length : k.size(2);
  const Tensor counted = options.length ? Tensor() : kept;
  const Tensor seen = both_seen(both_seen(options.causal ? causal_mask(q.size(2), k.size(2)) : Tensor(), options.mask),
                                kept.defined() ? transposed(kept) : kept);
  Tensor s = seen_scores(q, k, seen, 0);
  s = options.norm == ReluNorm::squared_length ? per_key(s, counted, keys) : s * reciprocal_root(q.size(3));
  if (options.bias.defined()) s = s + options.bias;
  Tensor a = square(relu(s));
  if (seen.defined()) a = masked_fill(a, !seen, 0);
  if (options.norm == ReluNorm::row) a = a / (sum(a, -1, true) + options.eps);
  if (options.norm == ReluNorm::length) a = per_key(a, counted, keys);
  return seen_product(a, v, seen);
}

Tensor mixed_chunk_attention(const Tensor& q_quad, const Tensor& k_quad, const Tensor& q_lin, const Tensor& k_lin,
                             const Tensor& v, const MixedChunkOptions& options, MixedChunkState* state) {
  COTANGENT_AUTOCAST(mixed_chunk_attention, q_quad, k_quad, q_lin, k_lin, v, options, state);
  constexpr const char* op = "mixed_chunk_attention";
  check_heads(op, q_quad, k_quad, v, true);
  check_heads(op, q_lin, k_lin, v, true);
  check_positive(op, "chunk", options.chunk);
  check_past(op, state, options.causal);
  const Tensor kept = checked_key_mask(op, options.key_mask, k_quad);
  const int64_t c = options.chunk;
  const Tensor& bias = options.distance_bias;
  if (bias.defined() && (bias.rank() != 1 || bias.size(0) - c != c - 1))
    fail<ShapeError>("[{}] the distance_bias is {}; for chunks of {} it must be ({})", op, bias.shape(), c, 2 * c - 1);
  if (is_low_precision(q_quad.dtype()))
    return in_float32<to>(mixed_chunk_attention, q_quad, k_quad, q_lin, k_lin, v, options, state);
  // both parts are linear in v: there padding is 0, and whatever its keys hold must not matter
  const auto without_padding = [&](const Tensor& x) { return kept.defined() ? masked_fill(x, !kept, 0) : x; };
  Tensor kq = without_padding(k_quad), kl = without_padding(k_lin), values = without_padding(v);
  const int64_t B = v.size(0), H = v.size(1), T = v.size(2);
  const int64_t before = state ? state->length / c : 0;  // whole chunks that came before
  const int64_t partial = state ? state->length % c : 0, all = partial + T, whole = all / c,
                count = whole + (all % c != 0);
  if (partial > 0) {
    kq = cat({state->k_quad, kq}, 2), kl = cat({state->k_lin, kl}, 2), values = cat({state->v, values}, 2);
  }
  // Of a single chunk, as with one more token, there are only the rows that it has. Of several all are full: rows that
  // are missing at the end, and queries that were answered before, are 0.
  const bool single = count <= 1;
  const int64_t queries = single ? T : c, keys = single ? all : c, answered = single ? 0 : partial;
  detail::check_memory(op, Dims{B, H, count, keys, std::max<int64_t>(v.size(3), 1)}.product(op), item_size(v.dtype()));
  // (B, H, T, d) -> (B, H, chunks, rows, d)
  const auto chunked = [&](const Tensor& x, int64_t rows, int64_t skipped) {
    return reshape(zero_padded(x, 2, skipped, count * rows - skipped - x.size(2)), {B, H, count, rows, x.size(3)});
  };
  const Tensor vs = chunked(values, keys, 0);
  Tensor y;
  if (options.local) {
    const Tensor seen = options.causal && queries > 1 ? causal_mask(queries, keys) : Tensor();
    Tensor s = seen_scores(chunked(q_quad, queries, answered), chunked(kq, keys, 0), seen, 0) *
               reciprocal_root(q_quad.size(3));
    if (bias.defined() && count > 0) s = s + toeplitz(narrow(bias, 0, c - queries, queries + keys - 1), queries, keys);
    Tensor a = square(relu(s)) / static_cast<double>(c);
    if (seen.defined()) a = tril(a, keys - queries);
    y = seen_product(a, vs, seen);
  }
  // what chunks add to the sum, (B, H, chunks, s, e): causal, whole ones
  const int64_t added = options.causal ? whole : count;
  const Tensor own = matmul(transposed(narrow(chunked(kl, keys, 0), 2, 0, added)), narrow(vs, 2, 0, added));
  const Tensor start =
      state && state->kv.defined() ? unsqueeze(state->kv, 2) : zeros({B, H, 1, k_lin.size(3), v.size(3)}, v.dtype());
  if (options.global) {
    Tensor far = chunked(q_lin, queries, answered);
    if (!options.causal) {
      far = per_key(matmul(far, sum(own, 2, true)), kept.defined() ? unsqueeze(kept, 2) : kept, T);
    } else {
      Tensor earlier = start;
      if (!single) earlier = cat({start, start + cumsum(narrow(own, 2, 0, count - 1), 2)}, 2);
      far = matmul(far, earlier);
      if (options.norm == ChunkNorm::chunk) {
        far = far / static_cast<double>(c);
      } else {
        const Tensor tokens = clamp(arange(before, before + count, 1, v.dtype()), 1) * static_cast<double>(c);
        far = far / reshape(tokens, {count, 1, 1});
      }
    }
    y = y.defined() ? y + far : far;
  }
  if (!y.defined()) y = narrow(vs, 3, keys - queries, queries) * 0;
  if (state) {
    state->kv = squeeze(whole > 0 ? start + sum(own, 2, true) : start, 2);
    const int64_t left = all - whole * c;
    state->k_quad = narrow(kq, 2, whole * c, left), state->k_lin = narrow(kl, 2, whole * c, left);
    state->v = narrow(values, 2, whole * c, left);
    state->length += T;
  }
  return narrow(reshape(y, {B, H, count * queries, v.size(3)}), 2, answered, T);
}

}  // namespace cotangent
