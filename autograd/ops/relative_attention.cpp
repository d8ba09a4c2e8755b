#include <cotangent/autograd/ops/relative_attention.hpp>

#include <algorithm>
#include <cmath>
#include <utility>

#include <cotangent/autograd/autocast_internal.hpp>
#include <cotangent/autograd/modes.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/heads_internal.hpp>
#include <cotangent/autograd/ops/index.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/random.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/autograd/record.hpp>
#include <cotangent/tensor/attention.hpp>
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
  if (x.numel() == 0 || count == 0) return;
  const int64_t least = amin(buckets).item<int64_t>(), most = amax(buckets).item<int64_t>();
  if (least < 0 || most >= rows)
    fail<IndexError>("[{}] bucket {} is outside the table of {} rows", op, least < 0 ? least : most, rows);
}

/// The rows of a table for the distances in their order, one for each, but one for all of the same bucket at either
/// end: query i and key j meet row clip(i - j + zero, 0, R - 1). Causal, without the distances of keys that come later.
struct Met {
  std::vector<int64_t> rows;  // R
  int64_t zero;
  Tensor of(const Tensor& table) const {
    if (!table.defined()) return table;
    const auto count = static_cast<int64_t>(rows.size());
    const bool one_by_one =
        std::ranges::adjacent_find(rows, [](int64_t a, int64_t b) { return b != a + 1; }) == rows.end();
    return one_by_one && count > 0 ? narrow(table, -2, rows[0], count)
                                   : index_select(table, -2, from_vector(rows, {count}));
  }
};
Met rows_met(const Tensor& buckets, int64_t queries, int64_t keys, bool causal) {
  const std::vector<int64_t> all = buckets.to_vector<int64_t>();
  auto begin = all.begin(), end = all.end();
  if (causal && queries > 0 && keys > 0) begin += queries - 1;
  while (end - begin > 1 && begin[0] == begin[1]) ++begin;
  while (end - begin > 1 && end[-1] == end[-2]) --end;
  return {{begin, end}, keys - 1 - (begin - all.begin())};
}

struct Attributes {
  double scale;
  bool causal;
  double dropout;
  int64_t zero;
};

// The definition, over the whole matrix of scores: inputs q, k, v, mask, distance_bias, and the spread tables for
// queries, keys and values.
Tensor over_matrix(std::span<const Tensor> x, const void* attributes) {
  const Attributes& a = *static_cast<const Attributes*>(attributes);
  const Tensor &q = x[0], &for_queries = x[5], &for_keys = x[6], &for_values = x[7];
  const int64_t heads = q.size(1), queries = q.size(2), keys = x[1].size(2);
  const Tensor k = repeat_heads(x[1], heads), v = repeat_heads(x[2], heads);
  Tensor added = x[3], seen;
  if (added.defined() && added.dtype() == boolean) std::swap(added, seen);
  if (x[4].defined()) added = toeplitz(x[4], queries, keys);  // not next to a floating mask
  if (added.defined()) seen = both_seen(added != kHidden, seen);
  if (a.causal) seen = both_seen(causal_mask(queries, keys), seen);
  const auto buckets = [&](const Tensor& table) {
    const Tensor place = arange(std::max<int64_t>(queries + keys, 1) - 1) + (a.zero - keys + 1);
    return to(clamp(place, 0, static_cast<double>(std::max<int64_t>(table.size(-2), 1) - 1)), int64);
  };
  const Tensor query = q * a.scale;
  Tensor s = seen_scores(query, k, seen, 0);
  if (for_queries.defined())
    s = s + gather_by_distance(matmul(query, transposed(for_queries)), buckets(for_queries), keys);
  if (for_keys.defined())
    s = s +
        transposed(gather_by_distance(matmul(k * a.scale, transposed(for_keys)), flip(buckets(for_keys), 0), queries));
  if (added.defined()) s = s + added;
  if (seen.defined()) s = where(seen, s, kHidden);
  Tensor p = masked_softmax(s, -1);
  if (a.dropout > 0) p = dropout(p, a.dropout);
  const Tensor y = seen_product(p, v, seen);
  if (!for_values.defined()) return y;
  return y + matmul(sum_by_distance(p, buckets(for_values), for_values.size(-2)), for_values);
}

