#include <catch2/catch.hpp>

#include <cotangent/cotangent.hpp>

using namespace cotangent;

TEST_CASE("Dims holds up to kMaxRank sizes inline") {
  Dims d{2, 3, 4};
  CHECK(d.rank() == 3);
  CHECK(d.product() == 24);
  CHECK(d.back() == 4);
  d.push_back(5);
  d.insert(0, 1);
  CHECK(d == Dims{1, 2, 3, 4, 5});
  d.erase(1);
  CHECK(d == Dims{1, 3, 4, 5});
  CHECK(d.slice(1, 3) == Dims{3, 4});
  CHECK(d.slice(2, 2).empty());
  CHECK(d != Dims{1, 3, 4});
  CHECK(Dims().product() == 1);
  CHECK(Dims::filled(2, 7) == Dims{7, 7});
  CHECK_THROWS_AS(Dims::filled(kMaxRank + 1, 1), ShapeError);
  Dims full = Dims::filled(kMaxRank, 1);
  CHECK_THROWS_WITH(full.push_back(1), Catch::Contains("13") && Catch::Contains("at most 12"));
  CHECK(full.rank() == kMaxRank);
  CHECK_THROWS_AS(zeros(full).unsqueeze(0), ShapeError);
}

TEST_CASE("Dims are made of any list of int64_t") {
  const std::vector<int64_t> list{2, 3};
  const int64_t sizes[] = {2, 3};
  CHECK(Dims(list) == Dims{2, 3});
  CHECK(Dims(std::span(sizes)) == Dims{2, 3});
  CHECK(zeros(std::span<const int64_t>(list)).shape() == Dims{2, 3});
  CHECK_FALSE(std::is_convertible_v<std::vector<int>, Dims>);
  CHECK_FALSE(std::is_convertible_v<std::string, Dims>);
}

TEST_CASE("shapes print as tuples") {
  CHECK(to_string(Shape{}) == "()");
  CHECK(to_string(Shape{4}) == "(4,)");
  CHECK(to_string(Shape{2, 3}) == "(2, 3)");
}

TEST_CASE("contiguous strides") {
  CHECK(contiguous_strides({2, 3, 4}) == Strides{12, 4, 1});
  CHECK(contiguous_strides({}) == Strides{});
  CHECK(contiguous_strides({2, 0, 4}) == Strides{4, 4, 1});
  CHECK(zeros({2, 0, 4}).strides() == Strides{4, 4, 1});
  CHECK(zeros({2, 0, 4}).is_contiguous());
  CHECK(zeros({2, 0, 4}).detach().is_contiguous());
}

TEST_CASE("shapes broadcast by NumPy's rule") {
  CHECK(broadcast_shapes("f", {}, {2, 3}) == Shape{2, 3});
  CHECK(broadcast_shapes("f", {3}, {2, 3}) == Shape{2, 3});
  CHECK(broadcast_shapes("f", {2, 1}, {3}) == Shape{2, 3});
  CHECK(broadcast_shapes("f", {2, 1, 4}, {1, 3, 1}) == Shape{2, 3, 4});
  CHECK(broadcast_shapes("f", {0}, {1}) == Shape{0});
  CHECK(broadcast_shapes("f", {1, 2}, {0, 1}) == Shape{0, 2});
  CHECK_THROWS_WITH(broadcast_shapes("f", {2, 3}, {2}),
                    Catch::Contains("[f] shapes (2, 3) and (2,) do not broadcast") &&
                        Catch::Contains("dimension 1 from the right is 3 and 2"));
  CHECK_THROWS_AS(broadcast_shapes("f", {0}, {2}), ShapeError);
  CHECK_THROWS_WITH(ones({2, 3}) + ones({4, 3}), Catch::Contains("[add]"));
}

TEST_CASE("dimensions count from both ends") {
  CHECK(checked_dim("f", 0, 3) == 0);
  CHECK(checked_dim("f", -1, 3) == 2);
  CHECK(checked_dim("f", -3, 3) == 0);
  CHECK(checked_dim("f", -1, 0) == 0);
  CHECK(checked_dim("f", 0, 0) == 0);
  CHECK_THROWS_WITH(checked_dim("f", 3, 3),
                    Catch::Contains("[f] dimension 3 is out of range for a tensor of rank 3; it must be from -3 to 2"));
  CHECK_THROWS_AS(checked_dim("f", -4, 3), IndexError);
  CHECK_THROWS_AS(checked_dim("f", 1, 0), IndexError);
  const int64_t two[] = {0, -1}, twice[] = {1, -2};
  CHECK(checked_dims("f", two, 3) == 0b101u);
  CHECK(checked_dims("f", {}, 3) == 0b111u);
  CHECK_THROWS_WITH(checked_dims("f", twice, 3), Catch::Contains("given twice"));
}

TEST_CASE("an index of Dims counts from the end when negative, and is checked") {
  const Dims d{2, 3, 4};
  CHECK(d[-1] == 4);
  CHECK(d[-3] == 2);
  Dims e = d;
  e[-2] = 7;
  CHECK(e == Dims{2, 7, 4});
  CHECK(zeros({5, 6}).shape()[-1] == 6);
  CHECK_THROWS_WITH(d[3], "[shape] index 3 is out of range for (2, 3, 4) with 3 entries; it must be from -3 to 2");
  CHECK_THROWS_AS(d[-4], IndexError);
  CHECK_THROWS_AS(Dims()[0], IndexError);
  CHECK_THROWS_AS(Dims()[-1], IndexError);
}

TEST_CASE("a product of sizes that 64 bits do not hold is an error, even where one of them is 0") {
  const int64_t half = int64_t{1} << 32;
  CHECK(Dims{half, half / 2 - 1}.product() == half * (half / 2 - 1));
  CHECK(Dims{half, 0, half / 4}.product() == 0);
  CHECK_THROWS_WITH((Dims{half, half}.product("op")), Catch::Contains("[op] the sizes (4294967296, 4294967296)"));
  CHECK_THROWS_AS((Dims{half, 0, half}.product()), ShapeError);
  CHECK_THROWS_AS((Dims{INT64_MIN, -1}.product()), ShapeError);
}
