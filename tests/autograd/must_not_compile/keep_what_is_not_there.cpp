// must not compile: there_is_no_such_tensor
#include <cotangent/autograd/record.hpp>

using namespace cotangent;

#ifdef CONTROL
#define KEEP Keep::input(0) | Keep::output()
#else
#define KEEP Keep::input(1)
#endif

Tensor pass(const Tensor& x, const Tensor& y) {
  return record("pass", {x}, y, KEEP, NoAttributes{},
                [](const Backward& b, NoAttributes) -> Gradients { return {b.grad()}; });
}
