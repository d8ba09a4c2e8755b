#pragma once
#include <cotangent/nn/activation.hpp>
#include <cotangent/nn/linear.hpp>
#include <cotangent/nn/peft/tuned.hpp>

namespace cotangent::nn {

/// h + up(f(down(h))), with a narrow inside.   h (.., width) -> the same shape
///   down.weight (bottleneck, width), up.weight (width, bottleneck): normal with the standard deviation `std`, cut at
///   two of them; biases 0
struct Bottleneck : Module {
  Bottleneck(int64_t width, int64_t bottleneck, Activation activation, double std, Dtype dtype);
  Linear down, up;
  Activation activation;
  COTANGENT_MODULE(down, up)
  Tensor forward(const Tensor& h);
};

struct AdapterOptions {
  /// Modules behind which one stands: linear layers and layers of sequences, here those before the two residuals of a
  /// transformer layer.
  std::vector<std::string> targets = {"self_attn", "linear2"};
  int64_t bottleneck = 64;
  Activation activation = Activation::gelu;
  double std = 0.01;  ///< of the weights at the start, which is near the model, and is the model for 0
};

/// Adapters: a Bottleneck for each target, NAME.adapter, through which its results go. A ValueError for targets that
/// are not in the model or have no width, and for a gated activation. Houlsby et al., arXiv:1902.00751 (which also
/// trains the normalizations: base.apply<nn::LayerNorm>(..) can let them).
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
