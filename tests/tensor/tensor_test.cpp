#include <catch2/catch.hpp>

#include <cmath>

#include <cotangent/cotangent.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tests/values.hpp>

using namespace cotangent;

TEST_CASE("a tensor is a handle") {
  Tensor x = zeros({2, 3}), y = x;
  y[0][1] = 5;
  CHECK(x[0][1].item() == 5);
  Tensor z = std::move(y);
  CHECK(z.shares_storage(x));
  z = x.clone();
  CHECK_FALSE(z.shares_storage(x));
  x = x;
  CHECK(x.defined());
  Tensor a = ones({1}), b = zeros({1});
  a.swap(b);
  CHECK(a.item() == 0);
}

TEST_CASE("an undefined tensor refuses every use") {
  const Tensor none;
  CHECK_FALSE(none.defined());
  CHECK_FALSE(none.requires_grad());
  CHECK_THROWS_WITH(none.shape(), Catch::Contains("undefined tensor"));
  CHECK_THROWS_AS(none.numel(), ValueError);
  CHECK_THROWS_AS(none.dtype(), ValueError);
  CHECK_THROWS_AS(none + 1, Error);
  CHECK_THROWS_AS(none + none, Error);
  CHECK_THROWS_AS(ones({1}) + none, Error);
  CHECK_THROWS_AS(exp(none), Error);
  CHECK_THROWS_AS(none[0], Error);
  CHECK_THROWS_AS(none.reshape({1}), Error);
  CHECK_THROWS_AS(none.clone(), Error);
  CHECK_THROWS_AS(none.to(float64), Error);
  CHECK_THROWS_AS(none.contiguous(), Error);
  CHECK_THROWS_AS(none.detach(), Error);
  CHECK_THROWS_AS(none.item(), Error);
  CHECK_THROWS_AS(none.grad(), Error);
  CHECK_THROWS_AS(none.to_vector<float>(), Error);
  CHECK_THROWS_AS(none.sum(), Error);
}

TEST_CASE("description") {
  const Tensor x = zeros({2, 3, 4}, float64);
  CHECK(x.rank() == 3);
  CHECK(x.numel() == 24);
  CHECK(x.size(0) == 2);
  CHECK(x.size(-1) == 4);
  CHECK_THROWS_AS(x.size(3), IndexError);
  CHECK_THROWS_AS(zeros({}).size(0), IndexError);
  CHECK(x.is_floating());
  CHECK_FALSE(zeros({1}, int64).is_floating());
  CHECK(zeros({}).numel() == 1);
  CHECK(zeros({3, 0}).numel() == 0);
}

TEST_CASE("data asks for the right type") {
  const Tensor x = zeros({2});
  CHECK(x.data<float>() == x.raw_data());
  CHECK_THROWS_WITH(x.data<double>(), Catch::Contains("float32, not float64"));
  CHECK(x[1].data<float>() == x.data<float>() + 1);
}

TEST_CASE("item and to_vector convert") {
  CHECK(tensor({{3}}).item<int>() == 3);
  CHECK(tensor(2.75).item<int64_t>() == 2);
  CHECK(tensor({true}).item<bool>());
  CHECK(full({1}, 1.5, bfloat16).item() == 1.5);
  CHECK(full({1}, 1.5, float16).item<float>() == 1.5f);
  CHECK_THROWS_WITH(zeros({2}).item(), Catch::Contains("2 elements"));
  CHECK_THROWS_AS(zeros({0}).item(), ShapeError);
  CHECK(tensor({{1, 2}, {3, 4}}).t().to_vector<float>() == std::vector<float>{1, 3, 2, 4});
  CHECK(tensor({0.0, 2.0}).to_vector<bool>() == std::vector<bool>{false, true});
  CHECK(zeros({0, 2}).to_vector<double>().empty());
  CHECK(tensor({1.9, -1.9}).to_vector<int32_t>() == std::vector<int32_t>{1, -1});
}

