#include <cotangent/nn/attention/linear.hpp>

#include <cmath>
#include <limits>

#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::nn {
namespace {

int64_t features_of(FeatureMap map, int64_t width) { return map == FeatureMap::direction ? width + 1 : width; }

/// The sums of nothing, for `features` features of heads of `width`.
StreamState no_sums(int64_t batch, int64_t heads, int64_t features, int64_t width, Dtype dtype) {
  return {.tensors = {zeros({batch, heads, features, width}, dtype), zeros({batch, heads, features}, dtype)}};
}
LinearAttentionState sums_in(const Tensors* state) {
  return state ? LinearAttentionState{(*state)[0], (*state)[1]} : LinearAttentionState{};
}

/// linear_attention or the like by f(state), from and to the tensors of a stream where there is one.
template <class F>
Tensor with_sums(Tensors* tensors, F f) {
  if (!tensors) return f(nullptr);
  LinearAttentionState state = sums_in(tensors);
  const Tensor y = f(&state);
  *tensors = {state.kv, state.k};
  return y;
}

}  // namespace

Tensor SummedAttention::chunked(const Tensor& x, const SequenceCall& call) {
  return run(x, {}, {.form = LinearForm::chunked, .chunk = call.chunk, .key_mask = call.key_mask});
}
Tensor SummedAttention::recurrent(const Tensor& x, const SequenceCall& call) {
  return run(x, {}, {.form = LinearForm::recurrent, .key_mask = call.key_mask});
}

// ---- LinearAttention ----

LinearAttention::LinearAttention(int64_t width, int64_t count, const LinearAttentionOptions& o)
    : SummedAttention("LinearAttention", width, count, o.causal, o.bias, o.positions, o.dtype),
      features(o.features),
      cosine_length(o.cosine_length),
      eps(o.eps) {
  if (cosine_length < 0)
    fail<ValueError>("[LinearAttention] a cosine_length of {}; it must be the largest length, or 0 for other features",
                     cosine_length);
}

Tensor LinearAttention::attend(const Tensor& q, const Tensor& k, const Tensor& v, const HeadsCall& call) {
  const auto map = [&](const Tensor& x) {
    return cosine_length > 0 ? cosformer_features(x, cosine_length, call.start) : feature_map(x, features);
  };
  const Tensor fq = map(q), fk = map(k);
  cotangent::LinearAttentionOptions o{
      .causal = causal(), .eps = eps, .form = call.form, .chunk = call.chunk, .key_padding = call.key_mask};
  if (positions) o.rotated_q = placed_query(fq, call.start), o.rotated_k = placed_key(fk, call.start);
  return with_sums(call.state, [&](LinearAttentionState* state) { return linear_attention(fq, fk, v, o, state); });
}

StreamState LinearAttention::begin(int64_t batch) {
  const int64_t m = cosine_length > 0 ? 2 * head_width() : features_of(features, head_width());
  return no_sums(batch, heads, m, head_width(), in_proj_weight.dtype());
}

// ---- EfficientAttention ----

EfficientAttention::EfficientAttention(int64_t width, int64_t count, const EfficientAttentionOptions& o)
    : SummedAttention("EfficientAttention", width, count, o.causal, o.bias, o.positions, o.dtype) {}

Tensor EfficientAttention::attend(const Tensor& q, const Tensor& k, const Tensor& v, const HeadsCall& call) {
  cotangent::EfficientAttentionOptions o{.causal = causal(), .form = call.form, .key_padding = call.key_mask};
  if (call.form == LinearForm::chunked) o.chunk = call.chunk;
  const Tensor qs = placed_query(q, call.start), ks = placed_key(k, call.start);
  if (!call.state) return efficient_attention(qs, ks, v, o);
  Tensors& kept = *call.state;
  EfficientAttentionState state{kept[0], kept[1], kept[2]};
  const Tensor y = efficient_attention(qs, ks, v, o, &state);
  kept = {state.kv, state.k, state.max};
  return y;
}

StreamState EfficientAttention::begin(int64_t batch) {
  const Dtype dtype = in_proj_weight.dtype();
  StreamState state = no_sums(batch, heads, head_width(), head_width(), dtype);
  state.tensors.push_back(full({batch, heads, head_width()}, -std::numeric_limits<double>::infinity(), dtype));
  return state;
}

// ---- Performer ----

Performer::Performer(int64_t width, int64_t count, const PerformerOptions& o)
    : SummedAttention("Performer", width, count, o.causal, o.bias, o.positions, o.dtype),
      kernel(o.kernel),
      orthogonal(o.orthogonal),
      redraw_every(o.redraw_every) {
  if (o.features < 0 || redraw_every < 0)
    fail<ValueError>("[Performer] {} features, drawn anew every {} calls; neither can be negative", o.features,
                     redraw_every);
  const double dh = static_cast<double>(head_width());
  const int64_t m = o.features > 0 ? o.features : std::max<int64_t>(std::llround(dh * std::log(dh)), 1);
  projection = random_projection(m, head_width(), orthogonal, o.dtype);
  calls = zeros({}, int64);
}

void Performer::redraw(Generator& generator) {
  projection = random_projection(projection.size(0), head_width(), orthogonal, projection.dtype(), generator);
  calls = zeros({}, int64);
}

Tensor Performer::attend(const Tensor& q, const Tensor& k, const Tensor& v, const HeadsCall& call) {
  if (is_training() && !call.state && redraw_every > 0) {
    if (calls.item<int64_t>() >= redraw_every) redraw();
    calls.add_(1);
  }
  const FavorOptions o{
      .kernel = kernel, .causal = causal(), .form = call.form, .chunk = call.chunk, .key_padding = call.key_mask};
  return with_sums(call.state, [&](LinearAttentionState* state) {
    return favor_attention(placed_query(q, call.start), placed_key(k, call.start), v, projection, o, state);
  });
}

StreamState Performer::begin(int64_t batch) {
  const int64_t m = projection.size(0) * (kernel == FavorKernel::hyperbolic ? 2 : 1);
  return no_sums(batch, heads, m, head_width(), in_proj_weight.dtype());
}

// ---- NormAttention ----

NormAttention::NormAttention(int64_t width, int64_t count, const NormAttentionOptions& o)
    : SummedAttention("NormAttention", width, count, o.causal, o.bias, o.positions, o.dtype), features(o.features) {}

Tensor NormAttention::attend(const Tensor& q, const Tensor& k, const Tensor& v, const HeadsCall& call) {
  const Tensor fq = placed_query(feature_map(q, features), call.start),
               fk = placed_key(feature_map(k, features), call.start);
  const cotangent::LinearAttentionOptions o{
      .causal = causal(), .normalize = false, .form = call.form, .chunk = call.chunk, .key_padding = call.key_mask};
  return with_sums(call.state, [&](LinearAttentionState* state) { return linear_attention(fq, fk, v, o, state); });
}

StreamState NormAttention::begin(int64_t batch) {
  return no_sums(batch, heads, features_of(features, head_width()), head_width(), in_proj_weight.dtype());
}

}  // namespace cotangent::nn
