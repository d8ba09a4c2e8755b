#include <cotangent/data/words.hpp>

#include <algorithm>
#include <numeric>
#include <unordered_map>

#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::data {
namespace {

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || static_cast<uint8_t>(c) >= 0x80;
}

/// Calls word(text) for each word, and end() for each sentence that had one.
template <class Word, class End>
void read(std::string_view text, Word word, End end) {
  const auto letter_at = [&](size_t i) { return i < text.size() && is_letter(text[i]); };
  bool begun = false;
  const auto finish = [&] {
    if (begun) end();
    begun = false;
  };
  std::string letters;
  for (size_t i = 0; i < text.size();) {
    if (letter_at(i)) {
      letters.clear();
      for (; letter_at(i) || (i < text.size() && (text[i] == '\'' || text[i] == '-') && letter_at(i + 1)); ++i) {
        const char c = text[i];
        letters += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
      }
      word(letters);
      begun = true;
      continue;
    }
    const char c = text[i++];
    if (((c == '.' || c == '!' || c == '?') && !letter_at(i)) || (c == '\n' && i < text.size() && text[i] == '\n'))
      finish();
  }
  finish();
}

}  // namespace

WordVocabulary::WordVocabulary(std::string_view text, int64_t min_count) {
  std::unordered_map<std::string, int64_t> found;
  int64_t sentences = 0, rare = 0;
  read(
      text, [&](const std::string& word) { ++found[word]; }, [&] { ++sentences; });
  std::vector<std::pair<int64_t, std::string>> kept;
  for (const auto& [word, count] : found) {
    if (count >= min_count)
      kept.emplace_back(-count, word);
    else
      rare += count;
  }
  if (kept.empty()) fail<ValueError>("[WordVocabulary] the text has no word that comes {} times", min_count);
  std::sort(kept.begin(), kept.end());
  words_ = {"<s>", "<unk>"};
  counts_ = {sentences + 1, rare};
  for (const auto& [count, word] : kept) {
    words_.push_back(word);
    counts_.push_back(-count);
  }
  order_.resize(kept.size());
  std::iota(order_.begin(), order_.end(), 2);
  std::sort(order_.begin(), order_.end(), [&](int64_t a, int64_t b) { return word(a) < word(b); });
}

Tensor WordVocabulary::counts() const { return from_vector(counts_, {size()}); }

const std::string& WordVocabulary::word(int64_t token) const {
  if (token < 0 || token >= size())
    fail<IndexError>("[WordVocabulary] there is no token {}; there are {}, counted from 0", token, size());
  return words_[static_cast<size_t>(token)];
}

int64_t WordVocabulary::token(std::string_view word) const {
  const auto at = std::lower_bound(order_.begin(), order_.end(), word, [this](int64_t token, std::string_view wanted) {
    return words_[static_cast<size_t>(token)] < wanted;
  });
  return at != order_.end() && words_[static_cast<size_t>(*at)] == word ? *at : unknown;
}

Tensor WordVocabulary::encode(std::string_view text) const {
  std::vector<int64_t> tokens{boundary};
  read(
      text, [&](const std::string& word) { tokens.push_back(token(word)); }, [&] { tokens.push_back(boundary); });
  return from_vector(tokens, {static_cast<int64_t>(tokens.size())});
}

std::string WordVocabulary::decode(const Tensor& tokens) const {
  if (tokens.rank() != 1 || tokens.is_floating() || tokens.dtype() == boolean)
    fail<ShapeError>("[decode] tokens are {} {}; they must be (N) integers", tokens.dtype(), tokens.shape());
  std::string text;
  for (const int64_t token : tokens.to_vector<int64_t>()) text.append(text.empty() ? "" : " ").append(word(token));
  return text;
}

}  // namespace cotangent::data
