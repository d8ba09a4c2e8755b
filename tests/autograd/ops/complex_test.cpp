#include <cotangent/autograd/ops/complex.hpp>

#include <catch2/catch.hpp>

#include <cmath>
#include <limits>

#include <cotangent/autograd/engine.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/random.hpp>
#include <cotangent/tests/values.hpp>

using namespace cotangent;

TEST_CASE("complex numbers: huge and tiny ones have their absolute value and its gradient") {
  Tensor z = tensor({{3e300, -4e300}, {3e-310, 4e-310}, {0.0, 0.0}, {-2.0, 0.0}}, float64).requires_grad_();
  const Tensor r = complex::abs(z);
  const Values v = to_values(r);
  CHECK(v[0] == Approx(5e300));
  CHECK(v[1] == Approx(5e-310));
  CHECK(v[2] == 0);
  CHECK(v[3] == 2);
  for (const bool create_graph : {false, true})
    CHECK(close(grad({sum(r)}, {z}, {.retain_graph = true, .create_graph = create_graph})[0],
                tensor({{0.6, -0.8}, {0.6, 0.8}, {0.0, 0.0}, {-1.0, 0.0}}, float64)));
  const Tensor d = grad({sum(r)}, {z}, {.create_graph = true})[0];
  const Values second = to_values(grad({sum(d)}, {z})[0]);
  CHECK(second[4] == 0);
  CHECK(second[5] == 0);
  const double infinity = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
  const Values wild = to_values(complex::abs(tensor({{infinity, nan}, {nan, -infinity}, {1.0, nan}}, float64)));
  CHECK(wild[0] == infinity);
  CHECK(wild[1] == infinity);
  CHECK(std::isnan(wild[2]));
}

TEST_CASE("complex numbers: a quotient overflows only if it is too large itself") {
  const Tensor a = tensor({{1e300, 1e300}, {1e-300, -1e-300}, {1.0, 2.0}}, float64),
               b = tensor({{1e300, -1e300}, {1e-300, 1e-300}, {0.0, 4.0}}, float64);
  CHECK(close(complex::div(a, b), tensor({{0.0, 1.0}, {0.0, -1.0}, {0.5, -0.25}}, float64)));
}

TEST_CASE("complex numbers: the angle on the axes") {
  const double pi = std::acos(-1.0);
  const Tensor z = tensor({{1.0, 0.0}, {0.0, 2.0}, {-3.0, 0.0}, {-3.0, -0.0}, {0.0, -1.0}, {0.0, 0.0}}, float64);
  CHECK(close(complex::angle(z), tensor({0, pi / 2, pi, -pi, -pi / 2, 0}, float64)));
  Tensor zero = zeros({1, 2}, float64).requires_grad_();
  CHECK(to_values(grad({sum(complex::angle(zero))}, {zero})[0]) == Values{0, 0});
}

TEST_CASE("complex numbers: parts, powers and roots of one fit together") {
  Generator g(1);
  const Tensor z = randn({4, 3, 2}, float64, g), w = randn({4, 3, 2}, float64, g);
  CHECK(close(complex::polar(complex::abs(z), complex::angle(z)), z));
  CHECK(close(complex::from_parts(complex::real(z), complex::imag(z)), z));
  CHECK(close(complex::div(complex::mul(z, w), w), z));
  CHECK(close(complex::exp(z + w), complex::mul(complex::exp(z), complex::exp(w))));
  CHECK(close(complex::mul(z, complex::conj(z)), complex::from_parts(square(complex::abs(z)), zeros({4, 3}, float64))));
  const Tensor turned = transpose(z, 0, 1);  // read where it lies
  CHECK(close(complex::mul(turned, w.transpose(0, 1)), transpose(complex::mul(z, w), 0, 1)));
  CHECK(complex::real(z).shares_storage(z));
}
