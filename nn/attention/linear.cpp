#include <cotangent/nn/attention/linear.hpp>

#include <cmath>

#include <cotangent/autograd/modes.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/range.hpp>

namespace cotangent::nn {
namespace {

LinearForm form_of(const SequenceCall& call) {
  switch (call.form) {
    case SequenceForm::parallel: return LinearForm::automatic;
    case SequenceForm::chunked: return LinearForm::chunked;
    case SequenceForm::recurrent: break;
  }
  return LinearForm::recurrent;
}

}  // namespace

// ---- LinearAttention ----

LinearAttention::LinearAttention(int64_t width, int64_t count, const LinearAttentionOptions& o)
    : SummedAttention("LinearAttention", width, count, {o.causal, o.bias, o.positions, o.dtype}),
      features(o.features),
      cosine_length(o.cosine_length),
      eps(o.eps) {
  cotangent::detail::check_not_negative("LinearAttention", "eps", eps);
  if (cosine_length < 0)
    fail<ValueError>("[LinearAttention] a cosine_length of {}; it must be the largest length, or 0 for other features",
                     cosine_length);
}

Tensor LinearAttention::attend(const Tensor& q, const Tensor& k, const Tensor& v, const SequenceCall& call,
                               StreamState* state) {
  const auto map = [&](const Tensor& x) {
    return cosine_length > 0 ? cosformer_features(x, cosine_length, first(state)) : feature_map(x, features);
  };
  const Tensor fq = map(q), fk = map(k);
  cotangent::LinearAttentionOptions o{
      .causal = causal(), .eps = eps, .form = form_of(call), .chunk = call.chunk, .key_mask = call.key_mask};
  if (positions) o.rotated_q = placed_query(fq, first(state)), o.rotated_k = placed_key(fk, first(state));
  return linear_attention(fq, fk, v, o, fields<LinearAttentionState>(state));
}

// ---- EfficientAttention ----

EfficientAttention::EfficientAttention(int64_t width, int64_t count, const EfficientAttentionOptions& o)
    : SummedAttention("EfficientAttention", width, count, {o.causal, o.bias, o.positions, o.dtype}) {}

Tensor EfficientAttention::attend(const Tensor& q, const Tensor& k, const Tensor& v, const SequenceCall& call,
                                  StreamState* state) {
  cotangent::EfficientAttentionOptions o{.causal = causal(), .form = form_of(call), .key_mask = call.key_mask};
  if (call.form == SequenceForm::chunked) o.chunk = call.chunk;
  const Tensor qs = placed_query(q, first(state)), ks = placed_key(k, first(state));
  return efficient_attention(qs, ks, v, o, fields<EfficientAttentionState>(state));
}

// ---- Performer ----

Performer::Performer(int64_t width, int64_t count, const PerformerOptions& o)
    : SummedAttention("Performer", width, count, {o.causal, o.bias, o.positions, o.dtype}),
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

Tensor Performer::attend(const Tensor& q, const Tensor& k, const Tensor& v, const SequenceCall& call,
                         StreamState* state) {
  if (is_training() && !state && redraw_every > 0 && !recomputing()) {
    if (calls.item<int64_t>() >= redraw_every) redraw();
    calls.add_(1);
  }
  const FavorOptions o{
      .kernel = kernel, .causal = causal(), .form = form_of(call), .chunk = call.chunk, .key_mask = call.key_mask};
  return favor_attention(placed_query(q, first(state)), placed_key(k, first(state)), v, projection, o,
                         fields<LinearAttentionState>(state));
}

// ---- NormAttention ----

NormAttention::NormAttention(int64_t width, int64_t count, const NormAttentionOptions& o)
    : SummedAttention("NormAttention", width, count, {o.causal, o.bias, o.positions, o.dtype}), features(o.features) {}

Tensor NormAttention::attend(const Tensor& q, const Tensor& k, const Tensor& v, const SequenceCall& call,
                             StreamState* state) {
  const Tensor fq = placed_query(feature_map(q, features), first(state)),
               fk = placed_key(feature_map(k, features), first(state));
  const cotangent::LinearAttentionOptions o{
      .causal = causal(), .normalize = false, .form = form_of(call), .chunk = call.chunk, .key_mask = call.key_mask};
  return linear_attention(fq, fk, v, o, fields<LinearAttentionState>(state));
}

}  // namespace cotangent::nn
