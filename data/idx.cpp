#include <cotangent/data/idx.hpp>

#include <fcntl.h>
#include <zlib.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

#include <cotangent/io/file_internal.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::data {
namespace {

constexpr uint64_t kMostPerByte = 1032;  // that deflate can make of a compressed byte

/// The bytes of a file, decompressed if it is compressed.
class Stream {
 public:
  explicit Stream(const std::string& path) : path_(path), file_("read_idx", path) {
    const int copy = fcntl(file_.descriptor(), F_DUPFD_CLOEXEC, 0);  // zlib closes the one that it gets
    stream_ = copy < 0 ? nullptr : gzdopen(copy, "rb");
    if (!stream_) fail<IOError>("[read_idx] {} cannot be opened: {}", path, std::strerror(errno));
    gzbuffer(stream_, 1 << 17);
  }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream() { gzclose_r(stream_); }

  bool compressed() const { return gzdirect(stream_) == 0; }
  /// How many bytes there are; when they are compressed, how many there may be.
  uint64_t size() const { return file_.size() * (compressed() ? kMostPerByte : 1); }
  /// Reads up to `bytes`, fewer at the end alone, and returns how many.
  size_t read(uint8_t* to, size_t bytes) {
    const int count = gzread(stream_, to, static_cast<unsigned>(bytes));
    int code = Z_OK;
    const char* problem = gzerror(stream_, &code);
    if (code == Z_BUF_ERROR) fail<IOError>("[read_idx] {} ends early: the compressed data are cut off", path_);
    if (code == Z_ERRNO) fail<IOError>("[read_idx] {} cannot be read: {}", path_, std::strerror(errno));
    if (count < 0 || code != Z_OK) fail<IOError>("[read_idx] {} is damaged: {}", path_, problem);
    return static_cast<size_t>(count);
  }

 private:
  std::string path_;
  io::InputFile file_;
  gzFile stream_ = nullptr;
};

uint32_t big_endian(const uint8_t* p) {
  return uint32_t{p[0]} << 24 | uint32_t{p[1]} << 16 | uint32_t{p[2]} << 8 | uint32_t{p[3]};
}
uint64_t big_endian_8(const uint8_t* p) { return uint64_t{big_endian(p)} << 32 | big_endian(p + 4); }

/// What an element type of the format becomes.
struct Element {
  int64_t bytes;
  Dtype dtype;
};
Element element_of(uint8_t code) {
  switch (code) {
    case 0x08: return {1, uint8};
    case 0x09: return {1, int32};
    case 0x0B: return {2, int32};
    case 0x0C: return {4, int32};
    case 0x0D: return {4, float32};
    case 0x0E: return {8, float64};
    default: return {0, uint8};
  }
}

/// Writes `count` elements from place `at` of the tensor on.
void decode(uint8_t code, const uint8_t* from, const Tensor& to, size_t at, size_t count) {
  if (code == 0x08) {
    std::memcpy(to.data<uint8_t>() + at, from, count);
    return;
  }
  for (size_t i = 0; i < count; ++i) {
    switch (code) {
      case 0x09: to.data<int32_t>()[at + i] = from[i] < 128 ? from[i] : from[i] - 256; break;
      case 0x0B: to.data<int32_t>()[at + i] = static_cast<int16_t>(from[2 * i] << 8 | from[2 * i + 1]); break;
      case 0x0C: to.data<int32_t>()[at + i] = static_cast<int32_t>(big_endian(from + 4 * i)); break;
      case 0x0D: to.data<float>()[at + i] = std::bit_cast<float>(big_endian(from + 4 * i)); break;
      default: to.data<double>()[at + i] = std::bit_cast<double>(big_endian_8(from + 8 * i));
    }
  }
}

Tensor read(const std::string& path) {
  Stream file(path);
  uint8_t start[4 + 4 * kMaxRank];
  size_t held = file.read(start, 4);
  if (held < 4)
    fail<IOError>("[read_idx] {} holds {} bytes; an IDX file starts with 4 bytes: 0, 0, element type, rank", path,
                  held);
  const Element element = element_of(start[2]);
  const int rank = start[3];
  if (start[0] != 0 || start[1] != 0 || element.bytes == 0 || rank > kMaxRank) {
    const char* kind = io::kind_of({reinterpret_cast<const char*>(start), 4});
    fail<IOError>(
        "[read_idx] {} is no IDX file: it starts with {:#04x} {:#04x} {:#04x} {:#04x}; expected 0, 0, an element type "
        "from 8 to 14, and a rank up to {}{}",
        path, start[0], start[1], start[2], start[3], kMaxRank, kind ? fmt::format("; it may be {}", kind) : "");
  }
  const size_t header = 4 + 4 * static_cast<size_t>(rank);
  held += file.read(start + 4, header - 4);
  if (held < header)
    fail<IOError>("[read_idx] {} ends early: it holds {} bytes, and the sizes alone take {}", path, held, header);

  Shape shape;
  int64_t bytes = item_size(element.dtype);  // of the tensor
  bool too_large = false;
  for (int d = 0; d < rank; ++d) {
    shape.push_back(big_endian(start + 4 + 4 * d));
    too_large |= __builtin_mul_overflow(bytes, std::max<int64_t>(shape.back(), 1), &bytes);
  }
  const bool none = std::find(shape.begin(), shape.end(), 0) != shape.end();
  const uint64_t wanted = none ? 0 : static_cast<uint64_t>(bytes / item_size(element.dtype) * element.bytes);
  const auto check = [&](bool right, const char* what, const std::string& holds) {
    if (!right)
      fail<IOError>("[read_idx] {} {}: elements of shape {} take {} bytes, and it holds {}", path, what, shape,
                    too_large ? "too many" : std::to_string(wanted), holds);
  };
  // No memory is taken for what the file cannot hold.
  const uint64_t rest = std::max<uint64_t>(file.size(), header) - header;
  const std::string holds = (file.compressed() ? "at most " : "") + std::to_string(rest);
  check(!too_large && wanted <= rest, "ends early", holds);
  check(file.compressed() || wanted == rest, "is too long", holds);

  const Tensor result = empty(shape, element.dtype);
  const auto item = static_cast<size_t>(element.bytes);
  std::vector<uint8_t> chunk(std::min<uint64_t>(wanted, 1 << 16));
  for (uint64_t done = 0; done < wanted;) {
    const size_t got = file.read(chunk.data(), std::min<uint64_t>(chunk.size(), wanted - done));
    decode(start[2], chunk.data(), result, done / item, got / item);
    done += got;
    check(got == chunk.size() || done == wanted, "ends early", std::to_string(done));
  }
  check(file.read(start, 1) == 0, "is too long", "more");
  return result;
}

}  // namespace

Tensor read_idx(const std::string& path) {
  return io::with_errors("read_idx", path, [&] { return read(path); });
}

}  // namespace cotangent::data
