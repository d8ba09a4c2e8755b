#include <cotangent/nn/peft/lora.hpp>

#include <cmath>

#include <cotangent/autograd/modes.hpp>
#include <cotangent/autograd/ops/attention.hpp>
#include <cotangent/autograd/ops/decomposition.hpp>
#include <cotangent/autograd/ops/index.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/random.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/nn/attention/latent.hpp>
#include <cotangent/nn/attention/low_rank.hpp>
#include <cotangent/nn/attention/relative.hpp>
#include <cotangent/nn/conv.hpp>
#include <cotangent/nn/sequence/delta_net.hpp>
#include <cotangent/nn/sequence/rnn.hpp>
#include <cotangent/optim/adam.hpp>
#include <cotangent/optim/schedule.hpp>

#include "../check_layer.hpp"
#include "tiny.hpp"

using namespace cotangent;

namespace {

const std::vector<std::string> kMany{"in_proj_weight.q", "in_proj_weight.v", "linear1.weight"};

template <class M>
void check_start(M model, const std::vector<std::string>& targets, const Tensor& x) {
  auto tuned = nn::tune<nn::LoRA>(model, {.targets = targets, .r = 2});
  CHECK(equal(tuned(x), model(x)));
}

}  // namespace

TEST_CASE("LoRA equals PyTorch, gradients included") {
  const Json data("peft.json");
  const Json test = case_named(data, "lora");
  CHECK(close(tiny(data)(unpacked(data["tokens"]).to(int64)), unpacked(data["y"]), 1e-10));
  check_case(data, test, nn::tune<nn::LoRA>(tiny(data), {.targets = kMany, .r = 2, .alpha = 3}));
}

TEST_CASE("LoRA starts as the model") {
  manual_seed(2);
  check_start(tiny_layer(), kMany, randn({2, 3, 4}));
  check_start(nn::Embedding(4, 3), {"weight"}, tensor({0, 2, 3}));
  check_start(nn::Conv2d(2, 3, 3), {"weight"}, randn({1, 2, 4, 4}));
  const auto lora = nn::tune<nn::LoRA>(nn::Linear(300, 20), {.targets = {"weight"}, .r = 100});
  const Tensor &a = lora.tuner.deltas[0].lora_A, &b = lora.tuner.deltas[0].lora_B;
  CHECK(a.shape() == Shape{100, 300});
  CHECK(b.shape() == Shape{20, 100});
  CHECK(max(abs(a)).item() <= 1 / std::sqrt(300.0));
  CHECK(max(abs(a)).item() > 0.99 / std::sqrt(300.0));
  CHECK(equal(b, zeros({20, 100})));
  const auto table = nn::tune<nn::LoRA>(nn::Embedding(7, 300), {.targets = {"weight"}, .r = 100});
  CHECK(equal(table.tuner.deltas[0].lora_A, zeros({100, 7})));
  CHECK(std::fabs(mean(square(table.tuner.deltas[0].lora_B)).item() - 1) < 0.05);
}

TEST_CASE("gradients of LoRA are right") {
  check_layer(nn::tune<nn::LoRA>(nn::Linear(3, 2), {.targets = {"weight"}, .r = 2}), {4, 3});
  check_layer(nn::tune<nn::LoRA>(tiny_layer(), {.targets = kMany, .r = 1}), {1, 3, 4}, 64);
  check_layer(nn::tune<nn::LoRA>(nn::Linear(3, 2), {.targets = {"weight"}, .r = 2, .dropout = 0.3}), {4, 3});
  check_layer(nn::tune<nn::LoRA>(nn::Conv1d(2, 2, 2), {.targets = {"weight"}, .r = 1}), {1, 2, 4});
}

