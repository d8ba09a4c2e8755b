#pragma once
// What layers and models have in common. A module is a plain struct with named members, and one line that lists them:
//
//     struct MLP : nn::Module {
//       nn::Linear fc1{784, 256}, fc2{256, 10};
//       COTANGENT_MODULE(fc1, fc2)
//
//       Tensor forward(const Tensor& x) { return fc2(relu(fc1(x))); }
//     };
//
//     MLP model;
//     Tensor logits = model(images);
//
// Everything else follows from the list: parameters(), state_dict() with the keys fc1.weight, fc1.bias, ..., train(),
// printing. A member may be a Parameter, a Buffer, a module, or a std::vector, std::array, std::optional or smart
// pointer of these; `std::vector<Block> blocks` gives the keys blocks.0, blocks.1, ...
//
// Modules are handles as tensors are: a copy of the struct shares the parameters and the buffers, and clone() is a copy
// that shares nothing. (Which of the two was meant by std::vector<Block>(6, Block())? nn::repeat makes six different
// ones.)
#include <string_view>
#include <type_traits>
#include <utility>

#include <cotangent/tensor/names.hpp>
#include <cotangent/tensor/state_dict.hpp>

namespace cotangent::nn {

class Module;
class Parametrization;
template <class Base>
class Any;
namespace detail {
class Call;
class Parametrized;
/// Gives m tensors of its own. What was shared within m stays shared.
void unshare(Module& m);
}  // namespace detail

/// A tensor that training changes: a leaf that requires a gradient. Undefined when the layer goes without (a bias).
/// nn/parametrization.hpp can have it computed from others in each call of its module.
class Parameter : public Tensor {
 public:
  Parameter() = default;
  /// Shares the values, without their history. A leaf that requires a gradient already is taken as it is, so that
  /// `head.weight = embedding.weight` ties the two.
  Parameter(const Tensor& values);
  Parameter(const Parameter& other);
  Parameter(Parameter&& other) noexcept : Tensor(std::move(other)), how_(std::exchange(other.how_, nullptr)) {}
  Parameter& operator=(Parameter other) noexcept;
  ~Parameter() {
    if (how_) compute_by(nullptr);
  }
  /// What computes it; null where it is trained itself.
  Parametrization* parametrization() const;

 private:
  friend class detail::Parametrized;
  void compute_by(Any<Parametrization>* how);

  Any<Parametrization>* how_ = nullptr;  // owned
};

/// A tensor that belongs to the state of a module but is not trained: running statistics, tables.
class Buffer : public Tensor {
 public:
  Buffer() = default;
  Buffer(const Tensor& values) : Tensor(values) {}
};

/// Walks over the members of a module, and of the modules in it, with their paths ("blocks.2.attention").
class Members {
 public:
  virtual ~Members() = default;
  /// Called by COTANGENT_MODULE. `names` are what stands in its parentheses: "fc1, fc2". What is added by an empty name
  /// has the path of what is around it: a wrapper does so (nn/peft/), whose keys are those of the module in it.
  template <class... T>
  void list([[maybe_unused]] const char* names, T&... members) {
    (add(cotangent::detail::next_name(names), members), ...);
  }
  template <class T>
  void add(std::string_view name, T& member) {
    const size_t length = enter(name);
    if constexpr (std::is_same_v<T, Parameter>)
      listed(length, member);
    else if constexpr (std::is_same_v<T, Buffer>)
      buffer(path_, member);
    else if constexpr (std::is_base_of_v<Module, T>)
      module(path_, member);
    else if constexpr (requires { member.begin() != member.end(); }) {
      size_t i = 0;
      for (auto& element : member) add(std::to_string(i++), element);
    } else if constexpr (requires {
                           *member;
                           static_cast<bool>(member);
                         }) {
      path_.resize(length);
      if (member) add(name, *member);
    } else {
      static_assert(std::is_base_of_v<Module, T>,
                    "COTANGENT_MODULE lists Parameters, Buffers, modules, and containers of these; a Tensor must be a "
                    "Parameter (trained) or a Buffer (saved, but not trained), and other members need not be listed");
    }
    path_.resize(length);
  }

