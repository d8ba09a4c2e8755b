#include <cotangent/autograd/ops/delta_rule.hpp>

#include <cotangent/autograd/autocast_internal.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/heads_internal.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/autograd/record.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/delta_rule.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent {
namespace {

/// q, k, v, a, b, log_decay, state.
using Inputs = std::span<const Tensor>;

raw::DeltaInputs as_raw(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& a, const Tensor& b,
                        const Tensor& log_decay, const Tensor& state) {
  return {.q = q, .z = a, .b = b, .k = k, .v = v, .log_decay = log_decay, .state = state};
}

/// The definition, step by step.
Tensors composite(Inputs x, const void*) {
  const Tensor &q = x[0], &k = x[1], &v = x[2], &log_decay = x[5];
  Tensor state = x[6].defined() ? x[6] : zeros({q.size(0), q.size(1), q.size(3), v.size(3)}, q.dtype());
  Tensors outputs;
  for (int64_t t = 0; t < q.size(2); ++t) {
    const auto row = [t](const Tensor& of) { return narrow(of, 2, t, 1); };
    const auto column = [&](const Tensor& of) { return transposed(row(of)); };
    const Tensor change = matmul(column(x[4]), matmul(row(x[3]), state)) + matmul(column(k), row(v));
    state = (log_decay.defined() ? state * exp(column(log_decay)) : state) + change;
    outputs.push_back(matmul(row(q), state));
  }
  return {outputs.empty() ? no_values(q, v) : cat(outputs, 2), state};
}

void check(const char* op, const Tensor& q, const Tensor& k, const Tensor& v) {
  if (q.rank() != 4 || v.rank() != 4 || q.shape() != k.shape() || q.shape().slice(0, 3) != v.shape().slice(0, 3))
    fail<ShapeError>(
        "[{}] q {}, k {} and v {} do not fit together; they must be (B, H, T, m), (B, H, T, m) and (B, H, "
        "T, n)",
        op, q.shape(), k.shape(), v.shape());
}
void check_shape(const char* op, const char* name, const Tensor& x, const Shape& shape) {
  if (x.shape() != shape) fail<ShapeError>("[{}] {} is {}; it must be {}", op, name, x.shape(), shape);
}
void check_dtype(const char* op, const Tensor& q, const Tensor& x, bool state = false) {
  if (!q.is_floating() ||
      (x.defined() && x.dtype() != q.dtype() && !(state && x.dtype() == float32 && is_low_precision(q.dtype()))))
    fail<DTypeError>("[{}] q is {} and another input {}; all must have one floating dtype", op, q.dtype(),
                     x.defined() ? x.dtype() : q.dtype());
}

DeltaSequence scan(const char* op, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& a, const Tensor& b,
                   const Tensor& log_decay, const Tensor& state) {
  if (state.defined()) check_shape(op, "the state", state, {q.size(0), q.size(1), q.size(3), v.size(3)});
  const raw::DeltaProduct found = raw::delta_product(as_raw(q, k, v, a, b, log_decay, state));
  Tensor y[] = {found.y, found.state};
  record_all("generalized_delta_rule", {q, k, v, a, b, log_decay, state}, y, Keep::inputs(7), NoAttributes{},
             [](const Backward& back, NoAttributes) -> Gradients {
               if (back.creates_graph()) return back.through(composite, nullptr);
               const auto in = [&](int i) { return back.input(i); };
               raw::DeltaInputs d =
                   raw::delta_product_backward(as_raw(in(0), in(1), in(2), in(3), in(4), in(5), in(6)), back.grad(0),
                                               back.has_grad(1) ? back.grad(1) : Tensor());
               return Tensors{d.q, d.k, d.v, d.z, d.b, d.log_decay, in(6).defined() ? d.state : Tensor()};
             });
  return {y[0], y[1]};
}

/// f in float32 for low precision, whose state stays as it is.
template <class F>
DeltaSequence in_float32_but_state(const Tensor& q, F f) {
  const auto wide = [](const Tensor& x) { return widened<to>(x); };
  const DeltaSequence r = f(wide);
  return {to(r.output, q.dtype()), r.state};
}

}  // namespace

DeltaSequence generalized_delta_rule(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& a,
                                     const Tensor& b, const Tensor& log_decay, const Tensor& state) {
  COTANGENT_AUTOCAST(generalized_delta_rule, q, k, v, a, b, log_decay, state);
  constexpr const char* op = "generalized_delta_rule";
  check(op, q, k, v);
  check_shape(op, "a", a, q.shape()), check_shape(op, "b", b, q.shape());
  if (log_decay.defined() && log_decay.shape() != q.shape())
    check_shape(op, "log_decay", log_decay, {q.size(0), q.size(1), q.size(2), 1});
  for (const Tensor* x : {&k, &v, &a, &b, &log_decay}) check_dtype(op, q, *x);
  check_dtype(op, q, state, true);
  if (is_low_precision(q.dtype()))
    return in_float32_but_state(q, [&](auto wide) {
      return generalized_delta_rule(wide(q), wide(k), wide(v), wide(a), wide(b), wide(log_decay), wide(state));
    });
  return scan(op, q, k, v, a, b, log_decay, state);
}

DeltaSequence delta_rule(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& beta, const Tensor& log_decay,
                         const Tensor& state) {
  COTANGENT_AUTOCAST(delta_rule, q, k, v, beta, log_decay, state);
  constexpr const char* op = "delta_rule";
  check(op, q, k, v);
  check_shape(op, "beta", beta, q.shape().slice(0, 3));
  if (log_decay.defined()) check_shape(op, "log_decay", log_decay, beta.shape());
  for (const Tensor* x : {&k, &v, &beta, &log_decay}) check_dtype(op, q, *x);
  check_dtype(op, q, state, true);
  if (is_low_precision(q.dtype()))
    return in_float32_but_state(
        q, [&](auto wide) { return delta_rule(wide(q), wide(k), wide(v), wide(beta), wide(log_decay), wide(state)); });
  const Tensor written = k * unsqueeze(beta, -1);
  if (!log_decay.defined()) return scan(op, q, written, v, k, -written, {}, state);
  const Tensor decay = unsqueeze(log_decay, -1);
  return scan(op, q, written, v, k, written * -exp(decay), decay, state);
}

}  // namespace cotangent
