#pragma once
// Pooling as modules over one, two or three spatial dimensions; autograd/ops/pool.hpp has the functions and their
// options.
#include <cotangent/autograd/ops/pool.hpp>
#include <cotangent/nn/module.hpp>

namespace cotangent::nn {

/// What the layers that pool by windows have in common.
template <class Options>
struct PoolLayer : Module {
  Spatial kernel_size;
  Options options;
  std::string settings() const override;

 protected:
  PoolLayer(const char* stem, int dims, const Spatial& kernel, const Options& o);

 private:
  int dims_;
};

/// The largest element of each window; by default windows do not overlap.
///   MaxPool2d: x (N, C, H, W) -> (N, C, H', W'). with_indices gives also where each was found, for MaxUnpool2d.
template <int dims>
struct MaxPoolNd : PoolLayer<MaxPoolOptions> {
  explicit MaxPoolNd(const Spatial& kernel, const MaxPoolOptions& o = {}) : PoolLayer("MaxPool", dims, kernel, o) {}
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x);
  MaxPool with_indices(const Tensor& x);
};
using MaxPool1d = MaxPoolNd<1>;
using MaxPool2d = MaxPoolNd<2>;
using MaxPool3d = MaxPoolNd<3>;

/// Puts the elements of a max pooling back where they were found, and 0 elsewhere. The windows of the pooling must not
/// overlap.
///   MaxUnpool2d: x and indices (N, C, H', W') -> (N, C, H, W); `output_size` is (H, W), if that is not what the kernel
///   size, stride and padding say
///
///     nn::MaxPool2d pool(2);
///     nn::MaxUnpool2d unpool(2);
///     auto [y, indices] = pool.with_indices(x);
///     Tensor z = unpool(y, indices);
template <int dims>
struct MaxUnpoolNd : PoolLayer<MaxUnpoolOptions> {
  explicit MaxUnpoolNd(const Spatial& kernel, const MaxUnpoolOptions& o = {})
      : PoolLayer("MaxUnpool", dims, kernel, o) {}
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x, const Tensor& indices, const Shape& output_size = {});
};
using MaxUnpool1d = MaxUnpoolNd<1>;
using MaxUnpool2d = MaxUnpoolNd<2>;
using MaxUnpool3d = MaxUnpoolNd<3>;

/// The mean of each window.
template <int dims>
struct AvgPoolNd : PoolLayer<AvgPoolOptions> {
  explicit AvgPoolNd(const Spatial& kernel, const AvgPoolOptions& o = {}) : PoolLayer("AvgPool", dims, kernel, o) {}
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x);
};
using AvgPool1d = AvgPoolNd<1>;
using AvgPool2d = AvgPoolNd<2>;
using AvgPool3d = AvgPoolNd<3>;

/// What the adaptive pooling layers have in common.
struct AdaptivePoolLayer : Module {
  Spatial output_size;
  std::string settings() const override;

 protected:
  AdaptivePoolLayer(const char* stem, int dims, const Spatial& size);

 private:
  int dims_;
};

/// The mean of as many windows as give this output size; 1 is the mean of the whole image.
template <int dims>
struct AdaptiveAvgPoolNd : AdaptivePoolLayer {
  explicit AdaptiveAvgPoolNd(const Spatial& size) : AdaptivePoolLayer("AdaptiveAvgPool", dims, size) {}
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x);
};
using AdaptiveAvgPool1d = AdaptiveAvgPoolNd<1>;
using AdaptiveAvgPool2d = AdaptiveAvgPoolNd<2>;
using AdaptiveAvgPool3d = AdaptiveAvgPoolNd<3>;

/// The largest element of each of these windows.
template <int dims>
struct AdaptiveMaxPoolNd : AdaptivePoolLayer {
  explicit AdaptiveMaxPoolNd(const Spatial& size) : AdaptivePoolLayer("AdaptiveMaxPool", dims, size) {}
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x);
  MaxPool with_indices(const Tensor& x);
};
using AdaptiveMaxPool1d = AdaptiveMaxPoolNd<1>;
using AdaptiveMaxPool2d = AdaptiveMaxPoolNd<2>;
using AdaptiveMaxPool3d = AdaptiveMaxPoolNd<3>;

}  // namespace cotangent::nn