TEST_CASE("LoRA of an embedding, a convolution and a recurrent layer changes the weight by B A") {
  manual_seed(3);
  const auto product = [](const nn::LowRank& d) { return matmul(d.lora_B, d.lora_A) * (5.0 / 2); };
  const auto tuned_of = [](auto model, const char* target) {
    model.to(float64);
    auto tuned = nn::tune<nn::LoRA>(model, {.targets = {target}, .r = 2, .alpha = 5});
    randomize(tuned.tuner);
    return tuned;
  };
  const Tensor index = tensor({{0, 3}, {1, 1}});
  auto table = tuned_of(nn::Embedding(4, 3, {.padding_idx = 1}), "weight");
  const Tensor rows = table.base.weight + transpose(product(table.tuner.deltas[0]), 0, 1);
  CHECK(close(table(index), embedding(rows, index)));
  sum(table(index)).backward();
  CHECK(equal(table.tuner.deltas[0].lora_A.grad().select(1, 1), zeros({2}, float64)));  // of the padding

  auto conv = tuned_of(nn::Conv2d(4, 6, 3, {.stride = 2, .groups = 2}), "weight");
  const Tensor image = randn({2, 4, 7, 5}, float64);
  const Tensor kernel = conv.base.weight + product(conv.tuner.deltas[0]).reshape({6, 2, 3, 3});
  CHECK(close(conv(image), conv2d(image, kernel, conv.base.bias, {.stride = 2, .groups = 2})));

  auto lstm = tuned_of(nn::LSTM(3, 2), "weight_hh_l0");
  nn::LSTM plain = lstm.base.clone();
  {
    const NoGrad guard;
    plain.weights[0].w_hh.copy_(plain.weights[0].w_hh + product(lstm.tuner.deltas[0]));
  }
  const Tensor sequence = randn({4, 2, 3}, float64);
  CHECK(close(lstm(sequence).output, plain(sequence).output));
}

TEST_CASE("LoRA drops of the input that A sees, in training alone") {
  manual_seed(4);
  nn::Linear layer(6, 5);
  layer.to(float64);
  auto lora = nn::tune<nn::LoRA>(layer, {.targets = {"weight"}, .r = 2, .alpha = 3, .dropout = 0.4});
  randomize(lora.tuner);
  const Tensor x = randn({7, 6}, float64);
  const nn::LowRank& d = lora.tuner.deltas[0];
  const auto expected = [&](const Tensor& seen) { return layer(x) + linear(linear(seen, d.lora_A), d.lora_B) * 1.5; };
  manual_seed(9);
  const Tensor y = lora(x);
  manual_seed(9);
  CHECK(close(y, expected(dropout(x, 0.4))));
  CHECK_FALSE(close(y, expected(x)));
  lora.eval();
  CHECK(close(lora(x), expected(x)));
}

TEST_CASE("LoRA drops before parts of a fused projection, also to a memory") {
  manual_seed(5);
  nn::MultiHeadAttention attention(4, 2);
  attention.to(float64);
  auto lora = nn::tune<nn::LoRA>(attention, {.targets = {"*.q", "*.v"}, .r = 2, .dropout = 0.5});
  randomize(lora.tuner);
  const Tensor x = randn({2, 3, 4}, float64), memory = randn({2, 5, 4}, float64);
  const nn::LowRank &q = lora.tuner.deltas[0], &v = lora.tuner.deltas[1];
  // The same with projections that are written out. The order in which masks are drawn is that of the calls.
  const auto expected = [&](const Tensor& m) {
    const Tensor w = attention.in_proj_weight;
    const auto at = [](const Tensor& input, const nn::LowRank& d) {
      return linear(linear(dropout(input, 0.5), d.lora_A), d.lora_B) * 8;
    };
    Tensor queries = linear(x, w.narrow(0, 0, 4)), values = linear(m, w.narrow(0, 8, 4));
    if (m.impl() == x.impl()) {
      queries = queries + at(x, q), values = values + at(x, v);
    } else {  // keys and values come first
      values = values + at(m, v);
      queries = queries + at(x, q);
    }
    const auto heads = [](const Tensor& t) { return transpose(unflatten(t, 2, {2, 2}), 1, 2); };
    const Tensor y = scaled_dot_product_attention(heads(queries), heads(linear(m, w.narrow(0, 4, 4))), heads(values));
    return attention.out_proj(flatten(transpose(y, 1, 2), 2));
  };
  for (const Tensor& m : {x, memory}) {
    manual_seed(9);
    const Tensor y = m.impl() == x.impl() ? lora(x) : lora(x, nn::SequenceCall{.memory = m});
    manual_seed(9);
    CHECK(close(y, expected(m)));
  }
}

