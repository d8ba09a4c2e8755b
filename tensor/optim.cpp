#include <cotangent/tensor/optim.hpp>

#include <cotangent/tensor/dispatch_internal.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/kernels/kernels.hpp>
#include <cotangent/tensor/strided.hpp>

namespace cotangent::raw {
namespace {

constexpr int64_t kGrain = 16384;  // elements a thread, as several tensors are streamed
constexpr int64_t kChunk = 65536;  // elements whose squares are summed in one go: the order of sums

bool is_dense(const Tensor& x) {
  if (x.get()->contiguous) return true;
  const StridedWalk<1> walk(x.shape(), {&x.strides()});
  return walk.inner_size() == x.numel() && walk.inner_stride(0) == 1;
}

constexpr int kOperands = 2 + kernels::kOptimStates;

/// The loop over operands that lie alike; null for a state that is not kept.
template <class T>
void run(int rule, const void* step, bool maximize, const Tensor* const (&operands)[kOperands]) {
  const auto loop = kernels::kernels().optim.of<T>().step[rule];
  const auto data = [&](int i) { return operands[i] ? static_cast<T*>(operands[i]->raw_data()) : nullptr; };
  const kernels::OptimRun<T> all{
      operands[0]->numel(), maximize ? T(-1) : T(1), data(0), data(1), {data(2), data(3), data(4)}};
  parallel_for(0, all.n, kGrain, [&](int64_t first, int64_t last) {
    kernels::OptimRun<T> part = all;
    part.n = last - first;
    part.parameter += first;
    part.gradient += first;
    for (T*& state : part.state)
      if (state) state += first;
    loop(step, part);
  });
}

}  // namespace

// Where the tensors do not lie alike in memory or are of low precision, the loop runs on copies, and all but that of
// the gradient are copied back.
void detail::optimizer_step(int rule, const void* step, bool maximize, const Tensor& parameter, const Tensor& gradient,
                            std::initializer_list<Tensor*> states) {
  const Tensor* operands[kOperands] = {&parameter, &gradient};
  int count = 2;
  for (Tensor* state : states) operands[count++] = state;

  const Dtype computed = parameter.dtype() == float64 ? float64 : float32;
  const bool all_contiguous = parameter.get()->contiguous;
  bool direct = parameter.dtype() == computed && is_dense(parameter);
  for (int i = 1; i < count; ++i) {
    if (!operands[i]) continue;
    const Tensor& x = *operands[i];
    if (x.shape() != parameter.shape())
      fail<ShapeError>("[optimizer_step] the parameter is {}, and its gradient or state is {}; they must be the same",
                       parameter.shape(), x.shape());
    direct &= x.dtype() == computed && (all_contiguous ? x.get()->contiguous : x.strides() == parameter.strides());
  }
  const auto run_on = [&](const Tensor* const(&tensors)[kOperands]) {
    (computed == float64 ? run<double> : run<float>)(rule, step, maximize, tensors);
  };
  if (direct) {
    run_on(operands);
  } else {
    Tensor copies[kOperands];
    const Tensor* at[kOperands] = {};
    for (int i = 0; i < count; ++i) {
      if (!operands[i]) continue;
      copies[i] = contiguous(operands[i]->dtype() == computed ? *operands[i] : cast(*operands[i], computed));
      at[i] = &copies[i];
    }
    run_on(at);
    for (int i = 0; i < count; ++i)
      if (i != 1 && at[i] && at[i]->raw_data() != operands[i]->raw_data())
        copy_into("optimizer_step", copies[i], *operands[i]);
  }
  cotangent::detail::bump_version(parameter);
  for (Tensor* state : states)
    if (state) cotangent::detail::bump_version(*state);
}

double sum_of_squares(const Tensor& x) {
  Tensor dense = x.dtype() == float32 || x.dtype() == float64 ? x : cast(x, float32);
  if (!is_dense(dense)) dense = contiguous(dense);
  return dispatch_compute("sum_of_squares", dense.dtype(), [&]<class T> {
    const auto sum = kernels::kernels().optim.of<T>().sum_of_squares;
    const T* data = dense.data<T>();
    const int64_t n = dense.numel();
    if (n <= kChunk) return sum(n, data);
    const Tensor parts = cotangent::detail::make_tensor({(n + kChunk - 1) / kChunk}, float64);
    double* part = parts.data<double>();
    parallel_chunks(parts.numel(),
                    [&](int64_t i) { part[i] = sum(std::min(kChunk, n - i * kChunk), data + i * kChunk); });
    double total = 0;
    for (int64_t i = 0; i < parts.numel(); ++i) total += part[i];
    return total;
  });
}

}  // namespace cotangent::raw
