// One step of an optimizer over the elements of one parameter: everything is read once and written once.
#include <cotangent/tensor/kernels/by_float.hpp>
#include <cotangent/tensor/kernels/math.hpp>
#include <cotangent/tensor/kernels/optim.hpp>

namespace cotangent::kernels {
namespace {

/// Calls rule(p, d, state...) for each element, with d as optim.hpp says and the elements of the states of these
/// numbers.
template <int... States, class T, class Step, class Rule>
void each(const Step& step, OptimRun<T> run, Rule rule) {
  if constexpr (requires { step.weight_decay; }) {
    const T decay = T(step.weight_decay);
#pragma omp simd
    for (int64_t i = 0; i < run.n; ++i)
      rule(run.parameter[i], run.sign * run.gradient[i] + decay * run.parameter[i], run.state[States][i]...);
  } else {
#pragma omp simd
    for (int64_t i = 0; i < run.n; ++i) rule(run.parameter[i], run.sign * run.gradient[i], run.state[States][i]...);
  }
}

template <class T>
void take(const SgdStep& step, const OptimRun<T>& run) {
  const T lr = T(step.lr), momentum = T(step.momentum), fresh = T(step.fresh);
  if (!run.state[0])
    each<>(step, run, [=](T& p, T d) { p -= lr * d; });
  else if (step.nesterov)
    each<0>(step, run, [=](T& p, T d, T& v) {
      v = momentum * v + fresh * d;
      p -= lr * (d + momentum * v);
    });
  else
    each<0>(step, run, [=](T& p, T d, T& v) {
      v = momentum * v + fresh * d;
      p -= lr * v;
    });
}

template <class T>
void take(const AdamStep& step, const OptimRun<T>& run) {
  const T beta1 = T(step.beta1), fresh1 = T(1 - step.beta1), beta2 = T(step.beta2), fresh2 = T(1 - step.beta2);
  const T shrink = T(step.shrink), size = T(step.step_size), ahead = T(step.ahead);
  const T scale = T(step.scale), eps = T(step.eps);
  const auto means = [=](T d, T& m, T& v) {
    m = beta1 * m + fresh1 * d;
    v = beta2 * v + fresh2 * d * d;
  };
  const auto move = [=](T& p, T d, T m, T v) { p = p * shrink - (size * m + ahead * d) / (m_sqrt(v) * scale + eps); };
  if (!run.state[2])
    each<0, 1>(step, run, [=](T& p, T d, T& m, T& v) {
      means(d, m, v);
      move(p, d, m, v);
    });
  else
    each<0, 1, 2>(step, run, [=](T& p, T d, T& m, T& v, T& top) {
      means(d, m, v);
      top = top > v ? top : v;
      move(p, d, m, top);
    });
}

template <class T>
void take(const AdamaxStep& step, const OptimRun<T>& run) {
  const T beta1 = T(step.beta1), fresh1 = T(1 - step.beta1), beta2 = T(step.beta2);
  const T eps = T(step.eps), size = T(step.step_size);
  each<0, 1>(step, run, [=](T& p, T d, T& m, T& u) {
    const T now = m_fabs(d) + eps, before = beta2 * u;
    m = beta1 * m + fresh1 * d;
    u = before > now ? before : now;
    p -= size * m / u;
  });
}

template <class T>
void take(const AdadeltaStep& step, const OptimRun<T>& run) {
  const T rho = T(step.rho), fresh = T(1 - step.rho), lr = T(step.lr), eps = T(step.eps);
  each<0, 1>(step, run, [=](T& p, T d, T& v, T& u) {
    v = rho * v + fresh * d * d;
    const T delta = m_sqrt(u + eps) / m_sqrt(v + eps) * d;
    u = rho * u + fresh * delta * delta;
    p -= lr * delta;
  });
}

template <class T>
void take(const AdagradStep& step, const OptimRun<T>& run) {
  const T eps = T(step.eps), size = T(step.step_size);
  each<0>(step, run, [=](T& p, T d, T& s) {
    s += d * d;
    p -= size * d / (m_sqrt(s) + eps);
  });
}

template <class T>
void take(const RmspropStep& step, const OptimRun<T>& run) {
  const T alpha = T(step.alpha), fresh = T(1 - step.alpha), eps = T(step.eps), lr = T(step.lr);
  const T momentum = T(step.momentum);
  const auto scaled = [=](T d, T& v) {
    v = alpha * v + fresh * d * d;
    return d / (m_sqrt(v) + eps);
  };
  const auto centered = [=](T d, T& v, T& m) {
    const T square = alpha * v + fresh * d * d, mean = alpha * m + fresh * d, spread = square - mean * mean;
    v = square;
    m = mean;
    return d / (m_sqrt(spread > T(0) ? spread : T(0)) + eps);  // rounding can bring it below 0, and PyTorch to NaN
  };
  const auto roll = [=](T& p, T x, T& b) {
    b = momentum * b + x;
    p -= lr * b;
  };
  const bool mean = run.state[1], velocity = run.state[2];
  if (mean && velocity)
    each<0, 1, 2>(step, run, [=](T& p, T d, T& v, T& m, T& b) { roll(p, centered(d, v, m), b); });
  else if (mean)
    each<0, 1>(step, run, [=](T& p, T d, T& v, T& m) { p -= lr * centered(d, v, m); });
  else if (velocity)
    each<0, 2>(step, run, [=](T& p, T d, T& v, T& b) { roll(p, scaled(d, v), b); });
  else
    each<0>(step, run, [=](T& p, T d, T& v) { p -= lr * scaled(d, v); });
}

template <class T>
void take(const LionStep& step, const OptimRun<T>& run) {
  const T lr = T(step.lr), shrink = T(step.shrink);
  const T beta1 = T(step.beta1), fresh1 = T(1 - step.beta1), beta2 = T(step.beta2), fresh2 = T(1 - step.beta2);
  each<0>(step, run, [=](T& p, T d, T& m) {
    const T way = beta1 * m + fresh1 * d;
    m = beta2 * m + fresh2 * d;
    p = p * shrink - (way > T(0) ? lr : way < T(0) ? -lr : way * T(0));  // the last: 0 or NaN
  });
}

template <class T>
void take(const RpropStep& step, const OptimRun<T>& run) {
  const T shrink = T(step.shrink), grow = T(step.grow), least = T(step.least), greatest = T(step.greatest);
  each<0, 1>(step, run, [=](T& p, T d, T& before, T& size) {
    const T agreement = d * before;
    const T wanted = size * (agreement > T(0) ? grow : agreement < T(0) ? shrink : T(1));
    const T kept = agreement < T(0) ? T(0) : d;
    size = wanted < least ? least : wanted > greatest ? greatest : wanted;
    before = kept;
    p -= kept > T(0) ? size : kept < T(0) ? -size : T(0);
  });
}

template <class T>
double sum_of_squares(int64_t n, const T* x) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; ++i) sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return sum;
}

template <class T, class... Steps>
OptimLoops<T> loops(OptimRuleList<Steps...>) {
  return {{[](const void* step, const OptimRun<T>& run) { take(*static_cast<const Steps*>(step), run); }...},
          sum_of_squares<T>};
}

}  // namespace

namespace COTANGENT_ISA {
void fill(ByFloat<OptimLoops>& t) { t = {loops<float>(OptimRules()), loops<double>(OptimRules())}; }
}  // namespace COTANGENT_ISA
}  // namespace cotangent::kernels
