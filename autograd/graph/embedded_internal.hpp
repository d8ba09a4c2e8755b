// Private: texts of this source tree that the library shows (cmake/embed.cmake).
#pragma once
#include <string>
#include <string_view>

namespace cotangent::detail {

struct EmbeddedFile {
  std::string_view name, text;
};
extern const EmbeddedFile kOpHeaders[];  ///< autograd/ops/*.hpp; the last one is empty
extern const EmbeddedFile kPageFiles[];  ///< autograd/graph/page/*; the last one is empty

/// What the header of an op says of it: the `///` lines above its declaration, without the slashes. Empty for an op
/// that the library keeps for itself.
std::string op_contract(std::string_view op);

}  // namespace cotangent::detail
