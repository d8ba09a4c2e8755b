#include <cotangent/autograd/graph/statistics.hpp>

#include <catch2/catch.hpp>

#include <cmath>

#include <cotangent/cotangent.hpp>

using namespace cotangent;

TEST_CASE("statistics: of finite elements, with the others counted") {
  const Statistics s = statistics(tensor({1., 2., NAN, 4., -INFINITY, INFINITY, 5.}, float64));
  CHECK(s.count == 7);
  CHECK(s.nans == 1);
  CHECK(s.infinities == 2);
  CHECK(s.min == 1);
  CHECK(s.max == 5);
  CHECK(s.mean == Approx(3));
  CHECK(s.std == Approx(std::sqrt(2.5)));
  CHECK(to_string(s) == "min 1, max 5, mean 3, std 1.581, 1 NaN, 2 infinite");
}

TEST_CASE("statistics: nothing, and nothing finite") {
  CHECK(to_string(statistics(zeros({0, 3}))) == "no elements");
  CHECK(std::isnan(statistics(zeros({0})).mean));
  const Statistics s = statistics(full({2}, NAN));
  CHECK(std::isnan(s.min));
  CHECK(to_string(s) == "nothing finite, 2 NaN");
  CHECK(to_string(statistics(tensor({3.f}))) == "min 3, max 3, mean 3, std 0");
}

TEST_CASE("statistics: every dtype and layout, and more elements than are converted at a time") {
  for (const Dtype dtype : {float32, float64, float16, bfloat16, int64, int32, uint8}) {
    const Statistics s = statistics(arange(0, 10).to(dtype).reshape({2, 5}).t());
    CHECK(s.mean == 4.5);
    CHECK(s.max == 9);
  }
  CHECK(statistics(tensor({1.f, 0.f}) > 0.5).mean == 0.5);
  CHECK(statistics(ones({1}).expand({1000, 1000})).count == 1000000);
  // far from 0, where sums of squares would have nothing left
  manual_seed(1);
  const Tensor x = randn({200000}, float64);
  const Statistics far = statistics(x + 1e9);
  CHECK(far.std == Approx(x.std({}, {.correction = 0}).item()).epsilon(1e-6));
  CHECK(far.mean == Approx(1e9));
}
