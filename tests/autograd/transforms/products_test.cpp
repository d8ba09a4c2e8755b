#include <catch2/catch.hpp>

#include <thread>

#include <cotangent/cotangent.hpp>
#include <cotangent/tests/json.hpp>
#include <cotangent/tests/values.hpp>

using namespace cotangent;

namespace {

Tensors unpacked_list(const Json& list) {
  Tensors tensors;
  for (const Json& packed : list) tensors.push_back(unpacked(packed));
  return tensors;
}

bool close(const Tensors& a, const Tensors& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Tensor& x, const Tensor& y) {
    return x.shape() == y.shape() && allclose(x, y, 1e-11, 1e-13);
  });
}

Tensor layer(const Tensor& x, const Tensor& w, const Tensor& b) { return softmax(tanh(matmul(x, w) + b), -1); }
Tensor loss(const Tensor& x, const Tensor& w, const Tensor& b) { return pow(layer(x, w, b), 3).sum(); }

const Tensor kX = tensor({0.5, -1.5, 2}, float64), kV = tensor({1, 0.5, -2}, float64);

Tensor cubes(const Tensor& x) { return (x * x * x).sum(); }

}  // namespace

TEST_CASE("transforms give what PyTorch's give") {
  const Json expected("transforms.json");
  const Tensors inputs = unpacked_list(expected["inputs"]), tangents = unpacked_list(expected["tangents"]);
  const auto want = [&](const char* name) { return unpacked_list(expected[name]); };

  const auto [y, pullback] = vjp(layer, inputs);
  CHECK(close({y}, want("value")));
  CHECK(close(pullback(want("cotangent")[0]), want("vjp")));
  CHECK(close(pullback(want("cotangent")[0] * 2), {want("vjp")[0] * 2, want("vjp")[1] * 2, want("vjp")[2] * 2}));
  const auto [value, tangent] = jvp(layer, inputs, tangents);
  CHECK(close({value, tangent}, {want("value")[0], want("jvp")[0]}));
  const auto [l, gradient] = value_and_grad(loss, inputs);
  CHECK(close({l}, want("loss")));
  CHECK(close(gradient, want("gradient")));
  CHECK(close(hvp(loss, inputs, tangents).product, want("hvp")));
  CHECK(close(vhp(loss, inputs, tangents).product, want("vhp")));
  CHECK(close({vhp(loss, inputs, tangents).value}, want("loss")));
  CHECK(close(jacobian(layer, inputs), want("jacobian")));
  const std::vector<Tensors> H = hessian(loss, inputs);
  for (size_t i = 0; i < 3; ++i) CHECK(close(H[i], unpacked_list(expected["hessian"][i])));
  const auto hessian_of_b = [&](const Tensor& b) {
    return hessian([&](const Tensor& c) { return loss(inputs[0], inputs[1], c); }, b, {.create_graph = true});
  };
  CHECK(close({jacobian(hessian_of_b, inputs[2])}, want("third")));
}

TEST_CASE("transforms follow the form of the function: one tensor or a list, in and out") {
  const auto one = [](const Tensor& x) { return x * x; };
  const auto from_list = [](const Tensors& x) { return x[0] * x[1]; };
  const auto from_span = [](std::span<const Tensor> x) { return x[0] * x[1]; };
  const auto two = [](const Tensor& x) -> Tensors { return {x * x, x.sum()}; };
  const auto from_pair = [](Tensor x, Tensor y) -> Tensors { return {x * y, x}; };

  CHECK(equal(vjp(one, kX).pullback(kV), 2 * kX * kV));
  CHECK(equal(jvp(one, kX, kV).tangent, 2 * kX * kV));
  CHECK(equal(jvp(one, {kX}, {kV}).tangent, 2 * kX * kV));
  CHECK(equal(jvp(from_list, {kX, kX}, {kV, {}}).tangent, kX * kV));
  CHECK(equal(jvp(from_span, {kX, kX}, {{}, kV}).tangent, kX * kV));
  const Tensors of_two = jvp(two, kX, kV).tangent;
  CHECK(equal(of_two[0], 2 * kX * kV));
  CHECK(of_two[1].item() == -0.5);
  const auto [y, pullback] = vjp(from_pair, {kX, kV});
  CHECK(equal(y[1], kX));
  CHECK(equal(pullback({kX, kV})[0], kX * kV + kV));
  CHECK(equal(pullback({kX, {}})[1], kX * kX));
}

