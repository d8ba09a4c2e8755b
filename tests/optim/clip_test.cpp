#include <cotangent/optim/clip.hpp>

#include <cmath>
#include <limits>

#include <catch2/catch.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/random.hpp>

using namespace cotangent;

namespace {
constexpr double inf = std::numeric_limits<double>::infinity();

Tensor with_gradient(const Tensor& gradient) {
  Tensor p = zeros(gradient.shape(), gradient.dtype());
  p.requires_grad_();
  p.set_grad(gradient);
  return p;
}
}  // namespace

TEST_CASE("clip_grad_norm_ scales all gradients as one vector") {
  Tensor without = zeros({2});
  without.requires_grad_();
  const Tensors p{with_gradient(tensor({{3.0, 0.0}})), without, with_gradient(tensor({4.0}, float64))};
  CHECK(optim::clip_grad_norm_(p, 10) == Approx(5));  // short enough: nothing changes
  CHECK(p[0].grad().to_vector<double>() == std::vector<double>{3, 0});
  CHECK(optim::clip_grad_norm_(p, 1) == Approx(5));
  CHECK(p[0].grad().to_vector<double>()[0] == Approx(3.0 / 5).epsilon(1e-6));
  CHECK(p[2].grad().item() == Approx(4.0 / (5 + 1e-6)).epsilon(1e-14));
  CHECK(optim::clip_grad_norm_({without}, 1) == 0);
}

TEST_CASE("clip_grad_norm_ knows other norms") {
  const auto norm = [](double p) {
    return optim::clip_grad_norm_({with_gradient(tensor({1.0, -2.0}, float64)), with_gradient(tensor({-3.0}, float64))},
                                  100, {.norm_type = p});
  };
  CHECK(norm(1) == Approx(6));
  CHECK(norm(3) == Approx(std::cbrt(36.0)));
  CHECK(norm(inf) == 3);
}

TEST_CASE("the norm of a large gradient is exact") {
  Generator g(1);
  const Tensor gradient = randn({200'000}, float32, g);
  double sum = 0;
  for (double v : gradient.to_vector<double>()) sum += v * v;
  CHECK(optim::clip_grad_norm_({with_gradient(gradient)}, 1e9) == Approx(std::sqrt(sum)).epsilon(1e-12));
}

TEST_CASE("a gradient that is not finite is an error on request") {
  const Tensor p = with_gradient(tensor({1.0, std::nan("")}));
  CHECK_THROWS_WITH(optim::clip_grad_norm_({p}, 1, {.error_if_nonfinite = true}),
                    Catch::Contains("norm of the gradients is nan"));
  CHECK(p.grad().to_vector<float>()[0] == 1);
  CHECK(std::isnan(optim::clip_grad_norm_({p}, 1)));
  CHECK(std::isnan(optim::clip_grad_norm_({p}, 1, {.norm_type = inf})));
}

TEST_CASE("clip_grad_value_ limits each element") {
  const Tensor p = with_gradient(tensor({-5.0, 0.25, 5.0}, float64));
  optim::clip_grad_value_({p}, 0.5);
  CHECK(p.grad().to_vector<double>() == std::vector<double>{-0.5, 0.25, 0.5});
  CHECK_THROWS_AS(optim::clip_grad_value_({p}, -1), ValueError);
  CHECK_THROWS_AS(optim::clip_grad_norm_({p}, -1), ValueError);
  CHECK_THROWS_AS(optim::clip_grad_norm_({p}, 1, {.norm_type = 0}), ValueError);
}
