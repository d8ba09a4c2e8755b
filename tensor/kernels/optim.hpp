#pragma once
// The arithmetic of optimizers: one pass over the elements of a parameter, its gradient and its states. A rule is a
// struct here, of the numbers of one step, a name in OptimRules, and a loop in optim.cpp. What a loop gets as d is
//
//     d = gradient + weight_decay * parameter
//
// with the gradient's sign turned to maximize, and without the decay where a step has none.
#include <cstdint>
#include <type_traits>

namespace cotangent::kernels {

/// velocity = momentum * velocity + fresh * d is what the parameter follows, or d when there is no velocity.
struct SgdStep {
  double lr, momentum, fresh, weight_decay;
  bool nesterov;
};
/// One step of Adam and its kin:
/// parameter = shrink * parameter - (step_size * first + ahead * d) / (scale * sqrt(second) + eps).
struct AdamStep {
  double beta1, beta2, eps, weight_decay, shrink, step_size = 0, scale = 1, ahead = 0;
};
/// The steps of Adamax, Adadelta, Adagrad, RMSprop, Lion and Rprop; their formulas stand in optim/.
struct AdamaxStep {
  double beta1, beta2, eps, weight_decay, step_size;
};
struct AdadeltaStep {
  double lr, rho, eps, weight_decay;
};
struct AdagradStep {
  double eps, weight_decay, step_size;
};
struct RmspropStep {
  double lr, alpha, eps, momentum, weight_decay;
};
struct LionStep {
  double lr, beta1, beta2, shrink;
};
struct RpropStep {
  double shrink, grow, least, greatest;
};

template <class... Steps>
struct OptimRuleList {
  static constexpr int count = sizeof...(Steps);
  /// The place of a step's rule in the table.
  template <class Step>
  static constexpr int index() {
    static_assert((std::is_same_v<Step, Steps> || ...), "a step that is not in OptimRules");
    int i = 0;
    static_cast<void>(((std::is_same_v<Step, Steps> || ++i == 0) || ...));
    return i;
  }
};
using OptimRules =
    OptimRuleList<SgdStep, AdamStep, AdamaxStep, AdadeltaStep, AdagradStep, RmspropStep, LionStep, RpropStep>;

inline constexpr int kOptimStates = 3;  // as many as a rule has at most

/// n elements of a parameter, its gradient and its states, null where the rule is asked to keep none.
template <class T>
struct OptimRun {
  int64_t n;
  T sign;
  T* parameter;
  const T* gradient;
  T* state[kOptimStates];
};
template <class T>
struct OptimLoops {
  void (*step[OptimRules::count])(const void* step, const OptimRun<T>& run);  // of the type at that place of OptimRules
  double (*sum_of_squares)(int64_t n, const T* x);
};

}  // namespace cotangent::kernels
