#include <cotangent/autograd/ops/sparse_attention.hpp>

#include <algorithm>
#include <cmath>

#include <cotangent/autograd/autocast_internal.hpp>
#include <cotangent/autograd/ops/attention.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/heads_internal.hpp>
#include <cotangent/autograd/ops/index.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent {
namespace {

constexpr const char* kOp = "sparse_attention";

void check(const SparseOptions& o, const char* op = kOp) {
  using enum SparsePattern;
  if ((o.pattern == local || o.pattern == combined) && o.window < 0)
    fail<ValueError>("[{}] a window of {}; it must be at least 0, which leaves the query's own key", op, o.window);
  check_positive(op, "dilation", o.dilation);
  if (o.pattern != local) {
    check_positive(op, "stride", o.stride);
    if (o.dilation != 1 || !o.globals.empty())
      fail<ValueError>("[{}] a dilation of {} and {} globals; only the local pattern has them", op, o.dilation,
                       o.globals.size());
  }
  for (size_t n = 0; n < o.globals.size(); ++n)
    if (o.globals[n] < 0 || (n > 0 && o.globals[n] <= o.globals[n - 1]))
      fail<ValueError>("[{}] a global position {}; they must be 0 or more, in order and each once", op, o.globals[n]);
  if ((o.pattern == summary || o.pattern == fixed) && (o.summary < 1 || o.summary > o.stride))
    fail<ValueError>("[{}] a summary of {} keys in blocks of {}; it must be between 1 and the stride", op, o.summary,
                     o.stride);
}

/// How far a local query sees to a side.
int64_t reach_of(const SparseOptions& o) { return Dims{o.window, o.dilation}.product(kOp); }

/// Whether the key at j is one that every query sees.
Tensor is_global(const SparseOptions& o, const Tensor& j) {
  Tensor found = j < 0;
  for (const int64_t g : o.globals) found = found || j == g;
  return found;
}

/// Whether the query at i may see the key at j, for int64 tensors that broadcast.
Tensor allowed(const SparseOptions& o, SparsePattern pattern, const Tensor& i, const Tensor& j) {
  const Tensor stride = full({}, o.stride, int64);
  const auto start = [&](const Tensor& x) { return x - remainder(x, stride); };  // of the block
  Tensor seen;
  switch (pattern) {
    case SparsePattern::local:
      seen = abs(i - j) <= reach_of(o);
      if (o.dilation > 1) seen = seen && remainder(i - j, full({}, o.dilation, int64)) == 0;
      if (!o.globals.empty()) seen = seen || is_global(o, j);
      break;
    case SparsePattern::blocks: seen = start(i) == start(j); break;
    case SparsePattern::atrous: seen = remainder(i - j, stride) == 0; break;
    case SparsePattern::summary: seen = remainder(j, stride) + 0 * i >= o.stride - o.summary; break;
    case SparsePattern::combined:
      seen = allowed(o, SparsePattern::local, i, j) || allowed(o, SparsePattern::atrous, i, j);
      break;
    case SparsePattern::fixed:
      seen = allowed(o, SparsePattern::blocks, i, j) || allowed(o, SparsePattern::summary, i, j);
      break;
  }
  return o.causal ? seen && i >= j : seen;
}

/// A pattern as groups of rows that share their keys: positions (groups, rows) and (groups, keys), -1 for none. Each
/// position is a row of one group.
struct Plan {
  SparsePattern pattern;
  int64_t groups, rows, keys;
  std::vector<int64_t> row, key;
  bool same;            // rows and keys of a group are the same positions in order
  int64_t globals = 0;  // so many keys come first, which then do not count among the others

