#include <cotangent/autograd/ops/selective_scan.hpp>

#include <cotangent/autograd/autocast_internal.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/scan.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/autograd/record.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/precision_internal.hpp>
#include <cotangent/tensor/selective_scan.hpp>

namespace cotangent {
namespace {

constexpr const char* kOp = "selective_scan";

/// With all states in memory: inputs x, dt, a, b, c, skip, state.
Tensors composite(std::span<const Tensor> in, const void*) {
  const Tensor &x = in[0], &dt = in[1], &a = in[2], &b = in[3], &c = in[4], &skip = in[5], &state = in[6];
  const Tensor decay = exp(unsqueeze(dt, 3) * a), input = unsqueeze(dt * x, 3) * unsqueeze(b, 2);  // (B, T, D, N)
  const Tensor h = linear_scan(decay, input, 1, state), y = sum(h * unsqueeze(c, 2), 3);
  Tensors results{skip.defined() ? y + skip * x : y};
  if (x.size(1) > 0)
    results.push_back(select(h, 1, x.size(1) - 1));
  else if (state.defined())
    results.push_back(state);
  return results;
}

void check_shapes(const Tensor& x, const Tensor& dt, const Tensor& a, const Tensor& b, const Tensor& c,
                  const Tensor& skip, const Tensor& state) {
  if (x.rank() != 3 || a.rank() != 2 || a.size(0) != x.size(2))
    fail<ShapeError>("[{}] x is {} and a is {}; they must be (B, T, D) and (D, N)", kOp, x.shape(), a.shape());
  const int64_t B = x.size(0), T = x.size(1), D = x.size(2), N = a.size(1);
  const auto check = [&](const char* name, const Tensor& t, const Shape& shape) {
    if (t.defined() && t.shape() != shape)
      fail<ShapeError>("[{}] {} is {}; for x {} and a {} it must be {}", kOp, name, t.shape(), x.shape(), a.shape(),
                       shape);
  };
  check("dt", dt, {B, T, D}), check("b", b, {B, T, N}), check("c", c, {B, T, N});
  check("skip", skip, {D}), check("the state", state, {B, D, N});
  const bool low = is_low_precision(x.dtype());
  for (const Tensor* t : {&x, &dt, &a, &b, &c, &skip, &state})
    if (t->defined() && (!x.is_floating() || (t->dtype() != x.dtype() && !(low && t->dtype() == float32))))
      fail<DTypeError>("[{}] x is {} and another input {}; all must have one floating dtype", kOp, x.dtype(),
                       t->dtype());
}

}  // namespace

SelectiveSequence selective_scan(const Tensor& x, const Tensor& dt, const Tensor& a, const Tensor& b, const Tensor& c,
                                 const Tensor& skip, const Tensor& state) {
  COTANGENT_AUTOCAST(selective_scan, x, dt, a, b, c, skip, state);
  check_shapes(x, dt, a, b, c, skip, state);
  if (is_low_precision(x.dtype())) {
    const auto wide = [](const Tensor& t) { return widened<to>(t); };
    SelectiveSequence y = selective_scan(wide(x), wide(dt), wide(a), wide(b), wide(c), wide(skip), wide(state));
    y.output = to(y.output, x.dtype());
    return y;
  }
  raw::SelectiveScanned r = raw::selective_scan(x, dt, a, b, c, skip, state);
  Tensor outputs[2] = {std::move(r.y), std::move(r.state)};
  record_all(kOp, {x, dt, a, b, c, skip, state, r.starts}, std::span(outputs), Keep::inputs(8), NoAttributes{},
             [](const Backward& in, NoAttributes none) -> Gradients {
               if (in.creates_graph()) return in.through(composite, &none);
               const Tensor dstate = in.has_grad(1) ? in.grad(1) : Tensor();
               const raw::SelectiveGradients g =
                   raw::selective_scan_backward(in.input(0), in.input(1), in.input(2), in.input(3), in.input(4),
                                                in.input(5), in.input(7), in.grad(0), dstate);
               return Tensors{
                   g.x, g.dt, g.a, g.b, g.c, in.needs(5) ? g.skip : Tensor(), in.needs(6) ? g.state : Tensor()};
             });
  return {std::move(outputs[0]), std::move(outputs[1])};
}

}  // namespace cotangent
