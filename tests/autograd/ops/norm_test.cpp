// The normalisations against PyTorch's, by reference/make_norm.py, and what is known of them in theory.
#include <cotangent/autograd/ops/norm.hpp>

#include <catch2/catch.hpp>
#include <cmath>

#include <cotangent/autograd/engine.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/statistics.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/cotangent.hpp>
#include <cotangent/tensor/copy.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/random.hpp>
#include <cotangent/tests/check_gradients.hpp>

#include "../../json.hpp"

using namespace cotangent;

namespace {

void check_close(const Tensor& x, const Tensor& expected, double tolerance = 1e-10) {
  REQUIRE(x.defined() == expected.defined());
  if (x.defined()) CHECK(allclose(x, expected, tolerance, tolerance));
}

void check_case(const Json& test, MemoryFormat format) {
  Tensors inputs, wanted;
  for (const char* name : {"x", "weight", "bias"}) {
    Tensor t = unpacked(test[name]);
    if (t.defined() && t.rank() == 4) t = t.contiguous(format);
    if (t.defined()) wanted.push_back(t.requires_grad_());
    inputs.push_back(t);
  }
  const Tensor &x = inputs[0], mean = unpacked(test["running"][0]), var = unpacked(test["running"][1]);
  Tensor y;
  if (test["op"] == "layer_norm" || test["op"] == "rms_norm") {
    const int dims = test["dims"];
    const Shape shape = x.shape().slice(x.rank() - dims, x.rank());
    y = test["op"] == "rms_norm" ? rms_norm(x, shape, inputs[1], 1e-5) : layer_norm(x, shape, inputs[1], inputs[2]);
  } else if (test["op"] == "group_norm") {
    y = group_norm(x, test["groups"], inputs[1], inputs[2]);
  } else if (test["op"] == "instance_norm") {
    y = instance_norm(x, mean, var, inputs[1], inputs[2], test["training"].get<bool>());
  } else {
    y = batch_norm(x, mean, var, inputs[1], inputs[2], test["training"].get<bool>());
  }
  check_close(y, unpacked(test["y"]));
  check_close(mean, unpacked(test["running_after"][0]));
  check_close(var, unpacked(test["running_after"][1]));
  for (bool create_graph : {false, true}) {  // by the kernel and by the composite form
    const Tensors gradients =
        grad({y}, wanted, {.gradients = {unpacked(test["dy"])}, .retain_graph = true, .create_graph = create_graph});
    for (size_t i = 0, k = 0; i < inputs.size(); ++i)
      if (inputs[i].defined()) check_close(gradients[k++], unpacked(test["gradients"][i]));
  }
}

}  // namespace

TEST_CASE("the normalisations give what PyTorch gives") {
  const Json data("norm.json");
  REQUIRE(data.size() == 19);
  for (const Json& test : data) {
    INFO(test["op"] << " of " << test["x"][0]);
    check_case(test, MemoryFormat::contiguous);
    if (test["op"] == "batch_norm") check_case(test, MemoryFormat::channels_last);
  }
}

TEST_CASE("what the normalisations do not see") {
  manual_seed(3);
  const Tensor x = randn({4, 6, 5}, float64), w = randn({6}, float64), b = randn({6}, float64);
  check_close(layer_norm(x * 3 + 7, {5}, {}, {}, 0), layer_norm(x, {5}, {}, {}, 0));
  check_close(rms_norm(x * 3, {5}, {}, 0), rms_norm(x, {5}, {}, 0));
  CHECK(!allclose(rms_norm(x + 1, {5}, {}, 0), rms_norm(x, {5}, {}, 0), 1e-2, 1e-2));
  check_close(group_norm(x, 1), layer_norm(x, {6, 5}));
  check_close(group_norm(x, 6, w, b), instance_norm(x, {}, {}, w, b));
  check_close(instance_norm(x), layer_norm(x, {5}));
  const Tensor alone = group_norm(x.narrow(0, 1, 1), 3, w, b);  // the rest of the batch does not matter
  check_close(group_norm(x, 3, w, b).narrow(0, 1, 1), alone);

  Tensor leaf = x.clone().requires_grad_();
  layer_norm(leaf, {6, 5}, randn({6, 5}, float64)).backward(randn({4, 6, 5}, float64));
  for (double v : mean(leaf.grad(), {1, 2}).to_vector<double>()) CHECK(std::abs(v) < 1e-15);
}

