#include <cotangent/tensor/pool.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include <cotangent/tensor/dispatch_internal.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/kernels/kernels.hpp>
#include <cotangent/tensor/memory/scratch_internal.hpp>
#include <cotangent/tensor/parallel.hpp>
#include <cotangent/tensor/parts_internal.hpp>
#include <cotangent/tensor/processor_internal.hpp>

namespace cotangent::raw {
namespace {

using detail::make_tensor;

/// The windows as the kernels want them, for elements of T.
template <class T>
class Plan {
 public:
  using Lane = kernels::PoolIndex<T>;

  Plan(const Tensor& x, const Pooling& p) {
    const PoolWindow &d = p.window[0], &h = p.window[1], &w = p.window[2];
    // windows of equal size side by side are regular
    const bool even = w.adaptive && w.in % w.out == 0;
    const int64_t kernel = even ? w.in / w.out : w.kernel, stride = even ? kernel : w.adaptive ? 0 : w.stride;
    columns.in = w.in, columns.out = w.out, columns.dilation = w.dilation;
    columns.kernel = kernel, columns.stride = stride, columns.length = w.out;
    if (stride > 0) {
      const int64_t length = columns.length = w.out + (kernel - 1) * w.dilation / stride + kSpare;
      const int64_t used = std::min(w.in, stride * length - w.padding);
      columns.head = std::min(used, (stride - w.padding % stride) % stride);
      columns.head_at = w.padding % stride * length + w.padding / stride;
      columns.groups = (used - columns.head) / stride;
      columns.at = (columns.head + w.padding) / stride;
      columns.tail = used - columns.head - columns.groups * stride;
      for (int64_t k = 0; k < kernel; ++k) taps_.push_back(k * w.dilation % stride * length + k * w.dilation / stride);
    }
    for (int64_t o = 0; o < w.out + kSpare; ++o) {
      const bool real = o < w.out;
      from_.push_back(real ? w.first(o) : 0);
      to_.push_back(real ? w.last(o) : 0);
      cells_.push_back(static_cast<T>(p.divisor != 0 ? p.divisor : real ? w.cells(o, p.count_padding) : 1));
      begin_.push_back(static_cast<Lane>(o * stride - w.padding));
      first_.push_back(static_cast<Lane>(std::min(from_.back(), w.in - 1) - (o * stride - w.padding)));
    }
    for (int64_t a = 0; a < d.out; ++a)
      for (int64_t b = 0; b < h.out; ++b) {
        rows_.push_back(static_cast<int64_t>(starts_.size()));
        for (int64_t i = d.first(a); i < d.last(a); i += d.dilation)
          for (int64_t j = h.first(b); j < h.last(b); j += h.dilation) starts_.push_back((i * h.in + j) * w.in);
        const int64_t count = static_cast<int64_t>(starts_.size()) - rows_.back();
        most = std::max(most, count);
        const int64_t cells = d.cells(a, p.count_padding) * h.cells(b, p.count_padding);
        row_cells_.push_back(p.divisor != 0 ? 1 : static_cast<double>(cells));
      }
    rows.in = d.in * h.in * w.in;
    const auto apart = [](const PoolWindow& v) { return v.adaptive ? v.in % v.out == 0 : v.stride >= v.kernel; };
    rows.tiled = apart(d) && apart(h) && static_cast<int64_t>(starts_.size()) * w.in == rows.in;
    const auto halves = [](const PoolWindow& v) {
      return v.kernel == 2 && v.stride == 2 && v.padding == 0 && v.dilation == 1 && 2 * v.out <= v.in;
    };
    rows.quarters = d.in == 1 && d.kernel == 1 && halves(h) && halves(w);
    rows.out = static_cast<int64_t>(rows_.size());
    rows_.push_back(static_cast<int64_t>(starts_.size()));
    starts_.push_back(0);  // for a last window that lies wholly in the padding
    columns.taps = taps_.data(), columns.from = from_.data(), columns.to = to_.data();
    columns.begin = begin_.data(), columns.first = first_.data(), columns.cells = cells_.data();
    rows.first = rows_.data(), rows.starts = starts_.data(), rows.cells = row_cells_.data();
    planes = x.numel() / std::max<int64_t>(1, rows.in);
  }
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;

