// Private: memory for the time of a call, from the caching allocator.
#pragma once
#include <cstddef>
#include <cstdint>

#include <cotangent/tensor/allocator.hpp>

namespace cotangent {

/// Space for `count` elements, uninitialised and 64-byte aligned.
template <class T>
class Scratch {
 public:
  explicit Scratch(int64_t count)
      : bytes_(static_cast<size_t>(count) * sizeof(T)), data_(static_cast<T*>(detail::allocate(bytes_))) {}
  ~Scratch() { detail::deallocate(data_, bytes_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  T* data() const { return data_; }
  T& operator[](int64_t i) const { return data_[i]; }

 private:
  size_t bytes_;
  T* data_;
};

/// For standard containers: the memory of a step that repeats itself comes from the step before.
template <class T>
struct PooledAllocator {
  using value_type = T;
  T* allocate(size_t n) { return static_cast<T*>(detail::allocate(n * sizeof(T))); }
  void deallocate(T* p, size_t n) { detail::deallocate(p, n * sizeof(T)); }
  bool operator==(const PooledAllocator&) const = default;
};

}  // namespace cotangent
