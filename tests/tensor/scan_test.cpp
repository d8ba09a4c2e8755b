#include <cotangent/tensor/scan.hpp>

#include <catch2/catch.hpp>

#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/parallel.hpp>
#include <cotangent/tensor/random.hpp>

using namespace cotangent;

TEST_CASE("cumsum runs along any dimension, both ways, on any number of threads", "[threads]") {
  const int threads = num_threads();
  Generator g(1);
  const Tensor x = randint(-50, 50, {6, 130, 70}, int64, g);
  const auto v = x.to_vector<int64_t>();
  for (int dim = 0; dim < 3; ++dim)
    for (bool reverse : {false, true}) {
      set_num_threads(3);
      const auto y = raw::cumsum(x, dim, reverse).to_vector<int64_t>();
      const auto turned = raw::cumsum(x.transpose(0, 2), 2 - dim, reverse).transpose(0, 2).to_vector<int64_t>();
      set_num_threads(1);
      CHECK(raw::cumsum(x, dim, reverse).to_vector<int64_t>() == y);
      CHECK(turned == y);
      int64_t inner = 1;
      for (int d = dim + 1; d < 3; ++d) inner *= x.shape()[d];
      const int64_t n = x.shape()[dim];
      bool right = true;
      for (int64_t i = 0; i < x.numel(); ++i) {
        const int64_t at = i / inner % n, neighbour = reverse ? i + inner : i - inner;
        const bool first = reverse ? at == n - 1 : at == 0;
        right &= y[size_t(i)] == v[size_t(i)] + (first ? 0 : y[size_t(neighbour)]);
      }
      CHECK(right);
    }
  set_num_threads(threads);
}

TEST_CASE("cumsum of floats adds in order, along rows and columns of any length") {
  for (Dtype dtype : {float32, float64})
    for (const Shape& shape : {Shape{1, 300, 1}, Shape{7, 65, 1}, Shape{45, 130, 1}, Shape{3, 5, 600}, Shape{70, 1, 1}})
      for (bool reverse : {false, true}) {
        Generator g(1);
        const Tensor x = randn(shape, dtype, g);
        const auto v = x.to_vector<double>(), y = raw::cumsum(x, 1, reverse).to_vector<double>();
        const int64_t n = shape[1], inner = shape[2];
        bool right = true;
        for (int64_t line = 0; line < shape[0] * inner; ++line) {
          double sum = 0;
          for (int64_t k = 0; k < n; ++k) {
            const auto at = size_t((line / inner * n + (reverse ? n - 1 - k : k)) * inner + line % inner);
            sum += v[at];
            right &= y[at] == (dtype == float32 ? double(float(sum)) : sum);
          }
        }
        CAPTURE(shape, dtype, reverse);
        CHECK(right);
      }
}

TEST_CASE("cumsum sums in a wider type") {
  CHECK(raw::cumsum(ones({300}, uint8), 0).dtype() == int64);
  CHECK(raw::cumsum(ones({300}, boolean), 0).to_vector<int64_t>().back() == 300);
  const Tensor y = raw::cumsum(full({1000}, 1, bfloat16), 0);  // in bfloat16 the sum would stop at 256
  CHECK(y.to_vector<double>().back() == 1000);
  CHECK(raw::cumsum(full({1'000'000}, 0.1, float32), 0).to_vector<double>().back() == Approx(100'000).epsilon(1e-7));
  CHECK(raw::cumsum(zeros({2, 0}), 1).shape() == Shape{2, 0});
}
