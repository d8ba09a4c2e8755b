#include <cotangent/nn/sequence/page_turning.hpp>

#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::nn {

Tensor detail::turn_pages(const Tensor& x, PageStep step, void* cell) {
  if (x.rank() != 3 || x.size(1) < 1)
    fail<ShapeError>("[PageTurningRNN] x has shape {}; it must be (B, T, input) with T of 1 at least", x.shape());
  const int64_t batch = x.size(0), length = x.size(1);
  Tensors state, outputs;
  // in step t the positions t, t + 1, .. read the tokens 0, 1, ..; then position t has read all
  for (int64_t t = 0; t < length; ++t) {
    const int64_t reading = length - t;
    state = step(cell, flatten(narrow(x, 1, 0, reading), 0, 1), state);
    // a view would keep the states of all positions alive
    outputs.push_back(narrow(unflatten(state[0], 0, {batch, reading}), 1, 0, 1).clone());
    for (Tensor& s : state) s = flatten(narrow(unflatten(s, 0, {batch, reading}), 1, 1, reading - 1), 0, 1);
  }
  return cat(outputs, 1);
}

}  // namespace cotangent::nn
