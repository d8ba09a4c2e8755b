#include <cotangent/nn/attention/headed.hpp>

#include <algorithm>

#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/norm.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/nn/init.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::nn {
namespace {

int64_t checked_kv_heads(const char* name, int64_t heads, int64_t kv_heads) {
  if (kv_heads < 0 || (kv_heads > 0 && heads % kv_heads != 0))
    fail<ValueError>("[{}] {} key heads for {} heads; the key heads must divide the heads", name, kv_heads, heads);
  return kv_heads == 0 ? heads : kv_heads;
}

}  // namespace

HeadedAttention::HeadedAttention(const char* name, int64_t width, int64_t count, const Parts& parts)
    : Attention(width, parts.causal, parts.positions),
      out_proj(std::max<int64_t>(width, 1), std::max<int64_t>(width, 1), {.bias = parts.bias, .dtype = parts.dtype}),
      heads(checked_heads(name, width, count)),
      kv_heads(checked_kv_heads(name, heads, parts.kv_heads)),
      has_scores_(parts.has_scores) {
  const int64_t rows = (heads + 2 * kv_heads) * head_width();
  in_proj_weight = init::xavier_uniform_(empty({rows, width}, parts.dtype));
  if (parts.bias) {
    in_proj_bias = zeros({rows}, parts.dtype);
    init::zeros_(out_proj.bias);
  }
  if (!has_scores_ && adds_to_scores(positions, {heads, head_width(), parts.dtype}))
    fail<ValueError>(
        "[{}] takes no positions that add to scores; rotary or other positions of queries and keys will do", name);
}

std::string HeadedAttention::settings() const {
  return fmt::format("{}, {}{}{}", width(), heads, kv_heads == heads ? "" : fmt::format(", kv_heads = {}", kv_heads),
                     causal() ? ", causal = true" : "");
}

Tensor HeadedAttention::in_heads(const Tensor& x, const Tensor& weight, const Tensor& bias) const {
  return cut(detail::heard(weight, 0, x, linear(x, weight, bias)));
}

Tensor HeadedAttention::cut(const Tensor& y) const {
  return transpose(unflatten(y, 2, {y.size(2) / head_width(), head_width()}), 1, 2);
}

Tensor HeadedAttention::project(const Tensor& x, int64_t first, int64_t count) const {
  const int64_t dh = head_width();
  if (first == 0 && count == heads + 2 * kv_heads) return in_heads(x, in_proj_weight, in_proj_bias);
  const auto rows = [&](const Tensor& p) { return p.defined() ? narrow(p, 0, first * dh, count * dh) : p; };
  return cut(detail::heard(in_proj_weight, first * dh, x, linear(x, rows(in_proj_weight), rows(in_proj_bias))));
}

Tensors HeadedAttention::keys_and_values(const Tensor& x) const {
  return split(project(x, heads, 2 * kv_heads), kv_heads, 1);
}

Tensor HeadedAttention::run(const Tensor& x, const SequenceCall& call, StreamState* state) {
  if (!has_scores_) check_no_mask(call);
  Tensors parts(3);
  if (state && state->cross) {
    parts[0] = queries(x);
  } else if (call.memory.defined()) {
    parts = keys_and_values(call.memory);
    parts.insert(parts.begin(), queries(x));
  } else {
    parts = split(project(x, 0, heads + 2 * kv_heads), {heads, kv_heads, kv_heads}, 1);
  }
  const Tensor y = attend(parts[0], parts[1], parts[2], call, state);
  return out_proj(joined(flatten(transpose(y, 1, 2), 2)));
}

Tensor unit_rms(const Tensor& x) {
  // The gradient of a row of 0, common behind relu, is multiplied by 1 / sqrt(eps): it must fit, and its cube as well.
  return rms_norm(x, {x.size(-1)}, {}, x.dtype() == float16 ? 1e-7 : 1e-20);
}

}  // namespace cotangent::nn
