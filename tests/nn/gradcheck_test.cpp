// gradcheck of modules: what takes part, under which names, and that the module is left as it was.
#include <cotangent/nn/gradcheck.hpp>

#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/record.hpp>
#include <cotangent/nn/activation.hpp>
#include <cotangent/nn/attention/transformer.hpp>
#include <cotangent/nn/container.hpp>
#include <cotangent/nn/dropout.hpp>
#include <cotangent/nn/embedding.hpp>
#include <cotangent/nn/linear.hpp>
#include <cotangent/nn/norm.hpp>
#include <cotangent/nn/sequence/rnn.hpp>
#include <cotangent/tensor/random.hpp>

#include "../check_gradients.hpp"
#include "../values.hpp"

using namespace cotangent;

namespace {

/// x * scale, whose dx lacks the factor: right while the scale is 1, as it is at the start.
Tensor scaled(const Tensor& x, const Tensor& scale, bool wrong) {
  Tensor y;
  {
    NoGrad guard;
    y = x * scale;
  }
  return record("scaled", {x, scale}, y, Keep::inputs(2), wrong, [](const Backward& b, bool lacking) -> Gradients {
    return {lacking ? b.grad() : b.grad() * b.input(1), sum(b.grad() * b.input(0), 0)};
  });
}

struct Scaling : nn::Module {
  explicit Scaling(bool wrong_in_training, bool wrong_in_evaluation) : wrong{wrong_in_evaluation, wrong_in_training} {}
  nn::Parameter scale = ones({3});
  bool wrong[2];
  COTANGENT_MODULE(scale)
  // the sum keeps the function another one in evaluation
  Tensor forward(const Tensor& x) { return scaled(x, scale, wrong[is_training()]) + (is_training() ? 1 : 0); }
};

/// x * scale, which gives twice the gradient of the scale where only that is asked for.
struct Alone : nn::Module {
  nn::Parameter scale = ones({3});
  COTANGENT_MODULE(scale)
  Tensor forward(const Tensor& x) {
    Tensor y;
    {
      NoGrad guard;
      y = x * scale;
    }
    return record("alone", {x, scale}, y, Keep::inputs(2), NoAttributes{}, [](const Backward& b, NoAttributes) {
      return Gradients(b.grad() * b.input(1), sum(b.grad() * b.input(0), 0) * (b.needs(0) ? 1 : 2));
    });
  }
};

struct TwoInputs : nn::Module {
  nn::Linear left{3, 2}, right{4, 2};
  COTANGENT_MODULE(left, right)
  std::tuple<Tensor, Tensor> forward(const Tensor& a, const Tensor& b) { return {left(a), tanh(right(b))}; }
};

struct SharedHalves : nn::Module {
  nn::Linear encode{3, 3, {.bias = false}}, decode = encode, frozen{3, 3};
  nn::BatchNorm1d norm{3};
  nn::Dropout dropout{0.5};
  bool throws = false;
  COTANGENT_MODULE(encode, decode, frozen, norm, dropout)
  Tensor forward(const Tensor& x) {
    if (throws && !is_training()) fail();
    return dropout(norm(decode(tanh(frozen(encode(x))))));
  }
  [[noreturn]] static void fail() { throw ValueError("[SharedHalves] no"); }
};

std::vector<std::string> names_of(const GradcheckReport& report, int order = 1) {
  std::vector<std::string> names;
  for (const GradcheckInput& part : report.inputs)
    if (part.order == order) names.push_back(part.input);
  return names;
}

using Names = std::vector<std::string>;

/// All there is of a module, bit for bit.
struct Snapshot {
  explicit Snapshot(nn::Module& m) : generator(default_generator().state()) {
    for (const nn::NamedModule& inner : m.named_modules()) training.push_back(inner.module->is_training());
    for (const auto& list : {m.named_parameters(), m.named_buffers()})
      for (const NamedTensor& t : list) {
        impls.push_back(t.tensor.impl());
        wanted.push_back(t.tensor.requires_grad());
        versions.push_back(t.tensor.version());
        values.push_back(to_values(t.tensor));
        gradients.push_back(t.tensor.is_floating() && t.tensor.requires_grad() && t.tensor.grad().defined()
                                ? to_values(t.tensor.grad())
                                : Values());
      }
  }
  Generator::State generator;
  std::vector<bool> training, wanted;
  std::vector<const void*> impls;
  std::vector<uint32_t> versions;
  std::vector<Values> values, gradients;
  bool operator==(const Snapshot&) const = default;
};

}  // namespace

