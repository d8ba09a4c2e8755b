#include <cotangent/tensor/fold.hpp>

#include <algorithm>

#include <cotangent/tensor/dispatch_internal.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/parallel.hpp>
#include <cotangent/tensor/precision_internal.hpp>

namespace cotangent::raw {
namespace {

int64_t area(const int64_t (&size)[2]) { return size[0] * size[1]; }

// Calls body(column, pixel, first, last) for each element of the patch and each row of positions: positions [first,
// last) of the row that starts at `column` hold the elements of the image at pixel + (position - first) * stride[1];
// its others lie in the padding.
template <class Body>
void for_each_row(const Folding& f, Body&& body) {
  const int64_t width = f.image[1], stride = f.stride[1];
  int64_t column = 0;
  for (int64_t u = 0; u < f.kernel[0]; ++u)
    for (int64_t v = 0; v < f.kernel[1]; ++v) {
      const int64_t shift = v * f.dilation[1] - f.padding[1];
      const int64_t begin = std::min(f.positions[1], shift < 0 ? (-shift + stride - 1) / stride : 0);
      const int64_t end = shift < width ? std::min(f.positions[1], (width - 1 - shift) / stride + 1) : 0;
      for (int64_t a = 0; a < f.positions[0]; ++a, column += f.positions[1]) {
        const int64_t y = a * f.stride[0] - f.padding[0] + u * f.dilation[0];
        const bool inside = y >= 0 && y < f.image[0];
        body(column, y * width + begin * stride + shift, begin, inside ? std::max(begin, end) : begin);
      }
    }
}

int64_t grain(const Folding& f) { return std::max<int64_t>(1, 16384 / (area(f.kernel) * area(f.positions))); }

}  // namespace

Tensor im2col(const char* op, const Tensor& x, const Folding& f) {
  if (is_low_precision(x.dtype())) return in_float32<cast>(im2col, op, x, f);
  const Tensor dense = contiguous(x);
  const Shape shape{x.shape()[0], Dims{x.shape()[1], area(f.kernel)}.product(op),
                    Dims{f.positions[0], f.positions[1]}.product(op)};
  Tensor columns = detail::make_tensor(shape, x.dtype(), op);
  const int64_t in = area(f.image), out = area(f.kernel) * area(f.positions);
  dispatch_compute(op, x.dtype(), [&]<class T> {
    const T* images = dense.data<T>();
    T* to = columns.data<T>();
    parallel_for(0, x.shape()[0] * x.shape()[1], grain(f), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        for_each_row(f, [&, image = images + i * in, y = to + i * out](int64_t column, int64_t pixel, int64_t first,
                                                                       int64_t last) {
          std::fill(y + column, y + column + first, T(0));
          for (int64_t p = first; p < last; ++p) y[column + p] = image[pixel + (p - first) * f.stride[1]];
          std::fill(y + column + last, y + column + f.positions[1], T(0));
        });
    });
  });
  return columns;
}

Tensor col2im(const char* op, const Tensor& columns, const Folding& f) {
  if (is_low_precision(columns.dtype())) return in_float32<cast>(col2im, op, columns, f);
  const Tensor dense = contiguous(columns);
  const int64_t in = area(f.image), out = area(f.kernel) * area(f.positions);
  Tensor x = detail::make_tensor({columns.shape()[0], columns.shape()[1] / area(f.kernel), f.image[0], f.image[1]},
                                 columns.dtype(), op);
  dispatch_compute(op, columns.dtype(), [&]<class T> {
    const T* from = dense.data<T>();
    T* images = x.data<T>();
    parallel_for(0, x.shape()[0] * x.shape()[1], grain(f), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        std::fill(images + i * in, images + (i + 1) * in, T(0));
        for_each_row(f, [&, image = images + i * in, y = from + i * out](int64_t column, int64_t pixel, int64_t first,
                                                                         int64_t last) {
          for (int64_t p = first; p < last; ++p) image[pixel + (p - first) * f.stride[1]] += y[column + p];
        });
      }
    });
  });
  return x;
}

}  // namespace cotangent::raw
