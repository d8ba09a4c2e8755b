#include <cotangent/nn/attention/low_rank.hpp>

#include <cmath>

#include <cotangent/autograd/ops/attention.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/heads_internal.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/nn/init.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::nn {
namespace {

bool refused(const char* name, bool causal) {
  if (causal)
    fail<ValueError>(
        "[{}] can't be causal: it mixes the whole sequence before it attends; SparseAttention and "
        "LinearAttention can",
        name);
  return false;
}

}  // namespace

// ---- Linformer ----

Linformer::Linformer(int64_t width, int64_t count, const LinformerOptions& o)
    : HeadedAttention("Linformer", width, count, {refused("Linformer", o.causal), o.bias, o.positions, o.dtype}) {
  check_positive("Linformer", "length", o.length);
  check_positive("Linformer", "rank", o.rank);
  const auto mixtures = [&] {
    const int64_t of_heads = o.sharing == LinformerSharing::none ? heads : 1;
    return init::normal_(empty({of_heads, o.rank, o.length}, o.dtype), 0, 1 / std::sqrt(static_cast<double>(o.length)));
  };
  key_projection = mixtures();
  if (o.sharing != LinformerSharing::key_value) value_projection = mixtures();
}

std::string Linformer::settings() const {
  return fmt::format("{}, length = {}, rank = {}", HeadedAttention::settings(), key_projection.size(2),
                     key_projection.size(1));
}

Tensor Linformer::attend(const Tensor& q, const Tensor& k, const Tensor& v, const SequenceCall& call, StreamState*) {
  const int64_t keys = k.size(2), most = key_projection.size(2);
  if (keys > most) fail<ValueError>("[Linformer] {} keys; its projections end at length = {}", keys, most);
  const Tensor seen = checked_key_mask("Linformer", call.key_mask, k);
  const auto mixed = [&](const Tensor& projection, const Tensor& x) {
    return matmul(narrow(projection, 2, 0, keys), seen.defined() ? where(seen, x, 0) : x);
  };
  return scaled_dot_product_attention(placed_query(q, 0), mixed(key_projection, placed_key(k, 0)),
                                      mixed(value_projection.defined() ? value_projection : key_projection, v));
}

// ---- NystromAttention ----

NystromAttention::NystromAttention(int64_t width, int64_t count, const NystromAttentionOptions& o)
    : HeadedAttention("NystromAttention", width, count,
                      {refused("NystromAttention", o.causal), o.bias, o.positions, o.dtype}),
      landmarks(o.landmarks),
      iterations(o.iterations) {
  check_positive("NystromAttention", "number of landmarks", landmarks);
  if (iterations < 0) fail<ValueError>("[NystromAttention] {} iterations; there must be 0 or more", iterations);
}

std::string NystromAttention::settings() const {
  return fmt::format("{}, landmarks = {}", HeadedAttention::settings(), landmarks);
}

Tensor NystromAttention::attend(const Tensor& q, const Tensor& k, const Tensor& v, const SequenceCall& call,
                                StreamState*) {
  return nystrom_attention(placed_query(q, 0), placed_key(k, 0), v,
                           {.landmarks = landmarks,
                            .iterations = iterations,
                            .query_mask = call.memory.defined() ? Tensor() : call.key_mask,
                            .key_mask = call.key_mask});
}

}  // namespace cotangent::nn
