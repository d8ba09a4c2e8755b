#include <cotangent/tensor/optim.hpp>

#include <array>
#include <tuple>

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

/// Calls body(loops, n, pointers...) for parts of the memory of the tensors, the first of which is the parameter. Where
/// they do not lie alike in memory or are of low precision, it runs on copies, and all but the gradient, the second,
/// are copied back.
template <size_t N, class Body>
void update(const char* op, const std::array<const Tensor*, N>& tensors, Body&& body) {
  const Tensor& p = *tensors[0];
  const Dtype dtype = p.dtype() == float64 ? float64 : float32;
  bool direct = p.dtype() == dtype;
  const bool contiguous_all = p.get()->contiguous;
  for (const Tensor* t : tensors) {
    if (!t->defined()) continue;
    if (t->shape() != p.shape())
      fail<ShapeError>("[{}] the parameter is {}, and its gradient or state is {}; they must be the same", op,
                       p.shape(), t->shape());
    direct &= t->dtype() == p.dtype() && (contiguous_all ? t->get()->contiguous : t->strides() == p.strides());
  }
  direct &= is_dense(p);
  std::array<Tensor, N> copies;
  if (!direct)
    for (size_t i = 0; i < N; ++i)
      if (tensors[i]->defined())
        copies[i] = contiguous(tensors[i]->dtype() == dtype ? *tensors[i] : cast(*tensors[i], dtype));
  dispatch_compute(op, dtype, [&]<class T> {
    const auto& loops = kernels::kernels().optim.of<T>();
    std::array<T*, N> data{};
    for (size_t i = 0; i < N; ++i)
      if (tensors[i]->defined()) data[i] = (direct ? *tensors[i] : copies[i]).template data<T>();
    parallel_for(0, p.numel(), kGrain, [&](int64_t first, int64_t last) {
      std::apply([&](auto*... x) { body(loops, last - first, (x ? x + first : nullptr)...); }, data);
    });
  });
  for (size_t i = 0; i < N; ++i) {
    if (i == 1 || !tensors[i]->defined()) continue;
    if (!direct && copies[i].raw_data() != tensors[i]->raw_data()) copy_into(op, copies[i], *tensors[i]);
    detail::bump_version(*tensors[i]);
  }
}

}  // namespace

void sgd_step(const SgdStep& step, const Tensor& parameter, const Tensor& gradient, const Tensor& velocity) {
  update<3>("sgd_step", {&parameter, &gradient, &velocity},
            [&](auto& loops, int64_t n, auto*... x) { loops.sgd(n, step, x...); });
}

void adam_step(const AdamStep& step, const Tensor& parameter, const Tensor& gradient, const Tensor& first,
               const Tensor& second, const Tensor& largest) {
  update<5>("adam_step", {&parameter, &gradient, &first, &second, &largest},
            [&](auto& loops, int64_t n, auto*... x) { loops.adam(n, step, x...); });
}

void adamax_step(const AdamaxStep& step, const Tensor& parameter, const Tensor& gradient, const Tensor& first,
                 const Tensor& top) {
  update<4>("adamax_step", {&parameter, &gradient, &first, &top},
            [&](auto& loops, int64_t n, auto*... x) { loops.adamax(n, step, x...); });
}

void adadelta_step(const AdadeltaStep& step, const Tensor& parameter, const Tensor& gradient, const Tensor& squares,
                   const Tensor& deltas) {
  update<4>("adadelta_step", {&parameter, &gradient, &squares, &deltas},
            [&](auto& loops, int64_t n, auto*... x) { loops.adadelta(n, step, x...); });
}

void adagrad_step(const AdagradStep& step, const Tensor& parameter, const Tensor& gradient, const Tensor& sum) {
  update<3>("adagrad_step", {&parameter, &gradient, &sum},
            [&](auto& loops, int64_t n, auto*... x) { loops.adagrad(n, step, x...); });
}

void rmsprop_step(const RmspropStep& step, const Tensor& parameter, const Tensor& gradient, const Tensor& squares,
                  const Tensor& mean, const Tensor& velocity) {
  update<5>("rmsprop_step", {&parameter, &gradient, &squares, &mean, &velocity},
            [&](auto& loops, int64_t n, auto*... x) { loops.rmsprop(n, step, x...); });
}

void lion_step(const LionStep& step, const Tensor& parameter, const Tensor& gradient, const Tensor& first) {
  update<3>("lion_step", {&parameter, &gradient, &first},
            [&](auto& loops, int64_t n, auto*... x) { loops.lion(n, step, x...); });
}

double sum_of_squares(const Tensor& x) {
  Tensor dense = x.dtype() == float32 || x.dtype() == float64 ? x : cast(x, float32);
  if (!is_dense(dense)) dense = contiguous(dense);
  return dispatch_compute("sum_of_squares", dense.dtype(), [&]<class T> {
    const T* data = dense.data<T>();
    const auto sum = kernels::kernels().optim.of<T>().sum_of_squares;
    const int64_t n = dense.numel();
    if (n <= kChunk) return sum(n, data);
    const Tensor parts = detail::make_tensor({(n + kChunk - 1) / kChunk}, float64);
    double* part = parts.data<double>();
    parallel_chunks(parts.numel(),
                    [&](int64_t i) { part[i] = sum(std::min(kChunk, n - i * kChunk), data + i * kChunk); });
    double total = 0;
    for (int64_t i = 0; i < parts.numel(); ++i) total += part[i];
    return total;
  });
}

}  // namespace cotangent::raw
