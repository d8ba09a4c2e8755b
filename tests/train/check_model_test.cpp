// check_model on planted training errors, each of which it must name, and on healthy models, of which it must say
// nothing.
#include <cotangent/train/check_model.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <stdexcept>

#include <cotangent/autograd/engine.hpp>
#include <cotangent/autograd/modes.hpp>
#include <cotangent/autograd/ops/activation.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/loss.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/softmax.hpp>
#include <cotangent/autograd/record.hpp>
#include <cotangent/nn/activation.hpp>
#include <cotangent/nn/attention/multihead.hpp>
#include <cotangent/nn/attention/transformer.hpp>
#include <cotangent/nn/container.hpp>
#include <cotangent/nn/conv.hpp>
#include <cotangent/nn/dropout.hpp>
#include <cotangent/nn/embedding.hpp>
#include <cotangent/nn/linear.hpp>
#include <cotangent/nn/norm.hpp>
#include <cotangent/nn/pool.hpp>
#include <cotangent/nn/shape.hpp>
#include <cotangent/optim/adam.hpp>
#include <cotangent/optim/lbfgs.hpp>
#include <cotangent/optim/sgd.hpp>
#include <cotangent/tensor/random.hpp>

#include <catch2/catch.hpp>

#include "../json.hpp"
#include "../values.hpp"

using namespace cotangent;
using data::Batch;
using nn::Linear, nn::ReLU, nn::Sequential;

