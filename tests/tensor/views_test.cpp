// Views against naive indexing, what they share, and what they refuse.
#include <catch2/catch.hpp>

#include <algorithm>
#include <limits>

#include <cotangent/cotangent.hpp>
#include <cotangent/tensor/views.hpp>
#include <cotangent/tests/values.hpp>

using namespace cotangent;

namespace {

Tensor counted(const Shape& shape) { return reshape(to(arange(shape.product()), float64), shape); }
/// The element at an index, by strides alone.
double at(const Tensor& x, std::initializer_list<int64_t> index) {
  const double* p = x.data<double>();
  int d = 0;
  for (int64_t i : index) p += i * x.strides()[d++];
  return *p;
}

}  // namespace

TEST_CASE("permute, transpose and t rename dimensions") {
  const Tensor x = counted({2, 3, 4});
  const Tensor p = permute(x, {2, 0, -2});
  REQUIRE(p.shape() == Shape{4, 2, 3});
  CHECK(p.shares_storage(x));
  for (int64_t i = 0; i < 2; ++i)
    for (int64_t j = 0; j < 3; ++j)
      for (int64_t k = 0; k < 4; ++k) {
        CHECK(at(p, {k, i, j}) == at(x, {i, j, k}));
        CHECK(at(transpose(x, 0, -1), {k, j, i}) == at(x, {i, j, k}));
      }
  CHECK(to_values(counted({2, 3}).t()) == Values{0, 3, 1, 4, 2, 5});
  CHECK(t(counted({3})).shape() == Shape{3});
  CHECK(permute(counted({}), {}).rank() == 0);
  CHECK(transpose(counted({}), 0, -1).rank() == 0);
  CHECK_THROWS_WITH(permute(x, {0, 1}), Catch::Contains("[permute] 2 dimensions are given for shape (2, 3, 4)"));
  CHECK_THROWS_AS(permute(x, {0, 1, 1}), IndexError);
  CHECK_THROWS_AS(permute(x, {0, 1, 3}), IndexError);
  CHECK_THROWS_AS(transpose(x, 0, 3), IndexError);
  CHECK_THROWS_WITH(t(x), Catch::Contains("[t]"));
}

TEST_CASE("select, slice and narrow take parts") {
  const Tensor x = counted({3, 4});
  CHECK(to_values(select(x, 0, 1)) == Values{4, 5, 6, 7});
  CHECK(to_values(select(x, -1, -2)) == Values{2, 6, 10});
  CHECK(x[2][3].item() == 11);
  CHECK(to_values(slice(x, 0, 1, 3)) == Values{4, 5, 6, 7, 8, 9, 10, 11});
  CHECK(to_values(slice(x, 1, 0, 4, 2)) == Values{0, 2, 4, 6, 8, 10});
  CHECK(to_values(slice(x, 1, 1, 4, 2)) == Values{1, 3, 5, 7, 9, 11});
  CHECK(to_values(slice(x, 1, -1, 100)) == Values{3, 7, 11});
  CHECK(to_values(slice(x, 0, -100, -2)) == Values{0, 1, 2, 3});
  CHECK(slice(x, 0, 2, 1).shape() == Shape{0, 4});
  CHECK(slice(x, 0, 3, 9).shape() == Shape{0, 4});
  CHECK(slice(x, 0, 0, 3, 100).shape() == Shape{1, 4});
  CHECK(to_values(narrow(x, 1, 1, 2)) == Values{1, 2, 5, 6, 9, 10});
  CHECK(narrow(x, 0, 3, 0).shape() == Shape{0, 4});
  CHECK(to_values(narrow(x, 0, -1, 1)) == Values{8, 9, 10, 11});
  CHECK_THROWS_WITH(select(x, 1, 4),
                    Catch::Contains("[select] index 4 is out of range for dimension 1 of shape (3, 4)"));
  CHECK_THROWS_AS(select(x, 1, -5), IndexError);
  CHECK_THROWS_AS(x[3], IndexError);
  CHECK_THROWS_AS(counted({})[0], IndexError);
  CHECK_THROWS_AS(slice(counted({}), 0, 0, 1), IndexError);
  CHECK_THROWS_WITH(slice(x, 0, 0, 3, 0), Catch::Contains("step 0"));
  CHECK_THROWS_AS(slice(x, 0, 0, 3, -1), ValueError);
  CHECK_THROWS_AS(narrow(x, 0, 2, 2), IndexError);
  CHECK_THROWS_AS(narrow(x, 0, -4, 1), IndexError);
  CHECK_THROWS_AS(narrow(x, 0, 0, -1), IndexError);
  CHECK_THROWS_AS(select(zeros({0, 2}), 0, 0), IndexError);
  const int64_t large = std::numeric_limits<int64_t>::max();
  CHECK(slice(x, 0, 0, large, large).shape() == Shape{1, 4});
  CHECK_THROWS_AS(narrow(x, 0, 1, large), IndexError);
}

