#pragma once
// Pooling as modules; autograd/ops/pool.hpp has the functions and their options.
#include <cotangent/autograd/ops/pool.hpp>
#include <cotangent/nn/module.hpp>

namespace cotangent::nn {

/// What the pooling layers have in common.
template <class Options>
struct PoolLayer : Module {
  Spatial kernel_size;
  Options options;
  std::string settings() const override;

 protected:
  PoolLayer(const char* name, int dims, const Spatial& kernel, const Options& o);

 private:
  int dims_;
};
extern template struct PoolLayer<MaxPoolOptions>;
extern template struct PoolLayer<AvgPoolOptions>;
extern template struct PoolLayer<MaxUnpoolOptions>;

/// The largest element of each window; by default windows do not overlap.
///   MaxPool2d: x (N, C, H, W) -> (N, C, H', W'). with_indices gives also where each was found, for MaxUnpool2d.
struct MaxPool1d : PoolLayer<MaxPoolOptions> {
  explicit MaxPool1d(const Spatial& kernel, const MaxPoolOptions& o = {}) : PoolLayer("MaxPool1d", 1, kernel, o) {}
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return max_pool1d(x, kernel_size, options); }
  MaxPool with_indices(const Tensor& x) { return max_pool1d_with_indices(x, kernel_size, options); }
};
struct MaxPool2d : PoolLayer<MaxPoolOptions> {
  explicit MaxPool2d(const Spatial& kernel, const MaxPoolOptions& o = {}) : PoolLayer("MaxPool2d", 2, kernel, o) {}
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return max_pool2d(x, kernel_size, options); }
  MaxPool with_indices(const Tensor& x) { return max_pool2d_with_indices(x, kernel_size, options); }
};
struct MaxPool3d : PoolLayer<MaxPoolOptions> {
  explicit MaxPool3d(const Spatial& kernel, const MaxPoolOptions& o = {}) : PoolLayer("MaxPool3d", 3, kernel, o) {}
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return max_pool3d(x, kernel_size, options); }
  MaxPool with_indices(const Tensor& x) { return max_pool3d_with_indices(x, kernel_size, options); }
};

struct MaxUnpoolLayer : PoolLayer<MaxUnpoolOptions> {
 protected:
  using PoolLayer::PoolLayer;
  /// The options with this size, if it is not empty.
  MaxUnpoolOptions options_for(const Shape& output_size) const;
};

/// Puts the elements of a max pooling back where they were found, and 0 elsewhere. The windows of the pooling must not
/// overlap.
///   MaxUnpool2d: x and indices (N, C, H', W') -> (N, C, H, W); `output_size` is (H, W), if that is not what the kernel
///   size, stride and padding say
///
///     nn::MaxPool2d pool(2);
///     nn::MaxUnpool2d unpool(2);
///     auto [y, indices] = pool.with_indices(x);
///     Tensor z = unpool(y, indices);
struct MaxUnpool1d : MaxUnpoolLayer {
  explicit MaxUnpool1d(const Spatial& kernel, const MaxUnpoolOptions& o = {})
      : MaxUnpoolLayer("MaxUnpool1d", 1, kernel, o) {}
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x, const Tensor& indices, const Shape& output_size = {}) {
    return max_unpool1d(x, indices, kernel_size, options_for(output_size));
  }
};
struct MaxUnpool2d : MaxUnpoolLayer {
  explicit MaxUnpool2d(const Spatial& kernel, const MaxUnpoolOptions& o = {})
      : MaxUnpoolLayer("MaxUnpool2d", 2, kernel, o) {}
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x, const Tensor& indices, const Shape& output_size = {}) {
    return max_unpool2d(x, indices, kernel_size, options_for(output_size));
  }
};
struct MaxUnpool3d : MaxUnpoolLayer {
  explicit MaxUnpool3d(const Spatial& kernel, const MaxUnpoolOptions& o = {})
      : MaxUnpoolLayer("MaxUnpool3d", 3, kernel, o) {}
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x, const Tensor& indices, const Shape& output_size = {}) {
    return max_unpool3d(x, indices, kernel_size, options_for(output_size));
  }
};

/// The mean of each window.
struct AvgPool1d : PoolLayer<AvgPoolOptions> {
  explicit AvgPool1d(const Spatial& kernel, const AvgPoolOptions& o = {}) : PoolLayer("AvgPool1d", 1, kernel, o) {}
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return avg_pool1d(x, kernel_size, options); }
};
struct AvgPool2d : PoolLayer<AvgPoolOptions> {
  explicit AvgPool2d(const Spatial& kernel, const AvgPoolOptions& o = {}) : PoolLayer("AvgPool2d", 2, kernel, o) {}
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return avg_pool2d(x, kernel_size, options); }
};
struct AvgPool3d : PoolLayer<AvgPoolOptions> {
  explicit AvgPool3d(const Spatial& kernel, const AvgPoolOptions& o = {}) : PoolLayer("AvgPool3d", 3, kernel, o) {}
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return avg_pool3d(x, kernel_size, options); }
};

/// What the adaptive pooling layers have in common.
struct AdaptivePoolLayer : Module {
  Spatial output_size;
  std::string settings() const override;

 protected:
  AdaptivePoolLayer(const char* name, int dims, const Spatial& size);

 private:
  int dims_;
};

/// The mean of as many windows as give this output size; 1 is the mean of the whole image.
struct AdaptiveAvgPool1d : AdaptivePoolLayer {
  explicit AdaptiveAvgPool1d(const Spatial& size) : AdaptivePoolLayer("AdaptiveAvgPool1d", 1, size) {}
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return adaptive_avg_pool1d(x, output_size); }
};
struct AdaptiveAvgPool2d : AdaptivePoolLayer {
  explicit AdaptiveAvgPool2d(const Spatial& size) : AdaptivePoolLayer("AdaptiveAvgPool2d", 2, size) {}
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return adaptive_avg_pool2d(x, output_size); }
};
struct AdaptiveAvgPool3d : AdaptivePoolLayer {
  explicit AdaptiveAvgPool3d(const Spatial& size) : AdaptivePoolLayer("AdaptiveAvgPool3d", 3, size) {}
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return adaptive_avg_pool3d(x, output_size); }
};

/// The largest element of each of these windows.
struct AdaptiveMaxPool1d : AdaptivePoolLayer {
  explicit AdaptiveMaxPool1d(const Spatial& size) : AdaptivePoolLayer("AdaptiveMaxPool1d", 1, size) {}
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return adaptive_max_pool1d(x, output_size); }
  MaxPool with_indices(const Tensor& x) { return adaptive_max_pool1d_with_indices(x, output_size); }
};
struct AdaptiveMaxPool2d : AdaptivePoolLayer {
  explicit AdaptiveMaxPool2d(const Spatial& size) : AdaptivePoolLayer("AdaptiveMaxPool2d", 2, size) {}
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return adaptive_max_pool2d(x, output_size); }
  MaxPool with_indices(const Tensor& x) { return adaptive_max_pool2d_with_indices(x, output_size); }
};
struct AdaptiveMaxPool3d : AdaptivePoolLayer {
  explicit AdaptiveMaxPool3d(const Spatial& size) : AdaptivePoolLayer("AdaptiveMaxPool3d", 3, size) {}
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return adaptive_max_pool3d(x, output_size); }
  MaxPool with_indices(const Tensor& x) { return adaptive_max_pool3d_with_indices(x, output_size); }
};

}  // namespace cotangent::nn
