#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace cotangent {

/// Of `candidates` the name that a reader may have meant by `name`: the nearest by edits, if it is near; else empty.
std::string nearest_name(std::string_view name, const std::vector<std::string>& candidates);

namespace detail {
/// Takes the first name off a list as a macro spells its arguments: "fc1, fc2".
std::string_view next_name(const char*& names);
}  // namespace detail

}  // namespace cotangent
