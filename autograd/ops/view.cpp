#include <cotangent/autograd/ops/view.hpp>

#include <algorithm>

#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/record.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/views.hpp>

namespace cotangent {

Tensor expand(const Tensor& x, const Shape& shape) {
  if (x.shape() == shape) return x;
  return record_view("expand", x, raw::expand("expand", x, shape), NoAttributes{},
                     [](const Backward& b, NoAttributes) -> Gradients { return {sum_to(b.grad(), b.shape(0))}; });
}

Tensor broadcast_to(const Tensor& x, const Shape& shape) { return expand(x, shape); }

Tensor permute(const Tensor& x, std::span<const int64_t> dims) {
  Tensor y = raw::permute("permute", x, dims);
  Dims inverse = Dims::filled(x.rank(), 0);
  for (int i = 0; i < x.rank(); ++i) inverse[checked_dim("permute", dims[static_cast<size_t>(i)], x.rank())] = i;
  return record_view("permute", x, std::move(y), inverse,
                     [](const Backward& b, const Dims& back) -> Gradients { return {permute(b.grad(), back)}; });
}

Tensor transpose(const Tensor& x, int64_t dim0, int64_t dim1) {
  struct Pair {
    int64_t a, b;
  };
  return record_view("transpose", x, raw::transpose("transpose", x, dim0, dim1), Pair{dim0, dim1},
                     [](const Backward& b, Pair p) -> Gradients { return {transpose(b.grad(), p.a, p.b)}; });
}

Tensor t(const Tensor& x) {
  if (x.rank() > 2)
    fail<ShapeError>("[t] shape {} has {} dimensions; t() is for matrices, use transpose(-2, -1) or permute", x.shape(),
                     x.rank());
  return x.rank() < 2 ? x : transpose(x, 0, 1);
}

// Every view that only drops, adds, merges or splits dimensions goes back by a reshape.
static Tensor record_reshape(const char* op, const Tensor& x, Tensor y) {
  if (y.impl() == x.impl()) return x;
  return record_view(op, x, std::move(y), NoAttributes{},
                     [](const Backward& b, NoAttributes) -> Gradients { return {reshape(b.grad(), b.shape(0))}; });
}

Tensor squeeze(const Tensor& x) { return record_reshape("squeeze", x, raw::squeeze("squeeze", x, ~0u)); }
Tensor squeeze(const Tensor& x, int64_t dim) {
  return record_reshape("squeeze", x, raw::squeeze("squeeze", x, 1u << checked_dim("squeeze", dim, x.rank())));
}
Tensor unsqueeze(const Tensor& x, int64_t dim) {
  return record_reshape("unsqueeze", x, raw::unsqueeze("unsqueeze", x, dim));
}

Tensor reshape(const Tensor& x, const Shape& shape) {
  Tensor y = raw::try_view("reshape", x, shape);
  if (y.defined()) return record_reshape("reshape", x, std::move(y));
  const Tensor dense = contiguous(x);
  return record_reshape("reshape", dense, raw::try_view("reshape", dense, shape));
}

Tensor view(const Tensor& x, const Shape& shape) {
  Tensor y = raw::try_view("view", x, shape);
  if (!y.defined())
    fail<ShapeError>("[view] a tensor of shape {} with strides {} can't be seen as {} without a copy; use reshape",
                     x.shape(), x.strides(), shape);
  return record_reshape("view", x, std::move(y));
}

Tensor flatten(const Tensor& x, int64_t start_dim, int64_t end_dim) {
  const int first = checked_dim("flatten", start_dim, x.rank()), last = checked_dim("flatten", end_dim, x.rank());
  if (first > last)
    fail<ShapeError>("[flatten] start_dim {} comes after end_dim {} in shape {}", start_dim, end_dim, x.shape());
  if (x.rank() == 0) return reshape(x, {1});
  Shape shape = x.shape().slice(0, first);
  shape.push_back(x.shape().slice(first, last + 1).product("flatten"));
  for (int d = last + 1; d < x.rank(); ++d) shape.push_back(x.shape()[d]);
  return reshape(x, shape);
}

Tensor unflatten(const Tensor& x, int64_t dim, const Shape& sizes) {
  const int d = checked_dim("unflatten", dim, x.rank());
  const int64_t whole = x.size(d);
  Shape parts = sizes, given = sizes;
  for (int64_t& size : given)
    if (size == -1) size = 1;
  const int64_t known = given.product("unflatten");
  for (int64_t& size : parts)
    if (size == -1 && known > 0) size = whole / known;
  if (parts.product("unflatten") != whole)
    fail<ShapeError>("[unflatten] dimension {} of shape {} has size {}, which {} do not multiply to", d, x.shape(),
                     whole, sizes);
  Shape shape = x.shape().slice(0, d);
  for (int64_t size : parts) shape.push_back(size);
  for (int rest = d + 1; rest < x.rank(); ++rest) shape.push_back(x.shape()[rest]);
  return reshape(x, shape);
}

// ---- views of a part: the gradient is zero outside, and what several places share is summed ----

namespace {

/// A view given by a function and its numbers, which can be taken of x and of the gradient of x alike.
struct PartView {
  Tensor (*take)(const char* op, const Tensor& x, const PartView& part);
  int64_t args[4];
  Shape shape;  // of as_strided
  Strides strides;
  bool in_memory = false;  // counts elements in memory, so that it can be taken of dense tensors only
};

Tensor embed(const Tensor& g, const Shape& shape, const PartView& part);

Tensor part_view(const char* op, const Tensor& x, const PartView& part) {
  return record_view(op, x, part.take(op, x, part), part, [](const Backward& b, const PartView& p) -> Gradients {
    return {embed(b.grad(), b.shape(0), p)};
  });
}

// The adjoint of the view: zeros of x's shape with g added to the part.
Tensor embed(const Tensor& g, const Shape& shape, const PartView& part) {
  const bool alike = shape.rank() == 4 && g.rank() == 4 && !part.in_memory;
  const Tensor y = raw::empty_in_format(shape, g.dtype(), alike ? raw::memory_format(g) : MemoryFormat::contiguous);
  raw::fill_into(y, 0);
  const Tensor place = part.take("embed", y, part);
  if (raw::overlaps(place))
    raw::add_overlapping(g, place);
  else
    raw::copy_into("embed", g, place);
  return record("embed", {g}, y, Keep::nothing(), part, [](const Backward& b, const PartView& p) -> Gradients {
    return {part_view("part", p.in_memory ? contiguous(b.grad()) : b.grad(), p)};
  });
}

}  // namespace

Tensor select(const Tensor& x, int64_t dim, int64_t index) {
  return part_view(
      "select", x,
      {[](const char* op, const Tensor& v, const PartView& p) { return raw::select(op, v, p.args[0], p.args[1]); },
       {dim, index},
       {},
       {}});
}

Tensor slice(const Tensor& x, int64_t dim, int64_t start, int64_t stop, int64_t step) {
  return part_view("slice", x,
                   {[](const char* op, const Tensor& v, const PartView& p) {
                      return raw::slice(op, v, p.args[0], p.args[1], p.args[2], p.args[3]);
                    },
                    {dim, start, stop, step},
                    {},
                    {}});
}

Tensor narrow(const Tensor& x, int64_t dim, int64_t start, int64_t length) {
  const int d = checked_dim("narrow", dim, x.rank());
  const int64_t size = x.rank() ? x.shape()[d] : 0, first = start < 0 ? start + size : start;
  if (first < 0 || first > size || length < 0 || length > size - first)
    fail<IndexError>("[narrow] {} elements from {} do not lie in dimension {} of shape {}", length, start, d,
                     x.shape());
  return slice(x, d, first, first + length);
}

Tensor diagonal(const Tensor& x, int64_t offset, int64_t dim1, int64_t dim2) {
  return part_view("diagonal", x,
                   {[](const char* op, const Tensor& v, const PartView& p) {
                      return raw::diagonal(op, v, p.args[0], p.args[1], p.args[2]);
                    },
                    {offset, dim1, dim2},
                    {},
                    {}});
}

Tensor unfold(const Tensor& x, int64_t dim, int64_t size, int64_t step) {
  return part_view("unfold", x,
                   {[](const char* op, const Tensor& v, const PartView& p) {
                      return raw::unfold(op, v, p.args[0], p.args[1], p.args[2]);
                    },
                    {dim, size, step},
                    {},
                    {}});
}

Tensor as_strided(const Tensor& x, const Shape& shape, const Strides& strides, int64_t offset) {
  if (strides.rank() != shape.rank())
    fail<ShapeError>("[as_strided] shape {} has other dimensions than strides {}; give a stride for each", shape,
                     strides);
  for (int64_t size : shape)
    if (size < 0) fail<ShapeError>("[as_strided] shape {} has a negative size; sizes must be 0 or more", shape);
  Strides steps = strides;  // those that nothing walks along do not matter, but must be small enough to be multiplied
  int64_t low = offset, high = offset;
  bool wraps = false;
  for (int d = 0; d < shape.rank(); ++d) {
    int64_t reach, &end = strides[d] < 0 ? low : high;
    wraps |= __builtin_mul_overflow(strides[d], std::max<int64_t>(shape[d] - 1, 0), &reach) ||
             __builtin_add_overflow(end, reach, &end);
    if (shape[d] < 2) steps[d] = std::clamp(strides[d], -x.numel(), x.numel());
  }
  const bool empty = shape.product("as_strided") == 0;
  if (!empty && (wraps || low < 0 || high >= x.numel()))
    fail<IndexError>("[as_strided] shape {} with strides {} from {} reaches outside the {} elements of the tensor",
                     shape, strides, offset, x.numel());
  if (empty) steps = contiguous_strides(shape);
  // in the order of memory a dense tensor is contiguous, and so will its gradient be
  Dims order = Dims::filled(x.rank(), 0);
  for (int d = 0; d < x.rank(); ++d) order[d] = d;
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return x.strides()[int(a)] > x.strides()[int(b)]; });
  const Tensor dense = x.is_contiguous() ? x : permute(x, order);
  if (!dense.is_contiguous())
    fail<GradError>(
        "[as_strided] the tensor of shape {} with strides {} is not dense; clone() it before writing to views of it",
        x.shape(), x.strides());
  return part_view("as_strided", dense,
                   {[](const char*, const Tensor& v, const PartView& p) {
                      return detail::make_view(v, p.shape, p.strides, p.args[0]);
                    },
                    {empty ? 0 : offset},
                    shape,
                    steps,
                    true});
}

