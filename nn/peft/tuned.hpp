#pragma once
// Fine-tuning with few parameters: a trained model of any kind is frozen, and something small is trained beside it.
//
//     auto lora = nn::tune<nn::LoRA>(model, {.r = 8});                 // nn/peft/lora.hpp, or another way of nn/peft/
//     optim::AdamW optimizer(lora.tuner.parameters(), {.lr = 1e-3});
//     Tensor loss = cross_entropy(lora(x), y);                         // as model(x), and at the start the same
//     io::write_safetensors("poems.safetensors", lora.tuner.state_dict());
//     lora.merge();                                                    // now model(x) itself gives what lora(x) gave
#include <cotangent/autograd/function.hpp>
#include <cotangent/nn/module.hpp>

namespace cotangent::nn {

namespace detail {
class Tuning;
}

/// The part of a Tuned that is trained. Each way to fine-tune overrides these functions.
struct Tuner : Module {
  /// Prepares a call of the model: puts other tensors into the places of its parameters, or functions behind its
  /// modules.
  virtual void enter(detail::Tuning& call) = 0;
  /// What is added to y = x W^T for the rows of a target that enter() has named by Tuning::beside.
  virtual Tensor beside(size_t target, const Tensor& x) const;
  /// What the tuned model gives where the model itself gives y.
  virtual Tensor finish(const Tensor& y) const { return y; }
};

/// What a tuner changes: a parameter, or `rows` of its rows from `first` on. The name is the path of the parameter; for
/// a part of HeadedAttention's in_proj_weight (nn/attention/headed.hpp) that of the part follows, as in
/// "blocks.0.self_attn.in_proj_weight.q".
struct TuningTarget {
  std::string name, parameter;
  int64_t first, rows;
};

/// A tuner that only changes weights, and so can be merged into them.
struct WeightTuner : Tuner {
  std::vector<TuningTarget> targets;
  /// The rows of a target that the model computes with, for the rows w that it has.   (rows, ..) -> the same shape
  virtual Tensor tuned(size_t target, const Tensor& w) const = 0;
  /// Whether in this call the change of a target is added by beside(), and the weight is left as it is.
  virtual bool is_beside(size_t) const { return false; }
  void enter(detail::Tuning& call) override;
};

namespace detail {

/// Whether a pattern matches the name of a parameter or module. It is a name, or the end of one that begins behind a
/// dot, and * in it stands for any characters.
bool name_matches(std::string_view name, std::string_view pattern);

/// A target in a module.
struct FoundTarget : TuningTarget {
  Tensor values;  ///< its rows
  Module* owner;  ///< the module whose parameter it is
};
/// The targets that match any of the patterns, in the order of the model: parameters of two dimensions at least. A
/// pattern means a part of an in_proj_weight if it ends in the name of that part. A ValueError in the name of a tuner
/// if there are no patterns, for a pattern that matches nothing, and for targets that overlap.
std::vector<FoundTarget> find_targets(const char* tuner, Module& base, const std::vector<std::string>& patterns);
/// The modules that match any of the patterns. A ValueError as above.
std::vector<NamedModule> find_modules(const char* tuner, Module& base, const std::vector<std::string>& patterns);

/// A call of a tuned model, as long as it lives. Its destructor puts everything back.
class Tuning : Listener {
 public:
  /// A call in which nothing is tuned yet.
  explicit Tuning(Module& base);
  /// A call that the tuner has entered; with null, one in which nothing is tuned.
  Tuning(Module& base, Tuner* tuner);
  ~Tuning() override;

  const Tensor& parameter(std::string_view name) const;
  /// Puts values into the place of a parameter, and into all other places where the same parameter stands.
  void put(std::string_view parameter, const Tensor& values);
  void put(Tensor& place, const Tensor& values);
  /// From here on the results of that module are f(object, y).
  void after(std::string_view module, Tensor (*f)(void* object, const Tensor& y), void* object);
  /// From here on tuner.beside(target, x) is added to what these rows of the weight give for x.
  void beside(size_t target, const TuningTarget& rows);
  Module& module(std::string_view name) const;

 private:
  void called(const Module& m, Tensor& y) override;
  void mapped(const Tensor& weight, int64_t first, const Tensor& x, Tensor& y) override;

