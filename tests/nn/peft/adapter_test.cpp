// Adapters, (IA)^3, prefixes and prompts.
#include <cotangent/nn/peft/adapter.hpp>

#include <algorithm>
#include <cmath>

#include <cotangent/autograd/modes.hpp>
#include <cotangent/autograd/ops/attention.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/nn/attention/relative.hpp>
#include <cotangent/nn/conv.hpp>
#include <cotangent/nn/peft/adalora.hpp>
#include <cotangent/nn/peft/ia3.hpp>
#include <cotangent/nn/peft/lora.hpp>
#include <cotangent/nn/peft/prefix.hpp>
#include <cotangent/nn/sequence/delta_net.hpp>
#include <cotangent/optim/sgd.hpp>

#include "../check_layer.hpp"
#include "tiny.hpp"

using namespace cotangent;

namespace {

/// Trains a few steps, and checks that the tuner's parameters have moved and no other tensor has.
template <class T>
void check_training(const typename T::Options& options) {
  Tiny model;
  const nn::StateDict before = model.state_dict().clone();
  auto tuned = nn::tune<T>(model, options);
  const nn::StateDict start = tuned.tuner.state_dict().clone();
  optim::SGD optimizer(tuned.parameters(), {.lr = 0.1});
  for (int i = 0; i < 3; ++i) {
    optimizer.zero_grad();
    sum(square(tuned(kTokens) - 1)).backward();
    optimizer.step();
  }
  for (const auto& [name, p] : tuned.named_parameters()) {
    INFO(name);
    CHECK(equal(p, before.contains(name) ? before[name] : start[name]) == before.contains(name));
  }
}

}  // namespace

TEST_CASE("adapters, (IA)3, prefixes and prompts equal PyTorch, gradients included") {
  const Json data("peft.json");
  check_case(data, case_named(data, "adapter"), nn::tune<nn::Adapter>(tiny(data), {.bottleneck = 3}));
  check_case(data, case_named(data, "ia3"), nn::tune<nn::IA3>(tiny(data)));
  check_case(data, case_named(data, "prefix"), nn::tune<nn::Prefix>(tiny(data), {.length = 3, .hidden = 5}));
  check_case(data, case_named(data, "prompt"), nn::tune<nn::Prompt>(tiny(data), {.length = 3}));
}

TEST_CASE("training moves what a tuner declares, and nothing else") {
  check_training<nn::LoRA>({.r = 2});
  check_training<nn::AdaLoRA>({.r = 2, .target_r = 1});
  check_training<nn::Adapter>({.bottleneck = 3, .std = 0.5});
  check_training<nn::IA3>({});
  check_training<nn::Prefix>({.length = 3, .hidden = 5});
  check_training<nn::Prefix>({.length = 3, .hidden = 0});
  check_training<nn::Prompt>({.length = 3});
}

TEST_CASE("gradients of adapters, (IA)3 and prefixes are right") {
  check_layer(nn::tune<nn::Adapter>(tiny_layer(), {.bottleneck = 2}), {1, 2, 4}, 64);
  check_layer(nn::tune<nn::IA3>(tiny_layer()), {1, 2, 4}, 64);
  check_layer(nn::tune<nn::IA3>(nn::Conv1d(2, 2, 2), {.outputs = {}, .inputs = {"weight"}}), {1, 2, 4});
  check_layer(nn::tune<nn::Prefix>(nn::MultiHeadAttention(4, 2), {.targets = {""}, .length = 2, .hidden = 3}),
              {1, 3, 4}, 64);
  auto prompt = nn::tune<nn::Prompt>(Tiny(), {.length = 2});
  prompt.to(float64);
  CHECK_THAT(gradcheck(prompt, [&] { return prompt(kTokens); }, {}), GradientsAreRight());
}

