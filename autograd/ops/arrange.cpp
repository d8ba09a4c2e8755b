#include <cotangent/autograd/ops/arrange.hpp>

#include <algorithm>

#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/index.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/autograd/record.hpp>
#include <cotangent/tensor/arrange.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent {

// ---- padding ----

namespace {

struct Sides {
  Dims before, after;
  Shape shape;  // of the padded tensor
};

Sides checked_sides(const Tensor& x, std::span<const int64_t> sizes) {
  const int rank = x.rank();
  if (sizes.size() % 2 != 0 || sizes.size() > 2 * static_cast<size_t>(rank))
    fail<ShapeError>("[pad] {} sizes for shape {}; there must be two for each padded dimension, from the last one on",
                     sizes.size(), x.shape());
  Sides sides{Dims::filled(rank, 0), Dims::filled(rank, 0), x.shape()};
  for (size_t i = 0; i < sizes.size(); i += 2) {
    const int d = rank - 1 - static_cast<int>(i / 2);
    const int64_t before = sizes[i], after = sizes[i + 1], n = x.shape()[d];
    if (before < -n || after < -n || std::min<int64_t>(before, 0) + std::min<int64_t>(after, 0) < -n)
      fail<ShapeError>("[pad] {} and {} elements around dimension {} of shape {}; it has only {} to take away", before,
                       after, d, x.shape(), n);
    sides.before[d] = before, sides.after[d] = after;
    if (__builtin_add_overflow(n, before, &sides.shape[d]) ||
        __builtin_add_overflow(sides.shape[d], after, &sides.shape[d]))
      fail<ShapeError>("[pad] {} and {} elements around {} are more than 64 bits count", before, after, n);
  }
  return sides;
}

struct Inner {
  Dims before;
  Shape shape;
};

Tensor pad_constant(const Tensor& x, const Sides& sides, const Scalar& value) {
  Tensor inner = x;
  Dims before = sides.before;
  for (int d = 0; d < x.rank(); ++d) {
    const int64_t from = std::max<int64_t>(-before[d], 0), less = from + std::max<int64_t>(-sides.after[d], 0);
    if (less > 0) inner = narrow(inner, d, from, x.shape()[d] - less);
    before[d] = std::max<int64_t>(before[d], 0);
  }
  return record("pad", {inner}, raw::pad(inner, before, sides.shape, value), Keep::nothing(),
                Inner{before, inner.shape()}, [](const Backward& b, const Inner& in) -> Gradients {
                  Tensor dx = b.grad();
                  for (int d = 0; d < in.shape.rank(); ++d)
                    if (dx.shape()[d] != in.shape[d]) dx = narrow(dx, d, in.before[d], in.shape[d]);
                  return {dx};
                });
}

// Which element a place `i` before, in or after a line of n shows.
int64_t shown(int64_t i, int64_t n, PadMode mode) {
  if (mode == PadMode::replicate) return std::clamp<int64_t>(i, 0, n - 1);
  const int64_t period = mode == PadMode::circular ? n : 2 * (n - 1);
  i = (i % period + period) % period;
  return i < n ? i : period - i;
}

Tensor pad_repeating(const Tensor& x, const Sides& sides, PadMode mode) {
  Tensor y = x;
  for (int d = x.rank() - 1; d >= 0; --d) {
    const int64_t before = sides.before[d], n = x.shape()[d];
    if (before == 0 && sides.after[d] == 0) continue;
    if (n < (mode == PadMode::reflect ? 2 : 1))
      fail<ShapeError>("[pad] dimension {} of shape {} has {} elements, too few to {}", d, x.shape(), n,
                       mode == PadMode::reflect ? "reflect: it takes 2" : "repeat: it takes 1");
    const Tensor places = empty({sides.shape[d]}, int64);
    int64_t* p = places.data<int64_t>();
    for (int64_t i = 0; i < places.numel(); ++i) p[i] = shown(i - before, n, mode);
    y = index_select(y, d, places);
  }
  return y.shares_storage(x) ? clone(y) : y;
}

}  // namespace

Tensor pad(const Tensor& x, std::span<const int64_t> sizes, PadMode mode, const Scalar& value) {
  const Sides sides = checked_sides(x, sizes);
  return mode == PadMode::constant ? pad_constant(x, sides, value) : pad_repeating(x, sides, mode);
}
Tensor pad(const Tensor& x, std::initializer_list<int64_t> sizes, PadMode mode, const Scalar& value) {
  return pad(x, std::span(sizes.begin(), sizes.size()), mode, value);
}

// ---- rolling ----

