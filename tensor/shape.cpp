#include <cotangent/tensor/shape.hpp>

#include <fmt/format.h>

#include <cotangent/tensor/format_internal.hpp>

namespace cotangent {

Dims::Dims(const int64_t* values, size_t count) : size_(static_cast<int32_t>(count)) {
  if (count > kMaxRank)
    fail<ShapeError>("[shape] rank {} is too large; tensors have at most {} dimensions", count, kMaxRank);
  for (size_t i = 0; i < count; ++i) values_[i] = values[i];
}

Dims Dims::filled(int rank, int64_t value) {
  if (rank > kMaxRank)
    fail<ShapeError>("[shape] rank {} is too large; tensors have at most {} dimensions", rank, kMaxRank);
  Dims d;
  d.size_ = rank;
  for (int i = 0; i < rank; ++i) d.values_[i] = value;
  return d;
}

void Dims::insert(int position, int64_t value) {
  if (size_ == kMaxRank)
    fail<ShapeError>("[shape] rank {} is too large; tensors have at most {} dimensions", size_ + 1, kMaxRank);
  for (int i = size_++; i > position; --i) values_[i] = values_[i - 1];
  values_[position] = value;
}

void Dims::erase(int position) {
  --size_;
  for (int i = position; i < size_; ++i) values_[i] = values_[i + 1];
}

int Dims::from_end(int i) const {
  if (i < -size_ || i >= size_)
    fail<IndexError>("[shape] index {} is out of range for {} with {} entries; it must be from {} to {}", i, *this,
                     size_, -size_, size_ - 1);
  return i + size_;
}

DimList::operator std::span<const int64_t>() const { return {dims_.data(), dims_.size()}; }

void Dims::check_product(const char* op) const {
  int64_t p = 1;
  bool wraps = false;
  for (int64_t v : *this) wraps |= v != 0 && __builtin_mul_overflow(p, v, &p);
  if (!wraps) return;
  fail<ShapeError>("[{}] the sizes {} multiply to more than 64 bits hold; their product must be below 2^63", op, *this);
}

std::string to_string(const Dims& dims) {
  return fmt::format("({}{})", fmt::join(dims.begin(), dims.end(), ", "), dims.rank() == 1 ? "," : "");
}

Strides contiguous_strides(const Shape& shape) {
  Strides strides = shape;
  int64_t step = 1;
  for (int d = shape.rank() - 1; d >= 0; --d) {
    strides[d] = step;
    step *= std::max<int64_t>(shape[d], 1);
  }
  return strides;
}

Shape broadcast_shapes(const char* op, const Shape& a, const Shape& b) {
  const Shape& longer = a.rank() >= b.rank() ? a : b;
  const Shape& shorter = a.rank() >= b.rank() ? b : a;
  Shape result = longer;
  const int skip = longer.rank() - shorter.rank();
  for (int d = 0; d < shorter.rank(); ++d) {
    int64_t& size = result[skip + d];
    if (size == shorter[d] || shorter[d] == 1) continue;
    if (size != 1)
      fail<ShapeError>(
          "[{}] shapes {} and {} do not broadcast: dimension {} from the right is {} and {}; sizes must be equal or 1",
          op, a, b, shorter.rank() - d, a[a.rank() - (shorter.rank() - d)], b[b.rank() - (shorter.rank() - d)]);
    size = shorter[d];
  }
  return result;
}

int checked_dim(const char* op, int64_t dim, int rank) {
  const int64_t limit = std::max(rank, 1);
  if (dim < -limit || dim >= limit)
    fail<IndexError>("[{}] dimension {} is out of range for a tensor of rank {}; it must be from {} to {}", op, dim,
                     rank, -limit, limit - 1);
  return static_cast<int>(dim < 0 ? dim + limit : dim);
}

uint32_t checked_dims(const char* op, std::span<const int64_t> dims, int rank) {
  if (dims.empty()) return rank == 0 ? 1u : (1u << rank) - 1;
  uint32_t mask = 0;
  for (int64_t dim : dims) {
    const uint32_t bit = 1u << checked_dim(op, dim, rank);
    if (mask & bit) fail<IndexError>("[{}] dimension {} is given twice; each may appear once", op, dim);
    mask |= bit;
  }
  return mask;
}

}  // namespace cotangent
