// The checker itself: right gradients pass, and each planted wrong rule is caught, with the worst element named.
#include <cotangent/tests/check_gradients.hpp>

#include <cmath>
#include <cstdio>

#include <cotangent/autograd/record.hpp>
#include <cotangent/cotangent.hpp>
#include <cotangent/tensor/elementwise.hpp>

using namespace cotangent;

namespace {

/// y = x^2 * scale, without history.
Tensor squared(const Tensor& x) {
  NoGrad guard;
  return square(x);
}

int g_calls = 0;

// One wrong rule each, for y = x^2 unless said otherwise.
#define RULE [](const Backward& b, NoAttributes) -> Gradients

struct Planted {
  const char* name;
  Tensors (*f)(const Tensors& x);
  const char* expected;  ///< must stand in the report
  bool in_table = true;  ///< the report must hold a table row
};

const std::vector<Planted> planted = {
    {"sign flip",
     [](const Tensors& x) -> Tensors {
       return {record(
           "bad", {x[0]}, squared(x[0]), Keep::input(0), NoAttributes{},
           RULE { return {b.grad() * b.input(0) * -2}; })};
     },
     "sign: the rule gives -1 times the numeric gradient: the sign is wrong"},
    {"factor 2",
     [](const Tensors& x) -> Tensors {
       return {record(
           "bad", {x[0]}, squared(x[0]), Keep::input(0), NoAttributes{}, RULE { return {b.grad() * b.input(0) * 4}; })};
     },
     "2 times the numeric gradient: counted twice?"},
    {"factor 1/2",
     [](const Tensors& x) -> Tensors {
       return {record(
           "bad", {x[0]}, squared(x[0]), Keep::input(0), NoAttributes{}, RULE { return {b.grad() * b.input(0)}; })};
     },
     "0.5 times the numeric gradient"},
    {"missing term (softmax without the subtraction)",
     [](const Tensors& x) -> Tensors {
       NoGrad guard;
       const Tensor e = exp(x[0]), y = e / sum(e);
       EnableGrad record_it;
       return {record(
           "bad", {x[0]}, y, Keep::output(), NoAttributes{}, RULE { return {b.grad() * b.output()}; })};
     },
     "input 0"},
    {"missing constant",
     [](const Tensors& x) -> Tensors {
       NoGrad guard;
       const Tensor y = square(x[0]) + sum(x[0]);
       EnableGrad record_it;
       return {record(
           "bad", {x[0]}, y, Keep::input(0), NoAttributes{}, RULE { return {b.grad() * b.input(0) * 2}; })};
     },
     "is missing in every element"},
    {"transposed gradient of a square matrix",
     [](const Tensors& x) -> Tensors {
       return {record(
           "bad", {x[0]}, squared(x[0]), Keep::input(0), NoAttributes{},
           RULE { return {transpose(b.grad() * b.input(0) * 2, 0, 1)}; })};
     },
     "with dimensions 0 and 1 exchanged"},
    {"permuted elements",
     [](const Tensors& x) -> Tensors {
       return {record(
           "bad", {x[0]}, squared(x[0]), Keep::input(0), NoAttributes{}, RULE {
             const Tensor g = b.grad() * b.input(0) * 2;
             Tensor rolled = zeros({3, 3}, float64);
             for (int64_t i = 0; i < 3; ++i) rolled[i] = g[(i + 1) % 3];
             return {rolled};
           })};
     },
     "layout: right would be the gradient of the rule shifted by 1 along dimension 0"},
    {"dropped sum over a broadcast dimension",
     [](const Tensors& x) -> Tensors {
       NoGrad guard;
       const Tensor y = expand(x[0], {2, 3, 3}).clone();
       EnableGrad record_it;
       return {record(
           "bad", {x[0]}, y, Keep::nothing(), NoAttributes{}, RULE { return {b.grad()[0]}; })};
     },
     "input 0"},
    {"off by 1e-5",
     [](const Tensors& x) -> Tensors {
       return {record(
           "bad", {x[0]}, squared(x[0]), Keep::input(0), NoAttributes{},
           RULE { return {b.grad() * b.input(0) * (2 * (1 + 1e-5))}; })};
     },
     "factor: the rule gives 1 + 1e-5 times"},
    {"one element off by 1e-5",
     [](const Tensors& x) -> Tensors {
       return {record(
           "bad", {x[0]}, squared(x[0]), Keep::input(0), NoAttributes{}, RULE {
             Tensor factor = full({3, 3}, 2, float64);
             factor[1][2] = 2 * (1 + 1e-5);
             return {b.grad() * b.input(0) * factor};
           })};
     },
     "(1, 2)"},
    {"right at first order only: a constant in the rule",
     [](const Tensors& x) -> Tensors {
       return {record(
           "bad", {x[0]}, squared(x[0]), Keep::input(0), NoAttributes{},
           RULE { return {b.grad() * b.input(0).detach() * 2}; })};
     },
     "input 0, order 2: order: right at order 1, wrong only from order 2 on: disconnected: the rule gives 0"},
    {"right for create_graph only",
     [](const Tensors& x) -> Tensors {
       return {record(
           "bad", {x[0]}, squared(x[0]), Keep::input(0), NoAttributes{},
           RULE { return {b.grad() * b.input(0) * (b.creates_graph() ? 2 : 3)}; })};
     },
     "only the fast pass is wrong"},
    {"right for the fast pass only",
     [](const Tensors& x) -> Tensors {
       return {record(
           "bad", {x[0]}, squared(x[0]), Keep::input(0), NoAttributes{},
           RULE { return {b.grad() * b.input(0) * (b.creates_graph() ? 3 : 2)}; })};
     },
     "only the pass that create_graph records is wrong"},
    {"ignores the cotangent",
     [](const Tensors& x) -> Tensors {
       return {record(
           "bad", {x[0]}, squared(x[0]), Keep::input(0), NoAttributes{}, RULE { return {b.input(0) * 2}; })};
     },
     "a cotangent of 0 does not give a gradient of 0"},
    {"wrong dtype of the gradient",
     [](const Tensors& x) -> Tensors {
       return {record(
           "bad", {x[0]}, squared(x[0]), Keep::input(0), NoAttributes{},
           RULE { return {to(b.grad() * b.input(0) * 2, float32)}; })};
     },
     "[bad] its rule gives a gradient of float32", false},
    {"wrong shape of the gradient",
     [](const Tensors& x) -> Tensors {
       return {record(
           "bad", {x[0]}, squared(x[0]), Keep::input(0), NoAttributes{},
           RULE { return {sum(b.grad() * b.input(0) * 2, 0)}; })};
     },
     "[bad] its rule gives a gradient of float64 (3,)", false},
    {"the function changes its input",
     [](const Tensors& x) -> Tensors {
       const Tensor y = record(
           "bad", {x[0]}, squared(x[0]), Keep::nothing(), NoAttributes{}, RULE { return {b.grad()}; });
       x[0].data<double>()[4] += 0.25;
       return {y};
     },
     "the function changes an input in place", false},
    {"the rule changes its input",
     [](const Tensors& x) -> Tensors {
       return {record(
           "bad", {x[0]}, squared(x[0]), Keep::input(0), NoAttributes{}, RULE {
             const Tensor g = b.grad() * b.input(0) * 2;
             b.input(0).data<double>()[0] *= 1.5;
             return {g};
           })};
     },
     "the backward pass changes an input", false},
    {"the rule changes the cotangent",
     [](const Tensors& x) -> Tensors {
       return {record(
           "bad", {x[0]}, squared(x[0]), Keep::input(0), NoAttributes{}, RULE {
             const Tensor g = b.grad() * b.input(0) * 2;
             b.grad().data<double>()[0] *= 2;
             return {g};
           })};
     },
     "the backward pass changes the cotangent", false},
    {"nondeterministic forward",
     [](const Tensors& x) -> Tensors { return {square(x[0]) * (1 + 0.01 * (++g_calls % 5))}; }, "nondeterministic",
     false},
    {"nondeterministic backward",
     [](const Tensors& x) -> Tensors {
       return {record(
           "bad", {x[0]}, squared(x[0]), Keep::input(0), NoAttributes{},
           RULE { return {b.grad() * b.input(0) * (2 + 1e-14 * (++g_calls % 5))}; })};
     },
     "other bits the second time", false},
    {"detached gradient", [](const Tensors& x) -> Tensors { return {square(x[0].detach()) + x[0] * 0}; },
     "the rule gives 0: is the history cut"},
    {"no history at all", [](const Tensors& x) -> Tensors { return {square(x[0].detach())}; },
     "the rule gives 0: is the history cut"},
    {"assumes a contiguous cotangent",
     [](const Tensors& x) -> Tensors {
       return {record(
           "bad", {x[0]}, squared(x[0]), Keep::input(0), NoAttributes{}, RULE {
             if (b.creates_graph()) return {b.grad() * b.input(0) * 2};
             const Tensor flat = empty({3, 3}, float64);
             std::copy_n(b.grad().data<double>(), 9, flat.data<double>());
             return {flat * b.input(0) * 2};
           })};
     },
     "that is not contiguous", false},
    {"zero everywhere", [](const Tensors& x) -> Tensors { return {floor(x[0] * 0.01)}; }, "vacuous", false},
};

}  // namespace

