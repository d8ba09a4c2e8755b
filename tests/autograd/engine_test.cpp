// The backward engine: what is accumulated where, and every refusal.
#include <catch2/catch.hpp>

#include <cmath>
#include <stdexcept>
#include <thread>

#include <cotangent/autograd/record.hpp>
#include <cotangent/cotangent.hpp>
#include <cotangent/tests/values.hpp>

using namespace cotangent;

namespace {

Tensor leaf(std::initializer_list<double> values) {
  Tensor x = from_vector(Values(values), {static_cast<int64_t>(values.size())});
  x.requires_grad_();
  return x;
}
}  // namespace

TEST_CASE("backward accumulates the gradients of a diamond once") {
  Tensor x = leaf({2, 3});
  const Tensor a = x * x, b = a + a, c = a * b;  // c = 2 x^4
  sum(c).backward();
  CHECK(to_values(x.grad()) == Values{64, 216});
}

TEST_CASE("a result that is used many times gets the whole gradient before its rule runs") {
  Tensor x = leaf({1});
  Tensor y = x * 1;
  for (int i = 0; i < 30; ++i) y = y + y;  // 2^30 paths
  y.backward();
  CHECK(x.grad().item() == std::pow(2.0, 30));
}

TEST_CASE("gradients accumulate over passes until they are cleared") {
  Tensor x = leaf({2, 3});
  for (int i = 1; i <= 3; ++i) {
    sum(x * x).backward();
    CHECK(to_values(x.grad()) == Values{4.0 * i, 6.0 * i});
  }
  x.set_grad({});
  CHECK_FALSE(x.grad().defined());
  sum(x).backward();
  CHECK(to_values(x.grad()) == Values{1, 1});
}

TEST_CASE("backward takes the gradient of a result that is no scalar") {
  Tensor x = leaf({2, 3});
  const Tensor y = x * x, g = tensor({10., 100.}, float64);
  y.backward(g);
  CHECK(to_values(x.grad()) == Values{40, 600});
  CHECK(to_values(g) == Values{10, 100});
  const Tensor h = tensor({1., 1.}, float64);
  (x * 1).backward({.gradient = h});
  CHECK(to_values(x.grad()) == Values{41, 601});
  CHECK(to_values(h) == Values{1, 1});
}

TEST_CASE("the gradient that a user passes is never written to") {
  Tensor x = leaf({2, 3});
  const Tensor g = tensor({10., 100.}, float64);
  identity(x).backward(g);
  identity(x).backward(g);
  CHECK(to_values(x.grad()) == Values{20, 200});
  CHECK(to_values(g) == Values{10, 100});
  x.backward(g);  // a leaf by itself
  CHECK(to_values(x.grad()) == Values{30, 300});
  CHECK(to_values(g) == Values{10, 100});
}

TEST_CASE("leaves that receive the same gradient do not share it") {
  Tensor x = leaf({1, 2}), y = leaf({3, 4});
  sum(x + y).backward();
  CHECK_FALSE(x.grad().shares_storage(y.grad()));
  NoGrad guard;
  Tensor gx = x.grad();
  gx.mul_(5);
  CHECK(to_values(y.grad()) == Values{1, 1});
}

TEST_CASE("gradients accumulate beside a gradient that was set with shared elements") {
  Tensor x = leaf({1, 2, 3});
  x.set_grad(ones({}, float64).expand({3}));
  sum(x * x).backward();
  CHECK(to_values(x.grad()) == Values{3, 5, 7});
}

TEST_CASE("each gradient is its own and dense, also when it is recorded") {
  Tensor a = leaf({1, 2}), b = leaf({3, 4});
  const Tensor c = tensor({5., 7.}, float64);
  for (const bool hooked : {false, true}) {
    if (hooked) a.register_hook([](const Tensor&) {});
    sum((a + b) * c).backward({.create_graph = true});
    sum((a + b) * c).backward();
    CHECK(to_values(a.grad()) == Values{10, 14});
    CHECK(to_values(b.grad()) == Values{10, 14});
    for (const Tensor* x : {&a, &b}) x->set_grad({});
  }
  const auto check_writable = [](const Tensor& x) {
    CHECK(x.grad().is_contiguous());
    Tensor g = x.grad();
    NoGrad guard;
    CHECK_NOTHROW(g.mul_(2));
  };
  for (const bool create_graph : {false, true})
    for (const bool named : {false, true}) {
      CAPTURE(create_graph, named);
      Tensor w = leaf({1, 2}), v = leaf({1, 2});
      Tensor u = w + v;
      if (!named) u.retain_grad();
      sum(u).backward({.create_graph = create_graph, .inputs = named ? Tensors{w, v, u} : Tensors{}});
      for (const Tensor* x : {&w, &v, &u}) check_writable(*x);
      for (const Tensor* x : {&w, &v, &u}) CHECK(to_values(x->grad()) == Values{2, 2});
    }
  const Tensor g = ones({}, float64).expand({2});
  a.set_grad(g), b.set_grad(g);
  check_writable(a);
  CHECK(to_values(b.grad()) == Values{1, 1});
}