namespace {

const auto entropy = [](const Tensor& logits, const Tensor& labels) { return cross_entropy(logits, labels); };
const auto squares = [](const Tensor& y, const Tensor& target) { return mse_loss(y, target); };

Sequential mlp() { return Sequential(Linear(8, 32), ReLU(), Linear(32, 32), ReLU(), Linear(32, 3)); }
Batch classes(int64_t count = 32) { return {randn({count, 8}), randint(0, 3, {count})}; }

/// Takes tokens (N, T), and gives logits (N, T, C).
struct Block : nn::Module {
  nn::Embedding embedding{11, 16};
  nn::TransformerEncoderLayer layer{nn::MultiHeadAttention(16, 2, {.causal = true}),
                                    {.inner = 32, .activation = nn::Activation::gelu, .norm_first = true}};
  Linear head{16, 11};
  COTANGENT_MODULE(embedding, layer, head)
  Tensor forward(const Tensor& tokens) { return head(layer(embedding(tokens))); }
};
const auto next_token = [](const Tensor& logits, const Tensor& y) {
  return cross_entropy(logits.flatten(0, 1), y.flatten());
};

Sequential cnn() {
  return Sequential(nn::Conv2d(1, 8, 3, {.padding = 1}), nn::BatchNorm2d(8), ReLU(), nn::MaxPool2d(2),
                    nn::Conv2d(8, 8, 3), nn::BatchNorm2d(8), ReLU(), nn::Flatten(), nn::Dropout(0.3),
                    Linear(8 * 2 * 2, 3));
}
Batch images() { return {randn({16, 1, 8, 8}), randint(0, 3, {16})}; }

struct Unused : nn::Module {
  Linear used{8, 3}, unused{8, 3};
  COTANGENT_MODULE(used, unused)
  Tensor forward(const Tensor& x) { return used(x); }
};
struct Cut : nn::Module {
  Linear first{8, 8}, second{8, 3};
  COTANGENT_MODULE(first, second)
  Tensor forward(const Tensor& x) { return second(relu(first(x)).detach()); }
};
struct Deaf : nn::Module {
  Linear first{8, 8}, second{8, 3};
  COTANGENT_MODULE(first, second)
  Tensor forward(const Tensor& x) { return second(tanh(first(zeros_like(x)))); }
};

Tensor wrong_sign(const Tensor& x) {
  return record("wrong_sign", {x}, x.detach().clone(), Keep::nothing(), NoAttributes{},
                [](const Backward& b, NoAttributes) -> Gradients { return {-b.grad()}; });
}

template <class M, class Loss = decltype(entropy)>
ModelReport checked(M& model, const Batch& batch, double lr = 1e-3, const Loss& loss = entropy) {
  optim::Adam optimizer(model.parameters(), {.lr = lr});
  return check_model(model, batch, loss, optimizer);
}

struct PlantedError {
  const char* what;
  const char* name;   // of the finding
  const char* where;  // a place among those that it must name; empty for any
  ModelReport (*check)();
};

const PlantedError planted[] = {
    {"a layer that forward() does not use", "no gradient", "unused.weight",
     [] {
       Unused model;
       return checked(model, classes());
     }},
    {"detach() between two layers", "no gradient", "first.bias",
     [] {
       Cut model;
       return checked(model, classes());
     }},
    {"the optimizer has the last layer alone", "not in the optimizer", "0.weight",
     [] {
       Sequential model = mlp();
       optim::Adam optimizer(model.at<Linear>(4).parameters());
       return check_model(model, classes(), entropy, optimizer);
     }},
    {"the optimizer was made before to()", "not in the model", "",
     [] {
       Sequential model = mlp();
       optim::Adam optimizer(model.parameters());
       model.to(float64);
       return check_model(model, {randn({32, 8}, float64), randint(0, 3, {32})}, entropy, optimizer);
     }},
    {"a view of a parameter is in the optimizer as well", "not in the model", "",
     [] {
       Sequential model = mlp();
       Tensors parameters = model.parameters();
       parameters.push_back(parameters[0].detach().requires_grad_());
       optim::Adam optimizer(parameters);
       return check_model(model, classes(), entropy, optimizer);
     }},
    {"a learning rate of 0", "learning rate", "group 0",
     [] {
       Sequential model = mlp();
       return checked(model, classes(), 0);
     }},
    {"a learning rate far too large", "learning rate", "group 0",
     [] {
       Sequential model = mlp();
       return checked(model, classes(), 10);
     }},
    {"a sign in a rule of one's own", "loss rises", "",
     [] {
       Sequential model(Linear(8, 3));
       optim::SGD optimizer(model.parameters(), {.lr = 1});
       return check_model(
           model, {randn({16, 8}), randn({16, 3})},
           [](const Tensor& x, const Tensor& y) { return mse_loss(wrong_sign(x), y); }, optimizer);
     }},
    {"biases that kill all units of a layer", "dead units", "1",
     [] {
       Sequential model = mlp();
       model.at<Linear>(0).bias.detach().fill_(-100);
       return checked(model, classes());
     }},
    {"a bias that kills one unit", "dead units", "3",
     [] {
       Sequential model = mlp();
       model.at<Linear>(2).bias.detach()[5].fill_(-50);
       return checked(model, classes());
     }},
    {"forward() ignores its argument", "independent of x", "batch.x",
     [] {
       Deaf model;
       return checked(model, classes());
     }},
    {"labels that require a gradient", "leaking gradient", "batch.y",
     [] {
       Sequential model(Linear(8, 16), nn::Tanh(), Linear(16, 3));
       return checked(model, {randn({16, 8}), randn({16, 3}).requires_grad_()}, 1e-3, squares);
     }},
    {"a target network that is not detached", "leaking gradient", "a tensor of shape (3, 8)",
     [] {
       Sequential model(Linear(8, 16), nn::Tanh(), Linear(16, 3));
       Linear target(8, 3);
       target.trained_elsewhere();
       optim::Adam optimizer(model.parameters());
       const Batch batch{randn({16, 8}), {}};
       return check_model(
           model, batch, [&](Sequential& m, const Batch& b) { return mse_loss(m(b.x), target(b.x)); }, optimizer);
     }},
    {"a last layer that is far too large", "saturated", "the loss",
     [] {
       Sequential model = mlp();
       model.at<Linear>(4).weight.detach().mul_(5000);
       return checked(model, classes());
     }},
    {"a softmax within that is saturated", "saturated", "1",
     [] {
       Sequential model(Linear(8, 16), nn::Softmax(-1), Linear(16, 3));
       model.at<Linear>(0).weight.detach().mul_(1e5);
       return checked(model, classes());
     }},
    {"a layer frozen by mistake", "frozen", "0.weight",
     [] {
       Sequential model = mlp();
       model[0].requires_grad_(false);
       return checked(model, classes());
     }},
    {"eval() after an evaluation, without train()", "evaluation mode", "the model",
     [] {
       Sequential model = cnn();
       model.eval();
       return checked(model, images());
     }},
    {"one batch norm that stays in evaluation", "evaluation mode", "1",
     [] {
       Sequential model = cnn();
       model[1].eval();
       return checked(model, images());
     }},
    {"NaN in a parameter", "not finite", "2.weight",
     [] {
       Sequential model = mlp();
       model.at<Linear>(2).weight.detach()[0][0].fill_(NAN);
       return checked(model, classes());
     }},
    {"infinity in the batch", "not finite", "batch.x",
     [] {
       Sequential model = mlp();
       Batch batch = classes();
       batch.x[3][2].fill_(INFINITY);
       return checked(model, batch);
     }},
    {"a loss that is infinite", "not finite", "the loss",
     [] {
       Sequential model = mlp();
       return checked(model, classes(), 1e-3, [](const Tensor& x, const Tensor&) { return -log(relu(x) * 0).mean(); });
     }},
    {"gradients that are NaN while the loss is not", "not finite", "0.weight",
     [] {
       Sequential model = mlp();
       return checked(model, classes(), 1e-3, [](const Tensor& x, const Tensor&) {
         return sqrt(square(x - x.detach())).mean() + square(x).mean();
       });
     }},
    {"all examples are the same", "equal inputs", "batch.x",
     [] {
       Sequential model = mlp();
       return checked(model, {randn({1, 8}).expand({32, 8}).clone(), randint(0, 3, {32})});
     }},
    {"labels counted from 1", "labels", "batch.y",
     [] {
       Sequential model = mlp();
       Batch batch = classes();
       batch.y.add_(1);
       return checked(model, batch);
     }},
    {"data sorted by class", "one class", "batch.y",
     [] {
       Sequential model = mlp();
       return checked(model, {randn({32, 8}), full({32}, 2, int64)});
     }},
    {"weights that start at one number", "equal units", "2.weight",
     [] {
       Sequential model = mlp();
       model.at<Linear>(2).weight.detach().fill_(0.1);
       return checked(model, classes());
     }},
    {"twenty layers of sigmoids", "vanishing gradient", "0.weight",
     [] {
       Sequential model;
       for (int i = 0; i < 20; ++i) model.append(Linear(8, 8)).append(nn::Sigmoid());
       model.append(Linear(8, 3));
       return checked(model, classes());
     }},
    {"weights of deviation 1 in ten layers", "exploding gradient", "",
     [] {
       Sequential model;
       for (int i = 0; i < 10; ++i) {
         Linear layer(64, 64);
         normal_(layer.weight);
         model.append(layer).append(ReLU());
       }
       model.append(Linear(64, 3));
       return checked(model, {randn({32, 64}), randn({32, 3})}, 1e-3, squares);
     }},
    {"a softmax before cross_entropy", "softmax twice", "the loss",
     [] {
       Sequential model = mlp();
       model.append(nn::Softmax(-1));
       return checked(model, classes());
     }},
    {"a softmax before nll_loss", "log missing", "the loss",
     [] {
       Sequential model = mlp();
       model.append(nn::Softmax(-1));
       return checked(model, classes(), 1e-3, [](const Tensor& x, const Tensor& y) { return nll_loss(x, y); });
     }},
    {"a loss for each example", "not reduced", "the loss",
     [] {
       Sequential model = mlp();
       return checked(model, classes(), 1e-3, [](const Tensor& x, const Tensor& y) {
         return cross_entropy(x, y, {.reduction = Reduction::none});
       });
     }},
    {"a loss without history", "no graph", "the loss",
     [] {
       Sequential model = mlp();
       return checked(model, classes(), 1e-3,
                      [](const Tensor& x, const Tensor& y) { return (argmax(x, 1) == y).to(float32).mean(); });
     }},
    {"zero_grad() is missing", "old gradients", "4.bias",
     [] {
       Sequential model = mlp();
       const Batch batch = classes();
       entropy(model(batch.x), batch.y).backward();
       return checked(model, batch);
     }},
    {"bytes as they are read", "not normalized", "batch.x",
     [] {
       Sequential model = mlp();
       Batch batch = classes();
       batch.x = randint(0, 256, {32, 8}).to(float32);
       return checked(model, batch);
     }},
    {"steps below the rounding of bfloat16", "unchanged", "0.weight",
     [] {
       Sequential model = mlp();
       model.to(bfloat16);
       Batch batch = classes();
       batch.x = batch.x.to(bfloat16);
       optim::SGD optimizer(model.parameters(), {.lr = 1e-7});
       return check_model(model, batch, entropy, optimizer);
     }},
    {"(N) against (N, 1)", "broadcast", "sub",
     [] {
       Sequential model(Linear(8, 16), nn::Tanh(), Linear(16, 1));
       return checked(model, {randn({16, 8}), randn({16})}, 1e-3,
                      [](const Tensor& x, const Tensor& y) { return square(x - y).mean(); });
     }},
    {"inputs of the wrong width", "throws", "the loss",
     [] {
       Sequential model = mlp();
       return checked(model, {randn({4, 7}), randint(0, 3, {4})});
     }},
    {"weights that are all 0", "zero gradient", "0.weight",
     [] {
       Sequential model = mlp();
       for (size_t i : {2, 4}) model.at<Linear>(i).weight.detach().zero_();
       return checked(model, classes());
     }},
};

}  // namespace

