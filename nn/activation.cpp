#include <cotangent/nn/activation.hpp>

#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/nn/init.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::nn {
namespace {

struct Entry {
  Activation activation;
  const char* name;
  Tensor (*function)(const Tensor& x);
};

#define COTANGENT_ENTRY(name, of_x) {Activation::name, #name, [](const Tensor& x) -> Tensor { return of_x; }},
constexpr Entry kEntries[] = {COTANGENT_ACTIVATIONS(COTANGENT_ENTRY)};
#define COTANGENT_MEMBER(name, of_x) Activation::name,
constexpr Activation kActivations[] = {COTANGENT_ACTIVATIONS(COTANGENT_MEMBER)};

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

VarianceKeeping::VarianceKeeping(Activation f) : function(f), factor(init::gain(f)) {}
Tensor VarianceKeeping::forward(const Tensor& x) { return activate(function, x) * factor; }
std::string VarianceKeeping::settings() const { return name(function); }

PReLU::PReLU(int64_t num_parameters, const PReLUOptions& options) {
  if (num_parameters < 1) fail<ValueError>("[PReLU] {} parameters; there must be at least 1", num_parameters);
  weight = full({num_parameters}, options.init, options.dtype);
}

Swish::Swish(const SwishOptions& options) : constant(options.beta) {
  if (options.learned) beta = full({}, options.beta, options.dtype);
}

// ---- settings: what differs from the defaults ----

std::string detail::setting_of(double value, double standard) {
  return value == standard ? "" : fmt::format("{}", value);
}
static const char* of_form(Gelu form) { return form == Gelu::tanh ? "tanh" : form == Gelu::sigmoid ? "sigmoid" : ""; }

std::string Threshold::settings() const { return fmt::format("{}, {}", threshold, value); }
std::string LeakyReLU::settings() const { return fmt::format("{}", slope); }
std::string PReLU::settings() const { return std::to_string(weight.numel()); }
std::string RReLU::settings() const {
  return lower == 1.0 / 8 && upper == 1.0 / 3 ? "" : fmt::format("{}, {}", lower, upper);
}
std::string GELU::settings() const { return of_form(form); }
std::string Swish::settings() const { return beta.defined() ? "" : fmt::format("beta = {}", constant); }
std::string Softplus::settings() const {
  return beta == 1 && threshold == 20 ? "" : fmt::format("{}, {}", beta, threshold);
}
std::string Hardtanh::settings() const { return low == -1 && high == 1 ? "" : fmt::format("{}, {}", low, high); }

Tensor Softmax2d::forward(const Tensor& x) {
  if (x.rank() != 3 && x.rank() != 4)
    fail<ShapeError>("[Softmax2d] x has shape {}; it must be (N, C, H, W) or (C, H, W)", x.shape());
  return softmax(x, -3);
}

std::string GEGLU::settings() const {
  const std::string text = detail::setting_of(double(dim), -1), approximation = of_form(form);
  return text + (text.empty() || approximation.empty() ? "" : ", ") + approximation;
}

}  // namespace cotangent::nn