TEST_CASE("transforms take modules, and functions that reach their parameters by themselves") {
  manual_seed(3);
  nn::Linear linear(3, 2, {.dtype = float64});
  CHECK(close({jacobian(linear, kX)}, {linear.weight.detach()}));
  CHECK(close({vjp(linear, kX).pullback(ones({2}, float64))}, {linear.weight.detach().sum({0})}));

  const auto f = [&] { return pow(linear(kX), 2).sum(); };
  const Tensors parameters = linear.parameters();
  const auto [value, gradient] = value_and_grad(f, parameters);
  const Tensor y = linear(kX).detach();
  CHECK(close(gradient, {2 * y.unsqueeze(1) * kX, 2 * y}));
  const std::vector<Tensors> H = hessian(f, parameters);
  CHECK(close({H[1][1]}, {2 * eye(2, 2, float64)}));
  CHECK(close(hvp(f, parameters, {{}, ones({2}, float64)}).product,
              {2 * ones({2, 1}, float64) * kX, 2 * ones({2}, float64)}));
  CHECK_FALSE(linear.weight.grad().defined());
  CHECK_FALSE(gradient[0].requires_grad());
  CHECK_THROWS_WITH(value_and_grad(f, kX),
                    Catch::Contains("[value_and_grad] input 0 does not require a gradient, and a function that takes"));
}

TEST_CASE("transforms: what the function computes besides leaves it through a variable") {
  Tensor logits;  // has_aux elsewhere
  const auto [value, gradient] = value_and_grad(
      [&](const Tensor& w) {
        logits = kX * w;
        return cubes(logits);
      },
      kV);
  CHECK(equal(logits, kX * kV));
  CHECK(allclose(gradient, 3 * kX * kX * kX * kV * kV, 1e-12, 0));
  CHECK_THROWS_WITH(logits.sum().backward(), Catch::Contains("was freed by an earlier backward pass"));
}

TEST_CASE("transforms: what the function does not depend on has a derivative of 0") {
  const auto constant = [](const Tensor&) { return ones({2}, float64); };
  CHECK(equal(vjp(constant, kX).pullback(ones({2}, float64)), zeros({3}, float64)));
  CHECK(equal(jvp(constant, kX, kV).tangent, zeros({2}, float64)));
  CHECK(equal(jacobian(constant, kX), zeros({2, 3}, float64)));
  const auto first = [](const Tensor& x, const Tensor&) { return x.sum(); };  // linear: its gradient is a constant
  CHECK(equal(value_and_grad(first, {kX, kV}).gradient[1], zeros({3}, float64)));
  CHECK(equal(hessian(first, {kX, kV})[0][1], zeros({3, 3}, float64)));
  CHECK(equal(hvp(first, {kX, kV}, {kV, kX}).product[0], zeros({3}, float64)));
  const auto stopped = [](const Tensor& x) { return (stop_gradient(x * x) * x).sum(); };
  CHECK(equal(value_and_grad(stopped, kX).gradient, kX * kX));
  const auto places = [](const Tensor& x) -> Tensors { return {argmax(x), x * 2}; };
  CHECK(jvp(places, kX, kV).value[0].item() == 2);
  CHECK(jvp(places, kX, kV).tangent[0].item() == 0);
  CHECK(equal(vjp(places, kX).pullback({{}, kV}), 2 * kV));
}