TEST_CASE("an accumulated gradient keeps its history") {
  Tensor x = leaf({2}), w = leaf({3});
  for (const bool named : {false, true}) {
    NoGrad guard;  // the pass records all the same
    Tensor y;
    {
      EnableGrad again;
      y = x * x * w;
    }
    for (int i = 1; i <= 2; ++i) {
      y.backward({.create_graph = true, .inputs = named ? Tensors{x} : Tensors{}});
      CHECK(x.grad().item() == 12 * i);
      CHECK(grad({x.grad()}, {x}, {.retain_graph = true})[0].item() == 6 * i);
    }
    for (const Tensor* t : {&x, &w}) t->set_grad({});
  }
}

TEST_CASE("backward refuses what has no gradient") {
  Tensor x = leaf({2, 3});
  CHECK_THROWS_WITH((x * x).backward(), Catch::Contains("shape (2,) has 2 elements") && Catch::Contains("sum()"));
  CHECK_THROWS_WITH(ones({}, float64).backward(), Catch::Contains("has no history"));
  CHECK_THROWS_WITH((x * x).backward(ones({3}, float64)),
                    Catch::Contains("float64 (3,)") && Catch::Contains("float64 (2,)"));
  CHECK_THROWS_WITH((x * x).backward(ones({2}, float32)), Catch::Contains("float32 (2,)"));
  CHECK_THROWS_AS(Tensor().backward(), Error);
  CHECK_FALSE(x.grad().defined());
}

TEST_CASE("a second backward pass needs retain_graph") {
  Tensor x = leaf({2, 3});
  const Tensor y = sum(x * x);
  y.backward({.retain_graph = true});
  y.backward();
  CHECK(to_values(x.grad()) == Values{8, 12});
  CHECK_THROWS_WITH(y.backward(), Catch::Contains("[mul]") && Catch::Contains("retain_graph = true"));
  CHECK_THROWS_AS(grad({y}, {x}), GradError);
  const Tensor linear = sum(x + x);  // nothing is saved
  linear.backward();
  linear.backward();
  CHECK(to_values(x.grad()) == Values{12, 16});
}

TEST_CASE("create_graph gives higher derivatives") {
  Tensor x = leaf({3});
  const Tensor y = x * x * x * x;
  const Tensor d1 = grad({y}, {x}, {.create_graph = true})[0];
  const Tensor d2 = grad({d1}, {x}, {.create_graph = true})[0];
  const Tensor d3 = grad({d2}, {x}, {.create_graph = true})[0];
  const Tensor d4 = grad({d3}, {x})[0];
  CHECK(d1.item() == Approx(108));
  CHECK(d2.item() == Approx(108));
  CHECK(d3.item() == Approx(72));
  CHECK(d4.item() == Approx(24));
  CHECK(d3.requires_grad());
  CHECK_FALSE(d4.requires_grad());

  Tensor z = leaf({2});
  sum(z * z * z).backward({.create_graph = true});
  CHECK(z.grad().item() == Approx(12));
  CHECK(z.grad().requires_grad());
  const Tensor second = grad({sum(z.grad())}, {z})[0];
  CHECK(second.item() == Approx(12));
  z.set_grad({});  // the gradient owns its graph, which owns z's place in it
}

