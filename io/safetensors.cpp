#include <cotangent/io/safetensors_internal.hpp>

#include <algorithm>
#include <bit>
#include <limits>
#include <numeric>
#include <unordered_set>

#include <fmt/format.h>

#include <cotangent/io/file_internal.hpp>
#include <cotangent/io/json_internal.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::io {
namespace {

static_assert(std::endian::native == std::endian::little, "elements are read and written as they lie in memory");

constexpr uint64_t kMaxHeader = 100'000'000;  // the format's own limit
constexpr const char* kMetadata = "__metadata__";
constexpr const char* kCodes[kDtypeCount] = {"F32", "F64", "BF16", "F16", "I64", "I32", "U8", "BOOL"};

// ---- the header ----

struct Entry {
  std::string name;
  Dtype dtype;
  Shape shape;
  uint64_t begin, end;  // in the data
};

/// Takes the header's JSON as it is read.
class Header : public JsonListener {
 public:
  Header(const char* who, std::string path) : who_(who), path_(std::move(path)) {}
  std::vector<Entry> entries;
  std::vector<Metadata::Word> words;  // of the metadata

  void start_object() override {
    if (in_numbers_ || depth_ == 2) wrong("an object");
    if (++depth_ == 2) entry_ = {}, entry_.name = key_, fields_ = 0;
  }
  void key(const std::string& name) override {
    if (depth_ == 1) {
      if (!names_.insert(name).second) damaged("names {} twice", name);
      key_ = name;
      in_metadata_ = name == kMetadata;
    } else if (in_metadata_) {
      if (!words_.insert(name).second) damaged("has {} twice in its metadata", name);
      field_ = name;
    } else {
      field_ = name;
      const unsigned bit = name == "dtype" ? 1 : name == "shape" ? 2 : name == "data_offsets" ? 4 : 0;
      if (bit == 0) damaged("gives {} a field {}; there are dtype, shape and data_offsets", entry_.name, name);
      if (fields_ & bit) damaged("gives {} of {} twice", name, entry_.name);
      fields_ |= bit;
    }
  }
  void string(const std::string& text) override {
    if (depth_ == 2 && in_metadata_) {
      words.push_back({field_, text});
    } else if (depth_ == 2 && field_ == "dtype" && !in_numbers_) {
      const auto code = std::find(std::begin(kCodes), std::end(kCodes), text);
      if (code == std::end(kCodes))
        fail<IOError>("[{}] {} holds {} as {}; Cotangent has F64, F32, F16, BF16, I64, I32, U8 and BOOL", who_, path_,
                      entry_.name, text);
      entry_.dtype = static_cast<Dtype>(code - std::begin(kCodes));
    } else {
      wrong("a string");
    }
  }
  void start_array() override {
    if (depth_ != 2 || in_metadata_ || in_numbers_ || field_ == "dtype") wrong("an array");
    in_numbers_ = true;
    numbers_.clear();
  }
  void number(uint64_t value) override {
    if (!in_numbers_) wrong("a number");
    numbers_.push_back(value);
  }
  void end_array() override {
    in_numbers_ = false;
    if (field_ == "data_offsets") {
      if (numbers_.size() != 2) damaged("gives {} offsets for {}; there must be 2", numbers_.size(), entry_.name);
      entry_.begin = numbers_[0], entry_.end = numbers_[1];
      return;
    }
    if (numbers_.size() > static_cast<size_t>(kMaxRank))
      fail<IOError>("[{}] {} holds {} of rank {}; Cotangent's tensors have up to {} dimensions", who_, path_,
                    entry_.name, numbers_.size(), kMaxRank);
    for (const uint64_t size : numbers_) {
      if (size > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
        damaged("gives {} a dimension of {}", entry_.name, size);
      entry_.shape.push_back(static_cast<int64_t>(size));
    }
  }
  void end_object() override {
    if (--depth_ == 1 && !in_metadata_) {
      if (fields_ != 7) damaged("lacks dtype, shape or data_offsets of {}", entry_.name);
      entries.push_back(std::move(entry_));
    }
  }
  void other(const char* what) override { wrong(what); }
  void error(size_t byte) override { damaged("is no JSON: it goes wrong at its byte {}", byte); }

 private:
  template <class... Args>
  [[noreturn]] void damaged(fmt::format_string<Args...> format, Args&&... args) const {
    fail<IOError>("[{}] the header of {} {}", who_, path_, fmt::format(format, std::forward<Args>(args)...));
  }
  [[noreturn]] void wrong(const char* what) const {
    damaged("has {} where it must not be{}", what, key_.empty() ? "" : ", in " + key_);
  }

  const char* who_;
  std::string path_;
  std::unordered_set<std::string> names_, words_;
  int depth_ = 0;
  std::string key_, field_;  // at depth 1 and 2
  bool in_metadata_ = false, in_numbers_ = false;
  Entry entry_{};
  unsigned fields_ = 0;  // which of the three entry_ has
  std::vector<uint64_t> numbers_;
};

/// Bytes of the elements; false when there are more than 2^63.
bool byte_count(const Entry& entry, uint64_t& bytes) {
  int64_t product = item_size(entry.dtype);
  for (const int64_t size : entry.shape)
    if (__builtin_mul_overflow(product, std::max<int64_t>(size, 1), &product)) return false;
  bytes = static_cast<uint64_t>(product);
  for (const int64_t size : entry.shape)
    if (size == 0) bytes = 0;
  return true;
}

/// That the tensors lie one behind the other and fill `data` bytes.
void check_offsets(const char* who, const std::string& path, const std::vector<Entry>& entries, uint64_t data) {
  std::vector<size_t> order(entries.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return std::pair(entries[a].begin, entries[a].end) < std::pair(entries[b].begin, entries[b].end);
  });
  uint64_t at = 0;
  for (const size_t i : order) {
    const Entry& e = entries[i];
    uint64_t bytes = 0;
    if (e.begin != at)
      fail<IOError>("[{}] {} is damaged: {} begins at {} of the data, and the one before ends at {}", who, path, e.name,
                    e.begin, at);
    if (!byte_count(e, bytes) || e.end < e.begin || e.end - e.begin != bytes)
      fail<IOError>("[{}] {} is damaged: {}, of {} {}, does not fit the offsets {} to {}", who, path, e.name,
                    kCodes[static_cast<int>(e.dtype)], e.shape, e.begin, e.end);
    at = e.end;
  }
  if (at != data)
    fail<IOError>("[{}] {} {}: its tensors take {} bytes, and it holds {} after the header", who, path,
                  at > data ? "ends early" : "is too long", at, data);
}

void read_exactly(const char* who, const std::string& path, const InputFile& file, void* to, uint64_t bytes,
                  uint64_t offset) {
  if (file.read(to, bytes, offset) < bytes) fail<IOError>("[{}] {} became shorter while it was read", who, path);
}

/// An IOError for a file that is none of ours, with what it looks like or else `what`.
[[noreturn]] void fail_as_other(const char* who, const std::string& path, std::string_view start,
                                const std::string& what) {
  if (const char* kind = kind_of(start))
    fail<IOError>(
        "[{}] {} is no safetensors file, but {}; write_safetensors and save_checkpoint write what can be read here, "
        "and in Python safetensors.torch.save_file(model.state_dict(), path)",
        who, path, kind);
  fail<IOError>("[{}] {} {}", who, path, what);
}

// ---- writing ----

/// As a JSON string.
std::string quoted(const char* who, const std::string& text) {
  std::string result = json_string(text);
  if (result.empty())
    fail<ValueError>("[{}] a name or a word of the metadata is no UTF-8, but the format's text is", who);
  return result;
}

SafeTensors read(const char* who, const std::string& path) {
  const InputFile file(who, path);
  const uint64_t size = file.size();
  char start[64];
  const std::string_view seen(start, file.read(start, std::min<uint64_t>(size, sizeof start), 0));
  uint64_t length = 0;
  if (seen.size() < sizeof length)
    fail_as_other(who, path, seen,
                  fmt::format("holds {} bytes; a safetensors file starts with 8, the length of its header", size));
  std::memcpy(&length, start, sizeof length);
  if (length > kMaxHeader || length > size - sizeof length)
    fail_as_other(who, path, seen,
                  fmt::format("is cut short or no safetensors file: by its first 8 bytes the header takes {} bytes, "
                              "and the file holds {}",
                              length, size));
  std::string text(length, '\0');
  read_exactly(who, path, file, text.data(), length, sizeof length);
  if (!text.starts_with('{'))
    fail_as_other(who, path, seen, "is no safetensors file: its header does not start with a brace");
  Header header(who, path);
  read_json(text, header);
  const uint64_t data = sizeof length + length;
  check_offsets(who, path, header.entries, size - data);

  SafeTensors result;
  std::sort(header.words.begin(), header.words.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  for (Metadata::Word& word : header.words) result.metadata[word.name] = std::move(word.text);
  for (Entry& e : header.entries) {
    const Tensor x = empty(e.shape, e.dtype);
    read_exactly(who, path, file, x.raw_data(), e.end - e.begin, data + e.begin);
    if (e.dtype == boolean) {
      const auto* bytes = static_cast<const uint8_t*>(x.raw_data());
      if (std::any_of(bytes, bytes + x.numel(), [](uint8_t byte) { return byte > 1; }))
        fail<IOError>("[{}] {} is damaged: {} is BOOL, and a byte of it is neither 0 nor 1", who, path, e.name);
    }
    result.tensors.add(std::move(e.name), x);
  }
  return result;
}

void write(const char* who, const std::string& path, const StateDict& tensors, const Metadata& metadata) {
  Tensors dense;
  for (const auto& [name, tensor] : tensors) {
    if (!tensor.defined()) fail<ValueError>("[{}] {} is undefined; leave it out", who, name);
    if (name == kMetadata) fail<ValueError>("[{}] no tensor can be called {}", who, name);
    dense.push_back(raw::contiguous(tensor));
  }
  std::vector<size_t> order(dense.size());  // wide elements first, so that all are aligned
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return item_size(dense[a].dtype()) > item_size(dense[b].dtype()); });
  const auto bytes_of = [](const Tensor& x) { return static_cast<uint64_t>(x.numel() * item_size(x.dtype())); };
  std::vector<uint64_t> begins(dense.size());
  uint64_t end = 0;
  for (const size_t i : order) begins[i] = end, end += bytes_of(dense[i]);

