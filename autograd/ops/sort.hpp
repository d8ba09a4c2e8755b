#pragma once
// Orders along a dimension. NaN counts as larger than every number, as in PyTorch. Gradients go to where a value came
// from; where the order changes there is none, and that of the order that was found is taken.
#include <cotangent/tensor/tensor.hpp>

namespace cotangent {

/// Values in order and where each was: values = gather(x, dim, indices), with int64 indices.
struct SortResult {
  Tensor values;
  Tensor indices;
};

/// x in ascending or descending order along `dim`. Equal values keep their order (the sort is stable).
///   dx = dvalues added at the indices
SortResult sort(const Tensor& x, int64_t dim = -1, bool descending = false);
/// The indices of sort.
Tensor argsort(const Tensor& x, int64_t dim = -1, bool descending = false);
/// The k largest (or smallest) along `dim`, of equal values those that come first; from the best on, or in any order
/// unless `sorted`.   (.., n, ..) -> (.., k, ..);   dx = dvalues at the indices, 0 elsewhere A ValueError unless 0 <= k
/// <= n.
SortResult topk(const Tensor& x, int64_t k, int64_t dim = -1, bool largest = true, bool sorted = true);

}  // namespace cotangent
