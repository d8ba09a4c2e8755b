#include <cotangent/autograd/ops/scan.hpp>

#include <catch2/catch.hpp>

#include <cmath>
#include <limits>

#include <cotangent/autograd/engine.hpp>
#include <cotangent/autograd/ops/complex.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/parallel.hpp>
#include <cotangent/tensor/random.hpp>
#include <cotangent/tests/autograd/sequences.hpp>
#include <cotangent/tests/values.hpp>

using namespace cotangent;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity(), kNaN = std::numeric_limits<double>::quiet_NaN();

/// The gradients of linear_scan by the kernel, or by scans of the rule for second order.
Tensors gradients(const Tensor& a, const Tensor& b, int64_t dim, const Tensor& initial, bool reverse, bool pairs,
                  bool by_rule) {
  Tensors x{a.detach().requires_grad_(), b.detach().requires_grad_()};
  if (initial.defined()) x.push_back(initial.detach().requires_grad_());
  const Tensor state = initial.defined() ? x[2] : Tensor();
  const Tensor h =
      pairs ? complex::linear_scan(x[0], x[1], dim, state, reverse) : linear_scan(x[0], x[1], dim, state, reverse);
  Generator g(9);
  return grad({h}, x, {.gradients = {randn(h.shape(), float64, g).to(h.dtype())}, .create_graph = by_rule});
}

}  // namespace

TEST_CASE("the kernel and the rule of a linear scan give the same gradients, in any layout", "[threads]") {
  const int threads = num_threads();
  Generator g(1);
  for (const bool pairs : {false, true})
    for (int dim = 0; dim < 3; ++dim)
      for (int kind = 0; kind < 6; ++kind) {
        Shape shape{9, 300, 9};
        Shape still = shape, state = shape;  // one factor for all steps; one for all lines beside
        still[dim] = 1;
        state.erase(dim);
        if (pairs) shape.push_back(2), still.push_back(2), state.push_back(2);
        const Tensor a = (kind < 2   ? randn(shape, float64, g)
                          : kind < 4 ? randn(still, float64, g)
                                     : randn(still, float64, g).narrow(2, 0, 1)) *
                         0.4;
        const Tensor b = randn(shape, float64, g), initial = kind % 2 ? randn(state, float64, g) : Tensor();
        const bool reverse = kind % 3 == 1;
        set_num_threads(3);
        const Tensors by_kernel = gradients(a, b, dim, initial, reverse, pairs, false);
        const Tensors by_rule = gradients(a, b, dim, initial, reverse, pairs, true);
        set_num_threads(1);
        const Tensors alone = gradients(a, b, dim, initial, reverse, pairs, false);
        CAPTURE(pairs, dim, kind);
        for (size_t i = 0; i < by_kernel.size(); ++i) {
          CHECK(equal(by_kernel[i], alone[i]));
          CHECK(allclose(by_kernel[i], by_rule[i], 1e-11, 1e-11));
        }
      }
  set_num_threads(threads);
}

TEST_CASE("a linear scan is causal bit for bit, and so are its gradients") {
  Generator g(2);
  const Tensor x = randn({2, 40, 3}, float64, g), a = randn({2, 40, 3}, float64, g);
  check_causal(x, 1, [&](const Tensor& b) { return linear_scan(a, b, 1); });
  check_causal(x, 1, [&](const Tensor& b) { return linear_scan(b, a, 1, select(a, 1, 0)); });
  const Tensor lines = randn({20, 40}, float64, g);
  check_causal(lines, 1, [&](const Tensor& b) { return linear_scan(lines, b, 1); });
}

TEST_CASE("the gradient of a constant decay is exact over many steps of float32") {
  Generator g(3);
  const Tensor b = randn({1, 30000, 8}, float64, g).to(float32), a = full({8}, 0.9, float32);
  const Tensor low = gradients(a, b, 1, {}, false, false, false)[0];
  const Tensor high = gradients(a.to(float64), b.to(float64), 1, {}, false, false, false)[0];
  CHECK(allclose(low.to(float64), high, 2e-6, 2e-6 * high.abs().max().item()));
}

TEST_CASE("a linear scan takes a factor only where there is a state to multiply") {
  const Tensor a = tensor({kInfinity, 0.5, kNaN, 2}, float64), b = tensor({1, 2, 3, 4}, float64);
  const Values h = to_values(linear_scan(a, b, 0));
  CHECK(h[0] == 1);
  CHECK(h[1] == 2.5);
  CHECK(std::isnan(h[2]));
  CHECK(std::isnan(h[3]));
  CHECK(to_values(linear_scan(a, b, 0, zeros({}, float64)))[0] != 1);  // inf * 0
  const Tensors none = gradients(zeros({0}, float64), zeros({0}, float64), 0, ones({}, float64), false, false, false);
  CHECK(to_values(none[2]) == Values{0});
}

TEST_CASE("cumprod keeps signs of zero, wraps integers, and multiplies float32 in float64") {
  CHECK(std::signbit(to_values(cumprod(tensor({-1.0, 0.0}, float64), 0))[1]));
  CHECK(cumprod(tensor({true, true, false}), 0).dtype() == int64);
  CHECK(cumprod(full({40}, 3, int64), 0).to_vector<int64_t>().back() == int64_t(12157665459056928801u));
  const Values y = to_values(cumprod(full({3000}, 1.0001, float32), 0));
  CHECK(y.back() == Approx(std::pow(double(1.0001f), 3000)).epsilon(1e-7));
}

TEST_CASE("logcumsumexp of infinities, and its gradients") {
  const Tensor x = tensor({-kInfinity, -kInfinity, -1000, -1000, 3, -kInfinity}, float64).requires_grad_();
  const Tensor y = logcumsumexp(x, 0);
  const Values v = to_values(y);
  CHECK(v[0] == -kInfinity);
  CHECK(v[1] == -kInfinity);
  CHECK(v[2] == -1000);
  CHECK(v[3] == Approx(-1000 + std::log(2.0)));
  CHECK(v[5] == 3);
  for (const bool create_graph : {false, true})
    CHECK(close(
        grad({y}, {x}, {.gradients = {ones({6}, float64)}, .retain_graph = true, .create_graph = create_graph})[0],
        tensor({0.0, 0.0, 1.5, 0.5, 2.0, 0.0}, float64)));
  const Values wild = to_values(logcumsumexp(tensor({1.0, kInfinity, 2.0, kNaN, 1.0}, float64), 0));
  CHECK(wild[0] == 1);
  CHECK(wild[1] == kInfinity);
  CHECK(wild[2] == kInfinity);
  CHECK(std::isnan(wild[3]));
  CHECK(std::isnan(wild[4]));
}

TEST_CASE("running extremes choose the last of several, and NaN for good") {
  const auto [values, indices] = cummax(tensor({2.0, 1.0, 2.0, kNaN, 5.0, kNaN}, float64), 0);
  CHECK(to_values(values)[2] == 2);
  CHECK(std::isnan(to_values(values)[4]));
  CHECK(indices.to_vector<int64_t>() == std::vector<int64_t>{0, 0, 2, 3, 3, 5});
  CHECK(cummin(tensor({3, 4, 3, 1}), 0).values.to_vector<int64_t>() == std::vector<int64_t>{3, 3, 3, 1});
  CHECK(cummax(tensor({false, true, false}), 0).values.to_vector<bool>() == std::vector<bool>{false, true, true});
  CHECK(cummax(tensor({1.0, 3.0, 2.0}, bfloat16), 0).values.to_vector<double>() == Values{1, 3, 3});
}
