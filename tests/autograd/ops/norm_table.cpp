// The op table of autograd/ops/norm.hpp.
#include <cmath>

#include <cotangent/autograd/ops/activation.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/norm.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/norm.hpp>
#include <cotangent/tests/autograd/ops/naive_norm.hpp>

namespace cotangent {
namespace {

template <int dims>
Results call_layer_norm(Arguments x) {
  return layer_norm(x[0], x[0].shape().slice(x[0].rank() - dims, x[0].rank()), argument(x, 1), argument(x, 2), 1e-3);
}
template <int dims>
Results naive_layer_norm(Arguments x) {
  const int64_t n = x[0].shape().slice(x[0].rank() - dims, x[0].rank()).product();
  return naive_norm(
      x, x[0].numel() / n, [&](int64_t i) { return i / n; }, [&](int64_t i) { return i % n; }, 1e-3);
}
Results call_rms_norm(Arguments x) { return rms_norm(x[0], x[0].shape().slice(1, x[0].rank()), argument(x, 1), 1e-3); }
Results naive_rms_norm(Arguments x) {
  const int64_t n = x[0].shape().slice(1, x[0].rank()).product();
  std::vector<double> y = x[0].detach().to_vector<double>();
  for (auto row = y.begin(); row != y.end(); row += n) {
    double squares = 0;
    for (int64_t i = 0; i < n; ++i) squares += row[i] * row[i];
    for (int64_t i = 0; i < n; ++i) row[i] /= std::sqrt(squares / static_cast<double>(n) + 1e-3);
  }
  const Tensor result = from_vector(y, x[0].shape());
  return x.size() > 1 ? result * x[1].detach() : result;
}
Results train(Arguments x) { return batch_norm(x[0], {}, {}, argument(x, 1), argument(x, 2), true, 0.1, 1e-3); }
Results infer(Arguments x) {
  return batch_norm(x[0], tensor({0.5, -1.0}, float64), tensor({2.0, 0.5}, float64), argument(x, 1), argument(x, 2),
                    false, 0.1, 1e-3);
}
Results naive_batch_norm(Arguments x, const std::vector<double>& moments) {
  const int64_t channels = x[0].shape()[1], inner = x[0].shape().slice(2, x[0].rank()).product();
  auto channel = [&](int64_t i) { return i / inner % channels; };
  return naive_norm(x, channels, channel, channel, 1e-3, moments);
}
Results naive_train(Arguments x) { return naive_batch_norm(x, {}); }
Results naive_infer(Arguments x) { return naive_batch_norm(x, {0.5, -1.0, 2.0, 0.5}); }
// Limits that lie between two of the values below.
Results train_limited(Arguments x) {
  return batch_norm(x[0], {}, {}, argument(x, 1), argument(x, 2), true, 0.1, 1e-3, {-0.15, 0.35});
}
Results infer_limited(Arguments x) {
  return batch_norm(x[0], tensor({0.5, -1.0}, float64), tensor({2.0, 0.5}, float64), argument(x, 1), argument(x, 2),
                    false, 0.1, 1e-3, {0});
}
Results naive_infer_limited(Arguments x) { return clamp(naive_infer(x)[0], 0); }
Results naive_train_limited(Arguments x) { return clamp(naive_batch_norm(x, {})[0], -0.15, 0.35); }
Results train_channels_last(Arguments x) {
  return batch_norm(contiguous(x[0], MemoryFormat::channels_last), {}, {}, x[1], x[2], true, 0.1, 1e-3);
}

}  // namespace

COTANGENT_OP_TABLE(norm) {
  return {
      {"layer_norm",
       {{{normal({2, 4}), normal({4}), normal({4})}, call_layer_norm<1>, naive_layer_norm<1>},
        {{normal({3, 4})}, call_layer_norm<1>, naive_layer_norm<1>},
        {{normal({4}), normal({4})}, call_layer_norm<1>, naive_layer_norm<1>},
        {{normal({2, 2, 3}), normal({2, 3}), normal({2, 3})}, call_layer_norm<2>, naive_layer_norm<2>},
        {{normal({2, 2, 3}), normal({3}), normal({3})}, call_layer_norm<1>, naive_layer_norm<1>},
        {{normal({0, 3}), normal({3}), normal({3})}, call_layer_norm<1>, naive_layer_norm<1>}},
       {{{normal({2, 3})},
         [](Arguments x) -> Results { return layer_norm(x[0], {4}); },
         "[layer_norm] x is (2, 3) and the normalized shape (4,); the last dimensions of x must equal it"},
        {{normal({3})},
         [](Arguments x) -> Results {
           return layer_norm(x[0], {2, 3});
         },
         "the last dimensions of x must equal it"},
        {{normal({3})}, [](Arguments x) -> Results { return layer_norm(x[0], {}); }, "one dimension at least"},
        {{normal({2, 3}), normal({2})}, call_layer_norm<1>, "the weight is (2,); it must be (3,)"},
        {{integers({2, 3}, 0, 5)}, call_layer_norm<1>, "takes a floating tensor, got int64"}}},
      {"rms_norm",
       {{{normal({2, 4}), normal({4})}, call_rms_norm, naive_rms_norm},
        {{normal({3, 4})}, call_rms_norm, naive_rms_norm},
        {{normal({2, 2, 3}), normal({2, 3})}, call_rms_norm, naive_rms_norm}},
       {{{normal({2, 3})},
         [](Arguments x) -> Results { return rms_norm(x[0], {4}); },
         "[rms_norm] x is (2, 3) and the normalized shape (4,); the last dimensions of x must equal it"},
        {{normal({2, 3}), normal({2})}, call_rms_norm, "the weight is (2,); it must be (3,)"},
        {{integers({2, 3}, 0, 5)}, call_rms_norm, "takes a floating tensor, got int64"}}},
      {"batch_norm",
       {{{normal({3, 2}), normal({2}), normal({2})}, train, naive_train},
        {{normal({2, 2, 3}), normal({2}), normal({2})}, train, naive_train},
        {{normal({2, 2, 2, 2}), normal({2}), normal({2})}, train, naive_train},
        {{normal({2, 2, 2, 2}), normal({2}), normal({2})}, train_channels_last, naive_train},
        {{normal({1, 2, 3})}, train, naive_train},
        {{normal({4, 1}), normal({1})}, train, naive_train},
        {{normal({2, 2, 3}), normal({2}), normal({2})}, infer, naive_infer},
        {{normal({1, 2}), normal({2}), normal({2})}, infer, naive_infer},
        {{normal({3, 2})}, infer, naive_infer},
        {{distinct({2, 2, 3}), normal({2}), normal({2})}, train_limited, naive_train_limited},
        {{distinct({6, 2})}, train_limited, naive_train_limited},
        {{distinct({2, 2, 3}), normal({2}), normal({2})}, infer_limited, naive_infer_limited}},
       {{{normal({3})}, train, "it must be (N, C, ...)"},
        {{normal({1, 2})}, train, "[batch_norm] x is (1, 2): one value a channel has no variance"},
        {{normal({3, 3}), normal({2})}, train, "the weight is (2,); it must be (3,)"},
        {{normal({3, 3})}, infer, "running_mean is (2,); it must be (3,)"},
        {{normal({3, 3})},
         [](Arguments x) -> Results { return batch_norm(x[0], {}, {}); },
         "are needed outside training"},
        {{normal({3, 3})},
         [](Arguments x) -> Results {
           return batch_norm(x[0], {}, {}, {}, {}, true, 0.1, 1e-5, {1, 0});
         },
         "the lower limit 1 is above the upper one 0"},
        {{integers({3, 2}, 0, 5)}, train, "takes a floating tensor, got int64"}}},
  };
}

}  // namespace cotangent
