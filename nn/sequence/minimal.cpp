#include <cotangent/nn/sequence/minimal.hpp>

#include <limits>

#include <cotangent/autograd/ops/activation.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/scan.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/nn/init.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::nn {
namespace {

int64_t checked_hidden(const char* name, int64_t width, int64_t hidden) {
  if (width < 1 || hidden < 1)
    fail<ValueError>("[{}] {} hidden units for a width of {}; both must be 1 at least", name, hidden, width);
  return hidden;
}

/// x + 1/2 above 0, sigmoid(x) below.
Tensor positive_part(const Tensor& x) {
  return relu(x) + sigmoid(clamp(x, -std::numeric_limits<double>::infinity(), 0));
}

}  // namespace

MinimalRecurrence::MinimalRecurrence(const char* name, int64_t gates, int64_t width, const MinimalOptions& o)
    : SequenceLayer(width, true),
      in_proj(width, (gates + 1) * checked_hidden(name, width, o.hidden == 0 ? width : o.hidden),
              {.bias = o.bias, .dtype = o.dtype}),
      hidden(o.hidden == 0 ? width : o.hidden),
      positive(o.positive) {
  if (hidden != width) out_proj_weight = Linear(hidden, width, {.bias = false, .dtype = o.dtype}).weight;
}

std::string MinimalRecurrence::settings() const {
  return fmt::format("{}{}{}", width(), hidden == width() ? "" : fmt::format(", hidden = {}", hidden),
                     positive ? "" : ", positive = false");
}

Tensor MinimalRecurrence::run(const Tensor& x, const SequenceCall& call, StreamState* state) {
  check_no_mask(call);
  const Tensor padding = call.key_mask.defined() ? unsqueeze(!call.key_mask, 2) : Tensor();
  const auto masked = [&](const Tensor& v, double value) {
    return padding.defined() ? masked_fill(v, padding, value) : v;
  };
  Tensors gates = chunk(in_proj(masked(x, 0)), in_proj.weight.size(0) / hidden, 2);
  const Tensor candidates = gates.back();
  gates.pop_back();
  const auto [kept, taken] = shares(gates);
  const Dtype wide = compute_dtype(x.dtype());
  MinimalState* own = fields<MinimalState>(state);
  const Tensor terms = masked(taken * (positive ? positive_part(candidates) : candidates), 0);
  const Tensor h = linear_scan(masked(kept, 1).to(wide), terms.to(wide), 1, own ? own->h : Tensor());
  if (own) own->h = select(h, 1, h.size(1) - 1);
  const Tensor y = h.to(x.dtype());
  return out_proj_weight.defined() ? linear(y, out_proj_weight) : y;
}

MinGRU::MinGRU(int64_t width, const MinimalOptions& options) : MinimalRecurrence("MinGRU", 1, width, options) {}

MinimalRecurrence::Shares MinGRU::shares(const Tensors& gates) const {
  return {sigmoid(neg(gates[0])), sigmoid(gates[0])};
}

MinLSTM::MinLSTM(int64_t width, const MinimalOptions& options) : MinimalRecurrence("MinLSTM", 2, width, options) {}

// f / (f + i) is the sigmoid of ln f - ln i, which is right where both gates vanish, too.
MinimalRecurrence::Shares MinLSTM::shares(const Tensors& gates) const {
  const Tensor ratio = log_sigmoid(gates[0]) - log_sigmoid(gates[1]);
  return {sigmoid(ratio), sigmoid(neg(ratio))};
}

}  // namespace cotangent::nn
