#include <cotangent/autograd/ops/resize.hpp>

#include <algorithm>
#include <cmath>

#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/autograd/record.hpp>
#include <cotangent/tensor/copy.hpp>
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

// Channels-last: the permutation then keeps to pixels as rows of channels.
static bool is_in_pixels(const Tensor& x) {
  return x.rank() == 4 && raw::memory_format(x) == MemoryFormat::channels_last;
}

Tensor pixel_shuffle(const Tensor& x, int64_t r) {
  if (r < 1) fail<ValueError>("[pixel_shuffle] upscale_factor {} must be at least 1", r);
  const int64_t area = Dims{r, r}.product("pixel_shuffle");
  if (x.rank() < 3 || x.size(-3) % area != 0)
    fail<ShapeError>("[pixel_shuffle] shape {} is not (.., C * {}, H, W); the channels must be a multiple of {}",
                     x.shape(), area, area);
  const int64_t c = x.size(-3) / area, h = x.size(-2), w = x.size(-1);
  Shape shape = x.shape().slice(0, x.rank() - 3);
  const int64_t batch = shape.product();
  static_cast<void>(Shape{batch, c, area, h, w}.product("pixel_shuffle"));  // an empty x may have any channels
  for (int64_t size : {c, h * r, w * r}) shape.push_back(size);
  if (is_in_pixels(x)) {
    const Tensor pixels = reshape(permute(x, {0, 2, 3, 1}), {batch, h, w, c, r, r});
    return permute(reshape(permute(pixels, {0, 1, 4, 2, 5, 3}), {batch, h * r, w * r, c}), {0, 3, 1, 2});
  }
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
  static_cast<void>(Shape{batch, c, r, r, h, w}.product("pixel_unshuffle"));
  for (int64_t size : {c * r * r, h, w}) shape.push_back(size);
  if (is_in_pixels(x)) {
    const Tensor pixels = reshape(permute(x, {0, 2, 3, 1}), {batch, h, r, w, r, c});
    return permute(reshape(permute(pixels, {0, 1, 3, 5, 2, 4}), {batch, h, w, c * r * r}), {0, 3, 1, 2});
  }
  return reshape(permute(reshape(x, {batch, c, h, r, w, r}), {0, 1, 3, 5, 2, 4}), shape);
}

}  // namespace cotangent
