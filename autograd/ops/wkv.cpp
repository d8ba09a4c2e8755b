#include <cotangent/autograd/ops/wkv.hpp>

#include <cotangent/autograd/autocast_internal.hpp>
#include <cotangent/autograd/ops/activation.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/autograd/record.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/precision_internal.hpp>
#include <cotangent/tensor/wkv.hpp>

namespace cotangent {
namespace {

/// Step by step: inputs k, v, w, u, mean, log.
Tensors composite_wkv(std::span<const Tensor> in, const void*) {
  Tensor mean = in[4], log = in[5];
  Tensors outputs, means, logs;
  for (int64_t t = 0; t < in[0].size(1); ++t) {
    const Tensor k = select(in[0], 1, t), away = select(in[1], 1, t) - mean, late = log + in[2], d = k - late;
    outputs.push_back(mean + sigmoid(in[3] + k - log) * away);
    mean = mean + sigmoid(d) * away;
    log = maximum(k, late) + softplus(-abs(d));
    means.push_back(mean), logs.push_back(log);
  }
  return {stack(outputs, 1), stack(means, 1), stack(logs, 1)};
}

}  // namespace

WkvSequence wkv(const Tensor& k, const Tensor& v, const Tensor& w, const Tensor& u, const WkvState& state) {
  if (detail::t_autocast.enabled) [[unlikely]]
    return detail::autocast(
        "wkv",
        [](const Tensor& key, const Tensor& value, const Tensor& decay, const Tensor& bonus, const auto&... parts) {
          return wkv(key, value, decay, bonus, {parts...});
        },
        k, v, w, u, state.mean, state.log_weight);
  constexpr const char* op = "wkv";
  if (k.rank() != 3 || k.shape() != v.shape())
    fail<ShapeError>("[{}] k is {} and v is {}; both must be (B, T, C)", op, k.shape(), v.shape());
  const int64_t B = k.size(0), T = k.size(1), C = k.size(2);
  const auto check = [&](const char* name, const Tensor& x, const Shape& shape) {
    if (x.defined() && x.shape() != shape)
      fail<ShapeError>("[{}] {} is {}; for k {} it must be {}", op, name, x.shape(), k.shape(), shape);
  };
  check("w", w, {C}), check("u", u, {C});
  check("the mean of the state", state.mean, {B, C}), check("the log_weight of the state", state.log_weight, {B, C});
  if (state.mean.defined() != state.log_weight.defined())
    fail<ShapeError>("[{}] one part of the state is undefined; give both or none", op);
  const bool low = is_low_precision(k.dtype());
  for (const Tensor* x : {&k, &v, &w, &u, &state.mean, &state.log_weight})
    if (x->defined() && (!k.is_floating() || (x->dtype() != k.dtype() && !(low && x->dtype() == float32))))
      fail<DTypeError>("[{}] k is {} and another input {}; all must have one floating dtype", op, k.dtype(),
                       x->dtype());
  if (low) {
    const auto wide = [](const Tensor& x) { return widened<to>(x); };
    WkvSequence y = wkv(wide(k), wide(v), wide(w), wide(u), {wide(state.mean), wide(state.log_weight)});
    y.output = to(y.output, k.dtype());
    return y;
  }
  const bool started = state.mean.defined();
  const Tensor mean = started ? state.mean : zeros({B, C}, k.dtype()),
               log = started ? state.log_weight : full({B, C}, -1e38, k.dtype());
  if (T == 0) return {k * 0, {mean, log}};
  const raw::WkvSteps r = raw::wkv(k, v, w, u, mean, log);
  Tensor outputs[3] = {r.y, r.mean, r.log};
  record_all(op, {k, v, w, u, mean, log}, std::span(outputs), Keep::inputs(6) | Keep::output(1) | Keep::output(2),
             NoAttributes{}, [](const Backward& b, NoAttributes none) -> Gradients {
               if (b.creates_graph()) return b.through(composite_wkv, &none);
               // of the means and logarithms, only the last are an output
               const auto last = [&](int i) {
                 return b.has_grad(i) ? select(b.grad(i), 1, b.grad(i).size(1) - 1) : Tensor();
               };
               const raw::WkvGradients g =
                   raw::wkv_backward(b.input(0), b.input(1), b.input(2), b.input(3), b.input(4), b.input(5),
                                     {{}, b.output(1), b.output(2)}, b.grad(0), last(1), last(2));
               return Tensors{g.k, g.v, g.w, g.u, g.mean, g.log};
             });
  const auto last = [&](int i) { return select(outputs[i], 1, T - 1).clone(); };  // a view would keep all steps alive
  return {outputs[0], {last(1), last(2)}};
}

}  // namespace cotangent
