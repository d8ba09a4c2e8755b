#include <cotangent/nn/module.hpp>

#include <array>
#include <cmath>
#include <memory>
#include <optional>

#include <catch2/catch.hpp>
#include <cotangent/autograd/modes.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/nn/container.hpp>
#include <cotangent/nn/dropout.hpp>
#include <cotangent/tensor/create.hpp>

using namespace cotangent;

namespace {

struct Scale : nn::Module {
  explicit Scale(int64_t n, double value = 1) : weight(full({n}, value)), calls(zeros({}, int64)) {}
  nn::Parameter weight, bias;  // the bias is left out
  nn::Buffer calls;
  COTANGENT_MODULE(weight, bias, calls)
  Tensor forward(const Tensor& x) {
    calls.add_(1);
    return x * weight;
  }
  std::string settings() const override { return std::to_string(weight.numel()); }
};

struct Block : nn::Module {
  explicit Block(int64_t n) : attention(n, 2), mlp(n, 3) {}
  Scale attention, mlp;
  COTANGENT_MODULE(attention, mlp)
  Tensor forward(const Tensor& x) { return mlp(attention(x)); }
};

struct Model : nn::Module {
  explicit Model(int64_t n) : blocks(nn::repeat(3, [=] { return Block(n); })), head(n, 5) {}
  std::vector<Block> blocks;
  std::optional<Scale> extra;
  std::unique_ptr<Scale> none;
  Scale head;
  nn::Dropout dropout{0.5};
  COTANGENT_MODULE(blocks, extra, none, head, dropout)
  Tensor forward(Tensor x) {
    for (Block& block : blocks) x = block(x);
    return head(dropout(x));
  }
};

struct Plain : nn::Module {  // as Model, but copyable
  Block block{2};
  std::array<Scale, 2> scales{Scale(2), Scale(2)};
  nn::Parameter tied;
  COTANGENT_MODULE(block, scales, tied)
  Plain() { tied = block.mlp.weight; }
  Tensor forward(const Tensor& x) { return block(x) * tied; }
};

/// Lists no more than its first layer.
struct Forgetful : nn::Module {
  Scale listed{2};
  Block forgotten{2};
  COTANGENT_MODULE(listed)
  Tensor forward(const Tensor& x) { return forgotten(listed(x)); }
};

/// Calls what others own.
struct Borrower : nn::Module {
  explicit Borrower(Scale* s) : borrowed(s) {}
  Scale* borrowed;
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return (*borrowed)(x); }
};
struct Lender : nn::Module {
  Scale scale{2};
  Borrower borrower{&scale};
  COTANGENT_MODULE(scale, borrower)
  Tensor forward(const Tensor& x) { return borrower(x); }
};

/// Copies and temporaries that share the parameters of what is listed, and layers without any.
struct Sharing : nn::Module {
  Scale scale{2};
  COTANGENT_MODULE(scale)
  Tensor forward(const Tensor& x) {
    Scale copy = scale, tied(2);
    tied.weight = scale.weight;
    return nn::Dropout(0)(tied(copy(x)));
  }
};

