#include <cotangent/nn/peft/tuned.hpp>

#include <optional>

#include <cotangent/autograd/modes.hpp>
#include <cotangent/autograd/ops/index.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/autograd/transforms/checkpoint.hpp>
#include <cotangent/nn/peft/adapter.hpp>
#include <cotangent/nn/peft/lora.hpp>
#include <cotangent/optim/sgd.hpp>
#include <cotangent/tensor/random.hpp>

#include "tiny.hpp"

using namespace cotangent;

namespace {

struct Tied : nn::Module {
  Tied() { head.weight = token.weight; }
  nn::Embedding token{5, 4};
  nn::Linear head{4, 5, {.bias = false}};
  COTANGENT_MODULE(token, head)
  Tensor forward(const Tensor& tokens) { return head(token(tokens)); }
};

struct Outer : nn::Module {
  Outer() : model(nn::tune<nn::LoRA>(nn::Linear(3, 2), {.targets = {"weight"}})) {}
  nn::Tuned<nn::LoRA, nn::Linear> model;
  COTANGENT_MODULE(model)
  Tensor forward(const Tensor& x) { return model(x); }
};

/// The first layer keeps nothing for the backward pass.
struct Frugal : nn::Module {
  nn::Linear first{3, 3}, second{3, 2};
  bool frugal = true;
  COTANGENT_MODULE(first, second)
  Tensor forward(const Tensor& x) { return second(frugal ? checkpoint(first, x) : first(x)); }
};

struct Shrinking : nn::Module {
  nn::Linear first{3, 3};
  std::optional<nn::Linear> second = nn::Linear(3, 3);
  COTANGENT_MODULE(first, second)
  Tensor forward(const Tensor& x) { return second ? (*second)(first(x)) : first(x); }
};

std::vector<std::string> names_of(const nn::StateDict& state) {
  std::vector<std::string> names;
  for (const auto& entry : state) names.push_back(entry.name);
  return names;
}

/// A LoRA whose change is not 0.
template <class M>
nn::Tuned<nn::LoRA, M> moved(const M& model, const nn::LoRAOptions& options = {}) {
  auto tuned = nn::tune<nn::LoRA>(model, options);
  randomize(tuned.tuner);
  return tuned;
}

}  // namespace

TEST_CASE("a pattern is a name or its end, with * for anything") {
  using nn::detail::name_matches;
  CHECK(name_matches("blocks.0.linear1.weight", "blocks.0.linear1.weight"));
  CHECK(name_matches("blocks.0.linear1.weight", "linear1.weight"));
  CHECK(name_matches("blocks.0.linear1.weight", "weight"));
  CHECK(name_matches("blocks.0.linear1.weight", "blocks.*.weight"));
  CHECK(name_matches("blocks.0.linear1.weight", "lin*"));
  CHECK(name_matches("blocks.0.linear1.weight", "*"));
  CHECK_FALSE(name_matches("blocks.0.linear1.weight", "1.weight"));
  CHECK_FALSE(name_matches("blocks.0.linear1.weight", "linear1"));
  CHECK_FALSE(name_matches("blocks.0.linear1.weight", ""));
  CHECK(name_matches("", ""));
}

TEST_CASE("the state of a tuned model has the model's tensors under their names") {
  const Tiny model;
  auto tuned = nn::tune<nn::LoRA>(model, {.targets = {"0.linear1.weight", "in_proj_weight.q"}, .r = 2});
  std::vector<std::string> expected = names_of(model.state_dict());
  const std::vector<std::string> own{"blocks.layers.0.self_attn.in_proj_weight.q.lora_A",
                                     "blocks.layers.0.self_attn.in_proj_weight.q.lora_B",
                                     "blocks.layers.0.linear1.weight.lora_A",
                                     "blocks.layers.0.linear1.weight.lora_B",
                                     "blocks.layers.1.self_attn.in_proj_weight.q.lora_A",
                                     "blocks.layers.1.self_attn.in_proj_weight.q.lora_B"};
  CHECK(names_of(tuned.tuner.state_dict()) == own);
  expected.insert(expected.end(), own.begin(), own.end());
  CHECK(names_of(tuned.state_dict()) == expected);
  CHECK(tuned.parameter_count() == model.parameter_count() + tuned.tuner.parameter_count());

  CHECK(names_of(Outer().state_dict()) ==
        std::vector<std::string>{"model.weight", "model.bias", "model.weight.lora_A", "model.weight.lora_B"});
  CHECK(to_string(Outer()) ==
        "Outer                        48 parameters\n"
        "  model: Tuned               48\n"
        "    Linear(3, 2)              8\n"
        "    LoRA(r = 8, alpha = 16)  40\n"
        "      weight: LowRank        40\n");
  CHECK(Outer()(ones({3})).shape() == Shape{2});
}

TEST_CASE("a tuner saved from one model fits another of the same names") {
  const Tiny model;
  auto one = moved(model), other = nn::tune<nn::LoRA>(model);
  CHECK_FALSE(equal(one(kTokens), other(kTokens)));
  other.tuner.load_state_dict(one.tuner.state_dict());
  CHECK(equal(one(kTokens), other(kTokens)));
  other = nn::tune<nn::LoRA>(model);
  other.load_state_dict(one.state_dict());
  CHECK(equal(one(kTokens), other(kTokens)));
  CHECK(error_of([&] { other.tuner.load_state_dict(model.state_dict()); }) != "nothing thrown");
}

