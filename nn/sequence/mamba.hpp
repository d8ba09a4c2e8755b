#pragma once
// State spaces whose steps, inputs and outputs depend on the token: Mamba, and Mamba-2, whose state is a matrix for
// each head. Both stream with a state that does not grow.
#include <cotangent/nn/linear.hpp>
#include <cotangent/nn/norm.hpp>
#include <cotangent/nn/sequence/sequence.hpp>
#include <cotangent/nn/sequence/shift.hpp>

namespace cotangent::nn {

struct MambaOptions {
  int64_t states = 16;    ///< N, of each channel
  int64_t expand = 2;     ///< the inner width is expand * d
  int64_t filter = 4;     ///< tokens that the convolution sees
  int64_t step_rank = 0;  ///< of the map that the steps come from: 0 stands for d / 16, rounded up
  double step_min = 1e-3, step_max = 0.1, step_floor = 1e-4;  ///< the steps at the start, for an input of 0
  int64_t layers = 1;  ///< of the model: out_proj starts smaller by the root of it
  Dtype dtype = default_dtype();
};

/// What Mamba remembers: the last inputs of its convolution (B, filter - 1, inner), and the state (B, inner, N).
struct MambaState {
  Tensor conv, h;
};

/// Mamba's layer, with a state space for each of the inner channels (selective_scan of
/// autograd/ops/selective_scan.hpp):
///
///     [x, z] = u in_proj;   x = silu(conv1d(x));   [dt, B, C] = x x_proj;   dt = softplus(dt dt_proj + b)
///     y = selective_scan(x, dt, -exp(A_log), B, C, D);   out = (y * silu(z)) out_proj
///
///   in_proj.weight (2 inner, d), conv1d (inner, 1, filter), x_proj.weight (rank + 2N, inner), dt_proj.weight (inner,
///   rank) and its bias, A_log (inner, N), D (inner), out_proj.weight (d, inner)
/// At the start A_log = ln(1..N) in each channel, D = 1, dt_proj.weight is uniform in +-rank^-1/2, and its bias is such
/// that the steps lie log-uniformly in [step_min, step_max]. A block is x + layer(RMSNorm(x)); A_log and D are meant to
/// have no weight decay. A key_mask leaves the state as it is at the padding, which the convolution sees as 0. State:
/// MambaState. A ValueError for a size below 1, and unless 0 < step_min <= step_max. Gu and Dao, arXiv:2312.00752.
struct Mamba : SequenceLayer {
  explicit Mamba(int64_t width, const MambaOptions& options = {});
  Linear in_proj;
  CausalConv conv1d;
  Linear x_proj, dt_proj;
  Parameter A_log, D;
  Linear out_proj;
  COTANGENT_MEMBERS(in_proj, conv1d, x_proj, dt_proj, A_log, D, out_proj)
  std::string settings() const override;

 protected:
  Tensor run(const Tensor& x, const SequenceCall& call, StreamState* state) override;
};

struct Mamba2Options {
  int64_t states = 128;     ///< N, the width of keys and queries
  int64_t expand = 2;       ///< the inner width is expand * d
  int64_t head_width = 64;  ///< P: there are H = inner / P heads
  int64_t groups = 1;       ///< G, which share B and C
  int64_t filter = 4;
  double decay_min = 1, decay_max = 16;  ///< -A at the start
  double step_min = 1e-3, step_max = 0.1, step_floor = 1e-4;
  double eps = 1e-5;  ///< of the norm
  Dtype dtype = default_dtype();
};

/// What Mamba-2 remembers: the last inputs of its convolution (B, filter - 1, inner + 2 G N), and the state (B, H, N,
/// P).
struct Mamba2State {
  Tensor conv, kv;
};

/// Mamba-2's layer: each head of P channels has one step and one decay, so that its state is a matrix, and the scan is
/// linear attention with queries C, keys B and values dt x (gated_linear_attention).
///
///     [z, xBC, dt] = u in_proj;   [x, B, C] = silu(conv1d(xBC));   dt = softplus(dt + dt_bias)
///     S_t = exp(-exp(A_log) dt_t) S_{t-1} + B_t (dt_t x_t)^T;   y_t = S_t^T C_t + D x_t
///     out = norm(y * silu(z)) out_proj, where norm is the root mean square norm of each group
///
///   in_proj.weight (2 inner + 2 G N + H, d), conv1d (inner + 2 G N, 1, filter), dt_bias, A_log and D (H), norm.weight
///   (inner), out_proj.weight (d, inner)
/// At the start -A is uniform in [decay_min, decay_max], D = 1, and dt_bias as the bias of Mamba's steps. A key_mask as
/// there. State: Mamba2State. A ValueError unless P divides the inner width and G the heads, or for a size below 1 or
/// steps that are not above 0. Dao and Gu, arXiv:2405.21060.
struct Mamba2 : SequenceLayer {
  explicit Mamba2(int64_t width, const Mamba2Options& options = {});
  Linear in_proj;
  CausalConv conv1d;
  Parameter dt_bias, A_log, D;
  RMSNorm norm;
  Linear out_proj;
  int64_t states, heads, groups;
  COTANGENT_MEMBERS(in_proj, conv1d, dt_bias, A_log, D, norm, out_proj)
  std::string settings() const override;

 protected:
  Tensor run(const Tensor& x, const SequenceCall& call, StreamState* state) override;
};

}  // namespace cotangent::nn
