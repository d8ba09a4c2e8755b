#pragma once
// Changing the resolution of images and sequences: interpolation and pixel shuffling.
#include <cotangent/tensor/tensor.hpp>

namespace cotangent {

/// The way interpolate fills in values. linear is for (N, C, W), bilinear and bicubic for (N, C, H, W), trilinear for
/// (N, C, D, H, W); the others take any of them.
enum class Interpolation : uint8_t { nearest, nearest_exact, linear, bilinear, bicubic, trilinear, area };
/// "nearest_exact".
const char* name(Interpolation mode);

/// Factors along each spatial dimension; one number stands for all.
class ScaleFactor {
 public:
  ScaleFactor() = default;
  ScaleFactor(double factor) : count_(1), values_{factor, 0, 0} {}
  ScaleFactor(std::initializer_list<double> factors);  ///< at most three, else a ValueError
  int count() const { return count_; }
  double operator[](int i) const { return values_[count_ == 1 ? 0 : i]; }

 private:
  int count_ = 0;
  double values_[3] = {0, 0, 0};
};

struct InterpolateOptions {
  Shape size = {};                ///< of the spatial dimensions; this or scale_factor must be given, and not both
  ScaleFactor scale_factor = {};  ///< output size = floor(input size * factor)
  Interpolation mode = Interpolation::nearest;
  bool align_corners = false;           ///< the centres of the corner cells coincide, not their outer edges
  bool recompute_scale_factor = false;  ///< take positions from the sizes, not from the factor
  bool antialias = false;               ///< bilinear and bicubic: average over all the inputs an output covers
};

/// What can be said of the options without an input; errors name `op`.
void check_interpolation(const char* op, const InterpolateOptions& options);

/// x (N, C, spatial...) at another resolution. With the outputs' centres at x_o = scale * (o + 0.5) - 0.5 in input
/// cells (or o * (in - 1)/(out - 1) under align_corners):
///   nearest        x[floor(o * scale)]: the older rule, biased by half a cell;  nearest_exact: x[floor((o + 0.5) *
///   scale)] linear ...     the weighted mean of the 2 neighbours along each dimension bicubic        4 neighbours
///   along each, by Keys' kernel with a = -0.75 (-0.5 with antialias); overshoots at edges area           the mean over
///   the cells an output covers (adaptive average pooling)
/// dx = the adjoint: dy goes back by the same weights. A ShapeError for a rank that the mode does not fit; a ValueError
/// for a size or factor of 0, both or none of them, or options that the mode does not have. Keys, "Cubic convolution
/// interpolation for digital image processing" (1981).
Tensor interpolate(const Tensor& x, const InterpolateOptions& options);

/// (.., C r^2, H, W) -> (.., C, H r, W r): y[c, h r + i, w r + j] = x[c r^2 + i r + j, h, w]. A permutation, whose
/// gradient is pixel_unshuffle. A ShapeError if r^2 does not divide the channels. Shi et al., arXiv:1609.05158.
Tensor pixel_shuffle(const Tensor& x, int64_t upscale_factor);
/// The inverse: (.., C, H r, W r) -> (.., C r^2, H, W). A ShapeError if r does not divide the height and width.
Tensor pixel_unshuffle(const Tensor& x, int64_t downscale_factor);

}  // namespace cotangent
