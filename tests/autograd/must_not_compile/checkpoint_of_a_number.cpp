// must not compile: let the function capture everything else
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/transforms/checkpoint.hpp>

using namespace cotangent;

#ifdef CONTROL
#define FACTOR x
#else
#define FACTOR 2.5
#endif

Tensor scaled(const Tensor& x) {
  return checkpoint([](const Tensor& a, const auto& b) { return a * b; }, x, FACTOR);
}
