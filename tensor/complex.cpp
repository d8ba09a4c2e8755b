#include <cotangent/tensor/complex.hpp>

#include <cotangent/tensor/copy.hpp>
#include <cotangent/tensor/dispatch_internal.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/kernels/kernels.hpp>
#include <cotangent/tensor/strided.hpp>
#include <cotangent/tensor/views.hpp>

namespace cotangent::raw {
namespace {

Shape without_pairs(Shape shape) {
  shape.erase(shape.rank() - 1);
  return shape;
}

// Pairs that lie together, in runs that are contiguous or one pair repeated; `inner` is how far it is in a run.
bool is_read_in_place(const Tensor& x, int64_t inner) { return x.strides().back() == 1 && (inner == 0 || inner == 2); }

using kernels::ComplexLoops;

// loop(loops, a, b, y, n, step_a, step_b)
template <class Loop>
Tensor pairwise(const char* op, const Tensor& a, const Tensor& b, Loop loop) {
  const Shape shape = broadcast_shapes(op, a.shape(), b.shape());
  const Tensor y = detail::make_tensor(shape, a.dtype(), op);
  if (y.numel() == 0) return y;
  Tensor in[] = {expand(op, a, shape), expand(op, b, shape)};
  Shape pairs = shape;
  pairs.back() = 1;
  const auto walk_over = [&] { return StridedWalk<3>(pairs, {&y.strides(), &in[0].strides(), &in[1].strides()}); };
  StridedWalk<3> walk = walk_over();
  for (int k = 0; k < 2; ++k)
    if (!is_read_in_place(in[k], walk.numel() == 1 ? 0 : walk.inner_stride(k + 1))) in[k] = contiguous(in[k]);
  walk = walk_over();
  dispatch_compute(op, a.dtype(), [&]<class T> {
    const ComplexLoops<T>& loops = kernels::kernels().complex.of<T>();
    walk.run(kElementGrain / 2, [&](const std::array<int64_t, 3>& at, int64_t n) {
      loop(loops, in[0].data<T>() + at[1], in[1].data<T>() + at[2], y.data<T>() + at[0], n, walk.inner_stride(1) / 2,
           walk.inner_stride(2) / 2);
    });
  });
  return y;
}

template <class Loop>
Tensor of_pairs(const char* op, const Tensor& z, Loop loop) {
  const Tensor y = detail::make_tensor(without_pairs(z.shape()), z.dtype(), op), x = contiguous(z);
  dispatch_compute(op, z.dtype(), [&]<class T> {
    const ComplexLoops<T>& loops = kernels::kernels().complex.of<T>();
    parallel_for(0, y.numel(), kElementGrain / 4, [&](int64_t first, int64_t last) {
      loop(loops, x.data<T>() + 2 * first, y.data<T>() + first, last - first);
    });
  });
  return y;
}

}  // namespace

Tensor complex_multiply(const char* op, const Tensor& a, const Tensor& b, Conjugated conj) {
  return pairwise(op, a, b, [conj](const auto& loops, auto... operands) {
    loops.multiply(operands..., {conj.a, conj.b});
  });
}
Tensor complex_divide(const char* op, const Tensor& a, const Tensor& b, Conjugated conj) {
  return pairwise(op, a, b, [conj](const auto& loops, auto... operands) {
    loops.divide(operands..., {conj.a, conj.b});
  });
}
Tensor complex_abs(const char* op, const Tensor& z) {
  return of_pairs(op, z, [](const auto& loops, auto* x, auto* y, int64_t n) { loops.abs(x, y, n); });
}
Tensor complex_angle(const char* op, const Tensor& z) {
  return of_pairs(op, z, [](const auto& loops, auto* x, auto* y, int64_t n) { loops.angle(x, y, n); });
}

}  // namespace cotangent::raw