  struct Place {
    std::string name;
    Tensor* tensor;
  };
  struct Behind {
    const Module* module;
    Tensor (*f)(void* object, const Tensor& y);
    void* object;
  };
  struct Rows {
    const Tensor* weight;
    int64_t first, rows;
    size_t target;
  };
  const Place& place(std::string_view name) const;

  /// A ValueError in what will be run again, when this call is over: a checkpoint that began within it.
  void check_lasting(const char* what) const;

  const Tuner* tuner_ = nullptr;
  const void* run_;  // the innermost function around this call that will be run again, if there is one
  std::vector<Place> places_;
  std::vector<NamedModule> modules_;
  std::vector<std::pair<Tensor*, Tensor>> before_;
  std::vector<Behind> behind_;
  std::vector<Rows> rows_;
};

/// The weights of a model that merge() has changed, with their values of before.
using MergedWeights = std::vector<NamedTensor>;
void merge(Module& base, const WeightTuner& tuner, MergedWeights& before);
void unmerge(Module& base, MergedWeights& before);

/// m, whose parameters now require no gradients.
Module& frozen(Module& m);

}  // namespace detail

/// A model with a tuner. It is called as the model is, and gives what the tuner makes of the model.
///
/// `base` is a copy of the model, which shares its parameters as all copies of modules do. They are frozen in both, and
/// trained in neither. The model that was given, called by itself, stays what it was. The state has the model's tensors
/// under the names that they have without a tuner, and those of the tuner after them; tuner.state_dict() has those of
/// the tuner only, and fits every model with such names. A Tuned can be tuned again. Two threads must not call it at
/// once, but each may call a copy.
///
/// A checkpoint or a reversible block in the model is run again when the call is over, without what a tuner adds beside
/// weights and behind modules (LoRA's dropout, Adapter, Prompt): a ValueError there. checkpoint(tuned, x) does.
template <class T, class M>
struct Tuned : Module {
  /// A ValueError as of the tuner, such as for a target that the model does not have.
  Tuned(M model, const typename T::Options& options) : base(std::move(model)), tuner(detail::frozen(base), options) {}
  M base;
  T tuner;
  void members(Members& visitor) override {
    visitor.add("", base);
    visitor.add("", tuner);
  }
  COTANGENT_CLONE

  /// What the model takes.
  template <class... Inputs>
  requires(cotangent::detail::takes<M, std::remove_cvref_t<Inputs>...>()) auto operator()(Inputs&&... inputs) {
    return run([&](M& m) {
      auto y = m(std::forward<Inputs>(inputs)...);
      if constexpr (std::is_same_v<decltype(y), Tensor>)
        return is_merged() ? y : tuner.finish(y);
      else
        return y;
    });
  }
  template <class... Inputs>
  requires(cotangent::detail::takes<M, std::remove_cvref_t<Inputs>...>()) auto operator()(Inputs&&... inputs) const {
    return detail::evaluated(*this)(std::forward<Inputs>(inputs)...);
  }
  /// f(base), in which all calls of the model are tuned: lora.run([&](zoo::GPT& m) { return m.write(prompt, 200); }).
  template <class F>
  auto run(F f) {
    return detail::within(*this, [&] {
      const detail::Tuning call(base, is_merged() ? nullptr : &tuner);
      return f(base);
    });
  }

  /// Writes what the tuner makes of the weights into the weights, so that all modules that share them give the same
  /// without the tuner. A ValueError if they are merged already, and if a call would have dropout before A, as in
  /// training.
  void merge() { detail::merge(base, tuner, before_); }
  /// Gives the weights back the values that they had before merge(), exactly. A ValueError if they are not merged.
  void unmerge() { detail::unmerge(base, before_); }
  bool is_merged() const { return !before_.empty(); }

 private:
  detail::MergedWeights before_;
};

/// A model with a tuner of type T, in the mode (training or evaluation) of the model. A ValueError as of the tuner.
template <class T, class M>
Tuned<T, M> tune(const M& model, const typename T::Options& options = {}) {
  Tuned<T, M> result(model, options);
  result.train(model.is_training());
  return result;
}

}  // namespace cotangent::nn
