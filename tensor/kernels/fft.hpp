#pragma once
// Fourier transforms of several rows at once: a block is a matrix (elements, lanes) with one row in each lane, so that
// vectors never meet one another within a register, whatever the length is. A complex number is two elements.
#include <cstdint>

namespace cotangent::kernels {

/// What a transform of n complex numbers needs to know: a product of 2, 3, 4, 5 and 8, or else a detour.
template <class T>
struct FftPlan {
  int64_t n;
  const int8_t* radices;  ///< whose product is n
  int stages;
  const T* roots;  ///< n pairs w^j, w = exp(-2 pi i / n)
  /// For other lengths (Bluestein): chirp_j = exp(-pi i j^2 / n), n pairs; a transform of at least 2 n - 1; and that of
  /// the conjugate chirp in both directions, divided by its length.
  const FftPlan* padded = nullptr;
  const T *chirp = nullptr, *chirp_transform = nullptr;
};

/// Rows in memory: row i begins at at[i], and its elements are `step` apart, or its pairs of elements.
struct FftRows {
  const int64_t* at;
  int64_t count;  ///< at most the lanes of a block, which are filled up with 0
  int64_t step;
  bool pairs;
};

/// The loops for blocks of one width. With h = n / 2, a real row of even length n is h complex numbers z_j = x_2j +
/// i x_(2j+1), the transform of which, Z, is h numbers, too, and has all that the first h + 1 of x have: `split` and
/// `join` go from one to the other. `turns` are the h + 1 pairs exp(-2 pi i k / n). What is to be transformed back
/// stands in reverse order, 0 first: there and back is the same transform.
template <class T>
struct FftBlocks {
  int lanes;
  void (*gather)(const T* x, const FftRows& rows, int64_t elements, T* block);
  void (*scatter)(const T* block, int64_t elements, T* y, const FftRows& rows);
  /// Transforms x, with y as space: gives the one of them in which the result stands, `scale` times.
  T* (*transform)(const FftPlan<T>& plan, T scale, T* x, T* y);
  void (*reverse)(int64_t n, T* x);
  /// Z (h) -> X (h + 1) times scale, and all but the first and the last times `inner`.
  void (*split)(int64_t h, const T* turns, T scale, T inner, const T* z, T* spectrum);
  /// X (h + 1), all but the first and the last times `inner`, -> Z (h) times scale, in reverse.
  void (*join)(int64_t h, const T* turns, T scale, T inner, const T* spectrum, T* z);
  /// Z of x -> Z of irfft(X s), in reverse, in place; for `conjugate` s counts as its conjugate.
  void (*multiply)(int64_t h, const T* turns, T scale, const T* s, bool conjugate, T* z);
  /// sum (h + 1) += conj(X) G, or its conjugate; from Z of both.
  void (*correlate)(int64_t h, const T* turns, const T* x, const T* g, bool conjugate, T* sum);
  /// X (n / 2 + 1) times scale, and all but X_0 and, for an even n, the last times `inner`.
  void (*scale_half)(int64_t n, T scale, T inner, T* spectrum);
  /// For odd n: real numbers as complex ones, and back.
  void (*widen)(int64_t n, const T* x, T* z);
  void (*narrow)(int64_t n, const T* z, T* x);
  /// For odd n: (n + 1) / 2 numbers, all but the first times `inner`, with their conjugates, in reverse.
  void (*mirror)(int64_t n, T inner, const T* spectrum, T* z);
};

template <class T>
struct FftLoops {
  FftBlocks<T> wide, single;  ///< as many lanes as a vector has, and one
};

}  // namespace cotangent::kernels
