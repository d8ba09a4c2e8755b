#include <catch2/catch.hpp>

#include <cmath>

#include <cotangent/cotangent.hpp>
#include <cotangent/tests/values.hpp>

using namespace cotangent;
TEST_CASE("tensor takes nested numbers") {
  const Tensor x = tensor({{1, 2, 3}, {4, 5, 6}});
  CHECK(x.shape() == Shape{2, 3});
  CHECK(x.dtype() == int64);
  CHECK(x.to_vector<int64_t>() == std::vector<int64_t>{1, 2, 3, 4, 5, 6});
  CHECK(tensor({1.5, 2.0}).dtype() == float32);
  CHECK(tensor({1, 2.5}).dtype() == float32);
  CHECK(tensor({true, false}).dtype() == boolean);
  CHECK(tensor(3.5).shape() == Shape{});
  CHECK(tensor(3.5).item() == 3.5);
  CHECK(tensor({{{1.}}, {{2.}}}, float64).shape() == Shape{2, 1, 1});
  CHECK(tensor({1.9, -1.9}, int32).to_vector<int32_t>() == std::vector<int32_t>{1, -1});
  CHECK(tensor({}).shape() == Shape{0});
  CHECK_THROWS_WITH(tensor({{1, 2}, {3}}), Catch::Contains("(2,)") && Catch::Contains("(1,)"));
  CHECK(tensor({(int64_t{1} << 53) + 1}).item<int64_t>() == (int64_t{1} << 53) + 1);
}

TEST_CASE("from_span and from_vector copy") {
  std::vector<float> v{1, 2, 3, 4};
  const Tensor x = from_vector(v, {2, 2});
  v[0] = 9;
  CHECK(x.to_vector<float>() == std::vector<float>{1, 2, 3, 4});
  CHECK_THROWS_WITH(from_vector(v, {3}), Catch::Contains("4 values for shape (3,)"));
  const bool bits[] = {true, false};
  CHECK(from_span(std::span<const bool>(bits), {2}).dtype() == boolean);
}

TEST_CASE("from_memory borrows and gives back") {
  static int released = 0;
  released = 0;
  std::vector<double> v{1, 2, 3, 4, 5, 6};
  {
    Tensor part;
    {
      const Tensor x = from_memory(
          v.data(), {2, 3}, float64, [](void*) { ++released; }, nullptr);
      CHECK(x.data<double>() == v.data());
      CHECK(x.is_contiguous());
      part = x[1];
    }
    CHECK(released == 0);  // a view is left
    part.fill_(9);
    CHECK(v[4] == 9);
  }
  CHECK(released == 1);
  const Tensor whole = from_memory(v.data(), {6}, float64);
  CHECK(whole[3].item() == 9);
  CHECK_THROWS_AS(from_memory(v.data(), {-1}, float64), ShapeError);
}

TEST_CASE("filled tensors") {
  CHECK(zeros({2}).to_vector<double>() == Values{0, 0});
  CHECK(ones({2}, int32).to_vector<double>() == Values{1, 1});
  CHECK(full({2}, 2.5, float16).to_vector<double>() == Values{2.5, 2.5});
  CHECK(full({}, true, boolean).item<bool>());
  CHECK(empty({2, 3}).shape() == Shape{2, 3});
  CHECK(zeros({0}).numel() == 0);
  const Tensor x = full({2, 3, 2, 2}, 7, float64).contiguous(MemoryFormat::channels_last);
  CHECK(zeros_like(x).strides() == x.strides());
  CHECK(full_like(x, 3).dtype() == float64);
  CHECK(ones_like(x).shape() == x.shape());
  CHECK(ones_like(x).to_vector<double>() == Values(24, 1));
  CHECK_THROWS_WITH(zeros({2, -1}), Catch::Contains("(2, -1) has a negative size"));
}

TEST_CASE("arange") {
  CHECK(arange(4).to_vector<int64_t>() == std::vector<int64_t>{0, 1, 2, 3});
  CHECK(arange(4).dtype() == int64);
  CHECK(arange(2, 11, 3).to_vector<int64_t>() == std::vector<int64_t>{2, 5, 8});
  CHECK(arange(5, 0, -2).to_vector<int64_t>() == std::vector<int64_t>{5, 3, 1});
  CHECK(arange(0.5, 2).to_vector<double>() == Values{0.5, 1.5});
  CHECK(arange(0.5, 2).dtype() == float32);
  CHECK(arange(0, 1, 0.25, float64).to_vector<double>() == Values{0, 0.25, 0.5, 0.75});
  CHECK(arange(0).numel() == 0);
  CHECK(arange(3, 3, -1).numel() == 0);
  const int64_t big = int64_t{1} << 60;
  CHECK(arange(big, big + 2).to_vector<int64_t>() == std::vector<int64_t>{big, big + 1});
  CHECK_THROWS_AS(arange(0, 5, 0), ValueError);
  CHECK_THROWS_AS(arange(5, 0), ValueError);
  CHECK_THROWS_AS(arange(0, INFINITY), ValueError);
  CHECK_THROWS_AS(arange(NAN), ValueError);
}

