#include <cotangent/tensor/reduce.hpp>

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/views.hpp>

using namespace cotangent;

TEST_CASE("the first of the largest and of the smallest elements is found, and NaN before them") {
  const int64_t other = 5;
  for (int64_t n : {1, 3, 63, 64, 65, 130, 200})
    for (const bool with_nan : {false, true})
      for (Dtype dtype : {float32, float64, int64}) {
        if (with_nan && !is_floating(dtype)) continue;
        Tensor wide = zeros({other, n}, float64);
        double* p = wide.data<double>();
        uint32_t seed = 7;
        for (int64_t i = 0; i < other * n; ++i)  // few values, so that there are ties
          seed = seed * 1664525u + 1013904223u, p[i] = static_cast<double>(seed >> 28);
        for (int64_t r = 0; r < other; ++r) p[r * n + n * (r + 1) / (other + 1)] = r % 2 ? 99 : -99;
        if (with_nan)
          for (int64_t r = 1; r < other; ++r)
            for (int64_t i = n * r / other; i < n; i += 7) p[r * n + i] = std::numeric_limits<double>::quiet_NaN();
        const Tensor rows = raw::cast(wide, dtype);
        const Tensor columns = raw::contiguous(raw::transpose("transpose", rows, 0, 1));
        for (const bool largest : {true, false})
          for (const bool by_rows : {true, false}) {
            const auto found = largest ? raw::max_along("max", by_rows ? rows : columns, by_rows ? 1 : 0)
                                       : raw::min_along("min", by_rows ? rows : columns, by_rows ? 1 : 0);
            for (int64_t r = 0; r < other; ++r) {
              const double* row = p + r * n;
              int64_t best = 0;
              for (int64_t i = 1; i < n && !std::isnan(row[best]); ++i)
                if (std::isnan(row[i]) || (largest ? row[i] > row[best] : row[i] < row[best])) best = i;
              CAPTURE(n, with_nan, dtype, largest, by_rows, r);
              CHECK(found.indices.data<int64_t>()[r] == best);
            }
          }
      }
}
