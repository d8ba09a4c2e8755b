// The op table of autograd/ops/fold.hpp.
#include <cotangent/autograd/ops/fold.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/fold.hpp>
#include <cotangent/tests/autograd/op_info.hpp>

namespace cotangent {

COTANGENT_OP_TABLE(fold) {
  return {
      {.name = "im2col",
       .samples = {{{values({1, 1, 2, 3}, {1, 2, 3, 4, 5, 6})},
                    [](Arguments x) -> Results { return im2col(x[0], 2); },
                    [](Arguments) -> Results {
                      return tensor({{{1, 2}, {2, 3}, {4, 5}, {5, 6}}}, float64);
                    }},
                   {{values({1, 2, 2}, {1, 2, 3, 4})},
                    [](Arguments x) -> Results {
                      return im2col(x[0], {1, 2}, {.dilation = {1, 2}, .padding = {0, 1}, .stride = {2, 1}});
                    },
                    [](Arguments) -> Results {
                      return tensor({{0, 1}, {2, 0}}, float64);
                    }},
                   {{normal({2, 3, 4, 5})},
                    [](Arguments x) -> Results {
                      return im2col(x[0], {3, 2}, {.padding = {2, 1}, .stride = {2, 3}});
                    }}},
       .errors = {{{normal({4, 5})}, [](Arguments x) -> Results { return im2col(x[0], 2); }, "is not (N, C, H, W)"},
                  {{normal({1, 4, 5})},
                   [](Arguments x) -> Results { return im2col(x[0], 5); },
                   "a patch of (5, 5) reaches over 5 elements, but an image of (4, 5) has 4"},
                  {{normal({1, 4, 5})},
                   [](Arguments x) -> Results { return im2col(x[0], 2, {.stride = 0}); },
                   "stride (0, 0); it must be at least 1"},
                  {{integers({1, 4, 5}, 0, 9)},
                   [](Arguments x) -> Results { return im2col(x[0], 2); },
                   "takes a floating tensor"}}},
      {.name = "col2im",
       .samples = {{{values({1, 4, 2}, {1, 2, 3, 4, 5, 6, 7, 8})},
                    [](Arguments x) -> Results {
                      return col2im(x[0], {2, 3}, 2);
                    },
                    [](Arguments) -> Results {
                      return tensor({{{{1, 2 + 3, 4}, {5, 6 + 7, 8}}}}, float64);
                    }},
                   {{normal({4, 6})},
                    [](Arguments x) -> Results {
                      return col2im(x[0], {4, 3}, {2, 1}, {.dilation = 2, .padding = {1, 0}, .stride = {2, 1}});
                    }}},
       .errors = {{{normal({1, 3, 2})},
                   [](Arguments x) -> Results {
                     return col2im(x[0], {2, 3}, 2);
                   },
                   "must be a multiple of the kernel's 4 elements"},
                  {{normal({1, 4, 3})},
                   [](Arguments x) -> Results {
                     return col2im(x[0], {2, 3}, 2);
                   },
                   "are of 3 patches, but an image of (2, 3) has 1 x 2"},
                  {{normal({1, 4, 3})}, [](Arguments x) -> Results { return col2im(x[0], 0, 2); }, "at least 1"},
                  {{normal({3})}, [](Arguments x) -> Results { return col2im(x[0], 2, 2); }, "with or without N"}}},
  };
}

}  // namespace cotangent
