#pragma once
// Parameters that are computed from others: a weight by its length and direction, or divided by its largest singular
// value.
//
//     nn::Linear layer(64, 64);
//     nn::weight_norm(layer);     // layer.weight is g v / |v| from now on, and g and v are trained in its place
//     model.apply<nn::Conv2d>([](nn::Conv2d& conv) { nn::spectral_norm(conv); });
//     nn::remove_parametrization(layer);
//
// The layer stays what it was. Each of its calls first computes the parameter; outside of calls, the parameter is what
// the last one has computed, with its history. parameters(), state_dict(), clone() and all the rest have the originals
// in its place, under PyTorch's names: "parametrizations.weight.original0". So an optimizer is made afterwards, and
// starting values are given before. A call writes the parameter: two threads take a clone each.
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

/// Has a parameter of the layer computed. A ValueError where the layer itself (not a module in it) has no such, or it
/// is computed already; a ShapeError where value() has another shape.
void parametrize(Module& layer, Any<Parametrization> how, std::string_view name = "weight");
/// Ends it: the parameter keeps its value, and is trained itself again if an original was. Make the optimizer anew. A
/// ValueError where it is not computed.
void remove_parametrization(Module& layer, std::string_view name = "weight");

struct WeightNormOptions {
  std::string_view name = "weight";
  std::optional<int64_t> dim = 0;  ///< each of its indices has a length of its own; without, all have one
};
/// g v / |v|, the length and the direction of each row of a weight apart: original0 is g, of shape (out, 1, ...) or ()
/// without a dim, original1 is v. They start as the norm and the value of the parameter. A row of zeros has no
/// direction, and becomes NaN. Salimans and Kingma, arXiv:1602.07868.
///   dg = dw.v / |v|,   dv = g/|v| (dw - v (dw.v) / |v|^2)
void weight_norm(Module& layer, const WeightNormOptions& options = {});

struct SpectralNormOptions {
  std::string_view name = "weight";
  int64_t power_iterations = 1;     ///< in each call in training
  double eps = 1e-12;               ///< the least length that a vector is divided by
  std::optional<int64_t> dim = {};  ///< of the rows; 1 for a transposed convolution, else 0
};
/// W / s, s the largest singular value of W as a matrix of rows along `dim` (Miyato et al., arXiv:1802.05957): the
/// layer stretches no distance. s = u.(W v) by power iterations, u = W v/|W v|, v = W^T u/|W^T u|: 15 at first, then
/// some in each call in training, and none in evaluation. `original` is W; the buffers 0._u and 0._v count as constants
/// in the gradient. A vector is divided by its length.
void spectral_norm(Module& layer, const SpectralNormOptions& options = {});

/// W / sqrt(fan_in), where W starts as the parameter times sqrt(fan_in): of variance 1 after init::lecun_normal_. The
/// layer computes what it did, but SGD at a rate r moves it as at r/fan_in, so that one rate serves all widths: NTK
/// parametrisation (Jacot et al., arXiv:1806.07572). Adam, whose steps have a size of their own, moves it otherwise.
void ntk_parametrization(Module& layer, std::string_view name = "weight");

}  // namespace cotangent::nn
