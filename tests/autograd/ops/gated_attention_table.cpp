// The op table of autograd/ops/gated_attention.hpp.
#include <cmath>

#include <cotangent/autograd/ops/activation.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/gated_attention.hpp>
#include <cotangent/autograd/ops/heads_internal.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tests/autograd/ops/naive_attention.hpp>

namespace cotangent {
namespace {

double squared_relu(double s) { return s > 0 ? s * s : 0; }

// x: q, k, v, a bias if floating, a key_mask if bool
template <ReluNorm Norm, bool Causal, int64_t Length>
Results attend(Arguments x) {
  SquaredReluOptions o{.norm = Norm, .length = Length, .causal = Causal};
  for (const Tensor& t : x.subspan(3)) (t.dtype() == boolean ? o.key_mask : o.bias) = t;
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
  return weighted(x[0], x[2], false, 0, [&](int64_t b, int64_t h, int64_t i, int64_t j) {
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

// x: the four projections and v, a bias if floating, a key_mask if bool
template <bool Causal, ChunkNorm Norm>
Results mix(Arguments x) {
  MixedChunkOptions o{.causal = Causal, .chunk = 2, .norm = Norm};
  for (const Tensor& t : x.subspan(5)) (t.dtype() == boolean ? o.key_mask : o.distance_bias) = t;
  return mixed_chunk_attention(x[0], x[1], x[2], x[3], x[4], o);
}
template <bool Causal, ChunkNorm Norm>
Results mix_naively(Arguments x) {
  const Array q(x[0]), k(x[1]), ql(x[2]), kl(x[3]);
  const int64_t T = x[0].size(2), c = 2;
  std::vector<double> bias(3, 0.0), kept(static_cast<size_t>(x[0].size(0) * T), 1);
  for (const Tensor& t : x.subspan(5)) (t.dtype() == boolean ? kept : bias) = t.detach().to_vector<double>();
  return weighted(x[0], x[4], false, 0, [&](int64_t b, int64_t h, int64_t i, int64_t j) {
    if (kept[static_cast<size_t>(b * T + j)] == 0) return 0.0;
    double n = 0, w = 0;
    for (int64_t l = 0; l < T; ++l) n += kept[static_cast<size_t>(b * T + l)];
    if (i / c == j / c && (!Causal || j <= i))
      w += squared_relu(dot(q, k, b, h, i, j) / std::sqrt(static_cast<double>(x[0].size(3))) +
                        bias[static_cast<size_t>(i - j + c - 1)]) /
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

}  // namespace

COTANGENT_OP_TABLE(gated_attention) {
  using enum ReluNorm;
  const InputSpec q = normal({2, 1, 3, 2}), k = normal({2, 1, 5, 2}), v = normal({2, 1, 5, 3});
  const InputSpec bias = normal({1, 3, 5}), kept = values({2, 5}, {1, 1, 0, 1, 1, 0, 1, 1, 0, 0}, boolean);
  const InputSpec same_k = normal({2, 1, 3, 2}), same_v = normal({2, 1, 3, 3});
  return {
      {"squared_relu_attention",
       {{{q, k, v}, attend<length, false, 0>, attend_naively<length, false, 0>},
        {{q, same_k, same_v}, attend<length, true, 4>, attend_naively<length, true, 4>},
        {{q, k, v, bias, kept}, attend<length, true, 0>, attend_naively<length, true, 0>},
        {{q, k, v, bias}, attend<squared_length, false, 0>, attend_naively<squared_length, false, 0>},
        {{q, k, v, bias, kept}, attend<squared_length, false, 0>, attend_naively<squared_length, false, 0>},
        {{q, same_k, same_v}, attend<squared_length, true, 2>, attend_naively<squared_length, true, 2>},
        {{q, k, v, kept}, attend<row, true, 0>, attend_naively<row, true, 0>}},
       {{{q, k, v}, attend<length, false, -1>, "a length of -1"},
        {{q, k, v, normal({2, 5})}, attend<length, false, 0>, "broadcast"},
        {{q, k, v, booleans({2, 3})}, attend<length, false, 0>, "the key_mask is (2, 3)"},
        {{q, k, v},
         [](Arguments x) -> Results {
           return squared_relu_attention(x[0], x[1], x[2], {.mask = zeros({3, 5}, int64)});
         },
         "the mask is int64"},
        {{normal({2, 1, 3, 4}), k, v}, attend<length, false, 0>, "do not fit together"}}},
      {"mixed_chunk_attention",
       {{{k, k, k, k, v}, mix<false, ChunkNorm::chunk>, mix_naively<false, ChunkNorm::chunk>},
        {{k, k, k, k, v}, mix<true, ChunkNorm::chunk>, mix_naively<true, ChunkNorm::chunk>},
        {{k, k, k, k, v, normal({3}), kept}, mix<false, ChunkNorm::chunk>, mix_naively<false, ChunkNorm::chunk>},
        {{k, k, k, k, v, normal({3}), kept}, mix<true, ChunkNorm::preceding>, mix_naively<true, ChunkNorm::preceding>},
        {{k, k, k, k, v}, mix_in_parts, mix_naively<true, ChunkNorm::preceding>}},
       {{{k, k, k, k, v, normal({4})}, mix<true, ChunkNorm::chunk>, "for chunks of 2 it must be (3)"},
        {{q, k, k, k, v}, mix<false, ChunkNorm::chunk>, "3 queries and 5 keys"},
        {{k, k, k, k, v}, mix_with_state<2>, "the whole sequence is needed"},
        {{k, k, k, k, v}, mix_with_state<0>, "a chunk of 0"}}}};
}

}  // namespace cotangent
