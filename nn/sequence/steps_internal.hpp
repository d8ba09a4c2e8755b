#pragma once
// Private: the lengths of steps with which state spaces start.
#include <cotangent/tensor/tensor.hpp>

namespace cotangent::nn {

/// The logarithms of steps that lie log-uniformly in [low, high]: a ValueError in the name of a layer unless 0 < low <=
/// high, both finite.
Tensor log_steps(const char* name, int64_t count, double low, double high, Dtype dtype);
/// The biases whose softplus is such a step, or `floor` if that is larger.
Tensor step_biases(const char* name, int64_t count, double low, double high, double floor, Dtype dtype);

}  // namespace cotangent::nn
