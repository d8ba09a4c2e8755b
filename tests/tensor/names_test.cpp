#include <cotangent/tensor/names.hpp>

#include <catch2/catch.hpp>

using namespace cotangent;

TEST_CASE("the nearest name is the one with the fewest edits, if it is near") {
  CHECK(nearest_name("mlp.wieght", {"mlp.bias", "mlp.weight"}) == "mlp.weight");
  CHECK(nearest_name("abcd", {"abxy", "abcx"}) == "abcx");
  CHECK(nearest_name("weight", {"bias", "scale"}).empty());
  CHECK(nearest_name("weight", {}).empty());
}

TEST_CASE("the names of a macro's arguments are taken one by one") {
  const char* names = "fc1, fc2,  head";
  CHECK(detail::next_name(names) == "fc1");
  CHECK(detail::next_name(names) == "fc2");
  CHECK(detail::next_name(names) == "head");
  CHECK(detail::next_name(names).empty());
}
