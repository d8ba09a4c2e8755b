// Weighted sums of neighbours along one dimension.
#include <cotangent/tensor/kernels/kernels.hpp>

namespace cotangent::kernels {
namespace {

// One tap after the other, each along the contiguous `inner` elements; or, for a dimension without inner elements, each
// output by itself.
template <class T>
void resample(const void* px, void* py, int64_t outputs, int64_t inner, const int64_t* first, const void* weights,
              int64_t width) {
  const T* x = static_cast<const T*>(px);
  T* y = static_cast<T*>(py);
  const T* w = static_cast<const T*>(weights);
  if (inner == 1) {
    if (width == 1) {
      for (int64_t o = 0; o < outputs; ++o) y[o] = w[o] * x[first[o]];
    } else if (width == 2) {
#pragma omp simd
      for (int64_t o = 0; o < outputs; ++o) y[o] = w[2 * o] * x[first[o]] + w[2 * o + 1] * x[first[o] + 1];
    } else if (width == 4) {
#pragma omp simd
      for (int64_t o = 0; o < outputs; ++o) {
        const T *a = w + 4 * o, *b = x + first[o];
        y[o] = a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + a[3] * b[3];
      }
    } else {
      for (int64_t o = 0; o < outputs; ++o) {
        T sum = 0;
        for (int64_t k = 0; k < width; ++k) sum += w[o * width + k] * x[first[o] + k];
        y[o] = sum;
      }
    }
    return;
  }
  for (int64_t o = 0; o < outputs; ++o) {
    T* out = y + o * inner;
    const T* in = x + first[o] * inner;
    const T* tap = w + o * width;
#pragma omp simd
    for (int64_t i = 0; i < inner; ++i) out[i] = tap[0] * in[i];
    for (int64_t k = 1; k < width; ++k) {
      const T t = tap[k];
      if (t == T(0)) continue;
      const T* row = in + k * inner;
#pragma omp simd
      for (int64_t i = 0; i < inner; ++i) out[i] += t * row[i];
    }
  }
}

}  // namespace

namespace COTANGENT_ISA {
void fill_resize(Table& t) {
  t.resample[0] = resample<float>;
  t.resample[1] = resample<double>;
}
}  // namespace COTANGENT_ISA
}  // namespace cotangent::kernels
