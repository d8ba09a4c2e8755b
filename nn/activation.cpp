#include <cotangent/nn/activation.hpp>

#include <array>

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
    COTANGENT_ACTIVATION(leaky_relu, leaky_relu(x)),
    COTANGENT_ACTIVATION(gelu, gelu(x)),
    COTANGENT_ACTIVATION(gelu_tanh, gelu(x, Gelu::tanh)),
    COTANGENT_ACTIVATION(silu, silu(x)),
    COTANGENT_ACTIVATION(softplus, softplus(x)),
    COTANGENT_ACTIVATION(log_sigmoid, log_sigmoid(x)),
    COTANGENT_ACTIVATION(sigmoid, sigmoid(x)),
    COTANGENT_ACTIVATION(tanh, tanh(x)),
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

namespace {
// The settings of the gated modules: nothing for the last dimension.
std::string of_dim(int64_t dim) { return dim == -1 ? "" : std::to_string(dim); }
}  // namespace

std::string LeakyReLU::settings() const { return fmt::format("{}", slope); }
std::string GELU::settings() const { return form == Gelu::tanh ? "tanh" : ""; }
std::string Softplus::settings() const {
  return beta == 1 && threshold == 20 ? "" : fmt::format("{}, {}", beta, threshold);
}

std::string Softmax::settings() const { return std::to_string(dim); }
std::string LogSoftmax::settings() const { return std::to_string(dim); }

std::string GLU::settings() const { return of_dim(dim); }
std::string BilinearGLU::settings() const { return of_dim(dim); }
std::string ReGLU::settings() const { return of_dim(dim); }
std::string GEGLU::settings() const { return fmt::format("{}{}", dim, form == Gelu::tanh ? ", tanh" : ""); }
std::string SwiGLU::settings() const { return of_dim(dim); }

}  // namespace cotangent::nn
