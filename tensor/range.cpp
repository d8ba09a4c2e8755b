#include <cotangent/tensor/range.hpp>

#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::detail {

void out_of_range(const char* owner, std::string_view option, double value, Range range) {
  switch (range) {
    case Range::not_negative: fail<ValueError>("[{}] {} is {}; it must be 0 or more", owner, option, value);
    case Range::at_least_1: fail<ValueError>("[{}] {} is {}; it must be 1 or more", owner, option, value);
    case Range::fraction: fail<ValueError>("[{}] {} is {}; it must be in [0, 1]", owner, option, value);
    case Range::beta: break;
  }
  fail<ValueError>("[{}] a beta is {}; both must be in [0, 1)", owner, value);
}

}  // namespace cotangent::detail
