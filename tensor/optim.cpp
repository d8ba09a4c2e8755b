#include <cotangent/tensor/optim.hpp>

#include <cotangent/tensor/dispatch_internal.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/kernels/kernels.hpp>
#include <cotangent/tensor/strided.hpp>

namespace cotangent::raw {
namespace {

constexpr int64_t kGrain = 16384;  // elements a thread, as several tensors are streamed
constexpr int64_t kChunk = 65536;  // elements whose squares are summed in one go

bool is_dense(const Tensor& x) {
  if (x.get()->contiguous) return true;
  const StridedWalk<1> walk(x.shape(), {&x.strides()});
  return walk.inner_size() == x.numel() && walk.inner_stride(0) == 1;
}

}  // namespace

// Where the tensors do not lie alike in memory or are of low precision, the loop runs on copies, and all but that of
// the gradient are copied back.
void detail::optimizer_step(int rule, const void* step, bool maximize, const Tensor& parameter, const Tensor& gradient,
                            std::initializer_list<Tensor*> states) {
  constexpr int kOperands = 2 + kernels::kOptimStates;
  const Tensor* operands[kOperands] = {&parameter, &gradient};
  int count = 2;
  for (const Tensor* state : states) operands[count++] = state;

  const Dtype computed = parameter.dtype() == float64 ? float64 : float32;
  const bool all_contiguous = parameter.get()->contiguous;
  bool direct = parameter.dtype() == computed && is_dense(parameter);
  for (int i = 1; i < count; ++i) {
    if (!operands[i]) continue;
    const Tensor& t = *operands[i];
    if (t.shape() != parameter.shape())
      fail<ShapeError>("[optimizer_step] the parameter is {}, and its gradient or state is {}; they must be the same",
                       parameter.shape(), t.shape());
    direct &= t.dtype() == computed && (all_contiguous ? t.get()->contiguous : t.strides() == parameter.strides());
  }
  Tensor copies[kOperands];
  if (!direct)
    for (int i = 0; i < count; ++i)
      if (operands[i])
        copies[i] = contiguous(operands[i]->dtype() == computed ? *operands[i] : cast(*operands[i], computed));

  dispatch_compute("optimizer_step", computed, [&]<class T> {
    T* data[kOperands] = {};
    for (int i = 0; i < count; ++i)
      if (operands[i]) data[i] = (direct ? *operands[i] : copies[i]).template data<T>();
    const auto at = [&](int i, int64_t first) { return data[i] ? data[i] + first : nullptr; };
    const auto loop = kernels::kernels().optim.of<T>().step[rule];
    parallel_for(0, parameter.numel(), kGrain, [&](int64_t first, int64_t last) {
      kernels::OptimRun<T> run{last - first, maximize ? T(-1) : T(1), at(0, first), at(1, first), {}};
      for (int i = 2; i < count; ++i) run.state[i - 2] = at(i, first);
      loop(step, run);
    });
  });

  for (int i = 0; i < count; ++i) {
    if (i == 1 || !operands[i]) continue;
    if (!direct && copies[i].raw_data() != operands[i]->raw_data())
      copy_into("optimizer_step", copies[i], *operands[i]);
    cotangent::detail::bump_version(*operands[i]);
  }
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