TEST_CASE("check_model names planted errors") {
  int named = 0, count = 0;
  for (const PlantedError& error : planted) {
    manual_seed(5);
    const ModelReport report = error.check();
    INFO(error.what << ": " << error.name << "\n" << report.to_string());
    ++count;
    bool found = false;
    for (const ModelFinding& f : report.findings)
      found = found || (f.name == error.name &&
                        (!*error.where || std::find(f.where.begin(), f.where.end(), error.where) != f.where.end()));
    CHECK(found);
    named += found;
    CHECK_FALSE(report.ok());
    for (const ModelFinding& f : report.findings) {
      CHECK_FALSE(f.seen.empty());
      CHECK_FALSE(f.advice.empty());
    }
  }
  std::printf("check_model: %d of %d planted errors are named\n", named, count);
}

TEST_CASE("check_model says nothing of healthy models") {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    manual_seed(seed);
    const auto check = [&](const char* what, const ModelReport& report) {
      INFO(what << ", seed " << seed << "\n" << report.to_string());
      CHECK(report.ok());
      CHECK(report.loss_after < report.loss);
      CHECK(report.gradient > 0);
    };
    Sequential net = mlp();
    check("an MLP", checked(net, classes()));
    optim::SGD sgd(net.parameters(), {.lr = 0.1, .momentum = 0.9});
    check("an MLP by SGD", check_model(net, classes(), entropy, sgd));
    Sequential regression(Linear(4, 16), nn::Tanh(), nn::Dropout(0.1), Linear(16, 1));
    check("a regression", checked(regression, {randn({16, 4}), randn({16, 1})}, 1e-3, squares));
    Sequential convolutions = cnn();
    check("convolutions", checked(convolutions, images()));
    optim::SGD slow(convolutions.parameters(), {.lr = 0.01});  // the bias before a batch norm has a gradient of 0
    check("convolutions by SGD", check_model(convolutions, images(), entropy, slow));
    Sequential on_images(nn::Flatten(), Linear(64, 64), ReLU(), Linear(64, 3));  // some units are 0 by chance
    check("an MLP of few images", checked(on_images, {rand({8, 1, 8, 8}), randint(0, 3, {8})}));
    Sequential deep;
    for (int i = 0; i < 8; ++i) deep.append(Linear(16, 16)).append(ReLU());
    deep.append(Linear(16, 3));
    check("a deep MLP", checked(deep, {randn({32, 16}), randint(0, 3, {32})}));
    Block block;
    check("a transformer", checked(block, {randint(0, 11, {4, 6}), randint(0, 11, {4, 6})}, 1e-3, next_token));
    Sequential autoencoder(Linear(8, 3), ReLU(), Linear(3, 8));
    const Tensor x = randn({32, 8});
    check("an autoencoder", checked(autoencoder, {x, x}, 1e-3, squares));
    optim::LBFGS lbfgs(regression.parameters(), {.max_iter = 4});
    regression.at<nn::Dropout>(2).p = 0;
    check("a regression by L-BFGS", check_model(regression, {randn({16, 4}), randn({16, 1})}, squares, lbfgs));
    Sequential fine_tuned = mlp();  // a frozen part that the optimizer knows nothing of
    fine_tuned[0].requires_grad_(false);
    Tensors trained;
    for (const Tensor& p : fine_tuned.parameters())
      if (p.requires_grad()) trained.push_back(p);
    optim::Adam some(trained);
    check("a fine-tuning", check_model(fine_tuned, classes(), entropy, some));
  }
}

