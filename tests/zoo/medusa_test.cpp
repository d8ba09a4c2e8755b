// Medusa, and the streams of trees that it needs (nn/sequence/tree.hpp).
#include <cotangent/zoo/medusa.hpp>

#include <cmath>

#include <catch2/catch.hpp>
#include <cotangent/autograd/engine.hpp>
#include <cotangent/autograd/modes.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/index.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/loss.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/nn/attention/relative.hpp>
#include <cotangent/nn/sequence/tree.hpp>
#include <cotangent/optim/adam.hpp>
#include <cotangent/tensor/random.hpp>
#include <cotangent/tests/values.hpp>

#include "../nn/check_layer.hpp"

using namespace cotangent;
using zoo::Acceptance;

namespace {

zoo::GPT guessing_model(const std::string& attention, const std::string& position, int64_t context = 16) {
  zoo::GPT model(
      5, {.attention = attention, .position = position, .width = 8, .layers = 2, .heads = 2, .context = context});
  model.to(float64);
  model.eval();
  for (const Tensor& p : model.parameters())
    if (p.rank() == 2) normal_(p, 0, 1);
  return model;
}
zoo::Medusa with_heads(const zoo::GPT& model, int64_t count = 3) {
  zoo::Medusa medusa(model, count);
  for (zoo::MedusaHead& head : medusa.heads)
    for (const Tensor& p : head.parameters()) normal_(p, 0, 1);
  medusa.eval();
  return medusa;
}
/// All ranks of a vocabulary of five, so that something is always accepted.
zoo::MedusaTree full_tree(int64_t depth) {
  std::vector<std::vector<int64_t>> paths;
  for (int64_t i = 0; i < 25; ++i) paths.push_back({i / 5, i % 5});
  if (depth > 2)
    for (int64_t i = 0; i < 125; ++i) paths.push_back({i / 25, i / 5 % 5, i % 5});
  return zoo::medusa_tree(paths);
}

}  // namespace

TEST_CASE("outputs along a path of a tree are those of a sequence, with every position, and keep() leaves the path") {
  manual_seed(1);
  const NoGrad guard;
  const Tensor parents = tensor({-1, 0, 0, 1, 1, 2, 5}), prompt = randint(0, 5, {2, 3}), tokens = randint(0, 5, {2, 7});
  const std::vector<std::vector<int64_t>> paths{{0, 1, 3}, {0, 1, 4}, {0, 2, 5, 6}};
  const auto check = [&](const std::string& attention, const std::string& position) {
    INFO(attention << ", " << position);
    zoo::GPT model = guessing_model(attention, position);
    nn::StreamState start = model.start(2);
    model.step(prompt, start);
    nn::StreamState tree = start;
    const Tensor h = model.step_tree(tokens, tree, parents);
    CHECK(tree.length == 10);
    for (const auto& path : paths) {
      const auto size = static_cast<int64_t>(path.size());
      const Tensor index = from_vector(path, {size}), taken = index_select(tokens, 1, index);
      nn::StreamState plain = start, kept = tree;
      CHECK(close(index_select(h, 1, index), model.step_hidden(taken, plain), 1e-10));
      kept.keep(expand(cat({arange(3), index + 3}, 0), {2, 3 + size}));
      CHECK(kept.length == plain.length);
      CHECK(close(model.step(prompt, kept), model.step(prompt, plain), 1e-10));
    }
  };
  for (const std::string position : {"learned", "sinusoidal", "rotary", "alibi", "t5", "none"})
    check("multihead", position);
  check("grouped", "rotary");
  check("multiquery", "alibi");
}

