// Layers made of linear recurrences: minimal.hpp, lru.hpp, s4d.hpp; and all against tests/reference/recurrence.json.
#include <cmath>
#include <complex>

#include <cotangent/autograd/ops/complex.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/nn/sequence/lru.hpp>
#include <cotangent/nn/sequence/minimal.hpp>
#include <cotangent/nn/sequence/s4.hpp>
#include <cotangent/nn/sequence/s4d.hpp>

#include "../attention/checks.hpp"
#include "../check_layer.hpp"
#include "../reference_layer.hpp"

using namespace cotangent;
using nn::Discretization;
using nn::S4DInit;

TEST_CASE("minimal recurrences and LRU: forms, streams and causality") {
  check_causal_layer(nn::MinGRU(4));
  check_causal_layer(nn::MinGRU(4, {.hidden = 3, .positive = false}));
  check_causal_layer(nn::MinLSTM(4, {.bias = false}));
  check_causal_layer(nn::MinLSTM(4, {.hidden = 6}));
  check_causal_layer(nn::LRU(4));
  check_causal_layer(nn::LRU(4, {.states = 3, .min_radius = 0.9, .max_radius = 0.999}));
}

TEST_CASE("S4D: forms, streams and causality") {
  check_causal_layer(nn::S4D(4, {.state = 6}), 1e-12);
  check_causal_layer(nn::S4D(3, {.state = 4, .discretization = Discretization::bilinear, .glu = false}), 1e-12);
}

TEST_CASE("layers of linear recurrences: gradients to second order, and low precision") {
  check_layer(nn::MinGRU(3), {2, 4, 3});
  check_layer(nn::MinLSTM(3, {.hidden = 2}), {2, 4, 3});
  check_layer(nn::LRU(3, {.states = 2, .max_radius = 0.9}), {2, 4, 3});
  check_layer(nn::S4D(2, {.state = 4, .dt_min = 0.1, .dt_max = 0.5}), {2, 4, 2});
  check_layer(nn::S4D(2, {.state = 2, .discretization = Discretization::bilinear, .glu = false}), {2, 4, 2});
}

TEST_CASE("layers of linear recurrences are what PyTorch computes step by step") {
  const Json data("recurrence.json");
  CHECK(data.size() == 20);
  for (size_t n = 0; n < data.size(); ++n) {
    const Case test(data[n]);
    const auto name = test.get<std::string>("name", "");
    INFO(n << ": " << name);
    const auto run = [&](auto& layer) { return layer(test.inputs.get("x"), {.key_mask = test.masks.get("key_mask")}); };
    if (name == "minimal") {
      const nn::MinimalOptions o{.hidden = test.get<int64_t>("hidden", 0), .positive = test.get("positive", true)};
      if (test.get("lstm", false))
        compare(test, nn::MinLSTM(3, o), run);
      else
        compare(test, nn::MinGRU(3, o), run);
    } else if (name == "lru") {
      compare(test, nn::LRU(3, {.states = int64_t(unpacked(test.data["parameters"]["nu_log"]).numel())}), run);
    } else {
      const auto method = test.get<std::string>("method", "");
      const Discretization kind = method == "bilinear"         ? Discretization::bilinear
                                  : method == "forward_euler"  ? Discretization::forward_euler
                                  : method == "backward_euler" ? Discretization::backward_euler
                                                               : Discretization::zero_order_hold;
      compare(test, nn::S4D(3, {.state = 4, .discretization = kind, .glu = test.get("glu", true)}), run);
    }
  }
}

TEST_CASE("layers of linear recurrences refuse what makes no sense, and say what they are") {
  CHECK_THROWS_WITH(nn::MinGRU(0), Catch::Contains("[MinGRU] 0 hidden units for a width of 0"));
  CHECK_THROWS_WITH(nn::MinLSTM(2, {.hidden = -1}), Catch::Contains("[MinLSTM] -1 hidden units"));
  CHECK_THROWS_WITH(nn::LRU(2, {.states = -1}), Catch::Contains("[LRU] -1 states"));
  CHECK_THROWS_WITH(nn::LRU(2, {.min_radius = 0.9, .max_radius = 0.5}), Catch::Contains("[LRU] radii from 0.9 to 0.5"));
  CHECK_THROWS_WITH(nn::S4D(2, {.state = 3}), Catch::Contains("[S4D] a state of 3"));
  CHECK_THROWS_AS(nn::S4D(0), ValueError);
  CHECK_THROWS_WITH(nn::S4D(2, {.dt_min = 0}), Catch::Contains("[S4D] steps from 0 to 0.1"));
  const Tensor x = randn({1, 4, 4});
  CHECK_THROWS_WITH(nn::MinGRU(4)(x, {.mask = ones({4, 4}, boolean)}), Catch::Contains("takes no mask"));
  CHECK_THROWS_WITH(nn::LRU(4)(x, {.memory = x}), Catch::Contains("is causal"));
  CHECK(nn::MinGRU(4, {.hidden = 8, .positive = false}).settings() == "4, hidden = 8, positive = false");
  CHECK(nn::LRU(4, {.states = 8}).settings() == "4, states = 8");
  CHECK(nn::S4D(4, {.state = 8, .glu = false}).settings() == "4, state = 8, glu = false");
  CHECK(nn::S4D(4)(zeros({0, 3, 4})).shape() == Shape{0, 3, 4});
  CHECK(nn::LRU(4)(zeros({2, 0, 4})).shape() == Shape{2, 0, 4});
}

