#pragma once
// What an optimizer is made of, for those who write one: the fields of its options and of its state, and a rule that
// updates one parameter.
#include <cotangent/optim/optimizer.hpp>
#include <cotangent/tensor/optim.hpp>
#include <cotangent/tensor/range.hpp>

namespace cotangent::optim {
namespace detail {

using cotangent::detail::is_in;
using cotangent::detail::out_of_range;
using cotangent::detail::Range;

/// An option with its range: how COTANGENT_FIELDS names those that are checked.
template <class T>
struct Ranged {
  T& value;
  Range range;
};
inline Ranged<double> not_negative(double& value) { return {value, Range::not_negative}; }
inline Ranged<int64_t> at_least_1(int64_t& value) { return {value, Range::at_least_1}; }
inline Ranged<double> fraction(double& value) { return {value, Range::fraction}; }
inline Ranged<double[2]> beta(double (&values)[2]) { return {values, Range::beta}; }

/// Named fields: turns them into entries of a state_dict and back, or checks that they are in range.
class Fields {
 public:
  Fields(StateDict& into, std::string prefix) : into_(&into), prefix_(std::move(prefix)) {}
  Fields(const StateDict& from, std::string prefix, const Shape& shape)
      : from_(&from), prefix_(std::move(prefix)), shape_(shape) {}
  explicit Fields(const char* optimizer) : optimizer_(optimizer) {}
  /// `names` as they stand in COTANGENT_FIELDS: "not_negative(lr), maximize".
  template <class... T>
  void list(const char* names, T&&... fields) {
    if (optimizer_) {
      int number = 0;
      (check(names, number++, fields), ...);
    } else {
      (field(next_name(names), fields), ...);
    }
  }
  /// How many entries of `from` were read.
  size_t count() const { return count_; }
  /// Whether `from` had an entry for each field.
  bool complete() const { return count_ == asked_; }

 private:
  void field(std::string_view name, Tensor& value);
  void field(std::string_view name, double& value) { numbers(name, &value, 1); }
  void field(std::string_view name, double (&values)[2]) { numbers(name, values, 2); }
  template <class T>
  void field(std::string_view name, T& value) {
    double number = static_cast<double>(value);
    numbers(name, &number, 1);
    value = static_cast<T>(number);
  }
  template <class T>
  void field(std::string_view name, Ranged<T>& ranged) {
    field(name, ranged.value);
  }
  void numbers(std::string_view name, double* values, int64_t count);
  static std::string_view next_name(const char*& names);
  static std::string_view name_at(const char* names, int number);

  template <class T>
  void check(const char*, int, T&) {}
  template <class T>
  void check(const char* names, int number, Ranged<T>& ranged) {
    check(names, number, static_cast<double>(ranged.value), ranged.range);
  }
  void check(const char* names, int number, Ranged<double[2]>& ranged) {
    for (double value : ranged.value) check(names, number, value, ranged.range);
  }
  void check(const char* names, int number, double value, Range range) {
    if (!is_in(range, value)) out_of_range(optimizer_, name_at(names, number), value, range);
  }

  StateDict* into_ = nullptr;
  const StateDict* from_ = nullptr;
  const char* optimizer_ = nullptr;
  std::string prefix_;
  Shape shape_;
  size_t count_ = 0, asked_ = 0;
};

/// A ValueError for options out of range: by their fields, and by check() if they have that.
template <class Options>
void check_options(const char* optimizer, Options options) {
  Fields fields(optimizer);
  options.fields(fields);
  if constexpr (requires { options.check(); }) options.check();
}

/// `value` in p's shape and layout: of p's dtype, or float32 for low-precision floats.
Tensor state_like(const Tensor& p, double value = 0);

/// A parameter as a rule sees it.
struct Update {
  const Tensor& parameter;
  const Tensor& gradient;  // only read
  bool maximize;

