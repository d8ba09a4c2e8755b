#pragma once
// Pooling as modules; autograd/ops/pool.hpp has the functions and their options.
#include <cotangent/autograd/ops/pool.hpp>
#include <cotangent/nn/module.hpp>

namespace cotangent::nn {

/// x (N, C, H, W) -> (N, C, H', W'): the largest element of each window, which by default do not overlap.
struct MaxPool2d : Module {
  explicit MaxPool2d(const Spatial& kernel, const MaxPoolOptions& o = {}) : kernel_size(kernel), options(o) {}
  Spatial kernel_size;
  MaxPoolOptions options;
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return max_pool2d(x, kernel_size, options); }
  std::string settings() const override;
};

/// The mean of each window.
struct AvgPool2d : Module {
  explicit AvgPool2d(const Spatial& kernel, const AvgPoolOptions& o = {}) : kernel_size(kernel), options(o) {}
  Spatial kernel_size;
  AvgPoolOptions options;
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return avg_pool2d(x, kernel_size, options); }
  std::string settings() const override;
};

/// The mean of as many windows as give this output size; 1 is the mean of the whole image.
struct AdaptiveAvgPool2d : Module {
  explicit AdaptiveAvgPool2d(const Spatial& size) : output_size(size) {}
  Spatial output_size;
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return adaptive_avg_pool2d(x, output_size); }
  std::string settings() const override;
};

}  // namespace cotangent::nn
