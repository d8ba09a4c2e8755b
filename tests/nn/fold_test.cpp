#include <cotangent/nn/fold.hpp>

#include <catch2/catch.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/random.hpp>

using namespace cotangent;

TEST_CASE("Unfold and Fold are im2col and col2im") {
  const FoldOptions o{.dilation = {1, 2}, .padding = 1, .stride = {2, 3}};
  const Tensor x = randn({2, 3, 6, 7});
  nn::Unfold unfold({3, 2}, o);
  nn::Fold fold({6, 7}, {3, 2}, o);
  CHECK(equal(unfold(x), im2col(x, {3, 2}, o)));
  CHECK(equal(fold(unfold(x)), col2im(im2col(x, {3, 2}, o), {6, 7}, {3, 2}, o)));
  CHECK(unfold.settings() == "(3, 2), dilation = (1, 2), padding = 1, stride = (2, 3)");
  CHECK(fold.settings() == "(6, 7), (3, 2), dilation = (1, 2), padding = 1, stride = (2, 3)");
  CHECK(nn::Fold(4, 2).settings() == "4, 2");
  CHECK_THROWS_WITH(nn::Unfold(0), Catch::Contains("[Unfold] kernel_size (0, 0)"));
  CHECK_THROWS_WITH(nn::Fold(0, 2), Catch::Contains("[Fold] output_size (0, 0)"));
  CHECK_THROWS_AS(nn::Unfold({1, 2, 3}), ShapeError);
  CHECK_THROWS_AS(nn::Unfold(2, {.stride = 0}), ValueError);
}
