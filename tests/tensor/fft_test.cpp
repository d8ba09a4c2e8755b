#include <catch2/catch.hpp>

#include <cmath>
#include <numbers>
#include <vector>

#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/fft.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/fft.hpp>
#include <cotangent/tensor/parallel.hpp>
#include <cotangent/tensor/random.hpp>
#include <cotangent/tests/values.hpp>

using namespace cotangent;

namespace {

/// The largest difference, in units of the largest value of b.
double error(const Tensor& a, const Tensor& b) {
  REQUIRE(a.shape() == b.shape());
  return amax(abs(to(a, float64) - to(b, float64))).item<double>() /
         (amax(abs(to(b, float64))).item<double>() + 1e-300);
}

/// The sum that defines the transform.
Tensor naively(const Tensor& x, bool inverse) {
  const int64_t rows = x.size(0), n = x.size(1);
  const Tensor y = zeros(x.shape(), float64), wide = to(x, float64).contiguous();
  std::vector<double> c(static_cast<size_t>(n)), s(c.size());
  for (int64_t j = 0; j < n; ++j) {
    const double angle = 2 * std::numbers::pi * static_cast<double>(j) / static_cast<double>(n);
    c[static_cast<size_t>(j)] = std::cos(angle), s[static_cast<size_t>(j)] = std::sin(angle) * (inverse ? 1 : -1);
  }
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t k = 0; k < n; ++k)
      for (int64_t j = 0; j < n; ++j) {
        const double *in = wide.data<double>() + 2 * (r * n + j), re = c[static_cast<size_t>(j * k % n)],
                     im = s[static_cast<size_t>(j * k % n)];
        y.data<double>()[2 * (r * n + k)] += in[0] * re - in[1] * im;
        y.data<double>()[2 * (r * n + k) + 1] += in[0] * im + in[1] * re;
      }
  return y;
}

bool same(const Tensor& a, const Tensor& b) { return to_values(a) == to_values(b); }

}  // namespace

TEST_CASE("transforms of every length are the sums that define them, in both types and both directions") {
  Generator generator(1);
  for (int64_t n = 1; n <= 66; ++n)
    for (const int64_t rows : {1, 3}) {
      INFO(rows << " rows of " << n);
      const Tensor x = randn({rows, n, 2}, float64, generator);
      for (const bool inverse : {false, true}) {
        const Tensor y = naively(x, inverse);
        CHECK(error(raw::fft("fft", x, n, 1, inverse), y) < 1e-14);
        CHECK(error(raw::fft("fft", to(x, float32), n, 1, inverse), y) < 1e-6);
      }
      // a real row is a complex one without imaginary parts
      const Tensor real = select(x, -1, 0), both = x * tensor({1.0, 0.0}, float64);
      const Tensor half = narrow(naively(both, false), 1, 0, n / 2 + 1);
      CHECK(error(fft::rfft(real), half) < 1e-14);
      CHECK(error(fft::rfft(to(real, float32)), half) < 1e-6);
      CHECK(error(fft::irfft(half, n), real) < 1e-14);
      CHECK(error(fft::irfft(to(half, float32), n), real) < 1e-6);
    }
}

TEST_CASE("long transforms are as exact: powers of two, products of 2, 3 and 5, primes") {
  Generator generator(2);
  for (const int64_t n : {512, 1024, 2048, 1080, 1009, 2187, 625}) {
    INFO(n);
    const Tensor x = randn({2, n, 2}, float64, generator), y = naively(x, false);
    CHECK(error(fft::fft(x), y) < 1e-14);
    CHECK(error(fft::fft(to(x, float32)), y) < 2e-6);
    CHECK(error(fft::ifft(fft::fft(x)), x) < 1e-14);
  }
  for (const int64_t n : {65536, 100003}) {
    const Tensor x = randn({n}, float64, generator);
    CHECK(error(fft::irfft(fft::rfft(x), n), x) < 1e-13);
    // Parseval: what a norm of ortho keeps is the sum of squares
    const Tensor z = fft::fft(randn({n, 2}, float64, generator), 0, -1, fft::Norm::ortho);
    const Tensor again = fft::ifft(z, 0, -1, fft::Norm::ortho);
    CHECK(sum(square(z)).item<double>() == Approx(sum(square(again)).item<double>()).epsilon(1e-12));
  }
}

