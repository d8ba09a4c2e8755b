// What scatter and padding do at the edges.
#include <cmath>

#include <catch2/catch.hpp>
#include <cotangent/autograd/engine.hpp>
#include <cotangent/autograd/ops/arrange.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/scatter.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/random.hpp>
#include <cotangent/tests/values.hpp>

using namespace cotangent;

namespace {
Tensor places(const NestedList& at) { return tensor(at, int64); }
}  // namespace

TEST_CASE("scatter_reduce: NaN and infinity stay where they arrive") {
  const Tensor x = tensor({1.0, NAN, 3.0, -INFINITY}), src = tensor({NAN, 5.0, 2.0, INFINITY}),
               at = places({0, 1, 2, 3});
  for (const ScatterReduce extreme : {ScatterReduce::amax, ScatterReduce::amin}) {
    const Values y = to_values(scatter_reduce(x, 0, at, src, extreme));
    CHECK((std::isnan(y[0]) && std::isnan(y[1]) && y[2] == (extreme == ScatterReduce::amax ? 3 : 2)));
  }
  CHECK(std::isnan(to_values(scatter_reduce(x, 0, at, src, ScatterReduce::prod))[0]));
  CHECK(to_values(scatter_reduce(x, 0, places({0, 0, 0, 0}), tensor({1., 2., INFINITY, 3.}), ScatterReduce::mean))[0] ==
        INFINITY);
}

TEST_CASE("scatter_reduce: a product beyond the range of the dtype has the right gradient") {
  // 1e200 * 1e200 * 1e-200: what divides the product by a factor finds infinity
  const Tensor x = tensor({1e200}, float64), src = tensor({1e200, 1e-200}, float64).requires_grad_();
  sum(scatter_reduce(x, 0, places({0, 0}), src, ScatterReduce::prod)).backward();
  const Values dsrc = to_values(src.grad());
  CHECK(dsrc[0] == Approx(1));
  CHECK(dsrc[1] == INFINITY);
}

TEST_CASE("scatter_reduce: without itself, a place of the lowest value gives all of the gradient to what arrives") {
  const Tensor x = tensor({-INFINITY, 2.0}).requires_grad_(), src = tensor({-INFINITY, 4.0}).requires_grad_();
  sum(scatter_reduce(x, 0, places({0, 0}), src, ScatterReduce::amax, false)).backward();
  CHECK(to_values(x.grad()) == Values{0, 1});
  CHECK(to_values(src.grad()) == Values{0, 1});
}

TEST_CASE("scatter_reduce of integers: means are rounded down, and products wrap as those of mul do") {
  const Tensor x = tensor({-1, 7}, int64), src = tensor({-2, 2, 3}, int64);
  CHECK(scatter_reduce(x, 0, places({0, 1, 1}), src, ScatterReduce::mean).to_vector<int64_t>() ==
        std::vector<int64_t>{-2, 4});
  CHECK(scatter_reduce(tensor({200}, uint8), 0, places({0}), tensor({2}, uint8), ScatterReduce::prod).item<int64_t>() ==
        (full({1}, 200, uint8) * 2).item<int64_t>());
  CHECK(scatter_reduce(tensor({5}, uint8), 0, places({0, 0}), tensor({9, 3}, uint8), ScatterReduce::amin, false)
            .item<int64_t>() == 3);
}

TEST_CASE("scatter writes none of its arguments, and of two at one place the last") {
  const Tensor x = zeros({3}), src = tensor({1.0, 2.0, 3.0}).requires_grad_();
  const Tensor y = scatter(x, 0, places({1, 1, 2}), src);
  CHECK(to_values(x) == Values{0, 0, 0});
  CHECK(to_values(y) == Values{0, 2, 3});
  sum(y * tensor({5.0, 6.0, 7.0})).backward();
  CHECK(to_values(src.grad()) == Values{0, 6, 7});
}

TEST_CASE("padded channels-last images stay channels-last") {
  const Tensor x = randn({2, 3, 4, 5}).contiguous(MemoryFormat::channels_last);
  const Tensor y = pad(x, {1, 2, 3, 0});
  CHECK(y.is_contiguous(MemoryFormat::channels_last));
  CHECK(equal(y, pad(x.contiguous(), {1, 2, 3, 0})));
}

TEST_CASE("a size that no machine holds is an error of pad, repeat and tile") {
  const Tensor x = zeros({2, 3});
  for (const std::string& message :
       {error_of([&] {
          pad(x, {int64_t{1} << 62, 0});
        }),
        error_of([&] {
          pad(x, {int64_t{1} << 62, 0}, PadMode::circular);
        }),
        error_of([&] {
          repeat(x, {int64_t{1} << 62, 1});
        }),
        error_of([&] { tile(x, {int64_t{1} << 62}); }), error_of([&] { repeat_interleave(x, int64_t{1} << 62); })}) {
    INFO(message);
    CHECK(message != "nothing thrown");
  }
}

TEST_CASE("a copy that pads, rolls or repeats by nothing is still a copy") {
  const Tensor x = ones({2, 3});
  for (const PadMode mode : {PadMode::constant, PadMode::reflect, PadMode::replicate, PadMode::circular})
    CHECK_FALSE(pad(x, {0, 0, 0, 0}, mode).shares_storage(x));
  CHECK_FALSE(roll(x, 0, 0).shares_storage(x));
  CHECK_FALSE(roll(x, 6).shares_storage(x));
  CHECK_FALSE(repeat(x, {1, 1}).shares_storage(x));
  CHECK_FALSE(tile(x, {}).shares_storage(x));
  CHECK_FALSE(repeat_interleave(x, 1).shares_storage(x));
}
