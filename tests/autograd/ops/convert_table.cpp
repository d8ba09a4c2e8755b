// The op table of autograd/ops/convert.hpp.
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tests/autograd/op_info.hpp>

namespace cotangent {
namespace {
Results itself(Arguments x) { return x[0]; }
}  // namespace

COTANGENT_OP_TABLE(convert) {
  return {
      // the gradient is tested by hand: differences can't see it through a dtype that rounds
      {.name = "to",
       .samples = {{{integers({2, 3}, -5, 5)},
                    [](Arguments x) -> Results { return to(x[0], float32); },
                    [](Arguments x) -> Results {
                      return from_vector(x[0].to_vector<float>(), {2, 3});
                    }},
                   {{constant(values({4}, {1.9, -1.9, 0, 3}))},
                    [](Arguments x) -> Results {
                      return Tensors{to(x[0], int32), to(x[0], boolean)};
                    },
                    [](Arguments) -> Results {
                      return Tensors{from_vector<int32_t>({1, -1, 0, 3}, {4}), tensor({true, true, false, true})};
                    }},
                   {{normal({2, 3})}, [](Arguments x) -> Results { return to(x[0], x[0].dtype()); }, itself}}},
      {.name = "clone",
       .samples = {{{normal({2, 3})}, [](Arguments x) -> Results { return clone(x[0]); }, itself},
                   {{normal({})}, [](Arguments x) -> Results { return clone(x[0]); }, itself}}},
      {.name = "contiguous",
       .samples = {{{normal({2, 3})}, [](Arguments x) -> Results { return contiguous(x[0]); }, itself},
                   {{normal({2, 3})},
                    [](Arguments x) -> Results { return contiguous(transpose(x[0], 0, 1)); },
                    [](Arguments x) -> Results { return transpose(x[0], 0, 1); }},
                   {{normal({2, 3, 2, 2})},
                    [](Arguments x) -> Results { return contiguous(x[0], MemoryFormat::channels_last); },
                    itself}},
       .errors = {{{normal({2, 3})},
                   [](Arguments x) -> Results { return contiguous(x[0], MemoryFormat::channels_last); },
                   "channels_last is for tensors of shape (N, C, H, W)"}}},
      {.name = "identity",
       .samples = {{{normal({2, 3})}, [](Arguments x) -> Results { return identity(x[0]); }, itself}}},
  };
}

}  // namespace cotangent
