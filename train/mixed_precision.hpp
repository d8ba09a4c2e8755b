#pragma once
// Mixed precision in four levels, as NVIDIA's apex names them:
//
//         the model is                the ops take                    master weights    scaled loss
//     O0  float32                     what they get                   no                no
//     O1  float32                     what Autocast's lists say       no                yes
//     O2  `dtype`, norms in float32   what they get                   yes               yes
//     O3  `dtype`                     what they get                   no                no
//
//     MixedPrecision amp(model, PrecisionLevel::O2);
//     optim::Adam optimizer(model.parameters(), {.lr = 1e-3});  // of the parameters that the model has now
//     amp.prepare(optimizer);
//
//     optimizer.zero_grad();
//     const Tensor loss = cross_entropy(amp(model, x), y);      // in float32 at every level
//     amp.scaler.scale(loss).backward();
//     amp.scaler.step(optimizer);
//     amp.scaler.update();
#include <type_traits>

#include <cotangent/autograd/autocast.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/nn/module.hpp>
#include <cotangent/optim/grad_scaler.hpp>

namespace cotangent {

enum class PrecisionLevel : uint8_t { O0, O1, O2, O3 };

/// A level of mixed precision for a model. bfloat16 has float32's range: with it the loss is not scaled.
class MixedPrecision {
 public:
  /// Converts the model. A DTypeError unless the dtype is bfloat16 or float16.
  MixedPrecision(nn::Module& model, PrecisionLevel level, Dtype dtype = float16,
                 const optim::GradScalerOptions& scaler = {});

  /// Gives the optimizer master weights, if the level has them. The optimizer must be made after the model was
  /// converted, as one that was made before holds other tensors; its step() says so.
  void prepare(optim::Optimizer& optimizer) const;

  /// model(inputs...), in the precision of the level: float32 inputs are converted for it, and a tensor that comes out
  /// is converted to float32.
  template <class M, class... X>
  auto operator()(M& model, const X&... inputs) const {
    const Autocast guard(dtype_, level_ == PrecisionLevel::O1);
    auto y = model(input(inputs)...);
    if constexpr (std::is_same_v<decltype(y), Tensor>)
      return to(y, float32);
    else
      return y;
  }

  optim::GradScaler scaler;  ///< enabled as the level says

 private:
  Tensor input(const Tensor& x) const;
  template <class T>
  requires(!std::is_convertible_v<const T&, Tensor>) static const T& input(const T& other) { return other; }

  PrecisionLevel level_;
  Dtype dtype_;
};

}  // namespace cotangent
