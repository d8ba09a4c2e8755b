// Private: the state behind the guards of modes.hpp.
#pragma once
#include <cotangent/autograd/modes.hpp>

namespace cotangent::detail {

extern constinit thread_local Modes t_modes;
extern constinit thread_local bool t_recomputing;
extern constinit thread_local bool t_inference;  // marks new tensors; defined in tensor/tensor.cpp

}  // namespace cotangent::detail
