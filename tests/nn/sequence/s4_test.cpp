#include <catch2/catch.hpp>

#include <cmath>

#include <cotangent/autograd/ops/fft.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/solve.hpp>
#include <cotangent/nn/sequence/s4.hpp>
#include <cotangent/tests/json.hpp>
#include <cotangent/tests/values.hpp>

#include "../attention/checks.hpp"
#include "../check_layer.hpp"

using namespace cotangent;

namespace {

nn::S4 small(bool glu = true, int64_t length = 16) {
  return nn::S4(3, {.state = 6, .length = length, .dt_min = 0.02, .dt_max = 0.5, .glu = glu, .dtype = float64});
}

/// sum_n a_n b_n of complex pairs and their conjugates.
Tensor twice_real(const Tensor& a, const Tensor& b) {
  return sum(select(a, -1, 0) * select(b, -1, 0) - select(a, -1, 1) * select(b, -1, 1), -1) * 2;
}

}  // namespace

TEST_CASE("the normal form of HiPPO gives its matrix back") {
  for (const int64_t n : {2, 8, 64}) {
    INFO(n);
    const nn::HippoNormalForm form = nn::hippo_normal_form(n);
    const nn::LinearSystem legs = nn::hippo_system(nn::HippoMeasure::legs, n);
    const Tensor P = sqrt(arange(0, n, 1, float64) + 0.5);
    CHECK(largest_difference(select(form.L, 1, 0), full({n / 2}, -0.5, float64)) == 0);
    CHECK(min(select(form.L, 1, 1)).item<double>() > 0);
    // V diag(L) V* - P P', where V p = P and V b = B: twice the real parts of a half
    const Tensor vr = select(form.V, 2, 0), vi = select(form.V, 2, 1), lr = select(form.L, 1, 0),
                 li = select(form.L, 1, 1);
    const Tensor A = (matmul(vr * lr - vi * li, vr.t()) + matmul(vr * li + vi * lr, vi.t())) * 2 - unsqueeze(P, 1) * P;
    CHECK(largest_difference(A, legs.A) < 1e-10 * static_cast<double>(n));
    CHECK(largest_difference(twice_real(form.V, form.p), P) < 1e-10);
    CHECK(largest_difference(twice_real(form.V, form.b), legs.B) < 1e-10);
    CHECK(max(abs(select(form.p, 1, 1))).item<double>() < 1e-12);
    CHECK(min(select(form.p, 1, 0)).item<double>() > 0);
  }
}

TEST_CASE(
    "S4's kernel by resolvents is that by powers, for even and odd lengths, and keeps through a change of length") {
  manual_seed(3);
  for (const int64_t length : {1, 2, 15, 64}) {
    INFO(length);
    nn::S4 layer = small(true, length);
    const nn::LinearSystem d = layer.dense();
    const Tensor C = layer.readout(), row = cat({select(C, -1, 0), -select(C, -1, 1)}, -1) * 2;
    Tensor x = d.B;
    Tensors powers;
    for (int64_t l = 0; l < length; ++l) {
      powers.push_back(sum(row * x, -1));
      x = squeeze(matmul(d.A, unsqueeze(x, -1)), -1);
    }
    CHECK(largest_difference(layer.kernel(), stack(powers, 1)) < 1e-8);
    const Tensor before = layer.kernel().detach();
    layer.set_length(2 * length + 1);
    CHECK(largest_difference(layer.kernel().narrow(1, 0, length), before) < 1e-8);
    CHECK(largest_difference(layer.readout(), C) < 1e-8);
  }
}

