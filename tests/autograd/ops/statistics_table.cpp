// The op table of autograd/ops/statistics.hpp.
#include <cmath>

#include <limits>

#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/statistics.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/reduce.hpp>
#include <cotangent/tests/autograd/op_info.hpp>

namespace cotangent {
namespace {

Tensor count_of(const Tensor& x, const DimList& dims) { return sum(x * 0 + 1, dims, true); }
Tensor squared_deviations(const Tensor& x, const DimList& dims) {
  return sum(square(x - sum(x, dims, true) / count_of(x, dims)), dims, true);
}
Tensor power_sum(const Tensor& x, double p, const DimList& dims, bool keepdim) {
  return pow(sum(pow(abs(x), p), dims, keepdim), 1 / p);
}

std::vector<Sample> spread_samples(Results (*all)(Arguments), Results (*one)(Arguments), Results (*two)(Arguments),
                                   Results (*all_reference)(Arguments), Results (*one_reference)(Arguments),
                                   Results (*two_reference)(Arguments)) {
  return {{{normal({2, 3, 4})}, all, all_reference},
          {{normal({2, 3, 4})}, one, one_reference},
          {{normal({2, 3, 4})}, two, two_reference}};
}

}  // namespace

COTANGENT_OP_TABLE(statistics) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  return {
      {.name = "var",
       .samples =
           spread_samples([](Arguments x) -> Results { return var(x[0]); },
                          [](Arguments x) -> Results { return var(x[0], 1, {.correction = 0, .keepdim = true}); },
                          [](Arguments x) -> Results {
                            return var(x[0], {0, -1});
                          },
                          [](Arguments x) -> Results { return reshape(squared_deviations(x[0], {}) / 23, {}); },
                          [](Arguments x) -> Results { return squared_deviations(x[0], 1) / 3; },
                          [](Arguments x) -> Results {
                            return reshape(squared_deviations(x[0], {0, 2}) / 7, {3});
                          }),
       .errors = {{{integers({3}, 0, 5)},
                   [](Arguments x) -> Results { return var(x[0]); },
                   "takes a floating tensor"}}},
      {.name = "std",
       .samples =
           spread_samples([](Arguments x) -> Results { return std(x[0]); },
                          [](Arguments x) -> Results { return std(x[0], 1, {.correction = 0, .keepdim = true}); },
                          [](Arguments x) -> Results {
                            return std(x[0], {0, -1});
                          },
                          [](Arguments x) -> Results { return reshape(sqrt(squared_deviations(x[0], {}) / 23), {}); },
                          [](Arguments x) -> Results { return sqrt(squared_deviations(x[0], 1) / 3); },
                          [](Arguments x) -> Results {
                            return reshape(sqrt(squared_deviations(x[0], {0, 2}) / 7), {3});
                          }),
       .errors = {{{integers({3}, 0, 5)},
                   [](Arguments x) -> Results { return std(x[0]); },
                   "takes a floating tensor"}}},
      {.name = "logsumexp",
       .samples = {{{normal({3, 4})},
                    [](Arguments x) -> Results { return logsumexp(x[0]); },
                    [](Arguments x) -> Results { return log(sum(exp(x[0]))); }},
                   {{normal({3, 4})},
                    [](Arguments x) -> Results { return logsumexp(x[0], 0); },
                    [](Arguments x) -> Results { return log(sum(exp(x[0]), 0)); }},
                   {{normal({2, 3, 4})},
                    [](Arguments x) -> Results {
                      return logsumexp(x[0], {0, -1}, true);
                    },
                    [](Arguments x) -> Results {
                      return log(sum(exp(x[0]), {0, 2}, true));
                    }},
                   {{normal({})},
                    [](Arguments x) -> Results { return logsumexp(x[0]); },
                    [](Arguments x) -> Results { return x[0]; }}},
       .errors = {{{normal({3})},
                   [](Arguments x) -> Results { return logsumexp(x[0], 1); },
                   "dimension 1 is out of range"}}},
      {.name = "norm",
       .samples = {{{normal({3, 4})},
                    [](Arguments x) -> Results { return norm(x[0]); },
                    [](Arguments x) -> Results { return sqrt(sum(square(x[0]))); }},
                   {{normal({2, 3, 4})},
                    [](Arguments x) -> Results {
                      return norm(x[0], 2, {0, -1}, true);
                    },
                    [](Arguments x) -> Results {
                      return sqrt(sum(square(x[0]), {0, 2}, true));
                    }},
                   {{distinct({3, 4})},
                    [](Arguments x) -> Results { return norm(x[0], 1, 0); },
                    [](Arguments x) -> Results { return sum(abs(x[0]), 0); }},
                   {{distinct({3, 4})},
                    [](Arguments x) -> Results { return norm(x[0], 3, 1, true); },
                    [](Arguments x) -> Results { return power_sum(x[0], 3, 1, true); }},
                   {{distinct({3, 4})},
                    [](Arguments x) -> Results { return norm(x[0], 0.5); },
                    [](Arguments x) -> Results { return power_sum(x[0], 0.5, {}, false); }},
                   {{values({2, 3}, {-0.5, 1.5, 0.8, 0.3, -0.9, -2})},
                    [](Arguments x) -> Results { return norm(x[0], kInfinity, 1); },
                    [](Arguments x) -> Results { return amax(maximum(x[0], neg(x[0])), 1); }},
                   {{values({2, 3}, {-0.5, 1.5, 0.8, 0.3, -0.9, -2})},
                    [](Arguments x) -> Results { return norm(x[0], -kInfinity, 1); },
                    [](Arguments x) -> Results { return amin(maximum(x[0], neg(x[0])), 1); }},
                   {{values({2, 3}, {3, 2, -1, 4, -5, 3})},
                    [](Arguments x) -> Results { return norm(x[0], 0, 1); },
                    [](Arguments) -> Results {
                      return from_vector<double>({3, 3}, {2});
                    }},
                   {{constant(values({2, 3}, {0, 2, -1, 0, 0, 3}))},
                    [](Arguments x) -> Results { return norm(x[0], 0, 1); },
                    [](Arguments) -> Results {
                      return from_vector<double>({2, 1}, {2});
                    }}},
       .errors = {{{normal({3})}, [](Arguments x) -> Results { return norm(x[0], NAN); }, "p is NaN"},
                  {{integers({3}, 0, 5)},
                   [](Arguments x) -> Results { return norm(x[0]); },
                   "takes a floating tensor"}}},
  };
}

}  // namespace cotangent
