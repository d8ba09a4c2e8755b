#include <cotangent/nn/attention/score_scale.hpp>

#include <cmath>

#include <catch2/catch.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/softmax.hpp>
#include <cotangent/tensor/random.hpp>

using namespace cotangent;

TEST_CASE("the scale of the largest gradient solves its equation") {
  for (auto [n, root] : {std::pair{64, 1.549}, {512, 2.008}, {1024, 2.146}, {4096, 2.405}, {16384, 2.645}}) {
    const double a = nn::gradient_scale(n);
    CHECK(a == Approx(root).margin(1e-3));
    CHECK(std::exp(a * a) * (1 + 2 * a * a) == Approx(n).epsilon(1e-12));
  }
  CHECK(nn::gradient_scale(2) > 0);
  for (auto [n, a] : {std::pair{512, 24.2}, {4096, 29.7}, {20'000, 33.7}})
    CHECK(nn::cosine_scale(n, 128) == Approx(a).margin(0.05));
  CHECK_THROWS_WITH(nn::gradient_scale(1), "[gradient_scale] 1 keys; there must be at least 2");
  CHECK_THROWS_AS(nn::cosine_scale(512, 1), ValueError);
}

TEST_CASE("a softmax of no scale and of a huge one passes no gradient") {
  const Tensor s = randn({200, 512}, float64);
  auto slope = [&](double a) {  // |dp/ds|_1 / 2, averaged
    return mean(a * (1 - sum(square(softmax(a * s, -1)), -1))).item();
  };
  CHECK(slope(0) == 0);
  CHECK(slope(1e6) < 1e-3);
  CHECK(slope(nn::gradient_scale(512)) > slope(1));
}

TEST_CASE("the entropy of a row keeps to its level under the logarithmic scale") {
  Generator generator(1);
  for (int64_t n : {64, 512, 4096}) {
    const Tensor s = randn({128, n}, float64, generator);
    auto entropy = [&](double scale) {
      const Tensor logs = log_softmax(scale * s, -1);
      return -mean(sum(exp(logs) * logs, -1)).item();
    };
    const double kept = entropy(2.5 * std::log(double(n)) / std::log(64.0)), plain = entropy(2.5);
    CHECK(kept > 2.02);
    CHECK(kept < 2.37);
    if (n == 4096) CHECK(plain == Approx(5.37).margin(0.05));
  }
}
