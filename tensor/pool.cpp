#include <cotangent/tensor/pool.hpp>

#include <algorithm>
#include <cmath>

#include <cotangent/tensor/dispatch_internal.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/parallel.hpp>

namespace cotangent::raw {
namespace {

using detail::make_tensor;

bool is_low_precision(const Tensor& x) { return x.dtype() == bfloat16 || x.dtype() == float16; }

/// The sizes of one plane (an image of one channel) and of its result, and how many planes there are.
struct Planes {
  Planes(const Tensor& x, const Pooling& p) {
    for (const PoolWindow& w : p.window) in *= w.in, out *= w.out;
    count = x.numel() / std::max<int64_t>(1, in);
    cells = p.window[0].kernel * p.window[1].kernel * p.window[2].kernel;
  }
  int64_t in = 1, out = 1, count, cells;
  int64_t grain() const { return std::max<int64_t>(1, 16384 / std::max<int64_t>(1, out * cells)); }
};

// Calls body(o, first, last) for each window of a plane in order; first and last are the corners of the window.
template <class Body>
void for_each_window(const Pooling& p, Body&& body) {
  const PoolWindow &d = p.window[0], &h = p.window[1], &w = p.window[2];
  int64_t o = 0;
  for (int64_t a = 0; a < d.out; ++a)
    for (int64_t b = 0; b < h.out; ++b)
      for (int64_t c = 0; c < w.out; ++c, ++o) {
        const int64_t first[3] = {d.first(a), h.first(b), w.first(c)}, last[3] = {d.last(a), h.last(b), w.last(c)};
        body(o, first, last);
      }
}

// The weight of each window's cells.
template <class Body>
void for_each_mean(const Pooling& p, Body&& body) {
  const PoolWindow &d = p.window[0], &h = p.window[1], &w = p.window[2];
  int64_t o = 0;
  for (int64_t a = 0; a < d.out; ++a)
    for (int64_t b = 0; b < h.out; ++b) {
      const int64_t cells = d.cells(a, p.count_padding) * h.cells(b, p.count_padding);
      for (int64_t c = 0; c < w.out; ++c, ++o) {
        const double divisor = p.divisor != 0 ? p.divisor : static_cast<double>(cells * w.cells(c, p.count_padding));
        const int64_t first[3] = {d.first(a), h.first(b), w.first(c)}, last[3] = {d.last(a), h.last(b), w.last(c)};
        body(o, first, last, 1 / divisor);
      }
    }
}

// 2 x 2 windows side by side, the usual case: rows of the result from pairs of rows.
template <class T>
void max_pool_2x2(const T* x, T* y, int64_t* index, const PoolWindow& h, const PoolWindow& w) {
  for (int64_t b = 0; b < h.out; ++b) {
    const T *top = x + 2 * b * w.in, *bottom = top + w.in;
    for (int64_t c = 0; c < w.out; ++c) {
      T best = top[2 * c];
      int64_t at = 0;
      const auto consider = [&](T v, int64_t where) {
        const bool wins = v > best || std::isnan(v);
        best = wins ? v : best;
        at = wins ? where : at;
      };
      consider(top[2 * c + 1], 1);
      consider(bottom[2 * c], w.in);
      consider(bottom[2 * c + 1], w.in + 1);
      y[b * w.out + c] = best;
      index[b * w.out + c] = 2 * b * w.in + 2 * c + at;
    }
  }
}

template <class T>
void max_pool_plane(const T* x, T* y, int64_t* index, const Pooling& p) {
  const PoolWindow &d = p.window[0], &h = p.window[1], &w = p.window[2];
  for_each_window(p, [&](int64_t o, const int64_t* first, const int64_t* last) {
    int64_t at = (first[0] * h.in + first[1]) * w.in + first[2];
    T best = x[at];
    for (int64_t a = first[0]; a < last[0]; a += d.dilation)
      for (int64_t b = first[1]; b < last[1]; b += h.dilation)
        for (int64_t c = first[2]; c < last[2]; c += w.dilation) {
          const int64_t i = (a * h.in + b) * w.in + c;
          if (x[i] > best || std::isnan(x[i])) best = x[i], at = i;
        }
    y[o] = best, index[o] = at;
  });
}

}  // namespace

MaxPoolResult max_pool(const char* op, const Tensor& x, const Shape& result, const Pooling& pooling) {
  if (is_low_precision(x)) {
    MaxPoolResult r = max_pool(op, cast(x, float32), result, pooling);
    r.values = cast(r.values, x.dtype());
    return r;
  }
  const Tensor dense = contiguous(x);
  MaxPoolResult r{make_tensor(result, x.dtype()), make_tensor(result, int64)};
  const Planes n(x, pooling);
  const PoolWindow &d = pooling.window[0], &h = pooling.window[1], &w = pooling.window[2];
  const auto halves = [](const PoolWindow& v) {
    return !v.adaptive && v.kernel == 2 && v.stride == 2 && v.padding == 0 && v.dilation == 1 && v.out * 2 <= v.in;
  };
  const bool quarters = d.in == 1 && d.kernel == 1 && halves(h) && halves(w);
  dispatch_compute(op, x.dtype(), [&]<class T> {
    const T* px = dense.data<T>();
    T* py = r.values.data<T>();
    int64_t* index = r.indices.data<int64_t>();
    parallel_for(0, n.count, n.grain(), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        if (quarters)
          max_pool_2x2(px + i * n.in, py + i * n.out, index + i * n.out, h, w);
        else
          max_pool_plane(px + i * n.in, py + i * n.out, index + i * n.out, pooling);
      }
    });
  });
  return r;
}

