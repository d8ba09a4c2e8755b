#include <cotangent/nn/activation.hpp>

#include <array>

#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::nn {
namespace {

struct Entry {
  Activation activation;
  const char* name;
  Tensor (*function)(const Tensor& x);
};

// In the order of the enum.
#define COTANGENT_ACTIVATION(name, call)                                    \
  Entry {                                                                   \
    Activation::name, #name, [](const Tensor& x) -> Tensor { return call; } \
  }
constexpr std::array kEntries{
    COTANGENT_ACTIVATION(identity, x),
    COTANGENT_ACTIVATION(relu, relu(x)),
    COTANGENT_ACTIVATION(relu6, relu6(x)),
    COTANGENT_ACTIVATION(relu_squared, relu_squared(x)),
    COTANGENT_ACTIVATION(leaky_relu, leaky_relu(x)),
    COTANGENT_ACTIVATION(elu, elu(x)),
    COTANGENT_ACTIVATION(celu, celu(x)),
    COTANGENT_ACTIVATION(selu, selu(x)),
    COTANGENT_ACTIVATION(gelu, gelu(x)),
    COTANGENT_ACTIVATION(gelu_tanh, gelu(x, Gelu::tanh)),
    COTANGENT_ACTIVATION(gelu_sigmoid, gelu(x, Gelu::sigmoid)),
    COTANGENT_ACTIVATION(silu, silu(x)),
    COTANGENT_ACTIVATION(mish, mish(x)),
    COTANGENT_ACTIVATION(softplus, softplus(x)),
    COTANGENT_ACTIVATION(log_sigmoid, log_sigmoid(x)),
    COTANGENT_ACTIVATION(sigmoid, sigmoid(x)),
    COTANGENT_ACTIVATION(tanh, tanh(x)),
    COTANGENT_ACTIVATION(softsign, softsign(x)),
    COTANGENT_ACTIVATION(hardsigmoid, hardsigmoid(x)),
    COTANGENT_ACTIVATION(hardswish, hardswish(x)),
    COTANGENT_ACTIVATION(hardtanh, hardtanh(x)),
    COTANGENT_ACTIVATION(softshrink, softshrink(x)),
    COTANGENT_ACTIVATION(hardshrink, hardshrink(x)),
    COTANGENT_ACTIVATION(tanhshrink, tanhshrink(x)),
    COTANGENT_ACTIVATION(glu, glu(x)),
    COTANGENT_ACTIVATION(bilinear_glu, bilinear_glu(x)),
    COTANGENT_ACTIVATION(reglu, reglu(x)),
    COTANGENT_ACTIVATION(geglu, geglu(x)),
    COTANGENT_ACTIVATION(swiglu, swiglu(x)),
};
static_assert(
    [] {
      for (size_t i = 0; i < kEntries.size(); ++i)
        if (kEntries[i].activation != Activation(i)) return false;
      return kEntries.size() == size_t(Activation::swiglu) + 1;
    }(),
    "each member of the enum has its entry, in the same order");

constexpr auto kActivations = [] {
  std::array<Activation, kEntries.size()> all{};
  for (size_t i = 0; i < all.size(); ++i) all[i] = kEntries[i].activation;
  return all;
}();

}  // namespace

Tensor activate(Activation f, const Tensor& x) { return kEntries[size_t(f)].function(x); }
const char* name(Activation f) { return kEntries[size_t(f)].name; }
std::span<const Activation> all_activations() { return kActivations; }

Activation activation_named(std::string_view wanted) {
  std::string names;
  for (const Entry& entry : kEntries) {
    if (wanted == entry.name) return entry.activation;
    names += names.empty() ? entry.name : fmt::format(", {}", entry.name);
  }
  fail<ValueError>("[activation_named] there is no activation \"{}\"; there are {}", wanted, names);
}

PReLU::PReLU(int64_t num_parameters, const PReLUOptions& options) {
  if (num_parameters < 1) fail<ValueError>("[PReLU] {} parameters; there must be at least 1", num_parameters);
  weight = full({num_parameters}, options.init, options.dtype);
}

Swish::Swish(const SwishOptions& options) : constant(options.beta) {
  if (options.learned) beta = full({}, options.beta, options.dtype);
}

// ---- settings: what differs from the defaults ----

namespace {
std::string of_dim(int64_t dim) { return dim == -1 ? "" : std::to_string(dim); }
std::string unless(double standard, double value) { return value == standard ? "" : fmt::format("{}", value); }
const char* of_form(Gelu form) { return form == Gelu::tanh ? "tanh" : form == Gelu::sigmoid ? "sigmoid" : ""; }
}  // namespace

std::string Threshold::settings() const { return fmt::format("{}, {}", threshold, value); }
std::string Heaviside::settings() const { return unless(0, value); }
std::string LeakyReLU::settings() const { return fmt::format("{}", slope); }
std::string PReLU::settings() const { return std::to_string(weight.numel()); }
std::string RReLU::settings() const {
  return lower == 1.0 / 8 && upper == 1.0 / 3 ? "" : fmt::format("{}, {}", lower, upper);
}
std::string ELU::settings() const { return unless(1, alpha); }
std::string CELU::settings() const { return unless(1, alpha); }
std::string GELU::settings() const { return of_form(form); }
std::string Swish::settings() const { return beta.defined() ? "" : fmt::format("beta = {}", constant); }
std::string Softplus::settings() const {
  return beta == 1 && threshold == 20 ? "" : fmt::format("{}, {}", beta, threshold);
}
std::string Hardtanh::settings() const { return low == -1 && high == 1 ? "" : fmt::format("{}, {}", low, high); }
std::string Softshrink::settings() const { return unless(0.5, lambda); }
std::string Hardshrink::settings() const { return unless(0.5, lambda); }

Tensor Softmax2d::forward(const Tensor& x) {
  if (x.rank() != 3 && x.rank() != 4)
    fail<ShapeError>("[Softmax2d] x has shape {}; it must be (N, C, H, W) or (C, H, W)", x.shape());
  return softmax(x, -3);
}
std::string Softmax::settings() const { return std::to_string(dim); }
std::string Softmin::settings() const { return std::to_string(dim); }
std::string LogSoftmax::settings() const { return std::to_string(dim); }

std::string GLU::settings() const { return of_dim(dim); }
std::string BilinearGLU::settings() const { return of_dim(dim); }
std::string ReGLU::settings() const { return of_dim(dim); }
std::string GEGLU::settings() const {
  const std::string text = of_dim(dim), approximation = of_form(form);
  return text + (text.empty() || approximation.empty() ? "" : ", ") + approximation;
}
std::string SwiGLU::settings() const { return of_dim(dim); }

}  // namespace cotangent::nn
