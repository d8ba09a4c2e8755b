// The op table of autograd/ops/sort.hpp.
#include <algorithm>
#include <numeric>

#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/index.hpp>
#include <cotangent/autograd/ops/index_internal.hpp>
#include <cotangent/autograd/ops/sort.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/sort.hpp>
#include <cotangent/tests/autograd/op_info.hpp>

namespace cotangent {
namespace {

// Each row of a matrix, sorted by the standard library: its first k values and their indices.
Tensors by_rows(const Tensor& x, int64_t k, bool descending) {
  const int64_t rows = x.size(0), n = x.size(1);
  const Tensor values = zeros({rows, k}, float64), indices = zeros({rows, k}, int64);
  for (int64_t r = 0; r < rows; ++r) {
    const std::vector<double> row = x.select(0, r).to_vector<double>();
    std::vector<int64_t> order(static_cast<size_t>(n));
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
      const double va = row[static_cast<size_t>(a)], vb = row[static_cast<size_t>(b)];
      return descending ? va > vb : va < vb;
    });
    for (int64_t i = 0; i < k; ++i) {
      indices.data<int64_t>()[r * k + i] = order[static_cast<size_t>(i)];
      values.data<double>()[r * k + i] = row[static_cast<size_t>(order[static_cast<size_t>(i)])];
    }
  }
  return {values, indices};
}
Results list(const SortResult& r) { return Tensors{r.values, r.indices}; }
Tensors transposed(const Tensors& xs) { return {xs[0].t(), xs[1].t()}; }

}  // namespace

COTANGENT_OP_TABLE(sort) {
  return {
      {.name = "sort",
       .samples = {{{distinct({3, 4})},
                    [](Arguments x) -> Results { return list(sort(x[0])); },
                    [](Arguments x) -> Results { return by_rows(x[0], 4, false); }},
                   {{distinct({4, 3})},
                    [](Arguments x) -> Results { return list(sort(x[0], 0, true)); },
                    [](Arguments x) -> Results { return transposed(by_rows(x[0].t(), 4, true)); }},
                   {{distinct({2, 1})},
                    [](Arguments x) -> Results { return list(sort(x[0], -1)); },
                    [](Arguments x) -> Results { return by_rows(x[0], 1, false); }},
                   {{distinct({})},
                    [](Arguments x) -> Results { return list(sort(x[0])); },
                    [](Arguments x) -> Results {
                      return Tensors{clone(x[0]), zeros({}, int64)};
                    }}},
       .errors = {{{normal({3})}, [](Arguments x) -> Results { return list(sort(x[0], 1)); }, "[sort] dimension 1"}},
       .recorded_as = {"gather", "scatter_sum"}},
      {.name = "argsort",
       .samples = {{{constant(distinct({3, 4}))},
                    [](Arguments x) -> Results { return argsort(x[0], 1, true); },
                    [](Arguments x) -> Results { return by_rows(x[0], 4, true)[1]; }}},
       .errors = {{{normal({3})}, [](Arguments x) -> Results { return argsort(x[0], -2); }, "[argsort] dimension -2"}},
       .orders = 0},
      {.name = "topk",
       .samples = {{{distinct({3, 5})},
                    [](Arguments x) -> Results { return list(topk(x[0], 2)); },
                    [](Arguments x) -> Results { return by_rows(x[0], 2, true); }},
                   {{distinct({5, 2})},
                    [](Arguments x) -> Results { return list(topk(x[0], 3, 0, false)); },
                    [](Arguments x) -> Results { return transposed(by_rows(x[0].t(), 3, false)); }},
                   {{distinct({1, 20})},
                    [](Arguments x) -> Results { return list(topk(x[0], 2, -1)); },
                    [](Arguments x) -> Results { return by_rows(x[0], 2, true); }},
                   {{distinct({2, 4})},
                    [](Arguments x) -> Results { return sort(topk(x[0], 3, 1, true, false).values, 1, true).values; },
                    [](Arguments x) -> Results { return by_rows(x[0], 3, true)[0]; }}},
       .errors = {{{normal({3})},
                   [](Arguments x) -> Results { return list(topk(x[0], 4)); },
                   "[topk] k is 4 for dimension 0 of shape (3,); it must be from 0 to 3"}},
       .recorded_as = {"gather", "scatter_sum", "sort"}},
  };
}

}  // namespace cotangent
