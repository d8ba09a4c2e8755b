// The op table of autograd/ops/linalg.hpp.
#include <cstring>

#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/matmul.hpp>
#include <cotangent/tests/autograd/op_info.hpp>

namespace cotangent {
namespace {

/// The product by its definition, for operands of rank 2 or more.
Tensor naive_product(const Tensor& a, const Tensor& b) {
  Shape shape = broadcast_shapes("reference", a.shape().slice(0, a.rank() - 2), b.shape().slice(0, b.rank() - 2));
  const int64_t m = a.size(-2), k = a.size(-1), n = b.size(-1), count = shape.product();
  Shape shape_a = shape, shape_b = shape;
  shape_a.push_back(m), shape_a.push_back(k), shape_b.push_back(k), shape_b.push_back(n);
  shape.push_back(m), shape.push_back(n);
  const std::vector<double> x = expand(a.detach(), shape_a).to_vector<double>(),
                            z = expand(b.detach(), shape_b).to_vector<double>();
  std::vector<double> y(static_cast<size_t>(count * m * n), 0.0);
  for (int64_t i = 0; i < count; ++i)
    for (int64_t r = 0; r < m; ++r)
      for (int64_t c = 0; c < n; ++c)
        for (int64_t l = 0; l < k; ++l)
          y[static_cast<size_t>((i * m + r) * n + c)] +=
              x[static_cast<size_t>((i * m + r) * k + l)] * z[static_cast<size_t>((i * k + l) * n + c)];
  return from_vector(y, shape);
}
Results call_matmul(Arguments x) { return matmul(x[0], x[1]); }
Results naive(Arguments x) { return naive_product(x[0], x[1]); }
Results call_linear(Arguments x) { return linear(x[0], x[1], x.size() > 2 ? x[2] : Tensor()); }
Results naive_linear(Arguments x) {
  const Tensor rows = reshape(x[0].detach(), {x[0].numel() / x[1].size(1), x[1].size(1)});
  Tensor y = naive_product(rows, transpose(x[1].detach(), 0, 1));
  if (x.size() > 2) y = y + x[2].detach();
  Shape shape = x[0].shape();
  shape.back() = x[1].size(0);
  return reshape(y, shape);
}
Results call_addmm(Arguments x) { return addmm(x[0], x[1], x[2], 0.5, -2); }
Results naive_addmm(Arguments x) { return x[0].detach() * 0.5 + naive_product(x[1], x[2]) * -2; }
Results call_outer(Arguments x) { return outer(x[0], x[1]); }

}  // namespace

COTANGENT_OP_TABLE(linalg) {
  return {
      {"matmul",
       {{{normal({2, 3}), normal({3, 4})}, call_matmul, naive},
        {{normal({1, 1}), normal({1, 1})}, call_matmul, naive},
        {{normal({2, 2, 3}), normal({2, 3, 2})}, call_matmul, naive},
        {{normal({2, 2, 3}), normal({3, 2})}, call_matmul, naive},
        {{normal({2, 3}), normal({2, 3, 2})}, call_matmul, naive},
        {{normal({2, 1, 2, 2}), normal({3, 2, 1})}, call_matmul, naive},
        {{normal({2, 1, 1, 3}), normal({1, 2, 3, 1})}, call_matmul, naive},
        {{normal({3}), normal({3})},
         call_matmul,
         [](Arguments x) -> Results { return sum(x[0].detach() * x[1].detach()); }},
        {{normal({2, 3}), normal({3})},
         call_matmul,
         [](Arguments x) -> Results { return sum(x[0].detach() * x[1].detach(), 1); }},
        {{normal({3}), normal({2, 3, 2})},
         call_matmul,
         [](Arguments x) -> Results { return sum(unsqueeze(x[0].detach(), 1) * x[1].detach(), 1); }},
        {{normal({2, 0}), normal({0, 3})}, call_matmul, naive},
        {{normal({0, 2}), normal({2, 3})}, call_matmul, naive},
        {{integers({2, 3}, -5, 5), integers({3, 2}, -5, 5)}, call_matmul, nullptr}},
       {{{normal({}), normal({2})}, call_matmul, "at least one dimension"},
        {{normal({3, 4}), normal({5, 2})},
         call_matmul,
         "[matmul] inner dimensions differ: a is (3, 4) and b is (5, 2); the last of a must equal the second last of "
         "b"},
        {{normal({3}), normal({2})}, call_matmul, "inner dimensions differ"},
        {{normal({2, 2, 2}), normal({3, 2, 2})}, call_matmul, "[matmul]"},
        {{normal({2, 2}), integers({2, 2}, 0, 3)}, call_matmul, "one dtype"},
        {{booleans({2, 2}), booleans({2, 2})}, call_matmul, "not defined for bool"}}},
      {"linear",
       {{{normal({2, 3}), normal({4, 3}), normal({4})}, call_linear, naive_linear},
        {{normal({2, 3}), normal({4, 3})}, call_linear, naive_linear},
        {{normal({3}), normal({2, 3}), normal({2})}, call_linear, naive_linear},
        {{normal({2, 2, 3}), normal({1, 3}), normal({1})}, call_linear, naive_linear},
        {{normal({0, 3}), normal({2, 3}), normal({2})}, call_linear, naive_linear}},
       {{{normal({2, 3}), normal({3})}, call_linear, "the weight is (3,); it must be a matrix"},
        {{normal({2, 3}), normal({3, 4})}, call_linear, "the last dimension of x must equal the weight's second"},
        {{normal({2, 3}), normal({4, 3}), normal({3})}, call_linear, "the bias must be (4,)"}}},
      {"addmm",
       {{{normal({2, 2}), normal({2, 3}), normal({3, 2})}, call_addmm, naive_addmm},
        {{normal({2}), normal({2, 3}), normal({3, 2})}, call_addmm, naive_addmm},
        {{normal({2, 1}), normal({2, 3}), normal({3, 2})}, call_addmm, naive_addmm},
        {{normal({}), normal({1, 1}), normal({1, 2})}, call_addmm, naive_addmm},
        {{normal({2, 2}), normal({2, 0}), normal({0, 2})}, call_addmm, naive_addmm}},
       {{{normal({2, 2}), normal({2, 2, 2}), normal({2, 2})}, call_addmm, "both must be matrices"},
        {{normal({3}), normal({2, 3}), normal({3, 2})}, call_addmm, "[addmm]"},
        {{normal({2}), normal({2, 2}), normal({3, 2})}, call_addmm, "inner dimensions differ"}}},
      {"outer",
       {{{normal({3}), normal({2})},
         call_outer,
         [](Arguments x) -> Results {
           return naive_product(unsqueeze(x[0].detach(), 1), unsqueeze(x[1].detach(), 0));
         }},
        {{normal({1}), normal({0})}, call_outer}},
       {{{normal({2, 2}), normal({2})}, call_outer, "both must be vectors"}},
       3,
       1e-6,
       true,
       {"mul", "unsqueeze", "expand"}},
  };
}

}  // namespace cotangent
