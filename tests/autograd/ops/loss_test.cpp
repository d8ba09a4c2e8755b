// Losses at the ends of their range: infinite logits, positions that are ignored, and means in float16.
#include <cotangent/autograd/ops/loss.hpp>

#include <cmath>
#include <limits>

#include <catch2/catch.hpp>
#include <cotangent/autograd/engine.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/softmax.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tests/values.hpp>

using namespace cotangent;

namespace {

constexpr double kUnbounded = std::numeric_limits<double>::infinity();

void check_loss(const Tensor& loss, const Values& expected) {
  const Values got = to_values(loss);
  REQUIRE(got.size() == expected.size());
  for (size_t i = 0; i < got.size(); ++i) CHECK((got[i] == expected[i] || got[i] == Approx(expected[i]).epsilon(4e-3)));
}
/// Of the sum of the losses, by the kernel and recorded, with the second derivatives.
void check_slopes(const Tensor& loss, const Tensor& x, const Values& first, const Values& second = {}) {
  check_loss(grad({sum(loss)}, {x}, {.retain_graph = true})[0], first);
  const Tensor g = grad({sum(loss)}, {x}, {.retain_graph = true, .create_graph = true})[0];
  check_loss(g, first);
  if (!second.empty()) check_loss(grad({sum(g)}, {x}, {.retain_graph = true})[0], second);
}

}  // namespace

TEST_CASE("binary cross entropy of infinite logits is 0 where they are right, infinite where not") {
  for (Dtype dtype : {float32, float64, bfloat16, float16}) {
    INFO(name(dtype));
    const Tensor x = tensor({kUnbounded, -kUnbounded, kUnbounded, -kUnbounded, kUnbounded, -kUnbounded}, dtype)
                         .requires_grad_(),
                 t = tensor({1.0, 0.0, 0.0, 1.0, 0.5, 0.5}, dtype);
    const Values losses{0, 0, kUnbounded, kUnbounded, kUnbounded, kUnbounded}, slopes{0, 0, 1, -1, 0.5, -0.5},
        flat(6, 0);
    const Tensor plain = binary_cross_entropy_with_logits(x, t, {.reduction = Reduction::none});
    check_loss(plain, losses);
    check_slopes(plain, x, slopes, flat);
    const Tensor two = full({6}, 2, dtype);
    const Tensor weighted = binary_cross_entropy_with_logits(x, t, {.pos_weight = two, .reduction = Reduction::none});
    check_loss(weighted, losses);
    check_slopes(weighted, x, {0, 0, 1, -2, 0.5, -1}, flat);
    const Tensor some = tensor({1.0, 1.0, 0.0, 0.0, 0.0, 0.0}, dtype);
    check_loss(binary_cross_entropy_with_logits(x, t, {.weight = some}), {0});
    check_slopes(binary_cross_entropy_with_logits(x, t, {.weight = some, .reduction = Reduction::sum}), x, flat, flat);
  }
  const Tensor none = full({1}, std::nan(""));
  CHECK(std::isnan(binary_cross_entropy_with_logits(none, zeros({1})).item()));
  CHECK(std::isnan(binary_cross_entropy_with_logits(none, ones({1})).item()));
  CHECK(std::isnan(binary_cross_entropy_with_logits(none, zeros({1}), {.pos_weight = ones({1})}).item()));
}

TEST_CASE("cross entropy: what counts nothing adds nothing, though its logit is -infinity") {
  for (Dtype dtype : {float32, float64, bfloat16, float16})
    for (bool columns : {false, true}) {
      INFO(name(dtype) << (columns ? ", columns" : ", rows"));
      const Tensor leaf = tensor({{-kUnbounded, 0.0, 0.0}}, dtype).requires_grad_(),
                   x = columns ? unsqueeze(leaf, 2) : leaf;
      const auto targets = [&](const Tensor& t) { return columns ? unsqueeze(t, t.rank()) : t; };
      const double two = std::log(2.0);
      // probabilities
      const Tensor by_share = cross_entropy(x, targets(tensor({{0.0, 1.0, 0.0}}, dtype)));
      check_loss(by_share, {two});
      check_slopes(by_share, leaf, {0, -0.5, 0.5}, {0, 0, 0});
      check_loss(cross_entropy(x, targets(tensor({{0.5, 0.5, 0.0}}, dtype))), {kUnbounded});
      // indices
      const Tensor one = targets(tensor({1})), impossible = targets(tensor({0})),
                   weight = tensor({0.0, 1.0, 1.0}, dtype);
      check_loss(cross_entropy(x, one), {two});
      check_slopes(cross_entropy(x, one), leaf, {0, -0.5, 0.5}, {0, 0, 0});
      check_loss(cross_entropy(x, impossible), {kUnbounded});
      check_slopes(cross_entropy(x, impossible), leaf, {-1, 0.5, 0.5}, {0, 0, 0});
      check_loss(cross_entropy(x, one, {.label_smoothing = 0.3}), {kUnbounded});
      check_loss(cross_entropy(x, one, {.weight = weight, .label_smoothing = 0.3}), {two * 0.9});
      check_slopes(cross_entropy(x, one, {.weight = weight, .label_smoothing = 0.3}), leaf, {0, -0.35, 0.35});
      check_loss(cross_entropy(x, impossible, {.weight = weight, .reduction = Reduction::sum}), {0});
      check_slopes(cross_entropy(x, impossible, {.weight = weight, .reduction = Reduction::sum}), leaf, {0, 0, 0});
      // log-probabilities
      const Tensor sure = nll_loss(log_softmax(x, 1), impossible, {.weight = weight, .reduction = Reduction::sum});
      check_loss(sure, {0});
      check_slopes(sure, leaf, {0, 0, 0});
    }
}

