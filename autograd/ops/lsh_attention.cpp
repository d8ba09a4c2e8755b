#include <cotangent/autograd/ops/lsh_attention.hpp>

#include <algorithm>
#include <cmath>

#include <cotangent/autograd/autocast_internal.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/heads_internal.hpp>
#include <cotangent/autograd/ops/index.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/norm.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/sort.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent {
namespace {

constexpr const char* kLsh = "lsh_attention";
constexpr double kOwnScore = -5e4;

void check_rotations(const char* op, const Tensor& x, const Tensor& rotations) {
  if (x.rank() < 2 || rotations.rank() != 3 || rotations.size(1) != x.size(-1) || rotations.size(2) < 1)
    fail<ShapeError>("[{}] x {} and rotations {} do not fit together; they must be (.., T, d) and (rounds, d, m)", op,
                     x.shape(), rotations.shape());
  if (x.dtype() != rotations.dtype() || !x.is_floating())
    fail<DTypeError>("[{}] x is {} and the rotations {}; they must have one floating dtype", op, x.dtype(),
                     rotations.dtype());
}

/// (.., chunks, c, ..) with dimension 3 the places of a chunk: each chunk with the one before it behind, where there
/// are several.
Tensor with_previous(const Tensor& x) {
  const int64_t chunks = x.size(2);
  if (chunks == 1) return x;
  return cat({x, cat({narrow(x, 2, chunks - 1, 1), narrow(x, 2, 0, chunks - 1)}, 2)}, 3);
}

/// For all heads G = B H: the sorted positions in chunks, and where each stands.
struct Chunks {
  Tensor at;     // (G, rounds, chunks, c): positions, -1 to fill the last chunk
  Tensor rows;   // the same as rows of (G T): 0 for -1
  Tensor place;  // (G, rounds, T): which of the chunks c places
};

Chunks sorted(const Tensor& buckets, int64_t chunk) {
  const int64_t heads = buckets.size(0), rounds = buckets.size(1), length = buckets.size(2);
  const int64_t chunks = length / chunk + (length % chunk != 0);
  const Tensor order = argsort(buckets, -1);
  const Tensor at = reshape(zero_padded(order + 1, 2, 0, chunks * chunk - length) - 1, {heads, rounds, chunks, chunk});
  const Tensor first = reshape(arange(heads) * length, {heads, 1, 1, 1});
  return {at, maximum(at, zeros({}, int64)) + first, argsort(order, -1)};
}

/// ln of the number of rounds in which a query sees a key, (G, rounds, chunks, c, keys).
Tensor log_repeats(const Chunks& all, int64_t chunk, Dtype dtype) {
  const int64_t rounds = all.place.size(1), chunks = all.at.size(2);
  const Tensor home = floor_divide(all.place, full({}, chunk, int64));
  Tensor count;
  for (int64_t r = 0; r < rounds; ++r) {
    const Tensor own = reshape(index_select(flatten(select(home, 1, r)), 0, flatten(all.rows)), all.rows.shape());
    const Tensor q = unsqueeze(own, 4), k = unsqueeze(with_previous(own), 3);
    const Tensor before = remainder(q - 1, full({}, chunks, int64));
    const Tensor seen = to(q == k || before == k, dtype);
    count = count.defined() ? count + seen : seen;
  }
  return log(maximum(count, ones({}, dtype)));  // a place that is filled up may be seen in none
}

}  // namespace

Tensor lsh_buckets(const Tensor& x, const Tensor& rotations) {
  check_rotations("lsh_buckets", x, rotations);
  const Tensor y = matmul(unsqueeze(x.detach(), -3), rotations.detach());
  return argmax(cat({y, -y}, -1), -1);
}

Tensor lsh_attention(const Tensor& qk, const Tensor& v, const Tensor& rotations, const LshOptions& o) {
  COTANGENT_AUTOCAST(lsh_attention, qk, v, rotations, o);
  check_heads(kLsh, qk, qk, v, true);
  check_rotations(kLsh, qk, rotations);
  check_positive(kLsh, "chunk", o.chunk);
  check_positive(kLsh, "number of rounds", rotations.size(0));
  checked_key_mask(kLsh, o.key_mask, qk);
  if (is_low_precision(qk.dtype())) return in_float32<to>(lsh_attention, qk, v, rotations, o);
  if (qk.numel() == 0) return no_values(qk, v);
  const int64_t batch = qk.size(0), heads = qk.size(1), length = qk.size(2), width = qk.size(3), all = batch * heads,
                rounds = rotations.size(0), chunk = std::min(o.chunk, length);
  const double root = std::sqrt(static_cast<double>(width)), scale = o.scale != 0 ? o.scale : 1 / root;

  Tensor buckets = flatten(lsh_buckets(qk, rotations), 0, 1), kept;
  if (o.key_mask.defined()) {  // whatever padding holds, it comes behind all buckets
    kept = flatten(expand(unsqueeze(o.key_mask, 1), {batch, heads, length}));
    buckets = where(reshape(kept, {all, 1, length}), buckets, 2 * rotations.size(2));
  }
  const Chunks c = sorted(buckets, chunk);
  const auto in_chunks = [&](const Tensor& x) {
    return reshape(index_select(flatten(x, 0, 2), 0, flatten(c.rows)), {all, rounds, c.at.size(2), chunk, x.size(3)});
  };
  const Tensor i = unsqueeze(c.at, 4), j = unsqueeze(with_previous(c.at), 3);
  Tensor seen = j >= 0 && i >= 0;
  if (o.causal) seen = seen && j <= i;
  if (kept.defined())
    seen = seen && unsqueeze(with_previous(reshape(index_select(kept, 0, flatten(c.rows)), c.rows.shape())), 3);

  const Tensor keys = rms_norm(qk, {width}, {}, 1e-20) * (1 / root);
  Tensor scores = seen_scores(in_chunks(qk) * scale, with_previous(in_chunks(keys)), seen, kHidden);
  if (rounds > 1) scores = scores - log_repeats(c, chunk, qk.dtype());
  scores = where(seen && i == j, kOwnScore, scores);
  const Tensor top = amax(scores.detach(), -1, true), e = exp(scores - finite_top(top));
  const Tensor sums = seen_product(e, with_previous(in_chunks(v)), seen);

  // back to the order of the positions, and the rounds together
  const int64_t places = c.at.size(2) * chunk;
  const Tensor rows = flatten(c.place + reshape(arange(all * rounds) * places, {all, rounds, 1}));
  const auto in_order = [&](const Tensor& x) {
    return reshape(index_select(flatten(x, 0, 3), 0, rows), {all, rounds, length, x.size(4)});
  };
  const Tensor tops = in_order(top), share = exp(tops - finite_top(amax(tops, 1, true)));
  const Tensor y = divided_by_sum(sum(in_order(sums) * share, 1), sum(in_order(sum(e, -1, true)) * share, 1));
  return reshape(y, {batch, heads, length, v.size(3)});
}

}  // namespace cotangent
