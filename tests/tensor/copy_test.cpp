// Copies between any two layouts and dtypes.
#include <cotangent/tensor/copy.hpp>

#include <algorithm>
#include <cstring>

#include <catch2/catch.hpp>
#include <cotangent/cotangent.hpp>
#include <cotangent/tensor/processor_internal.hpp>
#include <cotangent/tests/tensor/layouts.hpp>

using namespace cotangent;

TEST_CASE("copy_into moves between any two layouts and dtypes") {
  Random random;
  for (const Dtype from : {float32, float64, bfloat16, int64, uint8})
    for (const Dtype by : {float32, float64, float16, int32, boolean})
      for (const Shape& shape : {Shape{}, Shape{7}, Shape{3, 5}, Shape{2, 3, 4}, Shape{600}, Shape{2, 700}}) {
        const Tensor x = random_tensor(random, shape, 0, 9, from);
        const Values expected = raw::cast(x, by).to_vector<double>();
        const Tensor targets[] = {empty(shape, by), spread(zeros(shape, by)),
                                  transpose(raw::contiguous(transpose(zeros(shape, by), 0, -1)), 0, -1).detach()};
        for (const Tensor& y : targets)
          for (const Tensor& source : {x, spread(x)}) {
            raw::copy_into("copy", source, y);
            CHECK(y.to_vector<double>() == expected);
          }
      }
  const Tensor y = zeros({2, 3});
  raw::copy_into("copy", tensor({1., 2., 3.}), y);
  CHECK(y.to_vector<double>() == Values{1, 2, 3, 1, 2, 3});
  raw::copy_into("copy", tensor({{4}, {5}}), spread(y));
  CHECK_THROWS_AS(raw::copy_into("copy", ones({2}), y), ShapeError);
}

TEST_CASE("copies between two orders of dimensions equal naive ones for every size of element") {
  int wrong = 0;
  const auto check = [&](const Tensor& x, const Tensor& y) {  // of rank 4
    raw::copy_into("copy", x, y);
    const size_t bytes = static_cast<size_t>(item_size(x.dtype()));
    const auto at = [&](const Tensor& t, const int64_t* i) {
      int64_t offset = 0;
      for (int d = 0; d < 4; ++d) offset += i[d] * t.strides()[d];
      return static_cast<const char*>(t.raw_data()) + offset * int64_t(bytes);
    };
    const Shape& s = x.shape();
    for (int64_t i[4] = {}; i[0] < s[0]; ++i[0])
      for (i[1] = 0; i[1] < s[1]; ++i[1])
        for (i[2] = 0; i[2] < s[2]; ++i[2])
          for (i[3] = 0; i[3] < s[3]; ++i[3]) wrong += std::memcmp(at(x, i), at(y, i), bytes) != 0;
  };
  int64_t order[] = {0, 1, 2, 3};
  for (const Dtype dtype : {uint8, bfloat16, float32, float64})
    for (const Shape& shape : {Shape{2, 3, 5, 19}, Shape{3, 2, 2, 37}, Shape{4, 33, 1, 7}, Shape{3, 1, 67, 130},
                               Shape{9, 16, 2, 8}, Shape{2, 2, 2, 2}, Shape{0, 3, 2, 5}}) {
      const Tensor x = raw::cast(randint(0, 200, shape), dtype);
      const Tensor wide = raw::cast(randint(0, 200, {shape[0], shape[1], shape[2], shape[3] + 3}), dtype);
      std::sort(order, order + 4);
      do {
        const Tensor turned = permute(x, order);
        check(turned, empty(turned.shape(), dtype));
        check(permute(wide.slice(3, 1, shape[3] + 1), order), empty(turned.shape(), dtype));
        const Shape to = turned.shape();
        check(turned, empty({to[0], to[1] + 1, to[2], to[3] + 5}, dtype).slice(1, 1, to[1] + 1).slice(3, 2, to[3] + 2));
        for (int64_t step : {2, 3}) {
          const Tensor few = turned.slice(3, 1, to[3], step);
          check(few, empty(few.shape(), dtype));
          check(turned, empty({to[0], to[1], to[2], to[3] * step}, dtype).slice(3, step - 1, to[3] * step, step));
        }
        INFO(name(dtype) << " " << order[0] << order[1] << order[2] << order[3]);
        CHECK(wrong == 0);
      } while (std::next_permutation(order, order + 4));
    }
}

TEST_CASE("copies that are too large for the cache, repeated or not, from and to any address") {
  const auto check = [](const Tensor& x, const Tensor& y) {  // of rank 3, x of int32 and y of float32
    raw::copy_into("copy", x, y);
    int64_t wrong = 0;
    for (int64_t i = 0; i < y.size(0); ++i)
      for (int64_t j = 0; j < y.size(1); ++j) {
        const float* to = y.data<float>() + i * y.strides()[0] + j * y.strides()[1];
        const auto compare = [&](const auto* from) {
          for (int64_t k = 0; k < y.size(2); ++k)
            wrong += to[k] != static_cast<float>(from[i * x.strides()[0] + j * x.strides()[1] + k * x.strides()[2]]);
        };
        x.dtype() == int32 ? compare(x.data<int32_t>()) : compare(x.data<float>());
      }
    CHECK(wrong == 0);
  };
  const Shape shape{3, 1501, 1003};
  const Tensor room = empty({shape.product() + 3});
  const Tensor y = room.slice(0, 3, room.numel()).reshape(shape);
  REQUIRE(y.numel() * 4 > raw::processor().streams_from());
  for (const Dtype dtype : {float32, int32}) {
    const Tensor x = arange(shape.product()).reshape(shape).to(dtype);
    check(x, y);
    check(expand(narrow(x, 2, 1, 1), shape), y);
  }
  const Tensor x = arange(shape.product()).to(float32).reshape(shape);
  for (int64_t rows : {shape[1], 2 * shape[1]}) {  // twice as much is too large for what is repeated, too
    const Shape repeated{shape[0], rows, shape[2]};
    check(expand(narrow(x, 1, 1, 1), repeated), empty(repeated));
    check(expand(x[0][0][5], repeated), empty(repeated));
  }
  check(narrow(x, 2, 1, 1002), empty({3, 1501, 1002}));
  const Tensor bytes = full({(16 << 20) + 77}, 7, uint8);
  CHECK(raw::clone(bytes).to_vector<uint8_t>() == std::vector<uint8_t>((16 << 20) + 77, 7));
}
