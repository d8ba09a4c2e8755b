#include <cotangent/nn/attention/attention.hpp>

#include <algorithm>
#include <limits>

#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/index.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::nn {

Attention::Attention(int64_t width, bool causal, const AnyPosition& encoding)
    : SequenceLayer(width, causal), positions(encoding) {}

StreamState Attention::start_cross(const Tensor& memory, const Tensor& key_mask) {
  return detail::within(*this, [&] {
    check_not_causal();
    check_input(memory);
    check_key_mask(key_mask, memory);
    return StreamState{.batch = memory.size(0), .cross = true, .own = begin_cross(memory, key_mask)};
  });
}

LayerState Attention::begin_cross(const Tensor&, const Tensor&) {
  fail<ValueError>("[{}] can't attend to a memory step by step", type_name());
}

void KeyValueCache::append(const Tensor& next_keys, const Tensor& next_values, const Tensor& next_mask) {
  const auto after = [](const Tensor& before, const Tensor& x, int64_t dim) {
    return before.defined() ? cat({before, x}, dim) : x;
  };
  if (key_mask.defined() || next_mask.defined()) {
    const auto or_all = [](const Tensor& mask, const Tensor& k) {
      return mask.defined() || !k.defined() ? mask : ones({k.size(0), k.size(2)}, boolean);
    };
    key_mask = after(or_all(key_mask, keys), or_all(next_mask, next_keys), 1);
  }
  keys = after(keys, next_keys, 2);
  values = after(values, next_values, 2);
}

void KeyValueCache::keep(const Tensor& places) {
  if (!keys.defined()) return;
  // Most tokens stay where they are: those up to the first that moves are taken as they lie.
  const int64_t count = places.size(1);
  const auto place = places.to_vector<int64_t>();
  int64_t same = count;
  for (size_t i = 0; i < place.size(); ++i)
    if (const int64_t column = static_cast<int64_t>(i) % count; place[i] != column) same = std::min(same, column);
  const Tensor moved = narrow(places, 1, same, count - same);
  const auto kept = [&](const Tensor& x, const Tensor& index, int64_t dim) {
    const Tensor start = narrow(x, dim, 0, same);
    if (same == count) return start;
    if (x.size(0) == 1) return index_select(x, dim, select(places, 0, 0));  // whole rows at once
    return cat({start, take_along_dim(x, index, dim)}, dim);
  };
  const Tensor index = unsqueeze(unsqueeze(moved, 1), 3);
  keys = kept(keys, index, 2);
  values = kept(values, index, 2);
  if (key_mask.defined()) key_mask = kept(key_mask, moved, 1);
}

// ---- masks ----

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

Tensor score_mask(const Tensor& key_mask) {
  return key_mask.defined() ? unsqueeze(unsqueeze(key_mask, 1), 1) : key_mask;
}

Tensor causal_mask(int64_t queries, int64_t keys) { return unsqueeze(arange(keys - queries, keys), 1) >= arange(keys); }

Tensor segment_mask(const Tensor& segments) {
  if (segments.rank() != 2)
    fail<ShapeError>("[segment_mask] segments of shape {}; they must be (B, T)", segments.shape());
  return unsqueeze(unsqueeze(segments, 2) == unsqueeze(segments, 1), 1);
}

}  // namespace cotangent::nn
