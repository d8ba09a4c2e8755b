#include <cotangent/nn/activation.hpp>

#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::nn {

std::string LeakyReLU::settings() const { return fmt::format("{}", slope); }
std::string GELU::settings() const { return form == Gelu::tanh ? "tanh" : ""; }
std::string Softplus::settings() const {
  return beta == 1 && threshold == 20 ? "" : fmt::format("{}, {}", beta, threshold);
}

std::string Softmax::settings() const { return std::to_string(dim); }
std::string LogSoftmax::settings() const { return std::to_string(dim); }

}  // namespace cotangent::nn
