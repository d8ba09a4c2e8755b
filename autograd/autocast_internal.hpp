// Private: which ops compute in which precision under Autocast, and how they ask.
#pragma once
#include <string_view>
#include <utility>

#include <cotangent/autograd/autocast.hpp>

namespace cotangent::detail {

/// These compute in low precision: their time goes into products, which sum in float32 whatever the operands are.
inline constexpr std::string_view kLowPrecisionOps =
    "matmul linear addmm einsum "
    "conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d prelu "
    "rnn gru lstm scaled_dot_product_attention seen_scores seen_product";

/// These compute in float32: their range or their sums need it, or they decompose, or run through time.
inline constexpr std::string_view kFloat32Ops =
    "exp expm1 log log1p pow rsqrt reciprocal softplus "
    "sum mean prod var std norm logsumexp cumsum cumprod logcumsumexp "
    "softmax softmin log_softmax "
    "layer_norm rms_norm group_norm instance_norm batch_norm "
    "mse_loss cross_entropy nll_loss binary_cross_entropy_with_logits "
    "solve solve_triangular inv det slogdet cholesky matrix_power matrix_exp "
    "qr eigh eigvalsh svd svdvals pinv lstsq fft_conv1d "
    "linear_attention efficient_attention nystrom_attention favor_attention squared_relu_attention "
    "mixed_chunk_attention sparse_attention lsh_attention relative_attention "
    "linear_scan gated_linear_attention mlstm generalized_delta_rule delta_rule selective_scan wkv";

constexpr bool is_listed(std::string_view list, std::string_view op) {
  for (size_t at = list.find(op); at != list.npos; at = list.find(op, at + 1))
    if ((at == 0 || list[at - 1] == ' ') && (at + op.size() == list.size() || list[at + op.size()] == ' ')) return true;
  return false;
}

/// What an op does: its place in the lists above, without which it does not compile.
struct AutocastRule {
  bool low;
  consteval AutocastRule(const char* op) : low(is_listed(kLowPrecisionOps, op)) {
    if (!low && !is_listed(kFloat32Ops, op)) is_in_no_list();
  }

 private:
  static void is_in_no_list();  // not constant: to call it is an error of the compiler
};

extern constinit thread_local AutocastMode t_autocast;

inline AutocastMode without_autocast() { return {false, t_autocast.dtype, t_autocast.casts}; }
/// For a function that will be run again: no cast of a parameter that it reads is from outside.
inline AutocastMode with_own_casts() { return {t_autocast.enabled, t_autocast.dtype, nullptr}; }

/// x as an op of the list takes it.
Tensor autocast_operand(const Tensor& x, bool low);
inline Tensors autocast_operand(const Tensors& list, bool low) {
  Tensors cast;
  for (const Tensor& x : list) cast.push_back(autocast_operand(x, low));
  return cast;
}
template <class T>
const T& autocast_operand(const T& other, bool) {
  return other;
}

/// f(operands...) as the rule says, with Autocast off within.
template <class F, class... Operands>
auto autocast(AutocastRule rule, F f, const Operands&... operands) {
  return [&](const auto&... cast) {
    const UseAutocast off(without_autocast());
    return f(cast...);
  }(autocast_operand(operands, rule.low)...);
}

}  // namespace cotangent::detail

/// The first line of an op of the lists: under Autocast it returns op(operands...) of the operands as they should be.
#define COTANGENT_AUTOCAST(op, ...)                         \
  if (::cotangent::detail::t_autocast.enabled) [[unlikely]] \
  return ::cotangent::detail::autocast(                     \
      #op, [](const auto&... autocast_operands) { return op(autocast_operands...); }, __VA_ARGS__)