// ---- minimal recurrences ----

TEST_CASE("minimal recurrences: the state is a mean of candidates, however far out the gates are") {
  for (const double scale : {1.0, 1e3, 1e150}) {
    nn::MinLSTM layer(3, {.dtype = float64});
    NoGrad guard;
    layer.in_proj.weight.narrow(0, 0, 6).mul_(scale);
    layer.in_proj.weight.narrow(0, 6, 3).zero_();
    layer.in_proj.bias.narrow(0, 6, 3).fill_(1.5);
    const Tensor y = layer(sequence(20, 3));
    CHECK(y.min().item() >= 0);
    CHECK(y.max().item() <= 2 + 1e-12);
    CHECK(close(layer(sequence(1, 3)), layer(sequence(1, 3), {.form = nn::SequenceForm::recurrent})));
  }
}

TEST_CASE("minimal recurrences: padding leaves the state as it is") {
  nn::MinGRU layer = prepared(nn::MinGRU(4));
  const Tensor x = sequence(6, 4);
  const Tensor mask = tensor({{true, true, false, false, true, true}, {true, true, false, false, true, true}});
  const Tensor y = layer(x, {.key_mask = mask}), without = layer(cat({x.narrow(1, 0, 2), x.narrow(1, 4, 2)}, 1));
  CHECK(close(y.narrow(1, 4, 2), without.narrow(1, 2, 2)));
  CHECK(close(y.narrow(1, 3, 1), without.narrow(1, 1, 1)));
}

// ---- LRU ----

TEST_CASE("LRU: eigenvalues start uniformly on a ring, and white noise gives states of variance 1") {
  manual_seed(1);
  nn::LRU layer(64, {.states = 512, .min_radius = 0.5, .max_radius = 0.95, .max_phase = 3, .dtype = float64});
  const Tensor lambda = layer.eigenvalues().detach(), square_radius = square(complex::abs(lambda)),
               phase = complex::angle(lambda);
  CHECK(square_radius.min().item() >= 0.25);
  CHECK(square_radius.max().item() <= 0.9025);
  CHECK(phase.min().item() >= 0);
  CHECK(phase.max().item() <= 3);
  for (int part = 0; part < 4; ++part) {  // as many in each ring of the same area, and in each sector
    const auto share = [&](const Tensor& x, double low, double high) {
      const double from = low + (high - low) * part / 4, to = low + (high - low) * (part + 1) / 4;
      return mean(logical_and(x >= from, x < to).to(float64)).item();
    };
    CHECK(share(square_radius, 0.25, 0.9025) == Approx(0.25).margin(0.06));
    CHECK(share(phase, 0, 3) == Approx(0.25).margin(0.06));
  }
  nn::StreamState state = layer.start(16);
  NoGrad guard;
  layer.step(randn({16, 300, 64}, float64), state);
  CHECK(mean(square(complex::abs(state.own.as<nn::LRUState>().h))).item() == Approx(1).margin(0.04));
}

