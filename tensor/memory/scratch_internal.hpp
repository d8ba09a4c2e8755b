// Private: memory for the time of a call, from the caching allocator.
#pragma once
#include <cstddef>
#include <cstdint>

#include <cotangent/tensor/memory/allocator.hpp>

namespace cotangent {

/// Space for `count` elements, uninitialised and 64-byte aligned.
template <class T>
class Scratch {
 public:
  explicit Scratch(int64_t count) : bytes_(bytes_of(count)), data_(static_cast<T*>(detail::allocate(bytes_))) {}
  ~Scratch() { detail::deallocate(data_, bytes_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  T* data() const { return data_; }
  T& operator[](int64_t i) const { return data_[i]; }

 private:
  static size_t bytes_of(int64_t count) {  // more than there are, where they wrap
    size_t bytes;
    return __builtin_mul_overflow(count, static_cast<int64_t>(sizeof(T)), &bytes) ? SIZE_MAX : bytes;
  }
  size_t bytes_;
  T* data_;
};

}  // namespace cotangent
