// What a gradient checker must not let pass, and must not call wrong: each test is a hole that some checker has.
#include <cotangent/tests/check_gradients.hpp>

#include <cmath>

#include <cotangent/autograd/record.hpp>
#include <cotangent/cotangent.hpp>

using namespace cotangent;

#define GRADIENT [](const Backward& b, NoAttributes) -> Gradients

namespace {

/// y = f(x) with the gradient `rule`, whatever f's is.
template <class F, class Rule>
Tensor with_rule(const Tensor& x, F f, Rule rule) {
  Tensor y;
  {
    NoGrad guard;
    y = f(x).clone();
  }
  return record("bad", {x}, y, Keep::input(0), NoAttributes{}, rule);
}

bool mentions(const GradcheckReport& report, const std::string& words) {
  return report.to_string().find(words) != std::string::npos;
}

}  // namespace

TEST_CASE("gradcheck: a small gradient of the wrong sign is no matter of tolerance") {
  const auto f = [](const Tensor& x) {
    return with_rule(
        x, [](const Tensor& v) { return v * 1e-9; }, GRADIENT { return {b.grad() * -1e-9}; });
  };
  const GradcheckReport report = gradcheck(f, {points({3})});
  INFO(report.to_string());
  CHECK(report.verdict == Verdict::fail);
  CHECK(report.bad_elements == 3);
  CHECK(report.certified == 0);
  // beside large ones, too
  const auto beside = [&](const Tensor& x, const Tensor& z) { return sum(f(x)) + sum(z * z); };
  CHECK(gradcheck(beside, {points({3}), points({3})}, {.order = 1}).verdict == Verdict::fail);
}

TEST_CASE("gradcheck: what rounding hides is inconclusive, with the reason") {
  const auto offset = [](double sign) {
    return [sign](const Tensor& x) { return x * (sign * 1e-9) + x.detach() * (1e-9 - sign * 1e-9) + 1e10; };
  };
  for (double sign : {1.0, -1.0}) {
    const GradcheckReport report = gradcheck(offset(sign), {points({3})}, {.order = 1});
    INFO(report.to_string());
    CHECK(report.verdict == Verdict::inconclusive);
    CHECK_FALSE(report.ok());
    CHECK(report.certified == 0);
    REQUIRE(report.inputs.size() == 1);
    CHECK(report.inputs[0].verdict == Verdict::inconclusive);
    CHECK_THAT(report.inputs[0].reason, Catch::Contains("rounding hides it"));
  }
  // a slope that can be seen beside the offset is judged
  const auto steep = [](double sign) {
    return [sign](const Tensor& x) {
      return with_rule(
                 x, [](const Tensor& v) { return v * 3 + 1e10; },
                 [](const Backward& b, NoAttributes) -> Gradients { return {b.grad() * 3}; }) *
             sign;
    };
  };
  CHECK(gradcheck(steep(1), {points({3})}, {.order = 1}).verdict != Verdict::fail);
  const auto flipped = [](const Tensor& x) {
    return with_rule(
        x, [](const Tensor& v) { return v * 3 + 1e10; }, GRADIENT { return {b.grad() * -3}; });
  };
  CHECK(gradcheck(flipped, {points({3})}, {.order = 1}).verdict == Verdict::fail);
}

TEST_CASE("gradcheck: a column of small gradients does not drown in large ones") {
  Tensor scale = full({40, 10}, 1e4, float64);
  for (int64_t i = 0; i < 40; ++i) scale[i][3] = 1e-3;
  const auto f = [&](const Tensor& x) {
    NoGrad guard;
    const Tensor y = x * scale;
    EnableGrad record_it;
    return record(
        "bad", {x, scale}, y, Keep::input(1), NoAttributes{}, GRADIENT {
          Tensor s = b.input(1).clone();
          for (int64_t i = 0; i < 40; ++i) s[i][3] = -1e-3;
          return {b.grad() * s, Tensor()};
        });
  };
  const GradcheckReport report = gradcheck(f, {points({40, 10})}, {.order = 1});
  INFO(report.to_string());
  CHECK(report.verdict == Verdict::fail);
  REQUIRE(!report.rows.empty());
  CHECK(report.rows[0].index[1] == 3);
}

