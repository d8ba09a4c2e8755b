// What gradcheck blames an op for besides a wrong formula, and what is no op's fault.
#include <catch2/catch.hpp>

#include <cotangent/autograd/gradcheck/gradcheck.hpp>
#include <cotangent/tests/autograd/faulty_rules.hpp>

using namespace cotangent;
using namespace cotangent::faulty;
using Catch::Contains;

TEST_CASE("blame: where the history ends") {
  const auto f = [](const Tensor& x) {
    const Tensor h = exp(x);
    return sin(x) * h.detach();
  };
  GradcheckReport report = gradcheck(f, {wave({4})});
  INFO(report.to_string());
  CHECK(report.blame.op == "mul");
  CHECK(report.blame.input == 1);
  CHECK_THAT(report.blame.evidence, Contains("the history ends at input 1 of [mul]") &&
                                        Contains("its values are those of the result of [exp]"));
  // nothing but a copy
  report = gradcheck([](const Tensor& x) { return Tensors{x * 2, exp(x.detach())}; }, {wave({4})});
  CHECK(report.blame.op.empty());
  CHECK_THAT(report.blame.evidence, Contains("the history ends at output 1 of the function"));
  // written to behind the tape's back
  report = gradcheck(
      [](const Tensor& x) {
        Tensor y = sin(x);
        {
          NoGrad guard;
          y.detach().mul_(3);
        }
        return y + 1;
      },
      {wave({4})});
  CHECK(report.blame.op == "add");
  CHECK_THAT(report.blame.evidence, Contains("is not what [sin] gave"));
}

TEST_CASE("blame: a shift without a history that is taken back is no fault") {
  const auto f = [](const Tensor& x) {
    const Tensor h = scaled_tanh(x, 2), shift = mean(h).detach();
    return exp(h - shift) * exp(shift);
  };
  const GradcheckReport report = gradcheck(f, {wave({4})});
  INFO(report.to_string());
  CHECK(report.blame.op == "my_tanh");
}

TEST_CASE("blame: a rule that is wrong at second order") {
  // right, but its gradient has no history
  const auto cut = [](const Tensor& x) {
    const Tensor y = unrecorded([&] { return x * x * x; });
    return sin(record("my_cube", {exp(x)}, y, Keep::input(0), NoAttributes{},
                      [](const Backward& b, NoAttributes) -> Gradients {
                        return {b.grad() * (square(log(b.input(0))) * 3 / b.input(0)).detach()};
                      }));
  };
  GradcheckReport report = gradcheck(cut, {wave({4})});
  {
    INFO(report.to_string());
    CHECK(report.blame.op == "my_cube");
    CHECK_THAT(report.blame.evidence, Contains("the history ends"));
  }
  // its rule calls an op whose own rule is wrong
  const auto wrong = [](const Tensor& x) {
    const Tensor y = unrecorded([&] { return tanh(x); });
    return sin(
        record("my_tanh", {x}, y, Keep::input(0), NoAttributes{}, [](const Backward& b, NoAttributes) -> Gradients {
          return {b.grad() * (1 - square(scaled_tanh(b.input(0), 2, "tanh_again")))};
        }));
  };
  report = gradcheck(wrong, {wave({4})});
  INFO(report.to_string());
  CHECK(report.blame.op == "tanh_again");
  CHECK_THAT(report.blame.evidence, Contains("it was recorded by the rule of [my_tanh]"));
}

TEST_CASE("blame: a factor that is 1 at the point of the check") {
  const Tensor w = ones({4}, float64);
  const auto f = [](const Tensor& x, const Tensor& scale) {
    return sin(scaled_mul(x, scale, {1, 1})) +
           record("forgets", {x, scale}, unrecorded([&] { return x * x * scale; }), Keep::inputs(2), NoAttributes{},
                  [](const Backward& b, NoAttributes) -> Gradients {
                    return {b.grad() * b.input(0) * 2, b.grad() * square(b.input(0))};
                  });
  };
  const GradcheckReport report = gradcheck(f, {wave({4}), w});
  INFO(report.to_string());
  CHECK(report.blame.op == "forgets");
  CHECK(report.blame.input == 0);
}

