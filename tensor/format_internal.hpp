// Private: formatting and throwing for the .cpp files. fmt never reaches a public header.
#pragma once
#include <fmt/core.h>  // the small one: each of its users compiles half a second faster than with <fmt/format.h>

#include <cotangent/tensor/tensor.hpp>

namespace cotangent::detail {
/// Formats a T with "{}". The text is made in format.cpp, once for all users.
template <class T>
struct Formatter {
  constexpr auto parse(fmt::format_parse_context& context) { return context.begin(); }
  fmt::appender format(const T& value, fmt::format_context& context) const;
};
}  // namespace cotangent::detail

template <>
struct fmt::formatter<cotangent::Dims> : cotangent::detail::Formatter<cotangent::Dims> {};
template <>
struct fmt::formatter<cotangent::Dtype> : cotangent::detail::Formatter<cotangent::Dtype> {};

namespace cotangent {

/// Throws E with the formatted message: fail<ShapeError>("[{}] expected ..., got {}; ...", op, x.shape()).
template <class E, class... Args>
[[noreturn]] void fail(fmt::format_string<const Args&...> format, const Args&... args) {
  throw E(fmt::vformat(format, fmt::make_format_args(args...)));
}

}  // namespace cotangent
