#include <cotangent/autograd/ops/linear_attention.hpp>

#include <cmath>
#include <limits>

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
#include <cotangent/autograd/ops/softmax.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/autograd/record.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/linear_attention.hpp>
#include <cotangent/tensor/range.hpp>
#include <cotangent/tensor/scan.hpp>

namespace cotangent {

Tensor feature_map(const Tensor& x, FeatureMap map) {
  if (is_low_precision(x.dtype())) return in_float32<to>(feature_map, x, map);
  const double infinity = std::numeric_limits<double>::infinity();
  switch (map) {
    case FeatureMap::elu_plus_one: return exp(clamp(x, -infinity, 0)) + relu(x);
    case FeatureMap::elu: return expm1(clamp(x, -infinity, 0)) + relu(x);
    case FeatureMap::exp: return exp(x);
    case FeatureMap::relu: return relu(x);
    case FeatureMap::squared_relu: return square(relu(x));
    case FeatureMap::identity: return x;
    case FeatureMap::direction: break;
  }
  const Tensor squares = sum(square(x), -1, true), none = squares.detach() == 0;
  return cat({ones(squares.shape(), x.dtype()), x * where(none, 0, rsqrt(where(none, 1, squares)))}, -1);
}

Tensor cosformer_features(const Tensor& x, int64_t length, int64_t offset) {
  constexpr const char* op = "cosformer_features";
  if (x.rank() < 2) fail<ShapeError>("[{}] x is {}; it must be (.., T, d)", op, x.shape());
  if (offset < 0 || length < x.size(-2) || offset > length - x.size(-2))
    fail<ValueError>("[{}] {} positions from {} on exceed the length {}; raise it, as later weights would be negative",
                     op, x.size(-2), offset, length);
  if (is_low_precision(x.dtype())) return in_float32<to>(cosformer_features, x, length, offset);
  const Tensor angle = arange(offset, offset + x.size(-2), 1, float64) * (std::acos(0.0) / static_cast<double>(length));
  const Tensor in = relu(x);
  const auto part = [&](const Tensor& factor) { return in * unsqueeze(to(factor, x.dtype()), 1); };
  return cat({part(cos(angle)), part(sin(angle))}, -1);
}

namespace {

struct Way {
  bool reverse;
  int64_t chunk;
};

Tensor scan(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& state, Way way) {
  const raw::GatedWay ungated{.reverse = way.reverse, .chunk = way.chunk};
  return record("causal_product", {q, k, v, state}, raw::gated_product(q, k, v, {}, state, ungated, q.size(1)).y,
                Keep::inputs(4), way, [](const Backward& b, Way w) -> Gradients {
                  const Tensor &x = b.input(0), &y = b.input(1), &z = b.input(2), &s = b.input(3), &dy = b.grad();
                  const Way back{!w.reverse, w.chunk};
                  Tensor dq, dk, dv, ds;
                  if (b.needs(0)) dq = scan(dy, z, y, s.defined() ? transpose(s, 2, 3) : s, w);
                  if (b.needs(1)) dk = scan(z, dy, x, {}, back);
                  if (b.needs(2)) dv = scan(y, x, dy, {}, back);
                  if (s.defined() && b.needs(3)) ds = matmul(transpose(x, 2, 3), dy);
                  return {dq, dk, dv, ds};
                });
}

}  // namespace

Tensor causal_product(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& state, bool reverse,
                      int64_t chunk) {
  constexpr const char* op = "causal_product";
  check_heads(op, q, k, v, true);
  check_positive(op, "chunk", chunk);
  const Shape matrices{q.size(0), q.size(1), q.size(3), v.size(3)};
  if (state.defined() && state.shape() != matrices)
    fail<ShapeError>("[{}] the state is {}; for q {} and v {} it must be {}", op, state.shape(), q.shape(), v.shape(),
                     matrices);
  if (is_low_precision(q.dtype())) return in_float32<to>(causal_product, q, k, v, state, reverse, chunk);
  if (state.defined() && state.dtype() != q.dtype())
    fail<DTypeError>("[{}] the state is {} and q is {}; they must have one dtype", op, state.dtype(), q.dtype());
  return scan(q, k, v, state, {reverse, chunk});
}

namespace {

/// S^T q_i + sum_{j <= i} (q_i . k_j) v_j in each form; the state S may be undefined.
Tensor causal_sums(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& state, LinearForm form,
                   int64_t chunk) {
  if (form == LinearForm::parallel) {
    const Tensor seen = causal_mask(q.size(2), k.size(2));
    const Tensor y = seen_product(seen_scores(q, k, seen, 0), v, seen);
    return state.defined() ? y + matmul(q, state) : y;
  }
  if (form != LinearForm::recurrent) return causal_product(q, k, v, state, false, chunk);
  Tensor s = state;
  Tensors rows;
  for (int64_t t = 0; t < q.size(2); ++t) {
    const Tensor update = matmul(transposed(narrow(k, 2, t, 1)), narrow(v, 2, t, 1));
    s = s.defined() ? s + update : update;
    rows.push_back(matmul(narrow(q, 2, t, 1), s));
  }
  return rows.empty() ? no_values(q, v) : cat(rows, 2);
}

/// (q k^T) v in the order that costs less, or the one asked for.
Tensor whole_sums(const Tensor& q, const Tensor& k, const Tensor& v, LinearForm form) {
  const int64_t weights_first = q.size(2) * k.size(2) * (q.size(3) + v.size(3)),
                sums_first = (q.size(2) + k.size(2)) * q.size(3) * v.size(3);
  if (form == LinearForm::parallel || (form == LinearForm::automatic && weights_first < sums_first))
    return matmul(matmul(q, transposed(k)), v);
  return matmul(q, matmul(transposed(k), v));
}

void check_form(const char* op, bool causal, LinearForm form, const void* state) {
  if (!causal && form == LinearForm::recurrent)
    fail<ValueError>("[{}] the recurrent form reads from left to right; it needs causal = true", op);
  check_past(op, state, causal);
}

Tensor plus(const Tensor& a, const Tensor& b) { return a.defined() ? a + b : b; }

}  // namespace

Tensor linear_attention(const Tensor& q, const Tensor& k, const Tensor& v, const LinearAttentionOptions& options,
                        LinearAttentionState* state) {
  if (detail::t_autocast.enabled) [[unlikely]]
    return detail::autocast(
        "linear_attention",
        [&](const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& q2, const Tensor& k2) {
          LinearAttentionOptions own = options;
          own.rotated_q = q2, own.rotated_k = k2;
          return linear_attention(query, key, value, own, state);
        },
        q, k, v, options.rotated_q, options.rotated_k);
  constexpr const char* op = "linear_attention";
  check_heads(op, q, k, v, options.causal);
  check_form(op, options.causal, options.form, state);
  check_positive(op, "chunk", options.chunk);
  const Tensor kept = checked_key_mask(op, options.key_mask, k);
  detail::check_not_negative(op, "eps", options.eps);
  const bool rotated = options.rotated_q.defined();
  if (rotated != options.rotated_k.defined())
    fail<ValueError>("[{}] one of rotated_q and rotated_k is missing; the numerator takes both from there", op);
  if (rotated) check_heads(op, options.rotated_q, options.rotated_k, v, options.causal);
  if (is_low_precision(q.dtype())) {
    LinearAttentionOptions wide = options;
    wide.rotated_q = widened<to>(options.rotated_q), wide.rotated_k = widened<to>(options.rotated_k);
    return in_float32<to>(linear_attention, q, k, v, wide, state);
  }
  const auto masked = [&](const Tensor& x) { return kept.defined() ? masked_fill(x, !kept, 0) : x; };
  const Tensor keys = masked(k), seen_v = masked(v), top_q = rotated ? options.rotated_q : q,
               top_k = rotated ? masked(options.rotated_k) : keys;
  const Tensor one = ones({v.size(0), v.size(1), v.size(2), 1}, v.dtype());
  // without rotations the sum of the weights is a further column of the values
  const bool joined = options.normalize && !rotated;
  const Tensor values = joined ? cat({seen_v, one}, -1) : seen_v;
  const int64_t n = v.size(3);
  Tensor y, total;
  if (!options.causal) {
    y = whole_sums(top_q, top_k, values, options.form);
    if (options.normalize && rotated) total = whole_sums(q, keys, one, options.form);
  } else {
    const Tensor past = state ? state->kv : Tensor();
    const Tensor past_k = state && state->k.defined() ? unsqueeze(state->k, -1) : Tensor();
    const Tensor start = joined && past.defined() ? cat({past, past_k}, -1) : past;
    y = causal_sums(top_q, top_k, values, start, options.form, options.chunk);
    if (options.normalize && rotated) total = causal_sums(q, keys, one, past_k, options.form, options.chunk);
    if (state) {
      state->kv = plus(past, matmul(transposed(top_k), seen_v));
      state->k = plus(state->k, sum(keys, 2));
    }
  }
  if (!options.normalize) return y;
  if (joined) total = narrow(y, 3, n, 1), y = narrow(y, 3, 0, n);
  return y / (total + options.eps);
}

namespace {

/// e^(from - to), where -inf stands for "nothing so far".
Tensor shrink(const Tensor& from, const Tensor& to) { return where(from == kHidden, 0, exp(from - to)); }

Tensor efficient_causal(const Tensor& q, const Tensor& keys, const Tensor& v, int64_t chunk,
                        EfficientAttentionState* state) {
  const int64_t B = q.size(0), H = q.size(1), T = q.size(2), m = q.size(3), n = v.size(3);
  const int64_t G = T / chunk + (T % chunk != 0), rest = G * chunk - T;
  const auto chunked = [&](const Tensor& x) {
    return reshape(zero_padded(x, 2, 0, rest), {B, H, G, chunk, x.size(3)});
  };
  Tensor top = raw::cummax(keys.detach(), 2).values;  // (B, H, T, m)
  Tensor before = state && state->max.defined() ? state->max : full({B, H, m}, kHidden, q.dtype());
  top = maximum(top, unsqueeze(before, 2));
  const Tensor last = narrow(top, 2, T - 1, 1);
  Tensor tops = top, k = keys;
  if (rest) {
    tops = cat({top, expand(last, {B, H, rest, m})}, 2);
    k = cat({keys, full({B, H, rest, m}, kHidden, q.dtype())}, 2);
  }
  tops = reshape(tops, {B, H, G, chunk, m});
  k = reshape(k, {B, H, G, chunk, m});
  const Tensor values = chunked(cat({v, ones({B, H, T, 1}, v.dtype())}, -1));
  const Tensor ends = select(tops, 3, chunk - 1);  // (B, H, G, m)
  const Tensor own = matmul(transposed(exp(k - unsqueeze(finite_top(ends), 3))), values);
  // the sums before each chunk, relative to the maximum there
  Tensor sums;
  if (state && state->kv.defined())
    sums = cat({state->kv, unsqueeze(state->k, -1)}, -1);
  else
    sums = zeros({B, H, m, n + 1}, q.dtype());
  Tensors starts, befores;
  for (int64_t g = 0; g < G; ++g) {
    const Tensor end = select(ends, 2, g);
    starts.push_back(sums), befores.push_back(before);
    sums = sums * unsqueeze(shrink(before, end), -1) + select(own, 2, g);
    before = end;
  }
  const Tensor start = stack(starts, 2), start_top = stack(befores, 2);
  const Tensor late = reshape(arange(chunk), {1, chunk, 1}) > reshape(arange(chunk), {chunk, 1, 1});
  const Tensor w = exp(masked_fill(unsqueeze(k, 3) - unsqueeze(finite_top(tops), 4), late, kHidden));
  const Tensor factor = shrink(unsqueeze(start_top, 3), tops);  // of what came before the chunk
  const Tensor total = sum(w, 4) + factor * unsqueeze(select(start, -1, n), 3);
  const Tensor share = divided_by_sum(chunked(softmax(q, -1)), total);
  const Tensor weights = squeeze(matmul(w, unsqueeze(share, -1)), -1);
  const Tensor y = seen_product(weights, narrow(values, -1, 0, n), causal_mask(chunk, chunk)) +
                   matmul(share * factor, narrow(start, -1, 0, n));
  if (state) *state = {narrow(sums, -1, 0, n), select(sums, -1, n), before};
  return narrow(reshape(y, {B, H, G * chunk, n}), 2, 0, T);
}

}  // namespace

Tensor efficient_attention(const Tensor& q, const Tensor& k, const Tensor& v, const EfficientAttentionOptions& options,
                           EfficientAttentionState* state) {
  COTANGENT_AUTOCAST(efficient_attention, q, k, v, options, state);
  constexpr const char* op = "efficient_attention";
  check_heads(op, q, k, v, options.causal);
  check_form(op, options.causal, options.form, state);
  check_positive(op, "chunk", options.chunk);
  const Tensor kept = checked_key_mask(op, options.key_mask, k);
  if (is_low_precision(q.dtype())) return in_float32<to>(efficient_attention, q, k, v, options, state);
  const Tensor keys = kept.defined() ? masked_fill(k, !kept, kHidden) : k,
               values = kept.defined() ? masked_fill(v, !kept, 0) : v;
  if (k.size(2) == 0) return no_values(q, v);
  if (options.causal) {
    const int64_t T = q.size(2);
    const int64_t chunk = options.form == LinearForm::parallel    ? T
                          : options.form == LinearForm::recurrent ? 1
                                                                  : std::min(options.chunk, T);
    return efficient_causal(q, keys, values, chunk, state);
  }
  return whole_sums(softmax(q, -1), masked_softmax(keys, 2), values, options.form);
}

}  // namespace cotangent