TEST_CASE("each sequence of a batch may keep another path, and its padding stays hidden") {
  manual_seed(2);
  const NoGrad guard;
  nn::MultiHeadAttention attention(8, 2, {.causal = true, .positions = nn::Rotary()});
  attention.to(float64);
  const Tensor x = randn({2, 3, 8}, float64), branch = randn({2, 3, 8}, float64), next = randn({2, 1, 8}, float64);
  const Tensor key_mask = tensor({{false, true, true}, {true, true, true}});
  nn::StreamState state = attention.start(2);
  attention.step(x, state, key_mask);
  attention.step_tree(branch, state, tensor({-1, 0, 0}));
  state.keep(tensor({{0, 1, 2, 3, 5}, {0, 1, 2, 3, 4}}));
  const Tensor y = attention.step(next, state);
  for (int64_t b = 0; b < 2; ++b) {
    nn::StreamState one = attention.start(1);
    const auto row = [&](const Tensor& t, int64_t from) { return t.narrow(0, b, 1).narrow(1, from, 1); };
    attention.step(x.narrow(0, b, 1), one, key_mask.narrow(0, b, 1));
    attention.step(row(branch, 0), one);
    attention.step(row(branch, b == 0 ? 2 : 1), one);
    CHECK(close(y.narrow(0, b, 1), attention.step(next.narrow(0, b, 1), one)));
  }
}

TEST_CASE("a tree of one path has the causal mask") {
  CHECK(equal(nn::tree_mask(tensor({-1, 0, 1, 2}), 3), nn::causal_mask(4, 7)));
  CHECK(equal(nn::tree_mask(tensor({-1, -1, 0, 1}), 1), tensor({{true, true, false, false, false},
                                                                {true, false, true, false, false},
                                                                {true, true, false, true, false},
                                                                {true, false, true, false, true}})));
  CHECK(nn::tree_mask(zeros({0}, int64), 2).shape() == Shape{0, 2});
}

TEST_CASE("Medusa's heads start as the model's own") {
  manual_seed(1);
  zoo::GPT model = guessing_model("multihead", "learned");
  zoo::Medusa medusa(model, 3);
  medusa.eval();
  const Tensors logits = medusa(randint(0, 5, {2, 4}));
  REQUIRE(logits.size() == 4);
  for (const Tensor& own : logits) CHECK(equal(own, logits[0]));
  CHECK_FALSE(medusa.heads[0].head.weight.shares_storage(model.head.weight));
}

TEST_CASE("edges and half types of a head of Medusa") {
  check_edges(zoo::MedusaHead(nn::Linear(4, 3)), {3, 4});
  check_layer(zoo::MedusaHead(nn::Linear(3, 2)), {2, 3});
}

TEST_CASE("greedy text by Medusa is the model's own, token for token, for any tree") {
  manual_seed(3);
  const NoGrad guard;
  const zoo::MedusaTree trees[] = {
      {}, zoo::medusa_tree({{0, 0, 0}}), zoo::medusa_tree({{0, 1}, {2}, {1, 0, 4}}), full_tree(2), full_tree(3)};
  for (const std::string position : {"learned", "rotary"})
    for (const int64_t context : {1, 5, 16}) {  // the text goes beyond it
      zoo::GPT model = guessing_model("multihead", position, context);
      zoo::Medusa medusa = with_heads(model);
      for (const int64_t batch : {1, 3}) {
        const Tensor prompt = randint(0, 5, {batch, 3}), expected = model.write(prompt, 20, {.temperature = 0});
        for (const zoo::MedusaTree& tree : trees) {
          INFO(position << ", context " << context << ", batch " << batch << ", tree of " << tree.parents.size());
          const zoo::MedusaText text = medusa.write(prompt, 20, tree);
          CHECK(equal(text.tokens, expected));
          const zoo::MedusaText cold =
              medusa.write(prompt, 20, tree, {.acceptance = Acceptance::typical, .sampling = {.temperature = 0}});
          CHECK(equal(cold.tokens, expected));
          CHECK(cold.steps == text.steps);
          if (tree.parents.size() == 1) CHECK(text.steps == 20);
        }
        if (context == 16) CHECK(medusa.write(prompt, 12, full_tree(2)).steps == 4);  // all that is guessed is right
        CHECK(equal(medusa.write(prompt, 0, trees[2]).tokens, prompt));
      }
    }
}

