#include <cotangent/autograd/ops/rope.hpp>

#include <cmath>

#include <cotangent/autograd/op_info.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/autograd/record.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/rope.hpp>

namespace cotangent {
namespace {

struct Rotation {
  Tensor cos, sin;  // (R, r/2)
  bool half_split, backwards;
};

// A primitive because the composition makes seven passes over memory for one. It is linear in x, and its transpose is
// the rotation back.
Tensor rotate(const Tensor& x, const Rotation& turn) {
  return record("rope", {x}, raw::rope(x, turn.cos, turn.sin, turn.half_split, turn.backwards), Keep::nothing(), turn,
                [](const Backward& b, const Rotation& t) -> Gradients {
                  return {rotate(b.grad(), {t.cos, t.sin, t.half_split, !t.backwards})};
                });
}

int64_t checked_width(const Tensor& x, const RopeOptions& o) {
  if (x.rank() < 2) fail<ShapeError>("[rope] x has shape {}; it must be (.., T, d)", x.shape());
  if (!x.is_floating()) fail<DTypeError>("[rope] takes a floating tensor, got {}", x.dtype());
  const int64_t d = x.size(-1), width = o.width == 0 ? d : o.width;
  if (width < 0 || width > d || width % 2 != 0)
    fail<ValueError>("[rope] {} elements of {} are to be rotated; it must be an even number of them", width, d);
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

}  // namespace

Tensor rope(const Tensor& x, const Tensor& positions, const RopeOptions& options) {
  const int64_t width = checked_width(x, options);
  Shape rows = x.shape();
  rows.erase(rows.rank() - 1);
  Tensor at = positions.detach();
  if (at.rank() == 0 || at.size(-1) != x.size(-2) || at.rank() > rows.rank() ||
      broadcast_shapes("rope", at.shape(), rows) != rows)
    fail<ShapeError>("[rope] positions of shape {} for x {}; they must be ({},) or broadcast to {}", at.shape(),
                     x.shape(), x.size(-2), rows);
  if (at.rank() > 1) at = flatten(expand(at, rows));
  const bool low = x.dtype() == bfloat16 || x.dtype() == float16;
  const Tensor wide = low ? to(x, float32) : x;
  const Tensor angle = angles(at, width, options.base);
  const Tensor y = rotate(wide, {to(cos(angle), wide.dtype()), to(sin(angle), wide.dtype()),
                                 options.layout == RopeLayout::half_split, false});
  return low ? to(y, x.dtype()) : y;
}

Tensor rope(const Tensor& x, int64_t start, const RopeOptions& options) {
  checked_width(x, options);
  return rope(x, arange(start, start + x.size(-2)), options);
}

// ---- op table ----

namespace {
// As the definition reads, from the functions it is made of.
Tensor rope_naively(const Tensor& x, const Tensor& positions, const RopeOptions& o) {
  const int64_t r = o.width == 0 ? x.size(-1) : o.width;
  const Tensor angle = angles(positions, r, o.base), c = cos(angle), s = sin(angle);
  const Tensor turned = narrow(x, -1, 0, r), rest = narrow(x, -1, r, x.size(-1) - r);
  if (o.layout == RopeLayout::half_split) {
    const Tensor a = narrow(turned, -1, 0, r / 2), b = narrow(turned, -1, r / 2, r / 2);
    return cat({a * c - b * s, a * s + b * c, rest}, -1);
  }
  const Tensor pairs = unflatten(turned, -1, {r / 2, 2}), a = select(pairs, -1, 0), b = select(pairs, -1, 1);
  return cat({flatten(stack({a * c - b * s, a * s + b * c}, -1), -2), rest}, -1);
}
constexpr RopeOptions kHalves{.layout = RopeLayout::half_split}, kPartly{.width = 2, .base = 50};
}  // namespace

COTANGENT_OP_TABLE(rope) {
  return {{"rope",
           {{{normal({2, 3, 4})},
             [](Arguments x) -> Results { return rope(x[0], 5); },
             [](Arguments x) -> Results { return rope_naively(x[0], arange(5, 8), {}); }},
            {{normal({2, 3, 4})},
             [](Arguments x) -> Results { return rope(x[0], 5, kHalves); },
             [](Arguments x) -> Results { return rope_naively(x[0], arange(5, 8), kHalves); }},
            {{normal({3, 5}), constant(values({3}, {0.5, -1, 7}))},
             [](Arguments x) -> Results { return rope(x[0], x[1], kPartly); },
             [](Arguments x) -> Results { return rope_naively(x[0], x[1], kPartly); }},
            {{normal({2, 2, 3, 2}), values({2, 1, 3}, {0, 1, 2, 0, 0, 1}, int64)},
             [](Arguments x) -> Results { return rope(x[0], x[1]); },
             [](Arguments x) -> Results {
               return stack({rope_naively(x[0][0], x[1][0][0], {}), rope_naively(x[0][1], x[1][1][0], {})});
             }}},
           {{{normal({4})}, [](Arguments x) -> Results { return rope(x[0]); }, "it must be (.., T, d)"},
            {{normal({2, 3})}, [](Arguments x) -> Results { return rope(x[0]); }, "an even number"},
            {{normal({2, 2})}, [](Arguments x) -> Results { return rope(x[0], 0, {.width = 4}); }, "4 elements of 2"},
            {{normal({2, 2})}, [](Arguments x) -> Results { return rope(x[0], 0, {.base = 0}); }, "the base is 0"},
            {{integers({2, 2}, 0, 3)}, [](Arguments x) -> Results { return rope(x[0]); }, "takes a floating tensor"},
            {{normal({3, 2}), integers({2}, 0, 3)},
             [](Arguments x) -> Results { return rope(x[0], x[1]); },
             "they must be (3,)"}}}};
}

}  // namespace cotangent
