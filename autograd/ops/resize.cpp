#include <cotangent/autograd/ops/resize.hpp>

#include <algorithm>
#include <cmath>

#include <cotangent/autograd/op_info.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/autograd/record.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/resize.hpp>

namespace cotangent {

ScaleFactor::ScaleFactor(std::initializer_list<double> factors) : count_(static_cast<int>(factors.size())) {
  if (factors.size() > 3)
    fail<ValueError>("[interpolate] {} scale factors; there are at most 3 spatial dimensions", factors.size());
  std::copy(factors.begin(), factors.end(), values_);
}

namespace {

struct Resizing {
  int dims;
  raw::Resampling how[3];
  bool adjoint;
};

// A linear map; its adjoint is the same op the other way round.
Tensor resample(const Tensor& x, const Resizing& r) {
  return record("interpolate", {x}, raw::resample("interpolate", x, {r.how, size_t(r.dims)}, r.adjoint),
                Keep::nothing(), r, [](const Backward& b, const Resizing& forward) -> Gradients {
                  Resizing back = forward;
                  back.adjoint = !forward.adjoint;
                  return {resample(b.grad(), back)};
                });
}

raw::Filter filter_of(Interpolation mode) {
  switch (mode) {
    case Interpolation::nearest: return raw::Filter::nearest;
    case Interpolation::nearest_exact: return raw::Filter::nearest_exact;
    case Interpolation::area: return raw::Filter::area;
    case Interpolation::bicubic: return raw::Filter::cubic;
    default: return raw::Filter::linear;
  }
}

bool smooth(Interpolation mode) {
  return filter_of(mode) == raw::Filter::linear || filter_of(mode) == raw::Filter::cubic;
}

void check_input(const Tensor& x, const InterpolateOptions& o, int spatial) {
  if (!x.is_floating())
    fail<DTypeError>("[interpolate] takes a floating tensor, got {}; convert it with to()", x.dtype());
  if (spatial < 1 || spatial > 3)
    fail<ShapeError>("[interpolate] shape {} is not (N, C, W), (N, C, H, W) or (N, C, D, H, W)", x.shape());
  const int wanted = o.mode == Interpolation::linear      ? 1
                     : o.mode == Interpolation::bilinear  ? 2
                     : o.mode == Interpolation::bicubic   ? 2
                     : o.mode == Interpolation::trilinear ? 3
                                                          : spatial;
  if (spatial != wanted)
    fail<ShapeError>("[interpolate] {} takes {} spatial dimensions, but shape {} has {}", name(o.mode), wanted,
                     x.shape(), spatial);
  const bool sized = !o.size.empty();
  const int given = sized ? o.size.rank() : o.scale_factor.count();
  if (given != spatial && given != 1)
    fail<ValueError>("[interpolate] {} {} given for {} spatial dimensions; give one for each, or one for all", given,
                     sized ? "sizes are" : "scale factors are", spatial);
}

}  // namespace

const char* name(Interpolation mode) {
  constexpr const char* names[] = {"nearest", "nearest_exact", "linear", "bilinear", "bicubic", "trilinear", "area"};
  return names[static_cast<int>(mode)];
}

void check_interpolation(const char* op, const InterpolateOptions& o) {
  const bool sized = !o.size.empty(), scaled = o.scale_factor.count() > 0;
  if (sized == scaled)
    fail<ValueError>("[{}] {} size and scale_factor {} given; give one of them", op, sized ? "both" : "neither",
                     sized ? "are" : "is");
  for (int64_t size : o.size)
    if (size < 1) fail<ValueError>("[{}] size {}; it must be at least 1", op, o.size);
  for (int i = 0; i < o.scale_factor.count(); ++i)
    if (!(o.scale_factor[i] > 0) || !std::isfinite(o.scale_factor[i]))
      fail<ValueError>("[{}] scale_factor {} must be positive", op, o.scale_factor[i]);
  if (o.align_corners && !smooth(o.mode))
    fail<ValueError>("[{}] align_corners has no meaning for {}; it is for linear, bilinear, bicubic, trilinear", op,
                     name(o.mode));
  if (o.antialias && o.mode != Interpolation::bilinear && o.mode != Interpolation::bicubic)
    fail<ValueError>("[{}] antialias is for bilinear and bicubic, not {}", op, name(o.mode));
  if (o.recompute_scale_factor && sized)
    fail<ValueError>("[{}] recompute_scale_factor goes with scale_factor, not with size", op);
}

Tensor interpolate(const Tensor& x, const InterpolateOptions& o) {
  const int spatial = x.rank() - 2;
  check_interpolation("interpolate", o);
  check_input(x, o, spatial);
  Resizing resizing{.dims = spatial, .how = {}, .adjoint = false};
  bool changes = false;
  for (int s = 0; s < spatial; ++s) {
    const int64_t in = x.shape()[s + 2];
    int64_t out;
    double scale = 0;
    if (!o.size.empty()) {
      out = o.size[o.size.rank() == 1 ? 0 : s];
    } else {
      const double factor = o.scale_factor[s];
      const double size = std::floor(static_cast<double>(in) * factor);
      if (size > 1e12) fail<ValueError>("[interpolate] scale_factor {} would give a size of {}", factor, size);
      out = static_cast<int64_t>(size);
      if (!o.recompute_scale_factor) scale = 1 / factor;
    }
    if (in < 1 || out < 1)
      fail<ValueError>("[interpolate] dimension {} of shape {} would go from size {} to {}; both must be at least 1",
                       s + 2, x.shape(), in, out);
    if (scale == 0) scale = static_cast<double>(in) / static_cast<double>(out);
    const bool same = in == out && (scale == 1 || o.align_corners);
    resizing.how[s] = {same ? raw::Filter::nearest : filter_of(o.mode), in, out, scale, o.align_corners, o.antialias};
    changes |= !same;
  }
  return changes ? resample(x, resizing) : view(x, x.shape());
}

Tensor pixel_shuffle(const Tensor& x, int64_t r) {
  if (r < 1) fail<ValueError>("[pixel_shuffle] upscale_factor {} must be at least 1", r);
  if (x.rank() < 3 || x.size(-3) % (r * r) != 0)
    fail<ShapeError>("[pixel_shuffle] shape {} is not (.., C * {}, H, W); the channels must be a multiple of {}",
                     x.shape(), r * r, r * r);
  const int64_t c = x.size(-3) / (r * r), h = x.size(-2), w = x.size(-1);
  Shape shape = x.shape().slice(0, x.rank() - 3);
  const int64_t batch = shape.product();
  for (int64_t size : {c, h * r, w * r}) shape.push_back(size);
  return reshape(permute(reshape(x, {batch, c, r, r, h, w}), {0, 1, 4, 2, 5, 3}), shape);
}

Tensor pixel_unshuffle(const Tensor& x, int64_t r) {
  if (r < 1) fail<ValueError>("[pixel_unshuffle] downscale_factor {} must be at least 1", r);
  if (x.rank() < 3 || x.size(-2) % r != 0 || x.size(-1) % r != 0)
    fail<ShapeError>(
        "[pixel_unshuffle] shape {} is not (.., C, H * {}, W * {}); height and width must be multiples of {}",
        x.shape(), r, r, r);
  const int64_t c = x.size(-3), h = x.size(-2) / r, w = x.size(-1) / r;
  Shape shape = x.shape().slice(0, x.rank() - 3);
  const int64_t batch = shape.product();
  for (int64_t size : {c * r * r, h, w}) shape.push_back(size);
  return reshape(permute(reshape(x, {batch, c, h, r, w, r}), {0, 1, 3, 5, 2, 4}), shape);
}

// ---- op table ----

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
