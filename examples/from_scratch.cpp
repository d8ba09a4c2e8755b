// A network with one hidden layer, trained with nothing but tensors and their gradients: no modules, no optimizer.
// Three arms of a spiral are wound into each other, and each point must be told which arm it lies on.
#include <cmath>
#include <cotangent/cotangent.hpp>
#include <cstdio>

#include "common/command_line.hpp"

namespace ct = cotangent;
using ct::Tensor;

void train(int steps) {
  // 100 points on each arm: the further out, the further turned, with some noise.
  const int64_t points = 100, arms = 3, hidden = 64;
  ct::manual_seed(1);
  Tensor radius = ct::linspace(0.05, 1, points), x = ct::empty({arms * points, 2}),
         arm = ct::empty({arms * points}, ct::int64);
  for (int64_t k = 0; k < arms; ++k) {
    const Tensor angle = 4 * radius + 2 * M_PI / arms * k + 0.1 * ct::randn({points});
    x.narrow(0, k * points, points) = ct::stack({radius * ct::cos(angle), radius * ct::sin(angle)}, 1);
    arm.narrow(0, k * points, points) = k;
  }

  // Weights start random, so that the hidden units differ; biases start at zero.
  Tensor w1 = ct::randn({2, hidden}), b1 = ct::zeros({hidden});
  Tensor w2 = ct::randn({hidden, arms}) / std::sqrt(hidden), b2 = ct::zeros({arms});
  for (Tensor* parameter : {&w1, &b1, &w2, &b2}) parameter->requires_grad_();

  for (int step = 1; step <= steps; ++step) {
    const Tensor logits = ct::matmul(ct::relu(ct::matmul(x, w1) + b1), w2) + b2;
    const Tensor loss = ct::cross_entropy(logits, arm);
    loss.backward();  // fills in the grad() of every parameter

    ct::NoGrad guard;  // the update itself is not to be differentiated
    for (Tensor* parameter : {&w1, &b1, &w2, &b2}) {
      *parameter -= 0.5 * parameter->grad();
      parameter->set_grad(Tensor());
    }
    if (step % 100 == 0 || step == steps) {
      const double right = ct::mean((ct::argmax(logits, 1) == arm).to(ct::float32)).item();
      std::printf("step %4d  loss %.4f  accuracy %.3f\n", step, loss.item(), right);
    }
  }
}

int main(int argc, char** argv) {
  int steps = 500;
  CommandLine options("from_scratch", "Trains a two-layer network on three spirals.");
  options.add("--steps", steps, "How many steps of gradient descent to take", kPositive);
  return options.run(argc, argv, [&] { train(steps); });
}
