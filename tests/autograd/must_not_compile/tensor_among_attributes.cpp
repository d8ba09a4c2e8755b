// must not compile: attributes hold no tensor
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/record.hpp>

using namespace cotangent;

struct Factor {
  double power;
#ifndef CONTROL
  Tensor factor;
#endif
};

Tensor scale(const Tensor& x, const Tensor& y, const Factor& factor) {
  return record("scale", {x}, y, Keep::nothing(), factor,
                [](const Backward& b, const Factor& f) -> Gradients { return {b.grad() * f.power}; });
}
