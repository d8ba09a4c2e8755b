#include <catch2/catch.hpp>

#include <cotangent/io/metadata.hpp>
#include <cotangent/tensor/error.hpp>

using namespace cotangent;
using Catch::Contains;

TEST_CASE("metadata are words in the order of their names") {
  io::Metadata words{{"step", "7"}, {"a", "first"}, {"a", "second"}};
  words["characters"] = "xyz";
  words["step"] += "0";
  CHECK(words.size() == 3);
  CHECK(words.at("a") == "first");
  CHECK(words.at("step") == "70");
  std::string names;
  for (const auto& [name, text] : words) names += name + "=" + text + ";";
  CHECK(names == "a=first;characters=xyz;step=70;");
  CHECK(words == io::Metadata{{"characters", "xyz"}, {"a", "first"}, {"step", "70"}});
  CHECK_FALSE(words == io::Metadata{{"characters", "xyz"}, {"a", "first"}, {"step", "7"}});

  words.erase("characters");
  words.erase("b");
  CHECK_FALSE(words.contains("characters"));
  CHECK(words.size() == 2);
  CHECK(words["new"].empty());
  CHECK(words.contains("new"));
}

TEST_CASE("metadata name what they have when asked for something else") {
  const io::Metadata words{{"step", "7"}, {"lr", "0.1"}};
  CHECK_THROWS_AS(words.at("seed"), IndexError);
  CHECK_THROWS_WITH(words.at("seed"), Contains("[metadata] there is no seed among the 2 words: lr, step"));
  CHECK_THROWS_WITH(io::Metadata().at("seed"), Contains("there is no seed among the 0 words"));
}
