// The op table of autograd/ops/softmax.hpp.
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/softmax.hpp>
#include <cotangent/tensor/softmax.hpp>
#include <cotangent/tests/autograd/op_info.hpp>

namespace cotangent {
namespace {
template <int64_t dim>
Results softmax_along(Arguments x) {
  return softmax(x[0], dim);
}
template <int64_t dim>
Results log_softmax_along(Arguments x) {
  return log_softmax(x[0], dim);
}
template <int64_t dim>
Results softmax_reference(Arguments x) {
  const Tensor e = exp(x[0]);
  return e / sum(e, dim, true);
}
template <int64_t dim>
Results log_softmax_reference(Arguments x) {
  return x[0] - log(sum(exp(x[0]), dim, true));
}
Results zeros_of(Arguments x) { return x[0] * 0; }
Results ones_of(Arguments x) { return x[0] * 0 + 1; }
}  // namespace

COTANGENT_OP_TABLE(softmax) {
  return {
      {"softmax",
       {{{normal({3, 4})}, softmax_along<-1>, softmax_reference<-1>},
        {{normal({3, 4})}, softmax_along<0>, softmax_reference<0>},
        {{normal({2, 3, 4})}, softmax_along<1>, softmax_reference<1>},
        {{normal({4, 1})}, softmax_along<1>, ones_of},
        {{normal({})}, softmax_along<0>, ones_of}},
       {{{normal({3, 4})}, softmax_along<2>, "[softmax] dimension 2 is out of range"}}},
      {"softmin",
       {{{normal({3, 4})},
         [](Arguments x) -> Results { return softmin(x[0], 0); },
         [](Arguments x) -> Results {
           const Tensor e = exp(x[0]);
           return 1 / (e * sum(1 / e, 0, true));
         }}},
       {{{normal({3, 4})},
         [](Arguments x) -> Results { return softmin(x[0], 2); },
         "[softmin] dimension 2 is out of range"}}},
      {"log_softmax",
       {{{normal({3, 4})}, log_softmax_along<-1>, log_softmax_reference<-1>},
        {{normal({3, 4})}, log_softmax_along<0>, log_softmax_reference<0>},
        {{normal({2, 3, 4})}, log_softmax_along<1>, log_softmax_reference<1>},
        {{normal({4, 1})}, log_softmax_along<1>, zeros_of},
        {{normal({})}, log_softmax_along<-1>, zeros_of}},
       {{{normal({3, 4})}, log_softmax_along<-3>, "[log_softmax] dimension -3 is out of range"}}},
  };
}

}  // namespace cotangent
