#include <cotangent/data/text.hpp>

#include <algorithm>
#include <filesystem>
#include <sstream>
#include <unordered_map>
#include <unordered_set>

#include <cotangent/io/file_internal.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::data {
namespace {

constexpr const char* kFortunes = "/usr/share/games/fortunes";
constexpr char32_t kInvalid = 0xFFFFFFFF;

/// The code point that starts at text[at], which is moved behind it; kInvalid for what UTF-8 forbids: stray and missing
/// continuations, forms longer than needed, surrogates, and what lies above U+10FFFF.
char32_t next_code_point(std::string_view text, size_t& at) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = byte(at);
  const size_t length = lead < 0x80 ? 1 : lead >> 5 == 6 ? 2 : lead >> 4 == 14 ? 3 : lead >> 3 == 30 ? 4 : 0;
  if (length == 0 || at + length > text.size()) return kInvalid;
  char32_t code = length == 1 ? lead : lead & (0x7Fu >> length);
  for (size_t i = 1; i < length; ++i) {
    if (byte(at + i) >> 6 != 2) return kInvalid;
    code = code << 6 | (byte(at + i) & 0x3Fu);
  }
  constexpr char32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  if (code < least[length] || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return kInvalid;
  at += length;
  return code;
}

std::vector<char32_t> code_points(const char* who, std::string_view text) {
  detail::check_memory(who, static_cast<int64_t>(text.size()), sizeof(char32_t));
  std::vector<char32_t> result;
  for (size_t at = 0; at < text.size();) {
    const char32_t code = next_code_point(text, at);
    if (code == kInvalid)
      fail<ValueError>("[{}] byte {} of the text, {:#04x}, is no UTF-8; convert the text with iconv", who, at,
                       static_cast<uint8_t>(text[at]));
    result.push_back(code);
  }
  return result;
}

void append_utf8(std::string& text, char32_t code) {
  const auto put = [&](char32_t byte) { text += static_cast<char>(static_cast<uint8_t>(byte)); };
  if (code < 0x80) return put(code);
  const int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
  put((0xF0u << (3 - more) & 0xFFu) | code >> (6 * more));
  for (int i = more - 1; i >= 0; --i) put(0x80 | (code >> (6 * i) & 0x3F));
}

std::string shown(char32_t code) {
  std::string text;
  append_utf8(text, code);
  return code < 0x20 || code == 0x7F ? fmt::format("U+{:04X}", uint32_t{code})
                                     : fmt::format("'{}' (U+{:04X})", text, uint32_t{code});
}

/// Without bells, and with one letter where one was struck over another.
std::string without_control_characters(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '\b' && !result.empty())
      result.pop_back();
    else if (c != '\a' && c != '\b' && c != '\r')
      result += c;
  }
  return result;
}

}  // namespace

std::string read_text(const std::string& path) {
  return io::with_errors("read_text", path, [&] {
    std::string text = io::InputFile("read_text", path).text();
    if (text.empty()) fail<IOError>("[read_text] {} is empty", path);
    return text;
  });
}

namespace {

std::string fortunes_of(const std::string& place) {
  std::vector<std::filesystem::path> files;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(place, error))
    if (entry.is_regular_file() && !entry.path().has_extension()) files.push_back(entry.path());
  std::sort(files.begin(), files.end());

  std::vector<std::string> epigrams;
  std::unordered_set<std::string> known;
  std::string epigram;
  const auto finish = [&] {
    while (epigram.ends_with('\n')) epigram.pop_back();
    if (!epigram.empty() && known.insert(epigram).second) epigrams.push_back(epigram);
    epigram.clear();
  };
  for (const auto& path : files) {
    std::istringstream file(io::InputFile("read_fortunes", path).text());
    for (std::string line; std::getline(file, line);) {
      line = without_control_characters(line);
      if (line == "%")
        finish();
      else
        epigram.append(line) += '\n';
    }
    finish();
  }
  if (epigrams.empty())
    fail<IOError>("[read_fortunes] {} holds no epigrams; install Debian's packages fortunes and fortunes-min", place);

