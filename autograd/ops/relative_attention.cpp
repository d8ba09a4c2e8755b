#include <cotangent/autograd/ops/relative_attention.hpp>

#include <algorithm>
#include <cmath>

#include <cotangent/autograd/autocast_internal.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/heads_internal.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/random.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/autograd/record.hpp>
#include <cotangent/tensor/by_distance.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/precision_internal.hpp>

namespace cotangent {
namespace {

struct Size {
  int64_t value;  // the columns that the other direction gives
};

void check_buckets(const char* op, const Tensor& x, const Tensor& buckets, int64_t keys, int64_t rows) {
  if (x.rank() < 2 || keys < 0 || rows < 0)
    fail<ShapeError>("[{}] x of shape {}, {} keys and {} rows; x must be a matrix or several, the others 0 at least",
                     op, x.shape(), keys, rows);
  if (!x.is_floating()) fail<DTypeError>("[{}] takes a floating tensor, got {}", op, x.dtype());
  if (!buckets.defined() || buckets.dtype() != int64 || buckets.rank() != 1)
    fail<DTypeError>("[{}] the buckets must be a vector of int64", op);
  const int64_t count = std::max<int64_t>(x.size(-2) + keys, 1) - 1;
  if (buckets.size(0) != count)
    fail<ShapeError>("[{}] {} buckets for {} queries and {} keys; there must be {}", op, buckets.size(0), x.size(-2),
                     keys, count);
  if (x.numel() == 0) return;
  const int64_t least = amin(buckets).item<int64_t>(), most = amax(buckets).item<int64_t>();
  if (least < 0 || most >= rows)
    fail<IndexError>("[{}] bucket {} is outside the table of {} rows", op, least < 0 ? least : most, rows);
}

}  // namespace

Tensor gather_by_distance(const Tensor& x, const Tensor& buckets, int64_t keys) {
  check_buckets("gather_by_distance", x, buckets, keys, x.rank() > 0 ? x.size(-1) : 0);
  if (is_low_precision(x.dtype())) return in_float32<to>(gather_by_distance, x, buckets, keys);
  return record(
      "gather_by_distance", {x, buckets}, raw::gather_by_distance(x, buckets, keys), Keep::input(1), Size{x.size(-1)},
      [](const Backward& b, Size rows) -> Gradients { return {sum_by_distance(b.grad(), b.input(1), rows.value)}; });
}

Tensor sum_by_distance(const Tensor& x, const Tensor& buckets, int64_t rows) {
  check_buckets("sum_by_distance", x, buckets, x.rank() > 0 ? x.size(-1) : 0, rows);
  if (is_low_precision(x.dtype())) return in_float32<to>(sum_by_distance, x, buckets, rows);
  return record(
      "sum_by_distance", {x, buckets}, raw::sum_by_distance(x, buckets, rows), Keep::input(1), Size{x.size(-1)},
      [](const Backward& b, Size keys) -> Gradients { return {gather_by_distance(b.grad(), b.input(1), keys.value)}; });
}

Tensor relative_attention(const Tensor& q, const Tensor& k, const Tensor& v, const DistanceRows& rows,
                          const AttentionOptions& options) {
  const auto again = [&](const Tensor& own_q, const Tensor& own_k, const Tensor& own_v, const Tensor& for_queries,
                         const Tensor& offset, const Tensor& for_keys, const Tensor& for_values, const Tensor& mask,
                         const Tensor& distance_bias) {
    AttentionOptions own = options;
    own.mask = mask, own.distance_bias = distance_bias;
    return relative_attention(own_q, own_k, own_v, {rows.buckets, for_queries, offset, for_keys, for_values}, own);
  };
  if (detail::t_autocast.enabled) [[unlikely]]
    return detail::autocast("relative_attention", again, q, k, v, rows.for_queries, rows.offset, rows.for_keys,
                            rows.for_values, options.mask, options.distance_bias);
  constexpr const char* op = "relative_attention";
  check_attention(op, q, k, v, options);
  if (q.rank() != 4) fail<ShapeError>("[{}] q has shape {}; it must be (B, H, T, d)", op, q.shape());
  const int64_t heads = q.size(1), queries = q.size(2), keys = k.size(2);
  const Tensor* tables[] = {&rows.for_queries, &rows.for_keys, &rows.for_values};
  for (const Tensor* table : tables) {
    if (!table->defined()) continue;
    const int64_t width = table == &rows.for_values ? v.size(3) : q.size(3);
    const int rank = table->rank();
    if (rank < 2 || rank > 3 || table->size(-1) != width || (rank == 3 && table->size(0) != heads) ||
        table->dtype() != q.dtype())
      fail<ShapeError>("[{}] a table of {} and shape {}; it must be of {}, and (R, {}) or ({}, R, {})", op,
                       table->dtype(), table->shape(), q.dtype(), width, heads, width);
  }
  if (is_low_precision(q.dtype()))
    return in_float32<to>(again, q, k, v, rows.for_queries, rows.offset, rows.for_keys, rows.for_values, options.mask,
                          options.distance_bias);
  const double scale = options.scale != 0 ? options.scale : 1 / std::sqrt(static_cast<double>(q.size(3)));
  const Tensor values = repeat_heads(v, heads), query = q * scale;
  Tensor key = repeat_heads(k, heads), added = options.mask, seen;
  if (added.defined() && added.dtype() == boolean) std::swap(added, seen);
  if (options.distance_bias.defined()) {
    const Tensor bias = toeplitz(options.distance_bias, queries, keys);
    added = added.defined() ? added + bias : bias;
  }
  if (added.defined()) seen = both_seen(added != kHidden, seen);
  if (options.causal) seen = both_seen(causal_mask(queries, keys), seen);
  const auto add = [&](const Tensor& term) { added = added.defined() ? added + term : term; };
  if (rows.for_queries.defined()) {
    const Tensor at = rows.offset.defined() ? (q + rows.offset) * scale : query;
    add(gather_by_distance(matmul(at, transposed(rows.for_queries)), rows.buckets, keys));
  }
  if (rows.for_keys.defined()) {  // what nobody sees, as padding is, must not meet the table as NaN
    if (seen.defined()) key = where(transposed(any(seen.rank() < 2 ? unsqueeze(seen, 0) : seen, -2, true)), key, 0);
    const Tensor products = matmul(key * scale, transposed(rows.for_keys));
    add(transposed(gather_by_distance(products, flip(rows.buckets, 0), queries)));
  }
  Tensor s = seen_scores(query, key, seen, 0);
  if (added.defined()) s = s + added;
  if (seen.defined()) s = where(seen, s, kHidden);
  Tensor p = masked_softmax(s, -1);
  if (options.dropout > 0) p = dropout(p, options.dropout);
  const Tensor y = seen_product(p, values, seen);
  if (!rows.for_values.defined()) return y;
  return y + matmul(sum_by_distance(p, rows.buckets, rows.for_values.size(-2)), rows.for_values);
}

}  // namespace cotangent
