#include <cotangent/data/idx.hpp>

#include <zlib.h>

#include <bit>
#include <cerrno>
#include <cstring>

#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::data {
namespace {

/// All bytes of a file, decompressed if it is compressed.
std::vector<uint8_t> read_bytes(const std::string& path) {
  errno = 0;
  const gzFile file = gzopen(path.c_str(), "rb");
  if (!file) fail<IOError>("[read_idx] {} cannot be opened: {}", path, std::strerror(errno));
  struct Close {
    gzFile file;
    ~Close() { gzclose_r(file); }
  } close{file};
  gzbuffer(file, 1 << 17);
  std::vector<uint8_t> bytes;
  constexpr size_t chunk = 1 << 20;
  int read = 0;
  do {
    const size_t size = bytes.size();
    bytes.resize(size + chunk);
    read = gzread(file, bytes.data() + size, chunk);
    bytes.resize(size + static_cast<size_t>(read > 0 ? read : 0));
  } while (read > 0);
  int code = Z_OK;
  const char* problem = gzerror(file, &code);
  if (code == Z_BUF_ERROR) fail<IOError>("[read_idx] {} ends early: the compressed data are cut off", path);
  if (code == Z_ERRNO) fail<IOError>("[read_idx] {} cannot be read: {}", path, std::strerror(errno));
  if (read < 0 || code != Z_OK) fail<IOError>("[read_idx] {} is damaged: {}", path, problem);
  return bytes;
}

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

void decode(uint8_t code, const uint8_t* from, const Tensor& to) {
  const int64_t n = to.numel();
  if (code == 0x08) {
    if (n > 0) std::memcpy(to.data<uint8_t>(), from, static_cast<size_t>(n));
    return;
  }
  for (int64_t i = 0; i < n; ++i) {
    switch (code) {
      case 0x09: to.data<int32_t>()[i] = from[i] < 128 ? from[i] : from[i] - 256; break;
      case 0x0B: to.data<int32_t>()[i] = static_cast<int16_t>(from[2 * i] << 8 | from[2 * i + 1]); break;
      case 0x0C: to.data<int32_t>()[i] = static_cast<int32_t>(big_endian(from + 4 * i)); break;
      case 0x0D: to.data<float>()[i] = std::bit_cast<float>(big_endian(from + 4 * i)); break;
      default: to.data<double>()[i] = std::bit_cast<double>(big_endian_8(from + 8 * i));
    }
  }
}

}  // namespace

Tensor read_idx(const std::string& path) {
  const std::vector<uint8_t> bytes = read_bytes(path);
  const auto size = static_cast<int64_t>(bytes.size());
  if (size < 4)
    fail<IOError>("[read_idx] {} holds {} bytes; an IDX file starts with 4 bytes: 0, 0, element type, rank", path,
                  size);
  const Element element = element_of(bytes[2]);
  const int64_t rank = bytes[3];
  if (bytes[0] != 0 || bytes[1] != 0 || element.bytes == 0 || rank > kMaxRank)
    fail<IOError>(
        "[read_idx] {} is no IDX file: it starts with {:#04x} {:#04x} {:#04x} {:#04x}; expected 0, 0, an element type "
        "from 8 "
        "to 14, and a rank up to {}",
        path, bytes[0], bytes[1], bytes[2], bytes[3], kMaxRank);
  const int64_t header = 4 + 4 * rank;
  if (size < header)
    fail<IOError>("[read_idx] {} ends early: it holds {} bytes, and the sizes alone take {}", path, size, header);
  Shape shape;
  int64_t wanted = element.bytes;
  bool too_large = false;
  for (int64_t d = 0; d < rank; ++d) {
    shape.push_back(big_endian(bytes.data() + 4 + 4 * d));
    too_large |= __builtin_mul_overflow(wanted, shape.back(), &wanted);
  }
  if (too_large || size - header != wanted)
    fail<IOError>("[read_idx] {} {}: elements of shape {} take {} bytes, and it holds {}", path,
                  too_large || size - header < wanted ? "ends early" : "is too long", shape,
                  too_large ? "too many" : std::to_string(wanted), size - header);
  const Tensor result = empty(shape, element.dtype);
  decode(bytes[2], bytes.data() + header, result);
  return result;
}

}  // namespace cotangent::data