TEST_CASE("the forms of S4 agree, and nothing looks ahead but rounding") {
  manual_seed(4);
  check_causal_layer(small(), 1e-10);
  check_causal_layer(small(false, 13), 1e-10);
  // step by step not even that
  nn::S4 layer = small();
  check_causal(sequence(9, 3), 1, [&](const Tensor& x) { return layer(x, {.form = nn::SequenceForm::recurrent}); });
  // the dense recurrence
  const Tensor x = sequence(13, 3);
  const nn::LinearSystem d = layer.dense();
  const Tensor C = layer.readout(), row = cat({select(C, -1, 0), -select(C, -1, 1)}, -1) * 2;
  Tensor h = zeros({2, 3, 6}, float64);
  Tensors outputs;
  for (int64_t t = 0; t < 13; ++t) {
    h = squeeze(matmul(d.A, unsqueeze(h, -1)), -1) + d.B * unsqueeze(x.select(1, t), -1);
    outputs.push_back(sum(row * h, -1));
  }
  CHECK(largest_difference(transpose(fft_conv1d(transpose(x, 1, 2), layer.kernel()), 1, 2), stack(outputs, 1)) < 1e-8);
}

TEST_CASE("S4's gradients by the input and all parameters, in every dtype") {
  manual_seed(5);
  nn::S4 layer(2, {.state = 4, .length = 5, .dt_min = 0.1, .dt_max = 0.6});
  check_layer(layer, {2, 5, 2}, 32);
}

TEST_CASE("S4 is a recurrence in PyTorch with dense complex matrices, gradients and all") {
  for (const Json& test : Json("state_space.json")["s4"]) {
    const bool glu = test["glu"];
    nn::S4 layer(2, {.state = 6, .length = test["length"], .glu = glu, .dtype = float64});
    Tensor x;
    StateDict parameters;
    for (const auto& [name, packed] : test["values"].items())
      if (name == "x")
        x = unpacked(packed);
      else
        parameters.add(name, unpacked(packed));
    layer.load_state_dict(parameters);
    x.requires_grad_();
    for (const auto form : {nn::SequenceForm::parallel, nn::SequenceForm::chunked}) {
      layer.zero_grad();
      x.set_grad(Tensor());
      const Tensor y = layer(x, {.form = form, .chunk = 4});
      CHECK(largest_difference(y, unpacked(test["y"])) < 1e-8);
      y.backward(unpacked(test["dy"]));
      CHECK(largest_difference(x.grad(), unpacked(test["gradients"]["x"])) < 1e-8);
      for (const auto& p : layer.named_parameters()) {
        INFO(p.name);
        const Tensor expected = unpacked(test["gradients"][p.name]);
        CHECK(largest_difference(p.tensor.grad(), expected) < 1e-8 * (1 + max(abs(expected)).item<double>()));
      }
    }
  }
}

TEST_CASE("S4 says what does not fit, and takes no token as well as many") {
  CHECK(error_of([] { nn::S4(4, {.state = 5}); }) == "[S4] a state of 5 numbers; it must be an even number of them");
  CHECK(error_of([] { nn::S4(4, {.length = 0}); }) == "[S4] a kernel of length 0; it must be at least 1");
  CHECK(error_of([] { nn::S4(4, {.dt_min = 0}); }).starts_with("[S4] steps from 0 to 0.1; they must be above 0"));
  nn::S4 layer = small();
  CHECK(error_of([&] {
          layer(sequence(17, 3));
        }).ends_with("17 tokens for kernels of length 16; set_length() makes them longer"));
  CHECK(layer(sequence(17, 3).narrow(1, 0, 0)).shape() == Shape{2, 0, 3});
  CHECK(layer(sequence(17, 3), {.form = nn::SequenceForm::recurrent}).shape() == Shape{2, 17, 3});
  CHECK(to_string(layer).find("S4(3, state = 6, length = 16") == 0);
  // steps far from their range: nothing overflows
  for (const double step : {-60.0, 12.0}) {
    nn::S4 extreme = small();
    NoGrad no_grad;
    extreme.log_dt.fill_(step);
    extreme.set_length(16);
    CHECK(all(isfinite(extreme(sequence(16, 3)))).item<bool>());
  }
}
