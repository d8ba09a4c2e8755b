// That check_op sees what is wrong with an op, and says what it checked.
#include <cotangent/tests/autograd/op_check.hpp>

#include <catch2/catch.hpp>

#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/transforms/custom_vjp.hpp>
#include <cotangent/tensor/create.hpp>

using namespace cotangent;

TEST_CASE("check_op: a right op") {
  const OpInfo op{.name = "square",
                  .samples = {{{normal({3})}, [](Arguments x) -> Results { return square(x[0]); }},
                              {{normal({5, 4})}, [](Arguments x) -> Results { return square(x[0]); }},
                              {{constant(normal({3}))}, [](Arguments x) -> Results { return square(x[0]); }}}};
  const OpReport report = check_op(op, 3);
  CHECK(report.verdict == Verdict::pass);
  CHECK(report.samples == 2);
  CHECK(report.order == 3);
  CHECK(report.beyond_second == 1);  // 20 elements are too many
  CHECK(report.certified == 1);
  CHECK(report.unresolved == 0);
  CHECK(report.elements == (3 + 6 + 9) + (20 + 40));  // of each order, with the cotangents of those below
  CHECK(report.smallest_fault < 1e-5);
  CHECK(check_op(op, 1).order == 1);
}

TEST_CASE("check_op: a wrong op fails, and the report names the sample") {
  const OpInfo op{.name = "half",
                  .samples = {{{normal({3})}, [](Arguments x) -> Results { return square(x[0]); }},
                              {{normal({3})}, [](Arguments x) -> Results { return x[0].detach() * x[0]; }}}};
  const OpReport report = check_op(op, 2);
  CHECK(report.verdict == Verdict::fail);
  REQUIRE(report.problems.size() == 1);
  CHECK_THAT(report.problems[0], Catch::StartsWith("half, sample 1\ngradcheck FAILED"));
}

TEST_CASE("check_op: a rule that is right to second order only fails at third") {
  const OpInfo op{.name = "cube", .samples = {{{values({3}, {1.25, 1.5, 2})}, [](Arguments x) -> Results {
                                                 return custom_vjp(
                                                     "cube", [](const Tensor& v) { return v * v * v; }, Keep::input(0),
                                                     [](const Backward& b) {
                                                       const Tensor v = b.input(0), c = v.detach();
                                                       return b.grad() * 3 * (2 * c * v - c * c);  // 3 v^2, 6 v, then 0
                                                     })(x[0]);
                                               }}}};
  CHECK(check_op(op, 2).verdict == Verdict::pass);
  CHECK(check_op(op, 3).verdict == Verdict::fail);
}

TEST_CASE("check_op: a gradient of 0 in every sample fails unless it is meant, and what throws fails") {
  OpInfo op{.name = "still", .samples = {{{normal({3})}, [](Arguments x) -> Results { return x[0] * 0; }}}};
  CHECK(check_op(op, 2).verdict == Verdict::fail);
  CHECK_THAT(check_op(op, 2).problems.at(0), Catch::Contains("the gradient is 0 in every sample"));
  op.zero_gradient = true;
  CHECK(check_op(op, 2).verdict == Verdict::pass);

  const OpInfo thrower{.name = "thrower",
                       .samples = {{{normal({3})}, [](Arguments x) -> Results { return add(x[0], zeros({2})); }}}};
  const OpReport report = check_op(thrower, 2);
  CHECK(report.verdict == Verdict::fail);
  CHECK_THAT(report.problems.at(0), Catch::StartsWith("thrower, sample 0 throws: [add]"));
}

TEST_CASE("check_op: an op without a gradient is not checked, and a kink leaves it inconclusive") {
  const OpInfo none{
      .name = "greater", .samples = {{{normal({3})}, [](Arguments x) -> Results { return x[0] > 0; }}}, .orders = 0};
  CHECK(check_op(none, 2).samples == 0);
  const OpInfo kink{.name = "abs",
                    .samples = {{{values({2}, {0, 1})}, [](Arguments x) -> Results { return abs(x[0]); }}}};
  const OpReport report = check_op(kink, 1);
  CHECK(report.verdict == Verdict::inconclusive);
  CHECK(report.unresolved == 1);
  CHECK(report.certified == 0.5);
  CHECK(report.reasons == std::map<std::string, int64_t>{{"a kink", 1}});
  CHECK_THAT(report.reason, Catch::StartsWith("abs, sample 0, input 0, order 1: a kink"));
}
