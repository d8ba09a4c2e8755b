#include <cotangent/nn/sequence/delta_net.hpp>

#include <algorithm>
#include <cmath>

#include <cotangent/autograd/ops/activation.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/norm.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/nn/init.hpp>
#include <cotangent/nn/sequence/steps_internal.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::nn {
namespace {

int64_t or_width(int64_t given, int64_t width) { return given == 0 ? width : given; }

/// A number for each head: (B, T, H) -> (B, H, T), 0 at the padding.
Tensor of_heads(const Tensor& x, const Tensor& key_mask) {
  const Tensor y = transpose(x, 1, 2);
  return key_mask.defined() ? masked_fill(y, !unsqueeze(key_mask, 1), 0) : y;
}

/// x / sqrt(|x|^2 + 1e-6) times `scale`, by the norm of root mean squares.
Tensor scaled_unit(const Tensor& x, double scale) {
  const int64_t n = x.size(-1);
  const double width = static_cast<double>(n);
  return rms_norm(x, {n}, full({n}, scale / std::sqrt(width), x.dtype()), 1e-6 / width);
}

}  // namespace

// ---- DeltaLayer ----

DeltaLayer::DeltaLayer(const char* name, int64_t width, int64_t count, const DeltaNetOptions& o)
    : SequenceLayer(width, true),
      q_proj(std::max<int64_t>(width, 1), checked_width(name, or_width(o.key_width, width), count),
             {.bias = false, .dtype = o.dtype}),
      k_proj(width, q_proj.weight.size(0), {.bias = false, .dtype = o.dtype}),
      v_proj(width, checked_width(name, or_width(o.value_width, width), count), {.bias = false, .dtype = o.dtype}),
      b_proj(width, count, {.bias = false, .dtype = o.dtype}),
      out_proj(v_proj.weight.size(0), width, {.bias = false, .dtype = o.dtype}),
      q_filter(q_proj.weight.size(0), o.filter, {.bias = false, .dtype = o.dtype}),
      k_filter(q_proj.weight.size(0), o.filter, {.bias = false, .dtype = o.dtype}),
      v_filter(v_proj.weight.size(0), o.filter, {.bias = false, .dtype = o.dtype}),
      norm(v_proj.weight.size(0) / count, {.eps = o.eps, .dtype = o.dtype}),
      heads(count),
      beta(o.beta) {
  if (!(beta >= 0 && beta <= 2)) fail<ValueError>("[{}] a beta of {}; it must be from 0 to 2", name, beta);
}

Tensor DeltaLayer::run(const Tensor& given, const SequenceCall& call, StreamState* state) {
  check_no_mask(call);
  const Tensor& mask = call.key_mask;
  const Tensor x = mask.defined() ? masked_fill(given, !unsqueeze(mask, 2), 0) : given;
  DeltaNetState* own = fields<DeltaNetState>(state);
  const auto filtered = [&](Linear& projection, CausalConv& filter, Tensor DeltaNetState::*last) {
    const Tensor y = silu(filter(projection(x), own ? &(own->*last) : nullptr));
    return transpose(unflatten(y, 2, {heads, y.size(2) / heads}), 1, 2);
  };
  const Tensor q = filtered(q_proj, q_filter, &DeltaNetState::q), k = filtered(k_proj, k_filter, &DeltaNetState::k),
               v = filtered(v_proj, v_filter, &DeltaNetState::v);
  const Tensor strength = of_heads(sigmoid(b_proj(x)), mask) * beta;
  const Tensor decay = log_decay(x);
  const DeltaSequence o =
      delta_rule(scaled_unit(q, 1 / std::sqrt(static_cast<double>(q.size(3)))), scaled_unit(k, 1), v, strength,
                 decay.defined() ? of_heads(decay, mask) : decay, own ? own->kv : Tensor());
  if (own) own->kv = o.state;
  return out_proj(gated(flatten(transpose(norm(o.output), 1, 2), 2), x));
}

std::string DeltaLayer::settings() const {
  const auto unless = [&](const char* name, int64_t value, int64_t usual) {
    return value == usual ? std::string() : fmt::format(", {} = {}", name, value);
  };
  return fmt::format("{}, {}{}{}{}{}", width(), heads, unless("key_width", q_proj.weight.size(0), width()),
                     unless("value_width", v_proj.weight.size(0), width()),
                     unless("filter", q_filter.weight.size(2), 4), beta == 1 ? "" : fmt::format(", beta = {}", beta));
}

DeltaNet::DeltaNet(int64_t width, int64_t count, const DeltaNetOptions& o) : DeltaLayer("DeltaNet", width, count, o) {}

// ---- GatedDeltaNet ----

GatedDeltaNet::GatedDeltaNet(int64_t width, int64_t count, const DeltaNetOptions& o)
    : DeltaLayer("GatedDeltaNet", width, count, o),
      a_proj(width, count, {.bias = false, .dtype = o.dtype}),
      g_proj(width, v_proj.weight.size(0), {.bias = false, .dtype = o.dtype}),
      a_log(log(init::uniform_(empty({count}, float64), 1, 16)).to(o.dtype)) {
  dt_bias = step_biases("GatedDeltaNet", count, 1e-3, 0.1, 0, o.dtype);
}

Tensor GatedDeltaNet::log_decay(const Tensor& x) { return -exp(a_log) * softplus(a_proj(x) + dt_bias); }

Tensor GatedDeltaNet::gated(const Tensor& y, const Tensor& x) { return silu(g_proj(x)) * y; }

}  // namespace cotangent::nn
