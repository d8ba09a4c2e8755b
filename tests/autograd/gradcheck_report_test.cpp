// How reports are shown: to Catch2, and as JSON.
#include <cmath>
#include <thread>

#include <cotangent/autograd/gradcheck/catch2.hpp>
#include <cotangent/autograd/gradcheck/gradcheck.hpp>
#include <cotangent/autograd/modes.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/record.hpp>
#include <cotangent/tensor/random.hpp>

#include "../json.hpp"

using namespace cotangent;

namespace {

/// x + y, with twice the gradient of x.
Tensor doubled(const Tensor& x, const Tensor& y) {
  Tensor z;
  {
    NoGrad guard;
    z = x + y;
  }
  return record("doubled", {x, y}, z, Keep::nothing(), NoAttributes{},
                [](const Backward& b, NoAttributes) -> Gradients {
                  return {b.grad() * 2, sum_to(b.grad(), b.shape(1))};
                });
}

}  // namespace

TEST_CASE("GradientsAreRight shows the report") {
  const GradcheckReport report = gradcheck(doubled, {randn({4, 3}), randn({3})});
  CHECK_FALSE(GradientsAreRight().match(report));
  CHECK(GradientsAreRight().describe() == "has gradients that are right");
  CHECK(Catch::Detail::stringify(report) == report.to_string());
  CHECK(GradientsAreRight().match(gradcheck([](const Tensor& x) { return tanh(x); }, {randn({4, 3})})));
}

TEST_CASE("to_json of a report is JSON, with NaN and infinity as strings") {
  GradcheckReport report = gradcheck(doubled, {randn({4, 3}), randn({3})});
  REQUIRE_FALSE(report.rows.empty());
  report.rows[0].numeric = NAN;
  report.rows[0].analytic = -INFINITY;
  report.problems = {"a \"quoted\" \\ line\n\x01 and \u00e9"};
  const Json json = Json::parse(report.to_json());
  CHECK_FALSE(json["ok"].get<bool>());
  CHECK(json["verdict"] == "fail");
  CHECK(json["worst_error"].get<double>() == report.worst_error);
  CHECK(json["bad_elements"].get<int64_t>() == report.bad_elements);
  CHECK(json["certified"].get<double>() == report.certified);
  REQUIRE(json["rows"].size() == report.rows.size());
  CHECK(json["rows"][0]["numeric"] == "NaN");
  CHECK(json["rows"][0]["analytic"] == "-Infinity");
  CHECK(json["rows"][0]["relative_error"] == "Infinity");
  CHECK(json["rows"][0]["x"].get<double>() == report.rows[0].x);
  CHECK(dims_of(json["rows"][0]["index"]) == report.rows[0].index);
  REQUIRE(json["inputs"].size() == report.inputs.size());
  CHECK(json["inputs"][1]["input"] == report.inputs[1].input);
  CHECK(json["inputs"][1]["verdict"] == name(report.inputs[1].verdict));
  CHECK(json["problems"][0] == report.problems[0]);
  CHECK(json["blame"]["op"] == report.blame.op);
  CHECK(Json::parse(GradcheckReport().to_json())["ok"].get<bool>());
}

TEST_CASE("a report names no line of the C library, which starts threads, where there is no debug information") {
  GradcheckReport report;
  std::thread([&] {
    const Tensor x = tensor({1., 2.}, float64);
    report = gradcheck([](const Tensors& v) { return doubled(v[0], v[0] * 2); }, {x});
  }).join();
  CHECK(report.blame.op == "doubled");
  if (!report.blame.file.empty()) CHECK_THAT(report.blame.file, Catch::EndsWith("gradcheck_report_test.cpp"));
}