TEST_CASE("typical acceptance takes what is likelier than min(epsilon, delta e^-H)") {
  manual_seed(4);
  const NoGrad guard;
  zoo::GPT model = guessing_model("multihead", "learned");
  model.head.weight.fill_(0);  // all tokens have probability 0.2, so that e^-H is 0.2 too
  zoo::Medusa medusa = with_heads(model, 2);
  const Tensor prompt = randint(0, 5, {1, 1});
  const auto steps = [&](double epsilon, double delta) {
    return medusa
        .write(prompt, 12, zoo::medusa_tree({{0, 0}}),
               {.acceptance = Acceptance::typical, .epsilon = epsilon, .delta = delta, .sampling = {}})
        .steps;
  };
  CHECK(steps(0.19, 5) == 4);
  CHECK(steps(0.21, 5) == 12);
  CHECK(steps(1, 0.99) == 4);
  CHECK(steps(1, 1.01) == 12);

  // where all guesses are accepted, the first of equally long paths is kept
  const auto text = [&](const zoo::MedusaTree& tree) {
    Generator generator(1);
    return medusa
        .write(prompt, 12, tree, {.acceptance = Acceptance::typical, .epsilon = 0, .delta = 0, .sampling = {}},
               generator)
        .tokens;
  };
  CHECK(equal(text(zoo::medusa_tree({{0, 0}, {1, 0}, {0, 1}})), text(zoo::medusa_tree({{0, 0}}))));
}

TEST_CASE("the loss of Medusa's heads is that of the tokens further on, and leaves the model alone") {
  manual_seed(5);
  zoo::GPT model = guessing_model("multihead", "learned");
  zoo::Medusa medusa = with_heads(model, 2);
  const Tensor x = randint(0, 5, {2, 6}), y = randint(0, 5, {2, 6});
  const Tensors logits = medusa(x);
  Tensor expected = zeros({}, float64);
  for (int64_t k = 1; k <= 2; ++k)
    for (int64_t b = 0; b < 2; ++b)
      for (int64_t t = 0; t + k < 6; ++t)
        expected = expected + std::pow(0.8, k) / static_cast<double>(2 * (6 - k)) *
                                  cross_entropy(logits[static_cast<size_t>(k)][b][t], y[b][t + k]);
  const Tensor loss = medusa.loss(x, y);
  CHECK(close(loss, expected));
  loss.backward();
  for (const Tensor& p : model.parameters()) CHECK_FALSE(p.grad().defined());
  for (zoo::MedusaHead& head : medusa.heads)
    for (const Tensor& p : head.parameters()) CHECK(p.grad().abs().max().item() > 0);

  const Tensor joint = medusa.loss(x, y, {.joint = 0.2});
  CHECK(close(joint, cross_entropy(logits[0].flatten(0, 1), y.flatten()) + 0.2 * expected));
  joint.backward();
  for (const Tensor& p : model.parameters()) CHECK(p.grad().defined());
  CHECK(medusa.loss(x.narrow(1, 0, 1), y.narrow(1, 0, 1)).item() == 0);  // nothing lies further on

  const Tensor hits = medusa.hits(x, y, 5);
  CHECK(close(sum(hits, {1}), ones({2}, float64)));
  CHECK(close(hits[1][0], mean((argmax(logits[2].narrow(1, 0, 4), -1) == y.narrow(1, 2, 4)).to(float64))));
  CHECK(equal(medusa.hits(x.narrow(1, 0, 1), y.narrow(1, 0, 1), 2), zeros({2, 2}, float64)));
}

TEST_CASE("medusa_tree holds what begins a path, and of shares of hits the likeliest paths") {
  const zoo::MedusaTree tree = zoo::medusa_tree({{1, 0}, {0}, {1, 2, 0}, {0}});
  CHECK(tree.parents == std::vector<int64_t>{-1, 0, 0, 1, 1, 4});
  CHECK(tree.ranks == std::vector<int64_t>{0, 1, 0, 0, 2, 0});
  // paths by chance: 0 (0.6), 0 0 (0.3), 1 (0.2), 0 1 (0.12), 1 0 (0.1), 1 1 (0.04)
  const Tensor hits = tensor({{0.6, 0.2}, {0.5, 0.2}}, float64);
  CHECK(zoo::medusa_tree(hits, 5).ranks == std::vector<int64_t>{0, 0, 1, 0, 1});
  CHECK(zoo::medusa_tree(hits, 5).parents == std::vector<int64_t>{-1, 0, 0, 1, 1});
  CHECK(zoo::medusa_tree(hits, 1).parents == std::vector<int64_t>{-1});
  CHECK(zoo::medusa_tree(hits, 100).parents.size() == 7);
}

