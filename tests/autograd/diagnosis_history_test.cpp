// What the gradient checker says of a history that is cut, of orders, contracts, digits, NaN, and of an op in a
// network.
#include <algorithm>
#include <stdexcept>

#include <cotangent/tests/autograd/diagnosis_cases.hpp>

namespace cotangent::diagnosis_test {

TEST_CASE("a diagnosis names a history that is cut, or a copy") {
  static const Tensor kept = sample({5}), kept_large = sample({90});
  static const auto copy_of = [](const Tensor& x) { return x.numel() == 5 ? kept : kept_large; };
  const std::vector<Tensors> two{{sample({5}), kept.clone()}, {sample({90}), kept_large.clone()}};
  check({
      {"detached", of_sizes({3, 4}, {10, 12}),
       [](const Tensors& x) -> Tensors { return {square(x[0].detach()) + x[0] * 0}; }, "disconnected",
       "the rule gives 0"},
      {"no history", of_sizes({3, 4}, {10, 12}), [](const Tensors& x) -> Tensors { return {square(x[0].detach())}; },
       "disconnected", "the rule gives 0"},
      {"a copy", two, [](const Tensors& x) -> Tensors { return {square(x[0]) * copy_of(x[1])}; }, "stale copy",
       "has no influence"},
      {"a copy, with a rule", two,
       [](const Tensors& x) {
         return planted(
             x, without_history([&] { return square(x[0]) * copy_of(x[1]); }), RULE {
               return {right(b) * b.input(1), b.grad() * square(b.input(0))};
             });
       },
       "stale copy", "reads a copy"},
      {"flat", of_sizes({3, 4}, {10, 12}, 5), [](const Tensors& x) -> Tensors { return {clamp(x[0], -1, 1)}; },
       "saturated", "flat here"},
      {"nearly flat", of_sizes({3, 4}, {10, 12}, 50), [](const Tensors& x) -> Tensors { return {sigmoid(x[0])}; },
       "saturated", ""},
  });
}

TEST_CASE("a diagnosis names the order or the pass that is wrong") {
  check({
      {"the second", of_sizes({3, 4}, {10, 12}),
       [](const Tensors& x) {
         return bad_square(
             x, RULE { return {b.grad() * b.input(0).detach() * 2}; });
       },
       "order", "wrong only from order 2 on: disconnected"},
      {"the fast pass", of_sizes({3, 4}, {10, 12}),
       [](const Tensors& x) {
         return bad_square(
             x, RULE { return {right(b) * (b.creates_graph() ? 1 : 3)}; });
       },
       "order", "only the fast pass is wrong"},
      {"the recorded pass", of_sizes({3, 4}, {10, 12}),
       [](const Tensors& x) {
         return bad_square(
             x, RULE { return {right(b) * (b.creates_graph() ? 3 : 1)}; });
       },
       "order", "only the pass that create_graph records is wrong: factor: the rule gives 3 times"},
      {"the second throws", of_sizes({3, 4}, {10, 12}),
       [](const Tensors& x) {
         return bad_square(
             x, RULE {
               return {record("bad_rule", {b.grad(), b.input(0)}, (b.grad() * b.input(0) * 2).detach(), Keep::nothing(),
                              NoAttributes{}, [](const Backward&, NoAttributes) -> Gradients {
                                throw std::runtime_error("no second order");
                              })};
             });
       },
       "order", "no second order"},
  });
}

TEST_CASE("a diagnosis names a small constant or few digits") {
  check({
      {"log(x + eps)", of_sizes({3, 4}, {10, 12}, 2),
       [](const Tensors& x) {
         return planted(
             x, without_history([&] { return log(x[0] + 1e-3); }), RULE { return {b.grad() / (b.input(0) + 1e-5)}; });
       },
       "epsilon", "another small constant"},
      {"rms norm", of_sizes({3, 4}, {10, 12}),
       [](const Tensors& x) {
         return planted(
             x, without_history([&] { return x[0] / sqrt(mean(square(x[0]), 1, true) + 1e-3); }), RULE {
               const Tensor r = 1 / sqrt(mean(square(b.input(0)), 1, true) + 1e-6), n = b.input(0) * r;
               return {(b.grad() - n * mean(n * b.grad(), 1, true)) * r};
             });
       },
       "epsilon", "another small constant"},
      {"float32 inside", of_sizes({3, 4}, {10, 12}, 300),
       [](const Tensors& x) {
         return planted(
             x, without_history([&] { return square(x[0] - 300); }),
             RULE { return {b.grad() * to(to(b.input(0), float32) - 300, float64) * 2}; });
       },
       "precision", "float32"},
  });
}

TEST_CASE("a diagnosis names broken contracts") {
  static int calls = 0;
  check({
      {"clamped", of_sizes({3, 4}, {10, 12}),
       [](const Tensors& x) {
         return bad_square(
             x, RULE { return {clamp(b.grad(), -2, 2) * b.input(0) * 2}; });
       },
       "not linear", "not linear in the cotangent"},
      {"ignored", of_sizes({3, 4}, {10, 12}),
       [](const Tensors& x) {
         return bad_square(
             x, RULE { return {b.input(0) * 2}; });
       },
       "not linear", "a cotangent of 0"},
      {"nondeterministic", of_sizes({3, 4}, {10, 12}),
       [](const Tensors& x) -> Tensors { return {square(x[0]) * (1 + 0.01 * (++calls % 5))}; }, "nondeterministic",
       "other values the second time"},
      {"changes its input", of_sizes({3, 4}, {10, 12}),
       [](const Tensors& x) {
         return bad_square(
             x, RULE {
               const Tensor g = right(b);
               b.input(0).data<double>()[0] *= 1.5;
               return {g};
             });
       },
       "changes data", "an input"},
      {"as if contiguous", of_sizes({3, 4}, {10, 12}),
       [](const Tensors& x) {
         return bad_square(
             x, RULE {
               if (b.creates_graph()) return {right(b)};
               const Tensor flat = empty(b.grad().shape(), float64);
               std::copy_n(b.grad().data<double>(), flat.numel(), flat.data<double>());
               return {flat * b.input(0) * 2};
             });
       },
       "strides", "not contiguous"},
      {"a scale of 1 without its gradient's factor",
       {{sample({4}), ones({4}, float64)}, {sample({90}), ones({90}, float64)}},
       [](const Tensors& x) {
         return planted(
             x, without_history([&] { return square(x[0]) * x[1]; }), RULE {
               return {right(b), b.grad() * square(b.input(0))};
             });
       },
       "not symmetric",
       "the Hessian is not symmetric"},
      {"a std exception", of_sizes({3, 4}, {10, 12}),
       [](const Tensors& x) {
         return bad_square(
             x, RULE {
               if (b.grad().defined()) throw std::domain_error("outside");
               return {b.grad()};
             });
       },
       "domain", "the backward pass throws: outside"},
  });
}

TEST_CASE("a diagnosis names NaN and kinks, and what else is wrong") {
  const auto with_zero = [](const Shape& shape) {
    const Tensor x = sample(shape, 2);
    x.data<double>()[3] = 0;
    return x;
  };
  const std::vector<Tensors> inputs{{with_zero({3, 4})}, {with_zero({10, 12})}};
  check({
      {"NaN at 0", inputs,
       [](const Tensors& x) {
         return bad_square(
             x, RULE { return {b.grad() * square(b.input(0)) / b.input(0) * 2}; });
       },
       "domain", "where the element is 0"},
      {"a kink",
       {{with_zero({3, 4})}},
       [](const Tensors& x) -> Tensors { return {abs(x[0]) * 2}; },
       "kink",
       "where the element is 0"},
      {"an edge",
       {{with_zero({3, 4})}},
       [](const Tensors& x) -> Tensors { return {log(x[0])}; },
       "domain",
       "where the element is 0"},
  });
  const GradcheckReport report = gradcheck(
      [](const Tensors& x) {
        return bad_square(
            x, RULE { return {b.grad() * square(b.input(0)) / b.input(0)}; });
      },
      inputs[0]);
  INFO(report.to_string());
  REQUIRE(report.diagnosis.size() == 2);
  CHECK_THAT(report.diagnosis[0], Catch::Contains(": domain: the rule gives"));
  CHECK_THAT(report.diagnosis[1], Catch::Contains(": factor: the rule gives 0.5 times"));
}

TEST_CASE("a diagnosis looks at the op to blame in a network") {
  static const auto network = [](const Tensors& x, Rule rule) -> Tensors {
    const Tensor h = tanh(matmul(x[0], x[1]));
    const Tensor y = bad_square({h}, rule)[0];
    return {tanh(matmul(y, x[1]))};
  };
  const std::vector<Tensors> inputs{{sample({3, 3}), sample({3, 3}, 0.2)}, {sample({30, 3}), sample({3, 3}, 0.2)}};
  const struct {
    Function f;
    const char* expected;
  } cases[] = {{[](const Tensors& x) {
                  return network(
                      x, RULE { return {right(b) * -1}; });
                },
                "input 0 of [bad], order 1: sign: "},
               {[](const Tensors& x) {
                  return network(
                      x, RULE { return {right(b) * 3}; });
                },
                "input 0 of [bad], order 1: factor: "},
               {[](const Tensors& x) {
                  return network(
                      x, RULE { return {flip(right(b), 1)}; });
                },
                "input 0 of [bad], order 1: layout: right would be the gradient of the rule flipped along dimension 1"},
               {[](const Tensors& x) {
                  return network(
                      x, RULE { return {right(b) + b.grad() * 0.5}; });
                },
                "input 0 of [bad], order 1: missing term: the cotangent times the constant -0.5"},
               {[](const Tensors& x) {
                  return network(
                      x, RULE {
                        return {right(b) * ones_like_but(b.input(0), [](const Shape&, const Shape& i) {
                                  return i[1] == 2 ? 0.5 : 1.0;
                                })};
                      });
                },
                "input 0 of [bad], order 1: only where: wrong at index 2 along dimension 1"}};
  for (const auto& c : cases)
    for (const Tensors& x : inputs) {
      const GradcheckReport report = gradcheck(c.f, x);
      INFO(c.expected);
      INFO(report.to_string(3));
      CHECK(std::any_of(report.diagnosis.begin(), report.diagnosis.end(),
                        [&](const std::string& line) { return line.find(c.expected) != std::string::npos; }));
    }
}

TEST_CASE("a gradient derived by hand is diagnosed, too") {
  const Tensor x = sample({4, 5});
  const auto f = [](const Tensor& z) { return square(z); };
  GradcheckReport report = check_manual("dx", x * -2, f, x);
  INFO(report.to_string());
  REQUIRE(report.diagnosis.size() == 1);
  CHECK_THAT(report.diagnosis[0], Catch::StartsWith("dx, order 1: sign: "));
  report = check_manual(
      "dx", x * 2 * ones_like_but(x, [](const Shape&, const Shape& i) { return i[0] == 1 ? 0.0 : 1.0; }), f, x);
  REQUIRE(report.diagnosis.size() == 1);
  CHECK_THAT(report.diagnosis[0], Catch::StartsWith("dx, order 1: only where: wrong at index 1 along dimension 0"));
}

}  // namespace cotangent::diagnosis_test