TEST_CASE("check_model leaves everything as it was") {
  manual_seed(4);
  Sequential model = cnn();
  optim::AdamW optimizer(model.parameters(), {.lr = 1e-3});
  const Batch batch = images();
  const auto step = [&] {
    optimizer.zero_grad();
    const Tensor loss = entropy(model(batch.x), batch.y);
    loss.backward();
    optimizer.step();
    return loss.item();
  };
  const auto all = [&] {
    std::vector<Values> values;
    for (const auto& [name, t] : model.state_dict()) values.push_back(to_values(t));
    for (const auto& [name, t] : optimizer.state_dict()) values.push_back(to_values(t));
    for (const Tensor& p : model.parameters()) values.push_back(p.grad().defined() ? to_values(p.grad()) : Values());
    return values;
  };
  const bool warm = GENERATE(false, true);
  if (warm) step();
  const std::vector<Values> before = all();
  const Generator::State generator = default_generator().state();
  const auto handles = model.named_buffers();
  SECTION("after a healthy step") { check_model(model, batch, entropy, optimizer); }
  SECTION("after one that raises the loss, and is tried again") {
    optimizer.lr() = 50;
    CHECK(check_model(model, batch, entropy, optimizer).has("learning rate"));
    CHECK(optimizer.lr() == 50);
    optimizer.lr() = 1e-3;
  }
  SECTION("after an exception") {
    const auto throws = [](const Tensor&, const Tensor&) -> Tensor { throw std::runtime_error("no"); };
    CHECK_THROWS_AS(check_model(model, batch, throws, optimizer), std::runtime_error);
  }
  CHECK(all() == before);
  CHECK(default_generator().state() == generator);
  for (size_t i = 0; i < handles.size(); ++i) CHECK(model.named_buffers()[i].tensor.impl() == handles[i].tensor.impl());
  CHECK(model.is_training());
}

