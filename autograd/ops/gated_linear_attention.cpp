#include <cotangent/autograd/ops/gated_linear_attention.hpp>

#include <cotangent/autograd/autocast_internal.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/heads_internal.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/scan.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/autograd/record.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/linear_attention.hpp>

namespace cotangent {
namespace {

constexpr const char* kOp = "gated_linear_attention";

struct Attributes {
  raw::GatedWay way;
  int64_t heads;
};

/// The gradient of a tensor whose heads serve several each.
Tensor for_heads(const Tensor& x, int64_t heads) {
  return x.size(1) == heads ? x : sum(unflatten(x, 1, {heads, x.size(1) / heads}), 2);
}
/// Its heads, as often as they serve.
Tensor repeated(const Tensor& x, int64_t heads) {
  if (x.size(1) == heads) return x;
  const Shape& s = x.shape();
  return flatten(expand(unsqueeze(x, 2), {s[0], s[1], heads / s[1], s[2], s[3]}), 1, 2);
}

Tensors scan(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& log_decay, const Tensor& state,
             const Attributes& a);

/// By scans: S of the one direction and its adjoint R of the other, with the roles of q, k and v changed. The gradients
/// of the decays are running sums of q dq - k dk, since <S_t, R_t> is both q_t dq_t and what t + 1 adds, and k_t dk_t
/// and what t adds.
Gradients by_scans(const Backward& b, const Attributes& a) {
  const Tensor &q = b.input(0), &k = b.input(1), &v = b.input(2), &decay = b.input(3), &s = b.input(4), &dy = b.grad(0);
  const Tensor ds = b.has_grad(1) ? b.grad(1) : Tensor();
  const auto flipped = [](const Tensor& x) { return x.defined() ? transposed(x) : x; };
  const bool reverse = a.way.reverse, of_values = a.way.of_values, decays = decay.defined() && b.needs(3);
  Tensor dq, dk, dv, d_start, d_decay;
  if (b.needs(0) || (decays && !of_values)) dq = scan(dy, v, k, decay, flipped(s), {{reverse, !of_values}, a.heads})[0];
  if (b.needs(1) || (decays && !of_values))
    dk = scan(v, dy, q, decay, flipped(ds), {{!reverse, !of_values}, a.heads})[0];
  if (b.needs(2) || b.needs(4) || (s.defined() && decays) || (decays && of_values)) {
    const Tensors back = scan(k, q, dy, decay, ds, {{!reverse, of_values}, a.heads});
    dv = back[0], d_start = back[1];
  }
  if (decays) {
    Tensor change = of_values ? dy * b.output(0) - repeated(v, a.heads) * dv
                              : repeated(q, a.heads) * dq - repeated(k, a.heads) * dk;
    const bool whole = decay.size(3) == 1;
    if (whole) change = sum(change, 3, true);
    const Tensor before = cumsum(change, 2) - change;
    d_decay = reverse ? before : -before;
    const Tensor first = !reverse ? (s.defined() ? s * d_start : Tensor()) : ds.defined() ? b.output(1) * ds : Tensor();
    if (first.defined()) {
      const Tensor channels = sum(first, of_values ? 2 : 3);
      d_decay = d_decay + unsqueeze(whole ? sum(channels, -1, true) : channels, 2);
    }
  }
  return Tensors{b.needs(0) ? for_heads(dq, q.size(1)) : Tensor(), b.needs(1) ? for_heads(dk, k.size(1)) : Tensor(),
                 b.needs(2) ? for_heads(dv, v.size(1)) : Tensor(), d_decay, b.needs(4) ? d_start : Tensor()};
}

/// By the kernel, which multiplies S and R for the gradient of the decays: their difference would be all rounding where
/// a decay forgets.
Gradients by_kernel(const Backward& b, const Attributes& a) {
  const Tensor &q = b.input(0), &k = b.input(1), &v = b.input(2), &decay = b.input(3), &s = b.input(4), &dy = b.grad(0);
  const Tensor ds = b.has_grad(1) ? b.grad(1) : Tensor();
  auto [dq, dk, d_decay] = raw::gated_product_backward(q, k, v, decay, s, dy, ds);
  Tensor dv, d_start;
  if (b.needs(2) || b.needs(4)) {
    raw::GatedProduct back = raw::gated_product(k, q, dy, decay, ds, {.reverse = true}, a.heads);
    dv = std::move(back.y), d_start = std::move(back.state);
  }
  return Tensors{dq, dk, dv, d_decay, b.needs(4) ? d_start : Tensor()};
}

Tensors scan(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& log_decay, const Tensor& state,
             const Attributes& a) {
  const raw::GatedProduct r = raw::gated_product(q, k, v, log_decay, state, a.way, a.heads);
  Tensors outputs{r.y, r.state};
  // what the running sums of a derivative of higher order begin with
  const ChosenKeep kept =
      a.way.of_values || a.way.reverse ? Keep::inputs(5) | Keep::output(0) | Keep::output(1) : Keep::inputs(5);
  record_all(kOp, {q, k, v, log_decay, state}, std::span(outputs), kept, a,
             [](const Backward& b, const Attributes& at) -> Gradients {
               const bool as_called = !at.way.reverse && !at.way.of_values &&
                                      b.input(0).size(1) == b.input(1).size(1) && b.input(2).size(1) == at.heads;
               const bool first = as_called && b.needs(3) && !b.creates_graph();
               return first ? by_kernel(b, at) : by_scans(b, at);
             });
  return outputs;
}

}  // namespace

GatedLinearSequence gated_linear_attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& log_decay,
                                           const Tensor& state) {
  COTANGENT_AUTOCAST(gated_linear_attention, q, k, v, log_decay, state);
  if (q.rank() != 4 || k.rank() != 4 || v.rank() != 4)
    fail<ShapeError>("[{}] q, k and v of shapes {}, {} and {} must be (B, G, T, m), (B, G, T, m) and (B, H, T, n)", kOp,
                     q.shape(), k.shape(), v.shape());
  const int64_t B = q.size(0), G = q.size(1), T = q.size(2), m = q.size(3), H = v.size(1), n = v.size(3);
  if (q.shape() != k.shape() || v.size(0) != B || v.size(2) != T || (G == 0 ? H != 0 : H % G != 0))
    fail<ShapeError>(
        "[{}] q {}, k {} and v {} do not fit together; they must be (B, G, T, m), (B, G, T, m) and (B, H, "
        "T, n), where G divides H",
        kOp, q.shape(), k.shape(), v.shape());
  const Shape states{B, H, m, n};
  if (state.defined() && state.shape() != states)
    fail<ShapeError>("[{}] the state is {}; for q {} and v {} it must be {}", kOp, state.shape(), q.shape(), v.shape(),
                     states);
  const bool low = is_low_precision(q.dtype()), wide_state = low && state.defined() && state.dtype() == float32;
  for (const Tensor* x : {&k, &v, &log_decay, wide_state ? &k : &state})
    if (!q.is_floating() || (x->defined() && x->dtype() != q.dtype()))
      fail<DTypeError>("[{}] q is {} and another input {}; all must have one floating dtype", kOp, q.dtype(),
                       x->defined() ? x->dtype() : q.dtype());
  if (low) {
    const auto wide = [](const Tensor& x) { return widened<to>(x); };
    const auto [y, last] = gated_linear_attention(wide(q), wide(k), wide(v), wide(log_decay), wide(state));
    return {to(y, q.dtype()), last};
  }
  Tensor decay = log_decay;
  if (decay.defined()) {
    const Shape& given = decay.shape();
    const Shape all{B, H, T, given.rank() > 0 && given[given.rank() - 1] != 1 ? m : 1};
    bool fits = given.rank() <= 4;
    for (int i = 1; fits && i <= given.rank(); ++i)
      fits = given[given.rank() - i] == 1 || given[given.rank() - i] == all[4 - i];
    if (!fits)
      fail<ShapeError>("[{}] log_decay is {}; for q {} and v {} it must broadcast to {}", kOp, given, q.shape(),
                       v.shape(), Shape{B, H, T, m});
    decay = broadcast_to(decay, all);
  }
  Tensors y = scan(q, k, v, decay, state, {{}, H});
  return {std::move(y[0]), std::move(y[1])};
}

