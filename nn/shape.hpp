#pragma once
#include <cotangent/nn/module.hpp>

namespace cotangent::nn {

/// Dimensions start_dim to end_dim as one; the first, of the batch, is kept by default.   (N, C, H, W) -> (N, C * H *
/// W)
struct Flatten : Module {
  explicit Flatten(int64_t start = 1, int64_t end = -1) : start_dim(start), end_dim(end) {}
  int64_t start_dim, end_dim;
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x);
};

/// x itself: a place where nothing happens.
struct Identity : Module {
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return x; }
};

}  // namespace cotangent::nn
