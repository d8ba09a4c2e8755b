#pragma once
// Short rows of functions that are dear or sum: they fill no vectors, but columns of them do.
#include <cstdint>

#include <cotangent/tensor/kernels/transpose.hpp>

namespace cotangent::kernels {
namespace {

constexpr int64_t kShortRow = 32;  // elements; to turn longer rows takes longer than it saves
constexpr int64_t kTurned = 64;    // rows that are turned at once

/// Up to kTurned rows of n < kShortRow elements as columns: element i of row r stands at data[i * kTurned + r].
template <class T>
struct Turned {
  void load(const T* x, int64_t rows, int64_t n) { transpose(x, rows, n, n, data, kTurned); }
  void store(T* y, int64_t rows, int64_t n) const { transpose(data, n, rows, kTurned, y, n); }
  alignas(64) T data[kShortRow * kTurned];
};

}  // namespace
}  // namespace cotangent::kernels
