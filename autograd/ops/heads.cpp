#include <cotangent/autograd/autocast_internal.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/heads_internal.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/autograd/record.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/seen_product.hpp>

namespace cotangent {

// ---- checks ----

void check_heads(const char* op, const Tensor& q, const Tensor& k, const Tensor& v, bool one_length) {
  if (q.rank() != 4 || k.rank() != 4 || v.rank() != 4)
    fail<ShapeError>("[{}] q, k and v of shapes {}, {} and {} must be (B, H, T, d)", op, q.shape(), k.shape(),
                     v.shape());
  if (q.shape().slice(0, 2) != k.shape().slice(0, 2) || k.shape().slice(0, 3) != v.shape().slice(0, 3) ||
      q.size(3) != k.size(3))
    fail<ShapeError>(
        "[{}] q {}, k {} and v {} do not fit together; they must be (B, H, Tq, d), (B, H, Tk, d) and (B, H, Tk, n)", op,
        q.shape(), k.shape(), v.shape());
  if (one_length && q.size(2) != k.size(2))
    fail<ShapeError>("[{}] {} queries and {} keys; a causal form needs one key for each query", op, q.size(2),
                     k.size(2));
  if (q.dtype() != k.dtype() || q.dtype() != v.dtype() || !q.is_floating())
    fail<DTypeError>("[{}] q, k and v are {}, {} and {}; they must have one floating dtype", op, q.dtype(), k.dtype(),
                     v.dtype());
}

Tensor checked_key_mask(const char* op, const Tensor& key_mask, const Tensor& k) {
  if (!key_mask.defined()) return key_mask;
  if (key_mask.dtype() != boolean)
    fail<DTypeError>("[{}] the key_mask is {}; it must be bool, with false for padding", op, key_mask.dtype());
  if (key_mask.shape() != Shape{k.size(0), k.size(2)})
    fail<ShapeError>("[{}] the key_mask is {}; for keys {} it must be ({}, {})", op, key_mask.shape(), k.shape(),
                     k.size(0), k.size(2));
  return reshape(key_mask, {k.size(0), 1, k.size(2), 1});
}

void check_positive(const char* op, const char* what, int64_t size) {
  if (size < 1) fail<ValueError>("[{}] a {} of {}; it must be at least 1", op, what, size);
}

Tensor zero_padded(const Tensor& x, int64_t dim, int64_t before, int64_t after) {
  Shape shape = x.shape();
  Tensors parts;
  if (before > 0) shape[static_cast<int>(dim)] = before, parts.push_back(zeros(shape, x.dtype()));
  parts.push_back(x);
  if (after > 0) shape[static_cast<int>(dim)] = after, parts.push_back(zeros(shape, x.dtype()));
  return parts.size() == 1 ? x : cat(parts, dim);
}

void check_past(const char* op, const void* state, bool causal) {
  if (state && !causal)
    fail<ValueError>("[{}] a state carries what came before; without causal = true the whole sequence is needed", op);
}

// ---- weights ----

Tensor finite_top(const Tensor& top) { return where(top == kHidden, 0, top); }
Tensor divided_by_sum(const Tensor& x, const Tensor& total) { return x / where(total.detach() == 0, 1, total); }

Tensor masked_softmax(const Tensor& scores, int64_t dim) {
  if (scores.size(dim) == 0) return scores;
  const Tensor e = exp(scores - finite_top(amax(scores.detach(), dim, true)));
  return divided_by_sum(e, sum(e, dim, true));
}

Tensor seen_scores(const Tensor& a, const Tensor& b, const Tensor& seen, double hidden) {
  COTANGENT_AUTOCAST(seen_scores, a, b, seen, hidden);
  if (!seen.defined()) return matmul(a, transposed(b));
  if (is_low_precision(a.dtype())) return in_float32<to>(seen_scores, a, b, seen, hidden);
  return record("seen_scores", {a, b, seen}, raw::seen_scores(a, b, seen, hidden), Keep::inputs(3), NoAttributes{},
                [](const Backward& r, NoAttributes) -> Gradients {
                  const Tensor& s = r.input(2);
                  return {r.needs(0) ? seen_product(r.grad(), r.input(1), s) : Tensor(),
                          r.needs(1) ? seen_product(transposed(r.grad()), r.input(0), transposed(s)) : Tensor()};
                });
}

Tensor seen_product(const Tensor& w, const Tensor& x, const Tensor& seen) {
  COTANGENT_AUTOCAST(seen_product, w, x, seen);
  if (!seen.defined()) return matmul(w, x);
  if (is_low_precision(w.dtype())) return in_float32<to>(seen_product, w, x, seen);
  return record("seen_product", {w, x, seen}, raw::seen_product(w, x, seen), Keep::inputs(3), NoAttributes{},
                [](const Backward& r, NoAttributes) -> Gradients {
                  const Tensor& s = r.input(2);
                  return {r.needs(0) ? seen_scores(r.grad(), r.input(1), s, 0) : Tensor(),
                          r.needs(1) ? seen_product(transposed(r.input(0)), r.grad(), transposed(s)) : Tensor()};
                });
}

Tensor causal_mask(int64_t queries, int64_t keys) {
  return reshape(arange(keys), {1, 1, 1, keys}) <= reshape(arange(queries), {1, 1, queries, 1}) + (keys - queries);
}

Tensor both_seen(const Tensor& a, const Tensor& b) { return a.defined() && b.defined() ? a && b : a.defined() ? a : b; }

Tensor no_values(const Tensor& q, const Tensor& v) {
  return matmul(q, zeros({q.size(0), q.size(1), q.size(3), v.size(3)}, q.dtype()));
}

}  // namespace cotangent
