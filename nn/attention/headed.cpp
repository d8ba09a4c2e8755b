#include <cotangent/nn/attention/headed.hpp>

#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/nn/init.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::nn {
namespace {

int64_t checked_heads(const char* name, int64_t width, int64_t heads) {
  if (width < 1 || heads < 1 || width % heads != 0)
    fail<ValueError>("[{}] {} heads for a width of {}; the heads must divide the width", name, heads, width);
  return heads;
}

}  // namespace

HeadedAttention::HeadedAttention(const char* name, int64_t width, int64_t count, bool causal, bool bias,
                                 const AnyPosition& encoding, Dtype dtype)
    : Attention(width, causal),
      out_proj(std::max<int64_t>(width, 1), std::max<int64_t>(width, 1), {.bias = bias, .dtype = dtype}),
      positions(encoding),
      heads(checked_heads(name, width, count)) {
  in_proj_weight = init::xavier_uniform_(empty({3 * width, width}, dtype));
  if (bias) {
    in_proj_bias = zeros({3 * width}, dtype);
    init::zeros_(out_proj.bias);
  }
  if (adds_to_scores(positions, heads, dtype))
    fail<ValueError>(
        "[{}] takes no positions that add to scores; rotary or other positions of queries and keys will do", name);
}

std::string HeadedAttention::settings() const {
  return fmt::format("{}, {}{}", width(), heads, causal() ? ", causal = true" : "");
}

Tensor HeadedAttention::run(const Tensor& x, const Tensor& memory, const HeadsCall& call) {
  const auto project = [&](const Tensor& from, int64_t first, int64_t count) {
    const auto rows = [&](const Tensor& p) { return p.defined() ? narrow(p, 0, first * width(), count * width()) : p; };
    const Tensor y = linear(from, rows(in_proj_weight), rows(in_proj_bias));
    return transpose(unflatten(y, 2, {count * heads, head_width()}), 1, 2);
  };
  Tensors parts;
  if (memory.defined()) {
    parts = split(project(memory, 1, 2), heads, 1);
    parts.insert(parts.begin(), project(x, 0, 1));
  } else {
    parts = split(project(x, 0, 3), heads, 1);
  }
  const Tensor y = attend(parts[0], parts[1], parts[2], call);
  return out_proj(joined(flatten(transpose(y, 1, 2), 2)));
}

Tensor HeadedAttention::parallel(const Tensor& x, const SequenceCall& call) {
  if (call.mask.defined())
    fail<ValueError>("[{}] takes no mask, since it forms no matrix of scores; a key_mask hides keys", type_name());
  return run(x, call.memory, {.key_mask = call.key_mask});
}
Tensor HeadedAttention::advance(const Tensor& x, StreamState& state, const Tensor& key_mask) {
  return run(x, {}, {.start = state.length, .key_mask = key_mask, .state = &state.tensors});
}

Tensor unit_rms(const Tensor& x) { return x * rsqrt(clamp(mean(square(x), -1, true), 1e-30)); }

}  // namespace cotangent::nn