  Tensor row_positions() const { return from_vector(row, {groups, rows}); }
  Tensor key_positions() const { return from_vector(key, {groups, keys}); }
  /// Where each position stands among the rows of all groups.
  Tensor places(int64_t length) const {
    std::vector<int64_t> place(static_cast<size_t>(length));
    for (size_t n = 0; n < row.size(); ++n)
      if (row[n] >= 0) place[static_cast<size_t>(row[n])] = static_cast<int64_t>(n);
    return from_vector(place, {length});
  }
};

int64_t ceil_div(int64_t a, int64_t b) { return a / b + (a % b != 0); }

template <class Row, class Key>
Plan make_plan(SparsePattern pattern, int64_t length, int64_t groups, int64_t rows, int64_t keys, bool same, Row row,
               Key key) {
  Plan p{pattern, groups, rows, keys, {}, {}, same};
  const auto valid = [&](int64_t at) { return at >= 0 && at < length ? at : -1; };
  for (int64_t g = 0; g < groups; ++g) {
    for (int64_t r = 0; r < rows; ++r) p.row.push_back(valid(row(g, r)));
    for (int64_t c = 0; c < keys; ++c) p.key.push_back(valid(key(g, c)));
  }
  return p;
}

/// The plans whose keys together are those of the pattern.
std::vector<Plan> plans_of(const SparseOptions& o, int64_t length, SparsePattern pattern) {
  // no further than there are positions
  const int64_t l = pattern == SparsePattern::summary ? o.stride : std::clamp<int64_t>(length, 1, o.stride),
                window = std::min(o.window, length);
  switch (pattern) {
    case SparsePattern::local: {
      // the positions of a residue class stand apart from those of the others
      const int64_t classes = std::clamp<int64_t>(length, 1, o.dilation), of_class = ceil_div(length, classes);
      const int64_t block = std::max<int64_t>(window, 16);  // rows that are worth a product
      const int64_t first = static_cast<int64_t>(o.globals.size());
      const auto at = [=](int64_t g, int64_t place) {
        const int64_t n = g / classes * block + place;
        return n < 0 || n >= of_class ? -1 : n * classes + g % classes;
      };
      Plan plan = make_plan(pattern, length, classes * ceil_div(of_class, block), block,
                            first + block + (o.causal ? 1 : 2) * window, false, at, [&](int64_t g, int64_t c) {
                              return c < first ? o.globals[static_cast<size_t>(c)] : at(g, c - first - window);
                            });
      plan.globals = first;
      return {plan};
    }
    case SparsePattern::blocks: {
      const auto at = [=](int64_t g, int64_t r) { return g * l + r; };
      return {make_plan(pattern, length, ceil_div(length, l), l, l, true, at, at)};
    }
    case SparsePattern::atrous: {
      const auto at = [=](int64_t g, int64_t r) { return r * l + g; };
      const int64_t groups = std::min(l, length), rows = ceil_div(length, l);
      return {make_plan(pattern, length, groups, rows, rows, true, at, at)};
    }
    case SparsePattern::summary: {
      const int64_t whole = length / l, rest = length % l;
      const int64_t keys = whole * o.summary + std::max<int64_t>(rest - (l - o.summary), 0);
      return {make_plan(
          pattern, length, 1, length, keys, false, [](int64_t, int64_t r) { return r; },
          [=](int64_t, int64_t c) { return c / o.summary * l + l - o.summary + c % o.summary; })};
    }
    case SparsePattern::combined:
    case SparsePattern::fixed: break;
  }
  const bool fixed = pattern == SparsePattern::fixed;
  std::vector<Plan> two = plans_of(o, length, fixed ? SparsePattern::blocks : SparsePattern::local);
  two.push_back(plans_of(o, length, fixed ? SparsePattern::summary : SparsePattern::atrous)[0]);
  return two;
}

/// x (B, H, T, d) at positions (groups, n), where -1 takes any: (B, H, groups, n, d).
Tensor gathered(const Tensor& x, const Tensor& positions) {
  const Tensor at = maximum(positions, zeros({}, int64));
  return reshape(index_select(x, 2, flatten(at)),
                 {x.size(0), x.size(1), positions.size(0), positions.size(1), x.size(3)});
}
/// Rows (B, H, groups, rows, n) in the order of the positions: (B, H, T, n).
Tensor in_order(const Tensor& y, const Tensor& places) { return index_select(flatten(y, 2, 3), 2, places); }

/// Whether a key is one of the `first` globals in front, or none of them: bool (.., keys).
Tensor once(const SparseOptions& o, const Tensor& keys, int64_t first) {
  return arange(keys.size(-1)) < first || !is_global(o, keys);
}

/// What a plan's rows may see, (groups, rows, keys), with `kept` (B, T) as (B, 1, groups, rows, keys); without the keys
/// of the plan before. Undefined where the order of the rows says it all.
Tensor plan_mask(const Plan& p, const SparseOptions& o, int64_t length, const Plan* before, const Tensor& kept) {
  if (p.same && !kept.defined() && !before && p.groups * p.rows == length) return {};
  const Tensor keys = unsqueeze(p.key_positions(), 1), rows = unsqueeze(p.row_positions(), 2);
  Tensor mask = allowed(o, p.pattern, rows, keys) && keys >= 0 && rows >= 0;
  if (p.globals > 0) mask = mask && once(o, keys, p.globals);
  if (before) mask = mask && !allowed(o, before->pattern, rows, keys);
  if (!kept.defined()) return mask;
  const Tensor at = flatten(maximum(p.key_positions(), zeros({}, int64)));
  const int64_t batch = kept.size(0);
  return mask && reshape(index_select(kept, 1, at), {batch, 1, p.groups, 1, p.keys});
}

Tensor attend_within(const Plan& p, const Tensor& q, const Tensor& k, const Tensor& v, const SparseOptions& o) {
  const int64_t heads = q.size(0) * q.size(1), length = q.size(2);
  const auto cut = [&](const Tensor& x, const Tensor& at) { return flatten(gathered(x, at), 0, 1); };
  const Tensor rows = p.row_positions(), keys = p.key_positions();
  Tensor mask = plan_mask(p, o, length, nullptr, o.key_mask);
  if (mask.defined() && mask.rank() == 5)
    mask = reshape(expand(mask, {q.size(0), q.size(1), p.groups, p.rows, p.keys}), {heads, p.groups, p.rows, p.keys});
  const Tensor y = scaled_dot_product_attention(cut(q, rows), cut(k, keys), cut(v, keys),
                                                {.mask = mask, .causal = p.same && o.causal, .scale = o.scale});
  return in_order(reshape(y, {q.size(0), q.size(1), p.groups, p.rows, v.size(3)}), p.places(length));
}

/// One softmax over the keys of several plans, where each key counts once.
Tensor attend_across(const std::vector<Plan>& plans, const Tensor& q, const Tensor& k, const Tensor& v,
                     const SparseOptions& o) {
  const int64_t B = q.size(0), H = q.size(1), length = q.size(2);
  const double scale = o.scale != 0 ? o.scale : 1 / std::sqrt(static_cast<double>(q.size(3)));
  Tensors scores, masks;
  std::vector<int64_t> widths;
  for (const Plan& p : plans) {
    const Tensor qs = gathered(q, p.row_positions()), ks = gathered(k, p.key_positions());
    masks.push_back(both_seen(plan_mask(p, o, length, &p == plans.data() ? nullptr : plans.data(), o.key_mask),
                              p.same && o.causal ? causal_mask(p.rows, p.keys) : Tensor()));
    scores.push_back(in_order(seen_scores(qs * scale, ks, masks.back(), kHidden), p.places(length)));
    widths.push_back(p.keys);
  }
  const Tensors weights = split(masked_softmax(cat(scores, -1), -1), widths, -1);
  Tensor y;
  for (size_t n = 0; n < plans.size(); ++n) {
    const Plan& p = plans[n];
    const Tensor part = seen_product(gathered(weights[n], p.row_positions()), gathered(v, p.key_positions()), masks[n]);
    const Tensor ordered = in_order(part, p.places(length));
    y = y.defined() ? y + ordered : ordered;
  }
  return reshape(y, {B, H, length, v.size(3)});
}

Tensor attend(const Tensor& q, const Tensor& k, const Tensor& v, const SparseOptions& o) {
  const std::vector<Plan> plans = plans_of(o, q.size(2), o.pattern);
  return plans.size() == 1 ? attend_within(plans[0], q, k, v, o) : attend_across(plans, q, k, v, o);
}

Tensor joined(const Tensor& before, const Tensor& x, int64_t dim) {
  return before.defined() ? cat({before, x}, dim) : x;
}

/// Which of the last keys a later query may still see.
int64_t kept_keys(const SparseOptions& o, int64_t length) {
  if (o.pattern == SparsePattern::local) return std::min(reach_of(o), length);
  return o.pattern == SparsePattern::blocks ? length % o.stride : length;
}

}  // namespace