namespace {

Tensor rolled(const Tensor& x, const Dims& shifts) {
  return record("roll", {x}, raw::roll(x, shifts), Keep::nothing(), shifts,
                [](const Backward& b, const Dims& forth) -> Gradients {
                  Dims back = forth;
                  for (int d = 0; d < back.rank(); ++d)
                    if (back[d] > 0) back[d] = b.grad().shape()[d] - back[d];
                  return {rolled(b.grad(), back)};
                });
}

}  // namespace

Tensor roll(const Tensor& x, const DimList& shifts, const DimList& dims) {
  const std::span<const int64_t> by = shifts, along = dims;
  if (by.size() != along.size())
    fail<ValueError>("[roll] {} shifts for {} dimensions; there must be one for each", by.size(), along.size());
  Dims sum = Dims::filled(x.rank(), 0);
  for (size_t i = 0; i < by.size(); ++i) {
    const int d = checked_dim("roll", along[i], x.rank());
    const int64_t n = x.rank() ? x.shape()[d] : 1;
    if (n > 1) sum[d] = ((sum[d] + by[i] % n) % n + n) % n;
  }
  return rolled(x, sum);
}

Tensor roll(const Tensor& x, int64_t shift) { return reshape(roll(flatten(x), DimList(shift), DimList(0)), x.shape()); }

// ---- repeating ----

Tensor repeat(const Tensor& x, const Shape& repeats) {
  if (repeats.rank() < x.rank())
    fail<ShapeError>("[repeat] {} numbers for shape {}; there must be one for each dimension at least", repeats.rank(),
                     x.shape());
  for (int64_t r : repeats)
    if (r < 0) fail<ValueError>("[repeat] {} repetitions; there must be 0 or more", r);
  // a dimension of the repetitions in front of each dimension that has elements of its own
  Tensor view = x;
  for (int d = x.rank(); d < repeats.rank(); ++d) view = unsqueeze(view, 0);
  Shape shape, repeated;
  for (int d = 0, at = 0; d < repeats.rank(); ++d, ++at) {
    const int64_t n = view.shape()[at], r = repeats[d];
    shape.push_back(Dims{n, r}.product("repeat"));
    if (n != 1 && r != 1) view = unsqueeze(view, at++), repeated.push_back(r);
    repeated.push_back(n == 1 ? r : n);
  }
  return reshape(clone(expand(view, repeated)), shape);
}

Tensor tile(const Tensor& x, const Shape& repeats) {
  Shape all = repeats;
  while (all.rank() < x.rank()) all.insert(0, 1);
  return repeat(x, all);
}

namespace {

struct Interleaved {
  Tensor x;
  int dim;
};
Interleaved to_interleave(const Tensor& x, std::optional<int64_t> dim) {
  if (!dim) return {flatten(x), 0};
  if (x.rank() == 0) return {reshape(x, {1}), checked_dim("repeat_interleave", *dim, 0)};
  return {x, checked_dim("repeat_interleave", *dim, x.rank())};
}

}  // namespace

Tensor repeat_interleave(const Tensor& x, int64_t repeats, std::optional<int64_t> dim) {
  if (repeats < 0) fail<ValueError>("[repeat_interleave] {} repetitions; there must be 0 or more", repeats);
  const auto [lines, d] = to_interleave(x, dim);
  Shape shape = lines.shape(), repeated = shape;
  shape[d] = Dims{shape[d], repeats}.product("repeat_interleave");
  repeated.insert(d + 1, repeats);
  return reshape(clone(expand(unsqueeze(lines, d + 1), repeated)), shape);
}

Tensor repeat_interleave(const Tensor& x, const Tensor& repeats, std::optional<int64_t> dim) {
  const auto [lines, d] = to_interleave(x, dim);
  const int64_t n = lines.shape()[d];
  if (!is_integral(repeats.dtype()))
    fail<DTypeError>("[repeat_interleave] the numbers of repetitions are {}; they must be integers", repeats.dtype());
  if (repeats.rank() > 1 || (repeats.numel() != 1 && repeats.numel() != n))
    fail<ShapeError>(
        "[repeat_interleave] numbers of repetitions of shape {} for dimension {} of shape {}; it must be ({},)",
        repeats.shape(), d, lines.shape(), n);
  if (repeats.numel() == 1 && n != 1) return repeat_interleave(lines, repeats.item<int64_t>(), d);
  const auto counts = repeats.to_vector<int64_t>();
  int64_t total = 0;
  for (int64_t r : counts) {
    if (r < 0) fail<ValueError>("[repeat_interleave] {} repetitions; there must be 0 or more", r);
    if (__builtin_add_overflow(total, r, &total)) total = INT64_MAX;
  }
  const Tensor places = empty({total}, int64);
  int64_t* p = places.data<int64_t>();
  for (int64_t i = 0; i < n; ++i) p = std::fill_n(p, counts[static_cast<size_t>(i)], i);
  return index_select(lines, d, places);
}

}  // namespace cotangent
