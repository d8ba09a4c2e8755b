// Resampling against matrices of weights. CTest runs this file for each instruction set.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>

#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/random.hpp>
#include <cotangent/tensor/resize.hpp>
#include <cotangent/tests/values.hpp>

using namespace cotangent;
using raw::Filter;
using raw::Resampling;
namespace {

double cubic(double z) {
  z = std::fabs(z);
  return z <= 1 ? 1.25 * z * z * z - 2.25 * z * z + 1 : z < 2 ? -0.75 * (z * z * z - 5 * z * z + 8 * z - 4) : 0;
}

/// The weight of input i for output o is [o * in + i].
Values matrix(const Resampling& r) {
  Values m(size_t(r.in * r.out));
  for (int64_t o = 0; o < r.out; ++o) {
    const auto add = [&](double i, double weight) {
      m[size_t(o * r.in + std::clamp<int64_t>(int64_t(i), 0, r.in - 1))] += weight;
    };
    const double position = r.scale * (double(o) + 0.5) - 0.5, start = std::floor(position);
    if (r.filter == Filter::nearest)
      add(std::floor(double(o) * r.scale), 1);
    else if (r.filter == Filter::cubic)
      for (double k = -1; k <= 2; ++k) add(start + k, cubic(position - start - k));
    else
      for (double k = 0; k <= 1; ++k) add(start + k, 1 - std::fabs(position - start - k));
  }
  return m;
}

/// Along the middle one of three dimensions, by the matrix or its transpose.
Values apply(const Values& x, const Resampling& r, bool adjoint, int64_t outer, int64_t inner) {
  const Values m = matrix(r);
  const int64_t from = adjoint ? r.out : r.in, to = adjoint ? r.in : r.out;
  Values y(size_t(outer * to * inner));
  for (int64_t a = 0; a < outer; ++a)
    for (int64_t o = 0; o < to; ++o)
      for (int64_t i = 0; i < from; ++i) {
        const double w = m[size_t(adjoint ? i * r.in + o : o * r.in + i)];
        for (int64_t b = 0; w != 0 && b < inner; ++b)
          y[size_t((a * to + o) * inner + b)] += w * x[size_t((a * from + i) * inner + b)];
      }
  return y;
}

}  // namespace

TEST_CASE("resample gives what matrices of weights give, for sizes that repeat and others") {
  const auto make = [](Filter filter, int64_t in, int64_t out) {
    return Resampling{filter, in, out, double(in) / double(out)};
  };
  for (const Dtype dtype : {float32, float64})
    for (const Filter filter : {Filter::nearest, Filter::linear, Filter::cubic})
      for (const auto& [in, out] : std::vector<std::pair<int64_t, int64_t>>{{1, 5},
                                                                            {5, 9},
                                                                            {7, 14},
                                                                            {37, 74},
                                                                            {64, 128},
                                                                            {33, 132},
                                                                            {80, 40},
                                                                            {132, 33},
                                                                            {48, 64},
                                                                            {64, 48},
                                                                            {20, 160},
                                                                            {96, 144},
                                                                            {37, 50},
                                                                            {41, 41}})
        for (const bool adjoint : {false, true})
          for (int dims = 1; dims <= 3; ++dims) {
            const std::vector<Resampling> all = {make(filter, 3, 4), make(filter, 5, dims == 2 ? 10 : 5),
                                                 make(filter, in, out)};
            const std::span<const Resampling> how(all.data() + 3 - dims, size_t(dims));
            Shape shape{2, 3};
            for (const Resampling& r : how) shape.push_back(adjoint ? r.out : r.in);
            const Tensor x = randn(shape, dtype);
            Values expected = x.to_vector<double>();
            for (int d = 0; d < dims; ++d) {
              const Resampling& r = how[size_t(d)];
              const int64_t inner = shape.slice(d + 3, shape.rank()).product();
              expected = apply(expected, r, adjoint, shape.slice(0, d + 2).product(), inner);
              shape[d + 2] = adjoint ? r.in : r.out;
            }
            const Tensor y = raw::resample("resample", x, how, adjoint);
            REQUIRE(y.shape() == shape);
            const Values got = y.to_vector<double>();
            double worst = 0;
            for (size_t i = 0; i < got.size(); ++i) worst = std::max(worst, std::fabs(got[i] - expected[i]));
            INFO(in << " to " << out << ", filter " << int(filter) << ", dims " << dims << ", adjoint " << adjoint);
            CHECK(worst < (dtype == float32 ? 1e-5 : 1e-13));
          }
}

TEST_CASE("infinities beside the inputs of an output do not reach it") {
  Tensor x = ones({1, 1, 40, 40});
  x[0][0][20][20].fill_(INFINITY);
  const Resampling twice{Filter::linear, 40, 80, 0.5};
  const Resampling both[] = {twice, twice};
  const Tensor y = raw::resample("resample", x, both, false)[0][0];
  for (int64_t i = 0; i < 80; ++i)
    for (int64_t j = 0; j < 80; ++j) {
      const bool reached = i >= 39 && i <= 42 && j >= 39 && j <= 42;
      CHECK(y[i][j].item() == (reached ? INFINITY : 1));
    }
}
