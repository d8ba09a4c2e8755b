#pragma once
#include <cotangent/nn/module.hpp>
#include <string>
#include <vector>

namespace cotangent {

using Names = std::vector<std::string>;

/// The keys of the state_dict, in its order.
inline Names keys(const nn::Module& m) {
  Names names;
  for (const auto& entry : m.state_dict()) names.push_back(entry.name);
  return names;
}

}  // namespace cotangent
