// A new layer from scratch, with a gradient rule of its own, checked against differences.
//
// Snake is an activation for signals that repeat themselves (Ziyin, Hartwig and Ueda, 2020):
//
//     y = x + sin(a x)^2 / a,   with a frequency a for each channel, which is learned
//
// Written with the library's functions it would already have a gradient, by the chain rule through each of them, and
// each of them would keep its operands for the backward pass. One rule for the whole keeps x and a only:
//
//     dy/dx = 1 + sin(2 a x)
//     dy/da = (x sin(2 a x) - sin(a x)^2 / a) / a
#include <cotangent/cotangent.hpp>
#include <cstdio>

#include "common/command_line.hpp"

namespace ct = cotangent;
namespace nn = cotangent::nn;
using ct::Tensor;

// ---- 1. The function: a value, and a rule for its gradient ----

Tensor snake(const Tensor& x, const Tensor& frequency) {
  const Tensor a = ct::expand(frequency, x.shape());  // expand has a gradient too: it sums over the rows again
  Tensor y;
  {
    ct::NoGrad guard;  // what happens in here is not recorded; the rule below is
    y = x + ct::square(ct::sin(a * x)) / a;
  }
  // The rule gets the gradient of y and gives that of each input. It is written in differentiable functions, so that it
  // can be differentiated itself, and captures nothing: what it reads is declared by Keep.
  return ct::record(
      "snake", {x, a}, y, ct::Keep::inputs(2), ct::NoAttributes{},
      [](const ct::Backward& b, ct::NoAttributes) -> ct::Gradients {
        const Tensor &in = b.input(0), &freq = b.input(1);
        const Tensor slope = ct::sin(2 * freq * in);
        return {b.grad() * (1 + slope), b.grad() * (in * slope - ct::square(ct::sin(freq * in)) / freq) / freq};
      });
}

// ---- 2. The layer: parameters, a list of them, forward ----

struct Snake : nn::Module {
  explicit Snake(int64_t channels, double start = 1) : frequency(ct::full({channels}, start)) {}
  nn::Parameter frequency;
  COTANGENT_MODULE(frequency)

  Tensor forward(const Tensor& x) { return snake(x, frequency); }
};

// ---- 3. The same with a mistake: in dy/da the division by a got lost ----

Tensor broken_snake(const Tensor& x, const Tensor& frequency) {
  const Tensor a = ct::expand(frequency, x.shape());
  Tensor y;
  {
    ct::NoGrad guard;
    y = x + ct::square(ct::sin(a * x)) / a;
  }
  return ct::record("broken_snake", {x, a}, y, ct::Keep::inputs(2), ct::NoAttributes{},
                    [](const ct::Backward& b, ct::NoAttributes) -> ct::Gradients {
                      const Tensor &in = b.input(0), &freq = b.input(1);
                      const Tensor slope = ct::sin(2 * freq * in);
                      return {b.grad() * (1 + slope), b.grad() * (in * slope - ct::square(ct::sin(freq * in)) / freq)};
                    });
}

void run(int steps) {
  ct::manual_seed(1);

  // The checker moves every input and every parameter a little and compares: in float64, for the first and the second
  // derivative.
  Tensor x = ct::randn({3, 2}, ct::float64);
  Snake layer(2, 1.5);
  layer.to(ct::float64);
  const ct::GradcheckReport good = ct::gradcheck(layer, {x});
  std::printf("---- the layer ----\n%s\n", good.to_string().c_str());

  const ct::GradcheckReport bad = ct::gradcheck(broken_snake, {x, layer.frequency});
  std::printf("---- with the mistake ----\n%s\n", bad.to_string().c_str());

  // Now it is a layer like any other. Two sines added up are learned from 64 points.
  Tensor t = ct::linspace(-3, 3, 64).unsqueeze(1), signal = ct::sin(3 * t) + 0.5 * ct::sin(7 * t);
  nn::Sequential net(nn::Linear(1, 32), Snake(32, 3), nn::Linear(32, 32), Snake(32), nn::Linear(32, 1));
  std::printf("---- in a network ----\n%s\n", to_string(net).c_str());
  ct::optim::AdamW optimizer(net.parameters(), {.lr = 3e-3});
  for (int step = 0; step <= steps; ++step) {
    optimizer.zero_grad();
    const Tensor loss = ct::mse_loss(net(t), signal);
    loss.backward();
    optimizer.step();
    if (step % 100 == 0 || step == steps) std::printf("step %3d  loss %.5f\n", step, loss.item());
  }
  if (!good.ok() || bad.ok()) throw ct::Error("the checker did not tell the rule from the mistake");
}

int main(int argc, char** argv) {
  int steps = 300;
  CommandLine options("new_layer",
                      "Checks the gradient of a new layer, finds a mistake in it, and trains with the layer.");
  options.add("--steps", steps, "Steps of the training", kPositive);
  return options.run(argc, argv, [&] { run(steps); });
}
