#include <cotangent/nn/sequence/rwkv.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

#include <cotangent/autograd/ops/activation.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/nn/init.hpp>
#include <cotangent/nn/sequence/shift.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/range.hpp>

namespace cotangent::nn {
namespace {

int64_t checked(const char* name, int64_t width, int64_t layer, int64_t layers) {
  if (width < 1) fail<ValueError>("[{}] a width of {}; it must be at least 1", name, width);
  if (layer < 0 || layer >= layers)
    fail<ValueError>("[{}] layer {} of {}; it must be one of them, counted from 0", name, layer, layers);
  return width;
}

/// (c / d)^power for the channels c from 0 on.
Tensor powers(int64_t width, double power) { return pow(arange(0, width, 1, float64) / width, power); }
/// 1 in the first layer, towards 0 in the last.
double early(int64_t layer, int64_t layers) { return 1 - static_cast<double>(layer) / static_cast<double>(layers); }
double late(int64_t layer, int64_t layers) {
  return static_cast<double>(layer) / static_cast<double>(std::max<int64_t>(layers - 1, 1));
}

Linear without_bias(int64_t in, int64_t out, Dtype dtype) { return Linear(in, out, {.bias = false, .dtype = dtype}); }

Tensor visible(const Tensor& x, const Tensor& key_mask, double hidden = 0) {
  return key_mask.defined() ? masked_fill(x, !unsqueeze(key_mask, 2), hidden) : x;
}

}  // namespace

// ---- RwkvTimeMix ----

RwkvTimeMix::RwkvTimeMix(int64_t width, const RwkvOptions& o)
    : SequenceLayer(checked("RwkvTimeMix", width, o.layer, o.layers), true),
      key(without_bias(width, width, o.dtype)),
      value(without_bias(width, width, o.dtype)),
      receptance(without_bias(width, width, o.dtype)),
      output(without_bias(width, width, o.dtype)) {
  const double left = early(o.layer, o.layers), r = late(o.layer, o.layers);
  time_mix_k = powers(width, left).to(o.dtype);
  time_mix_v = (powers(width, left) + 0.3 * r).to(o.dtype);
  time_mix_r = powers(width, left / 2).to(o.dtype);
  const Tensor channel = arange(0, width, 1, float64);
  time_decay = (-5 + 8 * pow(channel / std::max<int64_t>(width - 1, 1), 0.7 + 1.3 * r)).to(o.dtype);
  time_first = (std::log(0.3) + 0.5 * (remainder(channel + 1, 3) - 1)).to(o.dtype);
  for (const Linear* zero : {&key, &receptance, &output}) init::zeros_(zero->weight);
  init::orthogonal_(value.weight);
}

Tensor RwkvTimeMix::run(const Tensor& given, const SequenceCall& call, StreamState* state) {
  check_no_mask(call);
  RwkvState* own = fields<RwkvState>(state);
  const Tensor x = visible(given, call.key_mask), before = token_shift(x, own ? &own->last : nullptr),
               step = x - before;
  const auto mixed = [&](const Tensor& mu) { return before + mu * step; };
  const Tensor k = visible(key(mixed(time_mix_k)), call.key_mask, -std::numeric_limits<double>::infinity()),
               v = visible(value(mixed(time_mix_v)), call.key_mask);
  const WkvSequence y = wkv(k, v, -exp(time_decay), time_first, own ? own->wkv : WkvState());
  if (own) own->wkv = y.state;
  return output(sigmoid(receptance(mixed(time_mix_r))) * y.output);
}

std::string RwkvTimeMix::settings() const { return fmt::format("{}", width()); }

// ---- RwkvChannelMix ----

RwkvChannelMix::RwkvChannelMix(int64_t width, const RwkvChannelMixOptions& o)
    : SequenceLayer(checked("RwkvChannelMix", width, o.layer, o.layers), true),
      key(without_bias(width, o.hidden == 0 ? 4 * width : o.hidden, o.dtype)),
      value(without_bias(key.weight.size(0), width, o.dtype)),
      receptance(without_bias(width, width, o.dtype)) {
  const Tensor mix = powers(width, early(o.layer, o.layers)).to(o.dtype);
  time_mix_k = mix;
  time_mix_r = mix.clone();
  for (const Linear* zero : {&value, &receptance}) init::zeros_(zero->weight);
}

Tensor RwkvChannelMix::run(const Tensor& given, const SequenceCall& call, StreamState* state) {
  check_no_mask(call);
  ShiftState* own = fields<ShiftState>(state);
  const Tensor x = visible(given, call.key_mask), before = token_shift(x, own ? &own->last : nullptr),
               step = x - before;
  const Tensor k = square(relu(key(before + time_mix_k * step)));
  return sigmoid(receptance(before + time_mix_r * step)) * value(k);
}

std::string RwkvChannelMix::settings() const {
  const int64_t hidden = key.weight.size(0);
  return fmt::format("{}{}", width(), hidden == 4 * width() ? "" : fmt::format(", hidden = {}", hidden));
}

}  // namespace cotangent::nn
