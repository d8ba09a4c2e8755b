// Transposition, of which the copies between different orders of dimensions are made.
#include <cotangent/tensor/kernels/transpose.hpp>

namespace cotangent::kernels {
namespace {

template <class T>
void transpose_any(const void* x, int64_t rows, int64_t columns, int64_t x_stride, void* y, int64_t y_stride) {
  transpose(static_cast<const T*>(x), rows, columns, x_stride, static_cast<T*>(y), y_stride);
}

}  // namespace

namespace COTANGENT_ISA {
void fill_transpose(Table& t) {
  t.transpose[0] = transpose_any<uint8_t>;
  t.transpose[1] = transpose_any<uint16_t>;
  t.transpose[2] = transpose_any<uint32_t>;
  t.transpose[3] = transpose_any<uint64_t>;
}
}  // namespace COTANGENT_ISA
}  // namespace cotangent::kernels
