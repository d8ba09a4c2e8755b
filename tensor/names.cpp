#include <cotangent/tensor/names.hpp>

#include <algorithm>

namespace cotangent {
namespace {

/// How many letters must be added, removed or changed to turn a into b (Levenshtein).
size_t edits(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])});
      diagonal = above;
    }
  }
  return row.back();
}

}  // namespace

std::string nearest_name(std::string_view name, const std::vector<std::string>& candidates) {
  size_t best = name.size() / 2 + 1;
  std::string nearest;
  for (const std::string& candidate : candidates)
    if (const size_t n = edits(name, candidate); n < best) best = n, nearest = candidate;
  return nearest;
}

std::string_view detail::next_name(const char*& names) {
  while (*names == ' ' || *names == ',') ++names;
  const char* first = names;
  while (*names && *names != ',' && *names != ' ') ++names;
  return {first, static_cast<size_t>(names - first)};
}

}  // namespace cotangent
