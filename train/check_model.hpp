#pragma once
// Says what keeps a model from training.
//
//     optim::AdamW optimizer(model.parameters(), {.lr = 3e-4});
//     const ModelReport report = check_model(
//         model, batch, [](Tensor logits, Tensor labels) { return cross_entropy(logits, labels); }, optimizer);
//     std::puts(report.to_string().c_str());
#include <type_traits>

#include <cotangent/data/dataset.hpp>
#include <cotangent/nn/module.hpp>
#include <cotangent/optim/optimizer.hpp>
#include <cotangent/train/model_report.hpp>

namespace cotangent {

namespace detail {
/// A loss with its type erased, which it does not own.
struct LossRef {
  void* function;
  Tensor (*call)(void* function, const data::Batch& batch);
  Tensor operator()(const data::Batch& batch) const { return call(function, batch); }
};
ModelReport check_model(nn::Module& model, const data::Batch& batch, LossRef loss, optim::Optimizer& optimizer);
}  // namespace detail

/// Takes a step of a training as the loop would, looks at what happens, and takes it back: parameters, gradients,
/// buffers, the state of the optimizer and default_generator() are then, bit for bit, what they were. (Optimizer states
/// and gradients are other tensors of the same values.) Call it after zero_grad(), where training would begin.
///
/// batch is {x, y}. The loss is loss(model(x), y), or loss(model, batch) where the loss can be called so: for models of
/// several inputs. The findings have these names:
///
///     frozen                the optimizer has parameters that require no gradient
///     no gradient           the loss does not reach a parameter: unused, or cut off by detach(), NoGrad, a copy
///     zero gradient         it does, but all of the gradient is 0
///     not in the optimizer  a parameter would get no step
///     not in the model      the optimizer has a parameter that the model does not have (any more), or the same twice
///     unchanged             the step leaves a parameter as it is: it is smaller than the rounding of the dtype
///     learning rate         it is 0, or so large that the loss rises, while it falls with a thousandth of it
///     loss rises            it does with a thousandth of the learning rate too
///     evaluation mode       modules were not told to train(); left out are those whose parameters are all frozen
///     not finite            NaN or infinity in parameters, the batch, the loss, or gradients
///     equal inputs          all examples are the same
///     not normalized        x or y has a mean or a standard deviation beyond 10, or one below 0.001
///     labels                targets that are no class, or no probabilities
///     one class             all targets are the same
///     independent of x      the loss does not depend on the input
///     not reduced           the loss has more than one element
///     no graph              the loss has no history: no gradient can come from it
///     leaking gradient      the gradient goes to tensors of neither model, optimizer nor batch.x: a target network, or
///                           targets that require a gradient
///     old gradients         there are gradients before the step: zero_grad() is missing
///     equal units           the rows of a weight are all the same: all units compute and learn the same
///     dead units            units of a relu that are 0 for the whole batch, where they are nearly all or far from 0
///     saturated             all probabilities of a softmax are 0 or 1, nine tenths of the rows that cross_entropy is
///                           given are certain, or nearly all results of a sigmoid or tanh are at their limits
///     softmax twice         what cross_entropy is given are probabilities already
///     log missing           what nll_loss is given are no logarithms of probabilities
///     vanishing gradient    the root mean square of one weight's is less than 1e-5 of another's
///     exploding gradient    the norm of all is more than a thousand times that of the parameters
///     broadcast             an op outside the model makes (N, N) of (N) and (N, 1)
///     throws                model, loss, backward() or step() throw an Error, which is quoted
///
/// Some are meant at times (a frozen part, targets of a wide range): the report is for whoever wonders why nothing is
/// learned.
template <class M, class Loss>
ModelReport check_model(M& model, const data::Batch& batch, Loss&& loss, optim::Optimizer& optimizer) {
  const auto call = [&](const data::Batch& b) -> Tensor {
    if constexpr (std::is_invocable_v<Loss&, Tensor, Tensor>)
      return loss(model(b.x), b.y);
    else if constexpr (std::is_invocable_v<Loss&, M&, const data::Batch&>)
      return loss(model, b);
    else  // of a model that gives no Tensor
      return loss(model(b.x), b.y);
  };
  using Call = decltype(call);
  return detail::check_model(
      model, batch,
      {const_cast<void*>(static_cast<const void*>(&call)),
       [](void* f, const data::Batch& b) -> Tensor { return (*static_cast<const Call*>(f))(b); }},
      optimizer);
}

}  // namespace cotangent
