#pragma once
// One step of an optimizer over the elements of one parameter.
#include <cstdint>

namespace cotangent::kernels {

/// One step of SGD: d = sign * gradient + weight_decay * parameter is what the parameter, or its velocity, follows.
struct SgdStep {
  double lr, momentum, fresh, weight_decay, sign;  // velocity = momentum * velocity + fresh * d
  bool nesterov;
};
/// One step of Adam and its kin, with d as in SGD:
/// parameter = shrink * parameter - (step_size * first + ahead * d) / (scale * sqrt(second) + eps).
struct AdamStep {
  double beta1, beta2, eps, weight_decay, sign, shrink, step_size, scale, ahead = 0;
};
/// The steps of Adamax, Adadelta, Adagrad, RMSprop and Lion; their formulas stand in optim/.
struct AdamaxStep {
  double beta1, beta2, eps, weight_decay, sign, step_size;
};
struct AdadeltaStep {
  double lr, rho, eps, weight_decay, sign;
};
struct AdagradStep {
  double eps, weight_decay, sign, step_size;
};
struct RmspropStep {
  double lr, alpha, eps, momentum, weight_decay, sign;
};
struct LionStep {
  double lr, beta1, beta2, sign, shrink;
};
/// Of tensor/optim.hpp.
template <class T>
struct OptimLoops {
  void (*sgd)(int64_t n, const SgdStep& step, T* parameter, const T* gradient, T* velocity);
  void (*adam)(int64_t n, const AdamStep& step, T* parameter, const T* gradient, T* first, T* second, T* largest);
  void (*adamax)(int64_t n, const AdamaxStep& step, T* parameter, const T* gradient, T* first, T* top);
  void (*adadelta)(int64_t n, const AdadeltaStep& step, T* parameter, const T* gradient, T* squares, T* deltas);
  void (*adagrad)(int64_t n, const AdagradStep& step, T* parameter, const T* gradient, T* sum);
  void (*rmsprop)(int64_t n, const RmspropStep& step, T* parameter, const T* gradient, T* squares, T* mean,
                  T* velocity);
  void (*lion)(int64_t n, const LionStep& step, T* parameter, const T* gradient, T* first);
  double (*sum_of_squares)(int64_t n, const T* x);
};

}  // namespace cotangent::kernels