TEST_CASE("adapters of zeros and (IA)3 of ones give the model") {
  const Tiny model;
  const Tensor y = model.clone()(kTokens);
  CHECK(equal(nn::tune<nn::Adapter>(model, {.std = 0})(kTokens), y));
  CHECK(equal(nn::tune<nn::IA3>(model)(kTokens), y));
  const auto near = nn::tune<nn::Adapter>(model);
  CHECK_FALSE(equal(near.clone()(kTokens), y));
  CHECK(allclose(near.clone()(kTokens), y, 0, 0.05));
  const Tensor& w = near.tuner.bottlenecks[0].down.weight;
  CHECK(w.shape() == Shape{64, 4});
  CHECK(max(abs(w)).item() <= 0.02);
  CHECK(std::sqrt(mean(square(w)).item()) == Approx(0.0088).epsilon(0.15));  // a normal one cut at two deviations
}

TEST_CASE("adapters come after each step of a stream, once") {
  Tiny model;
  auto tuned = nn::tune<nn::Adapter>(model, {.bottleneck = 3});
  randomize(tuned.tuner);
  const Tensor x = randn({2, 4, 4});
  const auto pass = [&](nn::SequenceForm form) {
    return tuned.run([&](Tiny& m) { return m.blocks(x, {.form = form, .chunk = 3}); });
  };
  const Tensor all = pass(nn::SequenceForm::parallel);
  CHECK(allclose(pass(nn::SequenceForm::chunked), all, 1e-4, 1e-5));
  CHECK(allclose(pass(nn::SequenceForm::recurrent), all, 1e-4, 1e-5));
}

TEST_CASE("adapters come behind projections of gates and of positions") {
  const Tensor x = randn({1, 3, 4});
  const auto check = [&](const auto& layer, const std::string& target) {
    auto tuned = nn::tune<nn::Adapter>(layer, {.targets = {target}, .bottleneck = 2});
    randomize(tuned.tuner);
    CHECK_FALSE(allclose(tuned(x), tuned.base(x), 1e-3, 1e-3));
  };
  check(nn::GatedDeltaNet(4, 2), "g_proj");
  check(nn::MultiHeadAttention(4, 2, {.positions = nn::TransformerXL(4, 2)}), "positions.proj");
}

TEST_CASE("(IA)3 merges into weights and biases") {
  Tiny model;
  model.to(float64);
  auto tuned = nn::tune<nn::IA3>(model, {.outputs = {"in_proj_weight.k", "linear1.weight"}});
  randomize(tuned.tuner);
  const Tensor y = tuned(kTokens);
  tuned.merge();
  CHECK(close(model(kTokens), y));
  tuned.unmerge();
  CHECK(close(tuned(kTokens), y));
  CHECK_THAT(error_of([&] { nn::tune<nn::IA3>(model, {.outputs = {"linear1.weight"}, .inputs = {"linear1.weight"}}); }),
             Catch::Contains("linear1.weight is to scale both outputs and inputs; take either"));
}

TEST_CASE("a prefix shares the attention with the tokens") {
  manual_seed(8);
  for (const int64_t kv_heads : {4, 2}) {
    nn::MultiHeadAttention attention(8, 4, {.kv_heads = kv_heads, .bias = false});
    attention.to(float64);
    const auto heads = [](const Tensor& t) { return transpose(unflatten(t, 2, {t.size(2) / 2, 2}), 1, 2); };
    const Tensor x = randn({2, 3, 8}, float64), pk = randn({kv_heads, 5, 2}, float64),
                 pv = randn({kv_heads, 5, 2}, float64);
    const Tensor projected = linear(x, attention.in_proj_weight);
    const Tensor q = heads(projected.narrow(2, 0, 8));
    const Tensor k = heads(projected.narrow(2, 8, 2 * kv_heads)),
                 v = heads(projected.narrow(2, 8 + 2 * kv_heads, 2 * kv_heads));
    const auto repeated = [&](const Tensor& t) {  // for each query head
      return flatten(expand(unsqueeze(t, 2), {t.size(0), kv_heads, 4 / kv_heads, t.size(2), 2}), 1, 2);
    };
    const auto batched = [](const Tensor& t) { return expand(unsqueeze(t, 0), {2, t.size(0), t.size(1), t.size(2)}); };
    const auto mass = [&](const Tensor& keys) {
      return sum(exp(matmul(q, transpose(repeated(keys), 2, 3)) / std::sqrt(2.0)), -1, true);
    };
    const Tensor base = scaled_dot_product_attention(q, k, v);
    const Tensor own = scaled_dot_product_attention(q, batched(pk), batched(pv));
    const Tensor c = mass(batched(pk)) / (mass(batched(pk)) + mass(k));
    const Tensor expected = attention.out_proj(flatten(transpose((1 - c) * base + c * own, 1, 2), 2));

    auto tuned = nn::tune<nn::Prefix>(attention, {.targets = {""}, .length = 5, .hidden = 0});
    const auto packed = [](const Tensor& t) { return flatten(transpose(t, 0, 1), 1); };
    tuned.tuner.load_state_dict({{"prefix.values", cat({packed(pk), packed(pv)}, 1)}});
    CHECK(close(tuned(x), expected));
    CHECK_FALSE(tuned.base.prefix_keys.defined());
  }
}

