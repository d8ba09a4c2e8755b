#include <cotangent/tensor/loss.hpp>

#include <algorithm>

#include <cotangent/tensor/axis_internal.hpp>
#include <cotangent/tensor/dispatch_internal.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/kernels/kernels.hpp>
#include <cotangent/tensor/parallel.hpp>
#include <cotangent/tensor/precision_internal.hpp>

namespace cotangent::raw {
namespace {

using detail::make_tensor;
using kernels::kernels;

constexpr int64_t kGrain = 4096;  // logits a thread: each costs an exponential

Tensor as(const Tensor& x, Dtype dtype) { return x.dtype() == dtype ? x : cast(x, dtype); }

Shape position_shape(const Shape& shape, int dim) {
  Shape positions = shape;
  positions.erase(dim);
  return positions;
}

template <class T>
kernels::CrossEntropy<T> arguments_of(const Tensor& logits, const ClassTarget& t, double smoothing,
                                      const CrossEntropy& kept) {
  const FormattedAxis axis(logits, t.dim);
  return {.logits = logits.data<T>(),
          .target = t.target.data<int64_t>(),
          .weight = t.weight.defined() ? t.weight.data<T>() : nullptr,
          .weight_sum = t.weight_sum,
          .smoothing = smoothing,
          .ignore_index = t.ignore_index,
          .classes = axis.size,
          .inner = axis.inner,
          .shift = kept.shift.data<T>(),
          .log_sum = kept.log_sum.data<T>(),
          .loss = kept.loss.defined() ? kept.loss.data<T>() : nullptr,
          .grad = nullptr,
          .grad_step = 0,
          .grad_scale = 1,
          .d_logits = nullptr};
}

// Hands the units of work (rows, or blocks of columns) to the threads.
template <class T>
void run(void (*loop)(const kernels::CrossEntropy<T>&, int64_t, int64_t), const kernels::CrossEntropy<T>& a,
         int64_t outer) {
  const int64_t blocks = (a.inner + kernels::kColumns - 1) / kernels::kColumns;
  const int64_t unit = std::max<int64_t>(1, a.classes * std::min(a.inner, kernels::kColumns));
  parallel_for(0, outer * blocks, std::max<int64_t>(1, kGrain / unit),
               [&](int64_t first, int64_t last) { loop(a, first, last); });
}

}  // namespace

ClassTarget class_target(const char* op, const Shape& shape, Dtype dtype, const Tensor& target, const Tensor& weight,
                         int64_t ignore_index) {
  if (shape.rank() == 0) fail<ShapeError>("[{}] the input has shape (); it must be (C) or (N, C, ...)", op);
  if (!is_floating(dtype)) fail<DTypeError>("[{}] the input is {}; it must be floating", op, dtype);
  const int dim = shape.rank() == 1 ? 0 : 1;
  const Shape positions = position_shape(shape, dim);
  const int64_t classes = shape[dim];
  if (target.dtype() != int64 && target.dtype() != int32 && target.dtype() != uint8)
    fail<DTypeError>(
        "[{}] class indices must be integers, got {}; they must be int64, int32 or uint8 (convert them with to)", op,
        target.dtype());
  if (const int last = shape.rank() - 1;
      last > 1 && target.shape() != positions && target.shape() == shape.slice(0, last))
    fail<ShapeError>(
        "[{}] the target has shape {} and the input {}; classes are dimension 1; where they are the last one, "
        "flatten(0, {}) the input and the target first",
        op, target.shape(), shape, last - 1);
  if (target.shape() != positions)
    fail<ShapeError>("[{}] the target has shape {} and the input {}; class indices for it have shape {}", op,
                     target.shape(), shape, positions);
  ClassTarget t{{ignore_index, dim, static_cast<double>(classes), 0}, contiguous(as(target, int64)), Tensor()};
  if (weight.defined()) {
    if (weight.shape() != Shape{classes} || !weight.is_floating())
      fail<ShapeError>("[{}] the weight is {} of shape {}; one floating number a class has shape ({},)", op,
                       weight.dtype(), weight.shape(), classes);
    t.weight = detail::make_alias(contiguous(as(weight, compute_dtype(dtype))));
    t.weight_sum = 0;
  }
  const int64_t* index = t.target.data<int64_t>();
  for (int64_t i = 0; i < t.target.numel(); ++i) {
    if (index[i] == ignore_index) continue;
    if (index[i] < 0 || index[i] >= classes)
      fail<IndexError>(
          "[{}] the target at row {} is {}, and there are {} classes; it must be from 0 to {}, or {} to be ignored", op,
          i, index[i], classes, classes - 1, ignore_index);
    if (!weight.defined()) ++t.total;
  }
  if (weight.defined())
    dispatch_compute(op, t.weight.dtype(), [&]<class T> {
      const T* w = t.weight.data<T>();
      for (int64_t c = 0; c < classes; ++c) t.weight_sum += static_cast<double>(w[c]);
      for (int64_t i = 0; i < t.target.numel(); ++i)
        if (index[i] != ignore_index) t.total += static_cast<double>(w[index[i]]);
    });
  return t;
}

CrossEntropy cross_entropy(const char* op, const Tensor& logits, const ClassTarget& target, double smoothing) {
  const Tensor wide = widened<cast>(logits), x = contiguous(wide, memory_format(wide));
  const Shape positions = position_shape(x.shape(), target.dim);
  CrossEntropy y{make_tensor(positions, x.dtype()), make_tensor(positions, x.dtype()),
                 make_tensor(positions, x.dtype())};
  if (x.numel() == 0)
    fill_into(y.loss, 0);
  else
    dispatch_compute(op, x.dtype(), [&]<class T> {
      run(kernels().loss.of<T>().cross_entropy, arguments_of<T>(x, target, smoothing, y),
          FormattedAxis(x, target.dim).outer);
    });
  y.loss = as(y.loss, logits.dtype());
  return y;
}

Tensor cross_entropy_backward(const char* op, const Tensor& dy, double scale, const Tensor& logits,
                              const ClassTarget& target, double smoothing, const CrossEntropy& kept) {
  const Tensor wide = widened<cast>(logits), x = contiguous(wide, memory_format(wide)),
               g = contiguous(widened<cast>(dy)), dx = empty_like(x, x.dtype());
  if (x.numel() > 0)
    dispatch_compute(op, x.dtype(), [&]<class T> {
      kernels::CrossEntropy<T> a = arguments_of<T>(x, target, smoothing, kept);
      a.grad = g.data<T>(), a.grad_step = g.numel() == 1 ? 0 : 1, a.grad_scale = scale;
      a.d_logits = dx.data<T>();
      run(kernels().loss.of<T>().cross_entropy_backward, a, FormattedAxis(x, target.dim).outer);
    });
  return as(dx, logits.dtype());
}

Tensor class_coefficients(const ClassTarget& t, const Shape& shape, Dtype dtype, double smoothing) {
  const Axis axis(shape, t.dim);
  const Tensor q = make_tensor(shape, compute_dtype(dtype));
  fill_into(q, 0);
  const int64_t* index = t.target.data<int64_t>();
  dispatch_compute("class_coefficients", q.dtype(), [&]<class T> {
    const T* w = t.weight.defined() ? t.weight.data<T>() : nullptr;
    for (int64_t i = 0; i < t.target.numel(); ++i) {
      if (index[i] == t.ignore_index) continue;
      T* at = q.data<T>() + i / axis.inner * axis.size * axis.inner + i % axis.inner;
      for (int64_t c = 0; c < axis.size; ++c)
        at[c * axis.inner] =
            static_cast<T>(((c == index[i] ? 1 - smoothing : 0) + smoothing / static_cast<double>(axis.size)) *
                           static_cast<double>(w ? w[c] : T(1)));
    }
  });
  return as(q, dtype);
}

Tensor position_weights(const ClassTarget& t, Dtype dtype) {
  const Tensor y = make_tensor(t.target.shape(), t.weight.dtype());
  const int64_t* index = t.target.data<int64_t>();
  dispatch_compute("position_weights", y.dtype(), [&]<class T> {
    const T* w = t.weight.data<T>();
    T* to = y.data<T>();
    for (int64_t i = 0; i < y.numel(); ++i) to[i] = index[i] == t.ignore_index ? T(0) : w[index[i]];
  });
  return as(y, dtype);
}

Tensor pick_class(const Tensor& x, const Tensor& target, int64_t ignore_index, int dim) {
  const FormattedAxis axis(x, dim);
  const Tensor in = contiguous(x, axis.format), y = make_tensor(target.shape(), x.dtype());
  const int64_t* index = target.data<int64_t>();
  dispatch(x.dtype(), [&]<class T> {
    const T* from = in.data<T>();
    T* to = y.data<T>();
    for (int64_t i = 0; i < y.numel(); ++i) {
      const int64_t at = i / axis.inner * axis.size * axis.inner + i % axis.inner;
      to[i] = index[i] == ignore_index ? T(0) : from[at + index[i] * axis.inner];
    }
  });
  return y;
}

Tensor place_class(const Tensor& g, const Tensor& target, int64_t ignore_index, int dim, const Shape& shape,
                   MemoryFormat format) {
  const Tensor in = contiguous(g), y = empty_in_format(shape, g.dtype(), format);
  const FormattedAxis axis(y, dim);
  const int64_t* index = target.data<int64_t>();
  fill_into(y, 0);
  dispatch(g.dtype(), [&]<class T> {
    const T* from = in.data<T>();
    T* to = y.data<T>();
    for (int64_t i = 0; i < in.numel(); ++i) {
      const int64_t at = i / axis.inner * axis.size * axis.inner + i % axis.inner;
      if (index[i] != ignore_index) to[at + index[i] * axis.inner] = from[i];
    }
  });
  return y;
}

Tensor squared_distance(const char* op, const Tensor& x, const Tensor& y) {
  constexpr int64_t kChunk = 32768;  // elements: the order of sums
  const Tensor a = contiguous(widened<cast>(x)), b = contiguous(widened<cast>(y));
  const int64_t n = a.numel(), chunks = (n + kChunk - 1) / kChunk;
  const Tensor parts = make_tensor({chunks}, float64);
  double* part = parts.data<double>();
  dispatch_compute(op, a.dtype(), [&]<class T> {
    const auto loop = kernels().loss.of<T>().squared_distance;
    const T *pa = a.data<T>(), *pb = b.data<T>();
    parallel_chunks(chunks, [&](int64_t c) {
      const int64_t first = c * kChunk;
      part[c] = loop(pa + first, pb + first, std::min(kChunk, n - first));
    });
  });
  double sum = 0;
  for (int64_t c = 0; c < chunks; ++c) sum += part[c];
  const Tensor result = make_tensor({}, x.dtype());
  fill_into(result, sum);
  return result;
}

}  // namespace cotangent::raw
