#pragma once
#include <cotangent/optim/optimizer.hpp>

namespace cotangent::optim {

enum class PlateauMode : uint8_t { min, max };
enum class ThresholdMode : uint8_t { rel, abs };

struct PlateauOptions {
  PlateauMode mode = PlateauMode::min;  ///< whether a smaller or a larger metric is better
  double factor = 0.1;                  ///< what the learning rate is multiplied by
  int64_t patience = 10;                ///< how many bad epochs are let pass; the next one reduces
  double threshold = 1e-4;              ///< by how much an epoch must be better than the best
  ThresholdMode threshold_mode = ThresholdMode::rel;
  int64_t cooldown = 0;              ///< how many epochs after a reduction don't count
  std::vector<double> min_lr = {0};  ///< for all groups, or for each
  double eps = 1e-8;                 ///< smaller reductions are left out
};

/// Reduces the learning rate when a metric, a validation loss for instance, has stopped to improve. "Better" is, for
/// min and rel, metric < best - threshold * |best|. (PyTorch's best * (1 - threshold) has the wrong sign when the best
/// is negative, and takes a worse metric for a better one.) It must not outlive the optimizer, and works beside an
/// LRScheduler. A ValueError for settings out of range.
class ReduceLROnPlateau {
 public:
  explicit ReduceLROnPlateau(Optimizer& optimizer, PlateauOptions options = {});
  /// After each epoch. Whether the rate was reduced. A ValueError when the metric is NaN.
  bool step(double metric);

  double best() const { return best_; }
  int64_t num_bad_epochs() const { return num_bad_epochs_; }
  StateDict state_dict() const;
  /// A ValueError, and no change, when the state is not that of a ReduceLROnPlateau.
  void load_state_dict(const StateDict& state);

 private:
  bool better(double metric) const;

  Optimizer* optimizer_;
  PlateauOptions options_;
  double best_;
  int64_t num_bad_epochs_ = 0, cooldown_counter_ = 0, last_epoch_ = 0;
};

}  // namespace cotangent::optim