  /// Cuts the rows of results into blocks which stay in the first cache, where one row takes `size` elements.
  void cut(int64_t size) {
    const int64_t elements = processor().stays_in_first() / int64_t{sizeof(T)};
    rows.block = std::clamp<int64_t>(elements / std::max<int64_t>(size, 1), 1, rows.out);
  }
  /// The same, and gives each row that a block reaches one of its panels.
  void cut_into_panels(int64_t size) {
    cut(size);
    PooledVector<int64_t> slot(static_cast<size_t>(rows.in / columns.in));
    for (int64_t o = 0; o < rows.out; o += rows.block) {
      const int64_t begin = rows.first[o], end = rows.first[std::min(o + rows.block, rows.out)];
      for (int64_t i = begin; i < end; ++i) slot[static_cast<size_t>(rows.starts[i] / columns.in)] = -1;
      int64_t made = 0;
      for (int64_t i = begin; i < end; ++i) {
        int64_t& taken = slot[static_cast<size_t>(rows.starts[i] / columns.in)];
        if (taken < 0) taken = made++;
        slots_.push_back(taken);
      }
      rows.panels = std::max(rows.panels, made);
    }
    rows.slots = slots_.data();
  }
  /// Calls body(plane, space) for each plane, with space for `size` elements that holds `padding`.
  template <class Body>
  void for_each_plane(int64_t size, T padding, Body&& body) {
    const int64_t cells = columns.out * columns.kernel * static_cast<int64_t>(starts_.size());
    parallel_for(0, planes, std::max<int64_t>(1, 65536 / std::max<int64_t>(1, cells)), [&](int64_t begin, int64_t end) {
      const Scratch<T> space(size);
      std::fill_n(space.data(), size, padding);
      for (int64_t i = begin; i < end; ++i) body(i, space.data());
    });
  }
  int64_t panel() const { return columns.stride * columns.length; }
  /// A row of gradients with zeros on either side.
  int64_t share() const { return columns.length + (columns.stride > 0 ? (columns.kernel - 1) / columns.stride : 0); }
  /// What means take for a row of results: a row of the input, its panel, and gradients.
  int64_t mean_space() const { return columns.in + panel() + share(); }

  kernels::PoolColumns<T> columns{};
  kernels::PoolRows rows{};
  int64_t planes, most = 0;  ///< and the most rows that a window reaches

 private:
  static constexpr int64_t kSpare = 16;  // a vector of any instruction set
  PooledVector<int64_t> taps_, from_, to_, rows_, starts_, slots_;
  PooledVector<Lane> begin_, first_;
  PooledVector<T> cells_;
  PooledVector<double> row_cells_;
};

// Windows of different sizes.
template <class T, class Index>
void max_pool_plane(const T* x, T* y, Index* index, const Pooling& p) {
  const PoolWindow &d = p.window[0], &h = p.window[1], &w = p.window[2];
  for (int64_t i = 0; i < d.out; ++i)
    for (int64_t j = 0; j < h.out; ++j)
      for (int64_t k = 0; k < w.out; ++k) {
        int64_t at = (d.first(i) * h.in + h.first(j)) * w.in + w.first(k);
        T best = -std::numeric_limits<T>::infinity();
        for (int64_t a = d.first(i); a < d.last(i); a += d.dilation)
          for (int64_t b = h.first(j); b < h.last(j); b += h.dilation)
            for (int64_t c = w.first(k); c < w.last(k); c += w.dilation) {
              const int64_t cell = (a * h.in + b) * w.in + c;
              if (x[cell] > best || std::isnan(x[cell])) best = x[cell], at = cell;
            }
        *y++ = best, *index++ = static_cast<Index>(at);
      }
}

/// Sets what belongs to windows without elements.
void fill_empty(const Pooling& p, const Tensor& y, double value) {
  for (int d = 0; d < 3; ++d)
    for (int64_t o = 0; p.window[d].can_be_empty() && o < p.window[d].out; ++o)
      if (p.window[d].first(o) >= p.window[d].last(o)) fill_into(y.narrow(y.rank() - 3 + d, o, 1), value);
}
bool can_be_empty(const Pooling& p) {
  return p.window[0].can_be_empty() || p.window[1].can_be_empty() || p.window[2].can_be_empty();
}

Pooling in_planes(Pooling pooling) {
  pooling.format = MemoryFormat::contiguous;
  return pooling;
}
bool is_in_rows(const Pooling& pooling) { return pooling.format == MemoryFormat::channels_last; }

/// The windows where pixels are rows of channels.
class PixelPlan {
 public:
  explicit PixelPlan(const Pooling& p, int64_t channels) {
    const PoolWindow &h = p.window[1], &w = p.window[2];
    for (int64_t o = 0; o < h.out; ++o)
      rows_.push_back({h.first(o), h.last(o), h.dilation, p.divisor != 0 ? p.divisor : cells(h, o, p.count_padding)});
    for (int64_t o = 0; o < w.out; ++o)
      columns_.push_back({w.first(o), w.last(o), w.dilation, p.divisor != 0 ? 1 : cells(w, o, p.count_padding)});
    pixels = {channels,
              h.in * w.in,
              w.in,
              h.out,
              w.out,
              rows_.data(),
              columns_.data(),
              is_tiled(h, rows_) && is_tiled(w, columns_)};
    for (int64_t o = 0; o < h.out; ++o) reached_ += (h.last(o) - h.first(o)) * w.out * w.kernel;
  }
  PixelPlan(const PixelPlan&) = delete;
  PixelPlan& operator=(const PixelPlan&) = delete;

