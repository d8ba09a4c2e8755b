#include <cotangent/nn/container.hpp>

#include <catch2/catch.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/nn/activation.hpp>
#include <cotangent/nn/dropout.hpp>
#include <cotangent/tensor/create.hpp>

using namespace cotangent;

namespace {
struct Add : nn::Module {
  explicit Add(double value) : bias(full({2}, value)) {}
  nn::Parameter bias;
  COTANGENT_MODULE(bias)
  Tensor forward(const Tensor& x) { return x + bias; }
};
}  // namespace

TEST_CASE("Sequential calls its modules in order") {
  nn::Sequential net(
      Add(-3), nn::ReLU(), [](const Tensor& x) { return x * 10; }, nn::Sequential(Add(1)));
  CHECK(net.size() == 4);
  CHECK(net(tensor({1.0, 5.0})).to_vector<float>() == std::vector<float>{1, 21});
  CHECK(net.state_dict().contains("0.bias"));
  CHECK(net.state_dict().contains("3.0.bias"));
  CHECK(net.parameters().size() == 2);
  CHECK(net.at<Add>(0).bias.to_vector<float>()[0] == -3);
  CHECK(net[1].type_name() == "ReLU");
  CHECK_THROWS_WITH(net.at<nn::ReLU>(0), "[Sequential] module 0 is a Add");
  CHECK_THROWS_AS(net[4], IndexError);
  net.append(nn::Tanh());
  CHECK(net.size() == 5);
  CHECK(nn::Sequential()(ones({2})).to_vector<float>() == std::vector<float>{1, 1});
}

TEST_CASE("Sequential copies and clones as other modules do") {
  nn::Sequential net(Add(1), nn::Dropout(0.5));
  nn::Sequential copy = net;
  copy.at<Add>(0).bias.detach().fill_(2);
  CHECK(net.at<Add>(0).bias.to_vector<float>()[0] == 2);
  nn::Sequential clone = net.clone();
  clone.at<Add>(0).bias.detach().fill_(3);
  CHECK(net.at<Add>(0).bias.to_vector<float>()[0] == 2);
  net.eval();
  CHECK_FALSE(net[1].is_training());
  CHECK(clone[1].is_training());
  copy = std::move(clone);
  CHECK(copy.at<Add>(0).bias.to_vector<float>()[0] == 3);
}

TEST_CASE("Residual adds its input") {
  nn::Residual block(nn::Sequential(Add(1), nn::ReLU()));
  CHECK(block(tensor({-5.0, 2.0})).to_vector<float>() == std::vector<float>{-5, 5});
  CHECK(block.state_dict().contains("body.0.bias"));
  nn::Residual wrong(nn::Function([](const Tensor& x) { return sum(x); }));
  CHECK_THROWS_WITH(wrong(ones({2})), "[Residual] the body turns shape (2,) into (); it must keep the shape");
}

TEST_CASE("repeat makes modules that share nothing") {
  std::vector<Add> layers = nn::repeat(2, [] { return Add(1); });
  CHECK_FALSE(layers[0].bias.shares_storage(layers[1].bias));
}

TEST_CASE("activations are modules") {
  const Tensor x = tensor({-2.0, 0.5, 7.0}, float64);
  const auto same = [&](nn::Module& m, const Tensor& y, const Tensor& expected) {
    INFO(m.type_name());
    CHECK(y.to_vector<double>() == expected.to_vector<double>());
    CHECK(m.parameters().empty());
  };
#define CHECK_ACTIVATION(module, expected) \
  {                                        \
    auto m = module;                       \
    same(m, m(x), expected);               \
  }
  CHECK_ACTIVATION(nn::ReLU(), relu(x));
  CHECK_ACTIVATION(nn::ReLU6(), relu6(x));
  CHECK_ACTIVATION(nn::LeakyReLU(0.2), leaky_relu(x, 0.2));
  CHECK_ACTIVATION(nn::GELU(), gelu(x));
  CHECK_ACTIVATION(nn::GELU(Gelu::tanh), gelu(x, Gelu::tanh));
  CHECK_ACTIVATION(nn::SiLU(), silu(x));
  CHECK_ACTIVATION(nn::Softplus(2, 10), softplus(x, 2, 10));
  CHECK_ACTIVATION(nn::LogSigmoid(), log_sigmoid(x));
  CHECK_ACTIVATION(nn::Sigmoid(), sigmoid(x));
  CHECK_ACTIVATION(nn::Tanh(), tanh(x));
  CHECK(to_string(nn::Sequential(nn::LeakyReLU(), nn::GELU(Gelu::tanh), nn::Softplus(2))) ==
        "Sequential\n  0: LeakyReLU(0.01)\n  1: GELU(tanh)\n  2: Softplus(2, 20)\n");
}

namespace {
struct Map : nn::Module {
  virtual Tensor forward(const Tensor& x) = 0;
  Tensor operator()(const Tensor& x) {
    try {
      return forward(x);
    } catch (Error& error) {
      nn::detail::leave(*this, error);
      throw;
    }
  }
};
struct Plus : Map {
  explicit Plus(double value) : bias(full({2}, value)) {}
  nn::Parameter bias;
  COTANGENT_MEMBERS(bias)
  Tensor forward(const Tensor& x) override { return x + bias; }
};
struct Holds : nn::Module {
  nn::Any<Map> inner, none;
  COTANGENT_MODULE(inner, none)
  Tensor forward(const Tensor& x) { return inner(x); }
};
}  // namespace

TEST_CASE("Any holds a module by value") {
  Holds model;
  CHECK_FALSE(model.inner);
  CHECK(model.parameters().empty());
  CHECK_THROWS_WITH(model(ones({2})), Catch::Contains("[Any] it holds no module; assign one before it is used"));
  CHECK_THROWS_AS(*model.inner, ValueError);
  CHECK_THROWS_AS(model.inner->train(), ValueError);
  model.inner = Plus(1);
  CHECK(model.inner);
  CHECK(model.state_dict().contains("inner.bias"));
  CHECK(model(ones({2})).to_vector<float>() == std::vector<float>{2, 2});

  Holds copy = model, clone = model.clone();
  CHECK(&*copy.inner != &*model.inner);
  CHECK(copy.inner->parameters()[0].impl() == model.inner->parameters()[0].impl());
  clone.inner->parameters()[0].detach().fill_(5);
  CHECK(model(ones({2})).to_vector<float>()[0] == 2);
  CHECK(clone(ones({2})).to_vector<float>()[0] == 6);
  model.eval();
  CHECK_FALSE(model.inner->is_training());
  CHECK(copy.inner->is_training());
  copy.inner = std::move(clone.inner);
  CHECK(copy(ones({2})).to_vector<float>()[0] == 6);
  CHECK_THROWS_WITH(model(ones({3})), Catch::Contains("(in inner)"));
}