TEST_CASE("gradcheck of a module checks its inputs and its parameters under their names") {
  manual_seed(1);
  nn::Sequential net(nn::Linear(3, 4), nn::Tanh(), nn::Linear(4, 2, {.bias = false}));
  const GradcheckReport report = gradcheck(net, {randn({5, 3})});
  CHECK_THAT(report, GradientsAreRight());
  CHECK(names_of(report) == Names{"input 0", "0.weight", "0.bias", "2.weight"});
  CHECK(names_of(report, 2) == Names{"input 0", "0.weight", "0.bias", "2.weight", "cotangent 0"});
  CHECK(names_of(gradcheck(net, {randn({5, 3}), net.at<nn::Linear>(0).weight}, {.order = 1})) == names_of(report));
  CHECK_FALSE(gradcheck_control(net, {randn({5, 3})}).ok());
}

TEST_CASE("gradcheck of a module finds a factor that is 1 at the start") {
  const Tensor x = randn({4, 3});
  CHECK_THAT(gradcheck(Scaling(false, false), {x}), GradientsAreRight());
  const GradcheckReport wrong = gradcheck(Scaling(true, true), {x});
  CHECK(wrong.verdict == Verdict::fail);
  REQUIRE_FALSE(wrong.rows.empty());
  CHECK(wrong.rows[0].input.starts_with("input 0"));
  Scaling at_one(true, true);  // what the values hide
  at_one.to(float64);
  CHECK(gradcheck([&](const Tensor& v) { return at_one(v); }, {x.to(float64)}).ok());
}

TEST_CASE("gradcheck of a module calls its parameters by their names in problems too") {
  const GradcheckReport report = gradcheck(Alone(), {randn({4, 3})}, {.order = 1});
  REQUIRE(report.problems.size() == 1);
  CHECK(report.problems[0] == "scale gets another gradient when only that one is asked for");
}

TEST_CASE("gradcheck of a module checks training and evaluation where they differ") {
  const Tensor x = randn({4, 3});
  const GradcheckReport wrong = gradcheck(Scaling(false, true), {x});
  CHECK(wrong.verdict == Verdict::fail);
  REQUIRE_FALSE(wrong.rows.empty());
  for (const GradcheckRow& row : wrong.rows) CHECK(row.input == "input 0 in evaluation");
  const GradcheckReport other = gradcheck(Scaling(true, false), {x});
  CHECK(other.verdict == Verdict::fail);
  for (const GradcheckRow& row : other.rows) CHECK(row.input == "input 0");

  const GradcheckReport both = gradcheck(nn::BatchNorm1d(3), {x});
  CHECK_THAT(both, GradientsAreRight());
  CHECK(names_of(both) ==
        Names{"input 0", "weight", "bias", "input 0 in evaluation", "weight in evaluation", "bias in evaluation"});
  CHECK(both.certified == 1);
  CHECK(names_of(gradcheck(nn::LayerNorm(3), {x})) == Names{"input 0", "weight", "bias"});
  CHECK_THAT(gradcheck(nn::Sequential(nn::Linear(3, 8), nn::Dropout(0.5)), {x}), GradientsAreRight());
}

