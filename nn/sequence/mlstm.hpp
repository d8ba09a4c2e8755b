#pragma once
#include <cotangent/autograd/ops/gated_linear_attention.hpp>
#include <cotangent/nn/linear.hpp>
#include <cotangent/nn/norm.hpp>
#include <cotangent/nn/sequence/sequence.hpp>

namespace cotangent::nn {

struct MLSTMOptions {
  bool bias = true;  ///< of the gates
  double eps = 1e-5;
  Dtype dtype = default_dtype();
};

/// The matrix LSTM of xLSTM: in each of H heads, mlstm of autograd/ops/gated_linear_attention.hpp, whose gates are
/// exponential.
///
///     q, v: linear maps of x;  k: one / sqrt(dh);   i = x Wi + bi and f = x Wf + bf, a number for each head
///     y = (sigmoid(x Wg) * norm(mlstm(q, k, v, i, log sigmoid(f)))) Wo, where norm is the layer norm of each head,
///     with one weight (d)
///
///   q_proj, k_proj, v_proj, g_proj and out_proj (d, d) without biases; i_gate and f_gate (H, d)
/// The weights of the gates start at 0, the biases of f between 3 and 6, those of i normal with deviation 0.1. State:
/// MlstmState. A key_mask leaves the state as it is at the padding. A ValueError unless H divides d. Beck et al.,
/// "xLSTM" (arXiv:2405.04517).
struct MLSTM : SequenceLayer {
  MLSTM(int64_t width, int64_t heads, const MLSTMOptions& options = {});
  Linear q_proj, k_proj, v_proj, g_proj, i_gate, f_gate, out_proj;
  Parameter norm_weight;
  int64_t heads;
  double eps;
  COTANGENT_MEMBERS(q_proj, k_proj, v_proj, g_proj, i_gate, f_gate, norm_weight, out_proj)
  std::string settings() const override;

 protected:
  Tensor run(const Tensor& x, const SequenceCall& call, StreamState* state) override;
};

}  // namespace cotangent::nn