Tensor sparse_mask(int64_t queries, int64_t keys, const SparseOptions& options, int64_t first_query,
                   int64_t first_key) {
  static constexpr const char* op = "sparse_mask";
  check(options, op);
  const auto positions = [](int64_t first, int64_t count) {
    constexpr int64_t kFar = int64_t{1} << 61;  // so that differences fit
    if (count < 0 || count > kFar || first < -kFar || first > kFar)
      fail<ValueError>("[{}] {} positions from {}; there must be 0 or more, between -2^61 and 2^62", op, count, first);
    detail::check_memory(op, count, sizeof(int64_t));
    return arange(first, first + count);
  };
  detail::check_memory(op, Dims{std::max<int64_t>(queries, 1), std::max<int64_t>(keys, 1)}.product(op),
                       sizeof(int64_t));
  return allowed(options, options.pattern, unsqueeze(positions(first_query, queries), 1),
                 unsqueeze(positions(first_key, keys), 0));
}

int64_t sparse_scores(int64_t length, const SparseOptions& options) {
  check(options, "sparse_scores");
  if (length < 0) fail<ValueError>("[sparse_scores] a length of {}; it must be 0 or more", length);
  detail::check_memory("sparse_scores", length, 8 * sizeof(int64_t));
  int64_t count = 0;
  for (const Plan& p : plans_of(options, length, options.pattern)) count += p.groups * p.rows * p.keys;
  return count;
}

