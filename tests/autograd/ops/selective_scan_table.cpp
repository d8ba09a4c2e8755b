// The op table of autograd/ops/selective_scan.hpp, compared with the matrix form
// M_ts = sum_n c_tn b_sn exp(a_n (dt_{s+1} + .. + dt_t)) dt_s.
#include <cmath>

#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/selective_scan.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tests/autograd/op_info.hpp>

namespace cotangent {
namespace {

Results scan(Arguments x) {
  const auto [y, state] =
      selective_scan(x[0], x[1], x[2], x[3], x[4], x.size() > 5 ? x[5] : Tensor(), x.size() > 6 ? x[6] : Tensor());
  return Tensors{y, to(state, y.dtype())};  // which is float32 in low precision
}
Results by_matrix(Arguments x) {
  const auto values = [&](size_t i) {
    return i < x.size() ? x[i].detach().to_vector<double>() : std::vector<double>();
  };
  const std::vector<double> in = values(0), dt = values(1), a = values(2), b = values(3), c = values(4),
                            skip = values(5), start = values(6);
  const int64_t B = x[0].size(0), T = x[0].size(1), D = x[0].size(2), N = x[2].size(1);
  const auto at = [](const std::vector<double>& v, int64_t i, int64_t j, int64_t n, int64_t k, int64_t m) {
    return v[static_cast<size_t>((i * n + j) * m + k)];
  };
  std::vector<double> y(static_cast<size_t>(B * T * D)), states(static_cast<size_t>(B * D * N));
  for (int64_t i = 0; i < B; ++i)
    for (int64_t d = 0; d < D; ++d)
      for (int64_t t = 0; t < T; ++t) {
        double& out = y[static_cast<size_t>((i * T + t) * D + d)];
        if (!skip.empty()) out = skip[static_cast<size_t>(d)] * at(in, i, t, T, d, D);
        for (int64_t n = 0; n < N; ++n) {
          double h = 0, passed = 0;  // sum over s of what is left at t
          for (int64_t s = t; s >= 0; --s) {
            const double step = at(dt, i, s, T, d, D);
            h += std::exp(at(a, 0, d, D, n, N) * passed) * step * at(in, i, s, T, d, D) * at(b, i, s, T, n, N);
            passed += step;
          }
          if (!start.empty()) h += std::exp(at(a, 0, d, D, n, N) * passed) * at(start, i, d, D, n, N);
          out += at(c, i, t, T, n, N) * h;
          if (t == T - 1) states[static_cast<size_t>((i * D + d) * N + n)] = h;
        }
      }
  return Tensors{from_vector(y, {B, T, D}), from_vector(states, {B, D, N})};
}

}  // namespace

COTANGENT_OP_TABLE(selective_scan) {
  const InputSpec x = normal({2, 4, 2}), dt = uniform({2, 4, 2}, 0.05, 1), a = uniform({2, 2}, -2, -0.1),
                  b = normal({2, 4, 2}), skip = normal({2}), state = normal({2, 2, 2});
  return {{"selective_scan",
           {{{x, dt, a, b, b}, scan, by_matrix}, {{x, dt, a, b, b, skip, state}, scan, by_matrix}},
           {{{normal({4, 2}), dt, a, b, b}, scan, "must be (B, T, D) and (D, N)"},
            {{x, normal({2, 3, 2}), a, b, b}, scan, "dt is (2, 3, 2)"},
            {{x, dt, a, normal({2, 4, 3}), b}, scan, "b is (2, 4, 3)"},
            {{x, dt, a, b, b, normal({3})}, scan, "skip is (3,)"},
            {{x, dt, a, b, b, skip, normal({2, 2, 3})}, scan, "the state is (2, 2, 3)"},
            {{x, dt, integers({2, 2}, -2, 0), b, b}, scan, "one floating dtype"}}}};
}

}  // namespace cotangent
