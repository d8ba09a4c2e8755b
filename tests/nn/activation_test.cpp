// Activations as modules and by the enum. Their values are tested in tests/autograd/ops/activation_test.cpp and by the
// op table, their gradients as layers in gradients_test.cpp.
#include <cotangent/nn/activation.hpp>

#include <catch2/catch.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/nn/maxout.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/random.hpp>

using namespace cotangent;

TEST_CASE("each activation is found by its name") {
  int gated = 0;
  for (nn::Activation f : nn::all_activations()) {
    INFO(nn::name(f));
    CHECK(nn::activation_named(nn::name(f)) == f);
    const Tensor x = randn({3, 4});
    CHECK(nn::activate(f, x).shape() == (nn::is_gated(f) ? Shape{3, 2} : Shape{3, 4}));
    if (nn::is_gated(f)) CHECK_THROWS_WITH(nn::activate(f, randn({2, 3})), Catch::Contains("odd size 3"));
    gated += nn::is_gated(f);
  }
  CHECK(gated == 5);
  CHECK(nn::name(nn::Activation::gelu_tanh) == std::string("gelu_tanh"));
  const Tensor x = randn({3, 4});
  CHECK(equal(nn::activate(nn::Activation::gelu_tanh, x), gelu(x, Gelu::tanh)));
  CHECK(equal(nn::activate(nn::Activation::swiglu, x), swiglu(x)));
  CHECK(nn::activate(nn::Activation::identity, x).impl() == x.impl());
  CHECK_THROWS_WITH(nn::activation_named("swish"),
                    Catch::Contains("no activation \"swish\"; there are identity, relu"));
}

TEST_CASE("Softmax2d is over the channels, as PyTorch's") {
  const Tensor x = arange(8).to(float64).reshape({2, 2, 2});
  const Tensor y = nn::Softmax2d()(x);  // each place has n and n + 4
  CHECK(y[0].flatten()[3].item() == Approx(0.017986209962091559).epsilon(1e-14));
  CHECK(y[1].flatten()[0].item() == Approx(0.982013790037908442).epsilon(1e-14));
  CHECK(equal(nn::Softmax2d()(x.reshape({1, 2, 2, 2}))[0], y));
  CHECK_THROWS_WITH(nn::Softmax2d()(ones({2, 3})), Catch::Contains("must be (N, C, H, W) or (C, H, W)"));
}

TEST_CASE("the activation modules call their functions") {
  const Tensor x = randn({4, 6});
  CHECK(equal(nn::Threshold(0.1, 5)(x), threshold(x, 0.1, 5)));
  CHECK(equal(nn::Heaviside()(x), heaviside(x)));
  CHECK(equal(nn::ReLUSquared()(x), relu_squared(x)));
  CHECK(equal(nn::ELU(2)(x), elu(x, 2)));
  CHECK(equal(nn::CELU(2)(x), celu(x, 2)));
  CHECK(equal(nn::SELU()(x), selu(x)));
  CHECK(equal(nn::GELU(Gelu::sigmoid)(x), gelu(x, Gelu::sigmoid)));
  CHECK(equal(nn::Mish()(x), mish(x)));
  CHECK(equal(nn::Squareplus(1)(x), squareplus(x, 1)));
  CHECK(equal(nn::Softsign()(x), softsign(x)));
  CHECK(equal(nn::Hardsigmoid()(x), hardsigmoid(x)));
  CHECK(equal(nn::Hardswish()(x), hardswish(x)));
  CHECK(equal(nn::Hardtanh(-0.5, 2)(x), hardtanh(x, -0.5, 2)));
  CHECK(equal(nn::Softshrink(0.2)(x), softshrink(x, 0.2)));
  CHECK(equal(nn::Hardshrink(0.2)(x), hardshrink(x, 0.2)));
  CHECK(equal(nn::Tanhshrink()(x), tanhshrink(x)));
  CHECK(equal(nn::Softmin(0)(x), softmin(x, 0)));
}

TEST_CASE("modules print what differs from the defaults") {
  CHECK(nn::Threshold(0.5, 20).settings() == "0.5, 20");
  CHECK(nn::ELU().settings().empty());
  CHECK(nn::CELU(0.5).settings() == "0.5");
  CHECK(nn::Heaviside(0.5).settings() == "0.5");
  CHECK(nn::RReLU().settings().empty());
  CHECK(nn::RReLU(0.1, 0.2).settings() == "0.1, 0.2");
  CHECK(nn::PReLU(4).settings() == "4");
  CHECK(nn::GELU(Gelu::sigmoid).settings() == "sigmoid");
  CHECK(nn::Swish().settings().empty());
  CHECK(nn::Swish({.beta = 2, .learned = false}).settings() == "beta = 2");
  CHECK(nn::Hardtanh().settings().empty());
  CHECK(nn::Hardtanh(-2, 2).settings() == "-2, 2");
  CHECK(nn::Squareplus().settings().empty());
  CHECK(nn::Squareplus(0.25).settings() == "0.25");
  CHECK(nn::Softshrink(0.1).settings() == "0.1");
  CHECK(nn::Hardshrink().settings().empty());
  CHECK(nn::Softmin(1).settings() == "1");
}