TEST_CASE("a prefix leaves positions and masks of the tokens as they are") {
  manual_seed(9);
  const Tensor x = randn({2, 4, 4}, float64);
  const auto check = [&](const nn::MultiHeadAttentionOptions& options, const nn::SequenceCall& call = {}) {
    nn::MultiHeadAttention attention(4, 1, options);
    attention.to(float64);
    attention.out_proj.weight = eye(4, -1, float64);
    auto tuned = nn::tune<nn::Prefix>(attention, {.targets = {""}, .length = 3, .hidden = 0});
    randomize(tuned.tuner);
    {
      const NoGrad guard;
      tuned.tuner.values.narrow(1, 4, 4).fill_(0);
    }
    // With values of 0, y = (1 - c) y0 with one share c for all elements of a token.
    const Tensor y0 = attention(x, call), y = tuned(x, call);
    CHECK_FALSE(close(y, y0, 0.01));
    CHECK(close(y * y0.narrow(2, 0, 1), y0 * y.narrow(2, 0, 1)));

    if (!options.causal) return;
    for (const int64_t size : {1, 3}) {
      const Tensor steps = tuned.run([&](nn::MultiHeadAttention& a) {
        nn::StreamState state = a.start(2);
        Tensors out;
        for (int64_t t = 0; t < 4; t += size) out.push_back(a.step(x.narrow(1, t, std::min(size, 4 - t)), state));
        return cat(out, 1);
      });
      CHECK(close(steps, y, 1e-10));
    }
  };
  check({.bias = false});
  check({.causal = true, .bias = false, .positions = nn::Rotary()});
  check({.causal = true, .bias = false, .positions = nn::Alibi()});
  check({.causal = true, .bias = false, .positions = nn::T5Bias(1, {.bidirectional = false})});
  check({.causal = true, .bias = false, .positions = nn::Shaw(4, {.values = false})});
  check({.causal = true, .bias = false, .scale = nn::ScoreScale::log_length});
  const Tensor seen = tensor({{true, true, false, true}, {true, false, true, true}});
  check({.bias = false}, {.key_mask = seen});
  check({.bias = false}, {.mask = randn({4, 4}, float64)});
  check({.bias = false, .positions = nn::Shaw(4, {.values = false})},
        {.key_mask = seen, .mask = randn({4, 4}, float64)});
  check({.bias = false}, {.memory = randn({2, 5, 4}, float64)});
}

TEST_CASE("a prefix without its network is the same prefix") {
  Tiny model;
  auto tuned = nn::tune<nn::Prefix>(model, {.length = 3, .hidden = 5});
  const Tensor y = tuned(kTokens);
  tuned.tuner.fold();
  CHECK(equal(tuned(kTokens), y));
  CHECK(tuned.tuner.state_dict().size() == 1);
  CHECK(tuned.tuner.values.shape() == Shape{3, 16});
  CHECK_THAT(error_of([&] { tuned.tuner.fold(); }), Catch::Contains("no network"));
  auto other = nn::tune<nn::Prefix>(model, {.length = 3, .hidden = 0});
  other.tuner.load_state_dict(tuned.tuner.state_dict());
  CHECK(equal(other(kTokens), y));
}