TEST_CASE("gradcheck catches planted wrong rules and names the worst element") {
  int caught = 0;
  for (const Planted& p : planted) {
    INFO(p.name);
    const Tensor x = points({3, 3}), before = x.clone();
    const GradcheckReport report = gradcheck(p.f, {x});
    INFO(report.to_string());
    CHECK_FALSE(report.ok());
    CHECK(report.to_string().find("gradcheck FAILED") == 0);
    CHECK_THAT(report.to_string(), Catch::Contains(p.expected));
    if (p.in_table) {
      REQUIRE(!report.rows.empty());
      const GradcheckRow& worst = report.rows.front();
      for (const GradcheckRow& row : report.rows)
        CHECK(worst.absolute_error() * worst.relative_error() >= row.absolute_error() * row.relative_error());
      CHECK_THAT(report.to_string(), Catch::Contains(worst.input) && Catch::Contains(to_string(worst.index)));
    }
    caught += !report.ok();
  }
  std::printf("gradcheck: %d of %zu planted wrong rules are caught\n", caught, planted.size());
  CHECK(caught == int(planted.size()));
}

TEST_CASE("gradcheck names one wrong element of a large input") {
  const auto f = [](const Tensors& x) -> Tensors {
    return {record(
        "bad", {x[0]}, squared(x[0]), Keep::input(0), NoAttributes{}, RULE {
          Tensor factor = full({20, 30}, 2, float64);
          factor[13][7] = 2.02;
          return {b.grad() * b.input(0) * factor};
        })};
  };
  const GradcheckReport report = gradcheck(f, {points({20, 30})});
  INFO(report.to_string());
  REQUIRE(!report.rows.empty());
  CHECK(report.directions >= 4);
  CHECK(report.rows[0].index == Shape{13, 7});
  CHECK(report.rows[0].relative_error() == Approx(0.01 / 1.01).epsilon(1e-3));
}

