// The op table of autograd/ops/resize.hpp.

#include <cotangent/autograd/ops/resize.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/resize.hpp>
#include <cotangent/tests/autograd/op_info.hpp>

namespace cotangent {
namespace {
template <Interpolation Mode, bool Corners = false, bool Antialias = false>
Results scaled(Arguments x) {
  return interpolate(x[0], {.scale_factor = 2.3, .mode = Mode, .align_corners = Corners, .antialias = Antialias});
}
template <Interpolation Mode, bool Corners = false, bool Antialias = false>
Results sized(Arguments x) {
  return interpolate(x[0], {.size = {3}, .mode = Mode, .align_corners = Corners, .antialias = Antialias});
}
}  // namespace

COTANGENT_OP_TABLE(resize) {
  using enum Interpolation;
  const InputSpec line = normal({1, 2, 5}), image = normal({1, 1, 4, 5}), volume = normal({1, 1, 2, 2, 3});
  return {
      {.name = "interpolate",
       .samples = {{{line}, scaled<nearest>},
                   {{line}, sized<nearest_exact>},
                   {{line}, scaled<linear>},
                   {{line}, sized<linear, true>},
                   {{image}, sized<bilinear>},
                   {{image}, scaled<bilinear, true>},
                   {{image}, sized<bilinear, false, true>},
                   {{image}, scaled<bicubic>},
                   {{image}, sized<bicubic, true>},
                   {{image}, sized<bicubic, false, true>},
                   {{image}, sized<area>},
                   {{volume}, sized<trilinear>},
                   {{volume}, sized<trilinear, true>},
                   // worked by hand: quarters of the way between neighbours
                   {{values({1, 1, 4}, {1, 2, 4, 8})},
                    [](Arguments x) -> Results { return interpolate(x[0], {.scale_factor = 2, .mode = linear}); },
                    [](Arguments) -> Results {
                      return tensor({{{1, 1.25, 1.75, 2.5, 3.5, 5, 7, 8}}}, float64);
                    }},
                   {{values({1, 1, 4}, {1, 2, 4, 8})},
                    [](Arguments x) -> Results { return interpolate(x[0], {.size = {6}}); },
                    [](Arguments) -> Results {
                      return tensor({{{1, 1, 2, 4, 4, 8}}}, float64);
                    }},
                   {{values({1, 1, 1, 8}, {0, 1, 2, 3, 4, 5, 6, 7})},
                    [](Arguments x) -> Results {
                      return interpolate(x[0], {.size = {1, 4}, .mode = bilinear, .antialias = true});
                    },
                    [](Arguments) -> Results {
                      return tensor({{{{5 / 7., 2.5, 4.5, 44 / 7.}}}}, float64);
                    }}},
       .errors =
           {{{line}, [](Arguments x) -> Results { return interpolate(x[0], {}); }, "neither size and scale_factor"},
            {{line},
             [](Arguments x) -> Results { return interpolate(x[0], {.size = {3}, .scale_factor = 2}); },
             "both size and scale_factor"},
            {{line},
             [](Arguments x) -> Results { return interpolate(x[0], {.size = {0}}); },
             "size (0,); it must be at least 1"},
            {{line},
             [](Arguments x) -> Results { return interpolate(x[0], {.scale_factor = 0.1}); },
             "from size 5 to 0"},
            {{line},
             [](Arguments x) -> Results { return interpolate(x[0], {.scale_factor = 1e18}); },
             "would give a size of 5e+18"},
            {{line}, [](Arguments x) -> Results { return interpolate(x[0], {.scale_factor = 0}); }, "must be positive"},
            {{line}, sized<bilinear>, "takes 2 spatial dimensions"},
            {{image}, sized<nearest, true>, "align_corners has no meaning for nearest"},
            {{image}, sized<area, false, true>, "antialias is for bilinear and bicubic"}}},
      {.name = "pixel_shuffle",
       .samples = {{{normal({1, 4, 2, 2})},
                    [](Arguments x) -> Results { return pixel_shuffle(x[0], 2); },
                    [](Arguments x) -> Results {
                      Tensor y = zeros({1, 1, 4, 4}, float64);
                      for (int64_t h = 0; h < 4; ++h)
                        for (int64_t w = 0; w < 4; ++w)
                          y[0][0][h][w] = x[0][0][h % 2 * 2 + w % 2][h / 2][w / 2].detach();
                      return y;
                    }},
                   {{normal({9, 1, 2})}, [](Arguments x) -> Results { return pixel_shuffle(x[0], 3); }}},
       .errors = {{{normal({1, 6, 2, 2})},
                   [](Arguments x) -> Results { return pixel_shuffle(x[0], 2); },
                   "the channels must be a multiple of 4"}},
       .recorded_as = {"reshape", "permute"}},
      {.name = "pixel_unshuffle",
       .samples = {{{normal({1, 1, 4, 6})},
                    [](Arguments x) -> Results { return pixel_unshuffle(x[0], 2); },
                    [](Arguments x) -> Results {
                      Tensor y = zeros({1, 4, 2, 3}, float64);
                      for (int64_t h = 0; h < 4; ++h)
                        for (int64_t w = 0; w < 6; ++w)
                          y[0][h % 2 * 2 + w % 2][h / 2][w / 2] = x[0][0][0][h][w].detach();
                      return y;
                    }}},
       .errors = {{{normal({1, 1, 4, 5})},
                   [](Arguments x) -> Results { return pixel_unshuffle(x[0], 2); },
                   "must be multiples of 2"}},
       .recorded_as = {"reshape", "permute"}},
  };
}

}  // namespace cotangent
