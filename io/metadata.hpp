#pragma once
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace cotangent::io {

/// Words by name, in the order of the names: what a file says besides its tensors.
///
///     metadata["step"] = std::to_string(step);
///     step = std::stoll(metadata.at("step"));
class Metadata {
 public:
  struct Word {
    std::string name, text;
    bool operator==(const Word&) const = default;
  };
  Metadata() = default;
  /// Of words with the same name the first counts.
  Metadata(std::initializer_list<Word> words);

  /// The text of that name, to read and to set; empty at first.
  std::string& operator[](std::string_view name);
  /// An IndexError, which lists the names, when there is none such.
  const std::string& at(std::string_view name) const;
  bool contains(std::string_view name) const;
  void erase(std::string_view name);
  size_t size() const { return words_.size(); }
  bool empty() const { return words_.empty(); }
  std::vector<Word>::const_iterator begin() const { return words_.begin(); }
  std::vector<Word>::const_iterator end() const { return words_.end(); }
  bool operator==(const Metadata&) const = default;

 private:
  /// Where the word of that name stands, or would.
  size_t place(std::string_view name) const;

  std::vector<Word> words_;  // not a std::map, which every program would take longer to compile for
};

}  // namespace cotangent::io
