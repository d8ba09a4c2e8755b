// In-place writes. Where nothing is recorded they go straight to memory. Where a history is involved, the result is
// computed by the op itself, with its rule, and then takes the place of the tensor: its values move into the memory,
// its history becomes the tensor's. A write to a view is also a write to a part of its base, whose history is replaced
// in the same way; other views of that base then take theirs from it anew (detail::history).
#include <algorithm>

#include <cotangent/autograd/node.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/inplace_internal.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/views.hpp>

namespace cotangent {
namespace {

using detail::TensorImpl;
using raw::Binary;

// `base` with the part (shape, strides, offset in elements) replaced by `values`, where base is contiguous.
struct Part {
  Shape shape;
  Strides strides;
  int64_t offset;
};
Tensor replace_part(const Tensor& base, const Tensor& values, const Part& part);
Tensor record_part(const Tensor& base, const Tensor& values, Tensor y, const Part& part) {
  return record("replace_part", {base, values}, std::move(y), Keep::nothing(), part,
                [](const Backward& b, const Part& p) -> Gradients {
                  const Tensor g = contiguous(b.grad());
                  return {b.needs(0) ? replace_part(g, zeros(p.shape, g.dtype()), p) : Tensor(),
                          b.needs(1) ? as_strided(g, p.shape, p.strides, p.offset) : Tensor()};
                });
}
Tensor replace_part(const Tensor& base, const Tensor& values, const Part& part) {
  const Tensor y = raw::clone(base);
  raw::copy_into("replace_part", values, detail::make_view(y, part.shape, part.strides, part.offset));
  return record_part(base, values, y, part);
}

Dims memory_order(const Tensor& x) {
  Dims order = Dims::filled(x.rank(), 0);
  for (int d = 0; d < x.rank(); ++d) order[d] = d;
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return x.strides()[int(a)] > x.strides()[int(b)]; });
  return order;
}

// Writes `values` to the part of a base that is at `written`. The result stands for the history of the base from then
// on.
Tensor write_to_part(const char* op, const Tensor& base, const Tensor& written, const Tensor& values) {
  const Dims order = memory_order(base);
  Dims inverse = order;
  for (int d = 0; d < base.rank(); ++d) inverse[static_cast<int>(order[d])] = d;
  const Tensor dense = permute(detail::alias(base), order);
  if (!dense.is_contiguous())
    fail<GradError>(
        "[{}] the base of this view, of shape {} with strides {}, is not dense; clone() it before writing to views of "
        "it",
        op, base.shape(), base.strides());
  const int64_t offset = (written.impl()->data - base.impl()->data) / item_size(base.dtype());
  raw::copy_into(op, values, written);
  Tensor y = detail::make_alias(dense);
  return permute(record_part(dense, values, std::move(y), {written.shape(), written.strides(), offset}), inverse);
}

bool has_history(const Tensor& x) {
  return x.defined() && (detail::history(x) || (x.impl()->base && x.impl()->base->node));
}

void check_writable(const char* op, const Tensor& x) {
  const TensorImpl* impl = x.get();
  if (raw::overlaps(x))
    fail<ValueError>(
        "[{}] several elements of this tensor of shape {} share memory (strides {}); clone() it before writing to it",
        op, x.shape(), x.strides());
  if (!grad_enabled()) return;
  const TensorImpl* base = impl->base;
  if ((impl->node && impl->node->is_leaf()) || (base && base->node && base->node->is_leaf()))
    fail<GradError>(
        "[{}] {} that requires a gradient can't be written in place while ops are recorded; do it under a NoGrad "
        "guard, or on a clone()",
        op, impl->node && impl->node->is_leaf() ? "a leaf" : "a view of a leaf");
}

}  // namespace

namespace detail {

bool must_record_write(const char* op, const Tensor& x, const Tensor& operand) {
  check_writable(op, x);
  if (!grad_enabled() || !(has_history(x) || has_history(operand))) return false;
  if (!x.is_floating())
    fail<GradError>("[{}] a {} tensor can't take on a history; write a detach()ed value", op, x.dtype());
  if (x.impl()->inference)
    fail<GradError>("[{}] the tensor was made in inference mode and can't take on a history", op);
  const TensorImpl* base = x.impl()->base;
  if (base && base->node && !x.impl()->node) {  // a view taken under NoGrad: for the write it is one like any other
    x.impl()->base_generation = base->generation - 1;
    history(x);
  }
  return true;
}

void replace_in_place(const char* op, const Tensor& x, const Tensor& value) {
  const Tensor result = to(expand(value, x.shape()), x.dtype());
  TensorImpl* base = x.impl()->base;
  Tensor new_base;
  if (base) {
    base->refs.add();
    new_base = write_to_part(op, Tensor(base), x, result);
  } else {
    raw::copy_into(op, result, x);
  }
  bump_version(x);
  adopt_history(x.impl(), result);
  ++x.impl()->generation;
  if (base) {
    adopt_history(base, new_base);
    ++base->generation;
    x.impl()->base_generation = base->generation;
  }
}

void check_holds(const char* op, const Tensor& x, Dtype values) {
  const auto category = [](Dtype d) { return d == boolean ? 0 : is_floating(d) ? 2 : 1; };
  if (category(values) > category(x.dtype()))
    fail<DTypeError>("[{}] the result is {} and does not fit into a {} tensor; convert one of them with to()", op,
                     values, x.dtype());
}

Tensor apart_from(const Tensor& x, const Tensor& operand) {
  if (!operand.shares_storage(x)) return operand;
  const bool same =
      operand.impl()->data == x.impl()->data && operand.shape() == x.shape() && operand.strides() == x.strides();
  return same && !grad_enabled() ? operand : clone(operand);
}

}  // namespace detail

