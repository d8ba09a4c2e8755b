// The op table of autograd/ops/scan.hpp, compared with loops of other ops.
#include <cmath>

#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/scan.hpp>
#include <cotangent/autograd/ops/statistics.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tests/autograd/op_info.hpp>

namespace cotangent {
namespace {

/// y[i] = f(y[i - 1], x[i])
template <class F>
Tensor running(const Tensor& x, int64_t dim, F f) {
  Tensors parts = unbind(x, dim);
  for (size_t i = 1; i < parts.size(); ++i) parts[i] = f(parts[i - 1], parts[i]);
  return stack(parts, dim);
}
Tensor summed(const Tensor& x, int64_t dim) {
  return running(x, dim, [](const Tensor& y, const Tensor& v) { return y + v; });
}
Tensor multiplied(const Tensor& x, int64_t dim) {
  return running(x, dim, [](const Tensor& y, const Tensor& v) { return y * v; });
}
Tensor log_summed(const Tensor& x, int64_t dim) {
  Tensors parts;
  for (int64_t i = 0; i < x.size(dim); ++i) parts.push_back(logsumexp(narrow(x, dim, 0, i + 1), dim));
  return stack(parts, dim);
}
template <Extreme (*F)(const Tensor&, int64_t), int64_t dim>
Results values_of(Arguments x) {
  const Extreme e = F(x[0], dim);
  return Tensors{e.values, e.indices};
}
template <Extreme (*F)(const Tensor&, int64_t, bool), int64_t dim>
Results extremes_of_parts(Arguments x) {
  Tensors values, indices;
  for (int64_t i = 0; i < x[0].size(dim); ++i) {
    const Extreme e = F(narrow(x[0], dim, 0, i + 1), dim, false);
    values.push_back(e.values), indices.push_back(e.indices);
  }
  return Tensors{stack(values, dim), stack(indices, dim)};
}

template <int64_t dim, bool reverse>
Results scanned(Arguments x) {
  return linear_scan(x[0], x[1], dim, x.size() > 2 ? x[2] : Tensor(), reverse);
}
/// Step by step.
template <int64_t dim, bool reverse>
Results stepped(Arguments x) {
  const Tensors a = unbind(expand(x[0], x[1].shape()), dim), b = unbind(x[1], dim);
  Tensor h = x.size() > 2 ? x[2] : Tensor();
  Tensors y = b;
  for (size_t i = 0; i < b.size(); ++i) {
    const size_t t = reverse ? b.size() - 1 - i : i;
    y[t] = h = h.defined() ? a[t] * h + b[t] : b[t];
  }
  return stack(y, dim);
}

}  // namespace

COTANGENT_OP_TABLE(scan) {
  const InputSpec b = normal({2, 5, 3}), holes = values({3, 4}, {2, 0, 3, -1, 0, 0.5, 0, 2, 1.5, -2, 4, 0});
  return {{"cumsum",
           {{{normal({2, 4})},
             [](Arguments x) -> Results { return cumsum(x[0], 1); },
             [](Arguments x) -> Results { return summed(x[0], 1); }},
            {{normal({3, 2, 2})},
             [](Arguments x) -> Results { return cumsum(x[0], -3); },
             [](Arguments x) -> Results { return summed(x[0], 0); }},
            {{normal({6, 2})},
             [](Arguments x) -> Results { return cumsum(x[0], 1); },
             [](Arguments x) -> Results { return summed(x[0], 1); }},
            {{normal({1})},
             [](Arguments x) -> Results { return cumsum(x[0], 0); },
             [](Arguments x) -> Results { return x[0] * 1; }},
            {{normal({})},
             [](Arguments x) -> Results { return cumsum(x[0], 0); },
             [](Arguments x) -> Results { return x[0] * 1; }}},
           {{{normal({3})}, [](Arguments x) -> Results { return cumsum(x[0], 1); }, "[cumsum] dimension 1"}}},
          {"cumprod",
           {{{normal({2, 4})},
             [](Arguments x) -> Results { return cumprod(x[0], 1); },
             [](Arguments x) -> Results { return multiplied(x[0], 1); }},
            {{holes},
             [](Arguments x) -> Results { return cumprod(x[0], 1); },
             [](Arguments x) -> Results { return multiplied(x[0], 1); }},
            {{holes},
             [](Arguments x) -> Results { return cumprod(x[0], 0); },
             [](Arguments x) -> Results { return multiplied(x[0], 0); }},
            {{normal({})},
             [](Arguments x) -> Results { return cumprod(x[0], 0); },
             [](Arguments x) -> Results { return x[0] * 1; }}},
           {{{normal({3})}, [](Arguments x) -> Results { return cumprod(x[0], 1); }, "[cumprod] dimension 1"}},
           3,
           1e-6,
           true,
           {"linear_scan"}},
          {"logcumsumexp",
           {{{normal({2, 4})},
             [](Arguments x) -> Results { return logcumsumexp(x[0], 1); },
             [](Arguments x) -> Results { return log_summed(x[0], 1); }},
            {{values({4, 2}, {-1, 2, 300, 1, 299, -1000, -5, 3})},
             [](Arguments x) -> Results { return logcumsumexp(x[0], -2); },
             [](Arguments x) -> Results { return log_summed(x[0], 0); }},
            {{normal({})},
             [](Arguments x) -> Results { return logcumsumexp(x[0], 0); },
             [](Arguments x) -> Results { return x[0] * 1; }}},
           {{{normal({3})}, [](Arguments x) -> Results { return logcumsumexp(x[0], 1); }, "[logcumsumexp] dimension 1"},
            {{integers({3}, 0, 3)},
             [](Arguments x) -> Results { return logcumsumexp(x[0], 0); },
             "[logcumsumexp] takes a floating tensor"}},
           3,
           1e-6,
           true,
           {"linear_scan"}},
          {"cummax",
           {{{distinct({3, 4})}, values_of<cummax, 1>, extremes_of_parts<max, 1>},
            {{distinct({3, 4})}, values_of<cummax, 0>, extremes_of_parts<max, 0>},
            {{normal({})},
             values_of<cummax, 0>,
             [](Arguments x) -> Results {
               return Tensors{x[0] * 1, zeros({}, int64)};
             }}},
           {{{normal({3})}, values_of<cummax, 1>, "[cummax] dimension 1"}}},
          {"cummin",
           {{{distinct({3, 4})}, values_of<cummin, 1>, extremes_of_parts<min, 1>},
            {{distinct({4, 3})}, values_of<cummin, 0>, extremes_of_parts<min, 0>}},
           {{{normal({3})}, values_of<cummin, 1>, "[cummin] dimension 1"}}},
          {"linear_scan",
           {{{normal({2, 5, 3}), b}, scanned<1, false>, stepped<1, false>},
            {{normal({2, 5, 3}), b, normal({2, 3})}, scanned<1, true>, stepped<1, true>},
            {{normal({3}), b, normal({3})}, scanned<1, false>, stepped<1, false>},
            {{normal({5, 3}), b, normal({2, 3})}, scanned<1, false>, stepped<1, false>},
            {{normal({2, 5, 1}), b, normal({2, 1})}, scanned<-2, true>, stepped<1, true>},
            {{normal({10, 4}), normal({10, 4}), normal({10})}, scanned<1, false>, stepped<1, false>},
            {{normal({4}), normal({10, 4})}, scanned<1, true>, stepped<1, true>},
            {{normal({10, 1}), normal({10, 4}), normal({10})}, scanned<1, false>, stepped<1, false>},
            {{normal({4}), normal({4}), normal({})}, scanned<0, true>, stepped<0, true>},
            {{normal({}), normal({4}), normal({})}, scanned<0, false>, stepped<0, false>},
            {{normal({4, 1}), normal({4, 3})}, scanned<0, true>, stepped<0, true>},
            {{normal({1, 3}), normal({1, 3}), normal({3})}, scanned<0, false>, stepped<0, false>},
            {{values({4}, {0, 2, 0, -1}), normal({4}), normal({})}, scanned<0, false>, stepped<0, false>}},
           {{{normal({3}), normal({})}, scanned<0, false>, "[linear_scan] b has no dimension"},
            {{b, b}, scanned<3, false>, "[linear_scan] dimension 3"},
            {{normal({2, 3}), b}, scanned<1, false>, "[linear_scan] a is (2, 3); for b (2, 5, 3) it must broadcast"},
            {{normal({1, 2, 5, 3}), b}, scanned<1, false>, "[linear_scan] a is (1, 2, 5, 3)"},
            {{b, b, normal({2, 5})}, scanned<1, false>, "the initial state is (2, 5); for b (2, 5, 3)"},
            {{integers({2, 5, 3}, 0, 3), b}, scanned<1, false>, "one floating dtype"},
            {{integers({2}, 0, 3), integers({2}, 0, 3)}, scanned<0, false>, "one floating dtype"}}}};
}

}  // namespace cotangent
