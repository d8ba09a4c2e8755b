#include <cotangent/autograd/ops/join.hpp>

#include <algorithm>

#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/autograd/record.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/join.hpp>
#include <cotangent/tensor/views.hpp>

namespace cotangent {
namespace {

constexpr size_t kMaxParts = 65535;  // outputs or inputs of one op

/// The tensors in their common dtype: themselves where they have it already.
class Promoted {
 public:
  explicit Promoted(std::span<const Tensor> xs) : parts_(xs) {
    if (xs.empty()) return;
    Dtype dtype = xs[0].dtype();
    bool alike = true;
    for (const Tensor& x : xs) alike &= x.dtype() == xs[0].dtype(), dtype = promote(dtype, x.dtype());
    if (alike) return;
    for (const Tensor& x : xs) converted_.push_back(to(x, dtype));
    parts_ = converted_;
  }
  operator std::span<const Tensor>() const { return parts_; }

 private:
  Tensors converted_;
  std::span<const Tensor> parts_;
};

void check_count(const char* op, size_t count) {
  if (count > kMaxParts)
    fail<ValueError>("[{}] {} parts; one op takes {} at most, so do it in steps", op, count, kMaxParts);
}

struct Parts {
  int dim;
  PooledVector<int64_t> sizes;
};

}  // namespace

template <>
inline constexpr bool is_attribute<Parts> = true;

Tensor cat(std::span<const Tensor> xs, int64_t dim) {
  check_count("cat", xs.size());
  const Promoted promoted(xs);
  const std::span<const Tensor> in = promoted;
  const Tensor y = raw::cat("cat", in, dim);
  Parts parts{checked_dim("cat", dim, y.rank()), {}};
  for (const Tensor& x : in) parts.sizes.push_back(x.shape()[parts.dim]);
  return record("cat", in, y, Keep::nothing(), std::move(parts), [](const Backward& b, const Parts& p) -> Gradients {
    Tensors dx(p.sizes.size());
    int64_t start = 0;
    for (size_t i = 0; i < dx.size(); start += p.sizes[i++])
      if (b.needs(static_cast<int>(i))) dx[i] = narrow(b.grad(), p.dim, start, p.sizes[i]);
    return dx;
  });
}

Tensor stack(std::span<const Tensor> xs, int64_t dim) {
  check_count("stack", xs.size());
  const Promoted promoted(xs);
  const std::span<const Tensor> in = promoted;
  const Tensor y = raw::stack("stack", in, dim);
  return record("stack", in, y, Keep::nothing(), checked_dim("stack", dim, y.rank()),
                [](const Backward& b, int d) -> Gradients {
                  Tensors dx(static_cast<size_t>(b.inputs()));
                  for (int i = 0; i < b.inputs(); ++i)
                    if (b.needs(i)) dx[static_cast<size_t>(i)] = select(b.grad(), d, i);
                  return dx;
                });
}

namespace {

// Views of x as the outputs of one op, so that the gradient of x is written once.
struct Views {
  int dim;
  int count;
  Strides strides;  ///< of x
};
template <class Rule>
Tensors views_of(const char* op, const Tensor& x, Tensors parts, int dim, Rule rule) {
  check_count(op, parts.size());
  for (Tensor& part : parts) detail::mark_view(x, part);
  record_all(op, {x}, parts, Keep::nothing(), Views{dim, static_cast<int>(parts.size()), x.strides()}, rule);
  return parts;
}

Tensors all_gradients(const Backward& b, const Views& v) {
  Tensors g;
  for (int i = 0; i < v.count; ++i) g.push_back(b.grad(i));
  return g;
}

}  // namespace

namespace {

Tensors split_as(const char* op, const Tensor& x, std::span<const int64_t> sizes, int64_t dim) {
  if (x.rank() == 0) fail<ShapeError>("[{}] a tensor of rank 0 can't be cut up", op);
  const int d = checked_dim(op, dim, x.rank());
  check_count(op, sizes.size());
  int64_t total = 0;
  bool fits = true;
  for (int64_t size : sizes) fits = !__builtin_add_overflow(total, size, &total) && size >= 0 && fits;
  if (!fits || total != x.shape()[d] || sizes.empty())
    fail<ShapeError>("[{}] {} sizes with sum {} for dimension {} of shape {}; they must be 0 or more and sum to {}", op,
                     sizes.size(), total, d, x.shape(), x.shape()[d]);
  Tensors parts;
  int64_t start = 0;
  for (int64_t size : sizes) {
    parts.push_back(raw::slice(op, x, d, start, start + size, 1));
    start += size;
  }
  return views_of("split", x, std::move(parts), d,
                  [](const Backward& b, const Views& v) -> Gradients { return {cat(all_gradients(b, v), v.dim)}; });
}

// Parts of one size, of which the last may be smaller.
Tensors split_every(const char* op, const Tensor& x, int64_t size, int64_t dim) {
  const int64_t length = x.rank() ? x.shape()[checked_dim(op, dim, x.rank())] : 0;
  check_count(op, length > 0 ? static_cast<size_t>((length - 1) / size) : 0);
  PooledVector<int64_t> sizes;
  for (int64_t left = length; left > 0 || sizes.empty(); left -= sizes.back()) sizes.push_back(std::min(size, left));
  return split_as(op, x, sizes, dim);
}

}  // namespace

Tensors split(const Tensor& x, std::span<const int64_t> sizes, int64_t dim) { return split_as("split", x, sizes, dim); }

Tensors split(const Tensor& x, int64_t size, int64_t dim) {
  const int64_t length = x.rank() ? x.shape()[checked_dim("split", dim, x.rank())] : 0;
  if (size < 0 || (size == 0 && length > 0))
    fail<ValueError>("[split] parts of size {} for dimension {} of shape {}; the size must be 1 or more", size, dim,
                     x.shape());
  return split_every("split", x, size, dim);
}

Tensors chunk(const Tensor& x, int64_t count, int64_t dim) {
  if (count < 1) fail<ValueError>("[chunk] {} parts; there must be 1 or more", count);
  const int64_t length = x.rank() ? x.shape()[checked_dim("chunk", dim, x.rank())] : 0;
  if (length > 0) return split_every("chunk", x, (length - 1) / count + 1, dim);
  check_count("chunk", static_cast<size_t>(count));
  return split_as("chunk", x, PooledVector<int64_t>(static_cast<size_t>(count), 0), dim);
}

Tensors unbind(const Tensor& x, int64_t dim) {
  if (x.rank() == 0) fail<ShapeError>("[unbind] a tensor of rank 0 can't be cut up");
  const int d = checked_dim("unbind", dim, x.rank());
  check_count("unbind", static_cast<size_t>(x.shape()[d]));
  Tensors parts;
  for (int64_t i = 0; i < x.shape()[d]; ++i) parts.push_back(raw::select("unbind", x, d, i));
  if (parts.empty()) return parts;
  return views_of("unbind", x, std::move(parts), d, [](const Backward& b, const Views& v) -> Gradients {
    if (b.creates_graph()) return {stack(all_gradients(b, v), v.dim)};
    // as x lies in memory, which often is a permutation of what was computed
    const Tensor dx = raw::empty_in_order(b.shape(0), v.strides, b.dtype(0));
    for (int i = 0; i < v.count; ++i) raw::copy_into("unbind", b.grad(i), raw::select("unbind", dx, v.dim, i));
    return {dx};
  });
}

Tensor flip(const Tensor& x, std::span<const int64_t> dims) {
  const uint32_t mask = dims.empty() ? 0 : checked_dims("flip", dims, x.rank());
  return record("flip", {x}, raw::flip(x, mask), Keep::nothing(), Dims(dims),
                [](const Backward& b, const Dims& back) -> Gradients { return {flip(b.grad(), back)}; });
}

Tensor cat(std::initializer_list<Tensor> xs, int64_t dim) { return cat(std::span(xs.begin(), xs.size()), dim); }
Tensor stack(std::initializer_list<Tensor> xs, int64_t dim) { return stack(std::span(xs.begin(), xs.size()), dim); }
Tensors split(const Tensor& x, std::initializer_list<int64_t> sizes, int64_t dim) {
  return split(x, std::span(sizes.begin(), sizes.size()), dim);
}
Tensor flip(const Tensor& x, std::initializer_list<int64_t> dims) {
  return flip(x, std::span(dims.begin(), dims.size()));
}
Tensor flip(const Tensor& x, int64_t dim) { return flip(x, {dim}); }

}  // namespace cotangent