TEST_CASE("running moments that have converged make training and evaluation agree") {
  manual_seed(4);
  const Tensor x = randn({64, 3, 20}, float64) * 2 + 5;
  for (bool by_instance : {false, true}) {
    Tensor mean = zeros({3}, float64), var = ones({3}, float64), y;
    for (int i = 0; i < 300; ++i)
      y = by_instance ? instance_norm(x, mean, var) : batch_norm(x, mean, var, {}, {}, true);
    const Tensor z = by_instance ? instance_norm(x, mean, var, {}, {}, false) : batch_norm(x, mean, var);
    // by instance every example has moments of its own, of which the running ones are the average
    if (!by_instance) CHECK(allclose(z, y, 1e-3, 1e-3));
    CHECK(allclose(mean, full({3}, 5, float64), 0.05, 0));
    CHECK(allclose(var, full({3}, 4, float64), 0.1, 0));
  }
}

TEST_CASE("the gradients of group_norm and rms_norm hold over several spans and chunks") {
  manual_seed(5);
  const Tensor x = randn({2, 4, 4500}, float64), w = randn({4}, float64), b = randn({4}, float64);
  check_gradients(
      [](const Tensor& a, const Tensor& weight, const Tensor& bias) { return group_norm(a, 2, weight, bias); },
      {x, w, b}, {.order = 1, .contracts = false});
  check_gradients([](const Tensor& a, const Tensor& weight) { return rms_norm(a, {3}, weight); },
                  {randn({50000, 3}, float64), randn({3}, float64)}, {.order = 1, .contracts = false});
}

TEST_CASE("the gradients of batch_norm hold over several chunks and spans") {
  manual_seed(1);
  const Tensor w = randn({3}, float64), b = randn({3}, float64);
  const Tensor planes = randn({2, 3, 50, 90}, float64), rows = randn({300, 3}, float64);
  auto train = [](const Tensor& x, const Tensor& weight, const Tensor& bias) {
    return batch_norm(x, {}, {}, weight, bias, true);
  };
  for (const Tensor& x : {planes, planes.contiguous(MemoryFormat::channels_last), rows})
    check_gradients(train, {x, w, b}, {.order = 1, .contracts = false});
}

TEST_CASE("group_norm and instance_norm of channels-last tensors equal those of planes, and lie alike") {
  Generator generator(1);
  for (Dtype dtype : {float64, float32, bfloat16})
    for (const Shape& shape :
         {Shape{3, 12, 5, 7}, Shape{2, 6, 40, 50}, Shape{2, 96, 3, 2}, Shape{2, 6, 1, 2}, Shape{0, 6, 3, 3}})
      for (int64_t groups : {1, 2, 6, 0}) {  // none: by instance
        CAPTURE(dtype, shape, groups);
        const Tensor planes = (randn(shape, float64, generator) * 3 + 5).to(dtype),
                     w = rand({shape[1]}, dtype, generator), b = rand({shape[1]}, dtype, generator),
                     g = randn(shape, float64, generator).to(dtype);
        const auto run = [&](const Tensor& values) {
          const Tensor x = values.clone().requires_grad_(), weight = w.clone().requires_grad_(),
                       bias = b.clone().requires_grad_();
          const Tensor y = groups == 0 ? instance_norm(x, {}, {}, weight, bias) : group_norm(x, groups, weight, bias);
          y.backward(g);
          return std::vector<Tensor>{y, x.grad(), weight.grad(), bias.grad()};
        };
        const auto expected = run(planes), got = run(planes.contiguous(MemoryFormat::channels_last));
        const double close = dtype == float64 ? 1e-11 : dtype == float32 ? 1e-3 : 5e-2;
        for (size_t i = 0; i < got.size(); ++i) CHECK(allclose(got[i], expected[i], close, close));
        for (size_t i = 0; i < 2; ++i) CHECK(got[i].is_contiguous(MemoryFormat::channels_last));
      }
}

