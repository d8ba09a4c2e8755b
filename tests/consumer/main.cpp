// What a user's first program does: fits a line through points, by gradient descent.
#include <cmath>
#include <cstdio>

#include <cotangent/cotangent.hpp>

int main() {
  namespace ct = cotangent;
  const ct::Tensor x = ct::linspace(-1, 1, 32);
  const ct::Tensor y = 3 * x - 1;
  ct::Tensor weight = ct::zeros({}).requires_grad_(), bias = ct::zeros({}).requires_grad_();
  for (int step = 0; step < 200; ++step) {
    const auto gradients = ct::grad({ct::square(weight * x + bias - y).mean()}, {weight, bias});
    ct::NoGrad guard;
    weight -= 0.2 * gradients[0];
    bias -= 0.2 * gradients[1];
  }
  std::printf("%.3f x %+.3f\n", weight.item(), bias.item());
  return std::abs(weight.item() - 3) + std::abs(bias.item() + 1) > 1e-3;
}
