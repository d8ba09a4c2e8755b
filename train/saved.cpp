#include <algorithm>

#include <cotangent/tensor/copy.hpp>
#include <cotangent/tensor/error.hpp>
#include <cotangent/train/saved_internal.hpp>

namespace cotangent::detail {

SavedTraining::SavedTraining(nn::Module& model, optim::Optimizer& optimizer)
    : optimizer_(optimizer), state_(optimizer.state_dict().clone()), generator_(default_generator().state()) {
  model.members(*this);
  for (const Tensor& p : optimizer.parameters()) keep(p);
  for (size_t g = 0; g < optimizer.group_count(); ++g) rates_.push_back(optimizer.lr(g));
}

SavedTraining::~SavedTraining() {
  try {
    go_back();
  } catch (const Error&) {  // options out of range, for which step() throws too: nothing was changed
  }
  for (const Kept& k : kept_)
    if (k.parameter.requires_grad()) k.parameter.set_grad(k.gradient);
  for (Place& place : buffers_) place.member->swap(place.before);
}

void SavedTraining::keep(const Tensor& p) {
  if (!p.defined()) return;
  for (const Kept& k : kept_)
    if (k.parameter.impl() == p.impl()) return;
  kept_.push_back({p, raw::clone(p.detach()), p.requires_grad() ? p.grad() : Tensor()});
}

const Tensor& SavedTraining::value(const Tensor& parameter) const {
  return std::find_if(kept_.begin(), kept_.end(), [&](const Kept& k) { return k.parameter.impl() == parameter.impl(); })
      ->value;
}

void SavedTraining::clear_gradients() {
  for (const Kept& k : kept_)
    if (k.parameter.requires_grad()) k.parameter.set_grad(Tensor());
}

void SavedTraining::start_forward() {
  for (const Place& place : buffers_) static_cast<Tensor&>(*place.member) = raw::clone(place.before);
}

void SavedTraining::go_back() {
  for (const Kept& k : kept_) raw::copy_into("check_model", k.value, k.parameter);
  for (size_t g = 0; g < rates_.size(); ++g) optimizer_.lr(g) = rates_[g];
  optimizer_.load_state_dict(state_);
}

}  // namespace cotangent::detail
