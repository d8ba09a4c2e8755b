#pragma once
// Attention in time and memory linear in the length: autograd/ops/linear_attention.hpp and favor.hpp as layers. Causal,
// each has all three forms, and streams with a state that does not grow. docs/linear_attention.md says which to take.
#include <cotangent/autograd/ops/favor.hpp>
#include <cotangent/autograd/ops/linear_attention.hpp>
#include <cotangent/nn/attention/headed.hpp>

namespace cotangent::nn {

/// Attention that is a sum over the past: the chunked and the recurrent form are one scan of the heads each.
struct SummedAttention : HeadedAttention {
 protected:
  using HeadedAttention::HeadedAttention;
  Tensor in_pieces(const Tensor& x, const SequenceCall& call) override { return run(x, call, nullptr); }
};

struct LinearAttentionOptions {
  FeatureMap features = FeatureMap::elu_plus_one;
  int64_t cosine_length = 0;  ///< above 0: the features of cosFormer for sequences of up to this length instead
  bool causal = false;
  bool bias = true;  ///< of the projections
  double eps = 1e-6;
  AnyPosition positions =
      {};  ///< rotate the features in the numerator alone, so that the sum of weights stays positive
  Dtype dtype = default_dtype();
};

/// o_i = sum_j w_ij v_j / (eps + sum_j w_ij) with w_ij = phi(q_i) . phi(k_j), in each head.
/// The parallel form is linear in T as well: it takes the order of the products that costs less. State: (B, H, m, dh)
/// and (B, H, m) for m features. Katharopoulos et al., arXiv:2006.16236; Qin et al. (cosFormer), arXiv:2202.08791.
struct LinearAttention : SummedAttention {
  LinearAttention(int64_t width, int64_t heads, const LinearAttentionOptions& options = {});
  FeatureMap features;
  int64_t cosine_length;
  double eps;
  COTANGENT_MEMBERS(in_proj_weight, in_proj_bias, out_proj, positions)

 protected:
  Tensor attend(const Tensor& q, const Tensor& k, const Tensor& v, const SequenceCall& call,
                StreamState* state) override;
};

struct EfficientAttentionOptions {
  bool causal = false;
  bool bias = true;
  AnyPosition positions = {};
  Dtype dtype = default_dtype();
};

/// softmax over the features of q, softmax over the sequence of k: efficient_attention in each head. The causal forms
/// keep running maxima. State: (B, H, dh, dh) and twice (B, H, dh). Shen et al., arXiv:1812.01243.
struct EfficientAttention : SummedAttention {
  EfficientAttention(int64_t width, int64_t heads, const EfficientAttentionOptions& options = {});
  COTANGENT_MEMBERS(in_proj_weight, in_proj_bias, out_proj, positions)

 protected:
  Tensor attend(const Tensor& q, const Tensor& k, const Tensor& v, const SequenceCall& call,
                StreamState* state) override;
};

struct PerformerOptions {
  FavorKernel kernel = FavorKernel::positive;
  int64_t features = 0;  ///< m, rows of the projection: 0 stands for dh ln(dh), rounded
  bool orthogonal = true;
  int64_t redraw_every = 1000;  ///< calls in training after which the projection is drawn anew; 0 for never
  bool causal = false;
  bool bias = true;
  AnyPosition positions = {};  ///< of queries and keys, before their features
  Dtype dtype = default_dtype();
};

/// Performer: favor_attention in each head, an estimate of softmax attention. `projection` (m, dh), the same for all
/// heads, and `calls`, how often it served in training, are buffers: they are saved, not trained. A step never draws it
/// anew, so a stream should run in evaluation mode or without training calls in between. State: (B, H, m, dh) and (B,
/// H, m), 2m for the hyperbolic kernel. A ValueError for a negative number of features or calls. Choromanski et al.,
/// arXiv:2009.14794.
struct Performer : SummedAttention {
  Performer(int64_t width, int64_t heads, const PerformerOptions& options = {});
  Buffer projection, calls;
  FavorKernel kernel;
  bool orthogonal;
  int64_t redraw_every;
  COTANGENT_MEMBERS(in_proj_weight, in_proj_bias, out_proj, positions, projection, calls)
  /// Draws the projection anew: a new tensor, so that graphs which hold the old one stay valid.
  void redraw(Generator& generator = default_generator());

 protected:
  Tensor attend(const Tensor& q, const Tensor& k, const Tensor& v, const SequenceCall& call,
                StreamState* state) override;
};

struct NormAttentionOptions {
  FeatureMap features = FeatureMap::elu_plus_one;  ///< TransNormer T2; T1 takes elu
  bool causal = false;
  bool bias = true;
  AnyPosition positions = {};  ///< of the features
  Dtype dtype = default_dtype();
};

/// NormAttention of TransNormer: y = XNorm(phi(Q) (phi(K)^T V)) Wo^T with XNorm(x) = x / (|x| / sqrt(d)) over the
/// joined heads. Without the sum of weights in a denominator, the gradients of the scores are bounded. A positive
/// factor of V changes nothing. State: (B, H, m, dh). Qin et al., arXiv:2210.10340, whose models have DiagAttention
/// (nn/attention/sparse.hpp) in the first half of the layers, and this in the second.
struct NormAttention : SummedAttention {
  NormAttention(int64_t width, int64_t heads, const NormAttentionOptions& options = {});
  FeatureMap features;
  COTANGENT_MEMBERS(in_proj_weight, in_proj_bias, out_proj, positions)

 protected:
  Tensor attend(const Tensor& q, const Tensor& k, const Tensor& v, const SequenceCall& call,
                StreamState* state) override;
  Tensor joined(const Tensor& y) const override { return unit_rms(y); }
};

}  // namespace cotangent::nn
