// Private: formatting and throwing for the .cpp files. fmt never reaches a public header.
#pragma once
#include <fmt/format.h>

#include <cotangent/tensor/tensor.hpp>

template <>
struct fmt::formatter<cotangent::Dims> : fmt::formatter<std::string> {
  template <class Context>
  auto format(const cotangent::Dims& dims, Context& context) const {
    return fmt::formatter<std::string>::format(cotangent::to_string(dims), context);
  }
};
template <>
struct fmt::formatter<cotangent::Dtype> : fmt::formatter<std::string> {
  template <class Context>
  auto format(cotangent::Dtype dtype, Context& context) const {
    return fmt::formatter<std::string>::format(cotangent::name(dtype), context);
  }
};

namespace cotangent {

/// Throws E with the formatted message: fail<ShapeError>("[{}] expected ..., got {}; ...", op, x.shape()).
template <class E, class... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw E(fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace cotangent
