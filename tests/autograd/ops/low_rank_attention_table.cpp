// The op table of autograd/ops/low_rank_attention.hpp.
#include <cmath>

#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/index.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/low_rank_attention.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/softmax.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tests/autograd/op_info.hpp>

namespace cotangent {
namespace {

template <int64_t Iterations>
Results inverse(Arguments x) {
  return iterative_pseudo_inverse(x[0], Iterations);
}

// As it is written in the paper.
template <int64_t Iterations>
Results inverse_by_formula(Arguments x) {
  const Tensor a = x[0].detach(), size = abs(a);
  Tensor z = transpose(a, -2, -1) / (amax(sum(size, -2, true), -1, true) * amax(sum(size, -1, true), -2, true));
  const Tensor one = eye(a.size(-2), a.size(-2), float64);
  for (int64_t i = 0; i < Iterations; ++i) {
    const Tensor az = matmul(a, z);
    z = matmul(z, 13 * one - matmul(az, 15 * one - matmul(az, 7 * one - az))) / 4;
  }
  return z;
}

template <int64_t Landmarks>
Results attend(Arguments x) {
  return nystrom_attention(x[0], x[1], x[2],
                           {.landmarks = Landmarks,
                            .iterations = 4,
                            .query_mask = x.size() > 3 ? x[3] : Tensor(),
                            .key_mask = x.size() > 3 ? x[3] : Tensor()});
}

// Five tokens have segments of 3 and 2. Of one sequence at a time, so that its padding can be cut out.
Results attend_by_formula(Arguments x) {
  Tensors rows;
  for (int64_t b = 0; b < x[0].size(0); ++b) {
    std::vector<int64_t> own;
    for (int64_t t = 0; t < x[0].size(2); ++t)
      if (x.size() < 4 || x[3][b][t].item<bool>()) own.push_back(t);
    const Tensor places = from_vector(own, {static_cast<int64_t>(own.size())});
    const auto kept = [&](const Tensor& v) { return index_select(narrow(v.detach(), 0, b, 1), 2, places); };
    const int64_t n = places.size(0), first = (n + 1) / 2;
    const auto means = [&](const Tensor& v) {
      return cat({mean(narrow(v, 2, 0, first), 2, true), mean(narrow(v, 2, first, n - first), 2, true)}, 2);
    };
    const Tensor k = kept(x[1]), q = kept(x[0]), ql = means(q), kl = means(k), v = kept(x[2]);
    const double scale = 1 / std::sqrt(static_cast<double>(q.size(3)));
    const auto soft = [&](const Tensor& a, const Tensor& c) {
      return softmax(matmul(a, transpose(c, 2, 3)) * scale, -1);
    };
    const Tensor z = iterative_pseudo_inverse(soft(ql, kl), 4);
    rows.push_back(matmul(soft(narrow(x[0].detach(), 0, b, 1), kl), matmul(z, matmul(soft(ql, k), v))));
  }
  return cat(rows, 0);
}

}  // namespace

COTANGENT_OP_TABLE(low_rank_attention) {
  const InputSpec q = normal({2, 1, 5, 2}), v = normal({2, 1, 5, 3});
  const InputSpec kept = values({2, 5}, {1, 0, 1, 1, 1, 0, 0, 1, 1, 0}, boolean);
  return {{"iterative_pseudo_inverse",
           {{{normal({3, 3})}, inverse<2>, inverse_by_formula<2>},
            {{normal({2, 2, 3})}, inverse<3>, inverse_by_formula<3>},
            {{normal({3, 2})}, inverse<0>, inverse_by_formula<0>}},
           {{{normal({3})}, inverse<1>, "it must be matrices"},
            {{normal({3, 3})}, inverse<-1>, "-1 iterations"},
            {{integers({2, 2}, 0, 3)}, inverse<1>, "it must be floating"}}},
          {"nystrom_attention",
           {{{q, q, v}, attend<2>, attend_by_formula}, {{q, q, v, kept}, attend<2>, attend_by_formula}},
           {{{q, q, v}, attend<0>, "number of landmarks of 0"},
            {{q, normal({2, 1, 4, 3}), v}, attend<2>, "do not fit together"},
            {{q, q, v, booleans({5, 2})}, attend<2>, "the key_mask is (5, 2)"}}}};
}

}  // namespace cotangent
