#pragma once
#include <string>
#include <string_view>

#include <cotangent/data/dataset.hpp>

namespace cotangent::data {

/// The bytes of a file. An IOError when it cannot be read, is empty, has more bytes than there is memory for
/// (memory_limit()), or is no file but a pipe or a device.
std::string read_text(const std::string& path);

/// The epigrams of Debian's packages fortunes and fortunes-min, each once, with a blank line between two of them: about
/// 2.5 million characters. The files of `directory` ("" stands for Debian's /usr/share/games/fortunes) hold them
/// separated by lines of a single %; indices (.dat) and other names of the same files (.u8) are passed over. Letters
/// struck twice (_ backspace x) become one, and bells are dropped.
///
/// They are shuffled, always in the same way: the files go by subject, and a part for validation that is cut from the
/// end would be about other subjects. An IOError when there are none.
std::string read_fortunes(const std::string& directory = "");

/// The characters of a text, numbered: its distinct Unicode code points in ascending order. Code points and not bytes,
/// so that what a model writes is text whatever it draws.
class CharVocabulary {
 public:
  /// A ValueError when the text is empty or is no UTF-8.
  explicit CharVocabulary(std::string_view text);
  int64_t size() const { return static_cast<int64_t>(characters_.size()); }
  /// UTF-8 -> (N) int64. A ValueError that shows a character which the vocabulary lacks.
  Tensor encode(std::string_view text) const;
  /// (N) integers -> UTF-8. An IndexError for one outside [0, size()).
  std::string decode(const Tensor& tokens) const;
  /// All characters in order; a vocabulary of this text is the same one again.
  std::string characters() const;

 private:
  std::vector<char32_t> characters_;  // ascending
};

struct TokenSplit {
  Tensor train, validation;
};
/// Cuts the last part off for validation (views). A ValueError unless 0 < fraction < 1.
TokenSplit split_tokens(const Tensor& tokens, double validation_fraction = 0.1);

/// Windows of a sequence, for a model that predicts at each place the next token:
///
///     tokens    t0 t1 t2 t3 t4 t5 t6 ...        x = t0 t1 t2,  y = t1 t2 t3        context 3
///     stride 1     every place is the start of an example: for training, by random_batch
///     stride 3     the examples lie end to end, and what is left over is dropped: for evaluation, by a DataLoader
class TextDataset : public Dataset {
 public:
  /// tokens (N) integers. A ValueError when there are not more of them than the context, or for a context or a stride
  /// below 1.
  TextDataset(const Tensor& tokens, int64_t context, int64_t stride = 1);
  int64_t size() const override { return (tokens_.numel() - 1 - context_) / stride_ + 1; }
  /// x (B, context), y (B, context), int64
  Batch batch(std::span<const int64_t> indices, Generator& generator) const override;

 private:
  Tensor tokens_;
  int64_t context_, stride_;
};

}  // namespace cotangent::data
