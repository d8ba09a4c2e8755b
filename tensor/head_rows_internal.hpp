#pragma once
// Private: the rows of one head, and its state, gathered into dense rows with zeros at their ends, as kernels of scans
// over a matrix of state read them: so that any layout, order and repetition of heads will do.
#include <algorithm>

#include <cotangent/tensor/tensor.hpp>

namespace cotangent::raw {

/// Head (b, h) of `heads` in a (B, H, T, d) tensor, from a column on. Where H is smaller, each serves several; d may be
/// 1 for all columns. An undefined tensor is zeros.
template <class T>
struct HeadRows {
  HeadRows(const Tensor& x, int64_t b, int64_t h, int64_t heads, int64_t column = 0) {
    if (!x.defined()) return;
    row = x.strides()[2], step = x.size(3) == 1 ? 0 : x.strides()[3], length = x.size(2);
    data = x.data<T>() + b * x.strides()[0] + h * x.size(1) / heads * x.strides()[1] + column * step;
  }
  /// `width` numbers at each of `count` places from `first` on, or back, and `next` from row to row. Places may lie
  /// outside: what is not there is `otherwise`.
  void gather(int64_t first, int64_t count, bool back, int64_t width, int64_t next, T* rows, T otherwise = 0) const {
    for (int64_t i = 0; i < count; ++i, rows += next) {
      const int64_t t = back ? first - i : first + i;
      const bool there = data && t >= 0 && t < length;
      const T* from = there ? data + t * row : nullptr;
      if (!there)
        std::fill_n(rows, width, otherwise);
      else if (step == 1)
        std::copy_n(from, width, rows);
      else
        for (int64_t j = 0; j < width; ++j) rows[j] = from[j * step];
      std::fill(rows + width, rows + next, T(0));
    }
  }
  int64_t row = 0, step = 0, length = 0;
  const T* data = nullptr;
};

/// Columns of the state (m, n) of a head, from `column` on, or of its transpose: undefined for 0.
template <class T>
void load_state(const Tensor& x, int64_t b, int64_t h, bool transposed, int64_t rows, int64_t column, int64_t width,
                int64_t next, T* to) {
  std::fill_n(to, rows * next, T(0));
  if (!x.defined()) return;
  const int64_t row = x.strides()[transposed ? 3 : 2], step = x.strides()[transposed ? 2 : 3];
  const T* from = x.data<T>() + b * x.strides()[0] + h * x.strides()[1] + column * step;
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < width; ++j) to[i * next + j] = from[i * row + j * step];
}

}  // namespace cotangent::raw
