#pragma once
// Attention whose weights are inner products of features, phi(q_i) . phi(k_j): the sum over the keys can be formed
// first, so that time and memory grow with the length T instead of its square. q, k and v are (B, H, T, d) with d
// features. docs/linear_attention.md compares the forms.
#include <cotangent/tensor/tensor.hpp>

namespace cotangent {

/// Features that are computed element by element, and `direction`.
enum class FeatureMap : uint8_t {
  elu_plus_one,  ///< e^x below 0, x + 1 above (Katharopoulos et al., arXiv:2006.16236)
  elu,           ///< e^x - 1 below 0, x above: weights of either sign
  exp,           ///< e^x
  relu,          ///< max(x, 0)
  squared_relu,  ///< max(x, 0)^2
  identity,      ///< x: weights of either sign
  direction      ///< [1, x/|x|], whose weights 1 + cos(q, k) are softmax's to first order; [1, 0] at 0
};
/// phi(x).   x (.., d) -> (.., d), for `direction` (.., d + 1);   gradients as of the functions; 0 at 0 for `direction`
Tensor feature_map(const Tensor& x, FeatureMap map);

/// The features of cosFormer, relu(x) times [cos a, sin a] with a = pi/2 (offset + t) / length at place t: a weight is
/// relu(q_i) . relu(k_j) cos(pi/2 (i - j) / length), which falls with the distance.
///   x (.., T, d) -> (.., T, 2d). A ValueError if offset + T exceeds length, since weights would turn negative.
///   Qin et al., arXiv:2202.08791.
Tensor cosformer_features(const Tensor& x, int64_t length, int64_t offset = 0);

/// The sums behind causal linear attention, in time linear in T, with one (m, n) matrix of live memory a head.
///
///     y_i = S^T q_i + sum over j <= i (for reverse: j >= i) of (q_i . k_j) v_j
///
///   q and k (B, H, T, m), v (B, H, T, n) -> (B, H, T, n);   the state S (B, H, m, n) is undefined for 0
/// With y = L(q, k, v; S):   dq = L(dy, v, k; S^T),   dk = L'(v, dy, q),   dv = L'(k, q, dy),   dS = q^T dy, where L'
/// goes the other way: so derivatives of any order are linear in T, too. `chunk` positions are done at a time; it
/// changes nothing but speed and rounding. A ShapeError when the shapes do not fit, a ValueError for a chunk below 1.
Tensor causal_product(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& state = {}, bool reverse = false,
                      int64_t chunk = 64);

/// How the same numbers are computed.
enum class LinearForm : uint8_t {
  automatic,  ///< chunked if causal; else the order of the two products that costs less
  parallel,   ///< the T x T matrix of weights
  chunked,    ///< linear in T: through causal_product, or, not causal, the sum over the keys first
  recurrent   ///< one position after another; causal only
};

/// What causal linear attention knows of the past: the sums over j of phi(k_j) v_j^T (B, H, m, n), and of phi(k_j)
/// (B, H, m). Undefined before the first position.
struct LinearAttentionState {
  Tensor kv, k;
};

struct LinearAttentionOptions {
  bool causal = false;
  bool normalize = true;  ///< divide by the sum of the weights
  double eps = 1e-6;      ///< added to that sum
  LinearForm form = LinearForm::automatic;
  int64_t chunk = 64;    ///< positions done at a time in the chunked form
  Tensor key_mask = {};  ///< bool (B, T), true: may be seen; false for padding: its features count as 0
  Tensor rotated_q = {},
         rotated_k = {};  ///< features for the numerator alone: RoPE would make the sum of weights vanish
};

/// o_i = sum_j w_ij v_j / (eps + sum_j w_ij) with w_ij = q_i . k_j, over all j or those j <= i. q and k are features.
///   q (B, H, Tq, m), k (B, H, Tk, m), v (B, H, Tk, n) -> (B, H, Tq, n), where causal asks for Tq = Tk
/// With a state (causal only) the sums go on from it and are left in it: a sequence may come in parts of any length.
/// Errors: a ValueError for the recurrent form or a state that is not causal, a chunk below 1; shapes and dtypes.
/// Katharopoulos et al., "Transformers are RNNs" (arXiv:2006.16236).
Tensor linear_attention(const Tensor& q, const Tensor& k, const Tensor& v, const LinearAttentionOptions& options = {},
                        LinearAttentionState* state = nullptr);

/// The past of efficient_attention: for each feature f the largest k_jf (B, H, m), and the sums of e^(k_jf - max) v_j
/// (B, H, m, n) and of e^(k_jf - max) (B, H, m).
struct EfficientAttentionState {
  Tensor kv, k, max;
};

struct EfficientAttentionOptions {
  bool causal = false;
  LinearForm form = LinearForm::automatic;
  int64_t chunk = 16;    ///< of the causal chunked form, which takes memory for T * chunk * m numbers
  Tensor key_mask = {};  ///< bool (B, T), true: may be seen; false for padding
};

/// Efficient Attention: softmax over the features of q, and over the sequence of k. Weights of a row sum to 1.
///
///     o_i = sum_f softmax(q_i)_f * sum_j e^(k_jf) v_j / sum_j e^(k_jf),   over all j, or those j <= i
///
///   q (B, H, Tq, m), k (B, H, Tk, m), v (B, H, Tk, n) -> (B, H, Tq, n)
/// The causal way shifts by running maxima, since the maximum of the whole sequence would look ahead. A row that sees
/// padding alone gives 0. Errors as of linear_attention. Shen et al., arXiv:1812.01243.
Tensor efficient_attention(const Tensor& q, const Tensor& k, const Tensor& v,
                           const EfficientAttentionOptions& options = {}, EfficientAttentionState* state = nullptr);

}  // namespace cotangent
