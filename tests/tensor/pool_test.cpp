// Pooling against naive loops. CTest runs this file for each instruction set.
#include <catch2/catch.hpp>

#include <cmath>
#include <limits>

#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/pool.hpp>
#include <cotangent/tensor/random.hpp>

using namespace cotangent;
using raw::Pooling;
using raw::PoolWindow;

namespace {

PoolWindow regular(int64_t in, int64_t kernel, int64_t stride, int64_t padding, int64_t dilation) {
  return {in, (in + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1, kernel, stride, padding, dilation};
}
PoolWindow adaptive(int64_t in, int64_t out) { return {in, out, (in + out - 1) / out, 1, 0, 1, true}; }

/// Calls body(window, cell) for each cell of each window of a plane, in order.
template <class Body>
void for_each_cell(const Pooling& p, Body body) {
  const PoolWindow &d = p.window[0], &h = p.window[1], &w = p.window[2];
  const auto in_window = [](const PoolWindow& v, int64_t o, int64_t i) {
    if (v.adaptive) return i >= o * v.in / v.out && i * v.out < (o + 1) * v.in;
    const int64_t from = i + v.padding - o * v.stride;
    return from >= 0 && from % v.dilation == 0 && from / v.dilation < v.kernel;
  };
  for (int64_t a = 0; a < d.out; ++a)
    for (int64_t b = 0; b < h.out; ++b)
      for (int64_t c = 0; c < w.out; ++c)
        for (int64_t i = 0; i < d.in; ++i)
          for (int64_t j = 0; j < h.in; ++j)
            for (int64_t k = 0; k < w.in; ++k)
              if (in_window(d, a, i) && in_window(h, b, j) && in_window(w, c, k))
                body((a * h.out + b) * w.out + c, (i * h.in + j) * w.in + k);
}

std::vector<Pooling> poolings(bool dilated) {
  std::vector<Pooling> all;
  for (int64_t width : {1, 2, 5, 8, 13, 28, 37})
    for (int64_t kernel : {1, 2, 3, 5})
      for (int64_t stride : {1, 2, 3, 4})
        for (int64_t dilation : {1, 2}) {
          const int64_t padding = kernel / 2;
          if (dilation * (kernel - 1) >= width + 2 * padding || (dilation > 1 && !dilated)) continue;
          all.push_back({{PoolWindow{}, regular(7, 3, 2, 1, 1), regular(width, kernel, stride, padding, dilation)}});
          all.push_back(
              {{regular(3, 2, 1, 0, 1), regular(4, 2, 2, 1, 1), regular(width, kernel, stride, 0, dilation)}});
        }
  for (int64_t width : {4, 17, 28, 66})
    all.push_back({{PoolWindow{}, regular(6, 2, 2, 0, 1), regular(width, 2, 2, 0, 1)}});
  all.push_back({{PoolWindow{}, regular(7, 2, 2, 0, 1), regular(29, 2, 2, 0, 1)}});
  for (int64_t kernel : {2, 4, 8})
    for (int64_t out : {2, 3, 7, 9, 16, 21}) {  // side by side over the whole row, and over almost all of it
      all.push_back({{PoolWindow{}, regular(9, 4, 4, 0, 1), regular(kernel * out, kernel, kernel, 0, 1)}});
      all.push_back({{PoolWindow{}, regular(8, 4, 4, 0, 1), regular(kernel * out + 1, kernel, kernel, 0, 1)}});
      all.push_back({{PoolWindow{}, regular(8, 3, 1, 1, 1), regular(kernel * out, kernel, kernel, kernel / 4, 1)}});
    }
  for (int64_t out : {1, 3, 7, 28, 30})
    all.push_back({{PoolWindow{}, adaptive(9, std::min<int64_t>(out, 5)), adaptive(28, out)}});
  std::erase_if(all, [](const Pooling& p) { return p.window[2].out < 1; });
  return all;
}
Shape shape_of(const Pooling& p, int64_t PoolWindow::*size) {
  return {2, 3, p.window[0].*size, p.window[1].*size, p.window[2].*size};
}

}  // namespace

TEST_CASE("max_pool takes what naive loops take, with ties, infinities and NaN, and its gradient goes there") {
  for (const Dtype dtype : {float32, float64})
    for (const Pooling& p : poolings(true)) {
      Tensor x = raw::cast(randint(0, 9, shape_of(p, &PoolWindow::in)), float64);  // with ties
      double* px = x.data<double>();
      const int64_t in = x.numel() / 6;
      for (int64_t i = 0; i < x.numel() / 2; i += 11) px[i] = std::numeric_limits<double>::quiet_NaN();
      for (int64_t i = 0; i < in; ++i) px[i] = -std::numeric_limits<double>::infinity();
      const raw::MaxPoolResult y = raw::max_pool("max_pool", raw::cast(x, dtype), shape_of(p, &PoolWindow::out), p);
      const std::vector<double> values = y.values.to_vector<double>();
      const std::vector<int64_t> indices = y.indices.to_vector<int64_t>();
      const Tensor g = raw::cast(randint(-9, 9, y.values.shape()), dtype);
      const std::vector<double> gradient = g.to_vector<double>();
      std::vector<double> adjoint(static_cast<size_t>(x.numel()));
      const size_t out = values.size() / 6;
      size_t wrong = 0;
      for (size_t plane = 0; plane < 6; ++plane) {
        std::vector<int64_t> best(out, -1);
        const double* v = px + static_cast<int64_t>(plane) * in;
        for_each_cell(p, [&](int64_t o, int64_t i) {
          int64_t& b = best[static_cast<size_t>(o)];
          if (b < 0 || v[i] > v[b] || std::isnan(v[i])) b = i;
        });
        for (size_t o = 0; o < out; ++o) {
          const double got = values[plane * out + o];
          const bool inside = best[o] >= 0;  // else the window lies in the padding
          wrong += indices[plane * out + o] != best[o];
          if (!inside) continue;
          adjoint[plane * static_cast<size_t>(in) + static_cast<size_t>(best[o])] += gradient[plane * out + o];
          wrong += !(got == v[best[o]] || (std::isnan(got) && std::isnan(v[best[o]])));
        }
      }
      INFO(p.window[2].in << ": kernel " << p.window[2].kernel << ", stride " << p.window[2].stride << ", dilation "
                          << p.window[2].dilation);
      CHECK(wrong == 0);
      CHECK(raw::max_pool_backward("max_pool", g, y.indices, x.shape(), p).to_vector<double>() == adjoint);
    }
}

TEST_CASE("avg_pool and its adjoint give what naive loops give") {
  for (const Dtype dtype : {float32, float64})
    for (const double divisor : {0., 5.})
      for (Pooling p : poolings(false)) {
        p.divisor = divisor;
        p.count_padding = p.window[2].stride != 2;
        const Tensor x = randn(shape_of(p, &PoolWindow::in), dtype), g = randn(shape_of(p, &PoolWindow::out), dtype);
        const std::vector<double> vx = x.to_vector<double>(), vg = g.to_vector<double>();
        const std::vector<double> y = raw::avg_pool("avg_pool", x, g.shape(), p).to_vector<double>();
        const std::vector<double> dx = raw::avg_pool_backward("avg_pool", g, x.shape(), p).to_vector<double>();
        const size_t in = vx.size() / 6, out = vg.size() / 6;
        std::vector<double> weight, sum(vg.size()), adjoint(vx.size());
        for (int64_t a = 0; a < p.window[0].out; ++a)
          for (int64_t b = 0; b < p.window[1].out; ++b)
            for (int64_t c = 0; c < p.window[2].out; ++c) {
              const auto cells = [&](int d, int64_t o) {
                const PoolWindow& w = p.window[d];
                const int64_t start = w.adaptive ? o * w.in / w.out : o * w.stride - w.padding,
                              end = w.adaptive ? ((o + 1) * w.in + w.out - 1) / w.out : start + w.kernel;
                return p.count_padding ? std::min(end, w.in + w.padding) - start
                                       : std::min(end, w.in) - std::max<int64_t>(start, 0);
              };
              weight.push_back(1 / (divisor != 0 ? divisor : double(cells(0, a) * cells(1, b) * cells(2, c))));
            }
        for_each_cell(p, [&](int64_t o, int64_t i) {
          for (size_t plane = 0; plane < 6; ++plane) {
            const size_t to = plane * out + size_t(o), from = plane * in + size_t(i);
            sum[to] += vx[from] * weight[size_t(o)];
            adjoint[from] += vg[to] * weight[size_t(o)];
          }
        });
        double worst = 0;
        for (size_t i = 0; i < sum.size(); ++i) worst = std::max(worst, std::fabs(sum[i] - y[i]));
        for (size_t i = 0; i < adjoint.size(); ++i) worst = std::max(worst, std::fabs(adjoint[i] - dx[i]));
        INFO(p.window[2].in << ": kernel " << p.window[2].kernel << ", stride " << p.window[2].stride);
        CHECK(worst < (dtype == float32 ? 1e-5 : 1e-13));
      }
}