TEST_CASE("gradcheck: an input of which the function reads an old copy has no influence") {
  const Tensor weight = points({3}), stale = weight.clone();
  const GradcheckReport report =
      gradcheck([&](const Tensor& x, const Tensor&) { return x * stale; }, {points({3}), weight});
  INFO(report.to_string());
  CHECK(report.verdict == Verdict::fail);
  CHECK(mentions(report, "vacuous: input 1 has no influence on the outputs"));
  CHECK(
      gradcheck([&](const Tensor& x, const Tensor&) { return x * stale; }, {points({3}), weight}, {.allow_zero = true})
          .ok());
}

TEST_CASE("gradcheck: rules that clamp or drop cotangents are not linear") {
  const auto clamped = [](const Tensor& x) {
    return with_rule(
        x, [](const Tensor& v) { return v * 2; }, GRADIENT { return {clamp(b.grad(), -5, 5) * 2}; });
  };
  const auto dropped = [](const Tensor& x) {
    return with_rule(
        x, [](const Tensor& v) { return v * 2; },
        GRADIENT { return {b.grad() * to(abs(b.grad()) > 0.01, float64) * 2}; });
  };
  for (const GradcheckReport& report :
       {gradcheck(clamped, {points({5})}, {.order = 1}), gradcheck(dropped, {points({5})}, {.order = 1})}) {
    INFO(report.to_string());
    CHECK(report.verdict == Verdict::fail);
    CHECK(mentions(report, "not linear in the cotangent"));
  }
}

TEST_CASE("gradcheck: a factor that is 1 here and missing everywhere shows in the Hessian") {
  const auto f = [](const Tensor& x, const Tensor& s) {
    Tensor y;
    {
      NoGrad guard;
      y = sin(x) * s;
    }
    return record("bad", {x, s}, y, Keep::inputs(2), NoAttributes{}, [](const Backward& b, NoAttributes) -> Gradients {
      return {b.grad() * cos(b.input(0)), b.grad() * sin(b.input(0))};  // s is left out of the first
    });
  };
  const GradcheckReport report = gradcheck(f, {points({3}), ones({3}, float64)});
  INFO(report.to_string());
  CHECK(report.verdict == Verdict::fail);
  CHECK(report.bad_elements == 0);
  CHECK(mentions(report, "the Hessian is not symmetric"));
}

TEST_CASE("gradcheck: layouts, parts and passes of a rule") {
  const auto contiguous_only = [](const Tensor& x) {
    Tensor y = empty({3, 3}, float64);
    std::copy_n(x.data<double>(), 9, y.data<double>());  // as if it lay in order
    return record(
        "bad", {x}, y, Keep::nothing(), NoAttributes{}, GRADIENT { return {b.grad()}; });
  };
  CHECK(mentions(gradcheck(contiguous_only, {points({3, 3})}, {.order = 1}),
                 "for the same inputs when they are strided"));

  const auto together = [](const Tensors& x) -> Tensors {
    NoGrad guard;
    Tensors ys{x[0] * 2, x[0] * 3};
    EnableGrad record_it;
    record_all("bad", {x[0]}, ys, Keep::nothing(), NoAttributes{}, [](const Backward& b, NoAttributes) -> Gradients {
      if (!b.has_grad(0) || !b.has_grad(1)) return {b.grad(0) * 2};
      return {b.grad(0) * 2 + b.grad(1) * 3};
    });
    return ys;
  };
  CHECK(mentions(gradcheck(together, {points({3})}, {.order = 1}), "one at a time do not add up"));

  const auto alone = [](const Tensor& x, const Tensor& y) {
    NoGrad guard;
    Tensor z = x * y;
    EnableGrad record_it;
    return record("bad", {x, y}, z, Keep::inputs(2), NoAttributes{}, [](const Backward& b, NoAttributes) -> Gradients {
      if (b.needs(0) && b.needs(1)) return {b.grad() * b.input(1), b.grad() * b.input(0)};
      return {b.grad() * b.input(0), b.grad() * b.input(0)};
    });
  };
  CHECK(mentions(gradcheck(alone, {points({3}), points({3}, 1)}, {.order = 1}),
                 "input 0 gets another gradient when only that one is asked for"));

  const auto spoils = [](const Tensor& x) {
    Tensor y;
    {
      NoGrad guard;
      y = exp(x);
    }
    return record(
        "bad", {x}, y, Keep::output(), NoAttributes{}, GRADIENT {
          const Tensor g = b.grad() * b.output();
          b.output().data<double>()[0] *= 2;
          return {g};
        });
  };
  const GradcheckReport spoiled = gradcheck(spoils, {points({3})}, {.order = 1});
  INFO(spoiled.to_string());
  CHECK(mentions(spoiled, "changes a tensor that [bad] saved"));
  CHECK(mentions(spoiled, "a second pass over a retained graph gives another gradient"));
}