  int64_t in() const { return pixels.pixels * pixels.channels; }
  int64_t out() const { return pixels.out_height * pixels.out_width * pixels.channels; }
  /// Calls f(image, first, last) for rows of the results.
  template <class F>
  void for_rows(int64_t images, F&& f) const {
    const int64_t height = pixels.out_height, work = reached_ * pixels.channels / height + 1;
    parallel_for(0, images * height, std::max<int64_t>(1, kWork / work), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end;) {
        const int64_t image = i / height, last = std::min(end, (image + 1) * height);
        f(image, i - image * height, last - image * height);
        i = last;
      }
    });
  }
  /// Calls f(image, first, last) for blocks of the channels.
  template <class F>
  void for_channels(int64_t images, F&& f) const {
    const int64_t blocks = (pixels.channels + kChannels - 1) / kChannels, work = reached_ * kChannels + 1;
    parallel_for(0, images * blocks, std::max<int64_t>(1, kWork / work), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t first = i % blocks * kChannels;
        f(i / blocks, first, std::min(first + kChannels, pixels.channels));
      }
    });
  }

  kernels::PoolPixels pixels;

 private:
  static constexpr int64_t kWork = 65536;  // elements that do not pay for a second thread
  static constexpr int64_t kChannels = 64;
  static double cells(const PoolWindow& w, int64_t o, bool count_padding) {
    return static_cast<double>(w.cells(o, count_padding));
  }
  static bool is_tiled(const PoolWindow& w, const PooledVector<kernels::PoolSpan>& spans) {
    int64_t end = 0;
    for (const kernels::PoolSpan& s : spans) {
      if (s.first != end) return false;
      end = s.last;
    }
    return end == w.in && w.dilation == 1;
  }
  PooledVector<kernels::PoolSpan> rows_, columns_;
  int64_t reached_ = 0;
};
constexpr int64_t kFewChannels = 16;  // fewer are pooled in planes, whatever it takes to turn them

}  // namespace

static MaxPoolResult max_pool_rows(const char* op, const Tensor& x, const Shape& result, const Pooling& pooling) {
  const int64_t plane = pooling.window[1].in * pooling.window[2].in;
  if (x.shape()[1] < kFewChannels || plane >= std::numeric_limits<int32_t>::max()) {
    const MaxPoolResult r = max_pool(op, x, result, in_planes(pooling));
    return {in_format(r.values, pooling.format), in_format(r.indices, pooling.format)};
  }
  const Tensor dense = contiguous(x, pooling.format);
  MaxPoolResult r{empty_in_format(result, x.dtype(), pooling.format, op), {}};
  dispatch_compute(op, x.dtype(), [&]<class T> {
    using Lane = kernels::PoolIndex<T>;
    r.indices = empty_in_format(result, dtype_of<Lane>, pooling.format);
    const PixelPlan plan(pooling, x.shape()[1]);
    plan.for_rows(x.shape()[0], [&](int64_t image, int64_t first, int64_t last) {
      kernels::kernels().pool_pixels.of<T>().max_pool(
          plan.pixels, dense.data<T>() + image * plan.in(), r.values.data<T>() + image * plan.out(),
          r.indices.template data<Lane>() + image * plan.out(), first, last);
    });
  });
  fill_empty(pooling, r.indices, -1);
  return r;
}

