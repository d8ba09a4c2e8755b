#include <cotangent/optim/optimizer.hpp>

#include <algorithm>

#include <cotangent/optim/rule.hpp>
#include <cotangent/tensor/copy.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/names.hpp>

namespace cotangent::optim {

void Optimizer::zero_grad() {
  for (const Tensor& p : parameters_)
    if (p.requires_grad()) p.set_grad(Tensor());
  for (const Master& m : masters_)
    if (m.values.defined()) m.values.set_grad(Tensor());
}

// ---- master weights ----

void Optimizer::keep_masters() {
  for (size_t i = masters_.size(); i < parameters_.size(); ++i) {
    const Tensor& p = parameters_[i];
    masters_.push_back({});
    if (is_low_precision(p.dtype())) masters_[i] = {raw::cast(p, float32).requires_grad_(), p.version()};
  }
}

Tensors Optimizer::masters() const {
  Tensors all = parameters_;
  for (size_t i = 0; i < masters_.size(); ++i)
    if (masters_[i].values.defined()) all[i] = masters_[i].values;
  return all;
}

const Tensor& Optimizer::master(size_t i) {
  Master& m = masters_[i];
  const Tensor& p = parameters_[i];
  if (!m.values.defined()) return p;
  if (m.version != p.version()) {  // loaded, for instance
    const Tensor own = m.values.detach(),
                 same = raw::binary("keep_masters", raw::Binary::eq, raw::cast(own, p.dtype()), p);
    raw::copy_into("keep_masters", raw::where("keep_masters", same, own, raw::cast(p, float32)), own);
    m.version = p.version();
  }
  return m.values;
}

void Optimizer::round_master(size_t i) {
  raw::copy_into("keep_masters", masters_[i].values, parameters_[i]);
  cotangent::detail::bump_version(parameters_[i]);
  masters_[i].version = parameters_[i].version();
}

static std::string master_key(size_t i) { return "state." + std::to_string(i) + ".master"; }

void Optimizer::save_masters(StateDict& into) const {
  for (size_t i = 0; i < masters_.size(); ++i)
    if (masters_[i].values.defined()) into.add(master_key(i), masters_[i].values.detach());
}

void Optimizer::load_masters(const StateDict& from) {
  std::vector<Master> loaded(parameters_.size());
  size_t count = 0, low = 0;
  for (size_t i = 0; i < loaded.size(); ++i) {
    const Tensor &saved = from.get(master_key(i)), &p = parameters_[i];
    low += is_low_precision(p.dtype());
    if (!saved.defined()) continue;
    if (saved.shape() != p.shape() || !is_low_precision(p.dtype()))
      fail<ValueError>("[load_state_dict] {} is {}, and its parameter is {} {}; the state belongs to another model",
                       master_key(i), saved.shape(), p.dtype(), p.shape());
    loaded[i] = {raw::clone(raw::cast(saved, float32)).requires_grad_(), p.version()};
    ++count;
  }
  if (count != 0 && count != low)
    fail<ValueError>("[load_state_dict] {} master weights for {} low-precision parameters; the state is incomplete",
                     count, low);
  const bool kept = has_masters();
  masters_ = std::move(loaded);
  if (count > 0) return;
  masters_.clear();
  if (kept) keep_masters();  // as the parameters are now
}

void Optimizer::take(const char* name, const Tensors& parameters) {
  Tensors all = parameters_;  // nothing is taken unless everything can be
  for (const Tensor& p : parameters) {
    const size_t number = all.size();
    if (!p.defined()) fail<ValueError>("[{}] parameter {} is undefined; leave it out", name, number);
    if (!p.is_floating())
      fail<DTypeError>("[{}] parameter {} is {}; only floating tensors are trained", name, number, p.dtype());
    if (!p.is_leaf())
      fail<GradError>("[{}] parameter {}, of shape {}, is the result of an op; give the leaf that it was computed from",
                      name, number, p.shape());
    for (size_t i = 0; i < number; ++i)
      if (all[i].impl() == p.impl())
        fail<ValueError>("[{}] parameters {} and {} are the same tensor; name each once", name, i, number);
    all.push_back(p);
  }
  if (all.empty()) fail<ValueError>("[{}] there are no parameters; pass model.parameters()", name);
  parameters_ = std::move(all);
  if (!masters_.empty()) keep_masters();
}

bool Optimizer::is_replaced(const Tensor& p, int own) { return p.requires_grad() && p.impl()->refs.count() <= own; }

void Optimizer::without_gradients(const char* name, int own, bool any) const {
  constexpr size_t kLength = 60;
  std::string frozen, replaced, unreached;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const Tensor& p = parameters_[i];
    if (any && (p.grad().defined() || !is_replaced(p, own))) continue;
    std::string& list = !p.requires_grad() ? frozen : is_replaced(p, own) ? replaced : unreached;
    if (list.size() < kLength)
      list += fmt::format("{}{} of shape {}", list.empty() ? "" : ", ", i, p.shape());
    else if (!list.ends_with("..."))
      list += ", ...";
  }
  std::string why;
  const auto add = [&](const std::string& list, const char* cause) {
    if (!list.empty()) why += fmt::format("; {}: {}", list, cause);
  };
  add(replaced,
      "nobody else holds the tensor any more, so the model has another in its place; make the optimizer after to() "
      "and after parameters are replaced");
  add(unreached, "no backward() has reached it since zero_grad(), or the loss was computed from another tensor");
  add(frozen, "it does not require a gradient");
  fail<GradError>("[{}] step() without a gradient of {}{}", name,
                  any ? "parameters that will never get one" : "any parameter", why);
}

