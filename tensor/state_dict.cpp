#include <cotangent/tensor/state_dict.hpp>

#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/names.hpp>

namespace cotangent {

StateDict::StateDict(std::initializer_list<NamedTensor> entries) {
  for (const NamedTensor& entry : entries) add(entry.name, entry.tensor);
}

/// Where the name stands in the table, or may be put.
size_t StateDict::slot_of(std::string_view name) const {
  const size_t mask = slots_.size() - 1;  // the size is a power of two, and half of the slots are empty
  size_t i = std::hash<std::string_view>()(name) & mask;
  while (slots_[i] != 0 && entries_[slots_[i] - 1].name != name) i = (i + 1) & mask;
  return i;
}

const NamedTensor* StateDict::find(std::string_view name) const {
  if (empty()) return nullptr;
  const uint32_t number = slots_[slot_of(name)];
  return number == 0 ? nullptr : &entries_[number - 1];
}

void StateDict::add(std::string name, Tensor tensor) {
  if (contains(name)) fail<ValueError>("[state_dict] the name {} is there already; names must differ", name);
  entries_.push_back({std::move(name), std::move(tensor)});
  size_t unknown = entries_.size() - 1;  // the first that is not in the table
  if (slots_.size() < 2 * entries_.size()) slots_.assign(std::max<size_t>(8, 2 * slots_.size()), 0), unknown = 0;
  for (; unknown < entries_.size(); ++unknown)
    slots_[slot_of(entries_[unknown].name)] = static_cast<uint32_t>(unknown + 1);
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
  StateDict copy = *this;
  for (NamedTensor& entry : copy.entries_) entry.tensor = raw::clone(entry.tensor);
  return copy;
}

}  // namespace cotangent