static Shape of_images(Shape shape, int64_t count) {
  shape[0] = count;
  return shape;
}

MaxPoolResult max_pool(const char* op, const Tensor& x, const Shape& result, const Pooling& pooling) {
  if (is_low_precision(x.dtype())) {
    MaxPoolResult r{empty_in_format(result, x.dtype(), pooling.format, op), {}};
    int64_t first = 0;
    by_parts(op, x, r.values, [&](const Tensor& part) {
      const int64_t last = first + part.shape()[0];
      const MaxPoolResult some = max_pool(op, part, of_images(result, last - first), pooling);
      if (first == 0) r.indices = empty_in_format(result, some.indices.dtype(), pooling.format, op);
      copy_into(op, some.indices, part_of(op, r.indices, first, last));
      first = last;
      return some.values;
    });
    return r;
  }
  if (is_in_rows(pooling)) return max_pool_rows(op, x, result, pooling);
  const Tensor dense = contiguous(x);
  MaxPoolResult r{make_tensor(result, x.dtype(), op), {}};
  dispatch_compute(op, x.dtype(), [&]<class T> {
    Plan<T> plan(x, pooling);
    const T* px = dense.data<T>();
    T* py = r.values.data<T>();
    const int64_t in = plan.rows.in, out = plan.rows.out * plan.columns.out;
    const auto naive = [&]<class Index> {
      r.indices = make_tensor(result, dtype_of<Index>);
      Index* index = r.indices.data<Index>();
      plan.for_each_plane(0, 0,
                          [&](int64_t i, T*) { max_pool_plane(px + i * in, py + i * out, index + i * out, pooling); });
    };
    using Lane = kernels::PoolIndex<T>;
    if (in >= std::numeric_limits<Lane>::max()) return naive.template operator()<int64_t>();
    if (plan.columns.stride == 0) return naive.template operator()<Lane>();
    r.indices = make_tensor(result, dtype_of<Lane>);
    Lane* index = r.indices.template data<Lane>();
    const auto loop = kernels::kernels().pool.of<T>().max_pool;
    plan.cut_into_panels(plan.most * plan.panel());
    plan.for_each_plane(plan.rows.panels * plan.panel(), -std::numeric_limits<T>::infinity(), [&](int64_t i, T* space) {
      loop(plan.columns, plan.rows, px + i * in, py + i * out, index + i * out, space);
    });
  });
  fill_empty(pooling, r.indices, -1);
  return r;
}