TEST_CASE("gradcheck: NaN is said to be one, and hides nothing else") {
  const auto f = [](const Tensor& x) {
    return with_rule(
        x, [](const Tensor& v) { return v * 2; },
        GRADIENT {
          Tensor factor = full({4}, 2, float64);
          factor[1] = NAN;
          factor[2] = 3;
          return {b.grad() * factor};
        });
  };
  const GradcheckReport report = gradcheck(f, {points({4})}, {.order = 1, .contracts = false});
  INFO(report.to_string());
  CHECK(report.bad_elements == 2);
  CHECK(mentions(report, "nan"));
  // at an edge of the domain nothing is said of the rule
  const GradcheckReport edge =
      gradcheck([](const Tensor& x) { return sqrt(x); }, {tensor({0., 1.}, float64)}, {.order = 1});
  INFO(edge.to_string());
  CHECK(edge.verdict == Verdict::inconclusive);
  CHECK(mentions(edge, "an edge of its domain"));
}

TEST_CASE("gradcheck: any exception of a rule is a problem in the report") {
  const auto f = [](const Tensor& x) {
    return with_rule(
        x, [](const Tensor& v) { return v * 2; },
        [](const Backward&, NoAttributes) -> Gradients { throw std::runtime_error("no such table"); });
  };
  const GradcheckReport report = gradcheck(f, {points({2})});
  CHECK(report.verdict == Verdict::fail);
  CHECK(mentions(report, "the backward pass throws: no such table"));
}

TEST_CASE("gradcheck of float32 and low precision") {
  const auto right = [](const Tensor& x) { return tanh(x) * x; };
  for (const Dtype dtype : {float32, bfloat16, float16}) {
    INFO(name(dtype));
    const Tensor x = to(points({3, 3}), dtype);
    const GradcheckReport generic = gradcheck(right, {x});
    INFO(generic.to_string());
    CHECK(generic.ok());
    CHECK(generic.certified == 1);
    if (dtype == float32) {  // a function that holds its input can't be had in float64
      const GradcheckReport held = gradcheck([&] { return tanh(x) * x; }, {x}, {.order = 1});
      INFO(held.to_string());
      CHECK(held.ok());
    }
    const auto wrong = [&](const Tensor& v) {
      return with_rule(
          v, [](const Tensor& u) { return u * 2; }, GRADIENT { return {b.grad() * 3}; });
    };
    CHECK(gradcheck(wrong, {x}, {.order = 1}).verdict == Verdict::fail);
  }
  // right in float64, wrong in float32
  const auto only_low = [](const Tensor& x) {
    return with_rule(
        x, [](const Tensor& v) { return v * 2; },
        GRADIENT { return {b.grad() * (b.grad().dtype() == float32 ? 2.5 : 2)}; });
  };
  const GradcheckReport report = gradcheck(only_low, {to(points({3}), float32)}, {.order = 1});
  INFO(report.to_string());
  CHECK(report.verdict == Verdict::fail);
  CHECK(mentions(report, "in float32 the gradient of input 0"));
}

TEST_CASE("gradcheck: a function that looks at what it is given") {
  const auto unrecorded = [](const Tensor& x) { return x * (grad_enabled() ? 2 : 2.5); };
  CHECK(mentions(gradcheck(unrecorded, {points({3})}, {.order = 1}), "other values when nothing is recorded (NoGrad)"));
  const auto only_wide = [](const Tensor& x) {
    return with_rule(
        x, [](const Tensor& v) { return v * 2; },
        GRADIENT {
          if (b.grad().dtype() == float32) throw GradError("[bad] no");
          return {b.grad() * 2};
        });
  };
  CHECK(mentions(gradcheck(only_wide, {to(points({3}), float32)}, {.order = 1}),
                 "the backward pass throws in lower precision: [bad] no"));
  // flat, but not without influence: far away it is no input
  const auto flat = [](const Tensor& x) {
    if (amax(x.detach()).item<double>() > 5) throw ValueError("[flat] no");
    return x * 0;
  };
  CHECK(mentions(gradcheck(flat, {points({3})}, {.order = 1}), "the function is flat here"));
  // what it does not take is not held against it: equal elements, or any other place
  const Tensor x = points({2, 2}), at = x.detach().clone();
  const auto choosy = [&](const Tensor& v) {
    const Tensor a = v.detach();
    if (a[0][0].item<double>() == a[1][0].item<double>()) throw ValueError("[choosy] equal");
    if (amax(abs(a - at)).item<double>() > 5e-3) throw ValueError("[choosy] elsewhere");
    return square(v);
  };
  const GradcheckReport report = gradcheck(choosy, {x}, {.order = 1});
  INFO(report.to_string());
  CHECK(report.ok());
}

