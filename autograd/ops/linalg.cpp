#include <cotangent/autograd/ops/linalg.hpp>

#include <cstring>

#include <cotangent/autograd/autocast_internal.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/autograd/record.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/matmul.hpp>

namespace cotangent {
namespace {

const Tensor none;

bool records(const Tensor& x) {
  const TensorRef ref(x);
  return detail::should_record(&ref, 1);
}

/// Of two factors, each is read by the gradient of the other alone.
ChosenKeep keep_factors(const Tensor& a, Keep keep_a, const Tensor& b, Keep keep_b) {
  return (records(b) ? keep_a : Keep::nothing()) | (records(a) ? keep_b : Keep::nothing());
}

Tensor transposed(const Tensor& x) { return transpose(x, -2, -1); }

/// Which leading dimensions an operand of `shape` is repeated along in a batch like `full`'s, as a mask over `full`.
uint32_t repeated_dims(const Shape& shape, const Shape& full) {
  const int skip = full.rank() - shape.rank();
  uint32_t mask = 0;
  for (int d = 0; d < full.rank() - 2; ++d)
    if (full[d] != 1 && (d < skip || shape[d - skip] == 1)) mask |= 1u << d;
  return mask;
}

/// x (..., r, c) with the dimensions of `mask` merged into r, or into c: so that a product sums over them too.
/// Dimensions count from those of a tensor of `rank`.
Tensor merge_batch(const Tensor& x, int rank, uint32_t mask, bool into_rows) {
  Shape shape = x.shape();
  while (shape.rank() < rank) shape.insert(0, 1);
  Dims order;
  Shape merged;
  int64_t count = 1;
  for (int d = 0; d < rank - 2; ++d)
    if (!(mask >> d & 1u))
      order.push_back(d), merged.push_back(shape[d]);
    else
      count *= shape[d];
  auto add_merged = [&] {
    for (int d = 0; d < rank - 2; ++d)
      if (mask >> d & 1u) order.push_back(d);
  };
  if (into_rows) add_merged();
  order.push_back(rank - 2);
  if (!into_rows) add_merged();
  order.push_back(rank - 1);
  merged.push_back(shape[rank - 2] * (into_rows ? count : 1));
  merged.push_back(shape[rank - 1] * (into_rows ? 1 : count));
  return reshape(permute(reshape(x, shape), order), merged);
}

/// Which factors of a product lie in memory by columns, as transposed views do.
struct ByColumns {
  bool a, b;
};
bool by_columns(const Tensor& x) {
  const int last = x.rank() - 1;
  return x.strides()[last - 1] == 1 && x.strides()[last] != 1;
}

Tensor product(const Tensor& a, const Tensor& b);

/// a b, by columns or by rows: as what it is the gradient of, so that no op between them walks across memory.
Tensor product_in(bool columns, const Tensor& a, const Tensor& b) {
  return columns ? transposed(product(transposed(b), transposed(a))) : product(a, b);
}

/// The product of operands of rank 2 or more.
Tensor product(const Tensor& a, const Tensor& b) {
  return record(
      "matmul", {a, b}, raw::matmul("matmul", a, b), keep_factors(a, Keep::input(0), b, Keep::input(1)),
      ByColumns{by_columns(a), by_columns(b)}, [](const Backward& back, ByColumns columns) -> Gradients {
        const Tensor& dy = back.grad();
        const int rank = dy.rank();
        Tensor da, db;
        if (back.needs(0)) {
          const uint32_t repeated = repeated_dims(back.shape(0), dy.shape());
          const Tensor& y = back.input(1);
          da = repeated
                   ? product(merge_batch(dy, rank, repeated, false), transposed(merge_batch(y, rank, repeated, false)))
                   : product_in(columns.a, dy, transposed(y));
          if (da.shape() != back.shape(0)) da = reshape(da, back.shape(0));
        }
        if (back.needs(1)) {
          const uint32_t repeated = repeated_dims(back.shape(1), dy.shape());
          const Tensor& x = back.input(0);
          db = repeated
                   ? product(transposed(merge_batch(x, rank, repeated, true)), merge_batch(dy, rank, repeated, true))
                   : product_in(columns.b, transposed(x), dy);
          if (db.shape() != back.shape(1)) db = reshape(db, back.shape(1));
        }
        return {da, db};
      });
}

/// x as a matrix of its last dimension's rows.
Tensor as_rows(const Tensor& x) {
  return x.rank() == 2 ? x : reshape(x, {x.shape().slice(0, x.rank() - 1).product(), x.shape().back()});
}

}  // namespace

Tensor matmul(const Tensor& a, const Tensor& b) {
  COTANGENT_AUTOCAST(matmul, a, b);
  if (a.rank() == 0 || b.rank() == 0)
    fail<ShapeError>("[matmul] a is {} and b is {}; both must have at least one dimension, multiply by a number with *",
                     a.shape(), b.shape());
  if (a.rank() > 1 && b.rank() > 1) return product(a, b);
  if (a.shape().back() != b.shape()[std::max(b.rank() - 2, 0)])
    fail<ShapeError>("[matmul] inner dimensions differ: a is {} and b is {}; the last of a must equal the {} of b",
                     a.shape(), b.shape(), b.rank() == 1 ? "only one" : "second last");
  const Tensor y = product(a.rank() == 1 ? unsqueeze(a, 0) : a, b.rank() == 1 ? unsqueeze(b, 1) : b);
  Shape shape = y.shape();
  if (b.rank() == 1) shape.erase(shape.rank() - 1);
  if (a.rank() == 1) shape.erase(shape.rank() - (b.rank() == 1 ? 1 : 2));
  return reshape(y, shape);
}

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  COTANGENT_AUTOCAST(linear, x, weight, bias);
  if (weight.rank() != 2)
    fail<ShapeError>("[linear] the weight is {}; it must be a matrix of shape (out, in)", weight.shape());
  if (x.rank() == 0 || x.shape().back() != weight.shape()[1])
    fail<ShapeError>("[linear] x is {} and the weight {}; the last dimension of x must equal the weight's second",
                     x.shape(), weight.shape());
  if (bias.defined() && (bias.rank() != 1 || bias.shape()[0] != weight.shape()[0]))
    fail<ShapeError>("[linear] the bias is {} and the weight {}; the bias must be ({},)", bias.shape(), weight.shape(),
                     weight.shape()[0]);
  return record("linear", {x, weight, bias}, raw::linear("linear", x, weight, bias),
                keep_factors(x, Keep::input(0), weight, Keep::input(1)), NoAttributes{},
                [](const Backward& b, NoAttributes) -> Gradients {
                  Tensor dx, dw, dbias;
                  if (b.needs(1) || b.needs(2)) {
                    const Tensor dy = as_rows(b.grad());
                    if (b.needs(1)) dw = matmul(transposed(dy), as_rows(b.take_input(0)));
                    if (b.needs(2)) dbias = sum(dy, 0);
                  }
                  if (b.needs(0)) dx = matmul(b.grad(), b.input(1));
                  return {dx, dw, dbias};
                });
}