Tensor max_pool_backward(const char* op, const Tensor& g, const Tensor& indices, const Shape& x_shape,
                         const Pooling& pooling) {
  if (is_low_precision(g.dtype())) {
    int64_t first = 0;
    return by_parts(op, g, empty_in_format(x_shape, g.dtype(), pooling.format, op), [&](const Tensor& part) {
      const int64_t last = first + part.shape()[0];
      const Tensor some = part_of(op, indices, std::exchange(first, last), last);
      return max_pool_backward(op, part, some, of_images(x_shape, part.shape()[0]), pooling);
    });
  }
  const bool rows = is_in_rows(pooling);
  if (rows && (x_shape[1] < kFewChannels || indices.dtype() != (g.dtype() == float32 ? int32 : int64)))
    return in_format(max_pool_backward(op, g, indices, x_shape, in_planes(pooling)), pooling.format);
  Tensor dense = contiguous(g, pooling.format), index = contiguous(indices, pooling.format),
         dx = empty_in_format(x_shape, g.dtype(), pooling.format);
  if (can_be_empty(pooling)) {
    dense = clone(dense), index = clone(index);
    for (const Tensor* y : {&dense, &index}) fill_empty(pooling, *y, 0);  // nothing for the first element
  }
  dispatch_compute(op, g.dtype(), [&]<class T> {
    using Lane = kernels::PoolIndex<T>;
    if (rows) {
      const PixelPlan plan(pooling, x_shape[1]);
      return plan.for_channels(x_shape[0], [&](int64_t image, int64_t first, int64_t last) {
        kernels::kernels().pool_pixels.of<T>().max_pool_backward(plan.pixels, dense.data<T>() + image * plan.out(),
                                                                 index.data<Lane>() + image * plan.out(),
                                                                 dx.data<T>() + image * plan.in(), first, last);
      });
    }
    Plan<T> plan(dx, pooling);
    const T* pg = dense.data<T>();
    T* px = dx.data<T>();
    const int64_t in = plan.rows.in, out = plan.rows.out * plan.columns.out;
    if (index.dtype() == dtype_of<Lane>) {
      const Lane* at = index.data<Lane>();
      const auto loop = kernels::kernels().pool.of<T>().max_pool_backward;
      plan.for_each_plane(
          0, 0, [&](int64_t i, T*) { loop(plan.columns, plan.rows, pg + i * out, at + i * out, px + i * in); });
    } else {
      const int64_t* at = index.data<int64_t>();
      plan.for_each_plane(0, 0, [&](int64_t i, T*) {
        std::fill_n(px + i * in, in, T(0));
        for (int64_t o = i * out; o < (i + 1) * out; ++o) px[i * in + at[o]] += pg[o];
      });
    }
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
  if (is_low_precision(x.dtype()))
    return by_parts(op, x, empty_in_format(result, x.dtype(), pooling.format, op), [&](const Tensor& part) {
      return avg_pool(op, part, of_images(result, part.shape()[0]), pooling);
    });
  if (is_in_rows(pooling) && x.shape()[1] < kFewChannels)
    return in_format(avg_pool(op, x, result, in_planes(pooling)), pooling.format);
  const Tensor dense = contiguous(x, pooling.format);
  Tensor y = empty_in_format(result, x.dtype(), pooling.format, op);
  dispatch_compute(op, x.dtype(), [&]<class T> {
    if (is_in_rows(pooling)) {
      const PixelPlan plan(pooling, x.shape()[1]);
      return plan.for_rows(x.shape()[0], [&](int64_t image, int64_t first, int64_t last) {
        kernels::kernels().pool_pixels.of<T>().avg_pool(plan.pixels, dense.data<T>() + image * plan.in(),
                                                        y.data<T>() + image * plan.out(), first, last);
      });
    }
    Plan<T> plan(x, pooling);
    const auto loop = kernels::kernels().pool.of<T>().avg_pool;
    plan.cut(plan.mean_space());
    plan.for_each_plane(
        plan.rows.block * plan.mean_space(), 0, [&, px = dense.data<T>(), py = y.data<T>()](int64_t i, T* space) {
          loop(plan.columns, plan.rows, px + i * plan.rows.in, py + i * plan.rows.out * plan.columns.out, space);
        });
  });
  return y;
}

Tensor avg_pool_backward(const char* op, const Tensor& g, const Shape& x_shape, const Pooling& pooling) {
  if (is_low_precision(g.dtype()))
    return by_parts(op, g, empty_in_format(x_shape, g.dtype(), pooling.format, op), [&](const Tensor& part) {
      return avg_pool_backward(op, part, of_images(x_shape, part.shape()[0]), pooling);
    });
  if (is_in_rows(pooling) && x_shape[1] < kFewChannels)
    return in_format(avg_pool_backward(op, g, x_shape, in_planes(pooling)), pooling.format);
  const Tensor dense = contiguous(g, pooling.format);
  Tensor dx = empty_in_format(x_shape, g.dtype(), pooling.format);
  dispatch_compute(op, g.dtype(), [&]<class T> {
    if (is_in_rows(pooling)) {
      const PixelPlan plan(pooling, x_shape[1]);
      return plan.for_channels(x_shape[0], [&](int64_t image, int64_t first, int64_t last) {
        kernels::kernels().pool_pixels.of<T>().avg_pool_backward(plan.pixels, dense.data<T>() + image * plan.out(),
                                                                 dx.data<T>() + image * plan.in(), first, last);
      });
    }
    Plan<T> plan(dx, pooling);
    const auto loop = kernels::kernels().pool.of<T>().avg_pool_backward;
    plan.cut(plan.mean_space());
    plan.for_each_plane(
        plan.rows.block * plan.mean_space(), 0, [&, pg = dense.data<T>(), px = dx.data<T>()](int64_t i, T* space) {
          loop(plan.columns, plan.rows, pg + i * plan.rows.out * plan.columns.out, px + i * plan.rows.in, space);
        });
  });
  return dx;
}

}  // namespace cotangent::raw