Tensor sparse_attention(const Tensor& q, const Tensor& k, const Tensor& v, const SparseOptions& options,
                        SparseState* state) {
  COTANGENT_AUTOCAST(sparse_attention, q, k, v, options, state);
  check_heads(kOp, q, k, v, true);
  check(options);
  checked_key_mask(kOp, options.key_mask, k);
  check_past(kOp, state, options.causal);
  if (is_low_precision(q.dtype())) return in_float32<to>(sparse_attention, q, k, v, options, state);
  if (q.size(2) == 0) return no_values(q, v);
  if (!state) return attend(q, k, v, options);
  const int64_t T = q.size(2), cached = state->k.defined() ? state->k.size(2) : 0, first_key = state->length - cached;
  const Tensor keys = joined(state->k, k, 2), values = joined(state->v, v, 2);
  const Tensor kept =
      joined(state->key_mask, options.key_mask.defined() ? options.key_mask : ones({q.size(0), T}, boolean), 1);
  SparseState next = *state;
  next.length += T;
  for (const int64_t g : options.globals)
    if (g >= state->length && g < next.length) {
      next.global_k = joined(next.global_k, narrow(keys, 2, g - first_key, 1), 2);
      next.global_v = joined(next.global_v, narrow(values, 2, g - first_key, 1), 2);
      next.global_mask = joined(next.global_mask, narrow(kept, 1, g - first_key, 1), 1);
    }
  Tensor y;
  if (state->length == 0) {
    y = attend(q, k, v, options);
  } else {
    const int64_t seen = next.global_k.defined() ? next.global_k.size(2) : 0;
    Tensor at = arange(first_key, first_key + cached + T);
    if (seen > 0)
      at = cat({from_vector(options.globals, {static_cast<int64_t>(options.globals.size())}).narrow(0, 0, seen), at});
    const auto all = [&](const Tensor& global, const Tensor& x, int64_t dim) {
      return seen > 0 ? cat({global, x}, dim) : x;
    };
    Tensor mask = allowed(options, options.pattern, unsqueeze(arange(state->length, next.length), 1), at);
    if (seen > 0) mask = mask && once(options, at, seen);
    mask = mask && reshape(all(next.global_mask, kept, 1), {q.size(0), 1, 1, at.size(0)});
    y = scaled_dot_product_attention(q, all(next.global_k, keys, 2), all(next.global_v, values, 2),
                                     {.mask = mask, .scale = options.scale});
  }
  const int64_t left = kept_keys(options, next.length), gone = cached + T - left;
  next.k = narrow(keys, 2, gone, left), next.v = narrow(values, 2, gone, left),
  next.key_mask = narrow(kept, 1, gone, left);
  *state = std::move(next);
  return y;
}

}  // namespace cotangent
