// The op table of autograd/ops/rope.hpp.
#include <cmath>

#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/rope.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/rope.hpp>
#include <cotangent/tests/autograd/op_info.hpp>

namespace cotangent {
namespace {

/// angle[t][i] = positions[t] * base^(-2 i / width), i below width / 2.
Tensor angles(const Tensor& positions, int64_t width, double base) {
  const std::vector<double> at = to(positions.detach(), float64).to_vector<double>();
  std::vector<double> result;
  for (const double t : at)
    for (int64_t i = 0; i < width; i += 2)
      result.push_back(t * std::pow(base, -static_cast<double>(i) / static_cast<double>(width)));
  return from_vector(result, {positions.size(0), width / 2});
}

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
