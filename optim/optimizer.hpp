#pragma once
// What optimizers have in common. One is made from a list of parameters with options, or from groups of parameters with
// options of their own:
//
//     optim::AdamW optimizer(model.parameters(), {.lr = 3e-4, .weight_decay = 0.1});
//
//     optimizer.zero_grad();
//     loss.backward();
//     optimizer.step();
#include <cotangent/tensor/names.hpp>
#include <cotangent/tensor/state_dict.hpp>

namespace cotangent::optim {

/// Parameters that are updated alike.
template <class Options>
struct Group {
  Tensors parameters;
  Options options;
};

/// The base of all optimizers. step() reads the gradients and never writes them; a parameter without one stays as it
/// is.
class Optimizer {
 public:
  virtual ~Optimizer() = default;

  /// Updates all parameters by their gradients.
  virtual void step() = 0;
  /// Forgets the gradients: grad() is undefined until the next backward().
  void zero_grad();

  /// The learning rate of a group, to read and to set (schedules). An IndexError when there is no such group.
  virtual double& lr(size_t group = 0) = 0;
  virtual size_t group_count() const = 0;
  /// The momentum of a group, or the first of its betas; null when the optimizer has neither. OneCycleLR moves it.
  virtual double* momentum([[maybe_unused]] size_t group = 0) { return nullptr; }

  /// What is needed to go on where this optimizer is: "state.0.exp_avg" is of the first parameter, "param_groups.0.lr"
  /// an option of the first group. The tensors share the optimizer's memory.
  virtual StateDict state_dict() const = 0;
  /// A ValueError when the state belongs to another kind of optimizer or to other parameters.
  virtual void load_state_dict(const StateDict& state) = 0;

 protected:
  Optimizer() = default;
  Optimizer(Optimizer&&) = default;
  Optimizer& operator=(Optimizer&&) = default;
  /// Takes over parameters after checking them: defined floating leaves, each once. `name` is the optimizer's, for
  /// errors.
  void take(const char* name, const Tensors& parameters);

