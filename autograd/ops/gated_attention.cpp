#include <cotangent/autograd/ops/gated_attention.hpp>

#include <cmath>

#include <cotangent/autograd/op_info.hpp>
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

namespace cotangent {
namespace {

Tensor transposed(const Tensor& x) { return transpose(x, -2, -1); }
double reciprocal_root(int64_t n) { return 1 / std::sqrt(static_cast<double>(n)); }

/// x divided by the number of keys that are no padding: of all sequences alike, or of each.
Tensor per_key(const Tensor& x, const Tensor& kept, int64_t keys) {
  if (!kept.defined()) return x / static_cast<double>(std::max<int64_t>(keys, 1));
  const Tensor count = to(sum(kept, -2, true), x.dtype());
  return x / maximum(count, ones(count.shape(), x.dtype()));
}

}  // namespace

Tensor squared_relu_attention(const Tensor& q, const Tensor& k, const Tensor& v, const SquaredReluOptions& options) {
  constexpr const char* op = "squared_relu_attention";
  check_heads(op, q, k, v, false);
  if (options.length < 0)
    fail<ValueError>("[{}] a length of {}; it must be at least 1, or 0 for the number of keys", op, options.length);
  const Tensor kept = checked_padding(op, options.key_padding, k);
  const Shape scores{q.size(0), q.size(1), q.size(2), k.size(2)};
  for (const Tensor* t : {&options.bias, &options.mask})
    if (t->defined() && (t->rank() > 4 || broadcast_shapes(op, t->shape(), scores) != scores))
      fail<ShapeError>("[{}] a {} of shape {} does not broadcast to the scores {}", op,
                       t == &options.bias ? "bias" : "mask", t->shape(), scores);
  if (options.mask.defined() && options.mask.dtype() != boolean)
    fail<DTypeError>("[{}] the mask is {}; it must be bool (true: may be seen)", op, options.mask.dtype());
  if (is_low_precision(q)) {
    SquaredReluOptions wide = options;
    wide.bias = widened(options.bias);
    return to(squared_relu_attention(widened(q), widened(k), widened(v), wide), q.dtype());
  }
  const int64_t keys = options.length ? options.length : k.size(2);
  const Tensor counted = options.length ? Tensor() : kept;
  Tensor s = matmul(q, transposed(k));
  s = options.norm == ReluNorm::squared_length ? per_key(s, counted, keys) : s * reciprocal_root(q.size(3));
  if (options.bias.defined()) s = s + options.bias;
  Tensor a = square(relu(s));
  if (options.causal) a = tril(a, k.size(2) - q.size(2));
  if (options.mask.defined()) a = masked_fill(a, !options.mask, 0);
  if (kept.defined()) a = masked_fill(a, !transposed(kept), 0);
  if (options.norm == ReluNorm::row) a = a / (sum(a, -1, true) + options.eps);
  if (options.norm == ReluNorm::length) a = per_key(a, counted, keys);
  return matmul(a, v);
}

Tensor toeplitz(const Tensor& weight, int64_t queries, int64_t keys) {
  constexpr const char* op = "toeplitz";
  if (queries < 0 || keys < 0 || weight.rank() < 1 || weight.size(-1) != std::max<int64_t>(queries + keys - 1, 0))
    fail<ShapeError>("[{}] a weight of shape {} for {} queries and {} keys; its last dimension must be {}", op,
                     weight.shape(), queries, keys, queries + keys - 1);
  const Tensor place = reshape(arange(queries), {queries, 1}) - reshape(arange(keys), {1, keys}) + (keys - 1);
  Shape shape = weight.shape();
  shape.back() = queries;
  shape.push_back(keys);
  return reshape(index_select(weight, -1, flatten(place)), shape);
}

Tensor mixed_chunk_attention(const Tensor& q_quad, const Tensor& k_quad, const Tensor& q_lin, const Tensor& k_lin,
                             const Tensor& v, const MixedChunkOptions& options, MixedChunkState* state) {
  constexpr const char* op = "mixed_chunk_attention";
  check_heads(op, q_quad, k_quad, v, true);
  check_heads(op, q_lin, k_lin, v, true);
  check_positive(op, "chunk", options.chunk);
  if (state && !options.causal)
    fail<ValueError>("[{}] a state carries what came before; without causal = true the whole sequence is needed", op);
  const Tensor kept = checked_padding(op, options.key_padding, k_quad);
  const int64_t c = options.chunk;
  if (options.bias.defined() && options.bias.shape() != Shape{c, c})
    fail<ShapeError>("[{}] the bias is {}; for chunks of {} it must be ({}, {})", op, options.bias.shape(), c, c, c);
  if (is_low_precision(q_quad)) {
    MixedChunkOptions wide = options;
    wide.bias = widened(options.bias);
    return to(mixed_chunk_attention(widened(q_quad), widened(k_quad), widened(q_lin), widened(k_lin), widened(v), wide,
                                    state),
              q_quad.dtype());
  }
  // both parts are linear in v: there padding is 0
  Tensor kq = k_quad, kl = k_lin, values = kept.defined() ? v * to(kept, v.dtype()) : v;
  const int64_t B = v.size(0), H = v.size(1), T = v.size(2);
  const int64_t partial = state ? state->length % c : 0, whole = (partial + T) / c, count = (partial + T + c - 1) / c;
  const int64_t before = state ? state->length / c : 0;  // whole chunks that came before
  if (partial > 0) {
    kq = cat({state->k_quad, kq}, 2), kl = cat({state->k_lin, kl}, 2), values = cat({state->v, values}, 2);
  }
  // (B, H, chunks, c, d): rows that are missing at the end, and queries that were answered before, are 0
  const auto chunked = [&](const Tensor& x, int64_t skipped) {
    return reshape(zero_padded(x, 2, skipped, count * c - skipped - x.size(2)), {B, H, count, c, x.size(3)});
  };
  const Tensor vs = chunked(values, 0);
  Tensor y;
  if (options.local) {
    Tensor s = matmul(chunked(q_quad, partial), transposed(chunked(kq, 0))) * reciprocal_root(q_quad.size(3));
    if (options.bias.defined()) s = s + options.bias;
    Tensor a = square(relu(s)) / static_cast<double>(c);
    if (options.causal) a = tril(a);
    y = matmul(a, vs);
  }
  const Shape sums{B, H, 1, k_lin.size(3), v.size(3)};
  const Tensor own = matmul(transposed(chunked(kl, 0)), vs);  // (B, H, chunks, s, e)
  const Tensor start = state && state->kv.defined() ? unsqueeze(state->kv, 2) : zeros(sums, v.dtype());
  if (options.global) {
    Tensor far = chunked(q_lin, partial);
    if (!options.causal) {
      far = per_key(matmul(far, sum(own, 2, true)), kept.defined() ? unsqueeze(kept, 2) : kept, T);
    } else if (count > 0) {
      const Tensor earlier = count > 1 ? cat({start, start + cumsum(narrow(own, 2, 0, count - 1), 2)}, 2) : start;
      far = matmul(far, earlier);
      if (options.norm == ChunkNorm::chunk) {
        far = far / static_cast<double>(c);
      } else {
        const Tensor tokens = clamp(arange(before, before + count, 1, v.dtype()), 1) * static_cast<double>(c);
        far = far / reshape(tokens, {count, 1, 1});
      }
    } else {
      far = matmul(far, own);
    }
    y = y.defined() ? y + far : far;
  }
  if (!y.defined()) y = vs * 0;
  if (state) {
    state->kv = squeeze(start, 2) + sum(narrow(own, 2, 0, whole), 2);
    const int64_t left = (partial + T) - whole * c;
    state->k_quad = narrow(kq, 2, whole * c, left), state->k_lin = narrow(kl, 2, whole * c, left);
    state->v = narrow(values, 2, whole * c, left);
    state->length += T;
  }
  return narrow(reshape(y, {B, H, count * c, v.size(3)}), 2, partial, T);
}

// ---- op table ----

namespace {

/// The elements of a tensor of rank 4.
struct Array {
  explicit Array(const Tensor& x) : shape(x.shape()), values(x.detach().to_vector<double>()) {}
  double operator()(int64_t b, int64_t h, int64_t t, int64_t c) const {
    return values[static_cast<size_t>(((b * shape[1] + h) * shape[2] + t) * shape[3] + c)];
  }
  Shape shape;
  std::vector<double> values;
};
double dot(const Array& q, const Array& k, int64_t b, int64_t h, int64_t i, int64_t j) {
  double s = 0;
  for (int64_t f = 0; f < q.shape[3]; ++f) s += q(b, h, i, f) * k(b, h, j, f);
  return s;
}
double squared_relu(double s) { return s > 0 ? s * s : 0; }

/// y_i = sum_j weigh(b, h, i, j) v_j
template <class F>
Tensor weighted(const Tensor& q, const Tensor& v, F weigh) {
  const Array values(v);
  std::vector<double> out;
  for (int64_t b = 0; b < v.size(0); ++b)
    for (int64_t h = 0; h < v.size(1); ++h)
      for (int64_t i = 0; i < q.size(2); ++i)
        for (int64_t c = 0; c < v.size(3); ++c) {
          double y = 0;
          for (int64_t j = 0; j < v.size(2); ++j) y += weigh(b, h, i, j) * values(b, h, j, c);
          out.push_back(y);
        }
  return from_vector(out, {v.size(0), v.size(1), q.size(2), v.size(3)});
}

// x: q, k, v, a bias if floating, a key padding if bool
template <ReluNorm Norm, bool Causal, int64_t Length>
Results attend(Arguments x) {
  SquaredReluOptions o{.norm = Norm, .length = Length, .causal = Causal};
  for (const Tensor& t : x.subspan(3)) (t.dtype() == boolean ? o.key_padding : o.bias) = t;
  return squared_relu_attention(x[0], x[1], x[2], o);
}
template <ReluNorm Norm, bool Causal, int64_t Length>
Results attend_naively(Arguments x) {
  const Array q(x[0]), k(x[1]);
  const int64_t Tq = x[0].size(2), Tk = x[1].size(2), d = x[0].size(3);
  Tensor bias = zeros({1, 1, 1, 1}, float64);
  std::vector<double> kept(static_cast<size_t>(x[0].size(0) * Tk), 1);
  for (const Tensor& t : x.subspan(3))
    if (t.dtype() == boolean)
      kept = t.to_vector<double>();
    else
      bias = t.detach();
  const Array b_ij(contiguous(expand(bias, {x[0].size(0), x[0].size(1), Tq, Tk})));
  return weighted(x[0], x[2], [&](int64_t b, int64_t h, int64_t i, int64_t j) {
    const auto seen = [&](int64_t l) {
      return kept[static_cast<size_t>(b * Tk + l)] != 0 && (!Causal || l <= i + Tk - Tq);
    };
    double n = 0;
    for (int64_t l = 0; l < Tk; ++l) n += kept[static_cast<size_t>(b * Tk + l)];
    if (Length > 0) n = static_cast<double>(Length);
    const double divisor = Norm == ReluNorm::squared_length ? n : std::sqrt(static_cast<double>(d));
    const auto a = [&](int64_t l) {
      return seen(l) ? squared_relu(dot(q, k, b, h, i, l) / divisor + b_ij(b, h, i, l)) : 0;
    };
    if (Norm == ReluNorm::length) return a(j) / n;
    if (Norm == ReluNorm::squared_length) return a(j);
    double total = 1e-6;
    for (int64_t l = 0; l < Tk; ++l) total += a(l);
    return a(j) / total;
  });
}

// x: the four projections and v, a bias if floating, a key padding if bool
template <bool Causal, ChunkNorm Norm>
Results mix(Arguments x) {
  MixedChunkOptions o{.causal = Causal, .chunk = 2, .norm = Norm};
  for (const Tensor& t : x.subspan(5)) (t.dtype() == boolean ? o.key_padding : o.bias) = t;
  return mixed_chunk_attention(x[0], x[1], x[2], x[3], x[4], o);
}
template <bool Causal, ChunkNorm Norm>
Results mix_naively(Arguments x) {
  const Array q(x[0]), k(x[1]), ql(x[2]), kl(x[3]);
  const int64_t T = x[0].size(2), c = 2;
  std::vector<double> bias(4, 0.0), kept(static_cast<size_t>(x[0].size(0) * T), 1);
  for (const Tensor& t : x.subspan(5)) (t.dtype() == boolean ? kept : bias) = t.detach().to_vector<double>();
  return weighted(x[0], x[4], [&](int64_t b, int64_t h, int64_t i, int64_t j) {
    if (kept[static_cast<size_t>(b * T + j)] == 0) return 0.0;
    double n = 0, w = 0;
    for (int64_t l = 0; l < T; ++l) n += kept[static_cast<size_t>(b * T + l)];
    if (i / c == j / c && (!Causal || j <= i))
      w += squared_relu(dot(q, k, b, h, i, j) / std::sqrt(static_cast<double>(x[0].size(3))) +
                        bias[static_cast<size_t>(i % c * c + j % c)]) /
           static_cast<double>(c);
    if (!Causal)
      w += dot(ql, kl, b, h, i, j) / n;
    else if (j / c < i / c)
      w += dot(ql, kl, b, h, i, j) / static_cast<double>(Norm == ChunkNorm::chunk ? c : i / c * c);
    return w;
  });
}
/// In two parts, the second of which starts within a chunk.
Results mix_in_parts(Arguments x) {
  MixedChunkState state;
  Tensors parts;
  for (const auto& [first, count] : {std::pair(0, 3), std::pair(3, 2)}) {
    const auto cut = [&, a = first, n = count](const Tensor& t) { return narrow(t, 2, a, n); };
    parts.push_back(mixed_chunk_attention(cut(x[0]), cut(x[1]), cut(x[2]), cut(x[3]), cut(x[4]),
                                          {.causal = true, .chunk = 2, .norm = ChunkNorm::preceding}, &state));
  }
  return cat(parts, 2);
}
template <int64_t Chunk>
Results mix_with_state(Arguments x) {
  MixedChunkState state;
  return mixed_chunk_attention(x[0], x[1], x[2], x[3], x[4], {.chunk = Chunk}, &state);
}

Results spread(Arguments x) { return toeplitz(x[0], 3, 4); }
Results spread_naively(Arguments x) {
  std::vector<double> out;
  const std::vector<double> w = x[0].detach().to_vector<double>();
  for (int64_t h = 0; h < 2; ++h)
    for (int64_t i = 0; i < 3; ++i)
      for (int64_t j = 0; j < 4; ++j) out.push_back(w[static_cast<size_t>(h * 6 + i - j + 3)]);
  return from_vector(out, {2, 3, 4});
}

}  // namespace

COTANGENT_OP_TABLE(gated_attention) {
  using enum ReluNorm;
  const InputSpec q = normal({2, 1, 3, 2}), k = normal({2, 1, 5, 2}), v = normal({2, 1, 5, 3});
  const InputSpec bias = normal({1, 3, 5}), kept = values({2, 5}, {1, 1, 0, 1, 1, 0, 1, 1, 0, 0}, boolean);
  const InputSpec same_k = normal({2, 1, 3, 2}), same_v = normal({2, 1, 3, 3});
  return {{"squared_relu_attention",
           {{{q, k, v}, attend<length, false, 0>, attend_naively<length, false, 0>},
            {{q, same_k, same_v}, attend<length, true, 4>, attend_naively<length, true, 4>},
            {{q, k, v, bias, kept}, attend<length, true, 0>, attend_naively<length, true, 0>},
            {{q, k, v, bias}, attend<squared_length, false, 0>, attend_naively<squared_length, false, 0>},
            {{q, k, v, bias, kept}, attend<squared_length, false, 0>, attend_naively<squared_length, false, 0>},
            {{q, same_k, same_v}, attend<squared_length, true, 2>, attend_naively<squared_length, true, 2>},
            {{q, k, v, kept}, attend<row, true, 0>, attend_naively<row, true, 0>}},
           {{{q, k, v}, attend<length, false, -1>, "a length of -1"},
            {{q, k, v, normal({2, 5})}, attend<length, false, 0>, "broadcast"},
            {{q, k, v, booleans({2, 3})}, attend<length, false, 0>, "the key padding is (2, 3)"},
            {{q, k, v},
             [](Arguments x) -> Results {
               return squared_relu_attention(x[0], x[1], x[2], {.mask = zeros({3, 5}, int64)});
             },
             "the mask is int64"},
            {{normal({2, 1, 3, 4}), k, v}, attend<length, false, 0>, "do not fit together"}}},
          {"toeplitz",
           {{{normal({2, 6})}, spread, spread_naively}},
           {{{normal({2, 7})}, spread, "its last dimension must be 6"}}},
          {"mixed_chunk_attention",
           {{{k, k, k, k, v}, mix<false, ChunkNorm::chunk>, mix_naively<false, ChunkNorm::chunk>},
            {{k, k, k, k, v}, mix<true, ChunkNorm::chunk>, mix_naively<true, ChunkNorm::chunk>},
            {{k, k, k, k, v, normal({2, 2}), kept}, mix<false, ChunkNorm::chunk>, mix_naively<false, ChunkNorm::chunk>},
            {{k, k, k, k, v, normal({2, 2}), kept},
             mix<true, ChunkNorm::preceding>,
             mix_naively<true, ChunkNorm::preceding>},
            {{k, k, k, k, v}, mix_in_parts, mix_naively<true, ChunkNorm::preceding>}},
           {{{k, k, k, k, v, normal({3, 3})}, mix<true, ChunkNorm::chunk>, "for chunks of 2 it must be (2, 2)"},
            {{q, k, k, k, v}, mix<false, ChunkNorm::chunk>, "3 queries and 5 keys"},
            {{k, k, k, k, v}, mix_with_state<2>, "the whole sequence is needed"},
            {{k, k, k, k, v}, mix_with_state<0>, "a chunk of 0"}}}};
}

}  // namespace cotangent
