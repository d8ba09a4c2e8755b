// The op table of autograd/ops/resolvent.hpp, compared with the sums that define it.
#include <complex>
#include <numbers>

#include <cotangent/autograd/ops/resolvent.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tests/autograd/op_info.hpp>

namespace cotangent {
namespace {

template <int64_t L>
Results sums(Arguments x) {
  return resolvent_sums(x[0], x[1], L);
}
template <int64_t L>
Results sums_naively(Arguments x) {
  using Number = std::complex<double>;
  const int64_t channels = x[1].size(0), poles = x[1].size(1), count = L / 2 + 1;
  const std::vector<double> v = x[0].detach().to_vector<double>(), mu = x[1].detach().to_vector<double>();
  const auto number = [](const std::vector<double>& all, int64_t i) {
    return Number(all[static_cast<size_t>(2 * i)], all[static_cast<size_t>(2 * i + 1)]);
  };
  const Tensor y = zeros({channels, 4, 2, count}, float64);
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t j = 0; j < 4; ++j)
      for (int64_t l = 0; l < count; ++l) {
        const double angle = std::numbers::pi * double(l) / double(L);
        Number sum = 0;
        for (int64_t n = 0; n < poles; ++n) {
          const Number w = number(v, (c * 4 + j) * poles + n), pole = number(mu, c * poles + n),
                       at(0, 2 * std::sin(angle));
          sum += w / (at - pole * std::cos(angle)) + std::conj(w) / (at - std::conj(pole) * std::cos(angle));
        }
        y.data<double>()[((c * 4 + j) * 2) * count + l] = sum.real();
        y.data<double>()[((c * 4 + j) * 2 + 1) * count + l] = sum.imag();
      }
  return y;
}

}  // namespace

COTANGENT_OP_TABLE(resolvent) {
  const InputSpec v = normal({2, 4, 3, 2}), mu = uniform({2, 3, 2}, -1.5, -0.4);
  return {{"resolvent_sums",
           {{{v, mu}, sums<5>, sums_naively<5>},
            {{normal({1, 4, 2, 2}), uniform({1, 2, 2}, -2, -1)}, sums<40>, sums_naively<40>},
            {{v, mu}, sums<1>, sums_naively<1>}},
           {{{v, normal({2, 3})}, sums<4>, "they must be (C, 4, N, 2) and (C, N, 2)"},
            {{normal({2, 3, 3, 2}), mu}, sums<4>, "weights (2, 3, 3, 2)"},
            {{v, values({2, 3, 2}, std::vector<double>(12, -1), float32)}, sums<4>, "one floating dtype"},
            {{v, mu}, sums<0>, "the length is 0"}}}};
}

}  // namespace cotangent
