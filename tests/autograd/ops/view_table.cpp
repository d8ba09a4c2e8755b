// The op table of view.hpp, apart from the functions because it is long.
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tests/autograd/op_info.hpp>

namespace cotangent {
namespace {

/// A rearrangement by counting: element i of the result (a multi-index) is element at(i) of x in row-major order.
Tensor rearranged(const Tensor& x, const Shape& shape, int64_t (*at)(const Dims& i)) {
  const std::vector<double> from = x.detach().to_vector<double>();
  std::vector<double> y(static_cast<size_t>(shape.product()));
  Dims index = Dims::filled(shape.rank(), 0);
  for (double& v : y) {
    v = from[static_cast<size_t>(at(index))];
    for (int d = shape.rank() - 1; d >= 0; --d) {
      if (++index[d] < shape[d]) break;
      index[d] = 0;
    }
  }
  return from_vector(y, shape);
}
Tensor reshaped(const Tensor& x, const Shape& shape) { return from_vector(x.detach().to_vector<double>(), shape); }

}  // namespace

// The input is x (2, 3, 4), whose element (i, j, k) is at 12 i + 4 j + k, unless another is named.
COTANGENT_OP_TABLE(view) {
  const InputSpec x234 = normal({2, 3, 4});
  return {
      {.name = "expand",
       .samples = {{{normal({3, 1})},
                    [](Arguments x) -> Results {
                      return expand(x[0], {2, 3, 4});
                    },
                    [](Arguments x) -> Results {
                      return rearranged(x[0], {2, 3, 4}, [](const Dims& i) { return i[1]; });
                    }},
                   {{normal({2, 1})},
                    [](Arguments x) -> Results {
                      return expand(x[0], {-1, 3});
                    },
                    [](Arguments x) -> Results {
                      return rearranged(x[0], {2, 3}, [](const Dims& i) { return i[0]; });
                    }},
                   {{normal({})},
                    [](Arguments x) -> Results {
                      return expand(x[0], {2, 2});
                    },
                    [](Arguments x) -> Results {
                      return rearranged(x[0], {2, 2}, [](const Dims&) { return int64_t{0}; });
                    }}},
       .errors = {{{normal({2})},
                   [](Arguments x) -> Results { return expand(x[0], {3}); },
                   "can't be expanded to (3,)"},
                  {{normal({2, 3})}, [](Arguments x) -> Results { return expand(x[0], {3}); }, "has more dimensions"}}},
      {.name = "broadcast_to",
       .samples = {{{normal({3})},
                    [](Arguments x) -> Results {
                      return broadcast_to(x[0], {2, 3});
                    },
                    [](Arguments x) -> Results {
                      return rearranged(x[0], {2, 3}, [](const Dims& i) { return i[1]; });
                    }}}},
      {.name = "permute",
       .samples = {{{x234},
                    [](Arguments x) -> Results {
                      return permute(x[0], {2, 0, -2});
                    },
                    [](Arguments x) -> Results {
                      return rearranged(x[0], {4, 2, 3}, [](const Dims& i) { return 12 * i[1] + 4 * i[2] + i[0]; });
                    }},
                   {{normal({})},
                    [](Arguments x) -> Results { return permute(x[0], std::initializer_list<int64_t>{}); },
                    [](Arguments x) -> Results { return x[0]; }}},
       .errors = {{{x234},
                   [](Arguments x) -> Results {
                     return permute(x[0], {0, 1});
                   },
                   "2 dimensions are given"},
                  {{x234},
                   [](Arguments x) -> Results {
                     return permute(x[0], {0, 1, -2});
                   },
                   "is given twice"}}},
      {.name = "transpose",
       .samples = {{{x234},
                    [](Arguments x) -> Results { return transpose(x[0], 0, -1); },
                    [](Arguments x) -> Results {
                      return rearranged(x[0], {4, 3, 2}, [](const Dims& i) { return 12 * i[2] + 4 * i[1] + i[0]; });
                    }}},
       .errors = {{{x234},
                   [](Arguments x) -> Results { return transpose(x[0], 0, 3); },
                   "dimension 3 is out of range"}}},
      {.name = "t",
       .samples = {{{normal({2, 3})},
                    [](Arguments x) -> Results { return t(x[0]); },
                    [](Arguments x) -> Results {
                      return rearranged(x[0], {3, 2}, [](const Dims& i) { return 3 * i[1] + i[0]; });
                    }},
                   {{normal({3})},
                    [](Arguments x) -> Results { return t(x[0]); },
                    [](Arguments x) -> Results { return x[0]; }}},
       .errors = {{{x234}, [](Arguments x) -> Results { return t(x[0]); }, "t() is for matrices"}}},
      {.name = "squeeze",
       .samples = {{{normal({1, 3, 1})},
                    [](Arguments x) -> Results { return squeeze(x[0]); },
                    [](Arguments x) -> Results { return reshaped(x[0], {3}); }},
                   {{normal({1, 3, 1})},
                    [](Arguments x) -> Results { return squeeze(x[0], -1); },
                    [](Arguments x) -> Results {
                      return reshaped(x[0], {1, 3});
                    }},
                   {{normal({2, 3})},
                    [](Arguments x) -> Results { return squeeze(x[0], 1); },
                    [](Arguments x) -> Results { return x[0]; }}},
       .errors = {{{x234}, [](Arguments x) -> Results { return squeeze(x[0], 3); }, "dimension 3 is out of range"}}},
      {.name = "unsqueeze",
       .samples = {{{normal({2, 3})},
                    [](Arguments x) -> Results { return unsqueeze(x[0], 1); },
                    [](Arguments x) -> Results {
                      return reshaped(x[0], {2, 1, 3});
                    }},
                   {{normal({2, 3})},
                    [](Arguments x) -> Results { return unsqueeze(x[0], -1); },
                    [](Arguments x) -> Results {
                      return reshaped(x[0], {2, 3, 1});
                    }},
                   {{normal({})},
                    [](Arguments x) -> Results { return unsqueeze(x[0], 0); },
                    [](Arguments x) -> Results { return reshaped(x[0], {1}); }}},
       .errors = {{{normal({2})},
                   [](Arguments x) -> Results { return unsqueeze(x[0], 2); },
                   "dimension 2 is out of range"}}},
      {.name = "reshape",
       .samples = {{{x234},
                    [](Arguments x) -> Results {
                      return reshape(x[0], {4, -1});
                    },
                    [](Arguments x) -> Results {
                      return reshaped(x[0], {4, 6});
                    }},
                   {{normal({2, 3})},  // needs a copy
                    [](Arguments x) -> Results { return reshape(transpose(x[0], 0, 1), {6}); },
                    [](Arguments x) -> Results {
                      return rearranged(x[0], {6}, [](const Dims& i) { return i[0] % 2 * 3 + i[0] / 2; });
                    }}},
       .errors = {{{x234},
                   [](Arguments x) -> Results {
                     return reshape(x[0], {5, 5});
                   },
                   "the number must stay the same"},
                  {{x234},
                   [](Arguments x) -> Results {
                     return reshape(x[0], {5, -1});
                   },
                   "5 does not divide 24"},
                  {{x234},
                   [](Arguments x) -> Results {
                     return reshape(x[0], {-1, -1});
                   },
                   "one can be inferred"}}},
      {.name = "view",
       .samples = {{{x234},
                    [](Arguments x) -> Results {
                      return view(x[0], {2, 3, -1, 2});
                    },
                    [](Arguments x) -> Results {
                      return reshaped(x[0], {2, 3, 2, 2});
                    }}},
       .errors = {{{x234},
                   [](Arguments x) -> Results { return view(transpose(x[0], 0, 1), {-1}); },
                   "can't be seen as (-1,) without a copy"}}},
      {.name = "flatten",
       .samples = {{{x234},
                    [](Arguments x) -> Results { return flatten(x[0]); },
                    [](Arguments x) -> Results { return reshaped(x[0], {24}); }},
                   {{x234},
                    [](Arguments x) -> Results { return flatten(x[0], 1); },
                    [](Arguments x) -> Results {
                      return reshaped(x[0], {2, 12});
                    }},
                   {{x234},
                    [](Arguments x) -> Results { return flatten(x[0], 0, -2); },
                    [](Arguments x) -> Results {
                      return reshaped(x[0], {6, 4});
                    }},
                   {{normal({})},
                    [](Arguments x) -> Results { return flatten(x[0]); },
                    [](Arguments x) -> Results { return reshaped(x[0], {1}); }}},
       .errors = {{{x234}, [](Arguments x) -> Results { return flatten(x[0], 2, 1); }, "comes after end_dim"}}},
      {.name = "unflatten",
       .samples = {{{normal({2, 6})},
                    [](Arguments x) -> Results {
                      return unflatten(x[0], -1, {3, -1});
                    },
                    [](Arguments x) -> Results {
                      return reshaped(x[0], {2, 3, 2});
                    }},
                   {{normal({6, 2})},
                    [](Arguments x) -> Results {
                      return unflatten(x[0], 0, {2, 3});
                    },
                    [](Arguments x) -> Results {
                      return reshaped(x[0], {2, 3, 2});
                    }}},
       .errors = {{{normal({2, 6})},
                   [](Arguments x) -> Results {
                     return unflatten(x[0], 1, {4, 2});
                   },
                   "do not multiply to"}}},
      {.name = "select",
       .samples = {{{x234},
                    [](Arguments x) -> Results { return select(x[0], 1, 2); },
                    [](Arguments x) -> Results {
                      return rearranged(x[0], {2, 4}, [](const Dims& i) { return 12 * i[0] + 8 + i[1]; });
                    }},
                   {{x234},
                    [](Arguments x) -> Results { return select(x[0], -1, -4); },
                    [](Arguments x) -> Results {
                      return rearranged(x[0], {2, 3}, [](const Dims& i) { return 12 * i[0] + 4 * i[1]; });
                    }},
                   {{normal({3})},
                    [](Arguments x) -> Results { return select(x[0], 0, 1); },
                    [](Arguments x) -> Results {
                      return rearranged(x[0], {}, [](const Dims&) { return int64_t{1}; });
                    }}},
       .errors = {{{x234}, [](Arguments x) -> Results { return select(x[0], 1, 3); }, "index 3 is out of range"},
                  {{normal({})}, [](Arguments x) -> Results { return select(x[0], 0, 0); }, "use item()"}}},
      {.name = "slice",
       .samples =
           {{{x234},
             [](Arguments x) -> Results { return slice(x[0], 2, 1, 4, 2); },
             [](Arguments x) -> Results {
               return rearranged(x[0], {2, 3, 2}, [](const Dims& i) { return 12 * i[0] + 4 * i[1] + 1 + 2 * i[2]; });
             }},
            {{x234},
             [](Arguments x) -> Results { return slice(x[0], 1, -2, 100); },
             [](Arguments x) -> Results {
               return rearranged(x[0], {2, 2, 4}, [](const Dims& i) { return 12 * i[0] + 4 * i[1] + 4 + i[2]; });
             }},
            {{normal({3})},
             [](Arguments x) -> Results { return slice(x[0], 0, 2, 1); },
             [](Arguments x) -> Results { return reshaped(slice(x[0], 0, 0, 0), {0}); }}},
       .errors = {{{x234}, [](Arguments x) -> Results { return slice(x[0], 0, 0, 1, 0); }, "step 0 is not positive"},
                  {{normal({})}, [](Arguments x) -> Results { return slice(x[0], 0, 0, 1); }, "can't be sliced"}}},
      {.name = "narrow",
       .samples = {{{x234},
                    [](Arguments x) -> Results { return narrow(x[0], -1, 1, 2); },
                    [](Arguments x) -> Results {
                      return rearranged(x[0], {2, 3, 2}, [](const Dims& i) { return 12 * i[0] + 4 * i[1] + 1 + i[2]; });
                    }}},
       .errors = {{{x234}, [](Arguments x) -> Results { return narrow(x[0], 1, 2, 2); }, "do not lie in dimension 1"}}},
      {.name = "diagonal",
       .samples =
           {{{normal({3, 4})},
             [](Arguments x) -> Results { return diagonal(x[0]); },
             [](Arguments x) -> Results { return rearranged(x[0], {3}, [](const Dims& i) { return 5 * i[0]; }); }},
            {{normal({4, 3})},
             [](Arguments x) -> Results { return diagonal(x[0], -2); },
             [](Arguments x) -> Results { return rearranged(x[0], {2}, [](const Dims& i) { return 6 + 4 * i[0]; }); }},
            {{x234},
             [](Arguments x) -> Results { return diagonal(x[0], 1, 0, -1); },
             [](Arguments x) -> Results {
               return rearranged(x[0], {3, 2}, [](const Dims& i) { return 13 * i[1] + 4 * i[0] + 1; });
             }}},
       .errors = {{{x234},
                   [](Arguments x) -> Results { return diagonal(x[0], 0, 1, 1); },
                   "needs two different dimensions"}}},
      {.name = "unfold",
       .samples = {{{normal({7})},
                    [](Arguments x) -> Results { return unfold(x[0], 0, 3, 2); },
                    [](Arguments x) -> Results {
                      return rearranged(x[0], {3, 3}, [](const Dims& i) { return 2 * i[0] + i[1]; });
                    }},
                   {{normal({3, 5})},
                    [](Arguments x) -> Results { return unfold(x[0], -1, 2, 3); },
                    [](Arguments x) -> Results {
                      return rearranged(x[0], {3, 2, 2}, [](const Dims& i) { return 5 * i[0] + 3 * i[1] + i[2]; });
                    }}},
       .errors =
           {{{normal({3})}, [](Arguments x) -> Results { return unfold(x[0], 0, 4, 1); }, "a window of 4 does not fit"},
            {{normal({3})}, [](Arguments x) -> Results { return unfold(x[0], 0, 2, 0); }, "step 0 is not positive"}}},
      {.name = "as_strided",
       .samples = {{{normal({8})},
                    [](Arguments x) -> Results {
                      return as_strided(contiguous(x[0]), {2, 3}, {1, 2}, 1);
                    },
                    [](Arguments x) -> Results {
                      return rearranged(x[0], {2, 3}, [](const Dims& i) { return 1 + i[0] + 2 * i[1]; });
                    }},
                   {{normal({4})},  // overlapping places
                    [](Arguments x) -> Results {
                      return as_strided(contiguous(x[0]), {3, 2}, {1, 1}, 0);
                    },
                    [](Arguments x) -> Results {
                      return rearranged(x[0], {3, 2}, [](const Dims& i) { return i[0] + i[1]; });
                    }}},
       .errors = {{{normal({4})},
                   [](Arguments x) -> Results { return as_strided(x[0], {3}, {2}, 0); },
                   "reaches outside the 4 elements"}},
       .recorded_as = {"embed", "part", "replace_part"}},
  };
}

}  // namespace cotangent
