#include <cotangent/tensor/indexing.hpp>

#include <cotangent/autograd/node.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/index_internal.hpp>
#include <cotangent/autograd/ops/inplace_internal.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent {
namespace {

using Indices = std::span<const Index>;
using raw::Binary;

/// What a list of indices asks for: a view, and in it the places of some dimensions.
struct Selection {
  Tensor view;
  bool advanced = false;  // the rest is for index tensors only
  raw::IndexedDims at;
  Tensor places;  // int64 of shape `index_shape`
  Shape index_shape;
};

/// Goes through the entries: those that make views are applied at once, index tensors are collected.
class Parser {
 public:
  Parser(const char* op, const Tensor& x, Indices indices) : op_(op), x_(x), view_(x) {
    int named = 0, ellipses = 0;
    for (const Index& i : indices) {
      named += i.kind == Index::Kind::tensor ? (i.tensor.dtype() == boolean ? i.tensor.rank() : 1)
                                             : i.kind == Index::Kind::integer || i.kind == Index::Kind::slice;
      ellipses += i.kind == Index::Kind::ellipsis;
      has_tensors_ |= i.kind == Index::Kind::tensor;
    }
    if (named > x.rank())
      fail<IndexError>("[{}] {} dimensions are indexed, but shape {} has {}", op, named, x.shape(), x.rank());
    if (ellipses > 1) fail<IndexError>("[{}] {} Ellipsis are given; one can be filled in", op, ellipses);
    int position = 0;
    for (const Index& i : indices) {
      if (i.kind == Index::Kind::ellipsis)
        skip(x.rank() - named);
      else if (i.kind == Index::Kind::none)
        view_ = unsqueeze(view_, dim_++);
      else if (i.kind == Index::Kind::slice)
        take_slice(i.slice);
      else if (i.kind == Index::Kind::tensor)
        take_tensor(i.tensor, position);
      else if (has_tensors_)
        take_tensor(full({}, i.integer, int64), position);
      else
        take_integer(i.integer);
      ++position;
    }
  }

  Selection finish() {
    if (!has_tensors_) return {view_, false, {}, {}, {}};
    raw::IndexedDims at{groups_[0].dim, 0};
    Shape shape;
    Tensor places;
    bool adjacent = true;
    for (size_t i = 0; i < groups_.size(); ++i) {
      const Group& g = groups_[i];
      adjacent &= i == 0 || g.position == groups_[i - 1].position + 1;
      shape = broadcast_shapes(op_, shape, g.places.shape());
      if (i == 0)
        places = g.places;
      else
        places = raw::binary(op_, Binary::add, raw::binary(op_, Binary::mul, places, g.size), g.places);
      at.count += g.count;
    }
    if (!adjacent) {
      Dims order;
      for (const Group& g : groups_)
        for (int d = g.dim; d < g.dim + g.count; ++d) order.push_back(d);
      uint32_t indexed = 0;
      for (int64_t d : order) indexed |= 1u << d;
      for (int d = 0; d < view_.rank(); ++d)
        if (!(indexed >> d & 1u)) order.push_back(d);
      view_ = permute(view_, order);
      at.first = 0;
    }
    return {view_, true, at, raw::contiguous(places), shape};
  }

 private:
  /// An index tensor: places in `count` dimensions of the view from `dim`, which hold `size` elements.
  struct Group {
    int position, dim, count;
    int64_t size;
    Tensor places;
  };

  void skip(int dims) { dim_ += dims, named_ += dims; }

  void take_slice(const Slice& s) {
    const int64_t size = view_.shape()[dim_];
    if (s.start.given || s.stop.given || s.step != 1)
      view_ = slice(view_, dim_, s.start.given ? s.start.value : 0, s.stop.given ? s.stop.value : size, s.step);
    skip(1);
  }

  void take_integer(int64_t i) {
    const int64_t size = view_.shape()[dim_];
    if (i < -size || i >= size)
      fail<IndexError>("[{}] index {} is out of range for dimension {} of shape {}; it must be from {} to {}", op_, i,
                       named_, x_.shape(), -size, size - 1);
    view_ = select(view_, dim_, i);
    ++named_;
  }

  void take_tensor(const Tensor& index, int position) {
    if (index.dtype() == boolean) return take_mask(index, position);
    const int64_t size = view_.shape()[dim_];
    groups_.push_back({position, dim_, 1, size, raw::checked_index(op_, index, size, named_, true)});
    skip(1);
  }

