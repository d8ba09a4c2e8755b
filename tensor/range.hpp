#pragma once
// What numbers among options are checked for. NaN fails each check.
#include <cstdint>
#include <string_view>

namespace cotangent::detail {

enum class Range : uint8_t {
  not_negative,
  at_least_1,
  fraction,  ///< in [0, 1]
  beta,      ///< in [0, 1): at 1 a mean would never take anything in
};
inline bool is_in(Range range, double value) {
  if (range == Range::not_negative || range == Range::at_least_1) return value >= (range == Range::at_least_1);
  return value >= 0 && (range == Range::beta ? value < 1 : value <= 1);
}
/// A ValueError that says what `range` is.
[[noreturn]] void out_of_range(const char* owner, std::string_view option, double value, Range range);

/// A ValueError unless value >= 0.
inline void check_not_negative(const char* owner, const char* option, double value) {
  if (!is_in(Range::not_negative, value)) out_of_range(owner, option, value, Range::not_negative);
}
/// A ValueError unless 0 <= value <= 1.
inline void check_fraction(const char* owner, const char* option, double value) {
  if (!is_in(Range::fraction, value)) out_of_range(owner, option, value, Range::fraction);
}

}  // namespace cotangent::detail
