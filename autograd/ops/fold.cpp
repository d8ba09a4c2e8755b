#include <cotangent/autograd/ops/fold.hpp>

#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/autograd/record.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/fold.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent {
namespace {

using raw::Folding;

// Primitives for speed and memory: composed of pad and windows as views, the columns are written twice.
Tensor image_of(const Tensor& columns, const Folding& folding);

Tensor columns_of(const Tensor& x, const Folding& folding) {
  return record("im2col", {x}, raw::im2col("im2col", x, folding), Keep::nothing(), folding,
                [](const Backward& b, const Folding& f) -> Gradients { return {image_of(b.grad(), f)}; });
}

Tensor image_of(const Tensor& columns, const Folding& folding) {
  return record("col2im", {columns}, raw::col2im("col2im", columns, folding), Keep::nothing(), folding,
                [](const Backward& b, const Folding& f) -> Gradients { return {columns_of(b.grad(), f)}; });
}

void check_floating(const char* op, const Tensor& x) {
  if (!x.is_floating())
    fail<DTypeError>("[{}] takes a floating tensor, got {}; convert it with to(float32)", op, x.dtype());
}

Folding folding_of(const char* op, const Dims& image, const Spatial& kernel_size, const FoldOptions& o) {
  const Dims kernel = kernel_size.over(op, "kernel_size", 2, 1), stride = o.stride.over(op, "stride", 2, 1),
             padding = o.padding.over(op, "padding", 2, 0), dilation = o.dilation.over(op, "dilation", 2, 1);
  Folding f;
  for (int d = 0; d < 2; ++d) {
    f.image[d] = image[d], f.kernel[d] = kernel[d], f.stride[d] = stride[d], f.padding[d] = padding[d],
    f.dilation[d] = dilation[d];
    const int64_t reach = dilation[d] * (kernel[d] - 1) + 1, room = image[d] + 2 * padding[d];
    if (image[d] < 1 || room < reach)
      fail<ShapeError>("[{}] a patch of {} reaches over {} elements, but an image of {} has {} with its padding", op,
                       kernel, reach, image, room);
    f.positions[d] = (room - reach) / stride[d] + 1;
  }
  return f;
}

}  // namespace

Tensor im2col(const Tensor& x, const Spatial& kernel_size, const FoldOptions& options) {
  check_floating("im2col", x);
  if (x.rank() != 3 && x.rank() != 4) fail<ShapeError>("[im2col] shape {} is not (N, C, H, W) or (C, H, W)", x.shape());
  const Folding f = folding_of("im2col", x.shape().slice(x.rank() - 2, x.rank()), kernel_size, options);
  return x.rank() == 4 ? columns_of(x, f) : squeeze(columns_of(unsqueeze(x, 0), f), 0);
}

Tensor col2im(const Tensor& columns, const Spatial& output_size, const Spatial& kernel_size,
              const FoldOptions& options) {
  check_floating("col2im", columns);
  if (columns.rank() != 2 && columns.rank() != 3)
    fail<ShapeError>("[col2im] shape {} is not (N, C * kh * kw, positions), with or without N", columns.shape());
  const Dims image = output_size.over("col2im", "output_size", 2, 1);
  const Folding f = folding_of("col2im", image, kernel_size, options);
  const int64_t cells = f.kernel[0] * f.kernel[1], positions = Dims{f.positions[0], f.positions[1]}.product("col2im");
  if (columns.size(-2) % cells != 0)
    fail<ShapeError>("[col2im] columns {} have {} rows; they must be a multiple of the kernel's {} elements",
                     columns.shape(), columns.size(-2), cells);
  if (columns.size(-1) != positions)
    fail<ShapeError>("[col2im] columns {} are of {} patches, but an image of {} has {} x {}", columns.shape(),
                     columns.size(-1), image, f.positions[0], f.positions[1]);
  return columns.rank() == 3 ? image_of(columns, f) : squeeze(image_of(unsqueeze(columns, 0), f), 0);
}

}  // namespace cotangent
