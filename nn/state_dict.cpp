#include <cotangent/nn/state_dict.hpp>

#include <algorithm>

#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::nn {
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

StateDict::StateDict(std::initializer_list<NamedTensor> entries) : entries_(entries) {}

StateDict StateDict::of(std::vector<NamedTensor> entries) {
  StateDict result;
  result.entries_ = std::move(entries);
  return result;
}

const NamedTensor* StateDict::find(std::string_view name) const {
  for (const NamedTensor& entry : entries_)
    if (entry.name == name) return &entry;
  return nullptr;
}

void StateDict::add(std::string name, Tensor tensor) {
  if (contains(name)) fail<ValueError>("[state_dict] the name {} is there already; names must differ", name);
  entries_.push_back({std::move(name), std::move(tensor)});
}

const Tensor& StateDict::get(std::string_view name) const {
  static const Tensor none;
  const NamedTensor* entry = find(name);
  return entry ? entry->tensor : none;
}

const Tensor& StateDict::operator[](std::string_view name) const {
  if (const NamedTensor* entry = find(name)) return entry->tensor;
  std::vector<std::string> names;
  for (const NamedTensor& entry : entries_) names.push_back(entry.name);
  const std::string nearest = nearest_name(name, names);
  fail<IndexError>("[state_dict] there is no entry {} among {}{}", name, entries_.size(),
                   nearest.empty() ? "" : "; did you mean " + nearest + "?");
}

StateDict StateDict::clone() const {
  StateDict copy;
  for (const NamedTensor& entry : entries_) copy.entries_.push_back({entry.name, raw::clone(entry.tensor)});
  return copy;
}

}  // namespace cotangent::nn