TEST_CASE("outside training the running moments stay as they are, and may be written before the backward pass") {
  Tensor mean = zeros({2}, float64), var = ones({2}, float64);
  Tensor x = randn({3, 2}, float64).requires_grad_();
  const Tensor y = batch_norm(x, mean, var, {}, {}, false);
  CHECK(mean.to_vector<double>() == std::vector<double>{0, 0});
  var.fill_(100);
  y.backward(ones({3, 2}, float64));
  for (double v : x.grad().to_vector<double>()) CHECK(v == Approx(1 / std::sqrt(1 + 1e-5)));
}

TEST_CASE("low-precision inputs are normalised in float32, with parameters of either dtype") {
  manual_seed(2);
  const Tensor wide = randn({4, 8}), w = randn({8}), b = randn({8});
  for (Dtype dtype : {bfloat16, float16}) {
    Tensor x = wide.to(dtype).requires_grad_();
    Tensor weight = w.clone().requires_grad_();
    const Tensor y = layer_norm(x, {8}, weight, b.to(dtype));
    CHECK(y.dtype() == dtype);
    CHECK(allclose(y.to(float32), layer_norm(wide.to(dtype).to(float32), {8}, w, b.to(dtype).to(float32)), 1e-2, 1e-2));
    y.backward(ones({4, 8}, dtype));
    CHECK(x.grad().dtype() == dtype);
    CHECK(weight.grad().dtype() == float32);
    Tensor mean = zeros({8}), var = ones({8});
    const Tensor z = batch_norm(wide.to(dtype), mean, var, w, b, true);
    CHECK(z.dtype() == dtype);
    CHECK(mean[0].item() != 0);
  }
}

namespace {

using NormOfThree = Tensor (*)(const Tensor& x, const Tensor& weight, const Tensor& bias);
struct LargeCase {
  const char* name;
  NormOfThree norm;
  Shape shape, per;  // of x, and of the weight and the bias
  bool channels_last = false;
};

const LargeCase kLargeCases[] = {
    {"layer",
     [](const Tensor& x, const Tensor& w, const Tensor& b) { return layer_norm(x, {4096}, w, b); },
     {3, 4096},
     {4096}},
    {"layer, long",
     [](const Tensor& x, const Tensor& w, const Tensor& b) { return layer_norm(x, {200000}, w, b); },
     {1, 200000},
     {200000}},
    {"group",
     [](const Tensor& x, const Tensor& w, const Tensor& b) { return group_norm(x, 2, w, b); },
     {2, 4, 32, 32},
     {4}},
    {"instance",
     [](const Tensor& x, const Tensor& w, const Tensor& b) { return instance_norm(x, {}, {}, w, b); },
     {2, 3, 64, 64},
     {3}},
    {"batch, spans",
     [](const Tensor& x, const Tensor& w, const Tensor& b) { return batch_norm(x, {}, {}, w, b, true); },
     {2, 3, 64, 64},
     {3}},
    {"batch, short spans",
     [](const Tensor& x, const Tensor& w, const Tensor& b) { return batch_norm(x, {}, {}, w, b, true); },
     {700, 3, 7},
     {3}},
    {"batch, rows",
     [](const Tensor& x, const Tensor& w, const Tensor& b) { return batch_norm(x, {}, {}, w, b, true); },
     {4096, 3},
     {3}},
    {"batch, channels last",
     [](const Tensor& x, const Tensor& w, const Tensor& b) { return batch_norm(x, {}, {}, w, b, true); },
     {2, 70, 32, 32},
     {70},
     true},
    {"batch, limited",
     [](const Tensor& x, const Tensor& w, const Tensor& b) {
       return batch_norm(x, {}, {}, w, b, true, 0.1, 1e-5, {.low = -0.7, .high = 0.9});
     },
     {2, 3, 64, 64},
     {3}},
    {"batch, by what was seen before",
     [](const Tensor& x, const Tensor& w, const Tensor& b) {
       return batch_norm(x, full(w.shape(), 1e6 + 1.0 / 32, float64), full(w.shape(), 1.0 / 1024, float64), w, b,
                         false);
     },
     {2, 3, 64, 64},
     {3}},
};

}  // namespace

