#include <cotangent/io/metadata.hpp>

#include <algorithm>

#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::io {

Metadata::Metadata(std::initializer_list<Word> words) {
  for (const Word& word : words)
    if (!contains(word.name)) (*this)[word.name] = word.text;
}

size_t Metadata::place(std::string_view name) const {
  const auto at = std::lower_bound(words_.begin(), words_.end(), name,
                                   [](const Word& word, std::string_view wanted) { return word.name < wanted; });
  return static_cast<size_t>(at - words_.begin());
}

bool Metadata::contains(std::string_view name) const {
  const size_t i = place(name);
  return i < words_.size() && words_[i].name == name;
}

std::string& Metadata::operator[](std::string_view name) {
  const size_t i = place(name);
  if (!contains(name)) words_.insert(words_.begin() + static_cast<std::ptrdiff_t>(i), {std::string(name), {}});
  return words_[i].text;
}

const std::string& Metadata::at(std::string_view name) const {
  if (contains(name)) return words_[place(name)].text;
  std::string names;
  for (const Word& word : words_) names += (names.empty() ? "" : ", ") + word.name;
  fail<IndexError>("[metadata] there is no {} among the {} words{}", name, size(), names.empty() ? "" : ": " + names);
}

void Metadata::erase(std::string_view name) {
  if (contains(name)) words_.erase(words_.begin() + static_cast<std::ptrdiff_t>(place(name)));
}

}  // namespace cotangent::io
