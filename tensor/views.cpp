#include <cotangent/tensor/views.hpp>

#include <algorithm>

#include <cotangent/tensor/dispatch_internal.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/strided.hpp>

namespace cotangent::raw {

using detail::make_view;

Tensor expand(const char* op, const Tensor& x, const Shape& shape) {
  const int skip = shape.rank() - x.rank();
  if (skip < 0)
    fail<ShapeError>("[{}] shape {} has more dimensions than the target {}; it must have as many at least", op,
                     x.shape(), shape);
  Shape result = shape;
  Strides strides = Dims::filled(shape.rank(), 0);
  for (int d = 0; d < shape.rank(); ++d) {
    const int64_t size = d < skip ? 1 : x.shape()[d - skip];
    if (result[d] == -1 && d >= skip) result[d] = size;
    if (size == result[d])
      strides[d] = d < skip ? 0 : x.strides()[d - skip];
    else if (size != 1 || result[d] < 0)
      fail<ShapeError>("[{}] shape {} can't be expanded to {}: dimension {} is {}; only a size of 1 can be repeated",
                       op, x.shape(), shape, d, size);
  }
  return make_view(x, result, strides, 0, op);
}

Tensor permute(const char* op, const Tensor& x, std::span<const int64_t> dims) {
  if (static_cast<int>(dims.size()) != x.rank())
    fail<ShapeError>("[{}] {} dimensions are given for shape {}; every dimension must be named once", op, dims.size(),
                     x.shape());
  if (!dims.empty()) checked_dims(op, dims, x.rank());
  Shape shape = x.shape();
  Strides strides = x.strides();
  for (int i = 0; i < x.rank(); ++i) {
    const int d = checked_dim(op, dims[static_cast<size_t>(i)], x.rank());
    shape[i] = x.shape()[d], strides[i] = x.strides()[d];
  }
  return make_view(x, shape, strides, 0);
}

Tensor transpose(const char* op, const Tensor& x, int64_t dim0, int64_t dim1) {
  const int a = checked_dim(op, dim0, x.rank()), b = checked_dim(op, dim1, x.rank());
  Shape shape = x.shape();
  Strides strides = x.strides();
  if (x.rank() > 0) std::swap(shape[a], shape[b]), std::swap(strides[a], strides[b]);
  return make_view(x, shape, strides, 0);
}

Tensor select(const char* op, const Tensor& x, int64_t dim, int64_t index) {
  if (x.rank() == 0) fail<IndexError>("[{}] a tensor of rank 0 can't be indexed; use item()", op);
  const int d = checked_dim(op, dim, x.rank());
  const int64_t size = x.shape()[d];
  if (index < -size || index >= size)
    fail<IndexError>("[{}] index {} is out of range for dimension {} of shape {}; it must be from {} to {}", op, index,
                     d, x.shape(), -size, size - 1);
  Shape shape = x.shape();
  Strides strides = x.strides();
  const int64_t offset = (index < 0 ? index + size : index) * strides[d];
  shape.erase(d), strides.erase(d);
  return make_view(x, shape, strides, offset);
}

Tensor slice(const char* op, const Tensor& x, int64_t dim, int64_t start, int64_t stop, int64_t step) {
  if (x.rank() == 0) fail<IndexError>("[{}] a tensor of rank 0 can't be sliced", op);
  const int d = checked_dim(op, dim, x.rank());
  if (step < 1) fail<ValueError>("[{}] step {} is not positive; use flip for the reverse order", op, step);
  const int64_t size = x.shape()[d];
  auto bound = [&](int64_t b) { return std::clamp<int64_t>(b < 0 ? b + size : b, 0, size); };
  const int64_t first = bound(start), last = std::max(bound(stop), first);
  Shape shape = x.shape();
  Strides strides = x.strides();
  shape[d] = last > first ? (last - first - 1) / step + 1 : 0;
  const int64_t offset = shape[d] > 0 ? first * strides[d] : 0;
  if (shape[d] > 1) strides[d] *= step;
  return make_view(x, shape, strides, offset);
}

Tensor squeeze(const char*, const Tensor& x, uint32_t dims) {
  Shape shape;
  Strides strides;
  for (int d = 0; d < x.rank(); ++d)
    if (!(dims >> d & 1u) || x.shape()[d] != 1) shape.push_back(x.shape()[d]), strides.push_back(x.strides()[d]);
  return make_view(x, shape, strides, 0);
}

Tensor unsqueeze(const char* op, const Tensor& x, int64_t dim) {
  const int d = checked_dim(op, dim, x.rank() + 1);
  Shape shape = x.shape();
  Strides strides = x.strides();
  strides.insert(d, d < x.rank() ? shape[d] * strides[d] : 1);
  shape.insert(d, 1);
  return make_view(x, shape, strides, 0);
}

namespace {

Shape infer_size(const char* op, const Tensor& x, const Shape& shape) {
  Shape result = shape;
  int unknown = -1;
  Shape given = shape;  // without the -1
  for (int d = 0; d < shape.rank(); ++d) {
    if (shape[d] == -1 && unknown >= 0)
      fail<ShapeError>("[{}] shape {} has two sizes of -1; one can be inferred", op, shape);
    if (shape[d] < -1) fail<ShapeError>("[{}] shape {} has a negative size; only -1 (inferred) is allowed", op, shape);
    if (shape[d] == -1) unknown = d, given[d] = 1;
  }
  const int64_t known = given.product(op);
  if (unknown >= 0) {
    if (known == 0 || x.numel() % known != 0)
      fail<ShapeError>("[{}] shape {} with {} elements can't become {}; {} does not divide {}", op, x.shape(),
                       x.numel(), shape, known, x.numel());
    result[unknown] = x.numel() / known;
  } else if (known != x.numel()) {
    fail<ShapeError>("[{}] shape {} with {} elements can't become {} with {}; the number must stay the same", op,
                     x.shape(), x.numel(), shape, known);
  }
  return result;
}

// Strides of the same memory for another shape; false where a group of old dimensions that a new one spans is not
// dense.
bool view_strides(const Tensor& x, const Shape& shape, Strides& strides) {
  strides = contiguous_strides(shape);
  if (x.get()->contiguous || x.numel() == 0) return true;
  int old = x.rank() - 1;
  int fresh = shape.rank() - 1;
  while (old >= 0 || fresh >= 0) {
    // a group: old dimensions that are dense together, covered exactly by new ones
    while (old >= 0 && x.shape()[old] == 1) --old;
    while (fresh >= 0 && shape[fresh] == 1) strides[fresh] = 1, --fresh;
    if (old < 0 || fresh < 0) break;
    const int64_t unit = x.strides()[old];
    int64_t have = x.shape()[old], want = 1;
    int64_t next = unit;
    for (;;) {
      while (fresh >= 0 && want < have) {
        strides[fresh] = next;
        next *= shape[fresh];
        want *= shape[fresh--];
      }
      if (want == have) break;
      // the new dimensions reach beyond: the next old one must continue the group
      const int above = [&] {
        int d = old - 1;
        while (d >= 0 && x.shape()[d] == 1) --d;
        return d;
      }();
      if (above < 0 || x.strides()[above] != unit * have) return false;
      have *= x.shape()[above];
      old = above;
    }
    --old;
  }
  return true;
}

}  // namespace

Tensor try_view(const char* op, const Tensor& x, const Shape& shape) {
  const Shape full = infer_size(op, x, shape);
  Strides strides;
  return view_strides(x, full, strides) ? make_view(x, full, strides, 0) : Tensor();
}

Tensor reshape(const char* op, const Tensor& x, const Shape& shape) {
  Tensor y = try_view(op, x, shape);
  return y.defined() ? y : try_view(op, contiguous(x), shape);
}

Tensor diagonal(const char* op, const Tensor& x, int64_t offset, int64_t dim1, int64_t dim2) {
  const int a = checked_dim(op, dim1, x.rank()), b = checked_dim(op, dim2, x.rank());
  if (a == b || x.rank() < 2)
    fail<ShapeError>("[{}] needs two different dimensions, got {} and {} of shape {}", op, dim1, dim2, x.shape());
  const int64_t rows = x.shape()[a], columns = x.shape()[b];
  const int64_t length =
      std::max<int64_t>(0, offset >= 0 ? std::min(rows, columns - offset) : std::min(rows + offset, columns));
  Shape shape;
  Strides strides;
  for (int d = 0; d < x.rank(); ++d)
    if (d != a && d != b) shape.push_back(x.shape()[d]), strides.push_back(x.strides()[d]);
  shape.push_back(length);
  strides.push_back(x.strides()[a] + x.strides()[b]);
  const int64_t start = length == 0 ? 0 : offset >= 0 ? offset * x.strides()[b] : -offset * x.strides()[a];
  return make_view(x, shape, strides, start);
}

Tensor unfold(const char* op, const Tensor& x, int64_t dim, int64_t size, int64_t step) {
  if (x.rank() == 0) fail<ShapeError>("[{}] a tensor of rank 0 has no windows", op);
  const int d = checked_dim(op, dim, x.rank());
  if (size < 1 || size > x.shape()[d])
    fail<ValueError>("[{}] a window of {} does not fit dimension {} of shape {}; it must be from 1 to {}", op, size, d,
                     x.shape(), x.shape()[d]);
  if (step < 1) fail<ValueError>("[{}] step {} is not positive", op, step);
  Shape shape = x.shape();
  Strides strides = x.strides();
  shape[d] = (shape[d] - size) / step + 1;
  strides.push_back(strides[d]);
  shape.push_back(size);
  if (shape[d] > 1) strides[d] *= step;
  return make_view(x, shape, strides, 0);
}

bool overlaps(const Tensor& x) {
  Dims order = Dims::filled(x.rank(), 0);
  for (int d = 0; d < x.rank(); ++d) order[d] = d;
  std::sort(order.begin(), order.end(),
            [&](int64_t a, int64_t b) { return x.strides()[int(a)] < x.strides()[int(b)]; });
  int64_t reach = 0;  // of the smaller dimensions together
  for (int64_t d : order) {
    const int64_t size = x.shape()[int(d)], stride = x.strides()[int(d)];
    if (size == 0) return false;
    if (size == 1) continue;
    if (stride <= reach) return true;
    reach += (size - 1) * stride;
  }
  return false;
}

void add_overlapping(const Tensor& g, const Tensor& place) {
  const StridedWalk<2> walk(place.shape(), {&place.strides(), &g.strides()});
  dispatch(place.dtype(), [&]<class T> {
    T* to = place.data<T>();
    const T* from = g.data<T>();
    const int64_t step_to = walk.inner_stride(0), step_from = walk.inner_stride(1);
    walk.run_range(0, walk.numel(), [&](const auto& at, int64_t n) {
      for (int64_t i = 0; i < n; ++i) {
        T& sum = to[at[0] + i * step_to];
        sum = static_cast<T>(static_cast<compute_t<T>>(sum) + static_cast<compute_t<T>>(from[at[1] + i * step_from]));
      }
    });
  });
}

}  // namespace cotangent::raw
