#include <cotangent/nn/position.hpp>

#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>

namespace cotangent::nn {

Tensor Position::query(const Tensor& q, int64_t) const { return q; }
Tensor Position::key(const Tensor& k, int64_t) const { return k; }
Tensor Position::bias(const Tensor&, int64_t, Dtype) const { return {}; }

Tensor distances(int64_t queries, int64_t keys, int64_t first_query) {
  return unsqueeze(arange(first_query, first_query + queries), 1) - arange(keys);
}

}  // namespace cotangent::nn