TEST_CASE("the model without the tuner stays what it was, and is not trained") {
  Tiny model;
  const Tensor before = model(kTokens);
  const nn::StateDict state = model.state_dict().clone();
  auto tuned = nn::tune<nn::LoRA>(model);
  optim::SGD optimizer(tuned.parameters(), {.lr = 0.1});
  for (int i = 0; i < 3; ++i) {
    optimizer.zero_grad();
    sum(square(tuned(kTokens) - 1)).backward();
    optimizer.step();
  }
  CHECK_FALSE(allclose(tuned(kTokens), before));
  CHECK(equal(model(kTokens), before));
  for (const auto& [name, x] : model.state_dict()) {
    INFO(name);
    CHECK(equal(x, state[name]));
  }
  for (const Tensor& p : model.parameters()) CHECK_FALSE((p.requires_grad() || p.grad().defined()));
}

TEST_CASE("merged weights give what the tuner gives, in all that share them; unmerged they are what they were") {
  Tiny model;
  model.to(float64);
  const nn::StateDict state = model.state_dict().clone();
  auto tuned = moved(model, {.targets = {"in_proj_weight.v", "linear2.weight", "head.weight"}, .r = 3});
  const Tensor y = tuned(kTokens), start = model(kTokens);
  CHECK_FALSE(allclose(y, start));
  tuned.merge();
  CHECK(tuned.is_merged());
  CHECK(close(tuned(kTokens), y));
  CHECK(close(model(kTokens), y));
  CHECK_THAT(error_of([&] { tuned.merge(); }), Catch::Contains("merged already"));
  CHECK(equal(tuned(kTokens), model(kTokens)));
  tuned.unmerge();
  CHECK(equal(tuned(kTokens), y));
  CHECK(equal(model(kTokens), start));
  for (const auto& [name, x] : model.state_dict()) CHECK(equal(x, state[name]));
  CHECK_THAT(error_of([&] { tuned.unmerge(); }), Catch::Contains("not merged"));
}

TEST_CASE("a model is not merged while dropout is active") {
  nn::Linear layer(3, 3);
  auto tuned = moved(layer, {.targets = {"weight"}, .dropout = 0.5});
  CHECK_THAT(error_of([&] { tuned.merge(); }), Catch::Contains("call eval() first"));
  CHECK_FALSE(tuned.is_merged());
  tuned.eval();
  const Tensor y = tuned(ones({2, 3}));
  tuned.merge();
  CHECK(allclose(layer(ones({2, 3})), y));
  tuned.train();
  CHECK(allclose(tuned(ones({2, 3})), y));  // no tuner, no dropout
}

TEST_CASE("a clone of a tuned model shares nothing with it, also merged") {
  const Tiny model;
  auto tuned = moved(model);
  const Tensor y = tuned(kTokens);
  auto twin = tuned.clone();
  for (const Tensor& p : twin.parameters()) {
    NoGrad guard;
    Tensor(p).fill_(0);
  }
  CHECK(equal(tuned(kTokens), y));
  tuned.merge();
  auto merged = tuned.clone();
  merged.unmerge();
  CHECK(tuned.is_merged());
  CHECK(allclose(merged(kTokens), y));
  CHECK(allclose(tuned(kTokens), y));
}

TEST_CASE("an error in a call leaves the model as it was, and says where it came from") {
  Tiny model;
  const Tensor y = model(kTokens);
  auto tuned = moved(model);
  CHECK_THAT(error_of([&] { tuned(tensor({{7}})); }), Catch::Contains("(in token)"));
  CHECK(equal(model(kTokens), y));
  CHECK(equal(tuned.base(kTokens), y));
}

TEST_CASE("a target that is gone is an error, and the others are as they were") {
  const Shrinking model;
  auto tuned = moved(model, {.targets = {"weight"}});
  tuned.base.second.reset();
  CHECK(error_of([&] { tuned(ones({3})); }) == "[Tuned] the model has no parameter second.weight any more");
  CHECK(equal(tuned.base.first.weight, model.first.weight));
}

TEST_CASE("a parameter that stands in several places is tuned in all") {
  Tied model;
  model.to(float64);
  auto tuned = moved(model, {.targets = {"token.weight"}, .r = 2});
  CHECK(tuned.tuner.targets.size() == 1);
  const nn::LowRank& d = tuned.tuner.deltas[0];
  const Tensor w = model.token.weight + transpose(matmul(d.lora_B, d.lora_A), 0, 1) * 8;
  CHECK(close(tuned(kTokens), linear(embedding(w, kTokens), w)));
  const Tensor y = tuned(kTokens);
  tuned.merge();
  CHECK(close(model(kTokens), y));
}

