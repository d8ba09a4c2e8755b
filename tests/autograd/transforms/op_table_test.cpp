// The products of each op of the table with vectors, to third order, against each other and against differences.
#include <catch2/catch.hpp>

#include <cmath>
#include <cstdio>
#include <map>

#include <cotangent/cotangent.hpp>

#include "../op_samples.hpp"

using namespace cotangent;

namespace {

/// A sample as a function of its differentiable inputs, which gives the outputs that depend on them.
struct MovedSample {
  const Sample& sample;
  Tensors inputs, moved;

  explicit MovedSample(const Sample& s) : sample(s), inputs(make_inputs(s.inputs)) {
    for (size_t i = 0; i < inputs.size(); ++i)
      if (s.inputs[i].differentiable && inputs[i].is_floating()) moved.push_back(inputs[i]);
  }
  Tensors operator()(const Tensors& x) const {
    Tensors all = inputs, floating;
    for (size_t i = 0, k = 0; i < all.size(); ++i)
      if (sample.inputs[i].differentiable && all[i].is_floating()) all[i] = x[k++];
    for (const Tensor& y : sample.call(all))
      if (y.defined() && y.is_floating()) floating.push_back(y);
    return floating;
  }
};

Tensors random_like(const Tensors& xs, uint64_t seed) {
  SampleRandom random(seed);
  Tensors ys;
  for (const Tensor& x : xs) {
    std::vector<double> v(static_cast<size_t>(x.numel()));
    for (double& value : v) value = (random.bits() & 1 ? 1 : -1) * (0.5 + random.uniform());
    ys.push_back(from_vector(v, x.shape()));
  }
  return ys;
}

double dot(const Tensors& a, const Tensors& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += (a[i] * b[i]).sum().item();
  return sum;
}
double size_of(const Tensors& a) { return std::sqrt(dot(a, a)); }

Tensors along(const Tensors& x, const Tensors& v, double h) {
  Tensors y;
  for (size_t i = 0; i < x.size(); ++i) y.push_back(x[i] + h * v[i]);
  return y;
}

/// The derivative of f(x + t v) by t, from differences of two steps, without their error of second order.
template <class F>
Tensors differences(const F& f, const Tensors& x, const Tensors& v) {
  constexpr double h = 2e-4;
  const NoGrad guard;
  const Tensors a = f(along(x, v, h)), b = f(along(x, v, -h)), c = f(along(x, v, 2 * h)), d = f(along(x, v, -2 * h));
  Tensors y;
  for (size_t i = 0; i < a.size(); ++i) y.push_back((8 * (a[i] - b[i]) - (c[i] - d[i])) / (12 * h));
  return y;
}

template <class F>
void for_each_moved(int orders, F f) {
  for (const OpInfo& op : op_table())
    for (size_t i = 0; i < op.samples.size(); ++i) {
      if (op.orders < orders) continue;
      const MovedSample function(op.samples[i]);
      if (function.moved.empty() || function(function.moved).empty()) continue;
      const std::string where = std::string(op.name) + ", sample " + std::to_string(i);
      try {
        f(op, function, where);
      } catch (const std::exception& error) {
        FAIL_CHECK(where << " throws: " << error.what());
      }
    }
}

}  // namespace

TEST_CASE("op table: jvp is what differences give, and <u, J v> = <J^T u, v>") {
  int samples = 0;
  double worst = 0;
  for_each_moved(1, [&](const OpInfo& op, const MovedSample& f, const std::string& where) {
    ++samples;
    const Tensors& x = f.moved;
    const Tensors v = random_like(x, 1), Jv = jvp(f, x, v).tangent, u = random_like(Jv, 2);
    const std::string text = difference(Jv, differences(f, x, v), 10 * op.tolerance, 1e-8);
    if (!text.empty()) FAIL_CHECK(where << ": jvp and differences: " << text);
    const double one = dot(u, Jv), other = dot(vjp(f, x).pullback(u), v), scale = size_of(u) * size_of(Jv) + 1e-12;
    worst = std::max(worst, std::fabs(one - other) / scale);
    if (!(std::fabs(one - other) <= 1e-9 * scale)) FAIL_CHECK(where << ": <u, Jv> " << one << ", <J^T u, v> " << other);
  });
  std::printf("op table: jvp of %d samples; <u, Jv> and <J^T u, v> differ by at most %.1e\n", samples, worst);
}

TEST_CASE("op table: a checkpoint changes no bit of results and gradients") {
  int samples = 0;
  for_each_moved(1, [&](const OpInfo& op, const MovedSample& f, const std::string& where) {
    ++samples;
    Tensors x;
    for (const Tensor& t : f.moved) x.push_back(t.detach().requires_grad_());
    const Tensors expected = f(x), got = checkpoint(f, x);
    std::string text = difference(got, expected, 0);
    if (!text.empty()) FAIL_CHECK(where << ": results: " << text);
    const auto gradients = [&](const Tensors& y, bool create_graph) {
      Tensors roots;
      for (const Tensor& t : y)
        if (t.defined() && t.requires_grad()) roots.push_back(t);
      if (roots.empty()) return Tensors();
      return grad(roots, x,
                  {.gradients = random_like(roots, 2),
                   .retain_graph = true,
                   .create_graph = create_graph,
                   .allow_unused = true});
    };
    for (bool create_graph : {false, true}) {
      const Tensors a = gradients(got, create_graph), b = gradients(expected, create_graph);
      text = difference(a, b, 0);
      if (!text.empty()) FAIL_CHECK(where << ": gradients: " << text);
      if (!create_graph || op.orders < 2) continue;
      text = difference(gradients(a, false), gradients(b, false), 1e-12, 1e-14);
      if (!text.empty()) FAIL_CHECK(where << ": second order: " << text);
    }
  });
  std::printf("op table: %d samples are run again by a checkpoint\n", samples);
}

TEST_CASE("op table: the Hessian is symmetric, and its derivative is what differences give") {
  int samples = 0, third = 0;
  for_each_moved(2, [&](const OpInfo& op, const MovedSample& f, const std::string& where) {
    ++samples;
    const Tensors& x = f.moved;
    const Tensors v = random_like(x, 1), w = random_like(x, 2), u = random_like(f(x), 3);
    const auto scalar = [&](const Tensors& t) {
      Tensor sum = zeros({}, float64);
      const Tensors y = f(t);
      for (size_t i = 0; i < y.size(); ++i) sum = sum + (u[i] * y[i]).sum();
      return sum;
    };
    const Tensors Hv = hvp(scalar, x, v).product, Hw = hvp(scalar, x, w).product;
    const double one = dot(w, Hv), other = dot(v, Hw), scale = size_of(w) * size_of(Hv) + size_of(v) * size_of(Hw);
    if (!(std::fabs(one - other) <= 1e-8 * scale + 1e-11))
      FAIL_CHECK(where << ": <w, Hv> " << one << ", <v, Hw> " << other);

    const auto product = [&](const Tensors& t) { return hvp(scalar, t, v, {.create_graph = true}).product; };
    const Tensors moved = jvp(product, x, w).tangent;
    third += size_of(moved) > 0;
    const std::string text = difference(moved, differences(product, x, w), 100 * op.tolerance, 1e-7);
    if (!text.empty()) FAIL_CHECK(where << ": third order and differences: " << text);
  });
  std::printf("op table: hvp of %d samples; %d have a third derivative\n", samples, third);
}
