#include <algorithm>
#include <string_view>

#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::detail {
namespace {

fmt::appender append(std::string_view text, fmt::format_context& context) {
  return std::copy(text.begin(), text.end(), context.out());
}

}  // namespace

template <>
fmt::appender Formatter<Dims>::format(const Dims& dims, fmt::format_context& context) const {
  return append(to_string(dims), context);
}
template <>
fmt::appender Formatter<Dtype>::format(const Dtype& dtype, fmt::format_context& context) const {
  return append(name(dtype), context);
}

}  // namespace cotangent::detail