MlstmSequence mlstm(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& log_i, const Tensor& log_f,
                    const MlstmState& state) {
  if (detail::t_autocast.enabled) [[unlikely]]
    return detail::autocast(
        "mlstm",
        [](const Tensor& q2, const Tensor& k2, const Tensor& v2, const Tensor& i, const Tensor& f,
           const auto&... parts) { return mlstm(q2, k2, v2, i, f, {parts...}); },
        q, k, v, log_i, log_f, state.kv, state.max);
  constexpr const char* op = "mlstm";
  check_heads(op, q, k, v, true);
  const int64_t B = q.size(0), H = q.size(1), T = q.size(2), n = v.size(3);
  for (const Tensor* gate : {&log_i, &log_f})
    if (gate->shape() != Shape{B, H, T})
      fail<ShapeError>("[{}] a gate is {}; for q {} it must be {}", op, gate->shape(), q.shape(), Shape{B, H, T});
  if (is_low_precision(q.dtype())) {
    const auto wide = [](const Tensor& x) { return widened<to>(x); };
    const auto [y, last] =
        mlstm(wide(q), wide(k), wide(v), wide(log_i), wide(log_f), {wide(state.kv), wide(state.max)});
    return {to(y, q.dtype()), last};
  }
  for (const Tensor* x : {&log_i, &log_f})
    if (x->dtype() != q.dtype())
      fail<DTypeError>("[{}] q is {} and a gate {}; all must have one floating dtype", op, q.dtype(), x->dtype());
  const Tensor start = state.max.defined() ? state.max.detach() : full({B, H}, -1e38, q.dtype());
  const Tensor m = raw::decayed_max(log_f.detach(), log_i.detach(), start);
  const Tensor before = narrow(cat({unsqueeze(start, 2), m}, 2), 2, 0, T);
  const GatedLinearSequence sums =
      gated_linear_attention(q, k * unsqueeze(exp(log_i - m), 3), cat({v, ones({B, H, T, 1}, v.dtype())}, 3),
                             unsqueeze(log_f + before - m, 3), state.kv);
  const Tensor total = maximum(abs(narrow(sums.output, 3, n, 1)), unsqueeze(exp(-m), 3));
  const Tensor last = T == 0 ? start : select(m, 2, T - 1).clone();
  return {narrow(sums.output, 3, 0, n) / total, {sums.state, last}};
}

}  // namespace cotangent
