#include <cotangent/nn/peft/adalora.hpp>

#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/optim/sgd.hpp>

#include "../check_layer.hpp"
#include "tiny.hpp"

using namespace cotangent;

namespace {
const std::vector<std::string> kThree{"in_proj_weight.q", "in_proj_weight.v", "linear1.weight"};
}

TEST_CASE("AdaLoRA equals PyTorch, gradients included") {
  const Json data("peft.json");
  const Json test = case_named(data, "adalora");
  auto tuned = nn::tune<nn::AdaLoRA>(tiny(data), {.targets = kThree, .r = 3, .target_r = 1, .alpha = 2});
  tuned.tuner.load_state_dict(state_of(test["parameters"]), false);
  const Tensor y = tuned(unpacked(data["tokens"]).to(int64)) + tuned.tuner.penalty();
  CHECK(close(y, unpacked(test["y"]), 1e-10));
  y.backward(unpacked(test["dy"]));
  CHECK(tuned.tuner.named_parameters().size() == test["gradients"].items().size());
  for (const auto& [name, p] : tuned.tuner.named_parameters()) {
    INFO(name);
    CHECK(close(p.grad(), unpacked(test["gradients"][name]), 1e-10));
  }
}

TEST_CASE("AdaLoRA moves its budget as Algorithm 1 does") {
  const Json data("peft.json");
  const Json test = data["budget"];
  const auto number = [&](const char* name) { return test[name].get<int64_t>(); };
  auto tuned = nn::tune<nn::AdaLoRA>(tiny(data), {.targets = kThree,
                                                  .r = number("r"),
                                                  .target_r = number("target_r"),
                                                  .alpha = test["alpha"].get<double>(),
                                                  .steps = number("steps"),
                                                  .initial = number("initial"),
                                                  .final = number("final"),
                                                  .interval = number("interval"),
                                                  .beta1 = test["beta1"].get<double>(),
                                                  .beta2 = test["beta2"].get<double>()});
  tuned.tuner.load_state_dict(state_of(test["parameters"]), false);
  optim::SGD optimizer(tuned.tuner.parameters(), {.lr = test["rate"].get<double>()});
  CHECK_THAT(error_of([&] { tuned.tuner.allocate(1); }), Catch::Contains("call backward() before"));
  for (int64_t step = 1; step <= number("steps"); ++step) {
    INFO("step " << step);
    (sum(square(tuned(unpacked(data["tokens"]).to(int64)))) * 0.5 + tuned.tuner.penalty()).backward();
    optimizer.step();
    tuned.tuner.allocate(step);
    optimizer.zero_grad();
    const auto at = static_cast<size_t>(step - 1);
    CHECK(tuned.tuner.budget(step) == test["budgets"][at].get<int64_t>());
    CHECK(tuned.tuner.ranks() == test["ranks"][at].get<std::vector<int64_t>>());
  }
  for (const auto& [name, x] : tuned.tuner.state_dict()) {
    INFO(name);
    if (!name.ends_with(".kept")) CHECK(close(x, unpacked(test["end"][name]), 1e-10));
  }
}

TEST_CASE("AdaLoRA starts as the model, merges, and has gradients of any order") {
  Tiny model;
  auto tuned = nn::tune<nn::AdaLoRA>(model, {.targets = kThree});
  CHECK(equal(tuned(kTokens), model(kTokens)));
  randomize(tuned.tuner);
  const Tensor y = tuned(kTokens);
  tuned.merge();
  CHECK(allclose(model(kTokens), y, 1e-4, 1e-5));
  check_layer(nn::tune<nn::AdaLoRA>(nn::Linear(3, 2), {.targets = {"weight"}, .r = 2, .target_r = 1}), {4, 3});
  auto small = nn::tune<nn::AdaLoRA>(nn::Linear(3, 2), {.targets = {"weight"}, .r = 2, .target_r = 1});
  small.to(float64);
  CHECK_THAT(gradcheck(small,
                       [&] {
                         return Tensors{small.tuner.penalty(), sum(small(ones({1, 3}, float64)))};
                       },
                       {}),
             GradientsAreRight());
}

TEST_CASE("AdaLoRA refuses a gradient that is not finite, and forgets nothing") {
  nn::Linear layer(3, 2);
  auto tuned = nn::tune<nn::AdaLoRA>(layer, {.targets = {"weight"}, .r = 2, .target_r = 1});
  sum(tuned(ones({1, 3}))).backward();
  tuned.tuner.allocate(1);
  const Tensor before = tuned.tuner.deltas[0].mean_Q.clone();
  for (const double bad : {double{NAN}, double{INFINITY}}) {
    tuned.tuner.deltas[0].lora_Q.grad().detach()[0][1].fill_(bad);
    CHECK(error_of([&] { tuned.tuner.allocate(2); }) ==
          "[allocate] the gradient of weight.lora_Q is not finite; leave this step out");
    CHECK(equal(tuned.tuner.deltas[0].mean_Q, before));
  }
}

TEST_CASE("options of AdaLoRA out of range are errors") {
  const auto error = [](nn::AdaLoRAOptions options) {
    options.targets = {"weight"};
    return error_of([&] { nn::tune<nn::AdaLoRA>(nn::Linear(2, 2), options); });
  };
  CHECK(error({.r = 2, .target_r = 3}) == "[AdaLoRA] ranks from 2 to 3; take r >= target_r >= 1");
  CHECK(error({.target_r = 0}) == "[AdaLoRA] ranks from 12 to 0; take r >= target_r >= 1");
  CHECK(error({.beta1 = 1}) == "[AdaLoRA] betas 1 and 0.85 must be at least 0 and below 1");
  CHECK(error({.steps = 400}) ==
        "[AdaLoRA] 100 initial and 300 final of 400 steps, by 10; some must be left between, by 1 or more");
  CHECK_THAT(error({.interval = 0}), Catch::Contains("by 0;"));
  CHECK_THAT(error({.alpha = double{NAN}}), Catch::StartsWith("[AdaLoRA] alpha nan"));
  CHECK_THAT(error({.beta2 = double{NAN}}), Catch::StartsWith("[AdaLoRA] betas 0.85 and nan"));
  CHECK(error_of([] { nn::tune<nn::AdaLoRA>(nn::Linear(2, 2), {.targets = {}}); }) ==
        "[AdaLoRA] no parameter is named as a target");
}
