#pragma once
// What holds for every causal attention layer that streams.
#include <catch2/catch.hpp>

#include <cotangent/nn/attention/attention.hpp>
#include <cotangent/nn/attention/multihead.hpp>
#include <cotangent/nn/init.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/random.hpp>

#include "../check_precisions.hpp"

namespace cotangent {

/// In float64 and evaluation mode, with parameters far from their starting values.
template <class Layer>
Layer prepared(Layer layer) {
  Generator g(11);
  layer.to(float64);
  layer.eval();
  for (Tensor& p : layer.parameters()) normal_(p, 0.1, 0.6, g);
  return layer;
}

inline Tensor sequence(int64_t length, int64_t width, uint64_t seed = 12) {
  Generator g(seed);
  return randn({2, length, width}, float64, g);
}

/// All forms agree, with and without padding, which may hold anything; so do steps of 7, 1 and 5 tokens, which in low
/// precision are those of float64 but for a few roundings; nothing looks ahead by one bit, or by the tolerance where
/// the parallel form is a transform of the whole sequence.
template <class Layer>
void check_causal_layer(Layer given, double tolerance = 0) {
  Layer layer = prepared(given);
  INFO(to_string(layer));
  const Tensor x = sequence(13, layer.width());
  Tensor key_mask = ones({2, 13}, boolean);
  for (int64_t t : {0, 1, 2, 9}) key_mask[1][t].fill_(false);
  for (const Tensor& mask : {Tensor(), key_mask}) {
    const Tensor whole = layer(x, {.key_mask = mask});
    CHECK(largest_difference(layer(x, {.key_mask = mask, .form = nn::SequenceForm::recurrent}), whole) < 1e-10);
    for (int64_t chunk : {1, 4, 64})
      CHECK(largest_difference(layer(x, {.key_mask = mask, .form = nn::SequenceForm::chunked, .chunk = chunk}), whole) <
            1e-10);
    nn::StreamState state = layer.start(2);
    const Tensor parts = in_parts({7, 1, 5}, 1, [&](int64_t first, int64_t count) {
      return layer.step(x.narrow(1, first, count), state, mask.defined() ? mask.narrow(1, first, count) : Tensor());
    });
    CHECK(largest_difference(parts, whole) < 1e-10);
    CHECK(state.length == 13);
    if (!mask.defined()) continue;
    // what stands in the padding does not matter, not even NaN
    const Tensor kept = unsqueeze(mask, 2), dirty = masked_fill(x, !kept, std::numeric_limits<double>::quiet_NaN());
    const auto same = [&](const Tensor& y) {
      return largest_difference(where(kept, y, 0), where(kept, whole, 0)) < 1e-10;
    };
    for (nn::SequenceForm form : {nn::SequenceForm::parallel, nn::SequenceForm::chunked, nn::SequenceForm::recurrent})
      CHECK(same(layer(dirty, {.key_mask = mask, .form = form, .chunk = 4})));
    state = layer.start(2);
    CHECK(same(in_parts({7, 1, 5}, 1, [&](int64_t first, int64_t count) {
      return layer.step(dirty.narrow(1, first, count), state, mask.narrow(1, first, count));
    })));
  }
  check_causal(
      x, 1, [&](const Tensor& y) { return layer(y); }, tolerance);
  check_causal(x, 1, [&](const Tensor& y) { return layer(y, {.form = nn::SequenceForm::chunked, .chunk = 4}); });
  CHECK(layer(x.narrow(1, 0, 1)).shape() == Shape{2, 1, layer.width()});

  for (const Dtype dtype : {float32, float16, bfloat16}) {
    Layer low = layer.clone();
    low.to(dtype);  // the state is computed in float32 at least
    Layer wide = low.clone();
    wide.to(float64);
    const Tensor tokens = x.to(dtype), whole = wide(tokens.to(float64));
    nn::StreamState state = low.start(2);
    const Tensor parts = in_parts(
        {7, 1, 5}, 1, [&](int64_t first, int64_t count) { return low.step(tokens.narrow(1, first, count), state); });
    check_rounded(parts, whole, 16);
    check_rounded(low(tokens), whole, 16);
  }
}

/// The parameters that multi-head attention has under the same names.
template <class Layer>
nn::MultiHeadAttention same_projections(const Layer& layer, bool causal) {
  nn::MultiHeadAttention dense(layer.width(), layer.heads, {.causal = causal, .dtype = float64});
  dense.load_state_dict(layer.state_dict(), false);
  return dense;
}

}  // namespace cotangent
