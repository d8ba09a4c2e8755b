#include <catch2/catch.hpp>

#include <cmath>
#include <stdexcept>
#include <thread>

#include <cotangent/cotangent.hpp>

using namespace cotangent;

namespace {
Tensor two_numbers() {
  Tensor x = tensor({1., 2.}, float64);
  x.requires_grad_();
  return x;
}
}  // namespace

TEST_CASE("NoGrad and EnableGrad nest and are undone, also by an exception") {
  CHECK(grad_enabled());
  {
    NoGrad off;
    CHECK_FALSE(grad_enabled());
    {
      EnableGrad on;
      CHECK(grad_enabled());
      EnableGrad maybe(false);
      CHECK_FALSE(grad_enabled());
    }
    CHECK_FALSE(grad_enabled());
  }
  CHECK(grad_enabled());
  try {
    NoGrad off;
    throw std::runtime_error("");
  } catch (const std::runtime_error&) {
  }
  CHECK(grad_enabled());
}

TEST_CASE("nothing is recorded under NoGrad") {
  Tensor x = two_numbers();
  Tensor y;
  {
    NoGrad guard;
    y = x * 2;
    x.add_(1);  // an optimizer's step
  }
  CHECK_FALSE(y.requires_grad());
  CHECK(x.is_leaf());
  CHECK(x.requires_grad());
  CHECK(x.to_vector<double>() == std::vector<double>{2, 3});
  CHECK((x * 2).requires_grad());
}

TEST_CASE("modes belong to a thread", "[threads]") {
  NoGrad guard;
  bool other = false;
  std::thread([&] { other = grad_enabled(); }).join();
  CHECK(other);
}

TEST_CASE("tensors from inference mode take part in nothing that is recorded") {
  Tensor x = two_numbers(), y, v;
  {
    InferenceMode guard;
    CHECK(inference_enabled());
    CHECK_FALSE(grad_enabled());
    y = x * 2;
    v = y[0];
    y.mul_(3);  // in-place writes are free inside
  }
  CHECK_FALSE(inference_enabled());
  CHECK_FALSE(y.requires_grad());
  CHECK(y.to_vector<double>() == std::vector<double>{6, 12});
  CHECK(v.item() == 6);
  CHECK_THROWS_WITH(x * y, Catch::Contains("[mul] input 1 was made in inference mode") && Catch::Contains("clone()"));
  CHECK_THROWS_AS(y.requires_grad_(), GradError);
  CHECK_THROWS_AS(y.add_(x), GradError);
  CHECK_NOTHROW(y * 2);  // nothing to record
  CHECK_NOTHROW(y.mul_(2));
  CHECK((x * y.clone()).requires_grad());
}

TEST_CASE("backward passes run under NoGrad too") {
  Tensor x = two_numbers();
  const Tensor y = sum(x * x);
  NoGrad guard;
  y.backward();
  CHECK(x.grad().to_vector<double>() == std::vector<double>{2, 4});
  CHECK_FALSE(grad_enabled());
}

TEST_CASE("DetectAnomaly ends with its scope") {
  Tensor x = two_numbers();
  {
    DetectAnomaly outer;
    { DetectAnomaly inner; }
    CHECK_THROWS_AS(log(x * -1), ValueError);
  }
  CHECK_NOTHROW(log(x * -1));
}

TEST_CASE("DetectAnomaly lets pass the infinities that it is given") {
  Tensor x = from_vector(std::vector<double>{1, 2, 3}, {3});
  x.requires_grad_();
  const Tensor mask = tensor({0., 0., 1.}, float64) == 1;
  DetectAnomaly guard;
  for (const double infinity : {-INFINITY, INFINITY}) {
    CHECK_NOTHROW(masked_fill(x, mask, infinity) * 2);
    CHECK_NOTHROW(where(mask, infinity, x) + 1);
    CHECK_NOTHROW(x + full({3}, infinity, float64));
    CHECK_NOTHROW((x * 1).fill_(infinity));
    CHECK_NOTHROW((x * 1).copy_(full({3}, infinity, float64)));
    CHECK_NOTHROW((x * 1).slice(0, 0, 1).fill_(infinity));
  }
  sum(softmax(masked_fill(x, mask, -INFINITY), 0) * x.detach()).backward();
  CHECK(std::isfinite(sum(x.grad()).item()));
  CHECK_THROWS_WITH(masked_fill(x, mask, NAN), Catch::Contains("[masked_fill] element 2"));
  CHECK_THROWS_WITH(exp(x * 1e5), Catch::Contains("[exp] element 0"));
  const Tensor masked = masked_fill(x, mask, -INFINITY);
  CHECK_THROWS_WITH(masked - masked, Catch::Contains("[sub] element 2"));
  CHECK_THROWS_WITH(masked * 0, Catch::Contains("[mul] element 2"));
}
