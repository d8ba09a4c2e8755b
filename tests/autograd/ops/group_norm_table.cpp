// The op table of autograd/ops/group_norm.cpp.
#include <cotangent/autograd/ops/norm.hpp>
#include <cotangent/autograd/ops/statistics.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tests/autograd/ops/naive_norm.hpp>

namespace cotangent {
namespace {

template <int64_t groups>
Results call_group_norm(Arguments x) {
  return group_norm(x[0], groups, argument(x, 1), argument(x, 2), 1e-3);
}
Tensor naive(Arguments x, int64_t groups, const std::vector<double>& moments = {}) {
  const int64_t channels = x[0].size(1), inner = x[0].shape().slice(2, x[0].rank()).product(),
                size = channels * inner / groups;
  return naive_norm(
      x, x[0].numel() / size, [&](int64_t i) { return i / size; }, [&](int64_t i) { return i / inner % channels; },
      1e-3, moments);
}
template <int64_t groups>
Results naive_group_norm(Arguments x) {
  return naive(x, groups);
}
Results call_instance_norm(Arguments x) {
  return instance_norm(x[0], {}, {}, argument(x, 1), argument(x, 2), true, 0.1, 1e-3);
}
Results naive_instance_norm(Arguments x) { return naive(x, x[0].size(1)); }
Results by_running(Arguments x) {
  return instance_norm(x[0], tensor({0.5, -1.0}, float64), tensor({2.0, 0.5}, float64), argument(x, 1), argument(x, 2),
                       false, 0.1, 1e-3);
}
Results naive_by_running(Arguments x) { return naive(x, 2, {0.5, -1, 0.5, -1, 2, 0.5, 2, 0.5}); }

}  // namespace

COTANGENT_OP_TABLE(group_norm) {
  const InputSpec per_channel = normal({4}), per_2 = normal({2});
  return {
      {"group_norm",
       {{{normal({2, 4, 3}), per_channel, per_channel}, call_group_norm<2>, naive_group_norm<2>},
        {{normal({1, 4, 2, 2}), per_channel, per_channel}, call_group_norm<1>, naive_group_norm<1>},
        {{normal({2, 4, 3}), per_channel}, call_group_norm<4>, naive_group_norm<4>},
        {{normal({3, 6})}, call_group_norm<2>, naive_group_norm<2>}},
       {{{normal({4})}, call_group_norm<2>, "[group_norm] x is (4,); it must be (N, C, ...)"},
        {{normal({2, 3, 2})}, call_group_norm<2>, "2 groups for x (2, 3, 2); they must divide its 3 channels"},
        {{normal({2, 4, 2})}, call_group_norm<0>, "0 groups"},
        {{normal({2, 4, 2}), per_2}, call_group_norm<2>, "the weight is (2,); it must be (4,)"},
        {{integers({2, 4, 2}, 0, 5)}, call_group_norm<2>, "takes a floating tensor, got int64"}}},
      {"instance_norm",
       {{{normal({2, 2, 3}), per_2, per_2}, call_instance_norm, naive_instance_norm},
        {{normal({1, 2, 2, 2}), per_2}, call_instance_norm, naive_instance_norm},
        {{normal({2, 1, 4})}, call_instance_norm, naive_instance_norm},
        {{normal({2, 2, 3}), per_2, per_2}, by_running, naive_by_running}},
       {{{normal({2, 3})}, call_instance_norm, "[instance_norm] x is (2, 3); it must be (N, C, ...) with positions"},
        {{normal({2, 2, 1})}, call_instance_norm, "one position has no variance"},
        {{normal({2, 3, 2})}, by_running, "running_mean is (2,); it must be (3,)"},
        {{normal({2, 2, 2})},
         [](Arguments x) -> Results { return instance_norm(x[0], {}, {}, {}, {}, false); },
         "are needed when not by instance"},
        {{normal({2, 2, 3}), per_channel}, call_instance_norm, "the weight is (4,); it must be (2,)"},
        {{integers({2, 2, 3}, 0, 5)}, call_instance_norm, "takes a floating tensor, got int64"}}},
  };
}

}  // namespace cotangent
