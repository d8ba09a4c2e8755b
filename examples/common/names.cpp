#include "names.hpp"

#include <cctype>
#include <regex>
#include <set>
#include <sstream>
#include <stdexcept>

#include <cotangent/data/text.hpp>

std::vector<std::string> read_names(const std::string& path) {
  const bool quoted = path.empty();  // "   -- First Last": another name behind it makes a word a first name
  const std::regex pattern(quoted ? "\\s*-- ([A-Z][a-z]{2,14}) [A-Z].*" : "([A-Za-z]{1,15})\\s*");
  std::istringstream lines(quoted ? cotangent::data::read_fortunes() : cotangent::data::read_text(path));
  std::set<std::string> names;
  std::smatch found;
  for (std::string line; std::getline(lines, line);) {
    if (!std::regex_match(line, found, pattern)) continue;
    std::string name = found[1];
    for (char& c : name) c = static_cast<char>(std::tolower(c));
    names.insert(name);
  }
  if (names.empty()) throw std::runtime_error("there is no name in " + (quoted ? "the fortunes" : path));
  return {names.begin(), names.end()};
}
