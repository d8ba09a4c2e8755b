#pragma once
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

namespace cotangent {

/// The largest rank of a tensor. Shapes and strides are stored inline, so a tensor costs no heap allocation for them.
inline constexpr int kMaxRank = 12;

/// A short list of sizes or strides, stored inline.
class Dims {
 public:
  Dims() noexcept : size_(0) {}
  Dims(std::initializer_list<int64_t> values) : Dims(values.begin(), values.size()) {}
  /// Of a std::span, vector or array of int64_t.
  template <class List>
  requires requires(const List& list, const int64_t* values) { values = list.data(), list.size(); }
  Dims(const List& list) : Dims(list.data(), list.size()) {}
  Dims(const Dims& other) noexcept : size_(other.size_) { copy(other); }
  Dims& operator=(const Dims& other) noexcept {
    size_ = other.size_;
    copy(other);
    return *this;
  }
  /// `rank` entries of `value`.
  static Dims filled(int rank, int64_t value);

  int rank() const { return size_; }
  size_t size() const { return static_cast<size_t>(size_); }
  bool empty() const { return size_ == 0; }
  /// -1 is the last entry; an IndexError beyond the entries.
  [[gnu::always_inline]] int64_t operator[](int i) const { return values_[checked(i)]; }
  [[gnu::always_inline]] int64_t& operator[](int i) { return values_[checked(i)]; }
  int64_t back() const { return values_[size_ - 1]; }
  int64_t& back() { return values_[size_ - 1]; }
  const int64_t* begin() const { return values_; }
  const int64_t* end() const { return values_ + size_; }
  int64_t* begin() { return values_; }
  int64_t* end() { return values_ + size_; }
  const int64_t* data() const { return values_; }
  int64_t* data() { return values_; }

  void push_back(int64_t value) { insert(size_, value); }
  void insert(int position, int64_t value);  ///< throws a ShapeError beyond kMaxRank
  void erase(int position);
  /// The entries from `first` up to `last` (exclusive).
  Dims slice(int first, int last) const { return Dims(values_ + first, static_cast<size_t>(last - first)); }

  /// The product of the entries: 1 for none. A ShapeError names `op` where 64 bits do not hold the product of those
  /// that are not 0, so that whatever strides and sizes of parts are computed from them fit, too.
  int64_t product(const char* op = "shape") const {
    int64_t p = 1;
    bool wraps = false;
    for (int64_t v : *this) wraps |= __builtin_mul_overflow(p, v, &p);
    if (wraps || p == 0) [[unlikely]]
      check_product(op);
    return p;
  }
  friend bool operator==(const Dims& a, const Dims& b) {
    if (a.size_ != b.size_) return false;
    for (int i = 0; i < a.size_; ++i)
      if (a.values_[i] != b.values_[i]) return false;
    return true;
  }

 private:
  Dims(const int64_t* values, size_t count);
  // The loops of the library itself, which stay within the entries, are compiled without the check: it would cost the
  // smallest ops 3 % of their instructions.
  [[gnu::always_inline]] int checked(int i) const {
#ifndef COTANGENT_TRUSTED_INDICES
    if (static_cast<unsigned>(i) >= static_cast<unsigned>(size_)) [[unlikely]]
      return from_end(i);
#endif
    return i;
  }
  int from_end(int i) const;
  void check_product(const char* op) const;
  // Every op copies shapes, most of them short: a fixed length costs neither a loop nor a call.
  void copy(const Dims& other) noexcept {
    if (size_ <= kShort)
      __builtin_memcpy(values_, other.values_, kShort * sizeof(int64_t));
    else
      __builtin_memcpy(values_, other.values_, sizeof values_);
  }
  static constexpr int kShort = 4;
  int32_t size_;
  int64_t values_[kMaxRank];
};

using Shape = Dims;
using Strides = Dims;

/// A list of dimensions as an argument: `sum(x, {0, -1})`, `sum(x, 1)`, `sum(x)` (all).
class DimList {
 public:
  DimList() = default;
  DimList(int64_t dim) : dims_{dim} {}
  DimList(int dim) : dims_{dim} {}
  DimList(std::initializer_list<int64_t> dims) : dims_(dims) {}
  /// Of Dims, a std::span, vector or array of int64_t.
  template <class List>
  requires requires(const List& list, const int64_t* values) { values = list.data(); }
  DimList(const List& dims) : dims_(dims) {}
  operator std::span<const int64_t>() const;

 private:
  Dims dims_;
};

/// "(2, 3)", "(4,)", "()".
std::string to_string(const Dims& dims);

/// Strides of a dense row-major tensor.
Strides contiguous_strides(const Shape& shape);

/// The shape of `a op b` by NumPy's rule: align at the right; sizes must be equal or 1. A ShapeError names `op`.
Shape broadcast_shapes(const char* op, const Shape& a, const Shape& b);

/// `dim` as an index from 0, where -1 is the last of `rank` dimensions; an IndexError names `op`.
/// A tensor of rank 0 takes -1 and 0, as if it had one dimension.
int checked_dim(const char* op, int64_t dim, int rank);

/// A set of dimensions as a bit mask; none given means all. An IndexError names `op` for one out of range or twice.
uint32_t checked_dims(const char* op, std::span<const int64_t> dims, int rank);

}  // namespace cotangent
