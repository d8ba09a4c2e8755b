#pragma once

namespace cotangent {

/// Bounds of a result, by default none.
struct Limits {
  double low = -__builtin_inf(), high = __builtin_inf();
  bool any() const { return low > -__builtin_inf() || high < __builtin_inf(); }
};

}  // namespace cotangent
