#pragma once
// Parameters that are computed from others: a weight by its length and direction, or divided by its largest singular
// value.
//
//     nn::Linear layer(64, 64);
//     nn::weight_norm(layer);     // layer.weight is g v / |v| from now on, and g and v are trained in its place
//     model.apply<nn::Conv2d>([](nn::Conv2d& conv) { nn::spectral_norm(conv); });
//     nn::remove_parametrization(layer);
//
// The layer keeps its type. Each of its calls first computes the parameter; between calls, the parameter is what the
// last call has computed, with its history. parameters(), state_dict(), clone() and all other functions have the
// originals in its place, under PyTorch's names: "parametrizations.weight.original0". So an optimizer is made
// afterwards, and starting values are given before. As a call writes the parameter, each thread needs a clone of its
// own.
#include <optional>

#include <cotangent/nn/container.hpp>

namespace cotangent::nn {

/// How a parameter is computed: a module with the originals among its members.
///
///     struct Symmetric : nn::Parametrization {
///       explicit Symmetric(const Tensor& weight) : original(weight) {}
///       nn::Parameter original;
///       COTANGENT_MEMBERS(original)
///       Tensor value() override { return (original + original.t()) * 0.5; }
///     };
///     nn::parametrize(layer, Symmetric(layer.weight));
class Parametrization : public Module {
 public:
  virtual Tensor value() = 0;
};

/// Makes a parameter of the layer one that is computed by `how`. A ValueError where the layer itself (not a module in
/// it) has no parameter of that name, or it is computed already; a ShapeError where value() has another shape.
void parametrize(Module& layer, Any<Parametrization> how, std::string_view name = "weight");
/// Makes it an ordinary parameter again, which keeps its value and is trained if an original was. An optimizer is to be
/// made anew. A ValueError where it is not computed.
void remove_parametrization(Module& layer, std::string_view name = "weight");

struct WeightNormOptions {
  std::string_view name = "weight";
  std::optional<int64_t> dim = 0;  ///< each index of this dimension is a row with a length of its own; without: one row
};
/// w = g v / |v|: the length and the direction of each row of a weight are trained apart. original0 is g, of shape
/// (out, 1, ...), or () without a dim, and original1 is v; they start as the norm and the value of the parameter.
///   dg = dw.v / |v|,   dv = g / |v| (dw - v (dw.v) / |v|^2)
/// A row of zeros has no direction, and becomes NaN. A ValueError as of parametrize, an IndexError for a dim that there
/// is not. Salimans and Kingma, arXiv:1602.07868.
void weight_norm(Module& layer, const WeightNormOptions& options = {});

struct SpectralNormOptions {
  std::string_view name = "weight";
  int64_t power_iterations = 1;     ///< of each call in training
  double eps = 1e-12;               ///< a vector is divided by its length, or by this where that is less
  std::optional<int64_t> dim = {};  ///< along which the rows lie: 1 for a transposed convolution, otherwise 0
};
/// w = W / s, where s is the largest singular value of W as a matrix with rows along `dim`: the linear map of the layer
/// stretches no distance. `original` is W. s = u.(W v), where power iterations u = W v / |W v|, v = W^T u / |W^T u|
/// lead u and v, the buffers 0._u and 0._v, to the singular vectors: 15 at first, then power_iterations in each call in
/// training and none in evaluation. They count as constants in the gradient,
///   dW = (dw - (dw.w) u v^T) / s
/// A weight of one dimension is divided by its length. A ValueError as of parametrize, for less than one iteration and
/// for an eps below 0; an IndexError for a dim that there is not. Miyato et al., arXiv:1802.05957.
void spectral_norm(Module& layer, const SpectralNormOptions& options = {});

/// NTK parametrisation (Jacot et al., arXiv:1806.07572): w = W / sqrt(fan_in), where W starts as the parameter times
/// sqrt(fan_in), which has variance 1 after init::lecun_normal_.   dW = dw / sqrt(fan_in)
/// The layer computes what it did, but SGD at a rate r moves it as it would at r / fan_in, so that one rate serves all
/// widths. Adam moves it otherwise, as its steps do not shrink with the gradient. A ValueError as of parametrize; a
/// ShapeError for a parameter of less than two dimensions, which has no fan_in.
void ntk_parametrization(Module& layer, std::string_view name = "weight");

}  // namespace cotangent::nn
