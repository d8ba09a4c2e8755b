#pragma once
// What layers over one, two or three spatial dimensions have in common.
#include <string>

#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/spatial.hpp>

namespace cotangent::nn::detail {

/// "MaxPool2d".
inline std::string name_in(const char* stem, int dims) { return stem + std::to_string(dims) + "d"; }

/// That of three functions which is for so many dimensions.
template <int dims, class F>
constexpr F* in_dims(F* one, F* two, F* three) {
  return dims == 1 ? one : dims == 2 ? two : three;
}

/// Compiles a layer for each number of dimensions.
#define COTANGENT_IN_DIMS(Layer) \
  template struct Layer<1>;      \
  template struct Layer<2>;      \
  template struct Layer<3>;

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
