// The loops over a row are short, and the rows lie anywhere in two large tables: those of the next example are fetched
// while one is computed.
#include <cotangent/tensor/kernels/by_float.hpp>
#include <cotangent/tensor/kernels/logistic.hpp>
#include <cotangent/tensor/kernels/math.hpp>

namespace cotangent::kernels {
namespace {

template <class T>
T product(const T* a, const T* b, int64_t n) {
  T sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

template <class T>
void add(T* y, T a, const T* x, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] += a * x[i];
}

template <class T>
void fetch(const T* row, int64_t n) {
  for (int64_t i = 0; i < n; i += 64 / int64_t(sizeof(T))) __builtin_prefetch(row + i, 1);
}

template <class T>
void steps(LogisticSteps<T>& s) {
  const int64_t n = s.width;
  for (int64_t i = 0; i < s.examples; ++i) {
    const int64_t input = i > 0 ? s.input_ends[i - 1] : 0, inputs = s.input_ends[i] - input;
    const int64_t output = i > 0 ? s.output_ends[i - 1] : 0, outputs = s.output_ends[i] - output;
    if (i + 1 < s.examples)
      for (int64_t j = s.output_ends[i]; j < s.output_ends[i + 1]; ++j) fetch(s.out + s.outputs[j] * n, n);

    const T* h = s.in + s.inputs[input] * n;
    if (inputs > 1) {
      const T share = T(1) / T(inputs);
      for (int64_t k = 0; k < n; ++k) s.mean[k] = 0;
      for (int64_t j = 0; j < inputs; ++j) add(s.mean, share, s.in + s.inputs[input + j] * n, n);
      h = s.mean;
    }
    for (int64_t j = 0; j < outputs; ++j) {
      const T sign = T(s.signs[output + j]), offset = s.offsets ? T(s.offsets[output + j]) : T(0);
      const T z = sign * (product(s.out + s.outputs[output + j] * n, h, n) - offset);
      if (i % 16 == 0) s.loss += double(m_softplus(-z));
      s.score[j] = T(s.rates[i]) * sign * m_sigmoid(-z);
    }
    // All gradients are those at the start of the step, also where an output comes twice.
    for (int64_t k = 0; k < n; ++k) s.error[k] = 0;
    for (int64_t j = 0; j < outputs; ++j) add(s.error, s.score[j], s.out + s.outputs[output + j] * n, n);
    for (int64_t j = 0; j < outputs; ++j) add(s.out + s.outputs[output + j] * n, s.score[j], h, n);
    for (int64_t j = 0; j < inputs; ++j) add(s.in + s.inputs[input + j] * n, T(1) / T(inputs), s.error, n);
  }
}

template <class T>
LogisticLoops<T> loops() {
  return {steps<T>};
}

}  // namespace

namespace COTANGENT_ISA {
void fill(ByFloat<LogisticLoops>& t) { t = {loops<float>(), loops<double>()}; }
}  // namespace COTANGENT_ISA
}  // namespace cotangent::kernels