  Tensors parameters_;  // of all groups
};

namespace detail {

/// Turns named fields into entries of a state_dict and back.
class Fields {
 public:
  Fields(StateDict& into, std::string prefix) : into_(&into), prefix_(std::move(prefix)) {}
  Fields(const StateDict& from, std::string prefix, const Shape& shape)
      : from_(&from), prefix_(std::move(prefix)), shape_(shape) {}
  /// `names` as they stand in COTANGENT_FIELDS: "lr, betas".
  template <class... T>
  void list(const char* names, T&... fields) {
    (field(cotangent::detail::next_name(names), fields), ...);
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
  void numbers(std::string_view name, double* values, int64_t count);

  StateDict* into_ = nullptr;
  const StateDict* from_ = nullptr;
  std::string prefix_;
  Shape shape_;
  size_t count_ = 0, asked_ = 0;
};

/// What a grouped optimizer keeps: its groups, and what it remembers of each parameter.
template <class Options, class State>
struct GroupedParts {
  std::vector<Group<Options>> groups;
  std::vector<State> states;  // of the parameters of all groups, in their order
};

/// Zeros of p's shape and layout, for a mean of its gradients: of p's dtype, or float32 for low-precision floats.
Tensor state_like(const Tensor& p);
[[noreturn]] void no_such_group(const char* name, size_t group, size_t count);
[[noreturn]] void groups_changed(const char* name, size_t count, size_t known);
[[noreturn]] void state_of_another(const char* name, size_t read, size_t present);

}  // namespace detail

/// Options and states declare `void fields(detail::Fields& f);`, and this defines it by their fields, for state_dict().
#define COTANGENT_FIELDS(Type, ...) \
  void Type::fields(::cotangent::optim::detail::Fields& f) { f.list(#__VA_ARGS__, __VA_ARGS__); }

/// The groups of an optimizer, and a state for each parameter.
template <class Options, class State>
class GroupedOptimizer : public Optimizer {
 public:
  GroupedOptimizer(GroupedOptimizer&& other) : GroupedOptimizer(other.name_, other.check_) { *this = std::move(other); }
  GroupedOptimizer& operator=(GroupedOptimizer&& other) {
    *parts_ = std::move(*other.parts_);
    Optimizer::operator=(std::move(other));
    return *this;
  }
  ~GroupedOptimizer() override;  // defined outside, so that it is compiled with the optimizer and nowhere else
  /// The groups' options may be changed between steps; parameters are added by add_group alone.
  std::vector<Group<Options>>& groups() { return parts_->groups; }
  /// Adds parameters, for instance of a layer that was frozen so far.
  void add_group(Group<Options> group) {
    check_(group.options);
    take(name_, group.parameters);
    parts_->states.resize(parts_->states.size() + group.parameters.size());
    parts_->groups.push_back(std::move(group));
  }

  double& lr(size_t group = 0) final {
    if (group >= parts_->groups.size()) detail::no_such_group(name_, group, parts_->groups.size());
    return parts_->groups[group].options.lr;
  }
  size_t group_count() const final { return parts_->groups.size(); }
  double* momentum(size_t group = 0) final {
    lr(group);
    [[maybe_unused]] Options& options = parts_->groups[group].options;
    if constexpr (requires { options.betas; })
      return &options.betas[0];
    else if constexpr (requires { options.momentum; })
      return &options.momentum;
    else
      return nullptr;
  }

  StateDict state_dict() const final {
    StateDict result;
    for (size_t i = 0; i < parts_->states.size(); ++i) {
      detail::Fields f(result, "state." + std::to_string(i) + ".");
      parts_->states[i].fields(f);
    }
    for (size_t g = 0; g < parts_->groups.size(); ++g) {
      detail::Fields f(result, "param_groups." + std::to_string(g) + ".");
      parts_->groups[g].options.fields(f);
    }
    return result;
  }

  void load_state_dict(const StateDict& from) final {
    auto [groups, states] = *parts_;  // nothing changes unless everything fits
    size_t read = 0;
    for (size_t i = 0; i < states.size(); ++i) {
      detail::Fields f(from, "state." + std::to_string(i) + ".", parameters_[i].shape());
      states[i] = State();
      states[i].fields(f);
      read += f.count();
    }
    for (size_t g = 0; g < groups.size(); ++g) {
      detail::Fields f(from, "param_groups." + std::to_string(g) + ".", {});
      groups[g].options.fields(f);
      check_(groups[g].options);
      read += f.count();
      if (!f.complete()) detail::state_of_another(name_, read, from.size());
    }
    if (read != from.size()) detail::state_of_another(name_, read, from.size());
    *parts_ = {std::move(groups), std::move(states)};
  }

 protected:
  GroupedOptimizer(const char* name, void (*check_options)(const Options&), std::vector<Group<Options>> groups)
      : GroupedOptimizer(name, check_options) {
    for (Group<Options>& group : groups) add_group(std::move(group));
    take(name_, {});
  }
  /// Calls update(parameter, gradient, state, options) for each parameter that has a gradient.
  template <class F>
  void for_each(F&& update) {
    size_t count = 0;
    for (const Group<Options>& group : parts_->groups) count += group.parameters.size();
    if (count != parts_->states.size()) detail::groups_changed(name_, count, parts_->states.size());
    State* state = parts_->states.data();
    for (const Group<Options>& group : parts_->groups) {
      check_(group.options);
      for (const Tensor& parameter : group.parameters) {
        const Tensor& gradient = parameter.grad();
        if (gradient.defined()) update(parameter, gradient, *state, group.options);
        ++state;
      }
    }
  }

 private:
  GroupedOptimizer(const char* name, void (*check_options)(const Options&)) : name_(name), check_(check_options) {}

  using Parts = detail::GroupedParts<Options, State>;
  const char* name_;
  void (*check_)(const Options&);
  Parts* parts_ = new Parts;  // apart, so that who includes an optimizer need not compile two vectors for it
};

template <class Options, class State>
GroupedOptimizer<Options, State>::~GroupedOptimizer() {
  delete parts_;
}

}  // namespace cotangent::optim