 protected:
  /// What is done with each member. A module is walked through unless the override leaves out walk().
  virtual void parameter(const std::string& path, Parameter& p);
  virtual void buffer(const std::string& path, Buffer& b);
  virtual void module(const std::string& path, Module& m);
  /// A parameter that is computed: what computes it is a module at "parametrizations.NAME".
  virtual void parametrized(const std::string& path, Parameter& p);
  void walk(Module& m);

 private:
  size_t enter(std::string_view name);
  void listed(size_t around, Parameter& p);

  std::string path_;
};

/// How a state_dict fitted a model: names, in the order of the model or of the state.
struct LoadReport {
  std::vector<std::string> matched;
  std::vector<std::string> missing;     ///< the model has it, the state does not
  std::vector<std::string> unexpected;  ///< the state has it, the model does not
  std::vector<std::string> wrong_shape;
};

struct NamedModule {
  std::string name;  ///< empty for the module itself
  Module* module;
};

/// The base of all modules. See the top of this file for how one is written.
///
/// A module that is called inside another but is in no list would not be trained: its parameters would be in nobody's
/// parameters(). So the first such call with gradients on is a ValueError that names it, unless they are shared with a
/// module around it, are frozen, or it says trained_elsewhere().
class Module {
 public:
  Module() = default;
  Module(const Module&) = default;
  Module(Module&&) = default;
  Module& operator=(const Module&) = default;
  Module& operator=(Module&&) = default;
  virtual ~Module() = default;

  /// All parameters, each once, in the order of the lists. Give them to an optimizer.
  Tensors parameters() const;
  std::vector<NamedTensor> named_parameters() const;
  std::vector<NamedTensor> named_buffers() const;
  /// This module and all in it.
  std::vector<NamedModule> named_modules();
  /// The number of trained values.
  int64_t parameter_count() const;

  /// Parameters and buffers under the names that PyTorch gives them. They share the module's memory.
  StateDict state_dict() const;
  /// Copies values in, cast to the dtypes of the module. Unless everything fits, a strict load changes nothing and
  /// throws a ValueError that lists what does not; another loads what fits.
  LoadReport load_state_dict(const StateDict& state, bool strict = true);

  /// Training mode (dropout drops, batch norm uses the batch) or evaluation mode, for all modules in this one.
  void train(bool training = true);
  void eval() { train(false); }
  bool is_training() const { return training_; }

  /// Forgets all gradients.
  void zero_grad();
  /// Whether the parameters require gradients: false freezes them.
  void requires_grad_(bool wanted = true);
  /// Another optimizer has the parameters, so that modules that call this one need not list it: a critic, for instance,
  /// in the loss of a generator.
  void trained_elsewhere() { found_ = true; }
  /// Converts floating parameters and buffers. Make the optimizer afterwards: the parameters are new tensors.
  void to(Dtype dtype);
  /// Calls f(module) for all modules in this one, then for this one. With a type, for those of the type:
  ///     model.apply<nn::Linear>([](nn::Linear& layer) { nn::init::zeros_(layer.bias); });
  template <class F>
  void apply(F f) {
    apply_to([](void* function, Module& m) { (*static_cast<F*>(function))(m); }, &f);
  }
  template <class M, class F>
  void apply(F f) {
    apply([&f](Module& m) {
      if (M* typed = dynamic_cast<M*>(&m)) f(*typed);
    });
  }

  /// What COTANGENT_MODULE defines.
  virtual void members(Members& visitor) = 0;
  /// "Linear": the name of the struct, for printing.
  virtual std::string type_name() const;
  /// "784, 256": the settings of a layer, for printing.
  virtual std::string settings() const { return {}; }

 private:
  friend class detail::Call;
  friend void detail::unshare(Module& m);
  void apply_to(void (*f)(void* function, Module& m), void* function);

  bool training_ = true;
  bool found_ = false;  // whether a call has found the parameters among those of the modules around it
};

/// The tree of modules with their settings and numbers of parameters:
///
///     MLP                        203,530 parameters
///       fc1: Linear(784, 256)    200,960
///       fc2: Linear(256, 10)       2,570
std::string to_string(const Module& module);

namespace detail {
/// Takes part in the calls of modules on this thread, while it lives: nn/peft/. The newest comes first.
class Listener {
 public:
  Listener();
  virtual ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  /// A call of m has given y, which may be changed.
  virtual void called(const Module& m, Tensor& y) = 0;
  /// y is a linear map of x by the rows from `first` on of a weight, a member of a module.
  virtual void mapped(const Tensor& weight, int64_t first, const Tensor& x, Tensor& y) = 0;