TEST_CASE("a target that is ignored hides a row of NaN, in every derivative") {
  const double nan = std::nan("");
  for (bool columns : {false, true})
    for (Reduction reduction : {Reduction::mean, Reduction::sum, Reduction::none})
      for (double value : {nan, kUnbounded, -kUnbounded}) {
        INFO((columns ? "columns, " : "rows, ") << value);
        const Tensor dirty = tensor({{value, value}, {1.0, 2.0}}, float64).requires_grad_(),
                     clean = tensor({{0.0, 0.0}, {1.0, 2.0}}, float64).requires_grad_(), index = tensor({-100, 0}),
                     weight = tensor({0.5, 2.0}, float64);
        const auto compare = [&](auto loss) {
          const auto evaluate = [&](const Tensor& leaf) {
            const Tensor y = sum(loss(columns ? unsqueeze(leaf, 2) : leaf, columns ? unsqueeze(index, 1) : index));
            const Tensor now = grad({y}, {leaf}, {.retain_graph = true})[0],
                         g = grad({y}, {leaf}, {.create_graph = true})[0];
            Values all{y.item()};
            const Tensors others =
                g.requires_grad() ? grad({sum(square(g))}, {leaf}, {.allow_unused = true}) : Tensors{};
            for (const Tensor& t : {now, g, others.empty() ? Tensor() : others[0]})
              if (t.defined())
                for (double v : to_values(t)) all.push_back(v);
            return all;
          };
          CHECK(evaluate(dirty) == evaluate(clean));
        };
        compare([&](const Tensor& x, const Tensor& t) { return cross_entropy(x, t, {.reduction = reduction}); });
        compare([&](const Tensor& x, const Tensor& t) {
          return cross_entropy(x, t, {.weight = weight, .reduction = reduction, .label_smoothing = 0.1});
        });
        compare([&](const Tensor& x, const Tensor& t) { return nll_loss(x, t, {.reduction = reduction}); });
        compare([&](const Tensor& x, const Tensor& t) {
          return nll_loss(x, t, {.weight = weight, .reduction = reduction});
        });
        if (std::isnan(value))
          compare([&](const Tensor& x, const Tensor& t) {
            return nll_loss(log_softmax(masked_fill(x, x != x, 0), 1), t, {.reduction = reduction});
          });
      }
}

TEST_CASE("mean losses of 65536 positions in low precision: summed, divided and scaled before they are rounded") {
  constexpr int64_t n = 65536;
  const double share = 1.0 / n;
  for (Dtype dtype : {float16, bfloat16}) {
    INFO(name(dtype));
    const auto check = [&](const Tensor& loss, const Tensor& x, double value, double slope) {
      check_loss(loss, {value});
      const Tensor g = grad({loss}, {x}, {.retain_graph = true})[0],
                   twice = grad({loss}, {x}, {.create_graph = true})[0];
      CHECK(g.dtype() == dtype);
      for (const Tensor& t : {g, twice}) CHECK(to(t, float64)[0][0].item() == Approx(slope).epsilon(4e-3));
    };
    const Tensor pairs = zeros({n, 2}, dtype).requires_grad_(), one = ones({n, 1}, dtype).requires_grad_(),
                 zero = zeros({n, 1}, dtype).requires_grad_(), index = zeros({n}, int64);
    const double two = std::log(2.0);
    check(cross_entropy(pairs, index), pairs, two, -share / 2);
    check(cross_entropy(pairs, index, {.label_smoothing = 0.5}), pairs, two, -share / 4);
    check(cross_entropy(pairs, index, {.weight = tensor({2.0, 1.0}, dtype)}), pairs, two, -share / 2);
    check(cross_entropy(pairs, tensor({1.0, 0.0}, dtype).expand({n, 2})), pairs, two, -share / 2);
    check(nll_loss(log_softmax(pairs, 1), index), pairs, two, -share / 2);
    check(nll_loss(pairs - 1, index, {.weight = tensor({2.0, 1.0}, dtype)}), pairs, 1, -share);
    check(mse_loss(one, zeros({n, 1}, dtype)), one, 1, 2 * share);
    check(mse_loss(one, zeros({n, 1})), one, 1, 2 * share);  // of a float32 target
    check(binary_cross_entropy_with_logits(zero, one.detach()), zero, two, -share / 2);
    check(binary_cross_entropy_with_logits(zero, one.detach().to(float32)), zero, two, -share / 2);
    check(binary_cross_entropy_with_logits(zero, one.detach(), {.weight = ones({}, dtype)}), zero, two, -share / 2);
    check(binary_cross_entropy_with_logits(zero, one.detach(), {.pos_weight = ones({})}), zero, two, -share / 2);
  }
}

TEST_CASE("cross_entropy ignores classes, and no probabilities") {
  CHECK_THAT(error_of([] {
               cross_entropy(zeros({2, 3}), full({2, 3}, 1.0 / 3), {.ignore_index = 1});
             }),
             Catch::Contains("[cross_entropy] ignore_index is 1, but the target holds probabilities"));
}