TEST_CASE("expand repeats without a copy") {
  const Tensor x = counted({2, 1});
  const Tensor y = expand(x, {3, 2, 4});
  CHECK(y.strides() == Strides{0, 1, 0});
  CHECK(y.shares_storage(x));
  CHECK(to_values(y[1]) == Values{0, 0, 0, 0, 1, 1, 1, 1});
  CHECK(expand(x, {-1, 5}).shape() == Shape{2, 5});
  CHECK(expand(x, {2, 0}).numel() == 0);
  CHECK(broadcast_to(counted({}), {2}).shape() == Shape{2});
  CHECK_THROWS_WITH(expand(x, {3, 1}), Catch::Contains("shape (2, 1) can't be expanded to (3, 1)"));
  CHECK_THROWS_AS(expand(x, {2}), ShapeError);
  CHECK_THROWS_AS(expand(x, {-1, 2, 1}), ShapeError);
  CHECK_THROWS_AS(expand(x, {2, -2}), ShapeError);
}

TEST_CASE("squeeze and unsqueeze") {
  const Tensor x = counted({1, 3, 1, 2});
  CHECK(squeeze(x).shape() == Shape{3, 2});
  CHECK(squeeze(x, 0).shape() == Shape{3, 1, 2});
  CHECK(squeeze(x, -2).shape() == Shape{1, 3, 2});
  CHECK(squeeze(x, 1).shape() == x.shape());
  CHECK(squeeze(counted({}), 0).rank() == 0);
  CHECK(squeeze(counted({1})).rank() == 0);
  CHECK(unsqueeze(counted({2, 3}), 0).shape() == Shape{1, 2, 3});
  CHECK(unsqueeze(counted({2, 3}), -1).shape() == Shape{2, 3, 1});
  CHECK(unsqueeze(counted({2, 3}), -3).shape() == Shape{1, 2, 3});
  CHECK(unsqueeze(counted({}), 0).shape() == Shape{1});
  CHECK_THROWS_AS(unsqueeze(counted({2, 3}), 3), IndexError);
  CHECK_THROWS_AS(squeeze(x, 4), IndexError);
}

TEST_CASE("reshape is a view where the strides allow it, else a copy in row-major order") {
  const Tensor x = counted({2, 3, 4});
  for (const Shape& shape :
       {Shape{24}, Shape{6, 4}, Shape{2, 12}, Shape{4, 3, 2}, Shape{1, 24, 1}, Shape{-1, 8}, Shape{2, -1, 1, 2}}) {
    const Tensor y = reshape(x, shape);
    CHECK(y.shares_storage(x));
    CHECK(to_values(y) == to_values(x));
  }
  CHECK(reshape(x, {-1, 8}).shape() == Shape{3, 8});
  const Tensor t = transpose(x, 0, 1);  // (3, 2, 4), strides (4, 12, 1)
  CHECK(reshape(t, {3, 2, 2, 2}).shares_storage(x));
  CHECK(reshape(t, {3, 1, 2, 4}).shares_storage(x));
  CHECK_FALSE(reshape(t, {6, 4}).shares_storage(x));
  CHECK(to_values(reshape(t, {6, 4})) == to_values(t));
  CHECK(to_values(reshape(t, {3, 2, 2, 2})) == to_values(t));
  const Tensor part = slice(x, 2, 0, 4, 2);  // (2, 3, 2), strides (12, 4, 2)
  CHECK(reshape(part, {12}).shares_storage(x));
  CHECK(to_values(reshape(part, {12})) == to_values(part));
  const Tensor repeated = expand(counted({3, 1}), {3, 4});
  CHECK(to_values(reshape(repeated, {12})) == to_values(repeated));
  CHECK(to_values(reshape(repeated, {3, 2, 2})) == to_values(repeated));
  CHECK(reshape(repeated, {3, 2, 2}).shares_storage(repeated));
  CHECK_FALSE(reshape(repeated, {12}).shares_storage(repeated));
  CHECK(reshape(counted({1}), {}).rank() == 0);
  CHECK(reshape(counted({}), {1, 1}).shape() == Shape{1, 1});
  CHECK(reshape(zeros({0, 3}), {3, 0}).shape() == Shape{3, 0});
  CHECK_THROWS_WITH(reshape(x, {5, 5}),
                    Catch::Contains("[reshape] shape (2, 3, 4) with 24 elements can't become (5, 5) with 25"));
  CHECK_THROWS_AS(reshape(x, {-1, -1}), ShapeError);
  CHECK_THROWS_AS(reshape(x, {-1, 5}), ShapeError);
  CHECK_THROWS_AS(reshape(x, {-2, -12}), ShapeError);
  CHECK_THROWS_AS(reshape(zeros({0, 3}), {-1, 0}), ShapeError);
  CHECK_THROWS_WITH(view(t, {6, 4}), Catch::Contains("[view]") && Catch::Contains("use reshape"));
  CHECK(view(x, {6, 4}).shares_storage(x));
}

