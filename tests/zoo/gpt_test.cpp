#include <cotangent/zoo/gpt.hpp>

#include <cmath>

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

zoo::GPT tiny(const std::string& attention, const std::string& position = "auto") {
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
  for (const std::string& attention : zoo::gpt_attentions()) {
    check(attention, "learned");
    if (tiny(attention).endless) check(attention, "auto");
  }
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

TEST_CASE("GPT with a state of fixed size writes on beyond the context, from all that was written") {
  manual_seed(1);
  const NoGrad guard;
  int count = 0;
  for (const std::string& attention : zoo::gpt_attentions()) {
    zoo::GPT model = tiny(attention);
    CHECK(model.learned.has_value() == !model.endless);
    if (!model.endless || attention == "s4") continue;  // whose parallel form ends at the context
    INFO(attention);
    ++count;
    Tensor expected = randint(0, 5, {1, 7});
    const Tensor text = model.write(expected, 4, {.temperature = 0});
    for (int i = 0; i < 4; ++i) expected = cat({expected, argmax(model(expected).narrow(1, -1, 1), -1)}, 1);
    CHECK(equal(text, expected));
    CHECK(equal(model.write(expected, 0), expected));  // of 11 tokens
  }
  CHECK(count == 13);

  zoo::GPT model = tiny("s4");
  CHECK(model.write(randint(0, 5, {1, 7}), 12, {.temperature = 0}).shape() == Shape{1, 19});
  model = tiny("mamba2", "learned");  // whose table ends
  CHECK_FALSE(model.endless);
  const Tensor text = model.write(randint(0, 5, {1, 7}), 2, {.temperature = 0});
  CHECK(equal(text.narrow(1, 8, 1), argmax(model(text.narrow(1, 0, 8)).narrow(1, -1, 1), -1)));
}

TEST_CASE("GPT ties its head to the embedding, goes without biases, and starts as GPT-2") {
  manual_seed(1);
  const zoo::GPTOptions options{.width = 64, .layers = 2, .context = 8, .bias = false, .tied = true, .gpt2_init = true};
  zoo::GPT model(50, options);
  for (const NamedTensor& p : model.named_parameters()) {
    INFO(p.name);
    CHECK_FALSE(p.name.ends_with("bias"));
    CHECK(p.name != "head.weight");
    if (p.tensor.rank() == 1) continue;
    const bool adds = p.name.ends_with("out_proj.weight") || p.name.ends_with("linear2.weight");
    CHECK(std::sqrt(mean(square(p.tensor)).item()) == Approx(adds ? 0.01 : 0.02).epsilon(0.1));
  }
  CHECK(model.parameter_count() == 64 * (50 + 8) + 2 * (12 * 64 * 64 + 2 * 64) + 64);
  CHECK(model.head.weight.grad().defined() == false);
  sum(model(zeros({1, 3}, int64))).backward();
  CHECK(model.head.weight.grad().defined());
  CHECK(equal(model.head.weight.grad(), model.token.weight.grad()));
  model.to(float64);
  zoo::GPT copy = model.clone();
  CHECK(copy.head.weight.shares_storage(copy.token.weight));
  CHECK_FALSE(copy.head.weight.shares_storage(model.head.weight));

  for (const char* attention : {"mamba", "gated"}) {  // what is not told to starts as it does by itself
    manual_seed(1);
    const zoo::GPT own(5, {.attention = attention, .width = 8, .layers = 1, .context = 8});
    manual_seed(1);
    const zoo::GPT as_gpt2(5, {.attention = attention, .width = 8, .layers = 1, .context = 8, .gpt2_init = true});
    const StateDict a = own.state_dict(), b = as_gpt2.state_dict();
    const std::string name = "blocks.layers.0.self_attn.in_proj.weight";
    CHECK(equal(a[name], b[name]) == (attention == std::string("mamba")));
    CHECK_FALSE(equal(a["blocks.layers.0.linear1.weight"], b["blocks.layers.0.linear1.weight"]));
    CHECK(equal(b["blocks.layers.0.linear1.bias"], zeros({32})));
  }
}

TEST_CASE("gradients of GPT") {
  manual_seed(1);
  zoo::GPT model(3, {.position = "rotary", .width = 4, .layers = 1, .heads = 2, .context = 3});
  model.to(float64);
  const Tensors parameters = model.parameters();
  for (Tensor p : parameters) normal_(p, 0.2, 1);
  const Tensor tokens = tensor({{0, 2, 1}, {1, 1, 2}});
  check_gradients([&] { return model(tokens); }, parameters);
  zoo::GPT tied(3,
                {.attention = "rwkv", .width = 4, .layers = 1, .heads = 1, .context = 3, .bias = false, .tied = true});
  tied.to(float64);
  for (Tensor p : tied.parameters()) normal_(p, 0.2, 0.5);
  check_gradients([&] { return tied(tokens); }, tied.parameters());
}

TEST_CASE("GPT says what it does not take") {
  CHECK_THROWS_WITH(zoo::GPT(5, {.attention = "multi"}),
                    Catch::StartsWith("[GPT] there is no attention called multi; there are multihead, grouped, "));
  CHECK_THROWS_WITH(
      zoo::GPT(5, {.position = "polar"}),
      Catch::StartsWith("[GPT] there is no encoding of positions called polar; there are auto, learned, "));
  CHECK_THROWS_WITH(zoo::GPT(5, {.attention = "mamba", .position = "rotary"}),
                    "[GPT] mamba takes no rotary positions, which attention applies; take auto, none, learned or "
                    "sinusoidal");
  CHECK_THROWS_WITH(zoo::GPT(5, {.attention = "mamba2", .heads = 0}), "[GPT] 0 heads; there must be at least 1");
  CHECK_THROWS_AS(zoo::GPT(5, {.attention = "mamba2", .width = 8, .heads = 3}), ValueError);
  CHECK_THROWS_AS(zoo::GPT(5, {.width = 7, .heads = 2}), ValueError);
  zoo::GPT model(5, {.width = 8, .layers = 1, .heads = 2, .context = 4});
  CHECK_THROWS_AS(model(zeros({1, 5}, int64)), Error);  // longer than the table of positions
  CHECK_THROWS_AS(model(zeros({1, 2})), DTypeError);
}

TEST_CASE("GPT refuses a dropout outside [0, 1] under its own name") {
  CHECK_THROWS_WITH(zoo::GPT(5, {.dropout = 2}), "[GPT] dropout is 2; it must be in [0, 1]");
}
