#include <catch2/catch.hpp>

#include <cmath>

#include <cotangent/autograd/observer_internal.hpp>
#include <cotangent/cotangent.hpp>

using namespace cotangent;

namespace {
struct Root : nn::Module {
  nn::Linear fc{2, 2};
  COTANGENT_MODULE(fc)
  Tensor forward(const Tensor& x) { return sqrt(relu(fc(x))); }
};
struct RootNet : nn::Module {
  std::vector<Root> layers = nn::repeat(2, [] { return Root(); });
  COTANGENT_MODULE(layers)
  Tensor forward(const Tensor& x) { return layers[1](layers[0](x)); }
};
}  // namespace

TEST_CASE("DetectAnomaly says where the first value that is not finite arises: op, element, shapes, module") {
  RootNet net;
  Tensor x = ones({3, 2});
  {
    NoGrad guard;
    for (Root& layer : net.layers) layer.fc.weight.fill_(0), layer.fc.bias.fill_(0);
  }
  DetectAnomaly guard;
  // the root of 0 has no slope: relu keeps the values at 0
  CHECK_THROWS_WITH(sum(net(x)).backward(),
                    Catch::Contains("[sqrt] its rule gives a gradient for input 0, of shape (3, 2), whose element 0 is "
                                    "not finite (in layers.1"));
  {
    NoGrad no_grad;
    net.layers[0].fc.bias.fill_(NAN);
  }
  CHECK_THROWS_WITH(net(x), Catch::Contains("[linear] element 0 of the result, of shape (3, 2), is not finite") &&
                                Catch::Contains("of shapes (3, 2) and (2, 2) and (2,)") &&
                                Catch::EndsWith("(in layers.0.fc)"));
}

TEST_CASE("DetectAnomaly tells what came from outside from what a rule made") {
  Tensor x = ones({2});
  x.requires_grad_();
  DetectAnomaly guard;
  const Tensor bad = tensor({1., NAN}, float32);
  CHECK_THROWS_WITH((x * 2).backward(bad), Catch::Contains("[backward] element 1 of the gradient that arrives") &&
                                               Catch::Contains("mul, of shape (2,)") && Catch::Contains("by a hook"));
  const Tensor y = x * 3;
  y.register_hook([](const Tensor& g) { return g * INFINITY; });
  CHECK_THROWS_WITH(sum(y).backward(), Catch::Contains("[backward] element 0") && Catch::Contains("output 0 of mul"));
  // two finite gradients whose sum is too large
  const Tensor z = x * 1e-3;
  CHECK_THROWS_WITH(sum(z * 3e38 + z * 3e38).backward(), Catch::Contains("a sum too large for float32"));
}

TEST_CASE("DetectAnomaly names the line, where somebody can tell it") {
  Tensor x = ones({2});
  x.requires_grad_();
  CHECK(detail::g_surroundings.line == nullptr);
  detail::g_surroundings.line = []() -> std::string { return "program.cpp:31"; };
  {
    DetectAnomaly guard;
    CHECK_THROWS_WITH(log(x - 2), Catch::EndsWith("(at program.cpp:31)"));
    CHECK_THROWS_WITH(sum(sqrt(x - 1)).backward(), Catch::EndsWith("(at program.cpp:31)"));
    CHECK(Graph(x * 2).nodes().back().line == "program.cpp:31");
    CHECK_THAT(to_string(Graph(x * 2)), Catch::Contains("at program.cpp:31"));
  }
  detail::g_surroundings.line = nullptr;
}