TEST_CASE("transforms change no grad() and leave no history, unless the graph is created") {
  Tensor x = kX.clone().requires_grad_();
  Tensor w = kV.clone().requires_grad_();
  const auto f = [&](const Tensor& t) { return (t * t * w).sum(); };
  {
    const NoGrad guard;  // no matter
    const auto [value, gradient] = value_and_grad(f, x);
    CHECK(equal(gradient, 2 * kX * kV));
    CHECK_FALSE(value.requires_grad());
    CHECK_FALSE(gradient.requires_grad());
    CHECK_FALSE(hvp(f, x, kV).product.requires_grad());
    CHECK_FALSE(jvp(f, x, kV).tangent.requires_grad());
    CHECK_FALSE(hessian(f, x).requires_grad());
    CHECK_FALSE(vjp(f, x).pullback(ones({}, float64)).requires_grad());
  }
  CHECK_FALSE(x.grad().defined());
  CHECK_FALSE(w.grad().defined());
  CHECK(x.requires_grad());

  // a penalty on the gradient reaches the parameters
  const Tensor penalty = pow(value_and_grad(f, x, {.create_graph = true}).gradient, 2).sum();
  const Tensors gradients = grad({penalty}, {x, w});
  CHECK(allclose(gradients[0], 8 * kX * kV * kV, 1e-12, 0));
  CHECK(allclose(gradients[1], 8 * kX * kX * kV, 1e-12, 0));
  // so does a derivative with respect to a tangent or a cotangent
  Tensor v = kV.clone().requires_grad_();
  const Tensor moved = jvp(f, x, v, {.create_graph = true}).tangent;
  CHECK(allclose(grad({moved}, {v}, {.retain_graph = true})[0], 2 * kX * kV, 1e-12, 0));
  CHECK(allclose(grad({moved}, {w})[0], 2 * kX * kV, 1e-12, 0));
}

TEST_CASE("transforms nest to any order") {
  const TransformOptions again{.create_graph = true};
  const auto gradient = [&](const Tensor& x) { return value_and_grad(cubes, x, again).gradient; };
  const Tensor diagonal = 6 * kX;
  CHECK(close({jacobian(gradient, kX)}, {eye(3, 3, float64) * diagonal}));
  CHECK(close({jvp(gradient, kX, kV).tangent, vjp(gradient, kX).pullback(kV)}, {diagonal * kV, diagonal * kV}));
  // grad of hessian, hessian of hvp, jvp of hvp
  const auto trace = [&](const Tensor& x) { return hessian(cubes, x, again).sum(); };
  CHECK(close({value_and_grad(trace, kX).gradient}, {full({3}, 6, float64)}));
  const auto curvature = [&](const Tensor& x) { return (hvp(cubes, x, kV, again).product * x * x).sum(); };
  CHECK(close({hessian(curvature, kX)}, {eye(3, 3, float64) * (36 * kX * kV)}));
  const auto product = [&](const Tensor& x) { return hvp(cubes, x, kV, again).product; };
  CHECK(close({jvp(product, kX, kV).tangent}, {6 * kV * kV}));
  // the fourth derivative of x^5
  const auto f4 = [&](const Tensor& x) {
    return jvp(
               [&](const Tensor& a) {
                 return jvp(
                            [&](const Tensor& b) {
                              return jvp(
                                         [&](const Tensor& c) {
                                           return jvp([](const Tensor& d) { return pow(d, 5); }, c, kX * 0 + 1, again)
                                               .tangent;
                                         },
                                         b, kX * 0 + 1, again)
                                  .tangent;
                            },
                            a, kX * 0 + 1, again)
                     .tangent;
               },
               x, kX * 0 + 1)
        .tangent;
  };
  CHECK(close({f4(kX)}, {120 * kX}));
}

