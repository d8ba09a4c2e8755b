#pragma once
// The calls that take sizes, with an integer drawn by chance in each place for one.
#include <cotangent/tests/autograd/op_samples.hpp>

namespace cotangent {

/// What a call is made of.
class Draw {
 public:
  explicit Draw(uint64_t seed) : random_(seed) {}
  /// Below n.
  int64_t below(int64_t n) { return static_cast<int64_t>(random_.bits() % static_cast<uint64_t>(n)); }
  /// An edge of what integers hold, or a small one.
  int64_t integer();
  /// Such an integer, or a floating-point number at an edge of what dtypes hold.
  Scalar number();
  /// Mostly from 1 to 3, so that calls get beyond their first check.
  int64_t likely() { return below(3) ? 1 + below(3) : integer(); }
  /// So many integers, all small but one.
  Dims integers(int count);
  Dtype dtype();
  /// A tensor of any dtype, with its elements in any order in memory; floating ones alone where asked for.
  Tensor tensor(const Shape& shape, bool floating = false);
  /// The same in another dtype or layout.
  Tensor varied(const Tensor& x);

 private:
  SampleRandom random_;
};

struct Call {
  const char* name;
  void (*make)(Draw& draw);
};
const std::vector<Call>& calls();

}  // namespace cotangent
