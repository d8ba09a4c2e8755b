#pragma once
#include <utility>

#include <cotangent/autograd/function.hpp>

namespace cotangent {

namespace detail {

/// A callable with its type erased, which it owns.
class OwnedFunction {
 public:
  template <class F>
  OwnedFunction(F* object, Tensors (*call)(void* function, const Tensors& inputs))
      : object_(object), call_(call), destroy_([](void* f) { delete static_cast<F*>(f); }) {}
  OwnedFunction(OwnedFunction&& other) noexcept
      : object_(std::exchange(other.object_, nullptr)), call_(other.call_), destroy_(other.destroy_) {}
  ~OwnedFunction() {
    if (object_) destroy_(object_);
  }
  Tensors operator()(const Tensors& inputs) const { return call_(object_, inputs); }

 private:
  void* object_;
  Tensors (*call_)(void* function, const Tensors& inputs);
  void (*destroy_)(void* function);
};

/// Calls f, and where that has a history records it with what own() makes of it, a copy.
Tensors checkpoint(FunctionRef f, OwnedFunction (*own)(void* function), const Tensors& inputs);

}  // namespace detail

/// f(inputs...), of which nothing is kept but the inputs: the backward pass runs f again to know what its rules read.
/// A network in segments of n layers each, every one a checkpoint, so keeps what lies between segments and, in the
/// backward pass, what one of them needs, for the time of another forward pass (Chen et al., "Training deep nets with
/// sublinear memory cost", arXiv:1604.06174).
///
///     for (Block& block : blocks) x = checkpoint(block, x);
///
/// f gives a Tensor or a list of them. It takes tensors, of which any may be undefined or have no gradient, or one
/// list of them. Tensors that f reads besides, such as parameters, have their gradients as without a checkpoint. Those
/// of any order are the same, to the bit: default_generator() gives f the same numbers again, and batch norm counts a
/// batch once. Checkpoints may lie within f, and f may call grad() itself.
///
/// f is copied (a module shares its parameters with the copy), or moved where it is given away; what it refers to must
/// live as long as the graph, and be unchanged, also in training mode or not. It must compute the same again: a
/// GradError says so where it gives tensors of another number, shape or dtype, or reads others than before, or fewer
/// (which it may also seem to do where it captures what another thread has recorded: that must be an input); and where
/// an input or a parameter was written in place meanwhile, or f itself writes to an input. A result that lies in the
/// memory of an input is copied. A ValueError for more than 48 inputs. It is PyTorch's checkpoint with
/// use_reentrant=False.
template <class F, class... X>
auto checkpoint(F&& f, const X&... inputs) {
  using Function = std::remove_reference_t<F>;
  using Owned = std::decay_t<F>;
  static_assert(std::is_constructible_v<Owned, F>,
                "checkpoint copies f: give it away with std::move, or give a lambda that refers to it");
  constexpr int count = detail::call_count<X...>;
  const Tensors list = detail::call_list(inputs...);
  using Y = decltype(detail::apply<count>(f, std::declval<const Tensors&>()));
  const auto own = [](void* function) {
    return detail::OwnedFunction(new Owned(std::forward<F>(*reinterpret_cast<Function*>(function))),
                                 detail::call_erased<count, Owned>);
  };
  return detail::from_list<detail::Like<Y>>(detail::checkpoint(detail::function_of<count>(f), own, list));
}

}  // namespace cotangent
