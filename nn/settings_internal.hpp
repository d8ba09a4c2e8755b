#pragma once
// How layers with spatial dimensions print their settings.
#include <string>

#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/spatial.hpp>

namespace cotangent::nn::detail {

/// "3" for (3, 3), else "(3, 2)".
inline std::string sizes(const Dims& d) {
  for (int64_t size : d)
    if (size != d[0]) return to_string(d);
  return std::to_string(d[0]);
}

/// ", name = value", or nothing where it is `usual` in all of `dims` dimensions.
inline std::string setting(const char* name, const Spatial& value, int dims, int64_t usual) {
  const std::string text = sizes(value.over("settings", name, dims, 0));
  return text == std::to_string(usual) ? "" : fmt::format(", {} = {}", name, text);
}

}  // namespace cotangent::nn::detail
