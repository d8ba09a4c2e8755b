#include <catch2/catch.hpp>

#include <cmath>
#include <complex>
#include <map>

#include <cotangent/autograd/gradcheck/gradcheck.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/scan.hpp>
#include <cotangent/autograd/ops/solve.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/nn/sequence/hippo.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/random.hpp>
#include <cotangent/tests/json.hpp>
#include <cotangent/tests/values.hpp>

#include "../../autograd/sequences.hpp"
#include "../../check_gradients.hpp"
#include "../check_precisions.hpp"

using namespace cotangent;
using nn::Discretization;
using nn::HippoMeasure;

namespace {

const std::map<std::string, HippoMeasure> kMeasures = {{"legs", HippoMeasure::legs},
                                                       {"legt", HippoMeasure::legt},
                                                       {"fourier", HippoMeasure::fourier},
                                                       {"fout", HippoMeasure::fout}};
const std::map<std::string, Discretization> kMethods = {{"forward_euler", Discretization::forward_euler},
                                                        {"backward_euler", Discretization::backward_euler},
                                                        {"bilinear", Discretization::bilinear},
                                                        {"zero_order_hold", Discretization::zero_order_hold}};

/// sin 3t + cos 7t / 2 at `count` times, the last of which is `end`.
Tensor waves(int64_t count, double end) {
  const Tensor t = linspace(end / static_cast<double>(count), end, count, float64);
  return sin(t * 3) + cos(t * 7) * 0.5;
}
double rms(const Tensor& x) { return std::sqrt(mean(square(x)).item<double>()); }
Tensor last(const Tensor& c) { return select(c, -2, c.size(-2) - 1); }

}  // namespace

TEST_CASE("HiPPO's memories are those of loops in PyTorch, for each measure and discretization") {
  for (const Json& test : Json("state_space.json")["hippo"]) {
    INFO(test);
    const HippoMeasure measure = kMeasures.at(test["measure"]);
    nn::HippoOptions options{.measure = measure, .dtype = float64};
    if (measure != HippoMeasure::legs) {
      options.window = test["window"], options.step = test["step"];
      options.method = kMethods.at(test["method"]);
    }
    nn::HiPPO memory(test["size"], options);
    const Tensor u = unpacked(test["u"]), c = unpacked(test["c"]);
    CHECK(largest_difference(memory(u), c) < 1e-10);
    // in parts, and several signals at once
    nn::HiPPO::State state;
    const Tensor parts = in_parts(
        {7, 1, 4}, 0, [&](int64_t first, int64_t count) { return memory.forward(u.narrow(0, first, count), state); });
    CHECK(largest_difference(parts, c) < 1e-10);
    CHECK(state.samples == 12);
    const Tensor two = memory(stack({u, u * -2}));
    CHECK(two.shape() == Shape{2, 12, memory.size});
    CHECK(largest_difference(two[1], c * -2) < 1e-10);
    CHECK(memory(u.narrow(0, 0, 0)).shape() == Shape{0, memory.size});
    CHECK_THAT(gradcheck([&](const Tensor& x) { return memory(x); }, {u.narrow(0, 0, 5)}), GradientsAreRight());
  }
}

TEST_CASE("legt keeps a window, legs all of the past, fourier a window that is periodic") {
  {
    const Tensor u = waves(2000, 2);
    nn::HiPPO memory(16, {.measure = HippoMeasure::legt, .window = 1, .step = 1e-3, .dtype = float64});
    const Tensor past = memory.reconstruct(last(memory(u)), linspace(0, 1, 201, float64));
    const Tensor t = linspace(1, 2, 201, float64), expected = sin(t * 3) + cos(t * 7) * 0.5;
    CHECK(max(abs(past - expected)).item<double>() < 5e-3);
  }
  {
    const Tensor u = waves(2000, 2);
    nn::HiPPO memory(32, {.dtype = float64});
    const Tensor past = memory.reconstruct(last(memory(u)), linspace(0.5 / 2000, 1 - 0.5 / 2000, 2000, float64));
    CHECK(rms(past - u) < 5e-3);
  }
  {
    // what was before the first sample, nothing, takes some windows to be forgotten
    const auto periodic = [](const Tensor& t) { return sin(t * (4 * M_PI)) + cos(t * (2 * M_PI)) * 0.5; };
    nn::HiPPO memory(9, {.measure = HippoMeasure::fourier, .window = 1, .step = 1e-3, .dtype = float64});
    const Tensor c = last(memory(periodic(linspace(1e-3, 8, 8000, float64))));
    const Tensor past = memory.reconstruct(c, linspace(0, 1, 101, float64));
    CHECK(max(abs(past - periodic(linspace(7, 8, 101, float64)))).item<double>() < 0.01);
    // of a signal without that period it makes nothing, and fout something; both but for the ends, where waves jump
    const auto missed = [](HippoMeasure measure) {
      nn::HiPPO waved(65, {.measure = measure, .window = 1, .step = 1e-3, .dtype = float64});
      const Tensor t = linspace(1.05, 1.95, 181, float64);
      const Tensor said = waved.reconstruct(last(waved(waves(2000, 2))), t - 1);
      return rms(said - (sin(t * 3) + cos(t * 7) * 0.5));
    };
    CHECK(missed(HippoMeasure::fout) < 0.03);
    CHECK(missed(HippoMeasure::fourier) > 0.3);
  }
}

