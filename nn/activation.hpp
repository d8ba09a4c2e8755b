#pragma once
// Activation functions as modules, for nn::Sequential, and as values of an enum, for layers that let one choose.
// autograd/ops/activation.hpp, gated.hpp and math.hpp have the functions.
#include <string_view>

#include <cotangent/autograd/ops/activation.hpp>
#include <cotangent/autograd/ops/gated.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/random.hpp>
#include <cotangent/autograd/ops/softmax.hpp>
#include <cotangent/nn/module.hpp>

namespace cotangent::nn {

/// An activation function without settings of its own. The gated ones, which come last, take a last dimension of twice
/// the size: a layer that offers all of them asks is_gated() when it chooses the width of what comes before.
///
///     hidden = nn::Linear(width, nn::is_gated(activation) ? 2 * inner : inner);
///     ...
///     y = out(nn::activate(activation, hidden(x)));
///
/// Three matrices instead of two have as many parameters when `inner` is 2/3 as large: 8/3 of the width instead of 4.
enum class Activation : uint8_t {
  identity,
  relu,
  relu6,
  relu_squared,
  leaky_relu,
  elu,
  celu,
  selu,
  gelu,
  gelu_tanh,
  gelu_sigmoid,
  silu,
  mish,
  softplus,
  log_sigmoid,
  sigmoid,
  tanh,
  softsign,
  hardsigmoid,
  hardswish,
  hardtanh,
  softshrink,
  hardshrink,
  tanhshrink,
  glu,
  bilinear_glu,
  reglu,
  geglu,
  swiglu,
};
/// f(x) with the function's defaults; a gated one halves the last dimension.
Tensor activate(Activation f, const Tensor& x);
inline bool is_gated(Activation f) { return f >= Activation::glu; }
/// "gelu_tanh", as in the enum.
const char* name(Activation f);
/// The other way. A ValueError that lists the names when there is none such.
Activation activation_named(std::string_view name);
/// All of them, in order.
std::span<const Activation> all_activations();

struct Threshold : Module {
  Threshold(double threshold_, double value_) : threshold(threshold_), value(value_) {}
  double threshold, value;
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return cotangent::threshold(x, threshold, value); }
  std::string settings() const override;
};

/// The step function, whose gradient is 0: a layer behind it does not learn by descent.
struct Heaviside : Module {
  explicit Heaviside(double value_ = 0) : value(value_) {}
  double value;
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return heaviside(x, value); }
  std::string settings() const override;
};

struct ReLU : Module {
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return relu(x); }
};

struct ReLU6 : Module {
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return relu6(x); }
};

struct ReLUSquared : Module {
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return relu_squared(x); }
};

struct LeakyReLU : Module {
  explicit LeakyReLU(double slope_ = 0.01) : slope(slope_) {}
  double slope;
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return leaky_relu(x, slope); }
  std::string settings() const override;
};

struct PReLUOptions {
  double init = 0.25;
  Dtype dtype = default_dtype();
};

/// leaky_relu with a learned slope: one for all, or one for each of the `num_parameters` channels, dimension 1 of x.
///   weight (num_parameters). Weight decay would pull the slopes to 0: leave it out of the decayed group.
struct PReLU : Module {
  explicit PReLU(int64_t num_parameters = 1, const PReLUOptions& options = {});
  Parameter weight;
  COTANGENT_MODULE(weight)
  Tensor forward(const Tensor& x) { return prelu(x, weight); }
  std::string settings() const override;
};

/// leaky_relu with slopes that are drawn anew from default_generator() for each element, in training; else their mean.
struct RReLU : Module {
  explicit RReLU(double lower_ = 1.0 / 8, double upper_ = 1.0 / 3) : lower(lower_), upper(upper_) {}
  double lower, upper;
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return rrelu(x, lower, upper, is_training()); }
  std::string settings() const override;
};

struct ELU : Module {
  explicit ELU(double alpha_ = 1) : alpha(alpha_) {}
  double alpha;
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return elu(x, alpha); }
  std::string settings() const override;
};

struct CELU : Module {
  explicit CELU(double alpha_ = 1) : alpha(alpha_) {}
  double alpha;
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return celu(x, alpha); }
  std::string settings() const override;
};

/// For layers with normal weights of variance 1/fan_in (init::Nonlinearity::linear), and AlphaDropout.
struct SELU : Module {
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return selu(x); }
};

