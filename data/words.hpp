#pragma once
#include <string>
#include <string_view>

#include <cotangent/tensor/tensor.hpp>

namespace cotangent::data {

/// The words of a text, numbered by how often they come. A word is a run of letters and digits, and may have
/// apostrophes and hyphens inside. Words are in lower case. All characters beyond ASCII count as letters. A sentence
/// ends at . ! or ? unless a letter or digit follows, and at an empty line. All other characters only separate words.
class WordVocabulary {
 public:
  static constexpr int64_t boundary = 0;  ///< the token between two sentences, "<s>"
  static constexpr int64_t unknown = 1;   ///< the token of all words that are not in the vocabulary, "<unk>"

  /// The words that come min_count times or more in a text in UTF-8. A ValueError if there is none.
  explicit WordVocabulary(std::string_view text, int64_t min_count = 1);
  /// The number of tokens: the two above, and from 2 on the words, the most frequent first and those of equal frequency
  /// in alphabetical order.
  int64_t size() const { return static_cast<int64_t>(words_.size()); }
  /// How often each token came in the text, also the boundary and the unknown.   -> int64 (size())
  Tensor counts() const;

  /// A text in UTF-8 -> its tokens, int64 (N), which begin and end with a boundary and never have two in a row.
  Tensor encode(std::string_view text) const;
  /// Tokens (N), integers -> their words with spaces between them. An IndexError for one outside [0, size()).
  std::string decode(const Tensor& tokens) const;
  /// The word of a token. An IndexError outside [0, size()).
  const std::string& word(int64_t token) const;
  /// The token of a word in lower case, or `unknown`.
  int64_t token(std::string_view word) const;

 private:
  std::vector<std::string> words_;
  std::vector<int64_t> counts_;
  std::vector<int64_t> order_;  // from 2 on, by the alphabet
};

}  // namespace cotangent::data