TEST_CASE("PReLU has one slope or one a channel") {
  nn::PReLU one;
  REQUIRE(one.state_dict().size() == 1);
  CHECK(one.named_parameters()[0].name == "weight");
  CHECK(one.weight.to_vector<float>() == std::vector<float>{0.25});
  CHECK(one(tensor({-4.0, 2.0})).to_vector<float>() == std::vector<float>{-1, 2});

  nn::PReLU channels(2, {.init = 0.5, .dtype = float64});
  CHECK(channels.weight.dtype() == float64);
  channels.load_state_dict({{"weight", tensor({0.5, 2.0})}});
  const Tensor x = full({1, 2, 2}, -1, float64), y = channels(x);
  CHECK(y.to_vector<double>() == std::vector<double>{-0.5, -0.5, -2, -2});
  sum(y).backward();
  CHECK(channels.weight.grad().to_vector<double>() == std::vector<double>{-2, -2});
  CHECK_THROWS_WITH(channels(ones({2, 3}, float64)), Catch::Contains("one for each of the 3 channels"));
  CHECK_THROWS_AS(nn::PReLU(0), ValueError);
}

TEST_CASE("RReLU draws in training only") {
  manual_seed(4);
  nn::RReLU layer;
  const Tensor x = full({1000}, -1);
  const Tensor y = layer(x);
  CHECK(min(y).item() >= -1.0 / 3);
  CHECK(max(y).item() <= -1.0 / 8);
  CHECK_FALSE(equal(layer(x), y));
  layer.eval();
  CHECK(allclose(layer(x), full({1000}, -11.0 / 48)));
}

TEST_CASE("Swish learns its beta, or not") {
  nn::Swish learned({.beta = 1.5});
  REQUIRE(learned.state_dict().size() == 1);
  CHECK(learned.named_parameters()[0].name == "beta");
  const Tensor x = randn({5});
  CHECK(allclose(learned(x), swish(x, 1.5)));
  sum(learned(x)).backward();
  CHECK(learned.beta.grad().shape() == Shape{});
  nn::Swish fixed({.beta = 2, .learned = false});
  CHECK(fixed.state_dict().empty());
  CHECK(equal(fixed(x), swish(x, 2.0)));
  CHECK(allclose(nn::Swish()(x), silu(x)));
}

TEST_CASE("Maxout takes the largest of linear functions") {
  nn::Maxout layer(3, 2, 4);
  REQUIRE(layer.state_dict().size() == 2);
  CHECK(layer.named_parameters()[0].name == "linear.weight");
  CHECK(layer.linear.weight.shape() == Shape{8, 3});
  const Tensor x = randn({5, 3}), y = layer(x);
  REQUIRE(y.shape() == Shape{5, 2});
  CHECK(equal(y.select(1, 1), amax(layer.linear(x).slice(1, 4, 8), 1)));
  // with the weights 1 and -1 it is the absolute value
  nn::Maxout absolute(1, 1, 2, {.bias = false});
  absolute.load_state_dict({{"linear.weight", tensor({{1.0}, {-1.0}})}});
  CHECK(absolute(tensor({{-3.0}, {2.0}})).to_vector<float>() == std::vector<float>{3, 2});
  CHECK(layer.settings() == "pieces = 4");
  CHECK_THROWS_WITH(nn::Maxout(3, 2, 0), Catch::Contains("[Maxout] 0 pieces"));
}

// Klambauer et al.: with normal weights of variance 1/n, signals keep their mean and variance through many layers.
TEST_CASE("a deep network of SELU normalizes itself") {
  manual_seed(6);
  Tensor x = randn({256, 256}) * 1.5 + 0.2;
  for (int layer = 0; layer < 24; ++layer) x = selu(matmul(x, randn({256, 256}) / 16));
  CHECK(mean(x).item() == Approx(0).margin(0.1));
  CHECK(mean(square(x)).item() == Approx(1).margin(0.15));
}

TEST_CASE("the gated modules halve a dimension") {
  const Tensor x = randn({4, 6});
  CHECK(equal(nn::GLU()(x), glu(x)));
  CHECK(equal(nn::GLU(0)(x), glu(x, 0)));
  CHECK(equal(nn::BilinearGLU(0)(x), bilinear_glu(x, 0)));
  CHECK(equal(nn::ReGLU()(x), reglu(x)));
  CHECK(equal(nn::GEGLU(-1, Gelu::tanh)(x), geglu(x, -1, Gelu::tanh)));
  CHECK(equal(nn::SwiGLU(0)(x), swiglu(x, 0)));
  CHECK_THROWS_WITH(nn::SwiGLU()(randn({4, 5})), Catch::Contains("[swiglu]") && Catch::Contains("odd size 5"));
  CHECK(nn::GLU().settings().empty());
  CHECK(nn::SwiGLU(0).settings() == "0");
  CHECK(nn::GEGLU(1, Gelu::tanh).settings() == "1, tanh");
}
