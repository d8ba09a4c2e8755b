#include "cost.hpp"

#include <algorithm>
#include <chrono>
#include <cotangent/cotangent.hpp>

namespace ct = cotangent;
namespace nn = cotangent::nn;
using ct::Tensor;

namespace {

Cost measure_at(nn::AnySequenceLayer& layer, const CostSettings& settings, int64_t length) {
  constexpr double enough = 0.1;  // seconds in all
  constexpr int runs = 5;
  Tensor x = ct::randn({1, length, settings.width}).requires_grad_();
  Cost cost{length, 0, 0};
  double total = 0;
  for (int run = 0; run < runs && (run < 2 || total < enough); ++run) {
    if (run == 1 && total > settings.max_seconds / 4) break;  // too long for a first run's overhead to be seen
    layer->zero_grad();
    x.set_grad(Tensor());
    ct::reset_peak_memory();
    const int64_t before = ct::memory_stats().current_bytes;
    const auto start = std::chrono::steady_clock::now();
    layer(x).sum().backward();
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    total += seconds;
    cost.seconds = run == 0 ? seconds : std::min(cost.seconds, seconds);
    cost.bytes = ct::memory_stats().peak_bytes - before;
  }
  return cost;
}

/// Causal, where the variant can be.
nn::AnySequenceLayer layer_of(const Variant& variant, const CostSettings& s, int64_t length) {
  try {
    return variant.make({s.width, s.heads, true, length, length});
  } catch (const ct::ValueError&) {
    return variant.make({s.width, s.heads, false, length, length});
  }
}

}  // namespace

std::vector<Cost> measure_cost(const Variant& variant, const CostSettings& settings) {
  std::vector<Cost> costs;
  for (int64_t length = settings.min_length; length <= settings.max_length; length *= 2) {
    if (costs.size() >= 2) {  // the next doubling multiplies as the last one did
      const Cost &a = costs[costs.size() - 2], &b = costs.back();
      const double time_factor = std::clamp(b.seconds / a.seconds, 2.0, 4.0);
      const double bytes_factor = static_cast<double>(b.bytes) / static_cast<double>(a.bytes);
      if (b.seconds * time_factor > settings.max_seconds) break;
      if (static_cast<double>(b.bytes) * bytes_factor > settings.max_bytes) break;
    }
    nn::AnySequenceLayer layer = layer_of(variant, settings, length);
    costs.push_back(measure_at(layer, settings, length));
  }
  return costs;
}

std::vector<Cost> measure_decoding(const Variant& variant, const CostSettings& settings) {
  constexpr int64_t piece = 1024;  // tokens that are fed at once
  constexpr int runs = 20;
  const ct::NoGrad guard;
  std::vector<Cost> costs;
  nn::AnySequenceLayer layer = layer_of(variant, settings, settings.max_length + runs);
  layer->eval();
  const int64_t before = ct::memory_stats().current_bytes;
  nn::StreamState state;
  try {
    state = layer->start(1);
  } catch (const ct::ValueError&) {
    return costs;
  }
  const auto start = std::chrono::steady_clock::now();
  for (int64_t length = settings.min_length; length <= settings.max_length; length *= 2) {
    while (state.length < length)
      layer->step(ct::randn({1, std::min(piece, length - state.length), settings.width}), state);
    Cost cost{length, 1e300, ct::memory_stats().current_bytes - before};
    const Tensor x = ct::randn({1, 1, settings.width});
    for (int run = 0; run < runs; ++run) {  // the next few tokens: what the first of them makes, others may use
      const auto from = std::chrono::steady_clock::now();
      layer->step(x, state);
      cost.seconds =
          std::min(cost.seconds, std::chrono::duration<double>(std::chrono::steady_clock::now() - from).count());
    }
    costs.push_back(cost);
    if (std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() > 4 * settings.max_seconds)
      break;
  }
  return costs;
}
