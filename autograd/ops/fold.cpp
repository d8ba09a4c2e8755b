#include <cotangent/autograd/ops/fold.hpp>

#include <cotangent/autograd/op_info.hpp>
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
  const int64_t cells = f.kernel[0] * f.kernel[1], positions = f.positions[0] * f.positions[1];
  if (columns.size(-2) % cells != 0)
    fail<ShapeError>("[col2im] columns {} have {} rows; they must be a multiple of the kernel's {} elements",
                     columns.shape(), columns.size(-2), cells);
  if (columns.size(-1) != positions)
    fail<ShapeError>("[col2im] columns {} are of {} patches, but an image of {} has {} x {}", columns.shape(),
                     columns.size(-1), image, f.positions[0], f.positions[1]);
  return columns.rank() == 3 ? image_of(columns, f) : squeeze(image_of(unsqueeze(columns, 0), f), 0);
}

// ---- op table ----

COTANGENT_OP_TABLE(fold) {
  return {
      {.name = "im2col",
       .samples = {{{values({1, 1, 2, 3}, {1, 2, 3, 4, 5, 6})},
                    [](Arguments x) -> Results { return im2col(x[0], 2); },
                    [](Arguments) -> Results {
                      return tensor({{{1, 2}, {2, 3}, {4, 5}, {5, 6}}}, float64);
                    }},
                   {{values({1, 2, 2}, {1, 2, 3, 4})},
                    [](Arguments x) -> Results {
                      return im2col(x[0], {1, 2}, {.dilation = {1, 2}, .padding = {0, 1}, .stride = {2, 1}});
                    },
                    [](Arguments) -> Results {
                      return tensor({{0, 1}, {2, 0}}, float64);
                    }},
                   {{normal({2, 3, 4, 5})},
                    [](Arguments x) -> Results {
                      return im2col(x[0], {3, 2}, {.padding = {2, 1}, .stride = {2, 3}});
                    }}},
       .errors = {{{normal({4, 5})}, [](Arguments x) -> Results { return im2col(x[0], 2); }, "is not (N, C, H, W)"},
                  {{normal({1, 4, 5})},
                   [](Arguments x) -> Results { return im2col(x[0], 5); },
                   "a patch of (5, 5) reaches over 5 elements, but an image of (4, 5) has 4"},
                  {{normal({1, 4, 5})},
                   [](Arguments x) -> Results { return im2col(x[0], 2, {.stride = 0}); },
                   "stride (0, 0); it must be at least 1"},
                  {{integers({1, 4, 5}, 0, 9)},
                   [](Arguments x) -> Results { return im2col(x[0], 2); },
                   "takes a floating tensor"}}},
      {.name = "col2im",
       .samples = {{{values({1, 4, 2}, {1, 2, 3, 4, 5, 6, 7, 8})},
                    [](Arguments x) -> Results {
                      return col2im(x[0], {2, 3}, 2);
                    },
                    [](Arguments) -> Results {
                      return tensor({{{{1, 2 + 3, 4}, {5, 6 + 7, 8}}}}, float64);
                    }},
                   {{normal({4, 6})},
                    [](Arguments x) -> Results {
                      return col2im(x[0], {4, 3}, {2, 1}, {.dilation = 2, .padding = {1, 0}, .stride = {2, 1}});
                    }}},
       .errors = {{{normal({1, 3, 2})},
                   [](Arguments x) -> Results {
                     return col2im(x[0], {2, 3}, 2);
                   },
                   "must be a multiple of the kernel's 4 elements"},
                  {{normal({1, 4, 3})},
                   [](Arguments x) -> Results {
                     return col2im(x[0], {2, 3}, 2);
                   },
                   "are of 3 patches, but an image of (2, 3) has 1 x 2"},
                  {{normal({1, 4, 3})}, [](Arguments x) -> Results { return col2im(x[0], 0, 2); }, "at least 1"},
                  {{normal({3})}, [](Arguments x) -> Results { return col2im(x[0], 2, 2); }, "with or without N"}}},
  };
}

}  // namespace cotangent