TEST_CASE("LoRA drops before the projections of gates, of positions and of latents") {
  manual_seed(6);
  // Without dropout it is in the weight, with it beside: in evaluation both are the same, in training the latter draws.
  const auto check = [](auto layer, const std::vector<std::string>& targets, auto call) {
    layer.to(float64);
    auto plain = nn::tune<nn::LoRA>(layer, {.targets = targets, .r = 2});
    auto drops = nn::tune<nn::LoRA>(layer, {.targets = targets, .r = 2, .dropout = 1e-9});
    randomize(plain.tuner);
    drops.tuner.load_state_dict(plain.tuner.state_dict());
    const Tensor y = plain.run(call);
    CHECK(close(drops.run(call), y, 1e-6));
    CHECK_FALSE(close(call(layer), y, 1e-3));
    drops.tuner.options.dropout = 0.5;
    CHECK_FALSE(close(drops.run(call), y, 1e-3));
    sum(drops.run(call)).backward();
    for (const Tensor& p : drops.tuner.parameters()) CHECK(p.grad().abs().max().item() > 0);
  };
  const Tensor x = randn({2, 5, 4}, float64);
  const auto whole = [&](auto& m) { return m(x); };
  check(nn::GatedDeltaNet(4, 2), {"a_proj.weight", "g_proj.weight"}, whole);
  check(nn::MultiHeadAttention(4, 2, {.positions = nn::TransformerXL(4, 2)}), {"positions.proj.weight"}, whole);
  check(nn::MultiHeadAttention(4, 2, {.positions = nn::Disentangled(4, 2, {.reach = 3})}),
        {"positions.query_proj.weight", "positions.key_proj.weight"}, whole);
  check(nn::LatentAttention(4, 2, {.kv_rank = 3, .rope_width = 2, .causal = true}), {"kv_b_proj.weight"}, whole);
  check(nn::LatentAttention(4, 2, {.kv_rank = 3, .rope_width = 2, .causal = true}), {"kv_b_proj.weight"},
        [&](auto& m) { return m(x, {.form = nn::SequenceForm::chunked, .chunk = 2}); });

  // and behind or before other parameters of an attention it can not
  nn::Linformer attention(4, 2, {.length = 6, .rank = 3});
  CHECK_THAT(error_of([&] { nn::tune<nn::LoRA>(attention, {.targets = {"key_projection"}, .dropout = 0.1}); }),
             Catch::Contains("whose input is out of reach of the dropout"));
}

