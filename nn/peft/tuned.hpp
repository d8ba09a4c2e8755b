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

/// The part of a Tuned that is trained. A way to fine-tune overrides what it does.
struct Tuner : Module {
  /// What it does to a call of the model: it puts other tensors into its places, or modules behind its modules.
  virtual void enter(detail::Tuning& call) = 0;
  /// What it adds to rows of a weight that it has asked to hear of: to y, a linear map of x.
  virtual Tensor beside(size_t target, const Tensor& x) const;
  /// What becomes of the model's result.
  virtual Tensor finish(const Tensor& y) const { return y; }
};

/// What a tuner changes: a parameter, or rows of it. It is named by the path of the parameter, to which
/// HeadedAttention's in_proj_weight (nn/attention/headed.hpp) adds the part: "blocks.0.self_attn.in_proj_weight.q".
struct TuningTarget {
  std::string name, parameter;
  int64_t first, rows;
};

/// A way that changes weights alone, and so can be merged.
struct WeightTuner : Tuner {
  std::vector<TuningTarget> targets;
  /// The rows of a target, (rows, ...), as the model is to see them.
  virtual Tensor tuned(size_t target, const Tensor& w) const = 0;
  /// Whether a target comes beside the weight in this call, and leaves the weight as it is.
  virtual bool is_beside(size_t) const { return false; }
  void enter(detail::Tuning& call) override;
};

namespace detail {

/// Names of parameters and modules: a pattern is a name or the end of one, from a dot on, where * stands for any
/// characters.
bool name_matches(std::string_view name, std::string_view pattern);

/// A place in a module and what it is for.
struct FoundTarget : TuningTarget {
  Tensor values;  ///< the rows
  Module* owner;  ///< whose parameter it is
};
/// The targets of any of the patterns, in the order of the model: parameters of two dimensions at least. A part of an
/// in_proj_weight is meant by a pattern that ends in it. A ValueError in the name of a tuner for a pattern that matches
/// none, and for targets that overlap.
std::vector<FoundTarget> find_targets(const char* tuner, Module& base, const std::vector<std::string>& patterns);
/// The modules of any of the patterns. A ValueError as above.
std::vector<NamedModule> find_modules(const char* tuner, Module& base, const std::vector<std::string>& patterns);

/// A call of a model that is tuned, while it lasts. Then all is as before.
class Tuning : Listener {
 public:
  /// Of which nothing is tuned.
  explicit Tuning(Module& base);
  /// The same without a tuner.
  Tuning(Module& base, Tuner* tuner);
  ~Tuning() override;

  const Tensor& parameter(std::string_view name) const;
  /// Puts values into the place of a parameter, and wherever else it stands.
  void put(std::string_view parameter, const Tensor& values);
  void put(Tensor& place, const Tensor& values);
  /// The results of that module go through f(object, y).
  void after(std::string_view module, Tensor (*f)(void* object, const Tensor& y), void* object);
  /// tuner.beside(target, x) is added to what the rows of the weight give.
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

  const Tuner* tuner_ = nullptr;
  std::vector<Place> places_;
  std::vector<NamedModule> modules_;
  std::vector<std::pair<Tensor*, Tensor>> before_;
  std::vector<Behind> behind_;
  std::vector<Rows> rows_;
};

/// The weights of a model that were changed by merge(), and what they were.
using MergedWeights = std::vector<NamedTensor>;
void merge(Module& base, const WeightTuner& tuner, MergedWeights& before);
void unmerge(Module& base, MergedWeights& before);

/// m, whose parameters now require no gradients.
Module& frozen(Module& m);

}  // namespace detail

/// A model with a tuner. Called as the model is, it gives what the tuner makes of it.
///
/// The model is a copy, and a copy of a module shares its parameters: they are frozen in both, and trained in neither.
/// `model` itself, called without the tuner, stays what it was. The state has the model's tensors under their names, as
/// if nothing were around it, and those of the tuner after them; tuner.state_dict() are its own alone, which fit each
/// model with such names. A Tuned can be tuned again. It must not be called by two threads at once; a copy can.
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
  /// without it. A ValueError where that was done before, and where a call would draw numbers: in training, with
  /// dropout.
  void merge() { detail::merge(base, tuner, before_); }
  /// Gives the weights their values of before, to the bit. A ValueError where they were not merged.
  void unmerge() { detail::unmerge(base, before_); }
  bool is_merged() const { return !before_.empty(); }

 private:
  detail::MergedWeights before_;
};

/// A Tuned with a tuner of type T, frozen and in the mode of the model.
template <class T, class M>
Tuned<T, M> tune(const M& model, const typename T::Options& options = {}) {
  Tuned<T, M> result(model, options);
  result.train(model.is_training());
  return result;
}

}  // namespace cotangent::nn