struct GELU : Module {
  explicit GELU(Gelu form_ = Gelu::erf) : form(form_) {}
  Gelu form;
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return gelu(x, form); }
  std::string settings() const override;
};

struct SiLU : Module {
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return silu(x); }
};

struct SwishOptions {
  double beta = 1;
  bool learned = true;  ///< beta is a parameter; else it stays
  Dtype dtype = default_dtype();
};

/// x sigmoid(beta x). SiLU is this with beta = 1 that is not learned.
///   beta (), a parameter or a constant
struct Swish : Module {
  explicit Swish(const SwishOptions& options = {});
  double constant;
  Parameter beta;
  COTANGENT_MODULE(beta)
  Tensor forward(const Tensor& x) { return beta.defined() ? swish(x, beta) : swish(x, constant); }
  std::string settings() const override;
};

struct Mish : Module {
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return mish(x); }
};

struct Softplus : Module {
  explicit Softplus(double beta_ = 1, double threshold_ = 20) : beta(beta_), threshold(threshold_) {}
  double beta, threshold;
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return softplus(x, beta, threshold); }
  std::string settings() const override;
};

struct LogSigmoid : Module {
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return log_sigmoid(x); }
};

struct Sigmoid : Module {
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return sigmoid(x); }
};

struct Tanh : Module {
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return tanh(x); }
};

struct Softsign : Module {
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return softsign(x); }
};

struct Hardsigmoid : Module {
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return hardsigmoid(x); }
};

struct Hardswish : Module {
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return hardswish(x); }
};

struct Hardtanh : Module {
  explicit Hardtanh(double low_ = -1, double high_ = 1) : low(low_), high(high_) {}
  double low, high;
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return hardtanh(x, low, high); }
  std::string settings() const override;
};

struct Softshrink : Module {
  explicit Softshrink(double lambda_ = 0.5) : lambda(lambda_) {}
  double lambda;
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return softshrink(x, lambda); }
  std::string settings() const override;
};

struct Hardshrink : Module {
  explicit Hardshrink(double lambda_ = 0.5) : lambda(lambda_) {}
  double lambda;
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return hardshrink(x, lambda); }
  std::string settings() const override;
};

struct Tanhshrink : Module {
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return tanhshrink(x); }
};

/// Along dimension `dim`; there is no default, as it is too easily the wrong one.
struct Softmax : Module {
  explicit Softmax(int64_t dim_) : dim(dim_) {}
  int64_t dim;
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return softmax(x, dim); }
  std::string settings() const override;
};

/// Softmax over the channels of images, at each place by itself.   (N, C, H, W) or (C, H, W); else a ShapeError
struct Softmax2d : Module {
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x);
};

struct Softmin : Module {
  explicit Softmin(int64_t dim_) : dim(dim_) {}
  int64_t dim;
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return softmin(x, dim); }
  std::string settings() const override;
};

struct LogSoftmax : Module {
  explicit LogSoftmax(int64_t dim_) : dim(dim_) {}
  int64_t dim;
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return log_softmax(x, dim); }
  std::string settings() const override;
};

/// a sigmoid(b) of the halves a and b of dimension `dim`, which must be even.
struct GLU : Module {
  explicit GLU(int64_t dim_ = -1) : dim(dim_) {}
  int64_t dim;
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return glu(x, dim); }
  std::string settings() const override;
};

/// a b
struct BilinearGLU : Module {
  explicit BilinearGLU(int64_t dim_ = -1) : dim(dim_) {}
  int64_t dim;
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return bilinear_glu(x, dim); }
  std::string settings() const override;
};

/// a relu(b)
struct ReGLU : Module {
  explicit ReGLU(int64_t dim_ = -1) : dim(dim_) {}
  int64_t dim;
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return reglu(x, dim); }
  std::string settings() const override;
};

/// a gelu(b)
struct GEGLU : Module {
  explicit GEGLU(int64_t dim_ = -1, Gelu form_ = Gelu::erf) : dim(dim_), form(form_) {}
  int64_t dim;
  Gelu form;
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return geglu(x, dim, form); }
  std::string settings() const override;
};

/// a silu(b)
struct SwiGLU : Module {
  explicit SwiGLU(int64_t dim_ = -1) : dim(dim_) {}
  int64_t dim;
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return swiglu(x, dim); }
  std::string settings() const override;
};

}  // namespace cotangent::nn
