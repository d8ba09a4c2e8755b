// The op table of autograd/ops/indexing.cpp.
#include <cotangent/autograd/node.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/indexing.hpp>
#include <cotangent/tests/autograd/op_info.hpp>

namespace cotangent {
namespace {

// Rows (or whatever lies behind the first dimension) one by one.
Tensor rows(const Tensor& x, const std::vector<int64_t>& at) {
  Tensors parts;
  for (int64_t i : at) parts.push_back(x.select(0, i));
  return stack(parts);
}

OpInfo index_info() {
  return {.name = "index",
          .samples = {{{normal({3, 4})},
                       [](Arguments x) -> Results {
                         return x[0].index({-1, Slice(1, None, 2)});
                       },
                       [](Arguments x) -> Results {
                         return stack({x[0][2][1], x[0][2][3]});
                       }},
                      {{normal({2, 3, 2})},
                       [](Arguments x) -> Results {
                         return x[0].index({Ellipsis, None, 1});
                       },
                       [](Arguments x) -> Results { return x[0].select(2, 1).unsqueeze(2); }},
                      {{normal({4, 2}), values({2, 2}, {1, 3, -1, 0}, int64)},
                       [](Arguments x) -> Results { return x[0].index({x[1]}); },
                       [](Arguments x) -> Results {
                         return rows(x[0], {1, 3, 3, 0}).reshape({2, 2, 2});
                       }},
                      {{normal({2, 3, 2}), values({2}, {2, 2}, int64)},
                       [](Arguments x) -> Results {
                         return x[0].index({Slice(), x[1]});
                       },
                       [](Arguments x) -> Results {
                         return rows(x[0].transpose(0, 1), {2, 2}).transpose(0, 1);
                       }},
                      {{normal({2, 2, 3}), values({2}, {1, 0}, int64), values({2, 1}, {0, 2}, int32)},
                       [](Arguments x) -> Results {
                         return x[0].index({x[1], Slice(), x[2]});
                       },
                       [](Arguments x) -> Results {
                         return stack({stack({x[0][1].select(1, 0), x[0][0].select(1, 0)}),
                                       stack({x[0][1].select(1, 2), x[0][0].select(1, 2)})});
                       }},
                      {{normal({2, 3}), values({2, 3}, {1, 0, 0, 0, 1, 1}, boolean)},
                       [](Arguments x) -> Results { return x[0].index({x[1]}); },
                       [](Arguments x) -> Results {
                         return stack({x[0][0][0], x[0][1][1], x[0][1][2]});
                       }},
                      {{normal({3, 2}), values({3}, {1, 0, 1}, boolean)},
                       [](Arguments x) -> Results {
                         return x[0].index({x[1], 1});
                       },
                       [](Arguments x) -> Results {
                         return stack({x[0][0][1], x[0][2][1]});
                       }},
                      {{normal({}), values({}, {1}, boolean)},
                       [](Arguments x) -> Results { return x[0].index({x[1]}); },
                       [](Arguments x) -> Results { return x[0].unsqueeze(0); }}},
          .errors = {{{normal({2, 3})},
                      [](Arguments x) -> Results {
                        return x[0].index({0, 3});
                      },
                      "[index] index 3 is out of range for dimension 1 of shape (2, 3); it must be from -3 to 2"},
                     {{normal({2, 3}), values({2}, {0, -4}, int64)},
                      [](Arguments x) -> Results {
                        return x[0].index({0, x[1]});
                      },
                      "[index] index -4, at position 1 of the index, is out of range for dimension 1 of size 3"},
                     {{normal({2, 3})},
                      [](Arguments x) -> Results {
                        return x[0].index({0, 0, 0});
                      },
                      "3 dimensions are indexed, but shape (2, 3) has 2"},
                     {{normal({2, 3})},
                      [](Arguments x) -> Results {
                        return x[0].index({Ellipsis, Ellipsis});
                      },
                      "2 Ellipsis"},
                     {{normal({2, 3}), booleans({3})},
                      [](Arguments x) -> Results { return x[0].index({x[1]}); },
                      "a mask of shape (3,) is given for dimensions 0 to 0 of shape (2, 3); it must be (2,)"},
                     {{normal({2, 3}), integers({2}, 0, 2), integers({3}, 0, 2)},
                      [](Arguments x) -> Results {
                        return x[0].index({x[1], x[2]});
                      },
                      "[index]"},
                     {{normal({2}), constant(normal({2}))},
                      [](Arguments x) -> Results { return x[0].index({x[1]}); },
                      "an index must be int64, int32 or uint8, got float64"},
                     {{normal({4})},
                      [](Arguments x) -> Results { return x[0].index({Slice(3, 0, -1)}); },
                      "step -1 is not positive"}},
          .recorded_as = {"index", "index_sum", "index_select", "select", "slice", "unsqueeze", "permute"}};
}

template <class... I>
Tensor put(const Tensor& x, const Tensor& values, const I&... indices) {
  Tensor y = clone(x);
  y.index_put_({indices...}, values);
  return y;
}

OpInfo index_put_info() {
  return {.name = "index_put_",
          .samples = {{{normal({3, 2}), normal({2})},
                       [](Arguments x) -> Results { return put(x[0], x[1], Index(Slice(1, None))); },
                       [](Arguments x) -> Results {
                         return stack({x[0][0], x[1], x[1]});
                       }},
                      {{normal({4, 2}), normal({2, 2}), values({2}, {3, -3}, int64)},
                       [](Arguments x) -> Results { return put(x[0], x[1], Index(x[2])); },
                       [](Arguments x) -> Results {
                         return stack({x[0][0], x[1][1], x[0][2], x[1][0]});
                       }},
                      {{normal({3, 2}), normal({3, 1}), values({3}, {1, 0, 1}, int64)},  // the last of two stays
                       [](Arguments x) -> Results { return put(x[0], x[1], Index(x[2])); },
                       [](Arguments x) -> Results {
                         return stack({x[1][1].expand({2}), x[1][2].expand({2}), x[0][2]});
                       }},
                      {{normal({2, 2, 2}), normal({2}), values({2}, {1, 0}, int64)},
                       [](Arguments x) -> Results { return put(x[0], x[1], Index(x[2]), Index(Slice()), Index(0)); },
                       [](Arguments x) -> Results {
                         return stack({stack({x[1], x[0][0].select(1, 1)}, 1), stack({x[1], x[0][1].select(1, 1)}, 1)});
                       }},
                      {{normal({2, 2}), normal({}), values({2, 2}, {0, 1, 1, 0}, boolean)},
                       [](Arguments x) -> Results { return put(x[0], x[1], Index(x[2])); },
                       [](Arguments x) -> Results { return where(x[2], x[1], x[0]); }}},
          .errors = {{{normal({3, 2}), normal({3}), integers({2}, 0, 2)},
                      [](Arguments x) -> Results { return put(x[0], x[1], Index(x[2])); },
                      "[index_put_]"}},
          .recorded_as = {"index_put_", "index", "index_sum", "clone", "slice", "expand", "replace_part"}};
}

}  // namespace

COTANGENT_OP_TABLE(indexing) { return {index_info(), index_put_info()}; }

}  // namespace cotangent