namespace detail {

std::string_view Fields::next_name(const char*& names) {
  const std::string_view name = cotangent::detail::next_name(names);
  const size_t open = name.find('(');  // of a range
  return open == name.npos ? name : name.substr(open + 1, name.size() - open - 2);
}

void Fields::field(std::string_view name, Tensor& value) {
  const std::string key = prefix_ + std::string(name);
  if (into_) {
    if (value.defined()) into_->add(key, value);
    return;
  }
  const Tensor& saved = from_->get(key);
  ++asked_;
  if (!saved.defined()) return;
  ++count_;
  if (saved.shape() != shape_)
    fail<ValueError>("[load_state_dict] {} is {}, and its parameter is {}; the state belongs to another model", key,
                     saved.shape(), shape_);
  value = raw::clone(saved);
}

void Fields::numbers(std::string_view name, double* values, int64_t count) {
  const std::string key = prefix_ + std::string(name);
  const Shape shape = count == 1 ? Shape{} : Shape{count};
  if (into_) {
    into_->add(key, from_span(std::span<const double>(values, static_cast<size_t>(count)), shape));
    return;
  }
  const Tensor& saved = from_->get(key);
  ++asked_;
  if (!saved.defined()) return;
  ++count_;
  if (saved.shape() != shape) fail<ValueError>("[load_state_dict] {} is {}; it must be {}", key, saved.shape(), shape);
  const std::vector<double> numbers = saved.to_vector<double>();
  std::copy(numbers.begin(), numbers.end(), values);
}

std::string_view Fields::name_at(const char* names, int number) {
  for (; number > 0; --number) next_name(names);
  return next_name(names);
}

Tensor state_like(const Tensor& p, double value) {
  const Tensor state = raw::empty_like(p, p.dtype() == float64 ? float64 : float32);
  raw::fill_into(state, value);
  return state;
}

void no_such_group(const char* name, size_t group, size_t count) {
  fail<IndexError>("[{}] there is no group {}; there are {}, counted from 0", name, group, count);
}

void groups_changed(const char* name, size_t count, size_t known) {
  fail<ValueError>("[{}] the groups hold {} parameters, but {} were given; add parameters with add_group", name, count,
                   known);
}

void state_of_another(const char* name, size_t read, size_t present) {
  fail<ValueError>(
      "[load_state_dict] {} of {} entries belong to this {}; load what state_dict() of the same optimizer gave", read,
      present, name);
}

}  // namespace detail
}  // namespace cotangent::optim
