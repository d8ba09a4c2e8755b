#pragma once
// Activation functions as modules, for nn::Sequential. autograd/ops/activation.hpp and math.hpp have the functions.
#include <cotangent/autograd/ops/activation.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/softmax.hpp>
#include <cotangent/nn/module.hpp>

namespace cotangent::nn {

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

}  // namespace cotangent::nn