Tensor addmm(const Tensor& c, const Tensor& a, const Tensor& b, double beta, double alpha) {
  COTANGENT_AUTOCAST(addmm, c, a, b, beta, alpha);
  if (a.rank() != 2 || b.rank() != 2)
    fail<ShapeError>("[addmm] a is {} and b is {}; both must be matrices", a.shape(), b.shape());
  struct Factors {
    double beta, alpha;
  };
  return record("addmm", {c, a, b}, raw::addmm("addmm", c, a, b, beta, alpha),
                keep_factors(a, Keep::input(1), b, Keep::input(2)), Factors{beta, alpha},
                [](const Backward& back, const Factors& f) -> Gradients {
                  const Tensor& dy = back.grad();
                  return {back.needs(0) ? sum_to(dy * f.beta, back.shape(0)) : none,
                          back.needs(1) ? matmul(dy, transposed(back.input(2))) * f.alpha : none,
                          back.needs(2) ? matmul(transposed(back.input(1)), dy) * f.alpha : none};
                });
}

Tensor outer(const Tensor& a, const Tensor& b) {
  if (a.rank() != 1 || b.rank() != 1)
    fail<ShapeError>("[outer] a is {} and b is {}; both must be vectors, of one dimension", a.shape(), b.shape());
  return unsqueeze(a, 1) * unsqueeze(b, 0);
}

}  // namespace cotangent