  /// Gives an undefined state its first value.
  void start(Tensor& state, double value = 0) const {
    if (!state.defined()) state = state_like(parameter, value);
  }
  /// Takes a step of tensor/kernels/optim.hpp with these states, null for one that is not kept. Undefined ones start at
  /// 0.
  template <class Step>
  void take(const Step& step, std::initializer_list<Tensor*> states) const {
    for (Tensor* state : states)
      if (state) start(*state);
    raw::optimizer_step(step, maximize, parameter, gradient, states);
  }
};

/// Its handles of a parameter: in the list of all, and in that of its group.
inline constexpr int kGroupedHandles = 2;

/// What a grouped optimizer keeps: its groups, and what it remembers of each parameter.
template <class Options, class State>
struct GroupedParts {
  std::vector<Group<Options>> groups;
  std::vector<State> states;  // of the parameters of all groups, in their order
};

[[noreturn]] void no_such_group(const char* name, size_t group, size_t count);
[[noreturn]] void groups_changed(const char* name, size_t count, size_t known);
[[noreturn]] void state_of_another(const char* name, size_t read, size_t present);

}  // namespace detail

/// Options and states declare `void fields(detail::Fields& f);`, and this defines it by their fields and their ranges.
#define COTANGENT_FIELDS(Type, ...)                          \
  void Type::fields(::cotangent::optim::detail::Fields& f) { \
    using namespace ::cotangent::optim::detail;              \
    f.list(#__VA_ARGS__, __VA_ARGS__);                       \
  }

/// Compiles an optimizer, whose `update` is defined above.
#define COTANGENT_OPTIMIZER(Type, Options, State) \
  template <>                                     \
  const char* const Type::kName = #Type;          \
  template class GroupedOptimizer<Options, State>;

template <class O, class S>
GroupedOptimizer<O, S>::GroupedOptimizer() : parts_(new detail::GroupedParts<O, S>) {}

template <class O, class S>
GroupedOptimizer<O, S>::GroupedOptimizer(const Tensors& parameters, const O& options)
    : GroupedOptimizer(std::vector<Group<O>>{{parameters, options}}) {}

template <class O, class S>
GroupedOptimizer<O, S>::GroupedOptimizer(std::vector<Group<O>> groups) : GroupedOptimizer() {
  for (Group<O>& group : groups) add_group(std::move(group));
  take(kName, {});
}

template <class O, class S>
GroupedOptimizer<O, S>::GroupedOptimizer(GroupedOptimizer&& other) : GroupedOptimizer() {
  *this = std::move(other);
}

template <class O, class S>
GroupedOptimizer<O, S>& GroupedOptimizer<O, S>::operator=(GroupedOptimizer&& other) {
  *parts_ = std::move(*other.parts_);
  Optimizer::operator=(std::move(other));
  return *this;
}

template <class O, class S>
GroupedOptimizer<O, S>::~GroupedOptimizer() {
  delete parts_;
}

template <class O, class S>
std::vector<Group<O>>& GroupedOptimizer<O, S>::groups() {
  return parts_->groups;
}

template <class O, class S>
void GroupedOptimizer<O, S>::add_group(Group<O> group) {
  detail::check_options(kName, group.options);
  take(kName, group.parameters);
  parts_->states.resize(parts_->states.size() + group.parameters.size());
  parts_->groups.push_back(std::move(group));
}

template <class O, class S>
void GroupedOptimizer<O, S>::step() {
  size_t count = 0;
  for (const Group<O>& group : parts_->groups) count += group.parameters.size();
  if (count != parts_->states.size()) detail::groups_changed(kName, count, parts_->states.size());
  S* state = parts_->states.data();
  size_t i = 0;
  bool any = false, lost = false;
  for (const Group<O>& group : parts_->groups) {
    detail::check_options(kName, group.options);
    for (const Tensor& parameter : group.parameters) {
      const Tensor& updated = has_masters() ? master(i) : parameter;
      const Tensor& gradient = updated.grad().defined() ? updated.grad() : parameter.grad();
      if (gradient.defined()) {
        update({updated, gradient, group.options.maximize}, *state, group.options);
        if (updated.impl() != parameter.impl()) round_master(i);
        any = true;
      } else {
        lost |= is_replaced(parameter, detail::kGroupedHandles);
      }
      ++state, ++i;
    }
  }
  if (!any || lost) without_gradients(kName, detail::kGroupedHandles, any);
}

template <class O, class S>
double& GroupedOptimizer<O, S>::lr(size_t group) {
  if (group >= group_count()) detail::no_such_group(kName, group, group_count());
  return parts_->groups[group].options.lr;
}

template <class O, class S>
size_t GroupedOptimizer<O, S>::group_count() const {
  return parts_->groups.size();
}

template <class O, class S>
double* GroupedOptimizer<O, S>::momentum(size_t group) {
  lr(group);
  [[maybe_unused]] O& options = parts_->groups[group].options;
  if constexpr (requires { options.betas; })
    return &options.betas[0];
  else if constexpr (requires { options.momentum; })
    return &options.momentum;
  else
    return nullptr;
}

template <class O, class S>
StateDict GroupedOptimizer<O, S>::state_dict() const {
  StateDict result;
  for (size_t i = 0; i < parts_->states.size(); ++i) {
    detail::Fields f(result, "state." + std::to_string(i) + ".");
    parts_->states[i].fields(f);
  }
  for (size_t g = 0; g < parts_->groups.size(); ++g) {
    detail::Fields f(result, "param_groups." + std::to_string(g) + ".");
    parts_->groups[g].options.fields(f);
  }
  save_masters(result);
  return result;
}

template <class O, class S>
void GroupedOptimizer<O, S>::load_state_dict(const StateDict& from) {
  auto [groups, states] = *parts_;  // nothing changes unless everything fits
  size_t read = 0;
  for (size_t i = 0; i < states.size(); ++i) {
    detail::Fields f(from, "state." + std::to_string(i) + ".", parameters_[i].shape());
    states[i] = S();
    states[i].fields(f);
    read += f.count();
  }
  for (size_t g = 0; g < groups.size(); ++g) {
    detail::Fields f(from, "param_groups." + std::to_string(g) + ".", {});
    groups[g].options.fields(f);
    detail::check_options(kName, groups[g].options);
    read += f.count();
    if (!f.complete()) detail::state_of_another(kName, read, from.size());
  }
  for (const NamedTensor& entry : from) read += entry.name.ends_with(".master");
  if (read != from.size()) detail::state_of_another(kName, read, from.size());
  load_masters(from);
  *parts_ = {std::move(groups), std::move(states)};
}

}  // namespace cotangent::optim
