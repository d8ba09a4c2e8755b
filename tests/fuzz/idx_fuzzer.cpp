// A file gives the same tensor, or is refused, whether it is compressed or not.
#include <cotangent/data/idx.hpp>
#include <cstring>

#include "fuzz.hpp"

using namespace cotangent;

std::vector<Bytes> seeds() {
  std::vector<Bytes> result{idx_header(0x08, {}) + Bytes{7},
                            idx_header(0x08, {0, 5}),
                            idx_header(0x09, {2, 3}) + Bytes(6, 200),
                            idx_header(0x0B, {3}) + Bytes(6, 1),
                            idx_header(0x0C, {1, 2, 1}) + Bytes(8, 255),
                            idx_header(0x0D, {2}) + Bytes(8, 63),
                            idx_header(0x0E, {1, 1, 1, 1}) + Bytes(8, 64)};
  write_gzip(directory() / "seed", result[2]);
  result.push_back(read_all(directory() / "seed"));
  return result;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const Bytes bytes(data, data + size);
  Tensor plain, compressed;
  const std::string path = file_of("f", bytes);
  const bool read = succeeds<IOError>("[read_idx] ", [&] { plain = data::read_idx(path); });
  if (bytes.size() >= 2 && bytes[0] == 0x1F && bytes[1] == 0x8B) return 0;  // compressed it would be so twice
  write_gzip(path, bytes);
  promise(read == succeeds<IOError>("[read_idx] ", [&] { compressed = data::read_idx(path); }), "both or none is read");
  if (!read) return 0;
  promise(plain.shape() == compressed.shape() && plain.dtype() == compressed.dtype(), "of one shape and dtype");
  const auto length = static_cast<size_t>(plain.numel() * item_size(plain.dtype()));
  promise(length == 0 || std::memcmp(plain.raw_data(), compressed.raw_data(), length) == 0, "bit for bit");
  return 0;
}
