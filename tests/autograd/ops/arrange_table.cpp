// The op table of autograd/ops/arrange.hpp.
#include <cotangent/autograd/ops/arrange.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tests/autograd/op_info.hpp>

namespace cotangent {
namespace {

/// The slices of x at these places of a dimension; x * 0 + value where a place is -1.
Tensor placed(const Tensor& x, int64_t dim, const std::vector<int64_t>& places, double value = 0) {
  Tensors parts;
  for (int64_t i : places) parts.push_back(i < 0 ? narrow(x, dim, 0, 1) * 0 + value : narrow(x, dim, i, 1));
  return cat(parts, dim);
}

OpInfo pad_info() {
  return {
      .name = "pad",
      .samples = {{{normal({2, 3})},
                   [](Arguments x) -> Results {
                     return pad(x[0], {1, 2});
                   },
                   [](Arguments x) -> Results {
                     return placed(x[0], 1, {-1, 0, 1, 2, -1, -1});
                   }},
                  {{normal({2, 3, 2})},
                   [](Arguments x) -> Results {
                     return pad(x[0], {0, 1, -1, 1}, PadMode::constant, -1.5);
                   },
                   [](Arguments x) -> Results {
                     return placed(placed(x[0], 1, {1, 2, -1}, -1.5), 2, {0, 1, -1}, -1.5);
                   }},
                  {{normal({1, 2, 3, 2})},
                   [](Arguments x) -> Results {
                     return pad(x[0], {1, -1, -2, 1, 1, 0});
                   },
                   [](Arguments x) -> Results {
                     return placed(placed(placed(x[0], 3, {-1, 0}), 2, {2, -1}), 1, {-1, 0, 1});
                   }},
                  {{normal({})},
                   [](Arguments x) -> Results { return pad(x[0], {}); },
                   [](Arguments x) -> Results { return x[0] * 1; }},
                  {{normal({3})},
                   [](Arguments x) -> Results {
                     return pad(x[0], {-2, -1});
                   },
                   [](Arguments x) -> Results { return narrow(x[0], 0, 0, 0); }},
                  {{normal({2, 4})},
                   [](Arguments x) -> Results {
                     return pad(x[0], {2, 3, 1, 1}, PadMode::reflect);
                   },
                   [](Arguments x) -> Results {
                     return placed(placed(x[0], 1, {2, 1, 0, 1, 2, 3, 2, 1, 0}), 0, {1, 0, 1, 0});
                   }},
                  {{normal({3})},
                   [](Arguments x) -> Results {
                     return pad(x[0], {6, 5}, PadMode::reflect);
                   },
                   [](Arguments x) -> Results {
                     return placed(x[0], 0, {2, 1, 0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2, 1});
                   }},
                  {{normal({2, 3})},
                   [](Arguments x) -> Results {
                     return pad(x[0], {1, 2, 0, 2}, PadMode::replicate);
                   },
                   [](Arguments x) -> Results {
                     return placed(placed(x[0], 1, {0, 0, 1, 2, 2, 2}), 0, {0, 1, 1, 1});
                   }},
                  {{normal({3, 2})},
                   [](Arguments x) -> Results {
                     return pad(x[0], {0, 0, 4, -1}, PadMode::circular);
                   },
                   [](Arguments x) -> Results {
                     return placed(x[0], 0, {2, 0, 1, 2, 0, 1});
                   }},
                  {{normal({1})},
                   [](Arguments x) -> Results {
                     return pad(x[0], {1, 1}, PadMode::circular);
                   },
                   [](Arguments x) -> Results {
                     return placed(x[0], 0, {0, 0, 0});
                   }}},
      .errors = {{{normal({3})}, [](Arguments x) -> Results { return pad(x[0], {1}); }, "[pad] 1 sizes for shape (3,)"},
                 {{normal({3})},
                  [](Arguments x) -> Results {
                    return pad(x[0], {1, 1, 1, 1});
                  },
                  "[pad] 4 sizes"},
                 {{normal({3})},
                  [](Arguments x) -> Results {
                    return pad(x[0], {-2, -2});
                  },
                  "it has only 3 to take away"},
                 {{normal({3})},
                  [](Arguments x) -> Results {
                    return pad(x[0], {INT64_MIN, 0});
                  },
                  "it has only 3 to take away"},
                 {{normal({3})},
                  [](Arguments x) -> Results {
                    return pad(x[0], {INT64_MAX, INT64_MAX}, PadMode::circular);
                  },
                  "are more than 64 bits count"},
                 {{normal({2, 1})},
                  [](Arguments x) -> Results {
                    return pad(x[0], {1, 0}, PadMode::reflect);
                  },
                  "too few to reflect: it takes 2"},
                 {{normal({0, 2})},
                  [](Arguments x) -> Results {
                    return pad(x[0], {0, 0, 1, 0}, PadMode::replicate);
                  },
                  "too few to repeat: it takes 1"},
                 {{integers({2}, 0, 5)},
                  [](Arguments x) -> Results {
                    return pad(x[0], {1, 0}, PadMode::constant, 0.5);
                  },
                  "[pad] "}},
      .recorded_as = {"pad", "slice", "index_select", "index_sum", "clone"}};
}

OpInfo roll_info() {
  return {.name = "roll",
          .samples = {{{normal({2, 4})},
                       [](Arguments x) -> Results { return roll(x[0], 1, -1); },
                       [](Arguments x) -> Results {
                         return placed(x[0], 1, {3, 0, 1, 2});
                       }},
                      {{normal({3, 2, 4})},
                       [](Arguments x) -> Results {
                         return roll(x[0], {-1, 6}, {0, 2});
                       },
                       [](Arguments x) -> Results {
                         return placed(placed(x[0], 0, {1, 2, 0}), 2, {2, 3, 0, 1});
                       }},
                      {{normal({3})},
                       [](Arguments x) -> Results {
                         return roll(x[0], {2, 2}, {0, 0});
                       },
                       [](Arguments x) -> Results {
                         return placed(x[0], 0, {2, 0, 1});
                       }},
                      {{normal({2, 2})},
                       [](Arguments x) -> Results { return roll(x[0], 1); },
                       [](Arguments x) -> Results {
                         return placed(x[0].reshape({4}), 0, {3, 0, 1, 2}).reshape({2, 2});
                       }},
                      {{normal({})},
                       [](Arguments x) -> Results { return roll(x[0], 3); },
                       [](Arguments x) -> Results { return x[0] * 1; }},
                      {{normal({2})},
                       [](Arguments x) -> Results { return roll(x[0], INT64_MIN, 0); },
                       [](Arguments x) -> Results { return x[0] * 1; }}},
          .errors = {{{normal({3, 2})},
                      [](Arguments x) -> Results {
                        return roll(x[0], {1, 2}, 0);
                      },
                      "[roll] 2 shifts for 1 dimensions"},
                     {{normal({3})}, [](Arguments x) -> Results { return roll(x[0], 1, 1); }, "[roll] dimension 1"}},
          .recorded_as = {"roll", "reshape"}};
}

OpInfo repeat_info() {
  return {.name = "repeat",
          .samples = {{{normal({2, 3})},
                       [](Arguments x) -> Results {
                         return repeat(x[0], {2, 1});
                       },
                       [](Arguments x) -> Results {
                         return placed(x[0], 0, {0, 1, 0, 1});
                       }},
                      {{normal({2, 1})},
                       [](Arguments x) -> Results {
                         return repeat(x[0], {3, 1, 2, 2});
                       },
                       [](Arguments x) -> Results {
                         const Tensor one = placed(placed(x[0], 0, {0, 1, 0, 1}), 1, {0, 0}).unsqueeze(0);
                         return stack({one, one, one});
                       }},
                      {{normal({2})},
                       [](Arguments x) -> Results { return repeat(x[0], {0}); },
                       [](Arguments x) -> Results { return narrow(x[0], 0, 0, 0); }},
                      {{normal({})},
                       [](Arguments x) -> Results { return repeat(x[0], {}); },
                       [](Arguments x) -> Results { return x[0] * 1; }}},
          .errors = {{{normal({2, 3})},
                      [](Arguments x) -> Results { return repeat(x[0], {2}); },
                      "[repeat] 1 numbers for shape (2, 3)"},
                     {{normal({2})}, [](Arguments x) -> Results { return repeat(x[0], {-1}); }, "-1 repetitions"},
                     {{normal({2})}, [](Arguments x) -> Results { return repeat(x[0], {INT64_MAX}); }, "[repeat] "}},
          .recorded_as = {"expand", "unsqueeze", "clone", "reshape"}};
}

OpInfo repeat_interleave_info() {
  return {.name = "repeat_interleave",
          .samples = {{{normal({2, 2})},
                       [](Arguments x) -> Results { return repeat_interleave(x[0], 2); },
                       [](Arguments x) -> Results {
                         return placed(x[0].reshape({4}), 0, {0, 0, 1, 1, 2, 2, 3, 3});
                       }},
                      {{normal({2, 3})},
                       [](Arguments x) -> Results { return repeat_interleave(x[0], 3, -2); },
                       [](Arguments x) -> Results {
                         return placed(x[0], 0, {0, 0, 0, 1, 1, 1});
                       }},
                      {{normal({2, 3}), values({3}, {2, 0, 1}, int64)},
                       [](Arguments x) -> Results { return repeat_interleave(x[0], x[1], 1); },
                       [](Arguments x) -> Results {
                         return placed(x[0], 1, {0, 0, 2});
                       }},
                      {{normal({2}), values({1}, {2}, int32)},
                       [](Arguments x) -> Results { return repeat_interleave(x[0], x[1]); },
                       [](Arguments x) -> Results {
                         return placed(x[0], 0, {0, 0, 1, 1});
                       }},
                      {{normal({})},
                       [](Arguments x) -> Results { return repeat_interleave(x[0], 2, 0); },
                       [](Arguments x) -> Results {
                         return stack({x[0], x[0]});
                       }}},
          .errors = {{{normal({2})},
                      [](Arguments x) -> Results { return repeat_interleave(x[0], -1); },
                      "[repeat_interleave] -1 repetitions"},
                     {{normal({2}), values({2}, {1, -1}, int64)},
                      [](Arguments x) -> Results { return repeat_interleave(x[0], x[1]); },
                      "[repeat_interleave] -1 repetitions"},
                     {{normal({2}), normal({2})},
                      [](Arguments x) -> Results { return repeat_interleave(x[0], x[1]); },
                      "they must be integers"},
                     {{normal({2}), integers({3}, 0, 2)},
                      [](Arguments x) -> Results { return repeat_interleave(x[0], x[1]); },
                      "it must be (2,)"}},
          .recorded_as = {"expand", "unsqueeze", "clone", "reshape", "index_select", "index_sum"}};
}

}  // namespace

COTANGENT_OP_TABLE(arrange) {
  return {pad_info(),
          roll_info(),
          repeat_info(),
          {.name = "tile",
           .samples = {{{normal({2, 3})},
                        [](Arguments x) -> Results { return tile(x[0], {2}); },
                        [](Arguments x) -> Results {
                          return placed(x[0], 1, {0, 1, 2, 0, 1, 2});
                        }},
                       {{normal({2})},
                        [](Arguments x) -> Results {
                          return tile(x[0], {2, 2});
                        },
                        [](Arguments x) -> Results {
                          const Tensor one = placed(x[0], 0, {0, 1, 0, 1});
                          return stack({one, one});
                        }}},
           .errors = {{{normal({2})}, [](Arguments x) -> Results { return tile(x[0], {-1}); }, "-1 repetitions"}},
           .recorded_as = {"expand", "unsqueeze", "clone", "reshape"}},
          repeat_interleave_info()};
}

}  // namespace cotangent
