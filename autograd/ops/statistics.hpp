#pragma once
// Reductions of floating tensors to their spread and size. `dims` empty means all; the reduced dimensions go, or
// stay with size 1 under `keepdim`. n is the number of elements that become one, m their mean, y the result and dy its
// gradient.
#include <cotangent/autograd/ops/reduce.hpp>

namespace cotangent {

struct VarOptions {
  double correction = 1;  ///< the divisor is n - correction (0 if that is negative): 1 is Bessel's, 0 the population's
  bool keepdim = false;
};
/// The variance sum((x - m)^2) / (n - correction); NaN if the divisor and the sum are 0.
///   dx = 2 dy (x - m) / (n - correction)
Tensor var(const Tensor& x, const DimList& dims = {}, const VarOptions& options = {});
/// The standard deviation sqrt(var(x)).   dx = dy (x - m) / (y (n - correction)), 0 where y = 0
Tensor std(const Tensor& x, const DimList& dims = {}, const VarOptions& options = {});

/// log(sum(exp(x))), shifted by the maximum so that it never overflows; -infinity where all elements are, or of none.
///   dx = dy exp(x - y), 0 where y = -infinity
Tensor logsumexp(const Tensor& x, const DimList& dims = {}, bool keepdim = false);

/// The size (sum |x|^p)^(1/p) of a vector: the Euclidean one for p = 2; max |x| for p = infinity, min |x| for
/// -infinity, the number of elements other than 0 for p = 0.
///   dx = dy sign(x) (|x| / y)^(p - 1), and 0 where x or y is; for p = infinity dy goes in equal shares to the largest
Tensor norm(const Tensor& x, double p = 2, const DimList& dims = {}, bool keepdim = false);

}  // namespace cotangent
