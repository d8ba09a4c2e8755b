#pragma once
// gradcheck in tests with Catch2, of version 2 or 3, which includes this and finds Catch2 by itself:
//
//     #include <cotangent/autograd/gradcheck/catch2.hpp>
//
//     TEST_CASE("the gradient of my layer") {
//       CHECK_THAT(gradcheck(MyLayer(3), {randn({4, 3})}), GradientsAreRight());
//     }
//
// Where the gradients are not right, or could not be shown to be, the test fails with the text of the report.
#if __has_include(<catch2/matchers/catch_matchers.hpp>)
#include <catch2/catch_test_macros.hpp>
#include <catch2/catch_tostring.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#else
#include <catch2/catch.hpp>
#endif

#include <cotangent/autograd/gradcheck/report.hpp>

namespace cotangent {

/// Accepts a report whose verdict is `pass`.
struct GradientsAreRight
#if __has_include(<catch2/matchers/catch_matchers.hpp>)
    : Catch::Matchers::MatcherBase<GradcheckReport> {
#else
    : Catch::MatcherBase<GradcheckReport> {
#endif
  bool match(const GradcheckReport& report) const override { return report.ok(); }
  std::string describe() const override { return "has gradients that are right"; }
};

}  // namespace cotangent

/// A report is shown as its text.
template <>
struct Catch::StringMaker<cotangent::GradcheckReport> {
  static std::string convert(const cotangent::GradcheckReport& report) { return report.to_string(); }
};