TEST_CASE("gradcheck finds a wrong rule at the third order") {
  const auto f = [](const Tensors& x) -> Tensors {
    return {record(
        "bad", {x[0]}, x[0].detach() * x[0].detach() * x[0].detach(), Keep::input(0), NoAttributes{},
        RULE { return {b.grad() * square(b.input(0)) * 3}; })};
  };
  check_gradients(f, {points({4})}, {.order = 4});
  const auto wrong = [](const Tensors& x) -> Tensors {
    const Tensor y = x[0].detach() * x[0].detach() * x[0].detach();
    return {record(
        "bad", {x[0]}, y, Keep::input(0), NoAttributes{}, RULE {
          const Tensor x2 = record("bad_square", {b.input(0)}, square(b.input(0).detach()), Keep::input(0),
                                   NoAttributes{}, [](const Backward& back, NoAttributes) -> Gradients {
                                     return {back.grad() * back.input(0).detach() * 2};
                                   });
          return {b.grad() * x2 * 3};
        })};
  };
  CHECK(gradcheck(wrong, {points({4})}, {.order = 2}).ok());
  const GradcheckReport report = gradcheck(wrong, {points({4})}, {.order = 3});
  CHECK_FALSE(report.ok());
  CHECK(report.rows.at(0).order == 3);
}

TEST_CASE("gradcheck passes right functions of every call form") {
  const Tensor a = points({2, 3}), b = points({3}, 2), c = points({2, 1}, 1);
  check_gradients([](const Tensors& x) { return x[0] * x[1]; }, {a, b});
  check_gradients([](std::span<const Tensor> x) -> Tensors { return {x[0] * x[1], x[0] / x[1]}; }, {a, b});
  check_gradients([](Tensor x) { return tanh(x); }, {a});
  check_gradients([](const Tensor& x, const Tensor& y) { return exp(x) / y; }, {a, b});
  check_gradients([](const Tensor& x, const Tensor& y, const Tensor& z) { return sin(x) * y + z * z; }, {a, b, c});
  check_gradients([](const Tensor& x) { return sum(x * x, 0).reshape({}) * 2; }, {points({4})});
  CHECK_FALSE(a.requires_grad());
}

