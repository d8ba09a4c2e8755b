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

// The names of the functions, and what they are of x.
#define COTANGENT_ACTIVATIONS(X)          \
  X(identity, x)                          \
  X(relu, relu(x))                        \
  X(relu6, relu6(x))                      \
  X(relu_squared, relu_squared(x))        \
  X(leaky_relu, leaky_relu(x))            \
  X(elu, elu(x))                          \
  X(celu, celu(x))                        \
  X(selu, selu(x))                        \
  X(gelu, gelu(x))                        \
  X(gelu_tanh, gelu(x, Gelu::tanh))       \
  X(gelu_sigmoid, gelu(x, Gelu::sigmoid)) \
  X(silu, silu(x))                        \
  X(mish, mish(x))                        \
  X(softplus, softplus(x))                \
  X(squareplus, squareplus(x))            \
  X(log_sigmoid, log_sigmoid(x))          \
  X(sigmoid, sigmoid(x))                  \
  X(tanh, tanh(x))                        \
  X(softsign, softsign(x))                \
  X(hardsigmoid, hardsigmoid(x))          \
  X(hardswish, hardswish(x))              \
  X(hardtanh, hardtanh(x))                \
  X(softshrink, softshrink(x))            \
  X(hardshrink, hardshrink(x))            \
  X(tanhshrink, tanhshrink(x))            \
  X(glu, glu(x))                          \
  X(bilinear_glu, bilinear_glu(x))        \
  X(reglu, reglu(x))                      \
  X(geglu, geglu(x))                      \
  X(swiglu, swiglu(x))

/// An activation function without settings of its own. The gated ones, which come last, take a last dimension of twice
/// the size: a layer that offers all of them asks is_gated() when it chooses the width of what comes before.
///
///     hidden = nn::Linear(width, nn::is_gated(activation) ? 2 * inner : inner);
///     ...
///     y = out(nn::activate(activation, hidden(x)));
///
/// Three matrices instead of two have as many parameters when `inner` is 2/3 as large: 8/3 of the width instead of 4.
enum class Activation : uint8_t {
#define COTANGENT_ENUMERATOR(name, of_x) name,
  COTANGENT_ACTIVATIONS(COTANGENT_ENUMERATOR)
#undef COTANGENT_ENUMERATOR
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

namespace detail {
/// A setting for printing: empty where it is the default.
std::string setting_of(double value, double standard = __builtin_nan(""));
}  // namespace detail

/// A module of a function, or of one with a setting, which may have a default and is printed where it differs from it.
#define COTANGENT_ACTIVATION(Name, function)                             \
  struct Name : Module {                                                 \
    COTANGENT_MODULE()                                                   \
    Tensor forward(const Tensor& x) { return ::cotangent::function(x); } \
  }
#define COTANGENT_ACTIVATION_WITH(Name, function, Type, setting, ...)                     \
  struct Name : Module {                                                                  \
    explicit Name(Type setting##_ __VA_OPT__(= __VA_ARGS__)) : setting(setting##_) {}     \
    Type setting;                                                                         \
    COTANGENT_MODULE()                                                                    \
    Tensor forward(const Tensor& x) { return ::cotangent::function(x, setting); }         \
    std::string settings() const override {                                               \
      return detail::setting_of(static_cast<double>(setting) __VA_OPT__(, ) __VA_ARGS__); \
    }                                                                                     \
  }

/// f(x) / sqrt(E f(z)^2), z ~ N(0, 1): inputs of second moment 1 get outputs of second moment 1, and weights of
/// variance 1/fan_in (init::lecun_normal_) keep it. Through many layers that goes well where f grows less than
/// linearly, as tanh does; behind gelu and silu, deviations grow from layer to layer.
struct VarianceKeeping : Module {
  explicit VarianceKeeping(Activation f);
  Activation function;
  double factor;
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x);
  std::string settings() const override;
};

struct Threshold : Module {
  Threshold(double threshold_, double value_) : threshold(threshold_), value(value_) {}
  double threshold, value;
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return cotangent::threshold(x, threshold, value); }
  std::string settings() const override;
};

/// The step function, whose gradient is 0: a layer behind it does not learn by descent.
COTANGENT_ACTIVATION_WITH(Heaviside, heaviside, double, value, 0);
COTANGENT_ACTIVATION(ReLU, relu);
COTANGENT_ACTIVATION(ReLU6, relu6);
COTANGENT_ACTIVATION(ReLUSquared, relu_squared);

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

COTANGENT_ACTIVATION_WITH(ELU, elu, double, alpha, 1);
COTANGENT_ACTIVATION_WITH(CELU, celu, double, alpha, 1);

/// For layers with normal weights of variance 1/fan_in (init::Nonlinearity::linear), and AlphaDropout.
COTANGENT_ACTIVATION(SELU, selu);

struct GELU : Module {
  explicit GELU(Gelu form_ = Gelu::erf) : form(form_) {}
  Gelu form;
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return gelu(x, form); }
  std::string settings() const override;
};

COTANGENT_ACTIVATION(SiLU, silu);

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

COTANGENT_ACTIVATION(Mish, mish);

struct Softplus : Module {
  explicit Softplus(double beta_ = 1, double threshold_ = 20) : beta(beta_), threshold(threshold_) {}
  double beta, threshold;
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return softplus(x, beta, threshold); }
  std::string settings() const override;
};

/// Near Softplus, without an exponential; b rounds the bend.
COTANGENT_ACTIVATION_WITH(Squareplus, squareplus, double, b, 4);

COTANGENT_ACTIVATION(LogSigmoid, log_sigmoid);
COTANGENT_ACTIVATION(Sigmoid, sigmoid);
COTANGENT_ACTIVATION(Tanh, tanh);
COTANGENT_ACTIVATION(Softsign, softsign);
COTANGENT_ACTIVATION(Hardsigmoid, hardsigmoid);
COTANGENT_ACTIVATION(Hardswish, hardswish);

struct Hardtanh : Module {
  explicit Hardtanh(double low_ = -1, double high_ = 1) : low(low_), high(high_) {}
  double low, high;
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return hardtanh(x, low, high); }
  std::string settings() const override;
};

COTANGENT_ACTIVATION_WITH(Softshrink, softshrink, double, lambda, 0.5);
COTANGENT_ACTIVATION_WITH(Hardshrink, hardshrink, double, lambda, 0.5);
COTANGENT_ACTIVATION(Tanhshrink, tanhshrink);

/// Along dimension `dim`; there is no default, as it is too easily the wrong one.
COTANGENT_ACTIVATION_WITH(Softmax, softmax, int64_t, dim);

/// Softmax over the channels of images, at each place by itself.   (N, C, H, W) or (C, H, W); else a ShapeError
struct Softmax2d : Module {
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x);
};

COTANGENT_ACTIVATION_WITH(Softmin, softmin, int64_t, dim);
COTANGENT_ACTIVATION_WITH(LogSoftmax, log_softmax, int64_t, dim);

/// a sigmoid(b) of the halves a and b of dimension `dim`, which must be even.
COTANGENT_ACTIVATION_WITH(GLU, glu, int64_t, dim, -1);

/// a b
COTANGENT_ACTIVATION_WITH(BilinearGLU, bilinear_glu, int64_t, dim, -1);

/// a relu(b)
COTANGENT_ACTIVATION_WITH(ReGLU, reglu, int64_t, dim, -1);

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
COTANGENT_ACTIVATION_WITH(SwiGLU, swiglu, int64_t, dim, -1);

}  // namespace cotangent::nn
