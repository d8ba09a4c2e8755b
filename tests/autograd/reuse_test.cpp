// Gradients and temporaries are written over, and only where nobody can see it.
#include <catch2/catch.hpp>

#include <map>
#include <string>

#include <cotangent/cotangent.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tests/values.hpp>

using namespace cotangent;

namespace {

using Function = Tensor (*)(const Tensor&);

/// Ops whose rules write over the gradient.
const std::map<std::string, Function>& overwriting() {
  static const std::map<std::string, Function> all = {
      {"neg", neg},
      {"number - x", [](const Tensor& x) { return 2 - x; }},
      {"x * number", [](const Tensor& x) { return x * 3; }},
      {"x / number", [](const Tensor& x) { return x / 3; }},
      {"number / x", [](const Tensor& x) { return 3 / x; }},
      {"x * y", [](const Tensor& x) { return x * (x + 1); }},
      {"x / y", [](const Tensor& x) { return x / (x + 1); }},
      {"pow", [](const Tensor& x) { return pow(x, 3) + pow(x, 2); }},
      {"clamp", [](const Tensor& x) { return clamp(x, 0.5, 1); }},
      {"exp", exp},
      {"log", log},
      {"sqrt", sqrt},
      {"rsqrt", rsqrt},
      {"reciprocal", reciprocal},
      {"square", square},
      {"sin", sin},
      {"cos", cos},
      {"abs", abs},
      {"erf", erf},
      {"tanh", tanh},
      {"sigmoid", sigmoid},
      {"relu", relu},
      {"relu6", relu6},
      {"gelu", [](const Tensor& x) { return gelu(x); }},
      {"silu", silu},
      {"mish", mish},
      {"elu", [](const Tensor& x) { return elu(x); }},
      {"softplus", [](const Tensor& x) { return softplus(x); }},
      {"hardswish", hardswish},
      {"batch_norm",
       [](const Tensor& x) {
         const Tensor mean = full({4}, 0.5, float64), var = full({4}, 0.3, float64);
         return batch_norm(x, mean, var, Tensor(), Tensor(), false, 0.1, 1e-5, {-0.5, 0.5});
       }},
      {"channels-last",
       [](const Tensor& x) {
         return reshape(exp(x.reshape({1, 3, 2, 2}).contiguous(MemoryFormat::channels_last)) * 2, {3, 4});
       }},
  };
  return all;
}

}  // namespace

TEST_CASE("a gradient that somebody else holds is not written over") {
  for (const auto& [name, f] : overwriting()) {
    INFO(name);
    manual_seed(1);
    const Tensor x = rand({3, 4}, float64).requires_grad_(), before = randn({3, 4}, float64);
    const Tensor slope = grad({f(x)}, {x}, {.gradients = {ones({3, 4}, float64)}, .create_graph = true})[0].detach();
    const Tensor gradient = before.clone();

    f(x).backward(gradient);  // the caller
    CHECK(equal(gradient, before));
    CHECK(close(x.grad(), before * slope));

    x.set_grad(Tensor());  // a hook that keeps it, or a view of it
    Tensor kept, view;
    const Tensor a = f(x), b = f(x);
    a.register_hook([&](const Tensor& g) { kept = g; });
    b.register_hook([&](const Tensor& g) { view = g.detach().reshape({12}); });
    (a * 1 + b * 1).backward(gradient);
    CHECK(close(kept, before));
    CHECK(close(view.reshape({3, 4}), before));
    CHECK(close(x.grad(), before * slope * 2));

    x.set_grad(Tensor());  // retain_grad
    const Tensor c = f(x);
    c.retain_grad();
    (c * 1).backward(gradient);
    CHECK(close(c.grad(), before));
    CHECK(close(x.grad(), before * slope));

    const Tensor d = f(x);  // grad(), which was asked for it
    const Tensors both = grad({d * 1}, {d, x}, {.gradients = {gradient}});
    CHECK(close(both[0], before));
    CHECK(close(both[1], before * slope));

    x.set_grad(Tensor());  // another edge: add gives both the same gradient, and a leaf, too
    const Tensor y = zeros({3, 4}, float64).requires_grad_();
    ((f(x) + f(x) + y) * 1).backward(gradient);
    CHECK(close(x.grad(), before * slope * 2));
    CHECK(close(y.grad(), before));

    x.set_grad(Tensor());  // the next pass over the same graph
    const Tensor e = f(x) * 1;
    e.backward({.gradient = gradient, .retain_graph = true});
    e.backward(gradient);
    CHECK(close(x.grad(), before * slope * 2));
  }
}

