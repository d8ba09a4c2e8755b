#pragma once
// How weights start. Each function fills a tensor in place, without recording it, and returns it; it may be a
// parameter.
#include <cotangent/tensor/random.hpp>
#include <cotangent/tensor/tensor.hpp>

namespace cotangent::nn {
enum class Activation : uint8_t;  // nn/activation.hpp
}

namespace cotangent::nn::init {

using cotangent::normal_;   // (x, mean = 0, std = 1)
using cotangent::uniform_;  // (x, low = 0, high = 1)

const Tensor& constant_(const Tensor& x, double value);
const Tensor& zeros_(const Tensor& x);
const Tensor& ones_(const Tensor& x);
/// Normal, drawn again until it lies in [low, high].
const Tensor& trunc_normal_(const Tensor& x, double mean = 0, double std = 1, double low = -2, double high = 2,
                            Generator& generator = default_generator());

enum class Distribution : uint8_t {
  normal,
  truncated_normal,  ///< a normal one of 1.1368472 std, cut at twice that: the cut takes 0.2262587 of the variance away
  uniform            ///< from mean - sqrt(3) std to mean + sqrt(3) std
};
/// Of the mean and the standard deviation that are given, whichever the distribution.
const Tensor& of_std_(const Tensor& x, double mean, double std, Distribution distribution = Distribution::normal,
                      Generator& generator = default_generator());

/// How many inputs an output of a weight (out, in, kernel...) is computed from, and how many outputs an input goes to.
struct Fans {
  int64_t in, out;
};
/// A ShapeError below rank 2.
Fans fans(const Tensor& weight);

/// What a layer's output goes through.
enum class Nonlinearity : uint8_t { linear, sigmoid, tanh, relu, leaky_relu, selu };
/// The factor by which weights must be larger because the function shrinks its input: sqrt(2) for relu. `slope` is of
/// leaky_relu.
double gain(Nonlinearity f, double slope = 0.01);
/// E f(z)^2, z ~ N(0, 1): what a layer that is fed with the activation's result sees in place of 1. 0.5 for relu,
/// 0.425221 for gelu. A gated one is a f(b) with independent halves. By quadrature, to 7 digits.
double second_moment(Activation f);
/// 1 / sqrt(second_moment(f)): weights of variance gain^2 / fan_in keep the second moment through layers. sqrt(2) for
/// relu, as above; for the others above it differs: 5/3 for tanh is a compromise with the gradient, and SELU's paper
/// takes 1.
double gain(Activation f);

/// Keeps the variance of the signals through linear layers, and with SELU: variance gain^2 / fan_in. (LeCun et al.,
/// "Efficient backprop", 1998)
const Tensor& lecun_uniform_(const Tensor& weight, double gain = 1, Generator& generator = default_generator());
const Tensor& lecun_normal_(const Tensor& weight, double gain = 1, Generator& generator = default_generator());

/// Keeps the variance of both signals and gradients: variance gain^2 * 2 / (fan_in + fan_out).
/// (Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010)
const Tensor& xavier_uniform_(const Tensor& weight, double gain = 1, Generator& generator = default_generator());
const Tensor& xavier_normal_(const Tensor& weight, double gain = 1, Generator& generator = default_generator());

enum class Fan : uint8_t { in, out };
struct KaimingOptions {
  double slope = 0;   ///< of leaky_relu
  Fan fan = Fan::in;  ///< in keeps the variance of the signals, out that of the gradients
  Nonlinearity nonlinearity = Nonlinearity::leaky_relu;
};
/// Keeps the variance through rectifiers: variance gain^2 / fan. (He et al., "Delving deep into rectifiers", 2015)
const Tensor& kaiming_uniform_(const Tensor& weight, const KaimingOptions& options = {},
                               Generator& generator = default_generator());
const Tensor& kaiming_normal_(const Tensor& weight, const KaimingOptions& options = {},
                              Generator& generator = default_generator());

/// A random matrix with orthonormal rows or columns, whichever are fewer, times `gain`; dimensions after the first
/// count as one. (Saxe, McClelland and Ganguli, "Exact solutions to the nonlinear dynamics of learning", 2014)
const Tensor& orthogonal_(const Tensor& weight, double gain = 1, Generator& generator = default_generator());

/// Gives the r^2 rows of each group of a weight (out * r^2, in, kernel...), or of its bias, the values of the first:
/// then a convolution and a pixel_shuffle by r start as a convolution and nearest-neighbour upsampling, and not with a
/// pattern of squares. Called after another initialiser: icnr_(kaiming_normal_(weight), 2). A ShapeError if r^2 does
/// not divide the rows. (Aitken et al., "Checkerboard artifact free sub-pixel convolution", 2017)
const Tensor& icnr_(const Tensor& weight, int64_t upscale_factor);

/// Makes a transposed convolution start as linear (bilinear, trilinear) upsampling of each channel by f: its weight
/// (in, out/groups, kernel...) gets the product of 1 - |u - (K - 1)/2|/f over the dimensions where it leads from a
/// channel to the same one, and 0 elsewhere. For a kernel size of K = 2 f - f % 2, a stride of f and a padding of
/// ceil((f - 1)/2) that is interpolate's linear mode but for the borders. With out/groups = 1 it is depthwise. A
/// ShapeError below rank 3, or if out/groups does not divide `in`. (Long, Shelhamer and Darrell, "Fully convolutional
/// networks for semantic segmentation", 2015)
const Tensor& bilinear_kernel_(const Tensor& weight);

}  // namespace cotangent::nn::init