TEST_CASE("a prompt starts as embeddings of tokens") {
  const Tiny model;
  const auto tuned = nn::tune<nn::Prompt>(model, {.length = 6});
  for (int64_t i = 0; i < 6; ++i) {
    bool found = false;
    for (int64_t token = 0; token < 5; ++token)
      found = found || equal(tuned.tuner.weight[i], model.token.weight[token]);
    CHECK(found);
  }
}

TEST_CASE("a prompt comes before the first step of a stream, and the model goes on by itself") {
  manual_seed(9);
  Tiny model;
  model.to(float64);
  auto tuned = nn::tune<nn::Prompt>(model, {.length = 3});
  randomize(tuned.tuner);
  const auto step = [&](Tiny& m, nn::StreamState& state, int64_t from, int64_t count) {
    return m.head(m.blocks.step(m.token(kTokens.narrow(1, from, count)), state));
  };
  const Tensor all = tuned(kTokens);
  nn::StreamState state = model.blocks.start(2);
  const Tensor first = tuned.run([&](Tiny& m) { return step(m, state, 0, 2); });
  CHECK(first.shape() == Shape{2, 5, 5});
  CHECK(state.length == 5);
  CHECK(close(first.narrow(1, 3, 2), all.narrow(1, 0, 2), 1e-10));
  for (int64_t t = 2; t < 4; ++t) CHECK(close(step(tuned.base, state, t, 1), all.narrow(1, t, 1), 1e-10));
}

TEST_CASE("adapters, prefixes and prompts refuse what they can't be put on") {
  const auto error = []<class T>(const typename T::Options& options, T*) {
    return error_of([&] { nn::tune<T>(Tiny(), options); });
  };
  const auto adapter = [&](const nn::AdapterOptions& o) { return error(o, static_cast<nn::Adapter*>(nullptr)); };
  const auto prefix = [&](const nn::PrefixOptions& o) { return error(o, static_cast<nn::Prefix*>(nullptr)); };
  const auto prompt = [&](const nn::PromptOptions& o) { return error(o, static_cast<nn::Prompt*>(nullptr)); };
  CHECK(adapter({.targets = {"token"}}) ==
        "[Adapter] token is a Embedding, whose width is not known; take linear layers or layers of sequences");
  CHECK(adapter({.bottleneck = 0}) == "[Adapter] a bottleneck of 0; it must be 1 at least");
  CHECK(adapter({.std = -1}) == "[Adapter] a standard deviation of -1; it must be finite, and not negative");
  CHECK_THAT(adapter({.std = double{INFINITY}}), Catch::StartsWith("[Adapter] a standard deviation of inf"));
  CHECK(prefix({.targets = {}}) == "[Prefix] no module is named as a target");
  CHECK_THAT(prompt({.length = -2}), Catch::StartsWith("[Prompt] a length of -2"));
  CHECK_THAT(adapter({.activation = nn::Activation::swiglu}), Catch::Contains("a gated activation"));
  CHECK_THAT(prefix({.targets = {"head"}}), Catch::StartsWith("[Prefix] head is a Linear; a prefix goes before"));
  CHECK(adapter({.targets = {}}) == "[Adapter] no module is named as a target");
  CHECK(error_of([] { nn::tune<nn::IA3>(Tiny(), {.outputs = {}, .inputs = {}}); }) ==
        "[IA3] no parameter is named as a target");
  CHECK(prefix({.length = 0}) == "[Prefix] a length of 0; it must be 1 at least");
  CHECK_THAT(prefix({.hidden = -1}), Catch::StartsWith("[Prefix] a hidden width of -1"));
  CHECK_THAT(prompt({.embedding = "head"}),
             Catch::StartsWith("[Prompt] head stands for 1 modules, the first a Linear"));
  CHECK_THAT(prompt({.length = 0}), Catch::StartsWith("[Prompt] a length of 0"));
  nn::MultiHeadAttention attention(4, 2);
  attention.prefix_keys = zeros({1, 3, 2}), attention.prefix_values = zeros({1, 3, 2});
  CHECK(error_of([&] {
          attention(zeros({1, 2, 4}));
        }) == "[MultiHeadAttention] a prefix of (1, 3, 2) before (1, 2, 2, 2); it must be (2, l, 2)");
}