TEST_CASE("linspace hits both ends") {
  CHECK(linspace(0, 1, 5, float64).to_vector<double>() == Values{0, 0.25, 0.5, 0.75, 1});
  CHECK(linspace(1, -1, 3, float64).to_vector<double>() == Values{1, 0, -1});
  CHECK(linspace(2, 3, 1, float64).to_vector<double>() == Values{2});
  CHECK(linspace(2, 3, 0).numel() == 0);
  const Tensor x = linspace(0.1, 0.7, 101, float64);
  CHECK(x[0].item() == 0.1);
  CHECK(x[100].item() == 0.7);
  CHECK_THROWS_AS(linspace(0, 1, -1), ValueError);
}

TEST_CASE("eye") {
  CHECK(eye(2).to_vector<double>() == Values{1, 0, 0, 1});
  CHECK(eye(2, 3).to_vector<double>() == Values{1, 0, 0, 0, 1, 0});
  CHECK(eye(3, 2, int64).to_vector<double>() == Values{1, 0, 0, 1, 0, 0});
  CHECK(eye(0).shape() == Shape{0, 0});
  CHECK(eye(3, 0).shape() == Shape{3, 0});
  CHECK_THROWS_AS(eye(-2), Error);
  CHECK_THROWS_AS(eye(2, -3), Error);
}

TEST_CASE("what is too large for 64 bits or for the memory is an error that names the function and the bytes") {
  const int64_t wide = int64_t{1} << 40, half = int64_t{1} << 32;
  const auto bytes = [](const char* op) {
    return std::string("[") + op + "] there is no memory for 4398046511104 bytes";
  };
  CHECK_THROWS_WITH(zeros({wide}), Catch::StartsWith(bytes("zeros")));
  CHECK_THROWS_WITH(ones({wide}), Catch::StartsWith(bytes("ones")));
  CHECK_THROWS_WITH(empty({wide}), Catch::StartsWith(bytes("empty")));
  CHECK_THROWS_WITH(full({wide}, 1), Catch::StartsWith(bytes("full")));
  CHECK_THROWS_WITH(arange(0, wide, 1, float32), Catch::StartsWith(bytes("arange")));
  CHECK_THROWS_WITH(linspace(0, 1, wide), Catch::StartsWith(bytes("linspace")));
  CHECK_THROWS_WITH(eye(int64_t{1} << 20), Catch::StartsWith(bytes("eye")));
  CHECK_THROWS_WITH(rand({wide}), Catch::StartsWith(bytes("rand")));
  CHECK_THROWS_WITH(randn({wide}), Catch::StartsWith(bytes("randn")));
  CHECK_THROWS_WITH(randint(0, 2, {wide}, int32), Catch::StartsWith(bytes("randint")));
  CHECK_THROWS_WITH(randperm(wide / 2), Catch::StartsWith(bytes("randperm")));
  CHECK_THROWS_WITH(bernoulli({wide}, .5), Catch::StartsWith(bytes("bernoulli")));
  CHECK_THROWS_WITH(multinomial(ones({2}), wide / 2, true), Catch::StartsWith(bytes("multinomial")));
  CHECK_THROWS_WITH(zeros({half, half}), Catch::StartsWith("[zeros] the sizes"));
  CHECK_THROWS_WITH(zeros({INT64_MAX}), Catch::StartsWith("[zeros]"));
  CHECK_THROWS_WITH(zeros({-1}), Catch::StartsWith("[zeros] shape (-1,) has a negative size"));
  CHECK_THROWS_WITH(from_vector(std::vector<float>{1, 2}, {half, half}), Catch::StartsWith("[from_vector]"));
  CHECK_THROWS_WITH(from_vector(std::vector<float>{1, 2}, {3}), Catch::StartsWith("[from_vector] 2 values"));
  CHECK_THROWS_WITH(from_memory(nullptr, {half, half}, float32), Catch::StartsWith("[from_memory]"));
  CHECK(zeros({0, int64_t{1} << 60}).numel() == 0);
}

TEST_CASE("arange counts exactly up to the ends of int64") {
  CHECK_THROWS_WITH(arange(0, INT64_MIN, -1), Catch::StartsWith("[arange] there is no memory"));
  CHECK_THROWS_WITH(arange(INT64_MIN, INT64_MAX), Catch::StartsWith("[arange] there is no memory"));
  CHECK_THROWS_WITH(arange(0, 1e300), Catch::StartsWith("[arange] there is no memory"));
  CHECK(arange(INT64_MIN, INT64_MAX, INT64_MAX).to_vector<int64_t>() ==
        std::vector<int64_t>{INT64_MIN, -1, INT64_MAX - 1});
  CHECK(arange(INT64_MAX, INT64_MIN, INT64_MIN).to_vector<int64_t>() == std::vector<int64_t>{INT64_MAX, -1});
  const int64_t big = int64_t{1} << 60;
  CHECK_THROWS_WITH(arange(big + 1, big), Catch::Contains("leads away"));
}