TEST_CASE("grad gives vector-Jacobian products and changes no grad()") {
  Tensor x = leaf({2, 3}), w = leaf({5, 7});
  const Tensor a = x * w, b = a * a;
  Tensors g = grad({b}, {x, a, w}, {.gradients = {tensor({1., 10.}, float64)}, .retain_graph = true});
  CHECK(to_values(g[0]) == Values{2 * 10 * 5, 10 * 2 * 21 * 7});
  CHECK(to_values(g[1]) == Values{20, 420});
  CHECK(to_values(g[2]) == Values{2 * 10 * 2, 10 * 2 * 21 * 3});
  CHECK_FALSE(x.grad().defined());
  CHECK_FALSE(w.grad().defined());

  g = grad({sum(a), sum(b)}, {x}, {.gradients = {Tensor(), full({}, 3, float64)}});
  CHECK(to_values(g[0]) == Values{5 + 3 * 100, 7 + 3 * 2 * 21 * 7});

  g = grad({b}, {b}, {.gradients = {tensor({4., 5.}, float64)}});
  CHECK(to_values(g[0]) == Values{4, 5});
  g = grad({x}, {x}, {.gradients = {tensor({4., 5.}, float64)}});
  CHECK(to_values(g[0]) == Values{4, 5});
}

TEST_CASE("grad passes each part of the graph once, also where an input is an ancestor of another") {
  Tensor x = leaf({2});
  const Tensor a = x * x, b = a * a;
  const Tensors g = grad({b}, {a, x});
  CHECK(g[0].item() == 8);
  CHECK(g[1].item() == 32);
}

TEST_CASE("grad refuses inputs that do not fit") {
  Tensor x = leaf({2}), other = leaf({1});
  const Tensor y = x * x;
  CHECK_THROWS_WITH(grad({y}, {x, other}, {.retain_graph = true}),
                    Catch::Contains("do not depend on input 1 of shape (1,)"));
  const Tensors g = grad({y}, {x, other}, {.retain_graph = true, .allow_unused = true});
  CHECK(g[0].item() == 4);
  CHECK_FALSE(g[1].defined());
  CHECK_THROWS_WITH(grad({y}, {ones({1}, float64)}), Catch::Contains("input 0 does not require a gradient"));
  CHECK_THROWS_WITH(grad({y}, {Tensor()}), Catch::Contains("input 0"));
  CHECK_THROWS_WITH(grad({y}, {x}, {.gradients = {y, y}}), Catch::Contains("2 gradients for 1 outputs"));
  CHECK_THROWS_AS(grad({Tensor()}, {x}), Error);
  CHECK_FALSE(x.grad().defined());
}

TEST_CASE("an input may be named twice") {
  Tensor x = leaf({2}), hooked = leaf({2});
  hooked.register_hook([](const Tensor& g) { return g * 2; });
  const Tensor a = x * hooked, y = a * a;
  const Tensors g = grad({y}, {a, x, hooked, x, a, hooked, x}, {.retain_graph = true});
  const double right[] = {8, 16, 32, 16, 8, 32, 16};
  for (size_t i = 0; i < g.size(); ++i) CHECK(g[i].item() == right[i]);
  y.backward({.inputs = {a, x, hooked, x, a, hooked, x}});
  CHECK(a.grad().item() == 8);
  CHECK(x.grad().item() == 16);
  CHECK(hooked.grad().item() == 32);
}

TEST_CASE("a gradient that is not a number goes its way") {
  Tensor x = leaf({2, 3}), w = leaf({1, 1});
  const Tensor y = sum(log(x * -1)) * 0 + sum(w * 5);
  CHECK(std::isnan(y.item()));
  CHECK(to_values(grad({y}, {w}, {.retain_graph = true})[0]) == Values{5, 5});
  y.backward();
  CHECK(to_values(w.grad()) == Values{5, 5});
}

TEST_CASE("what backward with inputs does to a result ends with the pass") {
  Tensor x = leaf({2});
  const Tensor a = x * 3, y = a * a;
  y.backward({.retain_graph = true, .inputs = {a}});
  CHECK(a.grad().item() == 12);
  y.backward({.retain_graph = true});
  CHECK(a.grad().item() == 12);
  a.retain_grad();
  y.backward({.retain_graph = true});
  CHECK(a.grad().item() == 24);
  y.backward({.retain_graph = true, .inputs = {a}});
  CHECK(a.grad().item() == 36);
  y.backward({.retain_graph = true, .inputs = {x}});  // into these only
  grad({y}, {x});
  CHECK(a.grad().item() == 36);
}

