#include <catch2/catch.hpp>

#include <cotangent/cotangent.hpp>

using namespace cotangent;

namespace {
Tensor numbers(std::vector<double> values) {
  const Shape shape{static_cast<int64_t>(values.size())};
  return from_vector(values, shape).requires_grad_();
}
using Values = std::vector<double>;
using Words = std::vector<std::string>;
Words ops_of(const std::vector<BackwardStep>& steps) {
  Words result;
  for (const BackwardStep& step : steps) result.push_back(step.op);
  return result;
}
}  // namespace

TEST_CASE("backward_steps: what arrives, what is sent, and what it is added to") {
  const Tensor a = numbers({1, 2});
  const Tensor b = a + a, c = b * b;  // 4 a^2
  const Graph graph(c);
  const std::vector<BackwardStep> steps = backward_steps(c, {.gradient = ones({2}, float64)});
  REQUIRE(ops_of(steps) == Words{"mul", "add"});
  CHECK(steps[0].arrived[0].to_vector<double>() == Values{1, 1});
  REQUIRE(steps[0].sent.size() == 2);
  for (int i = 0; i < 2; ++i) {
    CHECK(steps[0].sent[i].input == i);
    CHECK(steps[0].sent[i].to == steps[1].node);
    CHECK(steps[0].sent[i].output == 0);
    CHECK(steps[0].sent[i].gradient.to_vector<double>() == Values{2, 4});
  }
  CHECK_FALSE(steps[0].sent[0].before.defined());
  CHECK(steps[0].sent[1].before.to_vector<double>() == Values{2, 4});
  CHECK(steps[1].arrived[0].to_vector<double>() == Values{4, 8});
  CHECK(graph.find(steps[1].sent[0].to) == 0);
  CHECK_FALSE(steps[1].sent[0].before.defined());
  CHECK(steps[1].sent[1].before.to_vector<double>() == Values{4, 8});
  CHECK(a.grad().to_vector<double>() == Values{8, 16});
}

TEST_CASE("backward_steps are those of backward(), with its options") {
  const Tensor x = numbers({1, 2}), w = numbers({3, 4});
  const auto f = [&] { return sum(exp(x * w) * x); };
  f().backward();
  const Tensor dx = x.grad().clone(), dw = w.grad().clone();
  x.set_grad({}), w.set_grad({});
  const auto steps = backward_steps(f());
  CHECK(equal(x.grad(), dx));
  CHECK(equal(w.grad(), dw));

  const auto again = backward_steps(f(), {.inputs = {w}});
  CHECK(equal(w.grad(), dw * 2));
  CHECK(equal(x.grad(), dx));
  for (const BackwardStep& step : again)
    for (const BackwardStep::Sent& sent : step.sent) CHECK(sent.to.get());
  // what a leaf has from an earlier pass is there before
  const auto third = backward_steps(sum(w * 2));
  CHECK(equal(third.back().sent[0].before, dw * 2));
  CHECK(equal(w.grad(), dw * 2 + 2));

  const Tensor y = x * x;
  const auto cubed = backward_steps(y, {.gradient = full({2}, 3, float64), .retain_graph = true});
  CHECK(cubed[0].arrived[0].to_vector<double>() == Values{3, 3});
  CHECK_NOTHROW(y.backward(full({2}, 3, float64)));
  CHECK_THROWS_AS(backward_steps(ones({2})), GradError);
}

TEST_CASE("backward_steps: hooks, unused outputs, and passes within a rule") {
  const Tensor x = numbers({3, 1, 2});
  int calls = 0;
  const int key = x.register_hook([&](const Tensor& g) {
    ++calls;
    return g * 10;
  });
  SortResult sorted = sort(x, 0);
  const auto steps = backward_steps(sum(sorted.values * x));
  CHECK(calls == 1);
  const BackwardStep& last = steps.back();
  REQUIRE(last.op == "sort");
  CHECK(last.arrived.size() == 2);
  CHECK_FALSE(last.arrived[1].defined());
  CHECK(last.sent[0].before.to_vector<double>() == Values{1, 2, 3});
  CHECK(x.grad().to_vector<double>() == Values{30, 50, 40});
  x.remove_hook(key);

  // the second derivative of attention goes through its composite form: a pass of its own
  Tensor q = ones({1, 1, 3, 2}, float64);
  q.requires_grad_();
  const Tensor first = grad({sum(square(scaled_dot_product_attention(q, q * 2, q)))}, {q}, {.create_graph = true})[0];
  for (const BackwardStep& step : backward_steps(sum(first))) CHECK(!step.op.empty());
}
