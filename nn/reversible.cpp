#include <cotangent/nn/reversible.hpp>

#include <cotangent/autograd/transforms/reversible.hpp>

namespace cotangent::nn {
namespace {

using cotangent::detail::FunctionRef;
using cotangent::detail::OwnedFunction;

Tensors call(void* f, const Tensors& x) { return {(*static_cast<Sequential*>(f))(x[0])}; }

std::vector<FunctionRef> functions_of(std::span<ReversibleBlock> blocks) {
  std::vector<FunctionRef> all;
  for (ReversibleBlock& block : blocks) {
    all.push_back({&block.f, call, 1});
    all.push_back({&block.g, call, 1});
  }
  return all;
}

ReversiblePair run(std::span<ReversibleBlock> blocks, const Tensor& x1, const Tensor& x2) {
  const auto own = [](void* f) { return OwnedFunction(new Sequential(*static_cast<Sequential*>(f)), call); };
  const Tensors y = cotangent::detail::reversible(functions_of(blocks), own, x1, x2);
  return {y[0], y[1]};
}
ReversiblePair run_back(std::span<ReversibleBlock> blocks, const Tensor& y1, const Tensor& y2) {
  const Tensors x = cotangent::detail::reversed(functions_of(blocks), y1, y2);
  return {x[0], x[1]};
}

}  // namespace

ReversiblePair ReversibleBlock::forward(const Tensor& x1, const Tensor& x2) { return run({this, 1}, x1, x2); }
ReversiblePair ReversibleBlock::inverse(const Tensor& y1, const Tensor& y2) { return run_back({this, 1}, y1, y2); }

ReversibleSequence::ReversibleSequence(std::vector<ReversibleBlock> all) : blocks(std::move(all)) {}
ReversiblePair ReversibleSequence::forward(const Tensor& x1, const Tensor& x2) { return run(blocks, x1, x2); }
ReversiblePair ReversibleSequence::inverse(const Tensor& y1, const Tensor& y2) { return run_back(blocks, y1, y2); }

}  // namespace cotangent::nn
