#include <cotangent/nn/dropout.hpp>

#include <cotangent/autograd/ops/random.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::nn {

Dropout::Dropout(double p_) : p(p_) {
  if (!(p >= 0 && p <= 1)) fail<ValueError>("[Dropout] p is {}; a probability is in [0, 1]", p);
}
Tensor Dropout::forward(const Tensor& x) { return dropout(x, p, is_training()); }
std::string Dropout::settings() const { return fmt::format("{}", p); }

AlphaDropout::AlphaDropout(double p_) : p(p_) {
  if (!(p >= 0 && p <= 1)) fail<ValueError>("[AlphaDropout] p is {}; a probability is in [0, 1]", p);
}
Tensor AlphaDropout::forward(const Tensor& x) { return alpha_dropout(x, p, is_training()); }
std::string AlphaDropout::settings() const { return fmt::format("{}", p); }

}  // namespace cotangent::nn
