#include <cotangent/autograd/ops/rope.hpp>

#include <cmath>

#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/autograd/record.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/precision_internal.hpp>
#include <cotangent/tensor/rope.hpp>

namespace cotangent {
namespace {

struct Way {
  bool half_split, backwards;
};

// A primitive because the composition makes seven passes over memory for one. It is linear in x, and its transpose is
// the rotation back, with the same factors in cos and sin, which are (R, r/2).
Tensor rotate(const Tensor& x, const Tensor& cos, const Tensor& sin, Way way) {
  return record("rope", {x, cos, sin}, raw::rope(x, cos, sin, way.half_split, way.backwards),
                Keep::input(1) | Keep::input(2), way, [](const Backward& b, Way w) -> Gradients {
                  return {rotate(b.grad(), b.input(1), b.input(2), {w.half_split, !w.backwards})};
                });
}

int64_t checked_width(const Tensor& x, const RopeOptions& o) {
  if (x.rank() < 2) fail<ShapeError>("[rope] x has shape {}; it must be (.., T, d)", x.shape());
  if (!x.is_floating()) fail<DTypeError>("[rope] takes a floating tensor, got {}", x.dtype());
  const int64_t d = x.size(-1), width = o.width == 0 ? d : o.width;
  if (width < 0 || width > d || width % 2 != 0)
    fail<ValueError>("[rope] {} elements of {} are to be rotated; it must be an even number of them", width, d);
  if (!std::isfinite(o.growth) || !std::isfinite(o.center))
    fail<ValueError>("[rope] a growth of {} about the center {}; both must be finite", o.growth, o.center);
  if (!(o.base > 0)) fail<ValueError>("[rope] the base is {}; it must be above 0", o.base);
  return width;
}

// The angles of positions (R) in float64: (R, r/2).
Tensor angles(const Tensor& positions, int64_t width, double base) {
  Tensor frequencies = empty({width / 2}, float64);
  for (int64_t i = 0; i < width / 2; ++i)
    frequencies.data<double>()[i] = std::pow(base, -2.0 * static_cast<double>(i) / static_cast<double>(width));
  return unsqueeze(to(positions, float64), 1) * frequencies;
}

// What each pair is multiplied by.
Tensor sizes(const Tensor& positions, int64_t width, const RopeOptions& o) {
  const double r = static_cast<double>(width);
  const Tensor z = (arange(0, width, 2, float64) + 0.4 * r) / (1.4 * r);
  return exp(unsqueeze((to(positions, float64) - o.center) * o.growth, 1) * log(z));
}

}  // namespace

Tensor rope(const Tensor& x, const Tensor& positions, const RopeOptions& options) {
  const int64_t width = checked_width(x, options);
  if (is_low_precision(x.dtype()))
    return in_float32<to>([&](const Tensor& wide) { return rope(wide, positions, options); }, x);
  Shape rows = x.shape();
  rows.erase(rows.rank() - 1);
  Tensor at = positions.detach();
  if (at.rank() == 0 || at.size(-1) != x.size(-2) || at.rank() > rows.rank() ||
      broadcast_shapes("rope", at.shape(), rows) != rows)
    fail<ShapeError>("[rope] positions of shape {} for x {}; they must be ({},) or broadcast to {}", at.shape(),
                     x.shape(), x.size(-2), rows);
  if (at.rank() > 1) at = flatten(expand(at, rows));
  const Tensor angle = angles(at, width, options.base);
  Tensor cosine = cos(angle), sine = sin(angle);
  if (options.growth != 0) {
    const Tensor size = sizes(at, width, options);
    cosine = cosine * size, sine = sine * size;
  }
  return rotate(x, to(cosine, x.dtype()), to(sine, x.dtype()), {options.layout == RopeLayout::half_split, false});
}

Tensor rope(const Tensor& x, int64_t start, const RopeOptions& options) {
  checked_width(x, options);
  int64_t end;
  if (__builtin_add_overflow(start, x.size(-2), &end))
    fail<ValueError>("[rope] positions from {} on do not fit into 64 bits", start);
  return rope(x, arange(start, end), options);
}

}  // namespace cotangent
