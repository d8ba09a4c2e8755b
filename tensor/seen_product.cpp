#include <cotangent/tensor/seen_product.hpp>

#include <algorithm>

#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/dispatch_internal.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/kernels/kernels.hpp>
#include <cotangent/tensor/matmul.hpp>
#include <cotangent/tensor/parallel.hpp>
#include <cotangent/tensor/views.hpp>

namespace cotangent::raw {

Tensor seen_scores(const Tensor& a, const Tensor& b, const Tensor& seen, double hidden) {
  constexpr const char* op = "seen_scores";
  const Tensor s = matmul(op, a, transpose(op, b, b.rank() - 2, b.rank() - 1));
  return where(op, seen, s, full({}, hidden, s.dtype()));
}

Tensor seen_product(const Tensor& w, const Tensor& x, const Tensor& seen) {
  constexpr const char* op = "seen_product";
  const Tensor y = matmul(op, w, x);
  const int64_t rows = w.size(-2), keys = w.size(-1), width = x.size(-1), all = width == 0 ? 0 : y.numel() / width;
  dispatch_compute(op, y.dtype(), [&]<class T> {
    T* py = y.data<T>();
    if (kernels::kernels().attention.of<T>().finite(py, width, all, width)) return;
    const Tensor weights = contiguous(w), values = contiguous(x), mask = contiguous(expand(op, seen, w.shape()));
    const T *pw = weights.data<T>(), *px = values.data<T>();
    const bool* may = mask.data<bool>();
    parallel_chunks(all, [&](int64_t i) {
      T* to = py + i * width;
      std::fill_n(to, width, T(0));
      for (int64_t j = 0; j < keys; ++j) {
        if (!may[i * keys + j]) continue;
        const T *from = px + (i / rows * keys + j) * width, weight = pw[i * keys + j];
        for (int64_t c = 0; c < width; ++c) to[c] += weight * from[c];
      }
    });
  });
  return y;
}

}  // namespace cotangent::raw
