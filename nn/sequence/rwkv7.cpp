#include <cotangent/nn/sequence/rwkv7.hpp>

#include <algorithm>
#include <cmath>

#include <cotangent/autograd/ops/activation.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/norm.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/nn/init.hpp>
#include <cotangent/nn/sequence/shift.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::nn {
namespace {

int64_t checked(int64_t width, const Rwkv7Options& o) {
  if (o.layer < 0 || o.layer >= o.layers)
    fail<ValueError>("[Rwkv7TimeMix] layer {} of {}; it must be one of them, counted from 0", o.layer, o.layers);
  if (std::min({o.decay_rank, o.rate_rank, o.gate_rank}) < 0)
    fail<ValueError>("[Rwkv7TimeMix] ranks of {}, {} and {}; they must be at least 1, or 0 for the usual ones",
                     o.decay_rank, o.rate_rank, o.gate_rank);
  return width;
}

int64_t rank_of(int64_t given, double usual) {
  return given > 0 ? given : std::max<int64_t>(32, std::llround(usual / 32) * 32);
}

}  // namespace

Rwkv7TimeMix::Rwkv7TimeMix(int64_t width, int64_t count, const Rwkv7Options& o)
    : SequenceLayer(checked(checked_width("Rwkv7TimeMix", width, count), o), true),
      receptance(width, width, {.bias = false, .dtype = o.dtype}),
      key(width, width, {.bias = false, .dtype = o.dtype}),
      value(width, width, {.bias = false, .dtype = o.dtype}),
      output(width, width, {.bias = false, .dtype = o.dtype}),
      norm(count, width, {.eps = 64e-5, .dtype = o.dtype}),
      heads(count) {
  const double d = static_cast<double>(width), left = 1 - static_cast<double>(o.layer) / static_cast<double>(o.layers),
               depth = static_cast<double>(o.layer) / static_cast<double>(std::max<int64_t>(o.layers - 1, 1));
  const Tensor channel = arange(0, width, 1, float64);
  const auto mixture = [&](double power) { return (1 - pow(channel / d, power * left)).to(o.dtype); };
  x_r = mixture(0.2), x_w = mixture(0.9), x_k = mixture(0.7), x_v = mixture(0.7), x_a = mixture(0.9);
  x_g = mixture(0.2);
  w0 = (-6.5 + 5 * pow(channel / std::max(d - 1, 1.0), 0.85 + std::sqrt(depth))).to(o.dtype);
  a0 = zeros({width}, o.dtype);
  const auto first_map = [&](int64_t rank) { return zeros({width, rank}, o.dtype); };
  const auto second_map = [&](int64_t rank) { return init::orthogonal_(empty({rank, width}, o.dtype), 0.1); };
  const int64_t decay = rank_of(o.decay_rank, 1.8 * std::sqrt(d)), rate = rank_of(o.rate_rank, 1.8 * std::sqrt(d)),
                gate = rank_of(o.gate_rank, 0.6 * std::pow(d, 0.8));
  w1 = first_map(decay), w2 = second_map(decay), a1 = first_map(rate), a2 = second_map(rate), g1 = first_map(gate);
  g2 = second_map(gate);
  k_k = full({width}, 0.85, o.dtype), k_a = ones({width}, o.dtype), r_k = zeros({count, width / count}, o.dtype);
  const double bound = 0.5 / std::sqrt(d);
  for (Linear* map : {&receptance, &value}) init::uniform_(map->weight, -bound, bound);
  init::uniform_(key.weight, -bound / 10, bound / 10);
  init::zeros_(output.weight);
}

Tensor Rwkv7TimeMix::run(const Tensor& given, const SequenceCall& call, StreamState* state) {
  check_no_mask(call);
  const auto visible = [&](const Tensor& t) {
    return call.key_mask.defined() ? masked_fill(t, !unsqueeze(call.key_mask, 2), 0) : t;
  };
  Rwkv7State* own = fields<Rwkv7State>(state);
  const Tensor x = visible(given), step = token_shift(x, own ? &own->last : nullptr) - x;
  const auto mixed = [&](const Tensor& mu) { return x + step * mu; };
  const auto split = [&](const Tensor& t) { return unflatten(t, 2, {heads, width() / heads}); };
  const Tensor r = receptance(mixed(x_r)), v = value(mixed(x_v)), plain = key(mixed(x_k));
  const Tensor decay = sigmoid(w0 + matmul(tanh(matmul(mixed(x_w), w1)), w2)) * -std::exp(-0.5);
  const Tensor rate = sigmoid(a0 + matmul(matmul(mixed(x_a), a1), a2));
  const Tensor gate = matmul(sigmoid(matmul(mixed(x_g), g1)), g2);
  const Tensor k = visible(plain * ((rate - 1) * k_a + 1));
  const int64_t n = width() / heads;
  const double wide = static_cast<double>(n);
  const Tensor removed = rms_norm(split(plain * k_k), {n}, full({n}, 1 / std::sqrt(wide), x.dtype()), 1e-12 / wide);
  const auto by_head = [&](const Tensor& t) { return transpose(t, 1, 2); };
  const DeltaSequence o = generalized_delta_rule(by_head(split(r)), by_head(split(k)), by_head(split(v)),
                                                 by_head(removed), by_head(-removed * split(visible(rate))),
                                                 by_head(split(visible(decay))), own ? own->kv : Tensor());
  if (own) own->kv = o.state;
  const Tensor flat = flatten(by_head(o.output), 2);
  const Tensor normed = reshape(norm(flatten(flat, 0, 1)), flat.shape());
  const Tensor bonus = sum(split(r) * split(k) * r_k, -1, true) * split(v);
  return output(gate * (normed + flatten(bonus, 2)));
}

std::string Rwkv7TimeMix::settings() const { return fmt::format("{}, {}", width(), heads); }

}  // namespace cotangent::nn
