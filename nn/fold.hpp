#pragma once
// The patches of images as columns, and back; autograd/ops/fold.hpp has the functions.
#include <cotangent/autograd/ops/fold.hpp>
#include <cotangent/nn/module.hpp>

namespace cotangent::nn {

/// im2col as a module: x (N, C, H, W) -> (N, C * kh * kw, positions).
struct Unfold : Module {
  explicit Unfold(const Spatial& kernel, const FoldOptions& o = {});
  Spatial kernel_size;
  FoldOptions options;
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return im2col(x, kernel_size, options); }
  std::string settings() const override;
};

/// col2im as a module: columns (N, C * kh * kw, positions) -> (N, C, H, W), the sum over the patches that hold an
/// element. `size` is (H, W).
struct Fold : Module {
  Fold(const Spatial& size, const Spatial& kernel, const FoldOptions& o = {});
  Spatial output_size, kernel_size;
  FoldOptions options;
  COTANGENT_MODULE()
  Tensor forward(const Tensor& columns) { return col2im(columns, output_size, kernel_size, options); }
  std::string settings() const override;
};

}  // namespace cotangent::nn