TEST_CASE("backward with inputs accumulates into these only") {
  Tensor x = leaf({2}), w = leaf({3});
  const Tensor a = x * w, y = a * a;
  y.backward({.retain_graph = true, .inputs = {w}});
  CHECK_FALSE(x.grad().defined());
  CHECK(w.grad().item() == 24);
  y.backward({.retain_graph = true, .inputs = {w, a}});
  CHECK(w.grad().item() == 48);
  CHECK(a.grad().item() == 12);
  y.backward({.inputs = {a}});
  CHECK(a.grad().item() == 24);
  CHECK_FALSE(x.grad().defined());
}

TEST_CASE("hooks see a gradient once, complete, and may replace it") {
  Tensor x = leaf({2, 3});
  const Tensor a = x * 2;
  std::vector<Values> seen;
  a.register_hook([&](const Tensor& g) { seen.push_back(to_values(g)); });
  const int key = a.register_hook([](const Tensor& g) { return g * 10; });
  a.register_hook([&](const Tensor& g) { seen.push_back(to_values(g)); });
  const Tensor y = sum(a * a) + sum(a);
  y.backward({.retain_graph = true});
  CHECK(seen == std::vector<Values>{{9, 13}, {90, 130}});
  CHECK(to_values(x.grad()) == Values{180, 260});

  seen.clear();
  a.remove_hook(key);
  x.set_grad({});
  y.backward({.retain_graph = true});
  CHECK(seen == std::vector<Values>{{9, 13}, {9, 13}});
  CHECK(to_values(x.grad()) == Values{18, 26});
  CHECK_THROWS_WITH(a.remove_hook(key), Catch::Contains("no hook with key"));

  x.set_grad({});
  int calls = 0;
  x.register_hook([&](const Tensor& g) {
    ++calls;
    return g * 0.5;
  });
  const Tensor twice = sum(x * x) + sum(x * 3);
  twice.backward();
  CHECK(calls == 1);
  CHECK(to_values(x.grad()) == Values{3.5, 4.5});
  CHECK(to_values(grad({sum(x * x)}, {x})[0]) == Values{2, 3});  // grad() gives what the hooks leave
}

TEST_CASE("a hook may write to its gradient") {
  for (const bool create_graph : {false, true}) {
    Tensor x = leaf({1, 2}), y = leaf({3, 4});
    const Tensor a = x * 1, b = y * 1, given = ones({2}, float64);
    a.register_hook([](Tensor g) { g.mul_(5); });
    y.register_hook([](Tensor g) { g.mul_(7); });
    (a + b).backward({.gradient = given, .create_graph = create_graph});
    CHECK(to_values(given) == Values{1, 1});
    CHECK(to_values(x.grad()) == Values{5, 5});
    CHECK(to_values(y.grad()) == Values{7, 7});
    sum(a + b).backward();  // its gradient is expanded
    CHECK(to_values(x.grad()) == Values{10, 10});
  }
}

TEST_CASE("hooks may come and go while hooks run") {
  Tensor x = leaf({2});
  const std::vector<int> numbers(1000, 1);  // in the hook's own memory, which must outlive its call
  std::vector<int> calls;
  int first = -1, second = -1, third = -1;
  first = x.register_hook([&, numbers](const Tensor& g) {
    x.remove_hook(first);
    CHECK_THROWS_AS(x.remove_hook(first), ValueError);
    CHECK_THROWS_AS(x.remove_hook(-1), ValueError);
    for (int i = 0; i < 100; ++i) x.register_hook([&](const Tensor&) { calls.push_back(4); });
    calls.push_back(numbers[999]);
    return g * 1;
  });
  second = x.register_hook([&](const Tensor&) { calls.push_back(2); });
  third = x.register_hook([&, numbers](const Tensor&) {
    calls.push_back(3 * numbers[999]);
    if (calls.size() > 2) x.remove_hook(second);
  });
  sum(x * 3).backward();
  CHECK(calls == std::vector<int>{1, 2, 3});
  CHECK(x.grad().item() == 3);
  calls.clear();
  sum(x).backward();
  CHECK(calls.size() == 101);
  CHECK(calls[0] == 3);
  x.remove_hook(third);
}