TEST_CASE("gradcheck tries empty inputs, where it is asked to and the function takes them") {
  const auto bad_shape = [](const Tensor& x) {
    return with_rule(
        x, [](const Tensor& v) { return v * 2; },
        GRADIENT {
          return {b.grad().numel() == 0 ? zeros({1, 3}, float64) : b.grad() * 2};
        });
  };
  const GradcheckReport report = gradcheck(bad_shape, {points({2, 3})}, {.order = 1, .empty = true});
  INFO(report.to_string());
  CHECK(report.verdict == Verdict::fail);
  CHECK(mentions(report, "for inputs of the shapes (0, 3) the backward pass throws: [bad]"));

  const auto out_of_nothing = [](const Tensor& x, const Tensor& w) {
    NoGrad guard;
    Tensor y = x * w;
    EnableGrad record_it;
    return record(
        "bad", {x, w}, y, Keep::inputs(2), NoAttributes{}, GRADIENT {
          const Tensor dw = sum(b.grad() * b.input(0), 0);
          return {b.grad() * b.input(1), b.grad().numel() == 0 ? dw + 1 : dw};
        });
  };
  CHECK(mentions(gradcheck(out_of_nothing, {points({2, 3}), points({3})}, {.order = 1, .empty = true}),
                 "for inputs of the shapes (0, 3), (3,) there is no output, and yet input 1 has a gradient"));
  // what the function itself does not take is none of its faults
  const auto refuses = [](const Tensor& x) {
    if (x.numel() == 0) throw ValueError("[refuses] empty");
    return x * 2;
  };
  CHECK(gradcheck(refuses, {points({2, 3})}, {.empty = true}).ok());
}

TEST_CASE("gradcheck_control must be refused, and check_manual judges a gradient by hand") {
  const auto f = [](const Tensor& x) { return tanh(x) * x; };
  CHECK(gradcheck(f, {points({3, 3})}).ok());
  CHECK(gradcheck_control(f, {points({3, 3})}).verdict == Verdict::fail);
  CHECK(gradcheck_control(f, {points({30, 30})}, {.order = 1}).verdict == Verdict::fail);
  CHECK(gradcheck_control(f, {to(points({3}), float32)}, {.order = 1}).verdict == Verdict::fail);

  const Tensor x = points({4}), t = tanh(x);
  const Tensor mine = t + x * (1 - t * t);
  const GradcheckReport right = check_manual("dx", mine, f, x);
  INFO(right.to_string());
  CHECK(right.ok());
  CHECK(mentions(right, "dx (4,) of outputs (4,)"));
  const GradcheckReport wrong = check_manual("dx", t, f, x);
  CHECK(wrong.verdict == Verdict::fail);
  CHECK(wrong.rows.at(0).input == "dx");
  CHECK_THROWS_WITH(check_manual("dx", points({3}), f, x), Catch::Contains("[check_manual] dx has the shape (3,)"));
}

TEST_CASE("gradcheck names one wrong element of 300,000") {
  const auto f = [](const Tensor& x) {
    return with_rule(
        x, [](const Tensor& v) { return square(v); },
        GRADIENT {
          Tensor factor = full({300000}, 2, float64);
          factor[123457] = 2.0002;
          return {b.grad() * b.input(0) * factor};
        });
  };
  const GradcheckReport report = gradcheck(f, {randn({300000}, float64)}, {.order = 1});
  INFO(report.to_string());
  CHECK(report.verdict == Verdict::fail);
  REQUIRE(!report.rows.empty());
  CHECK(report.rows[0].index == Shape{123457});
  CHECK(report.bad_elements == 1);
  CHECK(report.certified > 0.999);
}