TEST_CASE("the normalisations of large numbers, whose mean float32 does not hold") {
  manual_seed(7);
  // 0, 1/4, .., 6/4 or 0 and 1/16 in some order above a million, where float32 holds sixteenths
  for (int64_t values : {7, 2})
    for (const LargeCase& test : kLargeCases) {
      INFO(test.name << ", " << values << " values");
      const int64_t n = test.shape.product();
      Tensor x = remainder(remainder(arange(n) * 7919, full({}, 65537, int64)), full({}, values, int64)).to(float64);
      x = (x / (values == 7 ? 4 : 16) + 1e6).view(test.shape);
      if (test.channels_last) x = x.contiguous(MemoryFormat::channels_last);
      const Tensor w = rand(test.per, float64) + 0.5, b = rand(test.per, float64) - 0.5,
                   dy = randn(test.shape, float64);
      const auto evaluate = [&](Dtype dtype) {
        Tensors all, inputs;
        for (const Tensor& t : {x, w, b}) inputs.push_back(t.to(dtype).detach().requires_grad_());
        all.push_back(test.norm(inputs[0], inputs[1], inputs[2]));
        for (bool create_graph : {false, true})
          for (const Tensor& g : grad(
                   {all[0]}, inputs, {.gradients = {dy.to(dtype)}, .retain_graph = true, .create_graph = create_graph}))
            all.push_back(g);
        return all;
      };
      const Tensors got = evaluate(float32), expected = evaluate(float64);
      for (size_t i = 0; i < got.size(); ++i) {
        INFO("result " << i);
        const double size = std::max(1.0, amax(abs(expected[i].detach())).item());
        CHECK(amax(abs(got[i].detach().to(float64) - expected[i].detach())).item() < 2e-4 * size);
      }
    }
}

TEST_CASE("running means and variances of large numbers") {
  const Tensor x = (remainder(arange(0, 8192, 1, float32), full({}, 2)) / 16 + 1e6).view({4096, 2}).transpose(0, 1);
  for (const Tensor& in :
       {x.contiguous().view({4096, 2}), x.contiguous().view({1, 2, 4096}), x.contiguous().view({2, 2, 2048})}) {
    const Tensor mean = zeros({2}, float64), var = zeros({2}, float64);
    const double spread = cotangent::var(in.to(float64), in.rank() == 2 ? DimList{0} : DimList{0, 2})[0].item();
    batch_norm(in, mean, var, {}, {}, true, 1);
    CHECK(
        mean[0].item() ==
        Approx(cotangent::mean(in.to(float64), in.rank() == 2 ? DimList{0} : DimList{0, 2})[0].item()).epsilon(1e-12));
    CHECK(var[0].item() == Approx(spread).epsilon(1e-5).margin(1e-12));
  }
}

TEST_CASE("the normalisations of 70000 numbers in low precision") {
  for (Dtype dtype : {float16, bfloat16}) {
    INFO(name(dtype));
    const Tensor x = (remainder(arange(0, 70000, 1, float32), full({}, 2)) * 600).to(dtype).view({1, 70000}),
                 sign = (remainder(arange(0, 70000, 1, float32), full({}, 2)) * 2 - 1).view({1, 70000});
    const auto check = [&](const Tensor& y, const Tensor& expected) {
      CHECK(allclose(reshape(y.to(float32), {1, 70000}), expected, 4e-3, 0));
    };
    check(layer_norm(x, {70000}), sign);
    check(rms_norm(x, {70000}), (sign + 1) * std::sqrt(0.5));
    check(group_norm(x.view({1, 1, 70000}), 1), sign);
    check(instance_norm(x.view({1, 1, 70000})), sign);
    check(batch_norm(x.view({70000, 1}), {}, {}, {}, {}, true), sign);
    check(batch_norm(x.view({1, 1, 70000}), {}, {}, {}, {}, true), sign);
  }
}