TEST_CASE("gradcheck leaves a module as it was, also by an exception") {
  for (const Dtype dtype : {float32, float64, bfloat16}) {
    manual_seed(3);
    SharedHalves net;
    net.frozen.requires_grad_(false);
    net.to(dtype);
    net.norm.eval();
    const Tensor x = randn({6, 3}, dtype);
    sum(net(x)).backward();
    const Snapshot before(net);
    const Values input = to_values(x);
    const GradcheckReport report = gradcheck(net, {x});
    INFO(report.to_string());
    CHECK(names_of(report) == Names{"input 0", "encode.weight", "norm.weight", "norm.bias", "input 0 in evaluation",
                                    "encode.weight in evaluation", "norm.weight in evaluation",
                                    "norm.bias in evaluation"});
    CHECK(report.ok());
    CHECK(Snapshot(net) == before);
    CHECK(to_values(x) == input);
    CHECK_FALSE(x.requires_grad());
    net.throws = true;
    CHECK(error_of([&] { gradcheck(net, {x}); }) == "[SharedHalves] no");
    CHECK(Snapshot(net) == before);
    CHECK_FALSE(x.requires_grad());
  }
}

TEST_CASE("gradcheck calls a module with indices, several inputs, and takes what it gives") {
  const Tensor x = randn({2, 3});
  const GradcheckReport table = gradcheck(nn::Embedding(4, 3), {tensor({{1, 3}, {1, 0}})});
  CHECK_THAT(table, GradientsAreRight());
  CHECK(names_of(table) == Names{"weight"});
  const GradcheckReport two = gradcheck(TwoInputs(), {x, randn({2, 4})});
  CHECK_THAT(two, GradientsAreRight());
  CHECK(names_of(two) == Names{"input 0", "input 1", "left.weight", "left.bias", "right.weight", "right.bias"});
  nn::LSTM lstm(3, 2);
  const Tensor sequence = randn({3, 2, 3});
  CHECK_THAT(gradcheck(lstm, {sequence}), GradientsAreRight());
  CHECK_THAT(gradcheck(lstm, {sequence, randn({1, 2, 2}), randn({1, 2, 2})}), GradientsAreRight());
  CHECK_THAT(gradcheck(nn::GRU(3, 2), {sequence, Tensor()}), GradientsAreRight());
  CHECK_THAT(gradcheck(nn::LSTMCell(3, 2), {x, randn({2, 2}), randn({2, 2})}), GradientsAreRight());
  const GradcheckReport part = gradcheck(lstm, [&](const Tensor& v) { return lstm(v).h; }, {sequence}, {.order = 1});
  CHECK_THAT(part, GradientsAreRight());
  CHECK(names_of(part).size() == 5);
  CHECK(error_of([&] { gradcheck(TwoInputs(), {x}); }) ==
        "[gradcheck] TwoInputs() is not called with 1 tensors; give what its forward takes, or call it by a function: "
        "gradcheck(layer, [&](Tensor x) { return layer(x, options); }, {x})");
  CHECK(error_of([&] { gradcheck(lstm, [&] { return lstm(sequence).h; }, {sequence}); }) ==
        "[gradcheck] the function takes nothing; let it take the 1 inputs");
  CHECK(error_of([&] { gradcheck(nn::Tanh(), {}); }).starts_with("[gradcheck] "));
}

TEST_CASE("gradcheck checks layers of lower precision in float64, and then compares") {
  for (const Dtype dtype : {float32, float16, bfloat16}) {
    nn::Sequential normalized(nn::Linear(3, 4), nn::BatchNorm1d(4));  // the gradient of the bias is 0 but for rounding
    normalized.to(dtype);
    CHECK_THAT(gradcheck(normalized, {randn({6, 3}, dtype)}), GradientsAreRight());
    nn::TransformerEncoderLayer layer(8, 2, {.inner = 16});
    layer.to(dtype);
    CHECK_THAT(gradcheck(layer, {randn({2, 3, 8}, dtype)}, {.order = 1}), GradientsAreRight());
  }
}