  std::string header = "{";
  const auto separate = [&header] { header += header.back() == '{' ? "" : ","; };
  if (!metadata.empty()) {
    header += fmt::format("\"{}\":{{", kMetadata);
    for (const auto& [key, value] : metadata) separate(), header += quoted(who, key) + ":" + quoted(who, value);
    header += '}';
  }
  size_t i = 0;
  for (const auto& [name, tensor] : tensors) {
    const Tensor& x = dense[i];
    separate();
    header +=
        fmt::format(R"({}:{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})", quoted(who, name),
                    kCodes[static_cast<int>(x.dtype())], fmt::join(x.shape(), ","), begins[i], begins[i] + bytes_of(x));
    ++i;
  }
  header += '}';
  header.resize((header.size() + 7) / 8 * 8, ' ');
  if (header.size() > kMaxHeader)
    fail<ValueError>("[{}] the header takes {} bytes; the format allows {}", who, header.size(), kMaxHeader);

  OutputFile file(who, path);
  const uint64_t length = header.size();
  file.write(&length, sizeof length);
  file.write(header.data(), header.size());
  for (const size_t k : order) file.write(dense[k].raw_data(), bytes_of(dense[k]));
  file.finish();
}

}  // namespace

SafeTensors read_safetensors(const char* who, const std::string& path) {
  return with_errors(who, path, [&] { return read(who, path); });
}

void write_safetensors(const char* who, const std::string& path, const StateDict& tensors, const Metadata& metadata) {
  with_errors(who, path, [&] { write(who, path, tensors, metadata); });
}

SafeTensors read_safetensors(const std::string& path) { return read_safetensors("read_safetensors", path); }

void write_safetensors(const std::string& path, const StateDict& tensors, const Metadata& metadata) {
  write_safetensors("write_safetensors", path, tensors, metadata);
}

}  // namespace cotangent::io
