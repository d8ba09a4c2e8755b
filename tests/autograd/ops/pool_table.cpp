// The op table of autograd/ops/pool.hpp.

#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/index.hpp>
#include <cotangent/autograd/ops/pool.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/pool.hpp>
#include <cotangent/tests/autograd/op_info.hpp>

namespace cotangent {
namespace {
const InputSpec& line() {
  static const InputSpec spec = values({1, 1, 5}, {1, 2, 3, 4, 5});
  return spec;
}
// The results below are worked by hand, on 1 .. 5.
template <class... V>
Results row(V... v) {
  return tensor({{{static_cast<double>(v)...}}}, float64);
}
}  // namespace

COTANGENT_OP_TABLE(pool) {
  const InputSpec image = distinct({1, 2, 4, 4}), odd = distinct({1, 5, 3}), volume = distinct({1, 1, 2, 3, 3});
  const InputSpec smooth = normal({1, 1, 5, 4});
  const auto max_error = [](Arguments x) -> Results { return max_pool2d(x[0], 3); };
  return {
      {.name = "max_pool1d",
       .samples = {{{line()},
                    [](Arguments x) -> Results { return max_pool1d(x[0], 3, {.stride = 2, .ceil_mode = true}); },
                    [](Arguments) -> Results { return row(3, 5); }},
                   {{odd}, [](Arguments x) -> Results { return max_pool1d(x[0], 2, {.stride = 1, .dilation = 2}); }}}},
      {.name = "max_pool2d",
       .samples = {{{image}, [](Arguments x) -> Results { return max_pool2d(x[0], 2); }},
                   {{image}, [](Arguments x) -> Results { return max_pool2d(x[0], 3, {.stride = 2, .padding = 1}); }},
                   {{odd},
                    [](Arguments x) -> Results {
                      return max_pool2d(x[0], {2, 1}, {.stride = {1, 2}});
                    }},
                   {{image},
                    [](Arguments x) -> Results { return max_pool2d(contiguous(x[0], MemoryFormat::channels_last), 2); },
                    [](Arguments x) -> Results { return max_pool2d(x[0], 2); }}},
       .errors = {{{normal({1, 1, 2, 2})}, max_error, "does not fit the input"},
                  {{normal({4})}, max_error, "with or without N"},
                  {{normal({1, 1, 4, 4})},
                   [](Arguments x) -> Results { return max_pool2d(x[0], 2, {.stride = 0}); },
                   "at least 1"},
                  {{normal({1, 1, 4, 4})},
                   [](Arguments x) -> Results { return max_pool2d(x[0], 2, {.padding = 2}); },
                   "more than half"},
                  {{integers({1, 1, 4, 4}, 0, 9)}, max_error, "takes a floating tensor"}}},
      {.name = "max_pool3d",
       .samples = {{{volume}, [](Arguments x) -> Results { return max_pool3d(x[0], 2, {.stride = 1}); }}}},
      {.name = "adaptive_max_pool1d",  // windows [0, 2), [1, 4), [3, 5)
       .samples = {{{line()},
                    [](Arguments x) -> Results { return adaptive_max_pool1d(x[0], 3); },
                    [](Arguments) -> Results { return row(2, 4, 5); }}}},
      {.name = "adaptive_max_pool2d",
       .samples = {{{odd},
                    [](Arguments x) -> Results {
                      return adaptive_max_pool2d(x[0], {3, 2});
                    }},
                   {{image}, [](Arguments x) -> Results { return adaptive_max_pool2d(x[0], 1); }}},
       .errors = {{{odd}, [](Arguments x) -> Results { return adaptive_max_pool2d(x[0], 0); }, "at least 1"},
                  {{normal({1, 2, 0, 3})},
                   [](Arguments x) -> Results { return adaptive_max_pool2d(x[0], 1); },
                   "has an empty plane"}}},
      {.name = "adaptive_max_pool3d",
       .samples = {{{volume}, [](Arguments x) -> Results { return adaptive_max_pool3d(x[0], 2); }}}},
      {.name = "adaptive_max_pool1d_with_indices",
       .samples = {{{line()},
                    [](Arguments x) -> Results {
                      auto [y, i] = adaptive_max_pool1d_with_indices(x[0], 2);
                      return Tensors{y, i};
                    },
                    [](Arguments) -> Results {
                      return Tensors{tensor({{{3., 5.}}}, float64), tensor({{{2, 4}}})};
                    }}},
       .recorded_as = {"adaptive_max_pool1d"}},
      {.name = "adaptive_max_pool2d_with_indices",
       .samples = {{{odd},
                    [](Arguments x) -> Results {
                      auto [y, i] = adaptive_max_pool2d_with_indices(x[0], 2);
                      return Tensors{y, i};
                    }}},
       .recorded_as = {"adaptive_max_pool2d"}},
      {.name = "adaptive_max_pool3d_with_indices",
       .samples = {{{volume},
                    [](Arguments x) -> Results {
                      auto [y, i] = adaptive_max_pool3d_with_indices(x[0], 2);
                      return Tensors{y, i};
                    }}},
       .recorded_as = {"adaptive_max_pool3d"}},
      {.name = "max_unpool1d",
       .samples = {{{values({1, 1, 2}, {2, 4}), values({1, 1, 2}, {1, 2}, int64)},
                    [](Arguments x) -> Results { return max_unpool1d(x[0], x[1], 2); },
                    [](Arguments) -> Results { return row(0, 2, 4, 0); }},
                   {{values({1, 2}, {2, 4}), values({1, 2}, {0, 4}, int64)},
                    [](Arguments x) -> Results { return max_unpool1d(x[0], x[1], 2, {.output_size = {5}}); },
                    [](Arguments) -> Results {
                      return tensor({{2, 0, 0, 0, 4}}, float64);
                    }}},
       .errors = {{{normal({1, 1, 2}), values({1, 1, 2}, {1, 1}, int64)},
                   [](Arguments x) -> Results { return max_unpool1d(x[0], x[1], 2); },
                   "index 1 occurs twice in a plane"},
                  {{normal({1, 1, 2}), values({1, 1, 2}, {1, 4}, int64)},
                   [](Arguments x) -> Results { return max_unpool1d(x[0], x[1], 2); },
                   "index 4 is beyond the 4 elements of a plane"},
                  {{normal({1, 1, 2}), values({1, 1, 2}, {0, -1}, int64)},
                   [](Arguments x) -> Results { return max_unpool1d(x[0], x[1], 2); },
                   "index -1 is beyond"},
                  {{normal({1, 1, 2}), values({1, 1, 2}, {0, 1}, int32)},
                   [](Arguments x) -> Results { return max_unpool1d(x[0], x[1], 2); },
                   "the indices are int32"},
                  {{normal({1, 1, 2}), values({1, 2}, {0, 1}, int64)},
                   [](Arguments x) -> Results { return max_unpool1d(x[0], x[1], 2); },
                   "there must be an index for each value"},
                  {{normal({1, 1, 2}), values({1, 1, 2}, {0, 1}, int64)},
                   [](Arguments x) -> Results { return max_unpool1d(x[0], x[1], 2, {.output_size = {6}}); },
                   "less than stride 2 away from 4"},
                  {{normal({1, 1, 2}), values({1, 1, 2}, {0, 1}, int64)},
                   [](Arguments x) -> Results {
                     return max_unpool1d(x[0], x[1], 2, {.output_size = {4, 4}});
                   },
                   "give the 1 spatial sizes"}},
       .recorded_as = {"scatter_add", "reshape"}},
      {.name = "max_unpool2d",
       .samples = {{{normal({1, 2, 2, 1}), values({1, 2, 2, 1}, {5, 11, 0, 2}, int64)},
                    [](Arguments x) -> Results {
                      return max_unpool2d(x[0], x[1], {2, 3}, {.stride = {2, 1}, .padding = {0, 0}});
                    },
                    [](Arguments x) -> Results {
                      const Tensor y = zeros({1, 2, 12}, float64), v = x[0].detach();
                      y[0][0][5] = v[0][0][0][0], y[0][0][11] = v[0][0][1][0];
                      y[0][1][0] = v[0][1][0][0], y[0][1][2] = v[0][1][1][0];
                      return y.view({1, 2, 4, 3});
                    }}},
       .recorded_as = {"scatter_add", "reshape"}},
      {.name = "max_unpool3d",
       .samples = {{{normal({1, 1, 1, 1, 2}), values({1, 1, 1, 1, 2}, {5, 11}, int64)},
                    [](Arguments x) -> Results {
                      return max_unpool3d(x[0], x[1], {3, 2, 2}, {.padding = {1, 0, 0}, .output_size = {3, 2, 4}});
                    }}},
       .recorded_as = {"scatter_add", "reshape"}},
      {.name = "max_pool1d_with_indices",
       .samples = {{{line()},
                    [](Arguments x) -> Results {
                      auto [y, i] = max_pool1d_with_indices(x[0], 2);
                      return Tensors{y, i};
                    },
                    [](Arguments) -> Results {
                      return Tensors{tensor({{{2., 4.}}}, float64), tensor({{{1, 3}}})};
                    }}},
       .recorded_as = {"max_pool1d"}},
      {.name = "max_pool2d_with_indices",
       .samples = {{{image},
                    [](Arguments x) -> Results {
                      auto [y, i] = max_pool2d_with_indices(x[0], 2);
                      return Tensors{y, i};
                    }}},
       .recorded_as = {"max_pool2d"}},
      {.name = "max_pool3d_with_indices",
       .samples = {{{volume},
                    [](Arguments x) -> Results {
                      auto [y, i] = max_pool3d_with_indices(x[0], 2);
                      return Tensors{y, i};
                    }}},
       .recorded_as = {"max_pool3d"}},
      {.name = "avg_pool1d",
       .samples = {{{line()},
                    [](Arguments x) -> Results { return avg_pool1d(x[0], 3, {.stride = 2, .padding = 1}); },
                    [](Arguments) -> Results { return row(1, 3, 3); }},
                   {{line()},
                    [](Arguments x) -> Results {
                      return avg_pool1d(x[0], 3, {.stride = 2, .padding = 1, .count_include_pad = false});
                    },
                    [](Arguments) -> Results { return row(1.5, 3, 4.5); }},
                   {{line()},
                    [](Arguments x) -> Results { return avg_pool1d(x[0], 2, {.ceil_mode = true}); },
                    [](Arguments) -> Results { return row(1.5, 3.5, 5); }},
                   {{line()},
                    [](Arguments x) -> Results { return avg_pool1d(x[0], 2, {.divisor_override = 4}); },
                    [](Arguments) -> Results { return row(0.75, 1.75); }}},
       .recorded_as = {"avg_pool", "avg_pool_backward"}},
      {.name = "avg_pool2d",
       .samples = {{{smooth},
                    [](Arguments x) -> Results {
                      return avg_pool2d(x[0], {3, 2}, {.stride = {1, 2}, .padding = 1});
                    }},
                   {{normal({1, 2, 4, 3})},
                    [](Arguments x) -> Results {
                      const Tensor last = contiguous(x[0], MemoryFormat::channels_last);
                      return avg_pool2d(last, {3, 2}, {.stride = {1, 2}, .padding = 1});
                    },
                    [](Arguments x) -> Results {
                      return avg_pool2d(x[0], {3, 2}, {.stride = {1, 2}, .padding = 1});
                    }}},
       .errors = {{{smooth}, [](Arguments x) -> Results { return avg_pool2d(x[0], 9); }, "does not fit the input"},
                  {{smooth},
                   [](Arguments x) -> Results { return avg_pool2d(x[0], 2, {.divisor_override = -1}); },
                   "must be positive"}}},
      {.name = "avg_pool3d",
       .samples = {{{normal({1, 1, 2, 3, 3})},
                    [](Arguments x) -> Results { return avg_pool3d(x[0], 2, {.stride = 1}); }}}},
      {.name = "adaptive_avg_pool1d",
       .samples = {{{values({1, 1, 5}, {0, 1, 2, 3, 4})},
                    [](Arguments x) -> Results { return adaptive_avg_pool1d(x[0], 3); },
                    [](Arguments) -> Results { return row(0.5, 2, 3.5); }}}},
      {.name = "adaptive_avg_pool2d",
       .samples = {{{smooth}, [](Arguments x) -> Results { return adaptive_avg_pool2d(x[0], 1); }},
                   {{smooth},
                    [](Arguments x) -> Results {
                      return adaptive_avg_pool2d(x[0], {3, 2});
                    }}},
       .errors = {{{smooth}, [](Arguments x) -> Results { return adaptive_avg_pool2d(x[0], 0); }, "at least 1"}}},
      {.name = "adaptive_avg_pool3d",
       .samples = {{{normal({1, 1, 2, 3, 3})}, [](Arguments x) -> Results { return adaptive_avg_pool3d(x[0], 2); }}}},
  };
}

}  // namespace cotangent