TEST_CASE("a hook may fail, and the graph stays usable") {
  Tensor x = leaf({2});
  const Tensor a = x * x;
  const int key = a.register_hook([](const Tensor&) -> Tensor { throw std::runtime_error("stop"); });
  const Tensor y = a * a;
  CHECK_THROWS_WITH(y.backward({.retain_graph = true}), "stop");
  CHECK_FALSE(x.grad().defined());
  a.remove_hook(key);
  const int wrong = a.register_hook([](const Tensor&) { return ones({2}, float64); });
  CHECK_THROWS_WITH(y.backward({.retain_graph = true}), Catch::Contains("[hook]") && Catch::Contains("(2,)"));
  a.remove_hook(wrong);
  y.backward();
  CHECK(x.grad().item() == 32);
  CHECK_THROWS_WITH(ones({1}).register_hook([](const Tensor&) {}), Catch::Contains("does not require a gradient"));
}

TEST_CASE("a hook may run a backward pass of its own") {
  Tensor x = leaf({2}), z = leaf({5});
  const Tensor a = x * x;
  a.register_hook([&](const Tensor&) {
    CHECK_FALSE(grad_enabled());
    EnableGrad guard;
    sum(z * z * z).backward();
  });
  (a * a).backward();
  CHECK(x.grad().item() == 32);
  CHECK(z.grad().item() == 75);
}

TEST_CASE("a hook must not start a pass over the graph that is being differentiated") {
  Tensor x = leaf({2});
  const Tensor a = x * x, b = a * 3, y = b + a * a;  // a waits for the gradient through b
  int refused = 0;
  b.register_hook([&](const Tensor&) {
    try {
      grad({b}, {x}, {.retain_graph = true});
    } catch (const GradError& error) {
      refused += std::string(error.what()).find("is being differentiated by another pass") != std::string::npos;
    }
    try {
      b.backward({.retain_graph = true});
    } catch (const GradError&) {
      ++refused;
    }
  });
  y.backward();
  CHECK(refused == 2);
  CHECK(x.grad().item() == 44);
}

TEST_CASE("an op may return its input") {
  Tensor x = tensor({2.}, float64), w = leaf({3});
  const Tensor y =
      record("first", {x, w}, x, Keep::nothing(), NoAttributes{}, [](const Backward& b, NoAttributes) -> Gradients {
        return {b.grad(), b.grad() * 5};
      });
  CHECK_FALSE(x.requires_grad());
  CHECK(y.requires_grad());
  y.backward();
  CHECK(w.grad().item() == 5);
}

TEST_CASE("retain_grad keeps the gradient of a result") {
  Tensor x = leaf({2});
  const Tensor a = x * x;
  CHECK_FALSE(a.grad().defined());
  a.retain_grad();
  a.retain_grad();
  const Tensor y = a * a;
  y.backward({.retain_graph = true});
  CHECK(a.grad().item() == 8);
  y.backward();
  CHECK(a.grad().item() == 16);
  CHECK(x.grad().item() == 64);
}

TEST_CASE("retain_grad outlives in-place writes") {
  Tensor x = leaf({2, 5});
  {
    Tensor a = x * 1;
    a.retain_grad();
    a.mul_(2);
    sum(a * 3).backward({.retain_graph = true});
    CHECK(to_values(a.grad()) == Values{3, 3});
    a.add_(x);
    sum(a * 4).backward();
    CHECK(to_values(a.grad()) == Values{7, 7});
  }
  Tensor a = x * 1, part = a.slice(0, 0, 1);
  a.retain_grad(), part.retain_grad();
  part.mul_(2);  // a write to a view is one to its base
  (sum(a * 3) + sum(part * 10)).backward();
  CHECK(to_values(a.grad()) == Values{3, 3});
  CHECK(to_values(part.grad()) == Values{13});  // 3 of them through the base, which holds it
  Tensor b = x * 1, view = b.slice(0, 0, 1);
  b.retain_grad(), view.retain_grad();
  b.mul_(2);  // and the other way round
  sum(view * 10).backward();
  CHECK(to_values(view.grad()) == Values{10});
  CHECK(to_values(b.grad()) == Values{10, 0});
  b.copy_(x * 7);
  sum(b).backward();
  CHECK(to_values(b.grad()) == Values{11, 1});
}

namespace {

Tensor bad_op(const Tensor& x, int kind) {
  return record("bad_op", {x}, x.detach() * 1, Keep::nothing(), kind, [](const Backward& b, int k) -> Gradients {
    switch (k) {
      case 0: return {sum(b.grad())};
      case 1: return {to(b.grad(), float32)};
      case 2: return {b.grad(), b.grad()};
      case 3: return {b.input(0)};
      case 4: return {b.output()};
      case 5: throw std::runtime_error("rule fails");
      default: return {Tensor()};
    }
  });
}

}  // namespace

