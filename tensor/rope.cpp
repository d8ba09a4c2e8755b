#include <cotangent/tensor/rope.hpp>

#include <cotangent/tensor/dispatch_internal.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/parallel.hpp>

namespace cotangent::raw {

Tensor rope(const Tensor& x, const Tensor& cos, const Tensor& sin, bool half_split, bool backwards) {
  const Tensor y = detail::make_tensor(x.shape(), x.dtype());
  copy_into("rope", x, y);
  const int64_t width = x.size(-1), pairs = cos.size(1), angles = cos.size(0);
  if (x.numel() == 0 || pairs == 0) return y;
  const int64_t step = half_split ? 1 : 2, partner = half_split ? pairs : 1;
  dispatch_compute("rope", x.dtype(), [&]<class T> {
    T* data = y.data<T>();
    const T *c = cos.data<T>(), *s = sin.data<T>();
    const T sign = backwards ? T(-1) : T(1);
    parallel_for(0, x.numel() / width, 1 + 16384 / width, [&](int64_t first, int64_t last) {
      for (int64_t r = first; r < last; ++r) {
        T *a = data + r * width, *b = a + partner;
        const T *cr = c + r % angles * pairs, *sr = s + r % angles * pairs;
        for (int64_t i = 0; i < pairs; ++i) {
          const T u = a[i * step], v = b[i * step], turn = sign * sr[i];
          a[i * step] = u * cr[i] - v * turn;
          b[i * step] = u * turn + v * cr[i];
        }
      }
    });
  });
  return y;
}

}  // namespace cotangent::raw