TEST_CASE("blame: rules that throw, give NaN, or differ from pass to pass") {
  static int passes = 0;
  const auto with = [](auto rule) {
    return [rule](const Tensor& x) {
      const Tensor y = unrecorded([&] { return x * 2; });
      return sin(record("bad", {cos(x)}, y, Keep::nothing(), NoAttributes{}, rule));
    };
  };
  GradcheckReport report =
      gradcheck(with([](const Backward&, NoAttributes) -> Gradients { throw ValueError("no way"); }), {wave({4})});
  CHECK(report.blame.op == "bad");
  CHECK_THAT(report.blame.evidence, Contains("its rule throws: no way"));
  report = gradcheck(with([](const Backward& b, NoAttributes) -> Gradients { return {b.grad() / 0.0}; }), {wave({4})});
  CHECK(report.blame.op == "bad");
  CHECK_THAT(report.blame.evidence, Contains("not finite"));
  const auto random = [](const Tensor& x) {
    return sin(record(
        "bad", {x}, unrecorded([&] { return x * 2; }), Keep::nothing(), NoAttributes{},
        [](const Backward& b, NoAttributes) -> Gradients { return {b.grad() * (2 + 1e-12 * double(++passes))}; }));
  };
  report = gradcheck(random, {wave({4})});
  INFO(report.to_string());
  CHECK(report.blame.op == "bad");
}

TEST_CASE("blame: rules that write where they must not") {
  // to the input of the function, to what the op has saved, and to what another op has saved too
  const auto with = [](bool of_leaf) {
    return [of_leaf](const Tensor& x) {
      const Tensor h = of_leaf ? x : sin(x);
      const Tensor y = unrecorded([&] { return square(h); });
      return square(
          record("writes", {h}, y, Keep::input(0), NoAttributes{}, [](const Backward& b, NoAttributes) -> Gradients {
            const Tensor dx = b.grad() * b.input(0) * 2;
            b.input(0).data<double>()[1] += 1e-3;
            return {dx};
          }));
    };
  };
  for (const bool of_leaf : {true, false}) {
    const Tensor x = wave({4}), before = x.clone();
    const GradcheckReport report = gradcheck(with(of_leaf), {x});
    INFO(report.to_string());
    CHECK(report.blame.op == "writes");
    CHECK_THAT(report.blame.evidence, Contains("its rule writes to"));
  }
}

TEST_CASE("blame: rules that are right in one layout alone") {
  const auto of_inputs = [](const Tensor& x) {
    const Tensor y = unrecorded([&] { return square(x); });
    return sin(
        record("reads", {x}, y, Keep::input(0), NoAttributes{}, [](const Backward& b, NoAttributes) -> Gradients {
          const Tensor& v = b.input(0);
          return {b.grad() * v * (v.is_contiguous() ? 2 : 3)};
        }));
  };
  GradcheckReport report = gradcheck(of_inputs, {wave({3, 4})});
  {
    INFO(report.to_string());
    CHECK(report.blame.op == "reads");
    CHECK_THAT(report.blame.evidence, Contains("where the inputs are strided"));
  }
  const auto of_cotangents = [](const Tensor& x) {
    const Tensor y = unrecorded([&] { return square(x); });
    return record("reads", {x}, y, Keep::input(0), NoAttributes{}, [](const Backward& b, NoAttributes) -> Gradients {
      return {b.grad() * b.input(0) * (b.grad().is_contiguous() ? 2 : 3)};
    });
  };
  report = gradcheck(of_cotangents, {wave({3, 4})});
  INFO(report.to_string());
  CHECK(report.blame.op == "reads");
}

TEST_CASE("blame: a slope that is not between those at a kink") {
  const auto f = [](const Tensor& x) {
    const Tensor y = unrecorded([&] { return abs(x); });
    return exp(
        record("my_abs", {x * 1}, y, Keep::input(0), NoAttributes{}, [](const Backward& b, NoAttributes) -> Gradients {
          return {b.grad() * (sign(b.input(0)) + 3 * (b.input(0) == 0).to(float64))};
        }));
  };
  Tensor x = wave({4});
  x.data<double>()[2] = 0;
  const GradcheckReport report = gradcheck(f, {x}, {.order = 1});
  INFO(report.to_string());
  CHECK(report.blame.op == "my_abs");
}

