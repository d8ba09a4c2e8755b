#pragma once
#include <cotangent/tensor/state_dict.hpp>

namespace cotangent::optim {

struct EMAOptions {
  double decay = 0.999;          ///< how much of the average stays in an update
  bool warmup = false;           ///< at first less: min(decay, (1 + t) / (10 + t)) in update t = 0, 1, ...
  bool average_buffers = false;  ///< averages floating buffers (running statistics) too; else the model's own serve
};

/// A moving average of a model's parameters, which often generalises better than where the training stands:
///
///     a = decay * a + (1 - decay) * p
///
///     optim::EMA ema(model, {.decay = 0.999});    // starts from the present values
///     for (...) {
///       ...
///       optimizer.step();
///       ema.update();
///     }
///     {
///       const optim::EMA::Scope averaged(ema);    // the model has the averages until the end of the block
///       evaluate(model);
///     }
///
/// Averages of low-precision parameters are kept in float32. Batch norm's running statistics belong to the weights they
/// were measured with: with averaged weights, average them too, or measure them anew. The parameters are those at the
/// time of the constructor: make the average after model.to(). (Polyak and Juditsky 1992; the warm-up is TensorFlow's.)
/// A ValueError for a decay outside of [0, 1].
class EMA {
 public:
  /// Of what names its parameters and buffers, as an nn::Module does.
  template <class Model>
  requires requires(const Model& m) { m.named_parameters(), m.named_buffers(); }
  explicit EMA(const Model& model, const EMAOptions& options = {})
      : EMA(model.named_parameters(), model.named_buffers(), options) {}
  /// Call it after optimizer.step(). A ValueError while the averages are in the model.
  void update();

  /// Puts the averages into the model, and its own values back. A ValueError when that is done already.
  void swap_in();
  void swap_out();
  bool is_swapped_in() const { return !own_.empty(); }

  class Scope {
   public:
    explicit Scope(EMA& ema) : ema_(ema) { ema_.swap_in(); }
    ~Scope() {
      if (ema_.is_swapped_in()) ema_.swap_out();
    }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    EMA& ema_;
  };

  /// The averages under the names of the model, and "num_updates". They share memory with the average.
  StateDict state_dict() const;
  /// A ValueError, and no change, when the state belongs to another model.
  void load_state_dict(const StateDict& state);

 private:
  EMA(std::vector<NamedTensor> parameters, const std::vector<NamedTensor>& buffers, const EMAOptions& options);

  EMAOptions options_;
  int64_t num_updates_ = 0;
  std::vector<NamedTensor> model_, averages_;
  Tensors own_;  // of the model, while the averages are in it
};

}  // namespace cotangent::optim
