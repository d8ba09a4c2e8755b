#include <cotangent/autograd/graph/statistics.hpp>

#include <algorithm>
#include <cmath>

#include <cotangent/tensor/copy.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent {

Statistics statistics(const Tensor& x) {
  constexpr int64_t kPart = 1 << 16;  // elements that are converted at a time
  Statistics s{.count = x.numel(), .min = INFINITY, .max = -INFINITY, .mean = 0, .std = 0};
  const Tensor flat = detail::make_view(raw::contiguous(x), {x.numel()}, {1}, 0);
  int64_t finite = 0;
  double squares = 0;  // of the differences from the mean (Welford, 1962)
  for (int64_t start = 0; start < s.count; start += kPart) {
    const int64_t n = std::min(kPart, s.count - start);
    const Tensor part = raw::cast(detail::make_view(flat, {n}, {1}, start), float64);
    for (const double v : std::span(part.data<double>(), static_cast<size_t>(n))) {
      s.nans += std::isnan(v), s.infinities += std::isinf(v);
      if (!std::isfinite(v)) continue;
      s.min = std::min(s.min, v), s.max = std::max(s.max, v);
      const double step = v - s.mean;
      s.mean += step / static_cast<double>(++finite);
      squares += step * (v - s.mean);
    }
  }
  if (finite == 0) s.min = s.max = s.mean = s.std = NAN;
  if (finite > 0) s.std = std::sqrt(squares / static_cast<double>(finite));
  return s;
}

std::string to_string(const Statistics& s) {
  if (s.count == 0) return "no elements";
  std::string text = s.nans + s.infinities == s.count
                         ? "nothing finite"
                         : fmt::format("min {:.4g}, max {:.4g}, mean {:.4g}, std {:.4g}", s.min, s.max, s.mean, s.std);
  if (s.nans) text += fmt::format(", {} NaN", s.nans);
  if (s.infinities) text += fmt::format(", {} infinite", s.infinities);
  return text;
}

}  // namespace cotangent
