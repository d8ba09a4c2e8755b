#pragma once
#include <string>
#include <string_view>

#include <cotangent/tensor/tensor.hpp>

namespace cotangent::data {

/// The words of a text, numbered by how often they come. A word is a run of letters and digits, with apostrophes and
/// hyphens inside it, in small letters; of characters beyond ASCII all count as letters. A sentence ends at . ! or ?
/// unless a letter or digit follows, and at an empty line. All else only separates words.
class WordVocabulary {
 public:
  static constexpr int64_t boundary = 0;  ///< between two sentences, "<s>"
  static constexpr int64_t unknown = 1;   ///< for the words that are in no vocabulary, "<unk>"

  /// Words that come less often are unknown. A ValueError when none is left.
  explicit WordVocabulary(std::string_view text, int64_t min_count = 1);
  /// With these two: the words from 2 on, from the most frequent down; of equal ones in alphabetical order.
  int64_t size() const { return static_cast<int64_t>(words_.size()); }
  /// How often each came in the text, the boundary and the unknown too: (V), int64
  Tensor counts() const;

  /// UTF-8 -> (N) int64, which begins and ends with a boundary, and has none twice running.
  Tensor encode(std::string_view text) const;
  /// (N) integers -> the words with spaces between them. An IndexError for one outside [0, size()).
  std::string decode(const Tensor& tokens) const;
  /// An IndexError for no token.
  const std::string& word(int64_t token) const;
  /// The token of a word in small letters, or `unknown`.
  int64_t token(std::string_view word) const;

 private:
  std::vector<std::string> words_;
  std::vector<int64_t> counts_;
  std::vector<int64_t> order_;  // from 2 on, by the alphabet
};

}  // namespace cotangent::data
