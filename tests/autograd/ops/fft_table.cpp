// The op table of autograd/ops/fft.hpp, compared with the sums that define transforms and convolutions.
#include <cmath>
#include <numbers>

#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/fft.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tests/autograd/op_info.hpp>

namespace cotangent {
namespace {

using fft::Norm;

/// scale cos and scale sin of 2 pi j k / n as matrices (rows j, columns k).
struct Waves {
  Waves(int64_t rows, int64_t columns, int64_t n, double scale)
      : re(empty({rows, columns}, float64)), im(empty({rows, columns}, float64)) {
    for (int64_t j = 0; j < rows; ++j)
      for (int64_t k = 0; k < columns; ++k) {
        const double angle = 2 * std::numbers::pi * static_cast<double>(j * k % n) / static_cast<double>(n);
        re.data<double>()[j * columns + k] = scale * std::cos(angle);
        im.data<double>()[j * columns + k] = scale * std::sin(angle);
      }
  }
  Tensor re, im;
};

template <int64_t N, Norm norm = Norm::backward>
Results there(Arguments x) {
  return fft::rfft(x[0], N, -1, norm);
}
template <int64_t N, Norm norm = Norm::backward>
Results there_naively(Arguments x) {
  const int64_t n = N ? N : x[0].size(-1), used = std::min(n, x[0].size(-1));
  const Waves w(used, n / 2 + 1, n, norm == Norm::backward ? 1 : 1 / (norm == Norm::ortho ? std::sqrt(n) : double(n)));
  const Tensor in = narrow(x[0].detach(), -1, 0, used);
  return stack({matmul(in, w.re), -matmul(in, w.im)}, -1);
}
template <int64_t N, Norm norm = Norm::backward>
Results back(Arguments x) {
  return fft::irfft(x[0], N, -1, norm);
}
template <int64_t N, Norm norm = Norm::backward>
Results back_naively(Arguments x) {
  const int64_t n = N ? N : 2 * (x[0].size(-2) - 1), used = std::min(n / 2 + 1, x[0].size(-2));
  const double scale = norm == Norm::backward ? 1 / double(n) : norm == Norm::ortho ? 1 / std::sqrt(n) : 1;
  const Waves w(used, n, n, scale);
  for (int64_t k = 0; k < used; ++k)  // the others stand for their conjugates, too
    for (int64_t j = 0; j < n && k > 0 && 2 * k != n; ++j)
      w.re.data<double>()[k * n + j] *= 2, w.im.data<double>()[k * n + j] *= 2;
  const Tensor in = narrow(x[0].detach(), -2, 0, used);
  return matmul(select(in, -1, 0), w.re) - matmul(select(in, -1, 1), w.im);
}

template <int64_t N, bool inverse, Norm norm = Norm::backward>
Results whole(Arguments x) {
  return inverse ? fft::ifft(x[0], N, -1, norm) : fft::fft(x[0], N, -1, norm);
}
template <int64_t N, bool inverse, Norm norm = Norm::backward>
Results whole_naively(Arguments x) {
  const int64_t n = N ? N : x[0].size(-2), used = std::min(n, x[0].size(-2));
  const double scale = norm == Norm::ortho ? 1 / std::sqrt(n) : (norm == Norm::backward) == inverse ? 1 / double(n) : 1;
  const Waves w(used, n, n, scale);
  const Tensor in = narrow(x[0].detach(), -2, 0, used), re = select(in, -1, 0), im = select(in, -1, 1),
               wi = inverse ? w.im : -w.im;
  return stack({matmul(re, w.re) - matmul(im, wi), matmul(re, wi) + matmul(im, w.re)}, -1);
}

template <FftConv keep>
Results convolve(Arguments x) {
  return fft_conv1d(x[0], x[1], keep);
}
template <FftConv keep>
Results convolve_naively(Arguments x) {
  const int64_t T = x[0].size(-1), L = x[1].size(-1), kept = keep == FftConv::causal ? T : T + L - 1;
  Shape batch =
      broadcast_shapes("test", x[0].shape().slice(0, x[0].rank() - 1), x[1].shape().slice(0, x[1].rank() - 1));
  Tensors y;
  for (int64_t t = 0; t < kept; ++t) {
    Tensor at = zeros(batch, float64);
    for (int64_t l = 0; l < L; ++l)
      if (t - l >= 0 && t - l < T) at = at + select(x[1].detach(), -1, l) * select(x[0].detach(), -1, t - l);
    y.push_back(at);
  }
  return stack(y, -1);
}
// by kernels that were made for a longer input
Results convolve_kept(Arguments x) { return fft_conv1d(x[0], fft_kernel(x[1], x[0].size(-1) + 3), FftConv::full); }

}  // namespace

COTANGENT_OP_TABLE(fft) {
  using enum FftConv;
  const InputSpec row = normal({2, 6}), pairs = normal({2, 4, 2});
  return {{"rfft",
           {{{row}, there<0>, there_naively<0>},
            {{normal({3, 2, 5})}, there<0, Norm::ortho>, there_naively<0, Norm::ortho>},
            {{row}, there<9, Norm::forward>, there_naively<9, Norm::forward>},
            {{row}, there<4>, there_naively<4>},
            {{normal({3, 7})}, there<0>, there_naively<0>},
            {{normal({1})}, there<0>, there_naively<0>},
            {{normal({5, 2})},
             [](Arguments x) -> Results { return fft::rfft(x[0], 0, 0); },
             [](Arguments x) -> Results {
               const Tensor turned[] = {transpose(x[0].detach(), 0, 1)};
               return transpose(there_naively<0>(turned)[0], 0, 1);
             }}},
           {{{row}, there<-1>, "the length is -1"},
            {{normal({2, 0})}, there<0>, "the length is 0"},
            {{normal({})}, there<0>, "it must be (.., T)"},
            {{integers({3}, 0, 3)}, there<0>, "takes a floating tensor, got int64"},
            {{row}, [](Arguments x) -> Results { return fft::rfft(x[0], 0, 2); }, "[rfft]"}}},
          {"irfft",
           {{{pairs}, back<0>, back_naively<0>},
            {{pairs}, back<7, Norm::ortho>, back_naively<7, Norm::ortho>},
            {{pairs}, back<9>, back_naively<9>},
            {{pairs}, back<4, Norm::forward>, back_naively<4, Norm::forward>},
            {{normal({3, 1, 2})}, back<1>, back_naively<1>}},
           {{{normal({2, 1, 2})}, back<0>, "the length is 0"},
            {{normal({2, 3})}, back<0>, "of pairs (re, im)"},
            {{pairs}, [](Arguments x) -> Results { return fft::irfft(x[0], 0, 2); }, "[irfft]"}}},
          {"fft",
           {{{pairs}, whole<0, false>, whole_naively<0, false>},
            {{normal({3, 7, 2})}, whole<0, false, Norm::ortho>, whole_naively<0, false, Norm::ortho>},
            {{pairs}, whole<6, false, Norm::forward>, whole_naively<6, false, Norm::forward>},
            {{pairs}, whole<3, false>, whole_naively<3, false>}},
           {{{normal({2, 3})}, whole<0, false>, "of pairs (re, im)"},
            {{pairs}, whole<-2, false>, "[fft] the length is -2"}}},
          {"ifft",
           {{{pairs}, whole<0, true>, whole_naively<0, true>},
            {{normal({3, 5, 2})}, whole<0, true, Norm::ortho>, whole_naively<0, true, Norm::ortho>},
            {{pairs}, whole<7, true>, whole_naively<7, true>},
            {{pairs}, whole<3, true, Norm::forward>, whole_naively<3, true, Norm::forward>}},
           {{{normal({2})}, whole<0, true>, "of pairs (re, im)"}}},
          {"fftfreq",
           {{{},
             [](Arguments) -> Results { return fft::fftfreq(5, 0.5, float64); },
             [](Arguments) -> Results {
               return tensor({0.0, 0.4, 0.8, -0.8, -0.4}, float64);
             }}},
           {{{}, [](Arguments) -> Results { return fft::fftfreq(0); }, "the length is 0"}},
           0},
          {"rfftfreq",
           {{{},
             [](Arguments) -> Results { return fft::rfftfreq(4, 1, float64); },
             [](Arguments) -> Results {
               return tensor({0.0, 0.25, 0.5}, float64);
             }}},
           {{{}, [](Arguments) -> Results { return fft::rfftfreq(-1); }, "the length is -1"}},
           0},
          {"fft_kernel",
           {{{normal({2, 3})}, [](Arguments x) -> Results { return fft_kernel(x[0], 4).transform; }, there_naively<6>}},
           {{{normal({2, 3})},
             [](Arguments x) -> Results { return fft_kernel(x[0], -1).transform; },
             "inputs of length -1"}},
           3,
           1e-6,
           false,
           {"rfft"}},
          {"fft_conv1d",
           {{{row, normal({2, 3})}, convolve<causal>, convolve_naively<causal>},
            {{row, normal({2, 3})}, convolve<full>, convolve_naively<full>},
            {{normal({3, 2, 4}), normal({2, 4})}, convolve<causal>, convolve_naively<causal>},
            {{normal({3, 2, 4}), normal({3, 1, 9})}, convolve<causal>, convolve_naively<causal>},
            {{normal({2, 1, 3}), normal({4, 2})}, convolve<full>, convolve_naively<full>},
            {{normal({5}), normal({1})}, convolve<causal>, convolve_naively<causal>},
            {{row, normal({3})}, convolve_kept, convolve_naively<full>}},
           {{{row, normal({3, 2})}, convolve<causal>, "[fft_conv1d]"},
            {{row, normal({2, 0})}, convolve<causal>, "at least one tap"},
            {{normal({}), row}, convolve<causal>, "x is a scalar"},
            {{row, values({2}, {1, 2}, float32)}, convolve<causal>, "one floating dtype"},
            {{row, normal({3})},
             [](Arguments x) -> Results { return fft_conv1d(x[0], fft_kernel(x[1], 2)); },
             "meets x (2, 6) at its ends"}},
           3,
           1e-6,
           true,
           {"fft_conv1d", "rfft"}}};
}

}  // namespace cotangent