Tensor max_pool_backward(const char* op, const Tensor& g, const Tensor& indices, const Shape& x_shape) {
  if (is_low_precision(g)) return cast(max_pool_backward(op, cast(g, float32), indices, x_shape), g.dtype());
  const Tensor dense = contiguous(g), index = contiguous(indices);
  Tensor dx = make_tensor(x_shape, g.dtype());
  const int64_t planes = x_shape.slice(0, 2).product();
  const int64_t in = dx.numel() / std::max<int64_t>(1, planes), out = g.numel() / std::max<int64_t>(1, planes);
  dispatch_compute(op, g.dtype(), [&]<class T> {
    const T* pg = dense.data<T>();
    const int64_t* at = index.data<int64_t>();
    T* px = dx.data<T>();
    parallel_for(0, planes, std::max<int64_t>(1, 16384 / std::max<int64_t>(1, in)), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        std::fill(px + i * in, px + (i + 1) * in, T(0));
        for (int64_t o = i * out; o < (i + 1) * out; ++o) px[i * in + at[o]] += pg[o];
      }
    });
  });
  return dx;
}

void check_distinct(const char* op, const Tensor& indices, int64_t size) {
  const Tensor dense = contiguous(indices);
  const int64_t* at = dense.data<int64_t>();
  const int64_t planes = indices.shape().slice(0, 2).product(), count = indices.numel() / std::max<int64_t>(1, planes);
  std::vector<int64_t> taken(static_cast<size_t>(size), -1);  // the last plane that an index occurred in
  for (int64_t i = 0; i < planes; ++i)
    for (int64_t k = i * count; k < (i + 1) * count; ++k) {
      if (at[k] < 0 || at[k] >= size)
        fail<IndexError>("[{}] index {} is beyond the {} elements of a plane", op, at[k], size);
      int64_t& last = taken[static_cast<size_t>(at[k])];
      if (last == i)
        fail<ValueError>(
            "[{}] index {} occurs twice in a plane, which can hold one of the values only; the windows of "
            "the pooling must not overlap",
            op, at[k]);
      last = i;
    }
}

Tensor avg_pool(const char* op, const Tensor& x, const Shape& result, const Pooling& pooling) {
  if (is_low_precision(x)) return cast(avg_pool(op, cast(x, float32), result, pooling), x.dtype());
  const Tensor dense = contiguous(x);
  Tensor y = make_tensor(result, x.dtype());
  const Planes n(x, pooling);
  const int64_t height = pooling.window[1].in, width = pooling.window[2].in;
  dispatch_compute(op, x.dtype(), [&]<class T> {
    const T* px = dense.data<T>();
    T* py = y.data<T>();
    parallel_for(0, n.count, n.grain(), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const T* plane = px + i * n.in;
        for_each_mean(pooling, [&](int64_t o, const int64_t* first, const int64_t* last, double weight) {
          T sum = 0;
          for (int64_t a = first[0]; a < last[0]; ++a)
            for (int64_t b = first[1]; b < last[1]; ++b)
              for (int64_t c = first[2]; c < last[2]; ++c) sum += plane[(a * height + b) * width + c];
          py[i * n.out + o] = sum * static_cast<T>(weight);
        });
      }
    });
  });
  return y;
}

Tensor avg_pool_backward(const char* op, const Tensor& g, const Shape& x_shape, const Pooling& pooling) {
  if (is_low_precision(g)) return cast(avg_pool_backward(op, cast(g, float32), x_shape, pooling), g.dtype());
  const Tensor dense = contiguous(g);
  Tensor dx = make_tensor(x_shape, g.dtype());
  const Planes n(dx, pooling);
  const int64_t height = pooling.window[1].in, width = pooling.window[2].in;
  dispatch_compute(op, g.dtype(), [&]<class T> {
    const T* pg = dense.data<T>();
    T* px = dx.data<T>();
    parallel_for(0, n.count, n.grain(), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        T* plane = px + i * n.in;
        std::fill(plane, plane + n.in, T(0));
        for_each_mean(pooling, [&](int64_t o, const int64_t* first, const int64_t* last, double weight) {
          const T share = pg[i * n.out + o] * static_cast<T>(weight);
          for (int64_t a = first[0]; a < last[0]; ++a)
            for (int64_t b = first[1]; b < last[1]; ++b)
              for (int64_t c = first[2]; c < last[2]; ++c) plane[(a * height + b) * width + c] += share;
        });
      }
    });
  });
  return dx;
}

}  // namespace cotangent::raw
