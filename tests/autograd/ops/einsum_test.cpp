// einsum against PyTorch's, for the equations that reference/make_einsum.py made up.
#include <cotangent/autograd/ops/einsum.hpp>

#include <catch2/catch.hpp>

#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/error.hpp>

#include "../../json.hpp"

using namespace cotangent;

namespace {
/// i * 7 % 5 - 2 at element i.
Tensor small_integers(const Shape& shape) {
  std::vector<double> values(static_cast<size_t>(shape.product()));
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i * 7 % 5) - 2;
  return from_vector(values, shape);
}
}  // namespace

TEST_CASE("einsum gives what PyTorch gives") {
  const Json data("einsum.json");
  REQUIRE(data.size() == 60);
  for (const Json& test : data) {
    const std::string equation = test["equation"];
    INFO(equation << " of " << test["shapes"]);
    Tensors operands;
    for (const Json& shape : test["shapes"]) operands.push_back(small_integers(dims_of(shape)));
    const Tensor y = einsum(equation, operands);
    CHECK(y.shape() == dims_of(test["y_shape"]));
    CHECK(y.to_vector<double>() == test["y"].get<std::vector<double>>());
  }
}

TEST_CASE("einsum of one operand takes views where it can") {
  const Tensor x = small_integers({2, 3, 3});
  CHECK(einsum("abc->cab", {x}).shares_storage(x));
  CHECK(einsum("abb->ba", {x}).shares_storage(x));
}

TEST_CASE("einsum sums in integers too") {
  const Tensor a = tensor({{1, 2}, {3, 4}}), b = tensor({10, 100});
  CHECK(einsum("ij,j->i", {a, b}).to_vector<int64_t>() == std::vector<int64_t>{210, 430});
}

TEST_CASE("einsum rejects what it can't read") {
  const Tensor x = small_integers({2, 3});
  for (const char* bad : {"i.j->ij", "ij..", "ij->i->j", "i-j", "ij;k", "é"}) {
    INFO(bad);
    CHECK_THROWS_AS(einsum(bad, {x}), ValueError);
  }
  CHECK_THROWS_AS(einsum("ij", {}), ValueError);
  CHECK_THROWS_AS(einsum("", {x}), ShapeError);
  CHECK_THROWS_AS(einsum("ij,ik->jk", {x, small_integers({3, 2})}), ShapeError);
}
