#pragma once
#include <string>

#include <cotangent/tensor/tensor.hpp>

namespace cotangent::data {

/// A tensor from an IDX file, the format of MNIST and its relatives, plain or compressed by gzip.
///
/// The file holds two zero bytes, the element type (8: uint8, 9: int8, 11: int16, 12: int32, 13: float32, 14: float64),
/// the rank, the sizes, and the elements, all big-endian. int8 and int16 become int32. An IOError for a file that is
/// missing, damaged, cut short, too long, or of another format, and for what is no file: a pipe, a device. No more is
/// decompressed than the header promises.
Tensor read_idx(const std::string& path);

}  // namespace cotangent::data