  Generator generator(0);
  std::string text;
  for (const int64_t i : randperm(static_cast<int64_t>(epigrams.size()), int64, generator).to_vector<int64_t>())
    text.append(epigrams[static_cast<size_t>(i)]) += "\n\n";
  return text;
}

}  // namespace

std::string read_fortunes(const std::string& directory) {
  const std::string place = directory.empty() ? kFortunes : directory;
  return io::with_errors("read_fortunes", place, [&] { return fortunes_of(place); });
}

CharVocabulary::CharVocabulary(std::string_view text) : characters_(code_points("CharVocabulary", text)) {
  if (text.empty()) fail<ValueError>("[CharVocabulary] the text is empty; a vocabulary is made of its characters");
  std::sort(characters_.begin(), characters_.end());
  characters_.erase(std::unique(characters_.begin(), characters_.end()), characters_.end());
}

Tensor CharVocabulary::encode(std::string_view text) const {
  detail::check_memory("encode", static_cast<int64_t>(text.size()), 2 * sizeof(int64_t));
  std::vector<int64_t> tokens;
  for (const char32_t code : code_points("encode", text)) {
    const auto found = std::lower_bound(characters_.begin(), characters_.end(), code);
    if (found == characters_.end() || *found != code)
      fail<ValueError>("[encode] {} is not among the {} characters of the vocabulary", shown(code), size());
    tokens.push_back(found - characters_.begin());
  }
  return from_vector(tokens, {static_cast<int64_t>(tokens.size())});
}

std::string CharVocabulary::decode(const Tensor& tokens) const {
  if (tokens.rank() != 1 || tokens.is_floating() || tokens.dtype() == boolean)
    fail<ShapeError>("[decode] tokens are {} {}; they must be (N) integers", tokens.dtype(), tokens.shape());
  std::string text;
  for (const int64_t token : tokens.to_vector<int64_t>()) {
    if (token < 0 || token >= size())
      fail<IndexError>("[decode] there is no token {}; there are {}, counted from 0", token, size());
    append_utf8(text, characters_[static_cast<size_t>(token)]);
  }
  return text;
}

std::string CharVocabulary::characters() const {
  std::string text;
  for (const char32_t code : characters_) append_utf8(text, code);
  return text;
}

TokenSplit split_tokens(const Tensor& tokens, double validation_fraction) {
  if (!(validation_fraction > 0 && validation_fraction < 1))
    fail<ValueError>("[split_tokens] a validation fraction of {}; it must lie between 0 and 1", validation_fraction);
  const int64_t n = tokens.size(0), kept = n - static_cast<int64_t>(static_cast<double>(n) * validation_fraction);
  return {tokens.narrow(0, 0, kept), tokens.narrow(0, kept, n - kept)};
}

TextDataset::TextDataset(const Tensor& tokens, int64_t context, int64_t stride) : context_(context), stride_(stride) {
  if (tokens.rank() != 1 || tokens.is_floating() || tokens.dtype() == boolean)
    fail<ShapeError>("[TextDataset] tokens are {} {}; they must be (N) integers", tokens.dtype(), tokens.shape());
  if (context < 1 || stride < 1)
    fail<ValueError>("[TextDataset] context {} and stride {}; both must be at least 1", context, stride);
  if (tokens.numel() <= context)
    fail<ValueError>(
        "[TextDataset] the text has {} tokens, too few for a context of {}; it needs one more than the context, to "
        "predict",
        tokens.numel(), context);
  tokens_ = raw::contiguous(tokens.dtype() == int64 ? tokens : raw::cast(tokens, int64));
}

Batch TextDataset::batch(std::span<const int64_t> indices, Generator&) const {
  const auto count = static_cast<int64_t>(indices.size());
  Batch result{empty({count, context_}, int64), empty({count, context_}, int64)};
  auto* x = result.x.data<int64_t>();
  auto* y = result.y.data<int64_t>();
  for (const int64_t index : indices) {
    if (index < 0 || index >= size())
      fail<IndexError>("[TextDataset] there is no example {}; there are {}", index, size());
    const int64_t* from = tokens_.data<int64_t>() + index * stride_;
    x = std::copy_n(from, context_, x);
    y = std::copy_n(from + 1, context_, y);
  }
  return result;
}

}  // namespace cotangent::data