std::vector<std::string> names(const std::vector<nn::NamedTensor>& tensors) {
  std::vector<std::string> result;
  for (const auto& t : tensors) result.push_back(t.name);
  return result;
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("the list of members names parameters and buffers, nested and in containers") {
  Model model(4);
  CHECK(names(model.named_parameters()) == Names{"blocks.0.attention.weight", "blocks.0.mlp.weight",
                                                 "blocks.1.attention.weight", "blocks.1.mlp.weight",
                                                 "blocks.2.attention.weight", "blocks.2.mlp.weight", "head.weight"});
  CHECK(model.named_buffers().size() == 7);
  CHECK(model.parameters().size() == 7);
  CHECK(model.parameter_count() == 28);
  CHECK(model.state_dict().size() == 14);
  CHECK(model.state_dict()["blocks.1.mlp.weight"].shares_storage(model.blocks[1].mlp.weight));
  CHECK_FALSE(model.state_dict()["head.weight"].requires_grad());

  model.extra.emplace(3);
  model.none = std::make_unique<Scale>(2);
  model.head.bias = zeros({4});
  CHECK(names(model.named_parameters())[6] == "extra.weight");
  CHECK(names(model.named_parameters())[7] == "none.weight");
  CHECK(names(model.named_parameters())[9] == "head.bias");
  CHECK(model.parameter_count() == 28 + 3 + 2 + 4);
}

TEST_CASE("a parameter is a leaf that requires a gradient") {
  const Tensor values = ones({2});
  const nn::Parameter p(values);
  CHECK(p.requires_grad());
  CHECK(p.is_leaf());
  CHECK(p.shares_storage(values));
  CHECK_FALSE(values.requires_grad());
  CHECK_FALSE(nn::Parameter().defined());
  CHECK(nn::Parameter(p * 2).is_leaf());
  CHECK(nn::Parameter(static_cast<const Tensor&>(p)).impl() == p.impl());
  CHECK_THROWS_AS(nn::Parameter(arange(3)), DTypeError);
}

TEST_CASE("a call runs forward, and gradients reach the parameters") {
  Block block(2);
  const Tensor y = block(tensor({1.0, 10.0}));
  CHECK(y.to_vector<float>() == std::vector<float>{6, 60});
  sum(y).backward();
  CHECK(block.attention.weight.grad().to_vector<float>() == std::vector<float>{3, 30});
  CHECK(block.attention.calls.item() == 1);
  block.zero_grad();
  CHECK_FALSE(block.attention.weight.grad().defined());
  const Block& constant = block;
  CHECK(constant.parameter_count() == 4);
}

TEST_CASE("train and eval reach every module") {
  Model model(2);
  CHECK(model.is_training());
  model.eval();
  for (const auto& [name, module] : model.named_modules()) CHECK_FALSE(module->is_training());
  CHECK(model(ones({2})).to_vector<float>()[0] == 6 * 6 * 6 * 5);
  model.train();
  CHECK(model.dropout.is_training());
  const double y = model(ones({2})).to_vector<float>()[0];
  CHECK((y == 0 || y == 2 * 6 * 6 * 6 * 5));
}

TEST_CASE("apply visits modules from the inside out, and by type") {
  Model model(2);
  Names order;
  model.apply([&](nn::Module& m) { order.push_back(m.type_name()); });
  CHECK(order == Names{"Scale", "Scale", "Block", "Scale", "Scale", "Block", "Scale", "Scale", "Block", "Scale",
                       "Dropout", "Model"});
  model.apply<Scale>([](Scale& scale) { scale.weight.detach().fill_(1); });
  model.eval();
  CHECK(model(ones({2})).to_vector<float>() == std::vector<float>{1, 1});
}

TEST_CASE("a copy shares, and a clone does not") {
  Plain model;
  Plain copy = model;
  CHECK(copy.tied.impl() == model.tied.impl());

  Plain clone = model.clone();
  CHECK_FALSE(clone.block.mlp.weight.shares_storage(model.block.mlp.weight));
  CHECK(clone.tied.impl() == clone.block.mlp.weight.impl());  // what was tied stays tied
  CHECK(clone.tied.requires_grad());
  CHECK_FALSE(clone.scales[1].calls.shares_storage(model.scales[1].calls));
  clone.tied.detach().fill_(7);
  CHECK(model.tied.to_vector<float>()[0] == 3);
  CHECK(clone(ones({2})).to_vector<float>()[0] == 2 * 7 * 7);
  CHECK(names(model.named_parameters()) ==
        Names{"block.attention.weight", "block.mlp.weight", "scales.0.weight", "scales.1.weight"});
  CHECK(model.state_dict().contains("tied"));  // under both names, as PyTorch has it
}

TEST_CASE("to converts parameters and buffers, and keeps what is tied") {
  Plain model;
  model.to(float64);
  CHECK(model.block.attention.weight.dtype() == float64);
  CHECK(model.block.attention.weight.requires_grad());
  CHECK(model.block.attention.weight.is_leaf());
  CHECK(model.block.attention.calls.dtype() == int64);
  CHECK(model.tied.impl() == model.block.mlp.weight.impl());
  CHECK_THROWS_AS(model.to(int64), DTypeError);
}

TEST_CASE("requires_grad_ freezes parameters") {
  Model model(2);
  model.blocks[0].requires_grad_(false);
  model.eval();
  sum(model(ones({2}))).backward();
  CHECK_FALSE(model.blocks[0].mlp.weight.requires_grad());
  CHECK(model.blocks[1].mlp.weight.grad().defined());
  CHECK(model.parameters().size() == 7);
  CHECK_FALSE(model.blocks[0].clone().mlp.weight.requires_grad());
}

TEST_CASE("load_state_dict copies values in") {
  Block a(2), b(2);
  a.attention.weight.detach().fill_(9);
  nn::StateDict state = a.state_dict();
  const nn::LoadReport report = b.load_state_dict(state);
  CHECK(report.matched.size() == 4);
  CHECK(b.attention.weight.to_vector<float>() == std::vector<float>{9, 9});
  CHECK_FALSE(b.attention.weight.shares_storage(a.attention.weight));
  CHECK(b.attention.weight.requires_grad());
  a.to(float64);
  b.load_state_dict(a.state_dict());
  CHECK(b.attention.weight.dtype() == float32);
  nn::StateDict floats;  // as a program wrote it that knows no integers
  for (const auto& [path, x] : state) floats.add(path, (x + .75).to(float64));
  b.load_state_dict(floats);
  CHECK(b.attention.calls.dtype() == int64);
  CHECK(b.attention.calls.item() == a.attention.calls.item());
}

TEST_CASE("a state that does not fit is listed, and nothing is loaded") {
  Block block(2);
  const nn::StateDict state{{"attention.weight", full({2}, 8)},
                            {"attention.calls", zeros({}, int64)},
                            {"mlp.wieght", full({2}, 8)},
                            {"mlp.calls", zeros({3}, int64)}};
  std::string message;
  try {
    block.load_state_dict(state);
  } catch (const ValueError& error) {
    message = error.what();
  }
  CHECK(message ==
        "[load_state_dict] 2 of the model's 4 entries match; nothing was loaded. Pass strict = false to load those "
        "that do.\n"
        "  missing     mlp.weight (2,); did you mean mlp.wieght (2,)?\n"
        "  unexpected  mlp.wieght (2,)\n"
        "  wrong shape mlp.calls is () in the model and (3,) in the state");
  CHECK(block.attention.weight.to_vector<float>()[0] == 2);

  const nn::LoadReport report = block.load_state_dict(state, false);
  CHECK(report.matched == Names{"attention.weight", "attention.calls"});
  CHECK(report.missing == Names{"mlp.weight"});
  CHECK(report.unexpected == Names{"mlp.wieght"});
  CHECK(report.wrong_shape == Names{"mlp.calls"});
  CHECK(block.attention.weight.to_vector<float>()[0] == 8);
}

TEST_CASE("a model prints as a tree with numbers of parameters") {
  Model model(500);
  CHECK(to_string(model) ==
        "Model                      3,500 parameters\n"
        "  blocks.0: Block          1,000\n"
        "    attention: Scale(500)    500\n"
        "    mlp: Scale(500)          500\n"
        "  blocks.1: Block          1,000\n"
        "    attention: Scale(500)    500\n"
        "    mlp: Scale(500)          500\n"
        "  blocks.2: Block          1,000\n"
        "    attention: Scale(500)    500\n"
        "    mlp: Scale(500)          500\n"
        "  head: Scale(500)           500\n"
        "  dropout: Dropout(0.5)\n");
}

TEST_CASE("an error names the module it came from") {
  Model model(2);
  model.blocks[2].attention.weight = ones({3});
  auto message = [](auto&& call) -> std::string {
    try {
      call();
    } catch (const ShapeError& error) {
      return error.what();
    }
    return "nothing thrown";
  };
  const std::string plain = message([] { ones({2}) * ones({3}); });
  CHECK(message([&] { model(ones({2})); }) == plain + " (in blocks.2.attention)");
  CHECK(message([&] { model.blocks[2](ones({2})); }) == plain + " (in attention)");
  CHECK(message([&] { model.blocks[2].attention(ones({2})); }) == plain);

  nn::Sequential net(Scale(2), nn::Sequential(Scale(2), Scale(5)));
  CHECK_THAT(message([&] { net(ones({2})); }), Catch::EndsWith(" (in 1.1)"));
}

TEST_CASE("a module that is called inside another but not listed is named") {
  const Tensor x = ones({2});
  Forgetful model;
  const std::string message =
      "[Forgetful] calls a Block() whose parameters it does not have, so that nobody would train them; name it in "
      "Forgetful's COTANGENT_MODULE, or say Block::trained_elsewhere() or requires_grad_(false) if that is meant";
  CHECK_THROWS_WITH(model(x), message);
  CHECK_THROWS_WITH(model(x), message);
  CHECK_THROWS_WITH(nn::Sequential(Forgetful(), nn::Dropout())(x), message + " (in 0)");
  {
    NoGrad guard;
    CHECK_NOTHROW(model(x));
  }
  CHECK_THROWS_AS(model(x), ValueError);
  model.forgotten(x);  // a call from outside proves nothing
  CHECK_THROWS_AS(model(x), ValueError);

  Forgetful frozen = Forgetful().clone();
  frozen.forgotten.requires_grad_(false);
  CHECK_NOTHROW(frozen(x));
  Forgetful critic;
  critic.forgotten.trained_elsewhere();
  CHECK_NOTHROW(critic(x));

  Scale outside(2);
  CHECK_THROWS_AS(nn::Residual(Borrower(&outside))(x), ValueError);
  nn::Sequential net([&](const Tensor& v) { return outside(v); });
  CHECK_THROWS_WITH(net(x), Catch::Contains("[Function] calls a Scale(2)") && Catch::EndsWith(" (in 0)"));
}

TEST_CASE("modules that share their parameters with those around them need no list") {
  const Tensor x = ones({2});
  Sharing sharing;
  CHECK_NOTHROW(sharing(x));
  Lender lender;
  CHECK_NOTHROW(lender(x));
  CHECK_NOTHROW(lender.borrower(x));  // which is known by now to be trained by somebody
  Model model(2);
  model.extra.emplace(2);
  CHECK_NOTHROW(model(x));

  Borrower borrower(&lender.scale);
  Scale clone = lender.scale.clone();  // with parameters of its own, which nobody has seen
  borrower.borrowed = &clone;
  CHECK_THROWS_AS(borrower(x), ValueError);
}

TEST_CASE("a const module is called in evaluation mode, and says why not in training mode") {
  const Tensor x = ones({2});
  Model model(2);
  const Model& constant = model;
  CHECK_THROWS_WITH(constant(x),
                    "[Model] is called as a const module in training mode, where a call may change it; call eval() "
                    "first, or call it where it is not const (a forward() const makes all members so)");
  model.eval();
  CHECK(equal(constant(x), model(x)));
  const nn::Sequential net = [] {
    nn::Sequential stages(nn::Dropout(0.5), nn::Dropout(0.5));
    stages.eval();
    return stages;
  }();
  CHECK(equal(net(x), x));
  CHECK_THROWS_AS(std::as_const(*std::make_unique<nn::Sequential>())(x), ValueError);
}
