// One step of an optimizer over the elements of one parameter: everything is read once and written once.
#include <cotangent/tensor/kernels/kernels.hpp>
#include <cotangent/tensor/kernels/math.hpp>

namespace cotangent::kernels {
namespace {

template <class T>
void sgd(int64_t n, const SgdStep& step, void* parameter, const void* gradient, void* velocity) {
  T* p = static_cast<T*>(parameter);
  const T* g = static_cast<const T*>(gradient);
  T* v = static_cast<T*>(velocity);
  const T lr = static_cast<T>(step.lr), decay = static_cast<T>(step.weight_decay), sign = static_cast<T>(step.sign);
  const T momentum = static_cast<T>(step.momentum), fresh = static_cast<T>(step.fresh);
  if (!v) {
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) p[i] -= lr * (sign * g[i] + decay * p[i]);
  } else if (step.nesterov) {
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) {
      const T d = sign * g[i] + decay * p[i];
      v[i] = momentum * v[i] + fresh * d;
      p[i] -= lr * (d + momentum * v[i]);
    }
  } else {
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) {
      v[i] = momentum * v[i] + fresh * (sign * g[i] + decay * p[i]);
      p[i] -= lr * v[i];
    }
  }
}

template <class T>
void adam(int64_t n, const AdamStep& step, void* parameter, const void* gradient, void* first, void* second,
          void* largest) {
  T* p = static_cast<T*>(parameter);
  const T* g = static_cast<const T*>(gradient);
  T *m = static_cast<T*>(first), *v = static_cast<T*>(second), *top = static_cast<T*>(largest);
  const T shrink = static_cast<T>(step.shrink), decay = static_cast<T>(step.weight_decay),
          sign = static_cast<T>(step.sign);
  const T beta1 = static_cast<T>(step.beta1), beta2 = static_cast<T>(step.beta2);
  const T fresh1 = static_cast<T>(1 - step.beta1), fresh2 = static_cast<T>(1 - step.beta2);
  const T size = static_cast<T>(step.step_size), scale = static_cast<T>(step.scale), eps = static_cast<T>(step.eps);
  if (!top) {
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) {
      const T d = sign * g[i] + decay * p[i];
      m[i] = beta1 * m[i] + fresh1 * d;
      v[i] = beta2 * v[i] + fresh2 * d * d;
      p[i] = p[i] * shrink - size * m[i] / (m_sqrt(v[i]) * scale + eps);
    }
  } else {
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) {
      const T d = sign * g[i] + decay * p[i];
      m[i] = beta1 * m[i] + fresh1 * d;
      v[i] = beta2 * v[i] + fresh2 * d * d;
      top[i] = top[i] > v[i] ? top[i] : v[i];
      p[i] = p[i] * shrink - size * m[i] / (m_sqrt(top[i]) * scale + eps);
    }
  }
}

template <class T>
double sum_of_squares(int64_t n, const void* px) {
  const T* x = static_cast<const T*>(px);
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; ++i) sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return sum;
}

}  // namespace

namespace COTANGENT_ISA {
void fill_optim(Table& t) {
  t.optim = {{sgd<float>, sgd<double>}, {adam<float>, adam<double>}, {sum_of_squares<float>, sum_of_squares<double>}};
}
}  // namespace COTANGENT_ISA
}  // namespace cotangent::kernels
