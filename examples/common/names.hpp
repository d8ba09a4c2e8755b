// A list of names, to learn from.
#pragma once
#include <string>
#include <vector>

/// The lines of a file that are a word of 15 letters a to z at most, in small letters; or, with no path, the first
/// names of those whom Debian's fortunes quote. Each once, in order. Throws when there are none.
std::vector<std::string> read_names(const std::string& path);
