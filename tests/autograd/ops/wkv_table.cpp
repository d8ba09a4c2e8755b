// The op table of autograd/ops/wkv.hpp, compared with the sums of the definition.
#include <cmath>

#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/wkv.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tests/autograd/op_info.hpp>

namespace cotangent {
namespace {

Results mean(Arguments x) {
  const auto [y, state] = wkv(x[0], x[1], x[2], x[3], x.size() > 4 ? WkvState{x[4], x[5]} : WkvState());
  const auto narrowed = [&, dtype = y.dtype()](const Tensor& t) { return to(t, dtype); };  // float32 in low precision
  return Tensors{y, narrowed(state.mean), narrowed(state.log_weight)};
}
Results by_sums(Arguments x) {
  const auto values = [&](size_t i) {
    return i < x.size() ? x[i].detach().to_vector<double>() : std::vector<double>();
  };
  const std::vector<double> k = values(0), v = values(1), w = values(2), u = values(3), m = values(4), l = values(5);
  const int64_t B = x[0].size(0), T = x[0].size(1), C = x[0].size(2);
  std::vector<double> y, means, logs;
  for (int64_t b = 0; b < B; ++b)
    for (int64_t t = 0; t <= T; ++t)
      for (int64_t c = 0; c < C; ++c) {
        const auto at = [&](int64_t i) { return static_cast<size_t>((b * T + i) * C + c); };
        const auto row = static_cast<size_t>(b * C + c), channel = static_cast<size_t>(c);
        // what is left before t, where the newest of it has lost nothing yet
        const bool last = t == T;
        const double steps = static_cast<double>(t);
        double weight = l.empty() ? 0 : std::exp(l[row] + steps * w[channel]), sum = l.empty() ? 0 : weight * m[row];
        for (int64_t i = 0; i < t; ++i) {
          const double e = std::exp(static_cast<double>(t - 1 - i) * w[channel] + k[at(i)]);
          weight += e, sum += e * v[at(i)];
        }
        if (last) {
          means.push_back(sum / weight), logs.push_back(std::log(weight));
        } else {
          const double e = std::exp(u[channel] + k[at(t)]);
          y.push_back((sum + e * v[at(t)]) / (weight + e));
        }
      }
  return Tensors{from_vector(y, {B, T, C}), from_vector(means, {B, C}), from_vector(logs, {B, C})};
}

}  // namespace

COTANGENT_OP_TABLE(wkv) {
  const InputSpec k = normal({2, 4, 2}), w = uniform({2}, -2, -0.1), u = normal({2}), state = normal({2, 2});
  return {{"wkv",
           {{{k, k, w, u}, mean, by_sums}, {{k, k, w, u, state, state}, mean, by_sums}},
           {{{normal({4, 2}), k, w, u}, mean, "must be (B, T, C)"},
            {{k, k, normal({3}), u}, mean, "w is (3,)"},
            {{k, k, w, u, normal({2, 3}), state}, mean, "the mean of the state is (2, 3)"},
            {{k, k, w, integers({2}, 0, 2)}, mean, "one floating dtype"},
            {{k, k, w, u, state},
             [](Arguments x) -> Results {
               return wkv(x[0], x[1], x[2], x[3], {x[4], {}}).output;
             },
             "one part of the state"}}}};
}

}  // namespace cotangent
