#include <cotangent/tensor/linear_scan.hpp>

#include <catch2/catch.hpp>

#include <complex>

#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/tensor/copy.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/parallel.hpp>
#include <cotangent/tensor/random.hpp>
#include <cotangent/tensor/views.hpp>
#include <cotangent/tests/values.hpp>

using namespace cotangent;
using raw::LinearScan;

namespace {

using Number = std::complex<double>;

/// The elements of x, broadcast to `shape`, as complex numbers: pairs, or real ones.
std::vector<Number> numbers(const Tensor& x, const Shape& shape, bool pairs) {
  const Values v = raw::expand("numbers", x, shape).to_vector<double>();
  std::vector<Number> z;
  for (size_t i = 0; i < v.size(); i += pairs ? 2 : 1) z.emplace_back(v[i], pairs ? v[i + 1] : 0);
  return z;
}
Values flat(const std::vector<Number>& z, bool pairs) {
  Values v;
  for (const Number& n : z) {
    v.push_back(n.real());
    if (pairs) v.push_back(n.imag());
  }
  return v;
}

/// By its definition: of line and step.
Values naive(const Tensor& a, const Tensor& b, const Tensor& initial, const LinearScan& way) {
  const Shape& shape = b.shape();
  const std::vector<Number> p = numbers(a, shape, way.complex), q = numbers(b, shape, way.complex),
                            first = initial.defined() ? numbers(initial, shape, way.complex) : std::vector<Number>();
  int64_t inner = 1;
  for (int d = way.dim + 1; d < shape.rank() - way.complex; ++d) inner *= shape[d];
  const int64_t n = shape[way.dim];
  std::vector<Number> h = q;
  for (int64_t line = 0; line < int64_t(h.size()) / n; ++line)
    for (int64_t i = 0; i < n; ++i) {
      const auto place = [&](int64_t step) {
        return size_t((line / inner * n + (way.reverse ? n - 1 - step : step)) * inner + line % inner);
      };
      if (i == 0 && first.empty()) continue;
      const Number factor = p[place(way.shifted ? i - 1 : i)];
      h[place(i)] += (way.conjugate ? std::conj(factor) : factor) * (i ? h[place(i - 1)] : first[place(0)]);
    }
  return flat(h, way.complex);
}

}  // namespace

TEST_CASE("a linear scan is its definition, along any dimension, of operands that lie anyhow, on any number of threads",
          "[threads]") {
  const int threads = num_threads();
  Generator g(1);
  for (const Dtype dtype : {float64, float32})
    for (const bool pairs : {false, true}) {
      Shape shape{3, 70, 5}, state = shape;
      if (pairs) shape.push_back(2);
      for (int dim = 0; dim < 3; ++dim) {
        state = shape;
        state[dim] = 1;
        Shape still = shape, shared = shape;  // one factor for all steps; for all lines
        still[dim] = 1, shared[0] = dim == 0 ? 3 : 1, shared[2] = dim == 2 ? 5 : 1;
        Shape doubled = shape;
        doubled[1] *= 2;
        const Tensor b = randn(shape, dtype, g), part = raw::slice("part", randn(doubled, dtype, g), 1, 0, 140, 2),
                     turned = raw::transpose("turned", raw::contiguous(raw::transpose("turned", b, 0, 1)), 0, 1);
        const Tensor factors[] = {randn(shape, dtype, g) * 0.5, randn(still, dtype, g) * 0.5,
                                  raw::expand("a", randn(shared, dtype, g) * 0.5, shape)};
        for (const Tensor& terms : {b, part, turned})
          for (const Tensor& a : factors)
            for (int kind = 0; kind < 8; ++kind) {
              const bool shifted = kind & 2;
              const LinearScan way{dim, bool(kind & 1), shifted, pairs, pairs && (kind & 4)};
              const Tensor initial = !shifted && (kind & 4) ? randn(state, dtype, g) : Tensor();
              set_num_threads(3);
              const Tensor h = raw::linear_scan("scan", a, terms, initial, way);
              set_num_threads(1);
              CHECK(raw::linear_scan("scan", a, terms, initial, way).to_vector<double>() == h.to_vector<double>());
              const Tensor expected = from_vector(naive(a, terms, initial, way), shape);
              CAPTURE(dtype, pairs, dim, kind, a.shape());
              // terms cancel, so that rounding goes by the largest
              const double rounding = (dtype == float64 ? 1e-14 : 1e-5) * max(abs(expected)).item<double>();
              CHECK(max(abs(raw::cast(h, float64) - expected)).item<double>() <= rounding);
            }
      }
    }
  set_num_threads(threads);
}
