#pragma once
#include <cotangent/nn/activation.hpp>
#include <cotangent/nn/linear.hpp>
#include <cotangent/nn/peft/tuned.hpp>

namespace cotangent::nn {

/// h + up(f(down(h))), where the inside is narrow.   h (.., width) -> the same shape
///   down.weight (bottleneck, width), up.weight (width, bottleneck): at the start normal with the standard deviation
///   `std`, cut at two of them; biases 0
struct Bottleneck : Module {
  Bottleneck(int64_t width, int64_t bottleneck, Activation activation, double std, Dtype dtype);
  Linear down, up;
  Activation activation;
  COTANGENT_MODULE(down, up)
  Tensor forward(const Tensor& h);
};

struct AdapterOptions {
  /// Modules behind which an adapter stands: linear layers and layers of sequences. These are the two of a transformer
  /// layer whose results go into the residuals.
  std::vector<std::string> targets = {"self_attn", "linear2"};
  int64_t bottleneck = 64;
  Activation activation = Activation::gelu;
  double std = 0.01;  ///< of the weights at the start, which is near the model; with 0 the start is the model
};

/// Adapters: the results of each target go through a Bottleneck, NAME.adapter. A ValueError for targets that are not in
/// the model or have no known width, a bottleneck below 1, a std below 0, and a gated activation. Houlsby et al.,
/// arXiv:1902.00751, who also train the normalizations; base.apply<nn::LayerNorm>(..) can have them trained.
struct Adapter : Tuner {
  using Options = AdapterOptions;
  Adapter(Module& base, const AdapterOptions& options);
  std::vector<std::string> targets;
  std::vector<Bottleneck> bottlenecks;
  void members(Members& visitor) override;
  COTANGENT_CLONE
  void enter(detail::Tuning& call) override;
};

}  // namespace cotangent::nn
