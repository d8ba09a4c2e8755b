#pragma once
// What optimizers have in common. One is made from a list of parameters with options, or from groups of parameters with
// options of their own:
//
//     optim::AdamW optimizer(model.parameters(), {.lr = 3e-4, .weight_decay = 0.1});
//
//     optimizer.zero_grad();
//     loss.backward();
//     optimizer.step();
#include <cotangent/tensor/state_dict.hpp>

namespace cotangent::optim {

/// Parameters that are updated alike.
template <class Options>
struct Group {
  Tensors parameters;
  Options options;
};

/// The base of all optimizers. step() reads the gradients and never writes them; a parameter without one stays as it
/// is. When there are none at all, nothing would be trained: step() is then a GradError that says why each parameter
/// lacks one. So it is, after the others have moved, when one has no gradient and can't get one any more, because
/// nobody else holds its tensor: the model has another in its place.
class Optimizer {
 public:
  virtual ~Optimizer() = default;

  /// Updates all parameters by their gradients.
  virtual void step() = 0;
  /// Forgets the gradients: grad() is undefined until the next backward().
  void zero_grad();

  /// The parameters of all groups.
  const Tensors& parameters() const { return parameters_; }

  /// Master weights (Micikevicius et al., arXiv:1710.03740): from here on float16 and bfloat16 parameters have copies
  /// in float32, which steps update, and of which the parameters are the rounded values. Else a step that is small
  /// beside a parameter is lost: 1 + 1e-4 is 1 in float16. A parameter that somebody else writes is the master's value
  /// from then on. The masters are part of state_dict(). LBFGS has none, and throws a ValueError.
  virtual void keep_masters();
  /// For each parameter the tensor that a step updates: its master, or itself. A gradient that is set there goes before
  /// that of the parameter, and clipping gradients in float32 takes this list.
  Tensors masters() const;

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
  /// Whether nobody else holds a parameter, of which the optimizer has `own` handles, so that no gradient can reach it.
  static bool is_replaced(const Tensor& parameter, int own);
  /// The GradError of a step() without a gradient of any parameter, or `any` but with replaced ones.
  [[noreturn]] void without_gradients(const char* name, int own, bool any) const;
  bool has_masters() const { return !masters_.empty(); }
  /// The master of parameter i with the values of now; the parameter itself where there is none.
  const Tensor& master(size_t i);
  /// Makes parameter i its rounded master.
  void round_master(size_t i);
  void save_masters(StateDict& into) const;
  /// A ValueError unless they are those of the parameters, or there are none.
  void load_masters(const StateDict& from);

  Tensors parameters_;  // of all groups

 private:
  struct Master {
    Tensor values;     // undefined for a parameter of full precision
    uint32_t version;  // of the parameter that has these values, rounded
  };
  std::vector<Master> masters_;  // of all parameters; empty where none are kept
};

namespace detail {
class Fields;
struct Update;
template <class Options, class State>
struct GroupedParts;
}  // namespace detail

/// An optimizer: its options, what it remembers of each parameter, and its update rule. All else is the same for all,
/// and rule.hpp defines it.
template <class Options, class State>
class GroupedOptimizer : public Optimizer {
 public:
  /// A ValueError for options out of range, and unless there are parameters, each given once; a DTypeError unless they
  /// are floating; a GradError for the result of an op.
  explicit GroupedOptimizer(const Tensors& parameters, const Options& options = {});
  explicit GroupedOptimizer(std::vector<Group<Options>> groups);
  GroupedOptimizer(GroupedOptimizer&& other);
  GroupedOptimizer& operator=(GroupedOptimizer&& other);
  ~GroupedOptimizer() override;

  /// The groups' options may be changed between steps; parameters are added by add_group alone.
  std::vector<Group<Options>>& groups();
  /// Adds parameters, for instance of a layer that was frozen so far.
  void add_group(Group<Options> group);

  void step() override;
  double& lr(size_t group = 0) final;
  size_t group_count() const final;
  double* momentum(size_t group = 0) final;
  StateDict state_dict() const final;
  void load_state_dict(const StateDict& state) final;

 private:
  static const char* const kName;  // for errors
  static void update(const detail::Update& u, State& s, const Options& o);
  GroupedOptimizer();
  detail::GroupedParts<Options, State>* parts_;
};

}  // namespace cotangent::optim
