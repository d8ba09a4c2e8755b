#include <cotangent/tensor/state_dict.hpp>

#include <catch2/catch.hpp>
#include <cotangent/tensor/create.hpp>

using namespace cotangent;

namespace {
template <class Key>
constexpr bool reads = requires(const nn::StateDict& state, Key key) {
  state[key];
};
// a literal 0 is a null pointer as well as a number
template <class State>
constexpr bool reads_0 = requires(const State& state) {
  state[0];
};
}  // namespace

TEST_CASE("a state_dict is read by name") {
  STATIC_REQUIRE(reads<const char*>);
  STATIC_REQUIRE(reads<std::string>);
  STATIC_REQUIRE_FALSE(reads<int>);
  STATIC_REQUIRE_FALSE(reads<std::nullptr_t>);
  STATIC_REQUIRE_FALSE(reads_0<nn::StateDict>);
  const nn::StateDict state{{"attention.weight", ones({2})}, {"mlp.weight", ones({3})}};
  CHECK_THROWS_WITH(state["attention.wight"], Catch::Contains("did you mean attention.weight?"));
  CHECK_THROWS_AS(state["x"], IndexError);
  CHECK_FALSE(state.get("x").defined());
  nn::StateDict twice;
  twice.add("a", ones({1}));
  CHECK_THROWS_AS(twice.add("a", ones({1})), ValueError);
  CHECK_THROWS_AS((nn::StateDict{{"a", ones({1})}, {"a", ones({1})}}), ValueError);
}

TEST_CASE("a state_dict keeps the order of many names, and finds each") {
  constexpr int64_t kCount = 1000;
  StateDict state;
  for (int64_t i = 0; i < kCount; ++i) state.add("layer." + std::to_string(i), tensor(i));
  const StateDict copy = state.clone();
  Tensor(state.get("layer.7")).fill_(0);
  int64_t i = 0;
  for (const auto& [name, value] : copy) {
    REQUIRE(name == "layer." + std::to_string(i));
    REQUIRE(value.item<int64_t>() == i++);
    REQUIRE(copy[name].impl() == value.impl());
  }
  CHECK(i == kCount);
  CHECK_FALSE(copy.contains("layer."));
  CHECK_THROWS_AS(state.add("layer.999", tensor(0)), ValueError);
}
