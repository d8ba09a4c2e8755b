#include <cotangent/nn/dropout.hpp>

#include <cotangent/autograd/ops/random.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/range.hpp>

namespace cotangent::nn {

Dropout::Dropout(double p_) : p(p_) { cotangent::detail::check_fraction("Dropout", "p", p); }
Tensor Dropout::forward(const Tensor& x) { return dropout(x, p, is_training()); }
std::string Dropout::settings() const { return fmt::format("{}", p); }

AlphaDropout::AlphaDropout(double p_) : p(p_) { cotangent::detail::check_fraction("AlphaDropout", "p", p); }
Tensor AlphaDropout::forward(const Tensor& x) { return alpha_dropout(x, p, is_training()); }
std::string AlphaDropout::settings() const { return fmt::format("{}", p); }

}  // namespace cotangent::nn
