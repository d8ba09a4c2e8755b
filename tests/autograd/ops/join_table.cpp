// The op table of autograd/ops/join.hpp.

#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/join.hpp>
#include <cotangent/tensor/views.hpp>
#include <cotangent/tests/autograd/op_info.hpp>

namespace cotangent {
namespace {

// Independent forms: whole tensors put together from selected elements.
Tensor elements(const Shape& shape, double (*at)(Arguments x, const Dims& index), Arguments x) {
  const Tensor y = detail::make_tensor(shape, float64);
  Dims index = Dims::filled(shape.rank(), 0);
  for (int64_t i = 0; i < y.numel(); ++i) {
    y.data<double>()[i] = at(x, index);
    for (int d = shape.rank() - 1; d >= 0 && ++index[d] == shape[d]; --d) index[d] = 0;
  }
  return y;
}
double element(const Tensor& x, const Dims& index) {
  int64_t at = 0;
  for (int d = 0; d < x.rank(); ++d) at += index[d] * x.strides()[d];
  return x.data<double>()[at];
}

}  // namespace

COTANGENT_OP_TABLE(join) {
  return {
      {"cat",
       {{{normal({2, 3}), normal({2, 1})},
         [](Arguments x) -> Results {
           return cat({x[0], x[1]}, 1);
         },
         [](Arguments x) -> Results {
           return elements(
               {2, 4},
               [](Arguments v, const Dims& i) {
                 return i[1] < 3 ? element(v[0], i) : element(v[1], {i[0], 0});
               },
               x);
         }},
        {{normal({1, 2, 2}), normal({2, 2, 2}), normal({0, 2, 2})},
         [](Arguments x) -> Results {
           return cat({x[0], x[1], x[2]}, -3);
         },
         [](Arguments x) -> Results {
           return elements(
               {3, 2, 2},
               [](Arguments v, const Dims& i) {
                 return i[0] < 1 ? element(v[0], i) : element(v[1], {i[0] - 1, i[1], i[2]});
               },
               x);
         }},
        {{normal({3})},
         [](Arguments x) -> Results {
           return cat({x[0], x[0]});
         }}},
       {{{normal({2, 3}), normal({3, 3})},
         [](Arguments x) -> Results {
           return cat({x[0], x[1]}, 1);
         },
         "shapes (2, 3) (tensor 0) and (3, 3) (tensor 1) don't fit; they may differ in dimension 1 only"},
        {{normal({2})}, [](Arguments) -> Results { return cat({}); }, "no tensors are given"},
        {{normal({})},
         [](Arguments x) -> Results {
           return cat({x[0], x[0]});
         },
         "rank 0"}}},
      {"stack",
       {{{normal({2, 3}), normal({2, 3})},
         [](Arguments x) -> Results {
           return stack({x[0], x[1]}, 1);
         },
         [](Arguments x) -> Results {
           return cat({unsqueeze(x[0], 1), unsqueeze(x[1], 1)}, 1);
         }},
        {{normal({2, 2}), normal({2, 2})},
         [](Arguments x) -> Results {
           return stack({x[0], x[1]}, -1);
         },
         [](Arguments x) -> Results {
           return cat({unsqueeze(x[0], 2), unsqueeze(x[1], 2)}, 2);
         }},
        {{normal({}), normal({})},
         [](Arguments x) -> Results {
           return stack({x[0], x[1]});
         }}},
       {{{normal({2}), normal({3})},
         [](Arguments x) -> Results {
           return stack({x[0], x[1]});
         },
         "differ; all must be the same"}}},
      {"split",
       {{{normal({5, 2})},
         [](Arguments x) -> Results { return split(x[0], 2); },
         [](Arguments x) -> Results {
           return Tensors{slice(x[0], 0, 0, 2), slice(x[0], 0, 2, 4), slice(x[0], 0, 4, 5)};
         }},
        {{normal({2, 4})},
         [](Arguments x) -> Results {
           return split(x[0], {1, 0, 3}, -1);
         },
         [](Arguments x) -> Results {
           return Tensors{slice(x[0], 1, 0, 1), slice(x[0], 1, 1, 1), slice(x[0], 1, 1, 4)};
         }}},
       {{{normal({5})},
         [](Arguments x) -> Results {
           return split(x[0], {2, 2});
         },
         "2 sizes with sum 4 for dimension 0 of shape (5,); they must be 0 or more and sum to 5"},
        {{normal({5})}, [](Arguments x) -> Results { return split(x[0], 0); }, "the size must be 1 or more"},
        {{normal({})}, [](Arguments x) -> Results { return split(x[0], 1); }, "rank 0"}}},
      {.name = "chunk",
       .samples = {{{normal({5, 2})},
                    [](Arguments x) -> Results { return chunk(x[0], 3); },
                    [](Arguments x) -> Results {
                      return Tensors{slice(x[0], 0, 0, 2), slice(x[0], 0, 2, 4), slice(x[0], 0, 4, 5)};
                    }},
                   {{normal({2, 4})},
                    [](Arguments x) -> Results { return chunk(x[0], 3, 1); },
                    [](Arguments x) -> Results {
                      return Tensors{slice(x[0], 1, 0, 2), slice(x[0], 1, 2, 4)};
                    }}},
       .errors = {{{normal({5})}, [](Arguments x) -> Results { return chunk(x[0], 0); }, "there must be 1 or more"}},
       .recorded_as = {"split"}},
      {"unbind",
       {{{normal({2, 3})},
         [](Arguments x) -> Results { return unbind(x[0], 1); },
         [](Arguments x) -> Results {
           return Tensors{select(x[0], 1, 0), select(x[0], 1, 1), select(x[0], 1, 2)};
         }},
        {{normal({2})},
         [](Arguments x) -> Results { return unbind(x[0]); },
         [](Arguments x) -> Results {
           return Tensors{x[0][0], x[0][1]};
         }}},
       {{{normal({})}, [](Arguments x) -> Results { return unbind(x[0]); }, "rank 0"}}},
      {"flip",
       {{{normal({2, 3})},
         [](Arguments x) -> Results { return flip(x[0], -1); },
         [](Arguments x) -> Results {
           return elements(
               {2, 3},
               [](Arguments v, const Dims& i) {
                 return element(v[0], {i[0], 2 - i[1]});
               },
               x);
         }},
        {{normal({2, 2, 3})},
         [](Arguments x) -> Results {
           return flip(x[0], {0, 2});
         },
         [](Arguments x) -> Results {
           return elements(
               {2, 2, 3},
               [](Arguments v, const Dims& i) {
                 return element(v[0], {1 - i[0], i[1], 2 - i[2]});
               },
               x);
         }},
        {{normal({1})},
         [](Arguments x) -> Results { return flip(x[0], 0); },
         [](Arguments x) -> Results { return x[0] * 1; }}},
       {{{normal({2})}, [](Arguments x) -> Results { return flip(x[0], 1); }, "flip"}}},
  };
}

}  // namespace cotangent
