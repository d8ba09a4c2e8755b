#include <cotangent/zoo/gpt.hpp>

#include <catch2/catch.hpp>
#include <cotangent/autograd/modes.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/random.hpp>
#include <cotangent/tests/values.hpp>

#include "../check_gradients.hpp"
#include "../nn/names.hpp"

using namespace cotangent;

namespace {

zoo::GPT tiny(const std::string& attention, const std::string& position) {
  zoo::GPT model(5, {.attention = attention, .position = position, .width = 8, .layers = 2, .heads = 2, .context = 8});
  model.to(float64);
  model.eval();
  for (Tensor p : model.parameters())
    if (p.rank() == 2) normal_(p, 0, 1);  // so that what comes next depends on all before it
  return model;
}

}  // namespace

TEST_CASE("GPT steps as it runs, with every attention and every position") {
  manual_seed(1);
  const Tensor tokens = randint(0, 5, {2, 8});
  const auto check = [&](const std::string& attention, const std::string& position) {
    INFO(attention << ", " << position);
    zoo::GPT model = tiny(attention, position);
    const Tensor logits = model(tokens);
    CHECK(logits.shape() == Shape{2, 8, 5});
    nn::StreamState state = model.start(2);
    Tensors parts;
    for (const int64_t size : {3, 1, 4}) parts.push_back(model.step(tokens.narrow(1, state.length, size), state));
    CHECK(close(cat(parts, 1), logits, 1e-10));
  };
  for (const std::string& attention : zoo::gpt_attentions()) check(attention, "learned");
  for (const std::string& position : zoo::gpt_positions()) check("grouped", position);
}

TEST_CASE("GPT sees no token that is still to come") {
  manual_seed(1);
  zoo::GPT model = tiny("multihead", "rotary");
  const Tensor tokens = randint(0, 5, {1, 8}), changed = tokens.clone();
  changed[0][7].fill_((tokens[0][7].item<int64_t>() + 1) % 5);
  const Tensor a = model(tokens), b = model(changed);
  CHECK(close(a.narrow(1, 0, 7), b.narrow(1, 0, 7)));
  CHECK_FALSE(close(a, b));
}

TEST_CASE("GPT names its parameters") {
  const zoo::GPT model(5, {.width = 8, .layers = 1, .heads = 2, .context = 6});
  CHECK(keys(model) == Names{"token.weight", "learned.weight", "blocks.layers.0.self_attn.in_proj_weight",
                             "blocks.layers.0.self_attn.in_proj_bias", "blocks.layers.0.self_attn.out_proj.weight",
                             "blocks.layers.0.self_attn.out_proj.bias", "blocks.layers.0.linear1.weight",
                             "blocks.layers.0.linear1.bias", "blocks.layers.0.linear2.weight",
                             "blocks.layers.0.linear2.bias", "blocks.layers.0.norm1.weight",
                             "blocks.layers.0.norm1.bias", "blocks.layers.0.norm2.weight", "blocks.layers.0.norm2.bias",
                             "blocks.norm.weight", "blocks.norm.bias", "head.weight"});
}

TEST_CASE("a clone of GPT shares nothing") {
  manual_seed(1);
  const NoGrad guard;
  zoo::GPT model = tiny("multihead", "sinusoidal"), copy = model.clone();
  const Tensor tokens = randint(0, 5, {1, 4}), logits = model(tokens);
  CHECK(close(copy(tokens), logits));
  copy.head.weight.mul_(2);
  CHECK(close(copy(tokens), 2 * logits));
  CHECK(close(model(tokens), logits));
}

TEST_CASE("GPT writes the likeliest token after all before it, and goes on when the context is full") {
  manual_seed(1);
  zoo::GPT model = tiny("multihead", "learned");
  const NoGrad guard;
  const Tensor prompt = randint(0, 5, {2, 3});
  const Tensor text = model.write(prompt, 5, {.temperature = 0});
  Tensor expected = prompt;
  for (int i = 0; i < 5; ++i) expected = cat({expected, argmax(model(expected).narrow(1, -1, 1), -1)}, 1);
  CHECK(equal(text, expected));

  // the context holds 8 tokens; the 9th is read with the 3 before it
  const Tensor longer = model.write(prompt, 7, {.temperature = 0});
  CHECK(longer.shape() == Shape{2, 10});
  CHECK(equal(longer.narrow(1, 0, 8), text));
  CHECK(equal(longer.narrow(1, 8, 1), argmax(model(text).narrow(1, -1, 1), -1)));
  CHECK(equal(longer.narrow(1, 9, 1), argmax(model(longer.narrow(1, 5, 4)).narrow(1, -1, 1), -1)));

  Generator one(3), two(3);
  CHECK(equal(model.write(prompt, 12, {}, one), model.write(prompt, 12, {}, two)));
}

TEST_CASE("gradients of GPT") {
  manual_seed(1);
  zoo::GPT model(3, {.position = "rotary", .width = 4, .layers = 1, .heads = 2, .context = 3});
  model.to(float64);
  const Tensors parameters = model.parameters();
  for (Tensor p : parameters) normal_(p, 0.2, 1);
  const Tensor tokens = tensor({{0, 2, 1}, {1, 1, 2}});
  check_gradients([&] { return model(tokens); }, parameters);
}

TEST_CASE("GPT says what it does not take") {
  CHECK_THROWS_WITH(zoo::GPT(5, {.attention = "multi"}),
                    Catch::StartsWith("[GPT] there is no attention called multi; there are multihead, grouped, "));
  CHECK_THROWS_WITH(zoo::GPT(5, {.position = "polar"}),
                    Catch::StartsWith("[GPT] there is no encoding of positions called polar; there are learned, "));
  CHECK_THROWS_AS(zoo::GPT(5, {.width = 7, .heads = 2}), ValueError);
  zoo::GPT model(5, {.width = 8, .layers = 1, .heads = 2, .context = 4});
  CHECK_THROWS_AS(model(zeros({1, 5}, int64)), Error);  // longer than the table of positions
  CHECK_THROWS_AS(model(zeros({1, 2})), DTypeError);
}

TEST_CASE("GPT refuses a dropout outside [0, 1] under its own name") {
  CHECK_THROWS_WITH(zoo::GPT(5, {.dropout = 2}), "[GPT] dropout is 2; it must be in [0, 1]");
}
