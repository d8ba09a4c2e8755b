// Selection by a mask, and copies of elements that lie apart: by their size, whatever they mean.
#include <cotangent/tensor/kernels/copy.hpp>
#include <cotangent/tensor/kernels/transpose.hpp>

#include <cstring>
#include <type_traits>  // integral_constant: no code

#ifdef __SSE2__
#include <immintrin.h>
#endif

namespace cotangent::kernels {
namespace {

template <class T>
void where(const bool* condition, const void* pa, const void* pb, void* py, int64_t n, int step_a, int step_b) {
  const T *a = static_cast<const T*>(pa), *b = static_cast<const T*>(pb);
  T* y = static_cast<T*>(py);
  const auto choose = [=](auto if_true, auto if_false) {
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) {
      const T p = if_true(i), q = if_false(i), mask = static_cast<T>(T(0) - static_cast<T>(condition[i]));
      y[i] = static_cast<T>((p & mask) | (q & ~mask));  // a choice by ?: would become a branch
    }
  };
  const auto each_a = [=](int64_t i) { return a[i]; };
  const auto each_b = [=](int64_t i) { return b[i]; };
  const auto one_a = [v = *a](int64_t) { return v; };
  const auto one_b = [v = *b](int64_t) { return v; };
  if (step_a)
    step_b ? choose(each_a, each_b) : choose(each_a, one_b);
  else
    step_b ? choose(one_a, each_b) : choose(one_a, one_b);
}

// Compilers know shuffles for strides that are constants.
template <class F>
void with_stride(int64_t stride, F f) {
  if (stride == 1)
    f(std::integral_constant<int64_t, 1>{});
  else if (stride == 2)
    f(std::integral_constant<int64_t, 2>{});
  else
    f(stride);
}
template <class T>
void gather(const void* px, void* py, int64_t n, int64_t stride) {
  const T* x = static_cast<const T*>(px);
  T* y = static_cast<T*>(py);
  if (stride == 0) {
    const T one = *x;
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) y[i] = one;
    return;
  }
  with_stride(stride, [=](auto step) {
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) y[i] = x[i * step];
  });
}
// Rows of `bytes`, which are at least Block: in blocks, of which the last one ends with the row.
template <int Block>
void copy_rows(const char* x, int64_t x_stride, char* y, int64_t y_stride, int64_t rows, int64_t bytes) {
  for (; rows > 0; --rows, x += x_stride, y += y_stride) {
    for (int64_t i = 0; i < bytes; i += 64) __builtin_prefetch(x + 16 * x_stride + i);
    for (int64_t i = 0; i + Block < bytes; i += Block) __builtin_memcpy(y + i, x + i, Block);
    __builtin_memcpy(y + bytes - Block, x + bytes - Block, Block);
  }
}
template <class T>
void rows(const void* px, int64_t x_stride, void* py, int64_t y_stride, int64_t rows, int64_t n) {
  const char* x = static_cast<const char*>(px);
  char* y = static_cast<char*>(py);
  const int64_t size = sizeof(T), bytes = n * size;
  const auto copy = bytes >= 32   ? copy_rows<32>
                    : bytes >= 16 ? copy_rows<16>
                    : bytes >= 8  ? copy_rows<8>
                    : bytes >= 4  ? copy_rows<4>
                    : bytes >= 2  ? copy_rows<2>
                                  : copy_rows<1>;
  if (n > 0) copy(x, x_stride * size, y, y_stride * size, rows, bytes);
}
template <class T>
void scatter(const void* px, void* py, int64_t n, int64_t stride) {
  const T* x = static_cast<const T*>(px);
  T* y = static_cast<T*>(py);
  for (int64_t i = 0; i < n; ++i) y[i * stride] = x[i];
}

void stream(const void* px, void* py, int64_t bytes) {
  const char* x = static_cast<const char*>(px);
  char* y = static_cast<char*>(py);
#ifdef __SSE2__
  const int64_t head = static_cast<int64_t>(-reinterpret_cast<uintptr_t>(y) % 64);
  if (head < bytes) {
    std::memcpy(y, x, static_cast<size_t>(head));
    x += head, y += head, bytes -= head;
    for (; bytes >= 64; x += 64, y += 64, bytes -= 64) {  // a line of the cache
#ifdef __AVX__
      for (int i = 0; i < 64; i += 32)
        _mm256_stream_si256(reinterpret_cast<__m256i*>(y + i),
                            _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x + i)));
#else
      for (int i = 0; i < 64; i += 16)
        _mm_stream_si128(reinterpret_cast<__m128i*>(y + i), _mm_loadu_si128(reinterpret_cast<const __m128i*>(x + i)));
#endif
    }
  }
#endif
  std::memcpy(y, x, static_cast<size_t>(bytes));
}
void end_stream() {
#ifdef __SSE2__
  _mm_sfence();
#endif
}

// Copies between different orders of dimensions are made of these.
template <class T>
void transpose_any(const void* x, int64_t rows, int64_t columns, int64_t x_stride, void* y, int64_t y_stride) {
  transpose(static_cast<const T*>(x), rows, columns, x_stride, static_cast<T*>(y), y_stride);
}

template <class T>
CopyLoops loops() {
  return {where<T>, transpose_any<T>, gather<T>, rows<T>, scatter<T>};
}

}  // namespace

namespace COTANGENT_ISA {
void fill(CopyTable& t) {
  t = {{loops<uint8_t>(), loops<uint16_t>(), loops<uint32_t>(), loops<uint64_t>()}, stream, end_stream};
}
}  // namespace COTANGENT_ISA
}  // namespace cotangent::kernels