TEST_CASE("check_model takes a loss of the model and the batch, and reports as JSON") {
  manual_seed(2);
  Sequential model = mlp();
  const Batch batch = classes();
  optim::Adam optimizer(model.parameters(), {.lr = 0});
  const ModelReport report = check_model(
      model, batch, [](Sequential& m, const Batch& b) { return cross_entropy(m(b.x), b.y); }, optimizer);
  CHECK(report.loss == cross_entropy(model(batch.x), batch.y).item());
  for (const ModelReport& same :
       {check_model(
            model, batch, [](auto x, auto y) { return cross_entropy(x, y); }, optimizer),
        check_model(
            model, batch, [](auto&m, const auto&b) { return cross_entropy(m(b.x), b.y); }, optimizer)})
    CHECK(same.loss == report.loss);
  REQUIRE(report.findings.size() == 1);
  const Json json = Json::parse(report.to_json());
  CHECK_FALSE(json["ok"].get<bool>());
  CHECK(json["loss"].get<double>() == report.loss);
  CHECK(json["findings"][0]["name"] == "learning rate");
  CHECK(json["findings"][0]["where"][0] == "group 0");
  CHECK(report.to_string().find("learning rate: group 0\n    the learning rate of 1 groups is 0\n") !=
        std::string::npos);
  CHECK(Json::parse(check_model(model, {randn({4, 7}), batch.y}, entropy, optimizer).to_json())["loss"] == "NaN");
}