TEST_CASE("transforms say what is wrong") {
  const auto f = [](const Tensor& x, const Tensor& y) { return (x * y).sum(); };
  const auto vector = [](const Tensor& x) { return x * x; };
  const Tensor places = tensor({1, 2}, int64), narrow = kX.to(float32);
  CHECK(error_of([&] {
          vjp(f, {kX, kX, kX});
        }) == "[vjp] the function takes 2 tensors, and there are 3 inputs; let it take as many, or a list");
  CHECK(error_of([&] {
          jacobian(f, {kX, places});
        }) == "[jacobian] input 1 is int64, which has no derivative; let the function capture it");
  CHECK(error_of([&] {
          hvp(f, {kX, {}}, {kX, {}});
        }) == "[hvp] input 1 is undefined, which has no derivative; let the function capture it");
  CHECK(error_of([&] { jvp(f, {kX, kX}, {kX}); }) == "[jvp] 1 tangents for 2 inputs; give one for each");
  CHECK(error_of([&] { jvp(vector, kX, ones({2}, float64)); }) ==
        "[jvp] tangent 0 has shape (2,); it must have (3,), as input 0");
  CHECK(error_of([&] {
          vhp(f, {kX, kX}, {kX, narrow});
        }) == "[vhp] vector 1 is float32; it must be float64, as input 1");
  CHECK(error_of([&] { vjp(vector, kX).pullback(narrow); }) ==
        "[vjp] cotangent 0 is float32; it must be float64, as output 0");
  CHECK(error_of([&] { value_and_grad(vector, kX); }) ==
        "[value_and_grad] the function gives shape (3,) with 3 elements; reduce it to one by sum() or mean()");
  CHECK(error_of([&] { hessian(vector, kX); }) ==
        "[hessian] the function gives shape (3,) with 3 elements; reduce it to one by sum() or mean()");
  CHECK(error_of([&] {
          hessian([](const Tensor& x) -> Tensors { return {x, x}; }, kX);
        }) == "[hessian] the function gives 2 tensors; it must give one");
  CHECK(error_of([&] {
          jacobian([](const Tensor& x) -> Tensors { return {x, argmax(x)}; }, kX);
        }) == "[jacobian] output 1 is int64, which has no derivative; leave it out");
  CHECK(error_of([&] { vjp([](const Tensor&) { return Tensor(); }, kX); }) ==
        "[vjp] the function gives an undefined tensor as output 0");
  CHECK_THROWS_WITH(gradcheck(f, {kX.clone()}),
                    Catch::Contains("[gradcheck] the function takes 2 tensors, and there are"));
}

TEST_CASE("transforms notice writes to what they have saved") {
  Tensor x = kX.clone();
  const auto exponential = [](const Tensor& t) { return exp(t) * t; };
  const auto pullback = vjp(exponential, x).pullback;
  CHECK(equal(pullback(kV), pullback(kV)));
  x.add_(1);
  CHECK_THROWS_WITH(pullback(kV),
                    Catch::Contains("[mul] input 1 of shape (3,) was written in place after it was saved"));
}

TEST_CASE("transforms free the graph as the last pass goes over it") {
  constexpr int64_t n = 1 << 15;
  const Tensor x = ones({n}), v = ones({n});
  int64_t held = 0;  // when the first of 20 layers has its gradient
  const auto layers = [&](const Tensor& in) {
    Tensor t = sin(in);
    t.register_hook([&](const Tensor&) { held = memory_stats().current_bytes; });
    for (int i = 0; i < 20; ++i) t = sin(t);
    return t;
  };
  const auto f = [&](const Tensor& t) { return layers(t).sum(); };
  const auto held_by = [&](auto transform) {
    const int64_t before = memory_stats().current_bytes;
    const auto result = transform();
    return double(held - before) / double(n * 4);
  };
  CHECK(held_by([&] { return value_and_grad(f, x); }) < 6);
  CHECK(held_by([&] { return hvp(f, x, v); }) < 12);
  CHECK(held_by([&] { return value_and_grad(f, x, {.create_graph = true}); }) > 20);
}

TEST_CASE("transforms run on many threads over one set of parameters", "[threads]") {
  Tensor w = kX.clone().requires_grad_();
  const auto f = [&](const Tensor& x) { return (tanh(x * w) * w).sum(); };
  const Tensor expected = hvp(f, kX, kV).product, J = jacobian(f, kX);
  std::vector<int> wrong(8);
  std::vector<std::thread> threads;
  for (int& count : wrong)
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) count += !equal(hvp(f, kX, kV).product, expected) + !equal(jacobian(f, kX), J);
    });
  for (std::thread& t : threads) t.join();
  CHECK(wrong == std::vector<int>(8));
}