TEST_CASE("gradcheck reaches parameters that the function holds itself") {
  Tensor weight = points({3}), bias = points({3}, 1);
  weight.requires_grad_();
  const Tensor x = points({2, 3}, -1), before = weight.clone();
  check_gradients([&] { return tanh(x * weight + bias); }, {weight, bias});
  CHECK(equal(weight, before));
  CHECK(weight.requires_grad());
  CHECK_FALSE(bias.requires_grad());
  CHECK_FALSE(weight.grad().defined());
}

TEST_CASE("gradcheck takes inputs that are not contiguous, empty or of rank 0") {
  check_gradients([](const Tensor& x) { return x * x; },
                  {points({4, 6}).detach().transpose(0, 1).slice(0, 0, 6, 2).detach()});
  check_gradients([](const Tensor& x) { return x * x; }, {points({})});
  check_gradients([](const Tensor& x) { return x * x; }, {points({0, 3})}, {.allow_zero = true});
}

TEST_CASE("gradcheck leaves out outputs that are not floating") {
  check_gradients([](const Tensors& x) -> Tensors { return {x[0] > 0, x[0] * x[0]}; }, {points({3})});
}

TEST_CASE("gradcheck measures again where one step is too coarse") {
  // the third derivative of 1/x at 0.004 is 10^10: a step of 6e-6 is off by 2e-7 of the first
  Tensor x = full({3}, 0.004, float64);
  x[1] = 0.0007;
  check_gradients([](const Tensor& v) { return reciprocal(v); }, {x});
  // large values: rounding of 10^6 hides a slope of 10^-3
  check_gradients([](const Tensor& v) { return v * 1e-3 + 1e6; }, {points({3})});
}

TEST_CASE("gradcheck points at kinks") {
  // there is no derivative: neither |x|'s 0 by convention nor clamp's 1 is right or wrong
  for (auto f : {+[](const Tensor& x) { return abs(x) * 2; }, +[](const Tensor& x) { return clamp(x, 0) * 2; }}) {
    const GradcheckReport report = gradcheck(f, {tensor({1., 0., 2.}, float64)}, {.order = 1});
    INFO(report.to_string());
    CHECK(report.verdict == Verdict::inconclusive);
    REQUIRE(report.unresolved.size() == 1);
    CHECK(report.unresolved[0].index == Shape{1});
    CHECK_THAT(report.unresolved[0].note, Catch::Contains("a kink: the slope is"));
  }
  // but what lies outside the slopes of both sides is wrong
  const auto wrong = [](const Tensors& x) -> Tensors {
    return {record(
        "bad", {x[0]}, abs(x[0].detach()), Keep::input(0), NoAttributes{},
        RULE { return {b.grad() * (sign(b.input(0)) + 3 * (b.input(0) == 0))}; })};
  };
  const GradcheckReport report = gradcheck(wrong, {tensor({1., 0., 2.}, float64)}, {.order = 1});
  INFO(report.to_string());
  CHECK(report.verdict == Verdict::fail);
  CHECK(report.bad_elements == 1);
}

TEST_CASE("gradcheck limits its table and counts the rest") {
  const auto f = [](const Tensors& x) -> Tensors {
    return {record(
        "bad", {x[0]}, squared(x[0]), Keep::input(0), NoAttributes{}, RULE { return {b.grad()}; })};
  };
  const GradcheckReport report = gradcheck(f, {points({5, 5})});
  CHECK(report.bad_elements == 25);
  const std::string text = report.to_string(3);
  CHECK_THAT(text, Catch::Contains("... and 22 more of 25 bad elements"));
  CHECK_THAT(text, Catch::Contains("order 2, 25 elements; inputs (5, 5) -> outputs (5, 5)"));
}

TEST_CASE("gradcheck refuses inputs it can't differentiate") {
  const auto f = [](const Tensors& x) { return x[0] * 2; };
  CHECK_THROWS_WITH(gradcheck(f, {ones({2}, int64)}),
                    Catch::Contains("input 0 is int64") && Catch::Contains("to(float64)"));
  CHECK_THROWS_WITH(gradcheck(f, {}), Catch::Contains("no inputs"));
  CHECK_THROWS_AS(gradcheck(f, {ones({1}, float64).expand({3})}), GradError);
  Tensor leaf = ones({2}, float64);
  leaf.requires_grad_();
  CHECK_THROWS_WITH(gradcheck(f, {leaf * 2}), Catch::Contains("is the result of an op"));
  CHECK_THROWS_WITH(gradcheck([](const Tensors& x) { return x[0] > 0; }, {leaf}),
                    Catch::Contains("none of the 1 outputs is floating"));
}
