#include <cotangent/tensor/resize.hpp>

#include <algorithm>
#include <cmath>

#include <cotangent/tensor/dispatch_internal.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/kernels/kernels.hpp>
#include <cotangent/tensor/parallel.hpp>

namespace cotangent::raw {
namespace {

/// Output o is the sum over k < width of weight[o * width + k] * input[first[o] + k]; unused weights are 0 and their
/// inputs exist.
struct Taps {
  int64_t width = 1;
  PooledVector<int64_t> first;
  PooledVector<double> weight;
};

double cubic_weight(double z, double a) {  // Keys' convolution kernel
  z = std::fabs(z);
  if (z <= 1) return ((a + 2) * z - (a + 3)) * z * z + 1;
  return z < 2 ? ((a * z - 5 * a) * z + 8 * a) * z - 4 * a : 0;
}

/// A row of the table before it is packed: weights of the inputs from `first` on.
struct Row {
  int64_t first;
  PooledVector<double> weights;
  // indices beyond the border count as the border
  void add(int64_t index, double w, int64_t in) {
    index = std::clamp<int64_t>(index, 0, in - 1);
    if (weights.empty()) first = index;
    const size_t at = static_cast<size_t>(index - first);
    if (weights.size() <= at) weights.resize(at + 1, 0.0);
    weights[at] += w;
  }
};

Row make_row(const Resampling& r, int64_t o) {
  Row row{0, {}};
  const double x = static_cast<double>(o);
  const double cubic_a = r.antialias ? -0.5 : -0.75;
  switch (r.filter) {
    case Filter::nearest: {  // in float32, like the rule that others follow
      const float scale = static_cast<float>(r.scale);
      const int64_t i = r.out == r.in       ? o
                        : r.out == 2 * r.in ? o / 2
                                            : static_cast<int64_t>(std::floor(static_cast<float>(o) * scale));
      row.add(i, 1, r.in);
      return row;
    }
    case Filter::nearest_exact:
      row.add(static_cast<int64_t>(std::floor((static_cast<float>(o) + 0.5f) * static_cast<float>(r.scale))), 1, r.in);
      return row;
    case Filter::area: {
      const int64_t begin = o * r.in / r.out, end = ((o + 1) * r.in + r.out - 1) / r.out;
      for (int64_t i = begin; i < end; ++i) row.add(i, 1.0 / static_cast<double>(end - begin), r.in);
      return row;
    }
    case Filter::linear:
    case Filter::cubic: break;
  }
  const bool cubic = r.filter == Filter::cubic;
  const double cells = static_cast<double>(r.in - 1) / static_cast<double>(std::max<int64_t>(r.out - 1, 1));
  const double scale = !r.align_corners ? r.scale : r.out > 1 ? cells : 0;
  if (r.antialias) {
    const double stretch = std::max(scale, 1.0), support = (cubic ? 2 : 1) * stretch, center = scale * (x + 0.5);
    const auto nearest = [](double edge) { return static_cast<int64_t>(std::floor(edge + 0.5)); };
    const int64_t begin = std::max<int64_t>(nearest(center - support), 0);
    const int64_t end = std::min<int64_t>(nearest(center + support), r.in);
    double total = 0;
    for (int64_t i = begin; i < end; ++i) {
      const double z = (static_cast<double>(i) - center + 0.5) / stretch;
      const double w = cubic ? cubic_weight(z, cubic_a) : std::max(0.0, 1 - std::fabs(z));
      row.add(i, w, r.in);
      total += w;
    }
    for (double& w : row.weights) w /= total;
    return row;
  }
  double position = r.align_corners ? scale * x : scale * (x + 0.5) - 0.5;
  if (!cubic) position = std::max(position, 0.0);
  const int64_t i = static_cast<int64_t>(std::floor(position));
  const double t = position - static_cast<double>(i);
  if (!cubic) {
    row.add(i, 1 - t, r.in);
    row.add(i + 1, t, r.in);
  } else {
    for (int64_t k = -1; k <= 2; ++k) row.add(i + k, cubic_weight(t - static_cast<double>(k), cubic_a), r.in);
  }
  return row;
}

Taps pack(const PooledVector<Row>& rows, int64_t inputs) {
  Taps taps;
  for (const Row& row : rows) taps.width = std::max(taps.width, static_cast<int64_t>(row.weights.size()));
  taps.weight.assign(rows.size() * static_cast<size_t>(taps.width), 0.0);
  for (size_t o = 0; o < rows.size(); ++o) {
    // near the end the row starts earlier, so that all its inputs exist
    const int64_t first = std::max<int64_t>(0, std::min(rows[o].first, inputs - taps.width));
    taps.first.push_back(first);
    const size_t shift = static_cast<size_t>(rows[o].first - first);
    std::copy(rows[o].weights.begin(), rows[o].weights.end(),
              taps.weight.begin() + static_cast<std::ptrdiff_t>(o * static_cast<size_t>(taps.width) + shift));
  }
  return taps;
}

Taps make_taps(const Resampling& r, bool adjoint) {
  PooledVector<Row> rows(static_cast<size_t>(r.out));
  for (int64_t o = 0; o < r.out; ++o) rows[static_cast<size_t>(o)] = make_row(r, o);
  if (!adjoint) return pack(rows, r.in);
  // the outputs that an input reaches lie side by side
  PooledVector<Row> columns(static_cast<size_t>(r.in), Row{0, {}});
  for (int64_t o = 0; o < r.out; ++o) {
    const Row& row = rows[static_cast<size_t>(o)];
    for (size_t k = 0; k < row.weights.size(); ++k)
      if (row.weights[k] != 0) columns[static_cast<size_t>(row.first) + k].add(o, row.weights[k], r.out);
  }
  return pack(columns, r.out);
}

}  // namespace

Tensor resample(const char* op, const Tensor& x, int dim, const Resampling& how, bool adjoint) {
  if (x.dtype() == bfloat16 || x.dtype() == float16)
    return cast(resample(op, cast(x, float32), dim, how, adjoint), x.dtype());
  const Tensor dense = contiguous(x);
  Shape shape = x.shape();
  const int64_t from = shape[dim], to = adjoint ? how.in : how.out;
  shape[dim] = to;
  Tensor y = detail::make_tensor(shape, x.dtype());
  if (y.numel() == 0) return y;
  const Taps taps = make_taps(how, adjoint);
  const int64_t outer = shape.slice(0, dim).product(), inner = shape.slice(dim + 1, shape.rank()).product();
  dispatch_compute(op, x.dtype(), [&]<class T> {
    const PooledVector<T> weight(taps.weight.begin(), taps.weight.end());
    const auto loop = kernels::kernels().resample[std::is_same_v<T, double>];
    const T* px = dense.data<T>();
    T* py = y.data<T>();
    parallel_for(
        0, outer, std::max<int64_t>(1, 16384 / std::max<int64_t>(1, to * inner)), [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i)
            loop(px + i * from * inner, py + i * to * inner, to, inner, taps.first.data(), weight.data(), taps.width);
        });
  });
  return y;
}

}  // namespace cotangent::raw