TEST_CASE("every reshape of every permuted part keeps the order of the elements") {
  const Tensor x = counted({2, 2, 3, 2});
  const Shape shapes[] = {{24}, {2, 12}, {4, 6}, {6, 4}, {2, 2, 6}, {2, 3, 4}, {3, 2, 2, 2}, {12, 1, 2}, {1, 8, 3}};
  int64_t order[] = {0, 1, 2, 3};
  do {
    const Tensor y = permute(x, order);
    for (const Shape& shape : shapes) {
      CHECK(to_values(reshape(y, shape)) == to_values(y));
      const Tensor tried = raw::try_view("test", y, shape);
      if (tried.defined()) CHECK(to_values(tried) == to_values(y));
    }
  } while (std::next_permutation(order, order + 4));
}

TEST_CASE("flatten and unflatten") {
  const Tensor x = counted({2, 3, 4});
  CHECK(flatten(x).shape() == Shape{24});
  CHECK(flatten(x, 1).shape() == Shape{2, 12});
  CHECK(flatten(x, 0, 1).shape() == Shape{6, 4});
  CHECK(flatten(x, -2, -1).shape() == Shape{2, 12});
  CHECK(flatten(x, 1, 1).shape() == x.shape());
  CHECK(flatten(counted({})).shape() == Shape{1});
  CHECK(unflatten(x, 2, {2, 2}).shape() == Shape{2, 3, 2, 2});
  CHECK(unflatten(x, -1, {-1, 2, 1}).shape() == Shape{2, 3, 2, 2, 1});
  CHECK_THROWS_AS(flatten(x, 2, 1), ShapeError);
  CHECK_THROWS_AS(unflatten(x, 2, {3, 2}), ShapeError);
  CHECK_THROWS_AS(unflatten(x, 2, {-1, -1}), ShapeError);
  CHECK_THROWS_AS(unflatten(x, 2, {-1, 3}), ShapeError);
  CHECK_THROWS_AS(unflatten(x, 3, {1}), IndexError);
}

TEST_CASE("diagonal") {
  const Tensor x = counted({3, 4});
  CHECK(to_values(diagonal(x)) == Values{0, 5, 10});
  CHECK(to_values(diagonal(x, 1)) == Values{1, 6, 11});
  CHECK(to_values(diagonal(x, 3)) == Values{3});
  CHECK(to_values(diagonal(x, -2)) == Values{8});
  CHECK(diagonal(x, 4).numel() == 0);
  CHECK(diagonal(x, -9).numel() == 0);
  CHECK(to_values(diagonal(x, 1, 1, 0)) == Values{4, 9});
  const Tensor y = counted({2, 3, 2});
  CHECK(diagonal(y, 0, 0, 2).shape() == Shape{3, 2});
  CHECK(to_values(diagonal(y, 0, 0, 2)) == Values{0, 7, 2, 9, 4, 11});
  CHECK_THROWS_AS(diagonal(counted({3})), Error);
  CHECK_THROWS_AS(diagonal(x, 0, 1, 1), Error);
}

TEST_CASE("unfold") {
  const Tensor x = counted({7});
  CHECK(to_values(unfold(x, 0, 3, 2)) == Values{0, 1, 2, 2, 3, 4, 4, 5, 6});
  CHECK(to_values(unfold(x, 0, 2, 4)) == Values{0, 1, 4, 5});
  const Tensor y = counted({2, 4});
  CHECK(unfold(y, 1, 3, 1).shape() == Shape{2, 2, 3});
  CHECK(to_values(unfold(y, 0, 2, 1)) == Values{0, 4, 1, 5, 2, 6, 3, 7});
  CHECK_THROWS_AS(unfold(x, 0, 8, 1), ValueError);
  CHECK_THROWS_AS(unfold(x, 0, 0, 1), ValueError);
  CHECK_THROWS_AS(unfold(x, 0, 2, 0), ValueError);
  CHECK_THROWS_AS(unfold(counted({}), 0, 1, 1), ShapeError);
}

