#include <cotangent/tensor/by_distance.hpp>

#include <algorithm>

#include <cotangent/tensor/dispatch_internal.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/join.hpp>
#include <cotangent/tensor/parallel.hpp>

namespace cotangent::raw {
namespace {

// Calls f(row of x, row of y, the buckets of its keys in their order) for rows of x and y = (.., Tq, columns).
template <class F>
Tensor by_rows(const char* op, const Tensor& given, const Tensor& buckets, int64_t columns, int64_t keys, F f) {
  const Tensor x = contiguous(given), ascending = flip(contiguous(buckets), 0b1);  // by j - i
  const int64_t queries = x.size(-2), width = x.size(-1);
  Shape shape = x.shape();
  shape.back() = columns;
  const Tensor y = detail::make_tensor(shape, x.dtype());
  const int64_t rows = width == 0 || columns == 0 ? 0 : y.numel() / columns;
  if (width == 0) fill_into(y, 0);
  dispatch_compute(op, x.dtype(), [&]<class T> {
    const T* from = x.data<T>();
    T* to = y.data<T>();
    const int64_t* places = ascending.data<int64_t>();
    parallel_for(0, rows, 1 + 20'000 / (keys + 1), [&](int64_t first, int64_t last) {
      for (int64_t row = first; row < last; ++row)
        f(from + row * width, to + row * columns, places + (queries - 1 - row % queries));
    });
  });
  return y;
}

}  // namespace

Tensor gather_by_distance(const Tensor& x, const Tensor& buckets, int64_t keys) {
  return by_rows("gather_by_distance", x, buckets, keys, keys, [=](const auto* from, auto* to, const int64_t* place) {
    for (int64_t j = 0; j < keys; ++j) to[j] = from[place[j]];
  });
}

Tensor sum_by_distance(const Tensor& x, const Tensor& buckets, int64_t rows) {
  const int64_t keys = x.size(-1);
  return by_rows("sum_by_distance", x, buckets, rows, keys, [=](const auto* from, auto* to, const int64_t* place) {
    std::fill_n(to, rows, 0);
    for (int64_t j = 0; j < keys; ++j) to[place[j]] += from[j];
  });
}

}  // namespace cotangent::raw