TEST_CASE("memory formats") {
  const Tensor x = reshape(arange(2 * 3 * 4 * 5), {2, 3, 4, 5});
  CHECK(x.is_contiguous());
  CHECK_FALSE(x.is_contiguous(MemoryFormat::channels_last));
  const Tensor y = x.contiguous(MemoryFormat::channels_last);
  CHECK(y.is_contiguous(MemoryFormat::channels_last));
  CHECK_FALSE(y.is_contiguous());
  CHECK(y.strides() == Strides{60, 1, 15, 3});
  CHECK(equal(x, y));
  CHECK(y.contiguous(MemoryFormat::channels_last).shares_storage(y));
  CHECK(equal(y.contiguous(), x));
  CHECK((y * 2).is_contiguous(MemoryFormat::channels_last));
  CHECK((y + y).is_contiguous(MemoryFormat::channels_last));
  CHECK(exp(y.to(float32)).is_contiguous(MemoryFormat::channels_last));
  CHECK(y.clone().is_contiguous(MemoryFormat::channels_last));
  CHECK_THROWS_AS(zeros({2, 3}).contiguous(MemoryFormat::channels_last), ShapeError);
  CHECK_FALSE(zeros({2, 3}).is_contiguous(MemoryFormat::channels_last));
  const Tensor one = zeros({2, 1, 4, 5});  // both at once
  CHECK(one.is_contiguous());
  CHECK(one.is_contiguous(MemoryFormat::channels_last));
  CHECK(raw::memory_format(one) == MemoryFormat::contiguous);  // as its strides say, which contiguous() sets
  for (const Tensor& both : {one, zeros({2, 3, 1, 1}), zeros({1, 1, 4, 5}), zeros({2, 1, 4, 1})}) {
    const Tensor last = both.contiguous(MemoryFormat::channels_last);
    CHECK(raw::memory_format(last) == MemoryFormat::channels_last);
    CHECK(last.shares_storage(both));
    CHECK(last.is_contiguous());
    CHECK(raw::memory_format(last * 2 + last) == MemoryFormat::channels_last);
    CHECK(raw::memory_format(last.contiguous()) == MemoryFormat::contiguous);
  }
  CHECK(raw::memory_format(x) == MemoryFormat::contiguous);
  CHECK(raw::memory_format(y) == MemoryFormat::channels_last);
  CHECK(raw::memory_format(x.transpose(2, 3)) == MemoryFormat::contiguous);
  const Tensor part = y.narrow(1, 0, 2).narrow(3, 1, 2);  // is no whole, but lies as y does
  CHECK_FALSE(part.is_contiguous(MemoryFormat::channels_last));
  CHECK(raw::memory_format(part) == MemoryFormat::channels_last);
  CHECK((part * 2).is_contiguous(MemoryFormat::channels_last));
  CHECK(part.clone().to_vector<int64_t>() == x.narrow(1, 0, 2).narrow(3, 1, 2).to_vector<int64_t>());
  CHECK(raw::memory_format(x.narrow(1, 0, 2).narrow(3, 1, 2)) == MemoryFormat::contiguous);
  CHECK(raw::memory_format(expand(y.narrow(2, 0, 1), {2, 3, 7, 5})) == MemoryFormat::contiguous);
  CHECK(raw::memory_format(y.transpose(0, 2)) == MemoryFormat::contiguous);
  CHECK(zeros({2, 3}).t().contiguous().is_contiguous());
  CHECK(zeros({1, 3}).t().is_contiguous());
}

TEST_CASE("clone and contiguous of expanded and sliced tensors") {
  const Tensor x = tensor({{1.}, {2.}}, float64);
  const Tensor y = expand(x, {2, 3});
  CHECK(y.clone().is_contiguous());
  CHECK(y.clone().to_vector<double>() == Values{1, 1, 1, 2, 2, 2});
  CHECK(y.contiguous().to_vector<double>() == Values{1, 1, 1, 2, 2, 2});
  const Tensor z = slice(reshape(arange(12), {3, 4}), 1, 1, 4, 2);
  CHECK(z.clone().to_vector<double>() == Values{1, 3, 5, 7, 9, 11});
}

TEST_CASE("to another dtype is a copy, to the same the tensor itself") {
  const Tensor x = tensor({1.5, -2.5});
  CHECK(x.to(float32).shares_storage(x));
  CHECK(x.to(float64).to_vector<double>() == Values{1.5, -2.5});
  CHECK(x.to(int64).to_vector<double>() == Values{1, -2});
  CHECK(x.t().to(float16).to_vector<double>() == Values{1.5, -2.5});
}

TEST_CASE("errors are of their kind, and all are Errors") {
  CHECK_THROWS_AS(ones({2}) + ones({3}), ShapeError);
  CHECK_THROWS_AS(ones({2})[2], IndexError);
  CHECK_THROWS_AS(ones({2}).data<int64_t>(), DTypeError);
  try {
    ones({2}) + ones({3});
  } catch (Error& error) {
    error.append(" (in blocks.2)");
    CHECK_THAT(error.what(), Catch::StartsWith("[add] ") && Catch::EndsWith(" (in blocks.2)"));
  }
}