namespace {

using detail::apart_from;

// Writes `direct()` into x, or, with history, the result of `recorded(old)`, where old is x as it was.
template <class Direct, class Recorded>
Tensor& write(const char* op, Tensor& x, const Tensor& operand, Direct direct, Recorded recorded) {
  if (detail::must_record_write(op, x, operand)) {
    detail::replace_in_place(op, x, recorded(detail::alias(x)));
  } else {
    direct();
    detail::bump_version(x);
  }
  return x;
}

void check_broadcasts(const char* op, const Tensor& x, const Tensor& other) {
  if (broadcast_shapes(op, x.shape(), other.shape()) != x.shape())
    fail<ShapeError>(
        "[{}] an operand of shape {} does not broadcast to the tensor's shape {}; an in-place op keeps its shape", op,
        other.shape(), x.shape());
}

Dtype result_dtype(Binary f, Dtype dtype) { return f == Binary::div && !is_floating(dtype) ? default_dtype() : dtype; }

Tensor& arithmetic(const char* op, Binary f, Tensor& x, const Tensor& operand,
                   Tensor (*recorded)(const Tensor&, const Tensor&)) {
  check_broadcasts(op, x, operand);
  const Tensor other = apart_from(x, operand);
  if (!x.is_floating()) detail::check_holds(op, x, result_dtype(f, promote(x.dtype(), other.dtype())));
  return write(
      op, x, other,
      [&] {
        if (other.dtype() == x.dtype()) return raw::binary_into(op, f, x, other, x);
        const Dtype dtype = promote(x.dtype(), other.dtype());
        const Tensor y = raw::cast(other, dtype);
        if (dtype == x.dtype()) return raw::binary_into(op, f, x, y, x);
        raw::copy_into(op, raw::binary(op, f, raw::cast(x, dtype), y), x);  // rounded once
      },
      [&](const Tensor& old) {
        const bool reads_old = f == Binary::mul && has_history(other);  // for the gradient of the operand
        return recorded(reads_old ? clone(old) : old, other);
      });
}

Tensor& arithmetic(const char* op, Binary f, Tensor& x, const Scalar& other,
                   Tensor (*recorded)(const Tensor&, const Scalar&)) {
  if (!x.is_floating()) detail::check_holds(op, x, result_dtype(f, promote(x.dtype(), other)));
  return write(
      op, x, Tensor(), [&] { raw::binary_into(op, f, x, other, x); },
      [&](const Tensor& old) { return recorded(old, other); });
}

}  // namespace

Tensor& Tensor::add_(const Tensor& other, const Scalar& alpha) {
  if (alpha.to<double>() == 1) return arithmetic("add_", Binary::add, *this, other, add);
  return arithmetic("add_", Binary::add, *this, mul(cotangent::to(other, compute_dtype(other.dtype())), alpha), add);
}
Tensor& Tensor::sub_(const Tensor& other) { return arithmetic("sub_", Binary::sub, *this, other, sub); }
Tensor& Tensor::mul_(const Tensor& other) { return arithmetic("mul_", Binary::mul, *this, other, mul); }
Tensor& Tensor::div_(const Tensor& other) { return arithmetic("div_", Binary::div, *this, other, div); }
Tensor& Tensor::add_(const Scalar& other) { return arithmetic("add_", Binary::add, *this, other, add); }
Tensor& Tensor::sub_(const Scalar& other) { return arithmetic("sub_", Binary::sub, *this, other, sub); }
Tensor& Tensor::mul_(const Scalar& other) { return arithmetic("mul_", Binary::mul, *this, other, mul); }
Tensor& Tensor::div_(const Scalar& other) { return arithmetic("div_", Binary::div, *this, other, div); }

namespace {
// `values` in the place of `old`, with a gradient of 0 for what was overwritten.
Tensor overwritten(const Tensor& old, const Tensor& values) {
  return record("fill", {old, values}, values, Keep::nothing(), NoAttributes{},
                [](const Backward& b, NoAttributes) -> Gradients { return {zeros_like(b.grad())}; });
}
}  // namespace

Tensor& Tensor::copy_(const Tensor& values) {
  check_broadcasts("copy_", *this, values);
  const Tensor from = apart_from(*this, values);
  return write(
      "copy_", *this, from,
      [&] {
        if (!is_floating()) detail::check_holds("copy_", *this, from.dtype());
        raw::copy_into("copy_", from, *this);
      },
      [&](const Tensor& old) {
        if (has_history(from)) return identity(from);  // a place of its own in the graph
        return overwritten(old, raw::clone(raw::expand("copy_", raw::cast(from, old.dtype()), old.shape())));
      });
}

Tensor& Tensor::fill_(const Scalar& value) {
  return write(
      "fill_", *this, Tensor(), [&] { raw::fill_into(*this, value); },
      [&](const Tensor& old) { return overwritten(old, full_like(old, value)); });
}

Tensor& Tensor::operator=(const Tensor& values) && { return copy_(values); }
Tensor& Tensor::operator=(const Scalar& value) && { return fill_(value); }

}  // namespace cotangent