TEST_CASE("Medusa on a source that is nearly certain takes more than one and a half tokens a step") {
  // the next token is a function of the two before it, but for one time in ten
  manual_seed(6);
  constexpr int64_t kLength = 3000;
  const auto table = randint(0, 5, {25}).to_vector<int64_t>(), noise = randint(0, 50, {kLength}).to_vector<int64_t>();
  std::vector<int64_t> source{0, 1};
  for (size_t t = 2; t < kLength; ++t)
    source.push_back(noise[t] < 5 ? noise[t] : table[static_cast<size_t>(5 * source[t - 2] + source[t - 1])]);
  const Tensor tokens = from_vector(source, {kLength});
  zoo::Medusa medusa(zoo::GPT(5, {.width = 16, .layers = 2, .heads = 2, .context = 16}), 2);
  const auto train = [&](const Tensors& parameters, int64_t steps, auto loss) {
    optim::Adam optimizer(parameters, {.lr = 5e-3});
    for (int64_t step = 0; step < steps; ++step) {
      const Tensor at = randint(0, kLength - 20, {16, 1}) + arange(17);
      const Tensor batch = index_select(tokens, 0, at.flatten()).view({16, 17});
      optimizer.zero_grad();
      loss(batch.narrow(1, 0, 16), batch.narrow(1, 1, 16)).backward();
      optimizer.step();
    }
  };
  train(medusa.model.parameters(), 200,
        [&](const Tensor& x, const Tensor& y) { return cross_entropy(medusa.model(x).flatten(0, 1), y.flatten()); });
  Tensors own;
  for (zoo::MedusaHead& head : medusa.heads)
    for (const Tensor& p : head.parameters()) own.push_back(p);
  train(own, 100, [&](const Tensor& x, const Tensor& y) { return medusa.loss(x, y); });
  medusa.eval();
  const zoo::MedusaText text = medusa.write(tokens.narrow(0, 0, 4).unsqueeze(0), 200, zoo::medusa_tree({{0, 0}, {1}}),
                                            {.acceptance = Acceptance::typical, .sampling = {.temperature = 1}});
  INFO(text.steps);
  CHECK(200.0 / static_cast<double>(text.steps) > 1.5);
}