TEST_CASE("blame: a mask from the inputs, in a rule that is recorded") {
  // right at first order; where x is 0, its derivative is that of a constant
  const auto f = [](const Tensor& x) {
    const Tensor y = unrecorded([&] { return x * x * x; });
    return record("my_cube", {x}, y, Keep::input(0), NoAttributes{}, [](const Backward& b, NoAttributes) -> Gradients {
      const Tensor& v = b.input(0);
      return {b.grad() * where(v == 0.5, full({}, 0.75, float64), square(v) * 3)};
    });
  };
  Tensor x = wave({4});
  x.data<double>()[2] = 0.5;
  const GradcheckReport report = gradcheck(f, {x});
  INFO(report.to_string());
  CHECK(report.blame.op == "my_cube");
  CHECK_THAT(report.blame.evidence, Contains("a mask or index"));
}

TEST_CASE("blame: rules that are wrong where one input or output alone is asked for") {
  const auto f = [](const Tensor& a, const Tensor& b) {
    const Tensor y = unrecorded([&] { return a * b; });
    return sin(record("my_mul", {a, b}, y, Keep::inputs(2), NoAttributes{},
                      [](const Backward& back, NoAttributes) -> Gradients {
                        const double c = back.needs(0) ? 1 : 2;
                        return {back.grad() * back.input(1), back.grad() * back.input(0) * c};
                      }));
  };
  GradcheckReport report = gradcheck(f, {wave({4}), wave({4}, 1)});
  {
    INFO(report.to_string());
    CHECK(report.blame.op == "my_mul");
    CHECK(report.blame.input == 1);
  }
  const auto g = [](const Tensor& x) {
    Tensor ys[2];
    {
      NoGrad guard;
      ys[0] = sin(x), ys[1] = cos(x);
    }
    record_all("sin_cos", {x}, ys, Keep::output(0) | Keep::output(1), NoAttributes{},
               [](const Backward& b, NoAttributes) -> Gradients {
                 const double c = b.has_grad(0) && b.has_grad(1) ? 1 : 2;
                 return {(b.grad(0) * b.output(1) - b.grad(1) * b.output(0)) * c};
               });
    return Tensors{exp(ys[0]), exp(ys[1])};
  };
  report = gradcheck(g, {wave({4})});
  INFO(report.to_string());
  CHECK(report.blame.op == "sin_cos");
}

TEST_CASE("blame: what is no op's fault") {
  // a copy that was made before
  const Tensor w = wave({4}), copy = w.clone().detach();
  GradcheckReport report = gradcheck([&](const Tensor& x, const Tensor&) { return x * copy; }, {wave({4}, 1), w});
  INFO(report.to_string());
  CHECK(report.blame.op.empty());
  CHECK_THAT(report.blame.evidence, Contains("no recorded op takes input 1"));
  // a hook
  report = gradcheck(
      [](const Tensor& x) {
        const Tensor y = sin(x);
        if (y.requires_grad()) y.register_hook([](const Tensor& g) { return g * 2; });
        return exp(y);
      },
      {wave({4})}, {.order = 1});
  CHECK(report.blame.op == "sin");
  CHECK_THAT(report.blame.evidence, Contains("is there a hook on it?"));
  // an op that was recorded before
  const Tensor v = wave({4}).requires_grad_(), twice = v * 2;
  report = gradcheck([&] { return twice * v; }, {v}, {.contracts = false});
  CHECK(report.blame.op.empty());
  CHECK_THAT(report.blame.evidence, Contains("was recorded before the function was called"));
}

TEST_CASE("blame: a function that is not determined") {
  const auto f = [](const Tensor& x) {
    static int calls = 0;
    return exp(sin(x) * (1 + 0.01 * double(++calls)));
  };
  const GradcheckReport report = gradcheck(f, {wave({4})});
  CHECK(report.blame.op.empty());
  CHECK_THAT(report.blame.evidence, Contains("nondeterministic"));
}
