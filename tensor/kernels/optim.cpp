// One step of an optimizer over the elements of one parameter: everything is read once and written once.
#include <cotangent/tensor/kernels/by_float.hpp>
#include <cotangent/tensor/kernels/math.hpp>
#include <cotangent/tensor/kernels/optim.hpp>

namespace cotangent::kernels {
namespace {

template <class T>
void sgd(int64_t n, const SgdStep& step, T* p, const T* g, T* v) {
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
void adam(int64_t n, const AdamStep& step, T* p, const T* g, T* m, T* v, T* top) {
  const T shrink = static_cast<T>(step.shrink), decay = static_cast<T>(step.weight_decay),
          sign = static_cast<T>(step.sign);
  const T beta1 = static_cast<T>(step.beta1), beta2 = static_cast<T>(step.beta2);
  const T fresh1 = static_cast<T>(1 - step.beta1), fresh2 = static_cast<T>(1 - step.beta2);
  const T size = static_cast<T>(step.step_size), scale = static_cast<T>(step.scale), eps = static_cast<T>(step.eps);
  const T ahead = static_cast<T>(step.ahead);
  if (!top) {
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) {
      const T d = sign * g[i] + decay * p[i];
      m[i] = beta1 * m[i] + fresh1 * d;
      v[i] = beta2 * v[i] + fresh2 * d * d;
      p[i] = p[i] * shrink - (size * m[i] + ahead * d) / (m_sqrt(v[i]) * scale + eps);
    }
  } else {
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) {
      const T d = sign * g[i] + decay * p[i];
      m[i] = beta1 * m[i] + fresh1 * d;
      v[i] = beta2 * v[i] + fresh2 * d * d;
      top[i] = top[i] > v[i] ? top[i] : v[i];
      p[i] = p[i] * shrink - (size * m[i] + ahead * d) / (m_sqrt(top[i]) * scale + eps);
    }
  }
}

template <class T>
void adamax(int64_t n, const AdamaxStep& step, T* p, const T* g, T* m, T* u) {
  const T decay = static_cast<T>(step.weight_decay), sign = static_cast<T>(step.sign);
  const T beta1 = static_cast<T>(step.beta1), fresh1 = static_cast<T>(1 - step.beta1);
  const T beta2 = static_cast<T>(step.beta2), eps = static_cast<T>(step.eps), size = static_cast<T>(step.step_size);
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const T d = sign * g[i] + decay * p[i], now = m_fabs(d) + eps, before = beta2 * u[i];
    m[i] = beta1 * m[i] + fresh1 * d;
    u[i] = before > now ? before : now;
    p[i] -= size * m[i] / u[i];
  }
}

template <class T>
void adadelta(int64_t n, const AdadeltaStep& step, T* p, const T* g, T* v, T* u) {
  const T decay = static_cast<T>(step.weight_decay), sign = static_cast<T>(step.sign);
  const T rho = static_cast<T>(step.rho), fresh = static_cast<T>(1 - step.rho);
  const T lr = static_cast<T>(step.lr), eps = static_cast<T>(step.eps);
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const T d = sign * g[i] + decay * p[i];
    v[i] = rho * v[i] + fresh * d * d;
    const T delta = m_sqrt(u[i] + eps) / m_sqrt(v[i] + eps) * d;
    u[i] = rho * u[i] + fresh * delta * delta;
    p[i] -= lr * delta;
  }
}

template <class T>
void adagrad(int64_t n, const AdagradStep& step, T* p, const T* g, T* s) {
  const T decay = static_cast<T>(step.weight_decay), sign = static_cast<T>(step.sign);
  const T eps = static_cast<T>(step.eps), size = static_cast<T>(step.step_size);
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const T d = sign * g[i] + decay * p[i];
    s[i] += d * d;
    p[i] -= size * d / (m_sqrt(s[i]) + eps);
  }
}

template <class T, bool kCentered, bool kMomentum>
void rmsprop_loop(int64_t n, const RmspropStep& step, T* p, const T* g, T* v, T* mean, T* velocity) {
  const T decay = static_cast<T>(step.weight_decay), sign = static_cast<T>(step.sign);
  const T alpha = static_cast<T>(step.alpha), fresh = static_cast<T>(1 - step.alpha);
  const T lr = static_cast<T>(step.lr), eps = static_cast<T>(step.eps), momentum = static_cast<T>(step.momentum);
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const T d = sign * g[i] + decay * p[i];
    v[i] = alpha * v[i] + fresh * d * d;
    T spread = v[i];
    if constexpr (kCentered) {
      mean[i] = alpha * mean[i] + fresh * d;
      spread -= mean[i] * mean[i];
      spread = spread > T(0) ? spread : T(0);  // rounding can bring it below 0, and PyTorch to NaN
    }
    const T scaled = d / (m_sqrt(spread) + eps);
    if constexpr (kMomentum) {
      velocity[i] = momentum * velocity[i] + scaled;
      p[i] -= lr * velocity[i];
    } else {
      p[i] -= lr * scaled;
    }
  }
}

template <class T>
void rmsprop(int64_t n, const RmspropStep& step, T* parameter, const T* gradient, T* squares, T* mean, T* velocity) {
  const auto loop = mean ? (velocity ? rmsprop_loop<T, true, true> : rmsprop_loop<T, true, false>)
                         : (velocity ? rmsprop_loop<T, false, true> : rmsprop_loop<T, false, false>);
  loop(n, step, parameter, gradient, squares, mean, velocity);
}

template <class T>
void lion(int64_t n, const LionStep& step, T* p, const T* g, T* m) {
  const T lr = static_cast<T>(step.lr), sign = static_cast<T>(step.sign), shrink = static_cast<T>(step.shrink);
  const T beta1 = static_cast<T>(step.beta1), fresh1 = static_cast<T>(1 - step.beta1);
  const T beta2 = static_cast<T>(step.beta2), fresh2 = static_cast<T>(1 - step.beta2);
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const T d = sign * g[i], way = beta1 * m[i] + fresh1 * d;
    m[i] = beta2 * m[i] + fresh2 * d;
    p[i] = p[i] * shrink - (way > T(0) ? lr : way < T(0) ? -lr : way * T(0));  // the last: 0 or NaN
  }
}

template <class T>
double sum_of_squares(int64_t n, const T* x) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; ++i) sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return sum;
}

template <class T>
OptimLoops<T> loops() {
  return {sgd<T>, adam<T>, adamax<T>, adadelta<T>, adagrad<T>, rmsprop<T>, lion<T>, sum_of_squares<T>};
}

}  // namespace

namespace COTANGENT_ISA {
void fill(ByFloat<OptimLoops>& t) { t = {loops<float>(), loops<double>()}; }
}  // namespace COTANGENT_ISA
}  // namespace cotangent::kernels
