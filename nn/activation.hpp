#pragma once
// Activation functions as modules, for nn::Sequential, and as values of an enum, for layers that let one choose.
// autograd/ops/activation.hpp, gated.hpp and math.hpp have the functions.
#include <string_view>

#include <cotangent/autograd/ops/activation.hpp>
#include <cotangent/autograd/ops/gated.hpp>
#include <cotangent/autograd/ops/math.hpp>
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
  leaky_relu,
  gelu,
  gelu_tanh,
  silu,
  softplus,
  log_sigmoid,
  sigmoid,
  tanh,
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

struct ReLU : Module {
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return relu(x); }
};

struct ReLU6 : Module {
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return relu6(x); }
};

struct LeakyReLU : Module {
  explicit LeakyReLU(double slope_ = 0.01) : slope(slope_) {}
  double slope;
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return leaky_relu(x, slope); }
  std::string settings() const override;
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

/// Along dimension `dim`; there is no default, as it is too easily the wrong one.
struct Softmax : Module {
  explicit Softmax(int64_t dim_) : dim(dim_) {}
  int64_t dim;
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return softmax(x, dim); }
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