TEST_CASE("as_strided") {
  const Tensor x = counted({2, 3});
  CHECK(to_values(as_strided(x, {2, 2}, {1, 2}, 1)) == Values{1, 3, 2, 4});
  CHECK(to_values(as_strided(x, {3}, {-2}, 5)) == Values{5, 3, 1});
  CHECK(as_strided(x, {}, {}, 4).item() == 4);
  CHECK(to_values(as_strided(x.t(), {6}, {1}, 0)) == Values{0, 1, 2, 3, 4, 5});  // in the order of memory
  CHECK_THROWS_AS(as_strided(x, {4}, {2}, 0), IndexError);
  CHECK_THROWS_AS(as_strided(x, {2}, {-1}, 0), IndexError);
  CHECK(as_strided(x, {0}, {100}, 0).numel() == 0);
}

TEST_CASE("views reach the memory of their base") {
  Tensor x = counted({3, 4});
  x.transpose(0, 1)[2].select(0, 1).fill_(100);
  CHECK(at(x, {1, 2}) == 100);
  x.view({2, 6}).slice(1, 4, 6).copy_(full({2, 2}, 7, float64));
  CHECK(to_values(x) == Values{0, 1, 2, 3, 7, 7, 100, 7, 8, 9, 7, 7});
  diagonal(x).zero_();
  CHECK(at(x, {2, 2}) == 0);
  CHECK(x.shares_storage(x.detach()));
  CHECK_FALSE(x.shares_storage(x.clone()));
}

TEST_CASE("overlap is found exactly for views of dense tensors") {
  const Tensor x = counted({4, 6});
  CHECK_FALSE(raw::overlaps(x));
  CHECK_FALSE(raw::overlaps(x.t()));
  CHECK_FALSE(raw::overlaps(slice(x, 1, 0, 6, 3)));
  CHECK_FALSE(raw::overlaps(diagonal(x)));
  CHECK_FALSE(raw::overlaps(expand(counted({2, 1}), {2, 1})));
  CHECK_FALSE(raw::overlaps(unfold(counted({6}), 0, 2, 2)));
  CHECK_FALSE(raw::overlaps(unfold(counted({6}), 0, 2, 3)));
  CHECK_FALSE(raw::overlaps(expand(counted({1}), {0})));
  CHECK(raw::overlaps(unfold(counted({6}), 0, 3, 2)));
  CHECK(raw::overlaps(expand(counted({2, 1}), {2, 3})));
}

TEST_CASE("views whose sizes multiply beyond 64 bits are errors under the name of the function") {
  const int64_t half = int64_t{1} << 32, quarter = int64_t{1} << 62;
  const Tensor x = zeros({4}), one = zeros({1, 1});
  CHECK_THROWS_WITH(x.reshape({quarter + 1, 4}), Catch::StartsWith("[reshape] the sizes"));
  CHECK_THROWS_WITH(x.view({quarter + 1, 4}), Catch::StartsWith("[view] the sizes"));
  CHECK_THROWS_WITH(x.reshape({half, half, -1}), Catch::StartsWith("[reshape] the sizes"));
  CHECK_THROWS_WITH(zeros({0}).reshape({half, half, 0}), Catch::StartsWith("[reshape] the sizes"));
  CHECK_THROWS_WITH(x.unflatten(0, {quarter + 1, 4}), Catch::StartsWith("[unflatten] the sizes"));
  CHECK_THROWS_WITH(one.expand({half, half}), Catch::StartsWith("[expand] the sizes"));
  CHECK(one.expand({half, half / 4}).numel() == quarter);
  CHECK_THROWS_WITH(one.expand({half, half / 4}) + 1, Catch::StartsWith("[add] there is no memory"));
  CHECK_THROWS_WITH(as_strided(x, {half, 2}, {half, 1}, 0), Catch::StartsWith("[as_strided]"));
  CHECK_THROWS_WITH(as_strided(x, {half + 1}, {half}, 0), Catch::StartsWith("[as_strided]"));
  CHECK_THROWS_WITH(as_strided(x, {3}, {quarter}, INT64_MIN), Catch::StartsWith("[as_strided]"));
  CHECK_THROWS_WITH(as_strided(x, {2}, {1, 1}, 0), Catch::StartsWith("[as_strided]"));
  CHECK_THROWS_WITH(as_strided(x, {-2}, {1}, 0), Catch::StartsWith("[as_strided]"));
  CHECK(as_strided(x, {1, 2}, {INT64_MAX, 1}, 2).to_vector<double>() == std::vector<double>{0, 0});
  CHECK(unfold(x, 0, 4, INT64_MAX).shape() == Shape{1, 4});
  CHECK(x.slice(0, INT64_MIN, INT64_MAX, INT64_MAX).shape() == Shape{1});
  CHECK(diagonal(one, INT64_MIN).numel() == 0);
  CHECK(diagonal(one, INT64_MAX).numel() == 0);
  CHECK_THROWS_AS(narrow(x, 0, INT64_MAX, INT64_MAX), IndexError);
  CHECK_THROWS_AS(narrow(x, 0, INT64_MIN, 1), IndexError);
}