  void take_mask(const Tensor& mask, int position) {
    const int rank = mask.rank();
    if (mask.shape() != view_.shape().slice(dim_, dim_ + rank))
      fail<IndexError>("[{}] a mask of shape {} is given for dimensions {} to {} of shape {}; it must be {}", op_,
                       mask.shape(), named_, named_ + rank - 1, x_.shape(), view_.shape().slice(dim_, dim_ + rank));
    const Tensor places = raw::nonzero(mask);
    if (rank == 0) {  // a new dimension, of which all or nothing is taken
      view_ = unsqueeze(view_, dim_);
      groups_.push_back({position, dim_++, 1, 1, places});
      return;
    }
    groups_.push_back({position, dim_, rank, mask.numel(), places});
    skip(rank);
  }

  const char* op_;
  const Tensor& x_;
  Tensor view_;
  int dim_ = 0;    // of the view
  int named_ = 0;  // of x
  bool has_tensors_ = false;
  std::vector<Group> groups_;
};

Selection select_places(const char* op, const Tensor& x, Indices indices) { return Parser(op, x, indices).finish(); }

/// The shape that is read, and that values broadcast to.
Shape selected_shape(const Selection& s) {
  if (!s.advanced) return s.view.shape();
  Shape shape = s.view.shape().slice(0, s.at.first);
  for (int64_t size : s.index_shape) shape.push_back(size);
  for (int d = s.at.first + s.at.count; d < s.view.rank(); ++d) shape.push_back(s.view.shape()[d]);
  return shape;
}

struct Places {
  raw::IndexedDims at;
  Shape index_shape;
  Shape selected;
};

// x with `values`, of the selected shape, at the places.
Tensor replaced(const Tensor& x, const Tensor& places, const Tensor& values, const Places& p) {
  const Tensor y = raw::clone(x);
  raw::put(y, p.at, places, values);
  const Tensor stays = raw::last_of_each(places, raw::indexed_size(x.shape(), p.at));
  return record("index_put_", {x, places, stays, values}, y, Keep::input(1) | Keep::input(2), p,
                [](const Backward& b, const Places& q) -> Gradients {
                  const Tensor &g = b.grad(), &at = b.input(1);
                  Tensor dx, dvalues;
                  if (b.needs(0)) dx = replaced(g, at, expand(zeros({}, g.dtype()), q.selected), q);
                  if (b.needs(3)) {
                    dvalues = detail::pick("index", g, q.at, at, q.index_shape);
                    if (b.input(2).defined()) {
                      Shape lines = q.index_shape;  // to broadcast over what comes behind the indices
                      while (lines.rank() + q.at.first < q.selected.rank()) lines.push_back(1);
                      dvalues = where(reshape(b.input(2), lines), dvalues, 0);
                    }
                  }
                  return {dx, Tensor(), Tensor(), dvalues};
                });
}

}  // namespace

const Tensor Tensor::index(Indices indices) const {
  const Selection s = select_places("index", *this, indices);
  return s.advanced ? detail::pick("index", s.view, s.at, s.places, s.index_shape) : s.view;
}

Tensor& Tensor::index_put_(Indices indices, const Tensor& values) {
  Selection s = select_places("index_put_", *this, indices);
  const Shape selected = selected_shape(s);
  if (broadcast_shapes("index_put_", values.shape(), selected) != selected)
    fail<ShapeError>("[index_put_] values of shape {} do not broadcast to the {} that are selected", values.shape(),
                     selected);
  if (!s.advanced) {
    s.view.copy_(values);
    return *this;
  }
  const Tensor in = detail::apart_from(s.view, cotangent::expand(values, selected));
  if (detail::must_record_write("index_put_", s.view, in)) {
    detail::replace_in_place(
        "index_put_", s.view,
        replaced(detail::alias(s.view), s.places, cotangent::to(in, s.view.dtype()), {s.at, s.index_shape, selected}));
  } else {
    detail::check_holds("index_put_", s.view, in.dtype());
    raw::put(s.view, s.at, s.places, in);
    detail::bump_version(s.view);
  }
  return *this;
}

Tensor& Tensor::index_put_(Indices indices, const Scalar& value) {
  return index_put_(indices, raw::filled("index_put_", {}, value, dtype()));
}

const Tensor Tensor::index(std::initializer_list<Index> indices) const { return index(Indices(indices)); }
Tensor& Tensor::index_put_(std::initializer_list<Index> indices, const Tensor& values) {
  return index_put_(Indices(indices), values);
}
Tensor& Tensor::index_put_(std::initializer_list<Index> indices, const Scalar& value) {
  return index_put_(Indices(indices), value);
}

}  // namespace cotangent
