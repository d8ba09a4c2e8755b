// The members of Tensor that concern its place in a graph: leaves, gradients, hooks.
#include <cotangent/autograd/node.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent {
namespace {
const Tensor kUndefined;

Node* history_of(const char* op, const Tensor& x) {
  if (Node* node = detail::history(x)) return node;
  fail<GradError>("[{}] the tensor of shape {} does not require a gradient; call requires_grad_() first", op,
                  x.shape());
}
}  // namespace

bool Tensor::is_leaf() const {
  const Node* node = impl_ ? detail::history(*this) : nullptr;
  return !node || node->is_leaf();
}

Tensor& Tensor::requires_grad_(bool wanted) {
  detail::TensorImpl* impl = get();
  if (!is_leaf())
    fail<GradError>("[requires_grad_] the tensor is the result of {}, not a leaf; use detach() to cut it off",
                    impl->node->op);
  if (wanted == (impl->node != nullptr)) return *this;
  if (wanted) {
    if (!is_floating())
      fail<DTypeError>("[requires_grad_] a {} tensor has no gradient; convert it with to(float32) or to(float64)",
                       dtype());
    if (impl->inference) fail<GradError>("[requires_grad_] the tensor was made in inference mode; clone() it outside");
    if (impl->base) {  // a leaf stands on its own
      detail::TensorImpl* base = impl->base;
      impl->base = nullptr;
      if (base->refs.drop()) detail::release(base);
    }
    impl->node = Node::make_leaf(impl->shape, impl->dtype);
    impl->output = 0;
  } else {
    detail::release(impl->node);
    impl->node = nullptr;
  }
  return *this;
}

const Tensor& Tensor::grad() const {
  get();
  const Node* node = detail::history(*this);
  if (!node) return kUndefined;
  if (node->is_leaf()) return node->grad;
  const NodeExtras::Retained* kept = node->extras ? node->extras->find_retained(impl_->output) : nullptr;
  return kept ? kept->grad : kUndefined;
}

void Tensor::set_grad(const Tensor& gradient) const {
  Node* node = history_of("set_grad", *this);
  if (!node->is_leaf())
    fail<GradError>("[set_grad] the tensor is the result of {}; only a leaf's gradient can be set", node->op);
  if (gradient.defined() && (gradient.shape() != shape() || gradient.dtype() != dtype()))
    fail<GradError>("[set_grad] the gradient is {} {}; it must be {} {}, as the tensor", gradient.dtype(),
                    gradient.shape(), dtype(), shape());
  node->grad = gradient.defined() ? cotangent::clone(gradient) : gradient;
}

void Tensor::retain_grad() const {
  Node* node = history_of("retain_grad", *this);
  if (!node->is_leaf()) node->make_extras().retain(impl_->output).always = true;
}

void Tensor::set_name(std::string_view name) const {
  history_of("set_name", *this)->make_extras().set_name(impl_->output, name);
}

std::string Tensor::name() const {
  get();
  const Node* node = detail::history(*this);
  return node && node->extras ? node->extras->name(impl_->output) : std::string();
}

Tensor Tensor::detach() const { return detail::make_alias(*this); }

int Tensor::add_hook(HookFunction hook) const {
  try {
    return history_of("register_hook", *this)->make_extras().add_hook(impl_->output, hook);
  } catch (...) {
    hook.destroy(hook.state);
    throw;
  }
}

void Tensor::remove_hook(int key) const {
  const Tensor alive(*this);  // what goes with the hook may be the last to hold this tensor
  Node* node = history_of("remove_hook", *this);
  if (key < 0 || !node->extras || !node->extras->remove_hook(key))
    fail<ValueError>("[remove_hook] the tensor has no hook with key {}; register_hook returns it", key);
}

}  // namespace cotangent