// ---- members ----

Tensor Tensor::reshape(const Shape& shape) const { return cotangent::reshape(*this, shape); }
Tensor Tensor::view(const Shape& shape) const { return cotangent::view(*this, shape); }
Tensor Tensor::flatten(int64_t start_dim, int64_t end_dim) const {
  return cotangent::flatten(*this, start_dim, end_dim);
}
Tensor Tensor::unflatten(int64_t dim, const Shape& sizes) const { return cotangent::unflatten(*this, dim, sizes); }
Tensor permute(const Tensor& x, std::initializer_list<int64_t> dims) {
  return permute(x, std::span(dims.begin(), dims.size()));
}
Tensor Tensor::permute(const Dims& dims) const { return cotangent::permute(*this, dims); }
Tensor Tensor::transpose(int64_t dim0, int64_t dim1) const { return cotangent::transpose(*this, dim0, dim1); }
Tensor Tensor::t() const { return cotangent::t(*this); }
Tensor Tensor::expand(const Shape& shape) const { return cotangent::expand(*this, shape); }
Tensor Tensor::squeeze() const { return cotangent::squeeze(*this); }
Tensor Tensor::squeeze(int64_t dim) const { return cotangent::squeeze(*this, dim); }
Tensor Tensor::unsqueeze(int64_t dim) const { return cotangent::unsqueeze(*this, dim); }
Tensor Tensor::select(int64_t dim, int64_t index) const { return cotangent::select(*this, dim, index); }
Tensor Tensor::slice(int64_t dim, int64_t start, int64_t stop, int64_t step) const {
  return cotangent::slice(*this, dim, start, stop, step);
}
Tensor Tensor::narrow(int64_t dim, int64_t start, int64_t length) const {
  return cotangent::narrow(*this, dim, start, length);
}
Tensor Tensor::operator[](int64_t index) const { return cotangent::select(*this, 0, index); }

}  // namespace cotangent