TEST_CASE("a gradient that nobody else holds is written over") {
  const Tensor x = randn({1000}).requires_grad_();
  const Tensor a = x * 2, b = tanh(a), c = relu(b), d = c * x;
  const void *at_c = nullptr, *at_b = nullptr, *at_a = nullptr;
  c.register_hook([&](const Tensor& g) { at_c = g.raw_data(); });
  b.register_hook([&](const Tensor& g) { at_b = g.raw_data(); });
  a.register_hook([&](const Tensor& g) { at_a = g.raw_data(); });
  d.backward(ones({1000}));
  CHECK(at_c == at_b);
  CHECK(at_b == at_a);
}

TEST_CASE("a temporary is written over where nothing is recorded and nobody else holds it") {
  const Tensor x = ones({4}), y = full({4}, 3);
  Tensor t = x + y;
  const void* at = t.raw_data();
  t = std::move(t) * y;
  CHECK(t.raw_data() == at);
  t = std::move(t) - x;
  t = std::move(t) / y;
  t = -(std::move(t) * 3);
  CHECK(t.raw_data() == at);
  CHECK(t.to_vector<double>() == std::vector<double>(4, -11));

  const Tensor other = t, part = y[0].detach();
  CHECK((std::move(t) + x).raw_data() != at);  // another handle
  CHECK((y[0] * part).item() == 9);            // a view
  CHECK(y[0].item() == 3);
  CHECK((Tensor(x).expand({2, 4}) * full({2, 4}, 5)).to_vector<double>() == std::vector<double>(8, 5));
  CHECK((ones({2, 1}) + ones({1, 3})).shape() == Shape{2, 3});  // the result has another shape
  CHECK((ones({2}, int32) / full({2}, 2, int32)).dtype() == float32);
  CHECK((ones({2}) * full({2}, 2, float64)).dtype() == float64);

  float lent[] = {1, 2};  // someone else's memory
  CHECK((from_memory(lent, {2}, float32) * 3).to_vector<float>() == std::vector<float>{3, 6});
  CHECK(lent[0] == 1);
  CHECK(lent[1] == 2);

  const Tensor w = full({4}, 2).requires_grad_();  // mul keeps its operands
  (x * w * w).backward(x);
  CHECK(w.grad().to_vector<double>() == std::vector<double>(4, 4));
}

namespace {

/// Ops that write over a recorded temporary.
const std::map<std::string, Tensor (*)(Tensor&&)>& overwriting_temporaries() {
  static const std::map<std::string, Tensor (*)(Tensor &&)> all = {
      {"t + t", [](Tensor&& t) { return std::move(t) + t; }},
      {"t + y", [](Tensor&& t) { return std::move(t) + ones(t.shape(), float64); }},
      {"t - y", [](Tensor&& t) { return std::move(t) - ones(t.shape(), float64); }},
      {"t * number", [](Tensor&& t) { return std::move(t) * 3; }},
      {"neg", neg},
      {"exp", exp},
      {"sqrt", sqrt},
      {"tanh", tanh},
      {"sigmoid", sigmoid},
      {"relu", relu},
  };
  return all;
}

// A gradient and a gradient of that, of the sum of y squared.
Tensors derivatives(const Tensor& y, const Tensor& x) {
  const Tensor first = grad({square(y).sum()}, {x}, {.create_graph = true})[0];
  return {first.detach(), grad({square(first).sum()}, {x})[0]};
}

}  // namespace