 private:
  friend class Call;
  friend Tensor heard(const Tensor& weight, int64_t first, const Tensor& x, Tensor y);
  Listener* around_;
};
/// Whether there is one on this thread: then no weight may be used but by heard() or a call of its module.
bool is_heard();
/// y, a linear map of x by the rows from `first` on of a weight, when all listeners have heard of it.
Tensor heard(const Tensor& weight, int64_t first, const Tensor& x, Tensor y);

/// Adds to an error the name of the module in `m` that it came out of.
void leave(Module& m, Error& error);
/// A call of m, while it lasts. A ValueError when it is the first inside another call, and nobody there lists m.
class Call {
 public:
  explicit Call(Module& m);
  ~Call();
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;
  /// y, its result, when all listeners have heard of it.
  Tensor result(Tensor y) const;

 private:
  friend struct Told;  // nn/module.cpp
  Call(Module& m, const Call* around);
  void check_listed() const;

  Module& module_;
  const Call* around_;
};
/// f() as a call of m.
template <class F>
decltype(auto) within(Module& m, F f) {
  try {
    const Call call(m);
    if constexpr (std::is_same_v<decltype(f()), Tensor>)
      return call.result(f());
    else
      return f();
  } catch (Error& error) {
    leave(m, error);
    throw;
  }
}

[[noreturn]] void const_in_training(const Module& m);
/// m for a call where it is const: in evaluation mode a call changes nothing, so that it is allowed. A ValueError in
/// training mode.
template <class M>
M& evaluated(const M& m) {
  if (m.is_training()) const_in_training(m);
  return const_cast<M&>(m);
}
template <class Self, class M>
M clone(const M& m) {
  M copy = m;
  unshare(copy);
  return copy;
}
}  // namespace detail

}  // namespace cotangent::nn

/// The parts that need no list: for a module whose options decide how many members it has (nn::LSTM), and which
/// overrides members() itself.
#define COTANGENT_CLONE                                                              \
  /** A module of its own: with other parameters and buffers, of the same values. */ \
  template <class CotangentSelf = void>                                              \
  auto clone() const {                                                               \
    return ::cotangent::nn::detail::clone<CotangentSelf>(*this);                     \
  }
#define COTANGENT_CALL                                                                                                 \
  template <class... CotangentInputs>                                                                                  \
  decltype(auto) operator()(CotangentInputs&&... cotangent_inputs) {                                                   \
    return ::cotangent::nn::detail::within(                                                                            \
        *this, [&]() -> decltype(auto) { return this->forward(std::forward<CotangentInputs>(cotangent_inputs)...); }); \
  }                                                                                                                    \
  template <class... CotangentInputs>                                                                                  \
  decltype(auto) operator()(CotangentInputs&&... cotangent_inputs) const {                                             \
    return ::cotangent::nn::detail::evaluated(*this)(std::forward<CotangentInputs>(cotangent_inputs)...);              \
  }

/// Lists the members of a module, and so defines what is in this file and clone(). COTANGENT_MODULE adds the call; a
/// family of modules whose base class has it (nn::Attention) lists its members by this.
#define COTANGENT_MEMBERS(...)                                         \
  void members(::cotangent::nn::Members& cotangent_visitor) override { \
    cotangent_visitor.list(#__VA_ARGS__ __VA_OPT__(, ) __VA_ARGS__);   \
  }                                                                    \
  COTANGENT_CLONE

/// COTANGENT_MEMBERS and `module(inputs...)` for forward(inputs...), in evaluation mode also where the module is const:
/// a ValueError says so in training mode, in which a call may change it (running statistics). The module must be
/// defined outside of functions, as it gets member templates. Errors that leave the call gain the path of the module: `
/// (in blocks.2.attention)`.
#define COTANGENT_MODULE(...)    \
  COTANGENT_MEMBERS(__VA_ARGS__) \
  COTANGENT_CALL
