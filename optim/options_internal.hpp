#pragma once
// What the options of optimizers are checked for. NaN fails each check.

namespace cotangent::optim::detail {

/// A ValueError unless value >= 0.
void check_not_negative(const char* optimizer, const char* option, double value);
/// A ValueError unless 0 <= value <= 1.
void check_fraction(const char* optimizer, const char* option, double value);
/// A ValueError unless both are in [0, 1): at 1 a mean would never take anything in.
void check_betas(const char* optimizer, const double (&betas)[2]);

}  // namespace cotangent::optim::detail