Tensor in_tiles(std::span<const Tensor> x, const Attributes& attributes) {
  auto [y, statistics] = raw::attention(x[0], x[1], x[2], x[3], x[4], {attributes.scale, attributes.causal},
                                        {x[5], x[6], x[7], attributes.zero});
  return record("relative_attention", {x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7], statistics}, y,
                Keep::inputs(9) | Keep::output(), attributes, [](const Backward& b, const Attributes& a) -> Gradients {
                  if (b.creates_graph())
                    return b.through(
                        [](std::span<const Tensor> all, const void* p) { return over_matrix(all.first(8), p); }, &a);
                  const raw::AttentionGradients d = raw::attention_backward(
                      b.grad(), b.input(0), b.input(1), b.input(2), b.input(3), b.input(4), b.output(), b.input(8),
                      {a.scale, a.causal}, b.needs(4), {b.input(5), b.input(6), b.input(7), a.zero});
                  return Tensors{
                      d.q, d.k, d.v, {}, d.distance_bias, d.tables.for_queries, d.tables.for_keys, d.tables.for_values};
                });
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
    check_buckets(op, q, rows.buckets, keys, table->size(-2));
  }
  if (rows.offset.defined() && rows.offset.shape() != Shape{q.size(3)} &&
      rows.offset.shape() != Shape{heads, 1, q.size(3)})
    fail<ShapeError>("[{}] an offset of shape {}; it must be ({}) or ({}, 1, {})", op, rows.offset.shape(), q.size(3),
                     heads, q.size(3));
  if (is_low_precision(q.dtype()))
    return in_float32<to>(again, q, k, v, rows.for_queries, rows.offset, rows.for_keys, rows.for_values, options.mask,
                          options.distance_bias);
  Attributes attributes{options.scale != 0 ? options.scale : 1 / std::sqrt(static_cast<double>(q.size(3))),
                        options.causal, options.dropout, 0};
  Tensor key = k, mask = options.mask, bias = options.distance_bias, spread[3];
  while (mask.defined() && mask.rank() < 2) mask = unsqueeze(mask, 0);
  if (std::ranges::any_of(tables, [](const Tensor* table) { return table->defined(); })) {
    const Met met = rows_met(rows.buckets, queries, keys, options.causal);
    attributes.zero = met.zero;
    for (size_t i = 0; i < 3; ++i)
      if (const Tensor met_rows = met.of(*tables[i]); met_rows.defined())
        spread[i] = expand(met_rows, {q.size(0), heads, met_rows.size(-2), met_rows.size(-1)});
  }
  if (rows.offset.defined() && rows.for_queries.defined()) {  // it meets the same row in all pairs of a distance
    const Tensor offset = rows.offset.rank() == 1 ? expand(rows.offset, {heads, 1, q.size(3)}) : rows.offset;
    const Tensor products = matmul(offset, transposed(rows.for_queries)) * attributes.scale;
    const Tensor of_offset = squeeze(gather_by_distance(products, flip(rows.buckets, 0), rows.buckets.size(0)), -2);
    bias = bias.defined() ? bias + of_offset : of_offset;
  }
  if (rows.for_keys.defined() && mask.defined()) {  // what nobody sees, as padding is, must not meet the table as NaN
    Tensor seen = mask.dtype() == boolean ? mask : mask != kHidden;
    if (options.causal && seen.size(-2) > 1) seen = both_seen(causal_mask(queries, keys), seen);
    if (seen.rank() > 2 && seen.size(-3) > 1) key = repeat_heads(key, heads);
    key = where(transposed(any(seen, -2, true)), key, 0);
  }
  if (bias.defined() && mask.defined() && mask.dtype() != boolean)
    mask = mask + toeplitz(std::exchange(bias, {}), queries, keys);
  if (bias.defined()) bias = expand(bias, {heads, bias.size(1)});
  const Tensor inputs[] = {q, key, v, mask, bias, spread[0], spread[1], spread[2]};
  return options.dropout > 0 || (mask.defined() && mask.requires_grad() && grad_enabled())
             ? over_matrix(inputs, &attributes)
             : in_tiles(inputs, attributes);
}

}  // namespace cotangent
