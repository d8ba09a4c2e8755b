#include <cotangent/nn/attention/encoding.hpp>

#include <cmath>

#include <cotangent/autograd/modes.hpp>
#include <cotangent/autograd/ops/complex.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/nn/activation.hpp>

#include "../check_layer.hpp"
#include "../reference_layer.hpp"

using namespace cotangent;

namespace {

/// p' = A p, where A turns the pairs (sin, cos) by their angle of one token in `step` of time.
nn::Sequential rotation(int64_t width, double step) {
  nn::Linear linear(width + 1, width, {.bias = false, .dtype = float64});
  linear.weight.detach().fill_(0);
  for (int64_t i = 0; i < width; i += 2) {
    const double rate = std::pow(10'000, -static_cast<double>(i) / static_cast<double>(width)) / step;
    linear.weight.detach()[i][i + 1].fill_(rate);
    linear.weight.detach()[i + 1][i].fill_(-rate);
  }
  return nn::Sequential(linear);
}

nn::FloaterEncoding turning(int64_t substeps, bool adjoint = false) {
  nn::FloaterEncoding encoding(6, rotation(6, 0.01), {.substeps = substeps, .adjoint = adjoint, .dtype = float64});
  encoding.initial.detach().copy_(nn::sinusoidal_positions(1, 6, 0, 10'000, float64)[0]);
  return encoding;
}

}  // namespace

TEST_CASE("encodings equal their formulas in PyTorch, gradients included") {
  const Json data("encodings.json");
  CHECK(data.size() == 3);
  for (size_t n = 0; n < data.size(); ++n) {
    const Case test(data[n]);
    const auto name = test.get<std::string>("name", "");
    INFO(n << ": " << name);
    if (name == "floater") {
      compare(test, nn::FloaterEncoding(4, {.step = 0.5, .substeps = 2}),
              [&](auto& m) { return m(test.inputs.get("x"), 1); });
    } else {
      using enum nn::ComplexSharing;
      const bool shared = test.get("shared", false);
      nn::Sequential model(
          nn::ComplexEmbedding(5, 4, {.frequency = shared ? tokens : none, .phase = shared ? components : none}),
          nn::ComplexLinear(4, 3));
      compare(test, model, [&](auto& m) { return complex::abs(m(tensor({{0, 1, 4}, {2, 2, 0}}))); });
    }
  }
}

TEST_CASE("CAPE without augmentation is sinusoidal, and with it draws for each sequence and token") {
  const Tensor x = zeros({3, 7, 6}, float64), plain = nn::SinusoidalEncoding(6)(x, 2);
  nn::CapeEncoding none(6, {.global_shift = 0, .local_shift = 0, .scaling = 1}), cape(6);
  CHECK(close(none(x, 2), plain));
  cape.eval();
  CHECK(close(cape(x, 2), plain));
  CHECK(equal(cape(x, 2), cape(x, 2)));
  cape.train();
  manual_seed(4);
  const Tensor y = cape(x, 2);
  CHECK_FALSE(close(y, plain, 1e-3));
  CHECK_FALSE(close(y[0], y[1], 1e-3));
  manual_seed(4);
  CHECK(equal(cape(x, 2), y));
  // one shift alone keeps the distances; p_k . p_m depends on k - m
  nn::CapeEncoding shifted(6, {.global_shift = 9, .local_shift = 0, .scaling = 1});
  const auto products = [](const Tensor& p) { return sum(p.narrow(1, 0, 6) * p.narrow(1, 1, 6), 2); };
  CHECK(close(products(shifted(x)), products(plain)));
  CHECK_FALSE(close(products(y), products(plain), 1e-3));
  // one scaling alone leaves position 0, and puts position 1 at exp(l)
  nn::CapeEncoding scaled(6, {.global_shift = 0, .local_shift = 0, .scaling = 2});
  const Tensor z = scaled(x);
  CHECK(close(z.select(1, 0), nn::SinusoidalEncoding(6)(x).select(1, 0)));
  for (int64_t n = 0; n < 3; ++n) {
    const double at = std::atan2(z[n][1][0].item(), z[n][1][1].item());
    CHECK((at > 0.5 && at < 2 && std::abs(at - 1) > 1e-6));
    CHECK(close(z[n], nn::sinusoids(arange(0, 7, 1, float64) * at, 6, 10'000, float64)));
  }
  nn::CapeEncoding centered(6, {.center = true});
  centered.eval();
  CHECK(close(centered(x, 5), x + nn::sinusoids(arange(-3, 4), 6, 10'000, float64)));
  CHECK(close(nn::sinusoids(tensor({0.5}, float64), 3, 100, float64),
              tensor({{std::sin(0.5), std::cos(0.5), std::sin(0.5 * std::pow(100, -2.0 / 3))}}, float64)));
  check_checkpoint(cape, randn({2, 3, 6}, float64));
  CHECK(cape.settings() == "6, global_shift = 5, local_shift = 0.5, scaling = 1.03");
  CHECK_THROWS_AS(nn::CapeEncoding(6, {.scaling = 0.5}), ValueError);
  CHECK_THROWS_AS(nn::CapeEncoding(0), ValueError);
  CHECK_THROWS_AS(cape(ones({3, 5})), ShapeError);
  CHECK(cape(zeros({2, 0, 6})).numel() == 0);
}

TEST_CASE("a flow that turns gives sinusoidal positions, and its error falls 16 times when steps are halved") {
  const NoGrad guard;
  const Tensor expected = nn::sinusoidal_positions(20, 6, 0, 10'000, float64);
  const auto error = [&](int64_t substeps) { return abs(turning(substeps).rows(0, 20) - expected).max().item(); };
  CHECK(error(20) < 1e-5);
  CHECK(error(4) / error(8) == Approx(16).epsilon(0.1));
  // and goes on beyond any length
  CHECK(close(turning(1).rows(40, 10), turning(1).rows(0, 50).narrow(0, 40, 10)));
}

TEST_CASE("the adjoint equation gives the gradients of the recorded steps, but for the error of the integration") {
  const auto gradients = [](bool adjoint, int64_t substeps) {
    Generator g(3);
    nn::FloaterEncoding encoding(4, {.step = 0.5, .substeps = substeps, .adjoint = adjoint, .dtype = float64});
    for (Tensor& p : encoding.parameters()) normal_(p, 0, 0.5, g);
    const Tensor table = encoding.rows(1, 5);
    table.backward(randn(table.shape(), float64, g));
    Tensors all;
    for (const Tensor& p : encoding.parameters()) all.push_back(p.grad());
    return all;
  };
  const auto difference = [&](int64_t substeps) {
    const Tensors a = gradients(true, substeps), b = gradients(false, substeps);
    double most = 0;
    for (size_t i = 0; i < a.size(); ++i) most = std::max(most, largest_difference(a[i], b[i]));
    return most;
  };
  const double coarse = difference(1), fine = difference(4);
  CHECK(coarse > 0);  // it is another way
  CHECK(coarse < 0.1);
  CHECK(fine < coarse / 50);
}

TEST_CASE("encodings have gradients to second order, and share what they should") {
  check_layer(nn::FloaterEncoding(2, {.step = 0.3, .substeps = 1}), {1, 2, 2}, 64);
  check_layer(nn::ComplexLinear(3, 2), {2, 3, 2});
  nn::FloaterEncoding adjoint(2, {.step = 0.05, .substeps = 4, .adjoint = true, .dtype = float64});
  CHECK_THAT(gradcheck(adjoint, {randn({2, 2}, float64)}), GradientsAreRight());
  nn::FloaterEncoding first(4), second(4, first.dynamics);
  CHECK(first.dynamics.parameters()[0].shares_storage(second.dynamics.parameters()[0]));
  CHECK_FALSE(first.initial.shares_storage(second.initial));
  CHECK(first.settings() == "4, step = 0.01, substeps = 5");
  CHECK(first(zeros({2, 0, 4})).numel() == 0);
  CHECK_THROWS_AS(nn::FloaterEncoding(4, {.substeps = 0}), ValueError);
  CHECK_THROWS_AS(first(ones({3, 5})), ShapeError);
  CHECK_THROWS_AS(first.rows(-1, 2), ValueError);
}

TEST_CASE("a complex embedding turns with the position, and keeps its modulus") {
  nn::ComplexEmbedding embedding(5, 4, {.dtype = float64});
  const Tensor same = full({6}, 3, int64), z = embedding(same);
  CHECK(z.shape() == Shape{6, 4, 2});
  CHECK(close(complex::abs(z), expand(unsqueeze(abs(embedding.amplitude[3]), 0), {6, 4})));
  // f(k + n) = f(k) exp(i w n)
  const Tensor turn = complex::polar(ones({4}, float64), embedding.frequency[3] * 2.0);
  CHECK(close(z.narrow(0, 2, 4), complex::mul(z.narrow(0, 0, 4), turn)));
  CHECK(close(embedding(same.narrow(0, 0, 2), 4), z.narrow(0, 4, 2)));
  embedding.frequency.detach().fill_(0);
  CHECK(close(embedding(same), expand(unsqueeze(embedding(same)[0], 0), {6, 4, 2})));
  CHECK(nn::ComplexEmbedding(5, 4, {.frequency = nn::ComplexSharing::tokens}).frequency.shape() == Shape{1, 4});
  CHECK(nn::ComplexEmbedding(5, 4, {.phase = nn::ComplexSharing::components}).phase.shape() == Shape{5, 1});
  CHECK(embedding.settings() == "5, 4");
  CHECK_THROWS_AS(embedding(tensor({5})), IndexError);
  CHECK_THROWS_AS(nn::ComplexEmbedding(0, 4), ValueError);
  CHECK_THROWS_AS(nn::ComplexLinear(3, 2)(ones({3, 3})), ShapeError);
}
