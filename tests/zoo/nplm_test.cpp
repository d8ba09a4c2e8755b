#include <cotangent/zoo/nplm.hpp>

#include <cmath>

#include <catch2/catch.hpp>
#include <cotangent/autograd/engine.hpp>
#include <cotangent/autograd/ops/loss.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/nn/gradcheck.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/random.hpp>
#include <cotangent/tests/values.hpp>

#include "../check_gradients.hpp"
#include "../json.hpp"
#include "../nn/check_precisions.hpp"
#include "../nn/names.hpp"

using namespace cotangent;
using Catch::Contains;
using zoo::NPLM;

TEST_CASE("NPLM: what PyTorch gives for its formula") {
  const Json reference("nplm.json");
  for (const Json test : reference["cases"]) {
    NPLM model(reference["vocabulary"], {.order = reference["order"],
                                         .width = reference["width"],
                                         .hidden = test["hidden"],
                                         .direct = test["direct"],
                                         .dtype = float64});
    INFO(to_string(model));
    nn::StateDict state;
    for (const auto& [name, packed] : test["parameters"].items()) state.add(name, unpacked(packed));
    model.load_state_dict(state);
    const Tensor y = model(unpacked<int64_t>(test["tokens"]));
    CHECK(close(y, unpacked(test["y"]), 1e-11));
    y.backward(unpacked(test["dy"]));
    for (const auto& [name, p] : model.named_parameters()) {
      INFO(name);
      const Tensor expected = unpacked(test["gradients"][name]);
      if (p.grad().defined())
        CHECK(close(p.grad(), expected, 1e-11));
      else
        CHECK(close(expected, zeros_like(expected)));
    }
  }
}

TEST_CASE("NPLM: gradients, of the rows of words that were there alone") {
  manual_seed(1);
  const Tensor tokens = tensor({{0, 1, 2}, {3, 1, 1}});
  for (const int64_t hidden : {3, 0})
    for (const bool direct : {true, false}) {
      if (hidden == 0 && !direct) continue;
      NPLM model(6, {.order = 4, .width = 2, .hidden = hidden, .direct = direct, .dtype = float64});
      CHECK_THAT(gradcheck(model, {tokens}), GradientsAreRight());
      NPLM copy = model.clone();
      CHECK(equal(copy(tokens), model(tokens)));
      model(tokens).sum().backward();
      for (int64_t row = 0; row < 6; ++row) CHECK((max(abs(model.C.grad()[row])).item() == 0) == (row > 3));
    }
  NPLM model(6, {.order = 4, .width = 2, .hidden = 3, .direct = true});
  CHECK(keys(model) == Names{"C", "H", "d", "U", "W", "b"});
  check_precisions(model, {1}, [&](NPLM& m, const Tensor& x) { return m(tokens) * x; });
  CHECK(model(tokens[0]).shape() == Shape{6});
  CHECK(model(zeros({0, 3}, int64)).shape() == Shape{0, 6});
}

TEST_CASE("NPLM: without W and hidden units its bias is the unigram") {
  NPLM model(4, {.order = 3, .hidden = 0, .dtype = float64});
  const Tensor next = tensor({0, 0, 0, 1, 1, 2, 3, 0}), tokens = zeros({8, 2}, int64);
  const Tensor p = tensor({0.5, 0.25, 0.125, 0.125}, float64);
  model.b.detach().copy_(log(p));
  const Tensor loss = cross_entropy(model(tokens), next);
  CHECK(loss.item() == Approx(-(p * log(p)).sum().item()));
  loss.backward();
  CHECK(close(model.b.grad(), zeros({4}, float64)));
  CHECK_FALSE(model.C.grad().defined());

  NPLM silent(4, {.order = 3, .direct = true, .dtype = float64});  // the same with all weights at 0
  for (Tensor w : {Tensor(silent.U), Tensor(silent.W)}) w.detach().fill_(0);
  silent.b.detach().copy_(log(p));
  CHECK(cross_entropy(silent(tokens), next).item() == Approx(loss.item()));
}

TEST_CASE("NPLM: starts as its contract says") {
  manual_seed(2);
  const NPLM model(300, {.order = 5, .width = 50, .hidden = 100, .direct = true});
  CHECK(mean(square(model.C)).item() == Approx(1).margin(0.05));  // 15000 values: the deviation is 0.012
  const auto check_bound = [](const Tensor& x, double inputs) {
    const double most = max(abs(x)).item() * std::sqrt(inputs);
    CHECK(most <= 1.0001);
    CHECK(most > 0.9);
    CHECK(std::abs(mean(x).item()) * std::sqrt(inputs) < 0.2);
  };
  check_bound(model.H, 200);
  check_bound(model.d, 200);
  check_bound(model.U, 100);
  check_bound(model.W, 200);
  CHECK(equal(model.b, zeros({300})));
  CHECK(to_string(model).find("NPLM(300, order = 5, width = 50, hidden = 100, direct = true)") != std::string::npos);
}

TEST_CASE("NPLM: one token, one word before, NaN, and tokens that lie apart in memory") {
  NPLM model(6, {.order = 3, .width = 2, .hidden = 3, .direct = true, .dtype = float64});
  const Tensor tokens = tensor({{0, 1}, {3, 2}, {5, 5}}), y = model(tokens);
  CHECK(equal(model(transpose(transpose(tokens, 0, 1).contiguous(), 0, 1)), y));
  CHECK(close(model(tokens[1]), y[1]));
  model.C.detach()[3][0].fill_(NAN);
  const Tensor z = model(tokens);
  CHECK(all(isnan(z[1])).item<bool>());
  CHECK(equal(z[0], y[0]));
  CHECK(equal(z[2], y[2]));
  CHECK(NPLM(1, {.order = 2, .width = 1, .hidden = 1})(zeros({4, 1}, int64)).shape() == Shape{4, 1});
  CHECK(NPLM(3, {.order = 2, .hidden = 0})(zeros({2, 4, 1}, int64)).shape() == Shape{2, 4, 3});
  NPLM untouched(6, {.order = 3, .width = 2, .hidden = 3});
  untouched(zeros({0, 2}, int64)).sum().backward();
  for (const Tensor& p : untouched.parameters()) CHECK(equal(p.grad(), zeros_like(p)));
}

TEST_CASE("NPLM: what it cannot take") {
  CHECK_THAT(error_of([] { NPLM(0); }), Contains("[NPLM] 0 tokens"));
  CHECK_THAT(error_of([] { NPLM(5, {.order = 1}); }), Contains("order 1"));
  CHECK_THAT(error_of([] { NPLM(5, {.width = 0}); }), Contains("width 0"));
  CHECK_THAT(error_of([] { NPLM(5, {.hidden = -1}); }), Contains("-1 hidden"));
  CHECK_THAT(error_of([] { NPLM(5, {.order = int64_t{1} << 62, .width = 1 << 20}); }), Contains("[NPLM]"));
  NPLM model(5);
  CHECK_THAT(error_of([&] { model(zeros({2, 5}, int64)); }), Contains("must be the 4 tokens before"));
  CHECK_THAT(error_of([&] { model(full({2, 4}, 5, int64)); }), Contains("5"));
}
