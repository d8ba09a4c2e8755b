// Activations as modules and by the enum. Their values are tested in tests/autograd/ops/activation_test.cpp and by the
// op table, their gradients as layers in gradients_test.cpp.
#include <cotangent/nn/activation.hpp>

#include <catch2/catch.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
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
