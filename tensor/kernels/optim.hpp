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
/// Of tensor/optim.hpp; float32 and float64.
struct OptimLoops {
  void (*sgd[2])(int64_t n, const SgdStep& step, void* parameter, const void* gradient, void* velocity);
  void (*adam[2])(int64_t n, const AdamStep& step, void* parameter, const void* gradient, void* first, void* second,
                  void* largest);
  void (*adamax[2])(int64_t n, const AdamaxStep& step, void* parameter, const void* gradient, void* first, void* top);
  void (*adadelta[2])(int64_t n, const AdadeltaStep& step, void* parameter, const void* gradient, void* squares,
                      void* deltas);
  void (*adagrad[2])(int64_t n, const AdagradStep& step, void* parameter, const void* gradient, void* sum);
  void (*rmsprop[2])(int64_t n, const RmspropStep& step, void* parameter, const void* gradient, void* squares,
                     void* mean, void* velocity);
  void (*lion[2])(int64_t n, const LionStep& step, void* parameter, const void* gradient, void* first);
  double (*sum_of_squares[2])(int64_t n, const void* x);
};

}  // namespace cotangent::kernels