TEST_CASE("rows of a transform do not meet: any number of them, any strides, NaN in one") {
  Generator generator(3);
  for (const Dtype dtype : {float32, float64})
    for (const int64_t n : {12, 14, 9}) {
      const Tensor x = randn({5, 7, n}, dtype, generator), y = fft::rfft(x);
      for (int64_t i = 0; i < 5; ++i)
        for (int64_t j = 0; j < 7; ++j)
          CHECK(error(fft::rfft(select(select(x, 0, i), 0, j)), select(select(y, 0, i), 0, j)) <
                (dtype == float32 ? 1e-6 : 1e-14));
      // the same numbers, side by side
      const Tensor beside = transpose(transpose(x, 1, 2).contiguous(), 1, 2);
      REQUIRE(!beside.is_contiguous());
      CHECK(same(fft::rfft(beside), y));
      CHECK(same(fft::irfft(transpose(transpose(y, 1, 2).contiguous(), 1, 2), n), fft::irfft(y, n)));
      CHECK(same(fft::rfft(transpose(x, 1, 2).contiguous(), 0, 1), transpose(y, 1, 2)));

      const Tensor broken = x.clone();
      broken[2][3][4] = std::nan("");
      const Tensor z = fft::rfft(broken);
      const Tensor lost = isnan(sum(z, {2, 3}));
      CHECK(sum(lost).item<int64_t>() == 1);
      CHECK(lost[2][3].item<bool>());
    }
}

TEST_CASE("convolutions share kernels along any axes, and keep the layout of their inputs") {
  Generator generator(4);
  const Tensor x = randn({3, 40, 50}, float64, generator);
  const Tensor beside = transpose(transpose(x, 1, 2).contiguous(), 1, 2);
  for (const Shape& kernels : {Shape{40, 50}, Shape{3, 1, 6}, Shape{9}, Shape{3, 40, 2}, Shape{1, 1, 50}}) {
    INFO(to_string(kernels));
    const Tensor k = randn(kernels, float64, generator), y = fft_conv1d(x, k, FftConv::full);
    Tensor expected = zeros(y.shape(), float64);
    for (int64_t l = 0; l < k.size(-1); ++l) narrow(expected, -1, l, 50).add_(x * unsqueeze(select(k, -1, l), -1));
    CHECK(error(y, expected) < 1e-13);
    CHECK(error(fft_conv1d(x, k), narrow(expected, -1, 0, 50)) < 1e-13);
    const Tensor z = fft_conv1d(beside, k);
    CHECK(z.strides() == beside.strides());
    CHECK(error(z, narrow(expected, -1, 0, 50)) < 1e-13);
  }
}

TEST_CASE("transforms and convolutions do not depend on the number of threads") {
  Generator generator(5);
  const Tensor x = randn({2, 70, 96}, float32, generator), k = randn({70, 96}, float32, generator);
  const auto all = [&] {
    const Tensor a = x.clone().requires_grad_(), b = k.clone().requires_grad_();
    const Tensor y = fft_conv1d(a, b);
    y.backward(x);
    return Tensors{y.detach(), a.grad(), b.grad(), fft::rfft(x, 97), fft::irfft(fft::rfft(x), 96)};
  };
  const int before = num_threads();
  set_num_threads(1);
  const Tensors one = all();
  set_num_threads(3);
  const Tensors three = all();
  set_num_threads(before);
  for (size_t i = 0; i < one.size(); ++i) CHECK(same(one[i], three[i]));
}