TEST_CASE("LoRA of full rank can represent any change; the SVD of a delta loses what it cuts off") {
  manual_seed(6);
  nn::Sequential model(nn::Linear(5, 3), nn::Linear(3, 4)), other(nn::Linear(5, 3), nn::Linear(3, 4));
  model.to(float64), other.to(float64);
  const nn::StateDict full = nn::svd_delta(other.state_dict(), model.state_dict(), 3);
  CHECK(full.size() == 4);
  auto lora = nn::tune<nn::LoRA>(model, {.targets = {"0.weight", "1.weight"}, .r = 3, .alpha = 3});
  lora.tuner.load_state_dict(full);
  const Tensor x = randn({6, 5}, float64);
  const auto applied = [&](const nn::StateDict& weights) {
    return linear(linear(x, weights["0.weight"], model.state_dict()["0.bias"]), weights["1.weight"],
                  model.state_dict()["1.bias"]);
  };
  CHECK(close(lora(x), applied(other.state_dict())));

  const nn::StateDict cut = nn::svd_delta(other.state_dict(), model.state_dict(), 1);
  const Tensor change = other.state_dict()["0.weight"] - model.state_dict()["0.weight"];
  const Tensor s = linalg::svdvals(change);
  const double lost = sum(square(change - matmul(cut["0.weight.lora_B"], cut["0.weight.lora_A"]))).item();
  CHECK(lost == Approx(sum(square(s.narrow(0, 1, 2))).item()).epsilon(1e-12));
  CHECK(close(sum(square(cut["0.weight.lora_A"])), s[0]));
  CHECK(close(sum(square(cut["0.weight.lora_B"])), s[0]));

  const auto error = [&](int64_t r) {
    return error_of([&] { nn::svd_delta(other.state_dict(), model.state_dict(), r); });
  };
  CHECK(error(0) == "[svd_delta] r = 0 for 0.weight, which is (3, 5); it must be between 1 and 3");
  CHECK_THAT(error(4), Catch::Contains("between 1 and 3"));
  CHECK_THAT(error_of([&] { nn::svd_delta(nn::Linear(2, 3).state_dict(), nn::Linear(3, 3).state_dict(), 1); }),
             Catch::StartsWith("[svd_delta] weight is (3, 2) and was (3, 3)"));
  CHECK(nn::svd_delta(other.state_dict(), {}, 1).empty());
}

TEST_CASE("LoRA learns a change of rank 2 with r = 2, and with r = 1 all but its second singular value") {
  manual_seed(7);
  nn::Linear layer(6, 5, {.bias = false});
  layer.to(float64);
  const Tensor change = matmul(randn({5, 2}, float64), randn({2, 6}, float64)) * 0.5;
  const double second = linalg::svdvals(change)[1].item();
  const auto error_after = [&](int64_t r) {
    auto lora = nn::tune<nn::LoRA>(layer, {.targets = {"weight"}, .r = r, .alpha = static_cast<double>(r)});
    optim::Adam optimizer(lora.tuner.parameters(), {.lr = 0.05});
    const auto schedule = optim::Schedule(optim::CosineAnnealingLR{.T_max = 1500});
    const Tensor x = eye(6, -1, float64);  // white inputs: the mean over x ~ N(0, 1) is the sum over the unit vectors
    const Tensor y = linear(x, layer.weight + change);
    double loss = 0;
    for (int i = 0; i < 1500; ++i) {
      optimizer.lr() = schedule.at(i, 0.05);
      optimizer.zero_grad();
      const Tensor error = sum(square(lora(x) - y));
      error.backward();
      optimizer.step();
      loss = error.item();
    }
    return loss;
  };
  CHECK(error_after(2) < 1e-6);
  CHECK(error_after(1) == Approx(second * second).epsilon(1e-4));
}

TEST_CASE("options of LoRA out of range are errors") {
  const auto error = [](const nn::LoRAOptions& options, const auto& model) {
    return error_of([&] { nn::tune<nn::LoRA>(model, options); });
  };
  CHECK(error({.targets = {"weight"}, .r = 0}, nn::Linear(2, 2)) == "[LoRA] r = 0; it must be 1 at least");
  CHECK(error({.targets = {"weight"}, .r = -3}, nn::Linear(2, 2)) == "[LoRA] r = -3; it must be 1 at least");
  CHECK(error({.targets = {"weight"}, .alpha = double{INFINITY}}, nn::Linear(2, 2)) ==
        "[LoRA] alpha = inf; it must be finite");
  for (const double p : {-0.1, 1.5, double{NAN}})
    CHECK_THAT(error({.targets = {"weight"}, .dropout = p}, nn::Linear(2, 2)), Catch::StartsWith("[LoRA] dropout "));
  CHECK(error({.targets = {"weight"}, .dropout = 1}, nn::Linear(2, 2)) ==
        "[LoRA] dropout 1 must be at least 0 and below 1");
  CHECK(error({.targets = {"weight"}, .dropout = 0.1}, nn::Conv1d(2, 2, 1)) ==
        "[LoRA] weight is a parameter of Conv1d, whose input is out of reach of the dropout; take dropout = 0");
}
