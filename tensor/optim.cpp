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

/// Calls body(first, n, pointers...) over the memory of the tensors, the first of which is the parameter. Where they do
/// not lie alike in memory or are of low precision, it runs on copies, and all but the gradient, the second, are copied
/// back.
template <size_t N, class Body>
void update(const char* op, const std::array<const Tensor*, N>& tensors, Body&& body) {
  const Tensor& p = *tensors[0];
  bool direct = p.dtype() == float32 || p.dtype() == float64;
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
      if (tensors[i]->defined()) {
        const Dtype dtype = p.dtype() == float64 ? float64 : float32;
        copies[i] = contiguous(tensors[i]->dtype() == dtype ? *tensors[i] : cast(*tensors[i], dtype));
      }
  std::array<char*, N> data{};
  for (size_t i = 0; i < N; ++i)
    if (tensors[i]->defined()) data[i] = static_cast<char*>((direct ? *tensors[i] : copies[i]).raw_data());
  const int type = p.dtype() == float64;
  const int64_t bytes = type ? 8 : 4;
  parallel_for(0, p.numel(), kGrain, [&](int64_t first, int64_t last) {
    std::array<char*, N> at = data;
    for (char*& pointer : at)
      if (pointer) pointer += first * bytes;
    body(type, last - first, at);
  });
  for (size_t i = 0; i < N; ++i) {
    if (i == 1 || !tensors[i]->defined()) continue;
    if (!direct && copies[i].raw_data() != tensors[i]->raw_data()) copy_into(op, copies[i], *tensors[i]);
    detail::bump_version(*tensors[i]);
  }
}

}  // namespace

void sgd_step(const SgdStep& step, const Tensor& parameter, const Tensor& gradient, const Tensor& velocity) {
  update<3>("sgd_step", {&parameter, &gradient, &velocity}, [&](int type, int64_t n, const std::array<char*, 3>& x) {
    kernels::kernels().optim.sgd[type](n, step, x[0], x[1], x[2]);
  });
}

void adam_step(const AdamStep& step, const Tensor& parameter, const Tensor& gradient, const Tensor& first,
               const Tensor& second, const Tensor& largest) {
  update<5>("adam_step", {&parameter, &gradient, &first, &second, &largest},
            [&](int type, int64_t n, const std::array<char*, 5>& x) {
              kernels::kernels().optim.adam[type](n, step, x[0], x[1], x[2], x[3], x[4]);
            });
}

void adamax_step(const AdamaxStep& step, const Tensor& parameter, const Tensor& gradient, const Tensor& first,
                 const Tensor& top) {
  update<4>("adamax_step", {&parameter, &gradient, &first, &top},
            [&](int type, int64_t n, const std::array<char*, 4>& x) {
              kernels::kernels().optim.adamax[type](n, step, x[0], x[1], x[2], x[3]);
            });
}

void adadelta_step(const AdadeltaStep& step, const Tensor& parameter, const Tensor& gradient, const Tensor& squares,
                   const Tensor& deltas) {
  update<4>("adadelta_step", {&parameter, &gradient, &squares, &deltas},
            [&](int type, int64_t n, const std::array<char*, 4>& x) {
              kernels::kernels().optim.adadelta[type](n, step, x[0], x[1], x[2], x[3]);
            });
}

void adagrad_step(const AdagradStep& step, const Tensor& parameter, const Tensor& gradient, const Tensor& sum) {
  update<3>("adagrad_step", {&parameter, &gradient, &sum}, [&](int type, int64_t n, const std::array<char*, 3>& x) {
    kernels::kernels().optim.adagrad[type](n, step, x[0], x[1], x[2]);
  });
}

void rmsprop_step(const RmspropStep& step, const Tensor& parameter, const Tensor& gradient, const Tensor& squares,
                  const Tensor& mean, const Tensor& velocity) {
  update<5>("rmsprop_step", {&parameter, &gradient, &squares, &mean, &velocity},
            [&](int type, int64_t n, const std::array<char*, 5>& x) {
              kernels::kernels().optim.rmsprop[type](n, step, x[0], x[1], x[2], x[3], x[4]);
            });
}

void lion_step(const LionStep& step, const Tensor& parameter, const Tensor& gradient, const Tensor& first) {
  update<3>("lion_step", {&parameter, &gradient, &first}, [&](int type, int64_t n, const std::array<char*, 3>& x) {
    kernels::kernels().optim.lion[type](n, step, x[0], x[1], x[2]);
  });
}

double sum_of_squares(const Tensor& x) {
  Tensor dense = x.dtype() == float32 || x.dtype() == float64 ? x : cast(x, float32);
  if (!is_dense(dense)) dense = contiguous(dense);
  const int type = dense.dtype() == float64;
  const char* data = static_cast<const char*>(dense.raw_data());
  const auto sum = kernels::kernels().optim.sum_of_squares[type];
  const int64_t n = dense.numel(), bytes = type ? 8 : 4;
  if (n <= kChunk) return sum(n, data);
  const Tensor parts = detail::make_tensor({(n + kChunk - 1) / kChunk}, float64);
  double* part = parts.data<double>();
  parallel_chunks(parts.numel(),
                  [&](int64_t i) { part[i] = sum(std::min(kChunk, n - i * kChunk), data + i * kChunk * bytes); });
  double total = 0;
  for (int64_t i = 0; i < parts.numel(); ++i) total += part[i];
  return total;
}

}  // namespace cotangent::raw
