#include <cotangent/nn/sequence/mlstm.hpp>

#include <cmath>
#include <limits>

#include <cotangent/autograd/ops/activation.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/norm.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/nn/init.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/precision_internal.hpp>

namespace cotangent::nn {
namespace {

Linear map(int64_t width, int64_t heads, Dtype dtype) {
  return Linear(checked_width("MLSTM", width, heads), width, {.bias = false, .dtype = dtype});
}

}  // namespace

MLSTM::MLSTM(int64_t width, int64_t count, const MLSTMOptions& o)
    : SequenceLayer(width, true),
      q_proj(map(width, count, o.dtype)),
      k_proj(map(width, count, o.dtype)),
      v_proj(map(width, count, o.dtype)),
      g_proj(map(width, count, o.dtype)),
      i_gate(width, count, {.bias = o.bias, .dtype = o.dtype}),
      f_gate(width, count, {.bias = o.bias, .dtype = o.dtype}),
      out_proj(map(width, count, o.dtype)),
      norm_weight(ones({width}, o.dtype)),
      heads(count),
      eps(o.eps) {
  init::zeros_(i_gate.weight);
  init::zeros_(f_gate.weight);
  if (!o.bias) return;
  init::normal_(i_gate.bias, 0, 0.1);
  std::vector<double> open;
  for (int64_t h = 0; h < heads; ++h)
    open.push_back(3 + 3 * static_cast<double>(h) / static_cast<double>(std::max<int64_t>(heads - 1, 1)));
  f_gate.bias = from_vector(open, {heads}).to(o.dtype);
}

Tensor MLSTM::run(const Tensor& x, const SequenceCall& call, StreamState* state) {
  check_no_mask(call);
  const int64_t dh = width() / heads;
  const auto in_heads = [&](const Tensor& t) { return transpose(unflatten(t, 2, {heads, dh}), 1, 2); };
  // (B, H, T), where padding leaves the state as it is
  const auto gate = [&](const Tensor& t, double hidden) {
    return transpose(call.key_mask.defined() ? masked_fill(t, !unsqueeze(call.key_mask, 2), hidden) : t, 1, 2);
  };
  const auto kept = [&](const Tensor& t) {
    return in_heads(call.key_mask.defined() ? masked_fill(t, !unsqueeze(call.key_mask, 2), 0) : t);
  };
  MlstmState* own = fields<MlstmState>(state);
  // in float32 where x is low: rounded gates and heads would be magnified by exponentials and the norm
  const auto remember = [&](const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& i, const Tensor& f,
                            const Tensor& weight) {
    const MlstmSequence h =
        mlstm(in_heads(q), kept(k) / std::sqrt(static_cast<double>(dh)), kept(v),
              gate(i, -std::numeric_limits<double>::infinity()), gate(log_sigmoid(f), 0), own ? *own : MlstmState());
    if (own) *own = h.state;
    return flatten(transpose(layer_norm(h.output, {dh}, {}, {}, eps), 1, 2), 2) * weight;
  };
  const Tensor y =
      in_float32<cotangent::to>(remember, q_proj(x), k_proj(x), v_proj(x), i_gate(x), f_gate(x), Tensor(norm_weight));
  return out_proj(sigmoid(g_proj(x)) * y);
}

std::string MLSTM::settings() const { return fmt::format("{}, {}", width(), heads); }

}  // namespace cotangent::nn