TEST_CASE("a tuned model can be checkpointed, as a whole and in parts") {
  const auto gradients = [](auto tuned, bool whole) {
    const Tensor x = ones({2, 3}).requires_grad_();
    sum(square(whole ? checkpoint(tuned, x) : tuned(x))).backward();
    Tensors all{x.grad()};
    for (const Tensor& p : tuned.tuner.parameters()) all.push_back(p.grad());
    return all;
  };
  const Frugal model;
  auto tuned = moved(model, {.targets = {"first.weight"}, .r = 2});
  const Tensors expected = gradients(tuned.clone(), false), got = gradients(tuned.clone(), true);
  for (size_t i = 0; i < got.size(); ++i) CHECK(equal(got[i], expected[i]));
  const nn::LowRank d = tuned.tuner.deltas[0];
  const Tensor a = d.lora_A.detach().clone().requires_grad_(), x = ones({2, 3});
  const Tensor w = model.first.weight + matmul(d.lora_B.detach(), a) * 8;
  sum(square(linear(linear(x, w, model.first.bias), model.second.weight, model.second.bias))).backward();
  CHECK(allclose(got[1], a.grad()));
}

TEST_CASE(
    "what a tuner adds to calls is not lost in a checkpoint: of the whole it is there again, of a part an error") {
  Frugal model;
  model.to(float64);
  const Tensor x = randn({2, 3}, float64);
  const auto check = [&](auto tuned) {
    randomize(tuned.tuner);
    auto whole = tuned.clone();
    whole.base.frugal = tuned.base.frugal = false;
    manual_seed(3);
    sum(square(tuned(x))).backward();
    manual_seed(3);
    sum(square(checkpoint(whole, x))).backward();
    for (size_t i = 0; i < tuned.tuner.parameters().size(); ++i)
      CHECK(equal(whole.tuner.parameters()[i].grad(), tuned.tuner.parameters()[i].grad()));
    tuned.base.frugal = true;
    CHECK_THAT(error_of([&] { tuned(x); }), Catch::Contains("lies in a checkpoint or a reversible block"));
    const NoGrad guard;  // nothing is run again
    tuned(x);
  };
  check(nn::tune<nn::Adapter>(model, {.targets = {"first"}, .bottleneck = 2}));
  check(nn::tune<nn::LoRA>(model, {.targets = {"first.weight"}, .r = 2, .dropout = 0.3}));
}

TEST_CASE("a tuned model can be tuned again") {
  nn::Linear layer(3, 2);
  auto first = moved(layer, {.targets = {"weight"}, .r = 1});
  auto second = moved(first, {.targets = {"weight"}, .r = 1});
  const auto change = [](const auto& t) { return matmul(t.tuner.deltas[0].lora_B, t.tuner.deltas[0].lora_A) * 16; };
  CHECK(allclose(second(eye(3)) - layer(eye(3)), transpose(change(first) + change(second), 0, 1), 1e-4, 1e-5));
  CHECK_FALSE(first.tuner.parameters()[0].requires_grad());
  CHECK(second.tuner.parameters()[0].requires_grad());
}

TEST_CASE("what is run with the model is tuned as well") {
  Tiny model;
  auto tuned = moved(model);
  const Tensor x = randn({2, 3, 4});
  const Tensor steps = tuned.run([&](Tiny& m) {
    nn::StreamState state = m.blocks.start(2);
    m.blocks.step(x.narrow(1, 0, 2), state);
    return m.blocks.step(x.narrow(1, 2, 1), state);
  });
  const Tensor all = tuned.run([&](Tiny& m) { return m.blocks(x); });
  CHECK(allclose(steps, all.narrow(1, 2, 1), 1e-4, 1e-5));
  CHECK_FALSE(allclose(all, model.blocks(x)));
}

TEST_CASE("targets that a model does not have are errors that name what there is") {
  const auto error = [](const std::vector<std::string>& targets) {
    return error_of([&] { nn::tune<nn::LoRA>(Tiny(), {.targets = targets}); });
  };
  CHECK_THAT(error({"linear3.weight"}),
             Catch::StartsWith("[LoRA] the model has no parameter linear3.weight; there are token.weight, "
                               "blocks.layers.0.self_attn.in_proj_weight, "
                               "blocks.layers.0.self_attn.in_proj_weight.q, "));
  CHECK_THAT(error({"linear1.bias"}), Catch::Contains("no parameter linear1.bias"));
  CHECK_THAT(error({"0.self_attn.in_proj_weight", "in_proj_weight.k"}),
             Catch::Contains("in_proj_weight.k is part of blocks.layers.0.self_attn.in_proj_weight; take either"));
  CHECK(error({}) == "[LoRA] no parameter is named as a target");
  CHECK(nn::tune<nn::LoRA>(Tiny(), {.targets = {"blocks.*"}}).tuner.targets.size() == 8);
  CHECK(nn::tune<nn::LoRA>(Tiny(), {.targets = {"*.q", "*.v"}}).tuner.targets.size() == 4);
  CHECK_THAT(
      error_of([] { nn::tune<nn::Adapter>(Tiny(), {.targets = {"attention"}}); }),
      Catch::StartsWith("[Adapter] the model has no module attention; there are token, blocks, blocks.layers.0,"));
}
