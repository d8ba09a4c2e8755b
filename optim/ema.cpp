#include <cotangent/optim/ema.hpp>

#include <algorithm>

#include <cotangent/optim/rule.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/range.hpp>

namespace cotangent::optim {

EMA::EMA(std::vector<NamedTensor> parameters, const std::vector<NamedTensor>& buffers, const EMAOptions& options)
    : options_(options), model_(std::move(parameters)) {
  cotangent::detail::check_fraction("EMA", "decay", options.decay);
  if (options.average_buffers)
    for (const NamedTensor& buffer : buffers)
      if (buffer.tensor.is_floating()) model_.push_back(buffer);
  if (model_.empty()) fail<ValueError>("[EMA] the model has no parameters to average");
  for (NamedTensor& entry : model_) {
    entry.tensor = entry.tensor.detach();  // shares the values, and may be written
    averages_.push_back({entry.name, detail::state_like(entry.tensor)});
    averages_.back().tensor.copy_(entry.tensor);
  }
}

void EMA::update() {
  if (is_swapped_in()) fail<ValueError>("[EMA] update() while the averages are in the model; swap_out() first");
  const auto t = static_cast<double>(num_updates_++);
  const double decay = options_.warmup ? std::min(options_.decay, (1 + t) / (10 + t)) : options_.decay;
  // a step of SGD down (a - p)^2 / 2
  const kernels::SgdStep step{.lr = 1 - decay, .momentum = 0, .fresh = 0, .weight_decay = 1, .nesterov = false};
  for (size_t i = 0; i < model_.size(); ++i) raw::optimizer_step(step, true, averages_[i].tensor, model_[i].tensor, {});
}

void EMA::swap_in() {
  if (is_swapped_in()) fail<ValueError>("[EMA] the averages are in the model already");
  Tensors own;
  for (const NamedTensor& entry : model_) own.push_back(raw::clone(entry.tensor));
  for (size_t i = 0; i < model_.size(); ++i) model_[i].tensor.copy_(averages_[i].tensor);
  own_ = std::move(own);
}

void EMA::swap_out() {
  if (!is_swapped_in()) fail<ValueError>("[EMA] the averages are not in the model; swap_in() first");
  for (size_t i = 0; i < model_.size(); ++i) model_[i].tensor.copy_(own_[i]);
  own_.clear();
}

StateDict EMA::state_dict() const {
  StateDict state;
  for (const NamedTensor& entry : averages_) state.add(entry.name, entry.tensor);
  state.add("num_updates", full({}, static_cast<double>(num_updates_), float64));
  return state;
}

void EMA::load_state_dict(const StateDict& state) {
  const Tensor& updates = state.get("num_updates");
  bool fits = state.size() == averages_.size() + 1 && updates.defined() && updates.numel() == 1;
  for (const NamedTensor& entry : averages_) {
    const Tensor& saved = state.get(entry.name);
    if (saved.defined() && saved.shape() != entry.tensor.shape())
      fail<ValueError>("[load_state_dict] the average of {} is {}, and the parameter {}; it belongs to another model",
                       entry.name, saved.shape(), entry.tensor.shape());
    fits &= saved.defined();
  }
  if (!fits) fail<ValueError>("[load_state_dict] this is not the state of an EMA of this model");
  for (NamedTensor& entry : averages_) entry.tensor.copy_(state.get(entry.name).to(entry.tensor.dtype()));
  num_updates_ = static_cast<int64_t>(updates.item());
}

}  // namespace cotangent::optim
