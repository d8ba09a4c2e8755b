#pragma once
// Random tensors, and the same elements in another layout.
#include <algorithm>
#include <cmath>

#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tests/values.hpp>

namespace cotangent {

struct Random {
  uint64_t state = 1;
  double operator()(double low, double high) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return low + (high - low) * static_cast<double>(state >> 11) * 0x1p-53;
  }
};

/// Random values that the dtype holds exactly; every fourth is a whole number, so that some are equal.
inline Tensor random_tensor(Random& random, const Shape& shape, double low, double high, Dtype dtype) {
  Values v(static_cast<size_t>(shape.product()));
  for (size_t i = 0; i < v.size(); ++i) {
    v[i] = random(low, high);
    if (i % 4 == 3) v[i] = std::min(std::max(std::round(v[i]), low), high);
  }
  return raw::cast(from_vector(v, shape), dtype);
}

/// The same values at every second place.
inline Tensor spread(const Tensor& x) {
  Shape larger = x.shape();
  larger.push_back(2);
  const Tensor y = select(full(larger, 1, x.dtype()), -1, 0).detach();
  raw::copy_into("spread", x, y);
  return y;
}

}  // namespace cotangent