TEST_CASE("legs has no time scale, and its first number is the mean") {
  nn::HiPPO memory(8, {.dtype = float64});
  const Tensor constant = last(memory(ones({200}, float64)));
  CHECK(std::abs(constant[0].item<double>() - 1) < 0.02);
  CHECK(max(abs(constant.narrow(0, 1, 7))).item<double>() < 0.02);

  const Tensor u = waves(1000, 3), c = memory(u);
  Tensor mean_so_far = cumsum(u, 0) / linspace(1, 1000, 1000, float64);
  CHECK(max(abs(select(c, 1, 0) - mean_so_far).narrow(0, 50, 950)).item<double>() < 0.02);

  // the same signal sampled twice as often, which is also the one played at half the speed
  CHECK(max(abs(last(memory(waves(2000, 3))) - last(c))).item<double>() < 0.01);
}

TEST_CASE("a linear readout of a window gives the signal as it was, with a fixed delay") {
  const Tensor u = waves(3000, 3);
  nn::HiPPO memory(16, {.measure = HippoMeasure::legt, .window = 1, .step = 1e-3, .dtype = float64});
  const Tensor said = select(memory.reconstruct(memory(u), tensor({1 - 0.4}, float64)), 1, 0);
  // from the first full window on: 400 samples ago
  const Tensor error = said.narrow(0, 1000, 2000) - u.narrow(0, 600, 2000);
  CHECK(mean(square(error)).item<double>() < 0.05 * mean(square(u)).item<double>() * 0.01);
}

TEST_CASE("the matrix of legs is normal but for rank one") {
  const int64_t n = 7;
  const Tensor A = nn::hippo_system(HippoMeasure::legs, n).A, P = sqrt(arange(0, n, 1, float64) + 0.5);
  const Tensor S = A + unsqueeze(P, 1) * P + eye(n, -1, float64) * 0.5;
  CHECK(close(S, -S.t(), 1e-12));
}

TEST_CASE("zero-order hold takes a singular system, and all rules agree for short steps") {
  // an integrator: A = 0
  const nn::LinearSystem held =
      nn::discretize({zeros({2, 2}, float64), tensor({1.0, -3.0}, float64)}, 0.5, Discretization::zero_order_hold);
  CHECK(close(held.A, eye(2, -1, float64)));
  CHECK(close(held.B, tensor({0.5, -1.5}, float64)));
  const nn::LinearSystem system = nn::hippo_system(HippoMeasure::legt, 3);
  const nn::LinearSystem exact = nn::discretize(system, 1e-3, Discretization::zero_order_hold);
  for (const auto& [name, method] : kMethods) {
    INFO(name);
    const nn::LinearSystem other = nn::discretize(system, 1e-3, method);
    CHECK(largest_difference(other.A, exact.A) < (method == Discretization::bilinear ? 1e-7 : 1e-4));
    CHECK(largest_difference(other.B, exact.B) < 1e-4);
    const auto both = [&, chosen = method](const Tensor& a, const Tensor& b, const Tensor& step) {
      const nn::LinearSystem d = nn::discretize({a, b}, step, chosen);
      return Tensors{d.A, d.B};
    };
    CHECK_THAT(gradcheck(both, {system.A * 0.3, system.B, tensor(0.2, float64)}), GradientsAreRight());
    // a batch of steps
    const nn::LinearSystem batch = nn::discretize(system, tensor({0.1, 1e-3}, float64), method);
    CHECK(largest_difference(batch.A[1], other.A) < 1e-12);
    CHECK(largest_difference(batch.B[1], other.B) < 1e-12);
  }
}

TEST_CASE("HiPPO in float32 and low precision, and what it refuses") {
  for (const HippoMeasure measure : {HippoMeasure::legs, HippoMeasure::legt}) {
    nn::HiPPO memory(6, {.measure = measure, .step = 0.05, .dtype = float64});
    nn::HiPPO low = memory.clone();
    low.to(float32);
    const Tensor u = waves(60, 3);
    CHECK(largest_difference(low(u.to(float32)).to(float64), memory(u)) < 1e-4);
    Tensor broken = u.clone();
    broken[30].fill_(INFINITY);
    nn::HiPPO::State state;
    const Tensor c = memory.forward(broken, state);
    CHECK(close(c.narrow(0, 0, 30), memory(u).narrow(0, 0, 30), 1e-9));
    CHECK_FALSE(all(isfinite(c[59])).item<bool>());
  }
  CHECK(error_of([] { nn::HiPPO(0); }) == "[HiPPO] a legs memory of 0 numbers; it must have at least one");
  CHECK(error_of([] { nn::HiPPO(4, {.measure = HippoMeasure::fourier}); }) ==
        "[HiPPO] a fourier memory of 4 numbers; it must have an odd number of them");
  CHECK(error_of([] { nn::HiPPO(4, {.measure = HippoMeasure::legt, .window = 0}); }) ==
        "[HiPPO] a window of 0; it must be above 0");
  CHECK(error_of([] { nn::HiPPO(4, {.step = -1}); }) == "[HiPPO] a step of -1; it must be above 0");
  CHECK(error_of([] { nn::HiPPO(4, {.method = Discretization::zero_order_hold}); }) ==
        "[HiPPO] the steps of legs are bilinear; leave out the method, or take another measure");
  CHECK(error_of([] { nn::HiPPO(4)(tensor(1.0)); }) == "[HiPPO] the signal is a scalar; it must be (.., T)");
}