TEST_CASE("a recorded temporary is written over where nobody else holds it") {
  for (const auto& [name, f] : overwriting_temporaries()) {
    INFO(name);
    manual_seed(1);
    const Tensor x = rand({40000}, float64).requires_grad_(), two = full({40000}, 2, float64);
    const Tensor held = x * two;
    const Tensor expected = f(Tensor(held));
    const Tensors slopes = derivatives(expected, x);

    Tensor t = x * two;  // keeps its operands, not its result
    const void* at = t.raw_data();
    const Tensor y = f(std::move(t));
    CHECK(y.raw_data() == at);
    CHECK(!t.defined());
    CHECK(equal(y, expected));
    const Tensors found = derivatives(y, x);
    CHECK(equal(found[0], slopes[0]));
    CHECK(equal(found[1], slopes[1]));

    const Tensor z = f(x * two);  // twice over one graph
    z.backward({.gradient = two, .retain_graph = true});
    z.backward(two);
    const Tensor other = x * two, once = grad({f(Tensor(other))}, {x}, {.gradients = {two}})[0];
    CHECK(equal(x.grad(), once * 2));

    Tensor hooked = x * two, seen;  // a hook is of the history
    hooked.register_hook([&](const Tensor& g) { seen = g; });
    f(std::move(hooked)).backward(two);
    CHECK(equal(seen * 2, once));
  }
}

TEST_CASE("a recorded temporary that somebody reads is not written over") {
  const Tensor two = full({40000}, 2, float64);
  for (const auto& [name, f] : overwriting_temporaries()) {
    INFO(name);
    manual_seed(1);
    const Tensor x = rand({40000}, float64).requires_grad_();
    const auto slope = [&](const Tensor& y) { return grad({y}, {x}, {.gradients = {two}})[0]; };
    const Tensor made = exp(x);
    const Tensor expected = slope(f(Tensor(made)));
    CHECK(equal(slope(f(exp(x))), expected));  // the op that made it keeps it

    Tensor t = x * two;
    const Tensor before = t.detach().clone(), handle = t;
    CHECK(!f(std::move(t)).shares_storage(handle));  // another handle
    CHECK(equal(handle, before));

    Tensor u = x * two;
    const Tensor view = u.reshape({200, 200});
    CHECK(!f(std::move(u)).shares_storage(view));
    CHECK(equal(view.reshape({40000}), before));

    Tensor v = x * two;
    const Tensor squared = square(v), w = f(std::move(v));  // another op keeps it
    CHECK(equal(slope(squared), before * 2 * two * 2));
  }
  const Tensor x = full({40000}, 3, float64).requires_grad_();
  CHECK(grad({(x * two) * x}, {x}, {.gradients = {two}})[0][0].item() == 24);  // mul reads it, and div what it gave
  CHECK(grad({(x + two) / x}, {x}, {.gradients = {two}})[0][0].item() == Approx(-4. / 9));
}

TEST_CASE("the memory of a temporary is free for the gradients of its backward pass") {
  const Tensor x = ones({50000}).requires_grad_(), gradient = ones({50000});
  int64_t held = 0;
  const auto watched = [&](const Tensor& t) {
    const Tensor y = t * 2;
    y.register_hook([&](const Tensor&) { held = memory_stats().current_bytes; });
    return y * 2;
  };
  const auto pass = [&](bool keeps) {
    x.set_grad(Tensor());
    if (!keeps) return watched(x).backward(gradient);
    const Tensor y = watched(x);
    y.backward(gradient);
    CHECK(y[0].item() == 4);
  };
  pass(true);
  const int64_t with = held;
  pass(false);
  CHECK(with - held > 150000);
  CHECK(x.grad()[0].item() == 4);

  Tensor z = x * 3;
  CHECK_THROWS_AS(std::move(z).backward(ones({2})), GradError);
  CHECK(z.defined());
  x.set_grad(Tensor());
  std::move(z).backward(z);  // its own gradient
  CHECK(x.grad()[0].item() == 9);
}

TEST_CASE("the gradient of a layer's input takes the memory of the input, unless the graph is retained") {
  const auto taken = [](bool retain) {
    const Tensor x = ones({32768, 128}).requires_grad_(), w = ones({128, 128}).requires_grad_();
    const Tensor y = linear(x * 2, w);  // which nobody but the layer keeps
    const auto before = memory_stats().current_bytes;
    reset_peak_memory();
    y.backward({.gradient = ones_like(y), .retain_graph = retain});
    const auto peak = memory_stats().peak_bytes;
    if (retain) y.backward({.gradient = ones_like(y)});
    CHECK(x.grad()[0][0].item() == (retain ? 512 : 256));
    CHECK(w.grad()[0][0].item() == (retain ? 131072 : 65536));
    return static_cast<double>(peak - before) / static_cast<double>(x.numel() * 4);
  };
  CHECK(taken(true) - taken(false) > 0.5);  // of its size, beside what the products pack
}