TEST_CASE("a wrong rule is an error that names the op, and leaves nothing behind") {
  Tensor x = leaf({2, 3});
  const char* const messages[] = {"[bad_op] its rule gives a gradient of float64 () for input 0, which is float64 (2,)",
                                  "[bad_op] its rule gives a gradient of float32 (2,)",
                                  "[bad_op] its gradient rule returns 2 gradients for 1 inputs",
                                  "[bad_op] the rule reads input 0 which was not declared",
                                  "[bad_op] the rule reads output 0 which was not declared",
                                  "rule fails"};
  for (int kind = 0; kind < 6; ++kind) {
    CHECK_THROWS_WITH(sum(bad_op(x * 2, kind) * 3).backward(), Catch::Contains(messages[kind]));
    CHECK_FALSE(x.grad().defined());
  }
  sum(bad_op(x, 6)).backward();  // an undefined gradient means none
  CHECK_FALSE(x.grad().defined());
  sum(x * 2).backward();
  CHECK(to_values(x.grad()) == Values{2, 2});
}

TEST_CASE("a rule that is never needed does not run") {
  Tensor x = leaf({2}), w = leaf({3});
  const Tensor y = bad_op(x, 5) * 0 + w * w;
  CHECK(grad({y}, {w}, {.retain_graph = true})[0].item() == 6);
  CHECK_THROWS_WITH(grad({y}, {x}), "rule fails");
}

TEST_CASE("an op with several outputs gets zeros for those that nothing used") {
  Tensor x = leaf({2, 3});
  Tensor outputs[3] = {x.detach() * 2, to(x.detach(), int64), x.detach() * 5};
  record_all("two_scales", {x}, outputs, Keep::nothing(), NoAttributes{},
             [](const Backward& b, NoAttributes) -> Gradients {
               CHECK(b.has_grad(0));
               CHECK_FALSE(b.has_grad(2));
               return {b.grad(0) * 2 + b.grad(2) * 5};
             });
  CHECK(outputs[0].requires_grad());
  CHECK_FALSE(outputs[1].requires_grad());
  CHECK(outputs[2].requires_grad());
  sum(outputs[0] * outputs[0]).backward();
  CHECK(to_values(x.grad()) == Values{16, 24});
}

TEST_CASE("DetectAnomaly names the op that made the first value that is not finite") {
  Tensor x = leaf({0, 1});
  {
    DetectAnomaly guard;
    CHECK_THROWS_WITH(log(x * -1 + 0.5), Catch::Contains("[log] element 1"));
    CHECK_THROWS_AS(x / (x * 0), ValueError);
    const Tensor y = sum(sqrt(x));
    CHECK_THROWS_WITH(y.backward(), Catch::Contains("[sqrt]") || Catch::Contains("[div]"));
    CHECK_NOTHROW(sum(x * 2).backward());
  }
  x.set_grad({});
  sum(sqrt(x)).backward();
  CHECK(std::isinf(to_values(x.grad())[0]));
}

TEST_CASE("threads differentiate graphs of their own into shared leaves", "[threads]") {
  Tensor w = leaf({1, 2, 3});
  constexpr int kThreads = 4, kPasses = 200;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&w] {
      for (int i = 0; i < kPasses; ++i) {
        Tensor y = w * 2;
        for (int k = 0; k < 5; ++k) y = y + w;
        sum(y).backward();
        const Tensor g = grad({sum(w * w)}, {w})[0];
        if (to_values(g) != Values{2, 4, 6}) throw std::runtime_error("wrong gradient in a thread");
      }
    });
  for (std::thread& t : threads) t.join();
  CHECK(to_values(w.grad()) == Values(3, 7.0 * kThreads * kPasses));
}

TEST_CASE("a graph that one thread made can be differentiated and destroyed by another", "[threads]") {
  Tensor w = leaf({1, 2, 3});
  Tensor y = w * 1;
  for (int i = 0; i < 1000; ++i) y = y * 1.0 + w;
  std::thread([&] {
    sum(y).backward();
    y = Tensor();
  }).join();
  CHECK(to_values(w.grad()) == Values(3, 1001));
}
