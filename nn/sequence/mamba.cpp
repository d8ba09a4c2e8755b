#include <cotangent/nn/sequence/mamba.hpp>

#include <cmath>

#include <cotangent/autograd/modes.hpp>
#include <cotangent/autograd/ops/activation.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/gated_linear_attention.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/norm.hpp>
#include <cotangent/autograd/ops/selective_scan.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/nn/init.hpp>
#include <cotangent/nn/sequence/steps_internal.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/precision_internal.hpp>
#include <cotangent/tensor/range.hpp>

namespace cotangent::nn {
namespace {

/// At least 1 of each.
int64_t checked(const char* name, std::initializer_list<int64_t> sizes) {
  for (int64_t size : sizes)
    if (size < 1) fail<ValueError>("[{}] a size of {}; each must be at least 1", name, size);
  return *sizes.begin();
}

Tensor hidden(const Tensor& x, const Tensor& key_mask) {
  return key_mask.defined() ? masked_fill(x, !unsqueeze(key_mask, 2), 0) : x;
}

}  // namespace

// ---- Mamba ----

Mamba::Mamba(int64_t width, const MambaOptions& o)
    : SequenceLayer(checked("Mamba", {width, o.states, o.expand, o.filter, o.layers}), true),
      in_proj(width, 2 * o.expand * width, {.bias = false, .dtype = o.dtype}),
      conv1d(o.expand * width, o.filter, {.dtype = o.dtype}),
      x_proj(o.expand * width, (o.step_rank == 0 ? (width + 15) / 16 : o.step_rank) + 2 * o.states,
             {.bias = false, .dtype = o.dtype}),
      dt_proj(x_proj.weight.size(0) - 2 * o.states, o.expand * width, {.dtype = o.dtype}),
      out_proj(o.expand * width, width, {.bias = false, .dtype = o.dtype}) {
  const int64_t inner = o.expand * width;
  const double bound = 1 / std::sqrt(static_cast<double>(dt_proj.weight.size(1)));
  init::uniform_(dt_proj.weight, -bound, bound);
  dt_proj.bias = step_biases("Mamba", inner, o.step_min, o.step_max, o.step_floor, o.dtype);
  A_log = expand(log(arange(1, o.states + 1, 1, float64)), {inner, o.states}).clone().to(o.dtype);
  D = ones({inner}, o.dtype);
  NoGrad guard;
  out_proj.weight.div_(std::sqrt(static_cast<double>(o.layers)));
}

Tensor Mamba::run(const Tensor& u, const SequenceCall& call, StreamState* state) {
  check_no_mask(call);
  MambaState* own = fields<MambaState>(state);
  const int64_t inner = D.size(0), states = A_log.size(1), rank = dt_proj.weight.size(1);
  const Tensors xz = split(in_proj(hidden(u, call.key_mask)), inner, 2);
  const Tensor x = silu(conv1d.forward(xz[0], own ? &own->conv : nullptr));
  const Tensors parts = split(x_proj(x), {rank, states, states}, 2);
  // in float32 where u is low: rounded steps would move the decays
  const auto scan = [&](const Tensor& in, const Tensor& steps, const Tensor& b, const Tensor& c, const Tensor& log_a,
                        const Tensor& skip) {
    const Tensor dt = hidden(softplus(steps), call.key_mask);  // a step of 0 leaves the state
    const SelectiveSequence y = selective_scan(in, dt, -exp(log_a), b, c, skip, own ? own->h : Tensor());
    if (own) own->h = y.state;
    return y.output;
  };
  const Tensor y = in_float32<cotangent::to>(scan, x, dt_proj(parts[0]), parts[1], parts[2], Tensor(A_log), Tensor(D));
  return out_proj(y * silu(xz[1]));
}

std::string Mamba::settings() const {
  const int64_t states = A_log.size(1), expand = D.size(0) / width(), filter = conv1d.weight.size(2);
  return fmt::format("{}{}{}{}", width(), states == 16 ? "" : fmt::format(", states = {}", states),
                     expand == 2 ? "" : fmt::format(", expand = {}", expand),
                     filter == 4 ? "" : fmt::format(", filter = {}", filter));
}

// ---- Mamba2 ----

Mamba2::Mamba2(int64_t width, const Mamba2Options& o)
    : SequenceLayer(checked("Mamba2", {width, o.states, o.expand, o.head_width, o.groups, o.filter}), true),
      in_proj(width, 2 * o.expand * width + 2 * o.groups * o.states + o.expand * width / o.head_width,
              {.bias = false, .dtype = o.dtype}),
      conv1d(o.expand * width + 2 * o.groups * o.states, o.filter, {.dtype = o.dtype}),
      norm(o.expand * width, {.eps = o.eps, .dtype = o.dtype}),
      out_proj(o.expand * width, width, {.bias = false, .dtype = o.dtype}),
      states(o.states),
      heads(o.expand * width / o.head_width),
      groups(o.groups) {
  if (heads * o.head_width != o.expand * width || heads % groups != 0)
    fail<ValueError>(
        "[Mamba2] heads of {} channels for an inner width of {}, in {} groups; the width of the heads must "
        "divide the inner width, and the groups must divide the heads",
        o.head_width, o.expand * width, groups);
  dt_bias = step_biases("Mamba2", heads, o.step_min, o.step_max, o.step_floor, o.dtype);
  A_log = log(uniform_(empty({heads}, float64), o.decay_min, o.decay_max)).to(o.dtype);
  D = ones({heads}, o.dtype);
}

Tensor Mamba2::run(const Tensor& u, const SequenceCall& call, StreamState* state) {
  check_no_mask(call);
  Mamba2State* own = fields<Mamba2State>(state);
  const int64_t inner = norm.weight.size(0), keys = groups * states;
  const Tensors parts = split(in_proj(hidden(u, call.key_mask)), {inner, inner + 2 * keys, heads}, 2);
  const Tensors xbc = split(silu(conv1d.forward(parts[1], own ? &own->conv : nullptr)), {inner, keys, keys}, 2);
  const auto in_heads = [](const Tensor& t, int64_t count) {
    return transpose(unflatten(t, 2, {count, t.size(2) / count}), 1, 2);
  };
  const auto by_head = [&](const Tensor& p) { return reshape(p, {heads, 1, 1}); };
  const auto scan = [&](const Tensor& in, const Tensor& b, const Tensor& c, const Tensor& steps, const Tensor& bias,
                        const Tensor& log_a, const Tensor& skip, const Tensor& gate, const Tensor& weight) {
    const Tensor x = in_heads(in, heads),
                 dt = in_heads(hidden(softplus(steps + bias), call.key_mask), heads);  // (B, H, T, 1)
    const GatedLinearSequence y = gated_linear_attention(in_heads(c, groups), in_heads(b, groups), x * dt,
                                                         dt * by_head(-exp(log_a)), own ? own->kv : Tensor());
    if (own) own->kv = y.state;
    const Tensor out = flatten(transpose(y.output + x * by_head(skip), 1, 2), 2) * silu(gate);
    if (groups == 1) return rms_norm(out, {inner}, weight, norm.eps);
    const Tensor each = unflatten(out, 2, {groups, inner / groups});
    return flatten(rms_norm(each, {inner / groups}, {}, norm.eps), 2) * weight;
  };
  return out_proj(in_float32<cotangent::to>(scan, xbc[0], xbc[1], xbc[2], parts[2], Tensor(dt_bias), Tensor(A_log),
                                            Tensor(D), parts[0], Tensor(norm.weight)));
}

std::string Mamba2::settings() const {
  return fmt::format("{}, states = {}, heads = {}{}", width(), states, heads,
                     groups == 1 ? "" : fmt::format(", groups = {}", groups));
}

}  // namespace cotangent::nn
