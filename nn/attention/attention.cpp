#include <cotangent/nn/attention/attention.hpp>

#include <limits>

#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::nn {

Tensor combine_masks(const Tensor& a, const Tensor& b) {
  if (!a.defined()) return b;
  if (!b.defined()) return a;
  const bool seen_a = a.dtype() == boolean, seen_b = b.dtype() == boolean;
  const double hidden = -std::numeric_limits<double>::infinity();
  if (seen_a && seen_b) return a && b;
  if (seen_a) return where(a, b, hidden);
  if (seen_b) return where(b, a, hidden);
  return a + b;
}

Tensor causal_mask(int64_t queries, int64_t keys) { return unsqueeze(arange(keys - queries, keys), 1) >= arange(keys); }

Tensor segment_mask(const Tensor& segments) {
  if (segments.rank() != 2)
    fail<ShapeError>("[segment_mask] segments of shape {}; they must be (B, T)", segments.shape());
  return unsqueeze(unsqueeze(segments, 2) == unsqueeze(segments, 1), 1);
}

}  // namespace cotangent::nn
