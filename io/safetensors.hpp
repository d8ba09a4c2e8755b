#pragma once
#include <cotangent/io/metadata.hpp>
#include <cotangent/tensor/state_dict.hpp>

namespace cotangent::io {

/// What a safetensors file holds: tensors by name, in the order of its header, and a few words about them.
struct SafeTensors {
  StateDict tensors;
  Metadata metadata;
};

/// The tensors of a file in the safetensors format, which PyTorch, NumPy and JAX read and write too:
///
///     bytes 0 to 7   n, little-endian
///     n bytes        {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ..., "__metadata__": {...}}
///     the rest       the elements, row-major and little-endian, at these offsets
///
/// Nothing in a file is trusted: an IOError for one that is missing, of another format, cut short or too long, for a
/// pipe or a device, for a header that is no such JSON or names a tensor twice, and for offsets that overlap, leave
/// gaps or do not fit dtype and shape; also for the dtypes that Cotangent does not have (it has F64, F32, F16, BF16,
/// I64, I32, U8 and BOOL) and for a rank above kMaxRank.
SafeTensors read_safetensors(const std::string& path);

/// Writes such a file. The tensors may be views; each begins at a multiple of its element's size. The file appears
/// whole or not at all: it is written under another name beside `path`, and renamed when the disk has it. A file that
/// was there gives it its mode; a symbolic link stays, and what it points at is written. What a process that was killed
/// while it wrote has left beside `path` is removed. An IOError when it cannot be written; a ValueError for an
/// undefined tensor, and for text that is no UTF-8.
void write_safetensors(const std::string& path, const StateDict& tensors, const Metadata& metadata = {});

}  // namespace cotangent::io
