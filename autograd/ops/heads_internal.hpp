// Private: what the attention functions on (B, H, T, d) tensors have in common.
#pragma once
#include <limits>

#include <cotangent/autograd/ops/attention.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/precision_internal.hpp>

namespace cotangent {

/// A ShapeError unless q is (B, H, Tq, d), k (B, H, Tk, d) and v (B, H, Tk, n), with Tq = Tk where `one_length`; a
/// DTypeError unless they have one floating dtype.
void check_heads(const char* op, const Tensor& q, const Tensor& k, const Tensor& v, bool one_length);

/// The errors of scaled_dot_product_attention, which `op` shares.
void check_attention(const char* op, const Tensor& q, const Tensor& k, const Tensor& v,
                     const AttentionOptions& options);
/// Each key head (B, G, T, d) as often as query heads read it: (B, H, T, d).
Tensor repeat_heads(const Tensor& x, int64_t heads);

/// A key_mask (B, Tk), bool, as (B, 1, Tk, 1); undefined where it is. A ShapeError or DTypeError otherwise.
Tensor checked_key_mask(const char* op, const Tensor& key_mask, const Tensor& k);

/// A ValueError for a state where nothing is causal.
void check_past(const char* op, const void* state, bool causal);

/// A ValueError unless `size` is at least 1.
void check_positive(const char* op, const char* what, int64_t size);

/// x with zeros before and after along dimension `dim`.
Tensor zero_padded(const Tensor& x, int64_t dim, int64_t before, int64_t after);

inline Tensor transposed(const Tensor& x) { return transpose(x, -2, -1); }

/// The score of a key that may not be seen.
inline constexpr double kHidden = -std::numeric_limits<double>::infinity();
/// A largest score, to subtract from scores: 0 where all are hidden.
Tensor finite_top(const Tensor& top);
/// x / total for weights x and their sum, which is 0 where all are: then 0, with a gradient of 0.
Tensor divided_by_sum(const Tensor& x, const Tensor& total);
/// softmax over `dim`. Where all scores are hidden the weights are 0, and so is the gradient.
Tensor masked_softmax(const Tensor& scores, int64_t dim);
/// a b^T where `seen` (bool, broadcasts to the result; undefined for everything), and elsewhere `hidden`, whatever a
/// and b hold there. a (.., Tq, d), b (.., Tk, d), with the same leading dimensions.
Tensor seen_scores(const Tensor& a, const Tensor& b, const Tensor& seen, double hidden);
/// w x by the weights that are seen: a NaN in x does not reach those that may not see it, as 0 * NaN would. w (.., Tq,
/// Tk), x (.., Tk, d).
Tensor seen_product(const Tensor& w, const Tensor& x, const Tensor& seen);
/// Bool (1, 1, Tq, Tk): query i sees the keys j <= i + (Tk - Tq).
Tensor causal_mask(int64_t queries, int64_t keys);
/// Both of two masks that hide; an undefined one hides nothing.
Tensor both_seen(const Tensor& a, const Tensor& b);
/// What attention to no keys gives: zeros (B, H, Tq, n) for q (B, H, Tq, d) and v (B, H, 0, n).
Tensor no_values(const Tensor& q, const Tensor& v);

}  // namespace cotangent