TEST_CASE("LRU is stable whatever its parameters are, and the convolution with its impulse response") {
  nn::LRU layer(3, {.states = 5, .dtype = float64});
  {
    NoGrad guard;
    layer.nu_log.copy_(tensor({-8, -3, 0, 3, 8}, float64));
  }
  const Tensor radius = complex::abs(layer.eigenvalues());
  CHECK(radius.max().item() < 1);
  CHECK(radius.min().item() >= 0);
  // y_t = sum over s of Re(C lambda^(t-s) gamma B) u_s + D u_t
  const Tensor x = sequence(9, 3), log_lambda = complex::from_parts(neg(exp(layer.nu_log)), exp(layer.theta_log));
  const Tensor into = transpose(layer.B, 1, 2) * exp(layer.gamma_log).reshape({5, 1, 1});
  Tensor y = layer.D * x;
  for (int64_t lag = 0; lag < 9; ++lag) {
    const Tensor power = unsqueeze(complex::exp(log_lambda * lag), 1);
    const Tensor states = sum(complex::mul(unsqueeze(layer.C, 2), complex::mul(power, into)), 1);  // (3, 3, 2)
    y.narrow(1, lag, 9 - lag).add_(matmul(x.narrow(1, 0, 9 - lag), complex::real(states).t()));
  }
  CHECK(close(layer(x), y));
}

// ---- S4D ----

TEST_CASE("S4D: the impulse response is the sum of its powers") {
  using Number = std::complex<double>;
  for (const Discretization kind : {Discretization::zero_order_hold, Discretization::bilinear})
    for (const int64_t length : {1, 2, 70}) {
      const nn::S4D layer(3, {.state = 6, .discretization = kind, .dtype = float64});
      const auto at = [](const Tensor& p, int64_t channel, int64_t n) { return p.detach()[channel][n].item(); };
      Tensor expected = zeros({3, length}, float64);
      for (int64_t c = 0; c < 3; ++c)
        for (int64_t n = 0; n < 3; ++n) {
          const Number a(-std::exp(at(layer.A_real, c, n)), at(layer.A_imag, c, n));
          const double dt = std::exp(layer.log_dt.detach()[c].item());
          const bool bilinear = kind == Discretization::bilinear;
          const Number step = bilinear ? (1.0 + dt * a / 2.0) / (1.0 - dt * a / 2.0) : std::exp(dt * a),
                       into = bilinear ? dt / (1.0 - dt * a / 2.0) : (std::exp(dt * a) - 1.0) / a;
          const Tensor pair = layer.C.detach()[c][n];
          for (int64_t l = 0; l < length; ++l)
            expected[c][l].add_(2 * (Number(pair[0].item(), pair[1].item()) * into * std::pow(step, double(l))).real());
        }
      CHECK(close(layer.kernel(length), expected));
    }
}

TEST_CASE("S4D: both ways to take a step agree as steps get small") {
  const auto difference_at = [](double step) {
    nn::S4D exact(2, {.state = 8, .dt_min = step, .dt_max = step, .dtype = float64}), other = exact.clone();
    other.discretization = Discretization::bilinear;
    const Tensor k = exact.kernel(50) / step;
    return largest_difference(k, other.kernel(50) / step);
  };
  manual_seed(1);
  const double coarse = difference_at(1e-2);
  manual_seed(1);
  const double fine = difference_at(1e-3);
  CHECK(coarse < 1);
  CHECK(fine < coarse / 5);
  CHECK(difference_at(1e-7) < 1e-5);
}

TEST_CASE("S4D: where the eigenvalues start") {
  const double pi = std::acos(-1.0);
  const auto starts = [](S4DInit init, int64_t states) {
    const nn::S4D layer(2, {.state = states, .init = init, .dtype = float64});
    CHECK(equal(layer.A_imag[0], layer.A_imag[1]));
    return std::pair(to_values(exp(layer.A_real[1])), to_values(layer.A_imag[1]));
  };
  for (S4DInit init : {S4DInit::lin, S4DInit::inv, S4DInit::legs, S4DInit::quad, S4DInit::random})
    CHECK(close(from_vector(starts(init, 8).first, {4}), full({4}, 0.5, float64)));
  CHECK(close(from_vector(starts(S4DInit::lin, 8).second, {4}), tensor({0, pi, 2 * pi, 3 * pi}, float64)));
  CHECK(close(from_vector(starts(S4DInit::inv, 4).second, {2}), tensor({12 / pi, 4 / pi / 3}, float64)));
  CHECK(close(from_vector(starts(S4DInit::quad, 4).second, {2}), tensor({1 / pi, 9 / pi}, float64)));
  CHECK(close(from_vector(starts(S4DInit::real, 6).first, {3}), tensor({1, 2, 3}, float64)));
  CHECK(starts(S4DInit::real, 6).second == Values{0, 0, 0});
  CHECK(starts(S4DInit::legs, 2).second[0] == Approx(std::sqrt(3) / 2));
  CHECK(close(from_vector(starts(S4DInit::legs, 64).second, {32}), nn::S4(1, {.dtype = float64}).A_imag[0], 1e-10));
}
