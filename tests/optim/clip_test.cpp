#include <cotangent/optim/clip.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

#include <catch2/catch.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/indexing.hpp>
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

TEST_CASE("gradients of any dtype and size are clipped as one vector") {
  // the dtypes side by side, at the ends of what each holds, and far apart
  struct Part {
    Dtype dtype;
    double value;
  };
  const std::vector<std::vector<Part>> all = {{{float16, 1e-4}},
                                              {{float16, 6e4}},
                                              {{bfloat16, 1e-38}},
                                              {{bfloat16, 3e38}},
                                              {{float32, 1e-37}},
                                              {{float32, 3e38}},
                                              {{float64, 1e-300}},
                                              {{float64, 1e300}},
                                              {{float16, 6e4}, {bfloat16, 3e4}, {float32, 1e4}, {float64, 2e4}},
                                              {{float16, 1e-4}, {float32, 2e-4}, {bfloat16, 3e-4}},
                                              {{float16, 1e-4}, {float64, 1e200}},
                                              {{float16, 1}, {bfloat16, 1e30}, {float32, 1e25}}};
  for (const auto& parts : all)
    for (const double p : {1., 2., 3., 5., inf}) {
      long double sum = 0, most = 0;
      Tensors parameters;
      for (const auto& [dtype, value] : parts) {
        INFO(name(dtype) << ' ' << value << ", order " << p);
        parameters.push_back(with_gradient(full({2, 50}, value, dtype)));
        const long double size = static_cast<long double>(parameters.back().grad()[0][0].item());
        sum += 100 * std::pow(size, static_cast<long double>(p)), most = std::max(most, size);
      }
      const double norm = static_cast<double>(std::isinf(p) ? most : std::pow(sum, 1 / static_cast<long double>(p)));
      for (const double limit : {.5 * norm, norm > 1 ? 1. : 1e-3 * norm}) {
        Tensors clipped;
        for (const Tensor& t : parameters) clipped.push_back(with_gradient(t.grad()));
        INFO("order " << p << ", norm " << norm << " to " << limit << ", first " << name(parts[0].dtype) << ' '
                      << parts[0].value);
        CHECK(optim::clip_grad_norm_(clipped, limit, {.norm_type = p}) == Approx(norm).epsilon(1e-12));
        const double scale = std::min(1., limit / (norm + 1e-6));
        for (size_t i = 0; i < clipped.size(); ++i) {
          const Dtype dtype = parts[i].dtype;
          const double before = parameters[i].grad()[0][0].item(), after = clipped[i].grad()[1][49].item();
          CHECK(clipped[i].grad().dtype() == dtype);
          const double expected = full({}, before * scale, dtype).item();
          CHECK(after == Approx(expected).epsilon(dtype == float64   ? 1e-14
                                                  : dtype == float32 ? 1e-6
                                                  : dtype == float16 ? 1e-3
                                                                     : 8e-3));
        }
      }
    }
  const Tensor nothing = with_gradient(zeros({0}));
  CHECK(optim::clip_grad_norm_({nothing}, 1) == 0);
  CHECK(optim::clip_grad_norm_({nothing}, 1, {.norm_type = inf}) == 0);
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
