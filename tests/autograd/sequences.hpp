#pragma once
// What the tests of sequence functions share: causality, and sequences in parts.
#include <catch2/catch.hpp>

#include <cotangent/autograd/engine.hpp>
#include <cotangent/autograd/modes.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/view.hpp>

namespace cotangent {

/// max |a - b|; infinity for other shapes or a NaN.
inline double largest_difference(const Tensor& a, const Tensor& b) {
  if (a.shape() != b.shape()) return std::numeric_limits<double>::infinity();
  const double d = max(abs(a.detach() - b.detach())).item();
  return d == d ? d : std::numeric_limits<double>::infinity();
}

/// Checks of f(x), with positions along `dim` of x and of the result: a change of x at t changes nothing before t, not
/// by one bit, but something from t on; and the gradient of what comes before t is 0 at t. A transform of the whole
/// sequence rounds by all of it: with a tolerance of more than 0, it may change as much.
template <class F>
void check_causal(const Tensor& x, int64_t dim, F f, double tolerance = 0) {
  const Tensor before = f(x).detach();
  const int64_t length = x.size(dim);
  for (int64_t t = 0; t < length; ++t) {
    INFO("position " << t << " of " << length);
    Tensor changed = x.detach().clone();
    changed.narrow(dim, t, 1).add_(1.5);
    const Tensor after = f(changed).detach();
    if (tolerance == 0) CHECK(equal(after.narrow(dim, 0, t), before.narrow(dim, 0, t)));
    if (t > 0) CHECK(largest_difference(after.narrow(dim, 0, t), before.narrow(dim, 0, t)) <= tolerance);
    CHECK_FALSE(equal(after.narrow(dim, t, length - t), before.narrow(dim, t, length - t)));
  }
  Tensor leaf = x.detach().clone().requires_grad_();
  const Tensor y = f(leaf);
  const int64_t t = length / 2;
  const Tensor g = grad({sum(square(y.narrow(dim, 0, t)))}, {leaf})[0];
  CHECK(max(abs(g.narrow(dim, t, length - t))).item() <= tolerance);
  CHECK(max(abs(g)).item() > 0);
}

/// f(first, count) for parts of these lengths, joined.
template <class F>
Tensor in_parts(std::initializer_list<int64_t> lengths, int64_t dim, F f) {
  Tensors parts;
  int64_t first = 0;
  for (int64_t count : lengths) {
    parts.push_back(f(first, count));
    first += count;
  }
  return cat(parts, dim);
}

}  // namespace cotangent
