#include <cotangent/tensor/join.hpp>

#include <catch2/catch.hpp>

#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/views.hpp>

using namespace cotangent;

TEST_CASE("cat keeps channels-last tensors as they are") {
  const Tensor a = arange(24).reshape({1, 2, 3, 4}), b = arange(100, 136).reshape({1, 3, 3, 4});
  const Tensor lasts[] = {a.contiguous(MemoryFormat::channels_last), b.contiguous(MemoryFormat::channels_last)};
  const Tensor y = raw::cat("cat", lasts, 1);
  CHECK(y.is_contiguous(MemoryFormat::channels_last));
  const Tensor rows[] = {a, b};
  const Tensor expected = raw::cat("cat", rows, 1);
  CHECK(expected.is_contiguous());
  CHECK(y.to_vector<int64_t>() == expected.to_vector<int64_t>());
  const Tensor mixed[] = {lasts[0], b};
  CHECK(raw::cat("cat", mixed, 1).is_contiguous());
}

TEST_CASE("flip reverses the order of views too") {
  const Tensor x = arange(12).reshape({3, 4});
  CHECK(raw::flip(x, 0b11).to_vector<int64_t>() == std::vector<int64_t>{11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0});
  CHECK(raw::flip(x.t(), 0b01).to_vector<int64_t>() == std::vector<int64_t>{3, 7, 11, 2, 6, 10, 1, 5, 9, 0, 4, 8});
  CHECK(raw::flip(x.slice(1, 0, 4, 2), 0b10).to_vector<int64_t>() == std::vector<int64_t>{2, 0, 6, 4, 10, 8});
  CHECK(raw::flip(zeros({0, 3}), 0b11).shape() == Shape{0, 3});
  CHECK(raw::flip(full({}, 4), 0b1).item() == 4);
}