TEST_CASE("Medusa and trees say what they do not take") {
  zoo::GPT model = guessing_model("multihead", "learned");
  CHECK(error_of([&] { zoo::Medusa(guessing_model("linear", "learned"), 2); }) ==
        "[Medusa] the model's attention takes no trees of tokens; softmax attention does");
  CHECK(error_of([&] { zoo::Medusa(model, 0); }) == "[Medusa] 0 heads; there must be 1 at least");
  zoo::Medusa medusa = with_heads(model, 1);
  const Tensor prompt = zeros({1, 2}, int64);
  CHECK(error_of([&] {
          medusa.write(prompt, 3, zoo::medusa_tree({{0, 0}}));
        }) == "[Medusa] a tree 2 deep for 1 heads; there must be a head for each depth");
  CHECK(error_of([&] { medusa.write(prompt, 3, zoo::medusa_tree({{5}})); }) ==
        "[Medusa] a tree with rank 5; those of 5 tokens are from 0 to 4");
  const auto hand_made = [&](const std::vector<int64_t>& parents, const std::vector<int64_t>& ranks) {
    return error_of([&] { medusa.write(prompt, 3, {parents, ranks}); });
  };
  CHECK(hand_made({}, {}) == "[Medusa] a tree of 0 parents and 0 ranks; each of its tokens must have both");
  CHECK(hand_made({-1, 0}, {0}) == "[Medusa] a tree of 2 parents and 1 ranks; each of its tokens must have both");
  CHECK(hand_made({-1, -1}, {0, 0}) == "[Medusa] a tree with several tokens that follow on -1; only token 0 may");
  CHECK(hand_made({-1, 0}, {0, -1}) == "[Medusa] a tree with rank -1; those of 5 tokens are from 0 to 4");
  CHECK(hand_made({-1, 1}, {0, 0}) == "[Medusa] token 1 of the tree follows on 1; it must be one before it, or -1");
  CHECK_THROWS_AS(zoo::medusa_tree(zeros({3}), 2), ShapeError);
  CHECK_THROWS_AS(medusa.write(zeros({1, 0}, int64), 3, {}), ShapeError);
  for (const double bad : {-1.0, double{NAN}}) {
    CHECK_THROWS_AS(medusa.write(prompt, 3, {}, {.acceptance = Acceptance::typical, .epsilon = bad}), ValueError);
    CHECK_THROWS_AS(medusa.write(prompt, 3, {}, {.acceptance = Acceptance::typical, .delta = bad}), ValueError);
    CHECK(error_of([&] { medusa.loss(prompt, prompt, {.decay = bad}); }).find("[Medusa] decay is ") == 0);
    CHECK(error_of([&] { medusa.loss(prompt, prompt, {.joint = bad}); }).find("[Medusa] joint is ") == 0);
    CHECK_THROWS_AS(zoo::medusa_tree(full({1, 2}, bad, float64), 3), ValueError);
  }
  CHECK(error_of([&] {
          medusa.loss(prompt, zeros({1, 3}, int64));
        }) == "[Medusa] tokens (1, 2) and those that follow (1, 3); both must be (B, T)");
  CHECK_THROWS_AS(medusa.hits(zeros({2}, int64), zeros({2}, int64), 1), ShapeError);
  for (const int64_t ranks : {0, 6})
    CHECK(error_of([&] {
            medusa.hits(prompt, prompt, ranks);
          }).find("[Medusa] " + std::to_string(ranks) + " ranks of") == 0);
  CHECK_THROWS_AS(zoo::medusa_tree(zeros({2}), 2), ShapeError);
  CHECK_THROWS_AS(zoo::medusa_tree(zeros({1, 1}), 0), ValueError);
  CHECK(zoo::medusa_tree(zeros({0, 3}), 5).parents.size() == 1);
  CHECK(medusa.loss(zeros({2, 0}, int64), zeros({2, 0}, int64)).item() == 0);
  zoo::Medusa broken = with_heads(model.clone(), 1);
  broken.model.head.weight.detach().fill_(NAN);
  CHECK(error_of([&] { broken.write(prompt, 2, {}); }).find("[sample] logits that are NaN") == 0);
  CHECK_THROWS_AS(zoo::medusa_tree({{}}), ValueError);
  CHECK_THROWS_AS(zoo::medusa_tree({{-1}}), ValueError);

  CHECK(error_of([] {
          nn::tree_mask(tensor({-1, 1}), 0);
        }) == "[tree_mask] token 1 of the tree follows on 1; it must be one before it, or -1");
  CHECK(error_of([] {
          nn::tree_mask(tensor({-1, 0, -1}), 0);
        }) == "[tree_mask] token 2 of the tree is less deep than the one before; they must come in order of depth");
  CHECK_THROWS_AS(nn::tree_mask(tensor({-1.0}), 0), DTypeError);
  CHECK_FALSE(nn::SegmentAttention(8, 2, 4).has_trees());
  CHECK_FALSE(nn::MultiHeadAttention(8, 2, {.causal = true, .scale = nn::ScoreScale::log_length}).has_trees());
  CHECK_FALSE(nn::MultiHeadAttention(8, 2, {.causal = true, .positions = nn::Shaw(4)}).has_trees());
  nn::StreamState state = model.start(1);
  CHECK_THROWS_AS(model.step_tree(prompt, state, tensor({-1})), ShapeError);
  CHECK(state.length == 0);
  model.step(prompt, state);
  CHECK_THROWS_AS(state.keep(tensor({{0, 2}})), IndexError);
  CHECK_THROWS_AS(state.keep(tensor({0, 1})), ShapeError);
  CHECK(state.length == 2);
  zoo::GPT linear = guessing_model("linear", "learned");
  nn::StreamState other = linear.start(1);
  CHECK_THROWS_AS(linear.step_tree(prompt, other, tensor({-1, 0})), ValueError);
  linear.step(prompt, other);
  CHECK(error_of([&] { other.keep(tensor({{0}})); }) ==
        "[keep] the state of a layer that keeps no token by itself; only caches of keys and values can forget");
}
