// The recurrent layers and cells against PyTorch's, by reference/make_rnn.py; and what is particular to the modules.
#include <cotangent/nn/sequence/rnn.hpp>

#include <catch2/catch.hpp>

#include <cotangent/autograd/engine.hpp>
#include <cotangent/autograd/ops/activation.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/parallel.hpp>
#include <cotangent/tensor/random.hpp>

#include "../../check_gradients.hpp"
#include "../../json.hpp"
#include "../check_precisions.hpp"
#include "../names.hpp"

using namespace cotangent;

namespace {

void check_close(const Tensor& x, const Tensor& expected) {
  REQUIRE(x.defined());
  REQUIRE(x.shape() == expected.shape());
  CHECK(allclose(x, expected, 1e-10, 1e-10));
}

nn::RecurrentOptions layer_options(const Json& o) {
  return {.num_layers = o.value("num_layers", 1),
          .bias = o.value("bias", true),
          .batch_first = o.value("batch_first", false),
          .bidirectional = o.value("bidirectional", false),
          .proj_size = o.value("proj_size", 0),
          .nonlinearity = o.value<std::string>("nonlinearity", "tanh") == "relu" ? Rnn::relu : Rnn::tanh,
          .dtype = float64};
}
nn::CellOptions cell_options(const Json& o) { return {.bias = o.value("bias", true), .dtype = float64}; }

Tensors listed(const Tensor& h) { return {h}; }
Tensors listed(const std::pair<Tensor, Tensor>& y) { return {y.first, y.second}; }
Tensors listed(const RecurrentSequence& y) { return {y.output, y.h}; }
Tensors listed(const LstmSequence& y) { return {y.output, y.h, y.c}; }

template <class Layer, class Options>
void check_case(const Json& test, const Options& options) {
  Layer layer(test["sizes"][0], test["sizes"][1], options);
  nn::StateDict state;
  for (const auto& [name, value] : test["parameters"].items()) state.add(name, unpacked(value));
  layer.load_state_dict(state);

  Tensors inputs{unpacked(test["x"])}, wanted;
  for (const Json& given : test["states"]) inputs.push_back(unpacked(given));
  for (Tensor& t : inputs)
    if (t.defined()) wanted.push_back(t.requires_grad_());
  for (const Tensor& p : layer.parameters()) wanted.push_back(p);
  Tensors outputs, cotangents;
  if constexpr (requires { layer.forward(inputs[0], inputs[1], inputs[2]); })
    outputs = listed(layer(inputs[0], inputs[1], inputs[2]));
  else
    outputs = listed(layer(inputs[0], inputs[1]));
  REQUIRE(outputs.size() == test["outputs"].size());
  for (size_t i = 0; i < outputs.size(); ++i) {
    check_close(outputs[i], unpacked(test["outputs"][i]));
    cotangents.push_back(unpacked(test["cotangents"][i]));
  }
  for (bool create_graph : {false, true}) {  // by the kernel and by the composite form
    const Tensors gradients =
        grad(outputs, wanted, {.gradients = cotangents, .retain_graph = true, .create_graph = create_graph});
    REQUIRE(gradients.size() == test["gradients"].size());
    for (size_t i = 0; i < gradients.size(); ++i) check_close(gradients[i], unpacked(test["gradients"][i]));
  }
}

/// Checks the gradients by x and by all parameters, to second order.
template <class Layer>
void check_recurrent(Layer layer, const Shape& shape) {
  Generator generator(7);
  layer.to(float64);
  const Tensor x = randn(shape, float64, generator);
  Tensors inputs{x};
  for (Tensor& p : layer.parameters()) inputs.push_back(normal_(p, 0, 0.7, generator));
  INFO(to_string(layer));
  check_gradients([&] { return listed(layer(x)); }, inputs);
  check_precisions(layer, shape, [](Layer& l, const Tensor& v) {
    Tensors flat;
    for (const Tensor& y : listed(l(v))) flat.push_back(y.reshape({-1}));
    return cat(flat, 0);
  });
}

}  // namespace

TEST_CASE("recurrent layers and cells give what PyTorch gives") {
  const Json data("rnn.json");
  REQUIRE(data.size() == 20);
  for (const Json& test : data) {
    const std::string kind = test["kind"];
    INFO(kind << " " << test["sizes"] << " " << test["options"]);
    if (kind == "RNN") check_case<nn::RNN>(test, layer_options(test["options"]));
    if (kind == "GRU") check_case<nn::GRU>(test, layer_options(test["options"]));
    if (kind == "LSTM") check_case<nn::LSTM>(test, layer_options(test["options"]));
    if (kind == "RNNCell") check_case<nn::RNNCell>(test, cell_options(test["options"]));
    if (kind == "GRUCell") check_case<nn::GRUCell>(test, cell_options(test["options"]));
    if (kind == "LSTMCell") check_case<nn::LSTMCell>(test, cell_options(test["options"]));
  }
}

TEST_CASE("gradients of the recurrent layers and cells") {
  check_recurrent(nn::RNN(2, 2, {.bidirectional = true}), {3, 2, 2});
  check_recurrent(nn::GRU(2, 2, {.batch_first = true}), {2, 3, 2});
  check_recurrent(nn::GRU(1, 2, {.num_layers = 2}), {2, 1});
  check_recurrent(nn::LSTM(2, 2, {.num_layers = 2}), {2, 2, 2});
  check_recurrent(nn::LSTM(2, 3, {.bias = false, .proj_size = 1}), {2, 2, 2});
  check_recurrent(nn::RNNCell(2, 2), {2, 2});
  check_recurrent(nn::GRUCell(2, 2), {2, 2});
  check_recurrent(nn::LSTMCell(2, 2, {.bias = false}), {2});
}

TEST_CASE("a layer over a sequence is its cell step by step, and may be cut anywhere") {
  manual_seed(1);
  nn::LSTM layer(3, 4);
  nn::LSTMCell cell(3, 4);
  cell.weight_ih = layer.weights[0].w_ih, cell.weight_hh = layer.weights[0].w_hh;
  cell.bias_ih = layer.weights[0].b_ih, cell.bias_hh = layer.weights[0].b_hh;
  const Tensor x = randn({5, 40, 3});
  const LstmSequence all = layer(x);
  Tensor h, c;
  for (int64_t t = 0; t < 5; ++t) {
    std::tie(h, c) = cell(x[t], h, c);
    CHECK(allclose(h, all.output[t], 1e-5, 1e-6));
  }
  CHECK(allclose(c, all.c[0], 1e-5, 1e-6));
  const LstmSequence first = layer(slice(x, 0, 0, 2)), rest = layer(slice(x, 0, 2, 5), first.h, first.c);
  CHECK(allclose(cat({first.output, rest.output}), all.output, 1e-6, 1e-6));
  CHECK(allclose(rest.c, all.c, 1e-6, 1e-6));
}

TEST_CASE("recurrent layers give the same for any number of threads, bit for bit") {
  manual_seed(2);
  nn::GRU narrow(20, 24, {.bidirectional = true});
  nn::LSTM wide(20, 420);  // is cut up by hidden units
  const Tensor x = randn({4, 130, 20});
  auto check = [&](auto& layer) {
    std::vector<Tensors> results;
    for (int threads : {1, 2, 3}) {
      set_num_threads(threads);
      layer.zero_grad();
      const Tensor y = layer(x).output;
      y.backward(ones_like(y));
      results.push_back({y.detach()});
      for (const Tensor& p : layer.parameters()) results.back().push_back(p.grad());
    }
    set_num_threads(2);
    for (size_t i = 0; i < results[0].size(); ++i) {
      CHECK(equal(results[0][i], results[1][i]));
      CHECK(equal(results[0][i], results[2][i]));
    }
  };
  check(narrow);
  check(wide);
}

TEST_CASE("wide recurrent layers, whose hidden units are cut up, compute their formulas") {
  Generator generator(3);
  auto random = [&](const Shape& shape) { return (randn(shape, float64, generator) * 0.1).detach().requires_grad_(); };
  for (int64_t batch : {1, 2, 180})
    for (int64_t gates : {1, 3, 4}) {
      const int64_t hidden = gates == 1 ? 405 : 230;
      const bool reverse = batch == 2;
      CAPTURE(batch, gates);
      const Tensor x = random({3, batch, 2}), h0 = random({batch, hidden}), c0 = random({batch, hidden});
      const RecurrentWeights w{random({gates * hidden, 2}),
                               random({gates * hidden, hidden}),
                               random({gates * hidden}),
                               random({gates * hidden}),
                               {}};
      Tensor h = h0, c = c0;
      Tensors expected(3);
      for (int64_t s = 0; s < 3; ++s) {
        const int64_t t = reverse ? 2 - s : s;
        const Tensor from_x = linear(x[t], w.w_ih, w.b_ih), from_h = linear(h, w.w_hh, w.b_hh);
        auto part = [&](const Tensor& from, int64_t i) { return slice(from, 1, i * hidden, (i + 1) * hidden); };
        auto both = [&](int64_t i) { return part(from_x, i) + part(from_h, i); };
        if (gates == 4) {
          c = sigmoid(both(1)) * c + sigmoid(both(0)) * tanh(both(2));
          h = sigmoid(both(3)) * tanh(c);
        } else if (gates == 3) {
          const Tensor z = sigmoid(both(1));
          h = (1 - z) * tanh(part(from_x, 2) + sigmoid(both(0)) * part(from_h, 2)) + z * h;
        } else {
          h = tanh(both(0));
        }
        expected[static_cast<size_t>(t)] = h;
      }
      const Tensor output = gates == 4   ? lstm(x, h0, c0, w, reverse).output
                            : gates == 3 ? gru(x, h0, w, reverse).output
                                         : rnn(x, h0, w, Rnn::tanh, reverse).output;
      check_close(output, stack(expected));
      Tensors inputs{x, h0, w.w_ih, w.w_hh, w.b_ih, w.b_hh};
      if (gates == 4) inputs.push_back(c0);
      const Tensor dy = randn(output.shape(), float64, generator);
      const Tensors got = grad({output}, inputs, {.gradients = {dy}}),
                    wanted = grad({stack(expected)}, inputs, {.gradients = {dy}});
      for (size_t i = 0; i < inputs.size(); ++i) check_close(got[i], wanted[i]);
    }
}

TEST_CASE("recurrent layers: keys, starting values, dropout, printing and errors") {
  nn::LSTM lstm(5, 16, {.num_layers = 2, .dropout = 0.5, .bidirectional = true, .proj_size = 3});
  const Names all = keys(lstm);
  CHECK(all.size() == 20);
  CHECK(Names(all.begin(), all.begin() + 6) ==
        Names{"weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0", "weight_hr_l0", "weight_ih_l0_reverse"});
  CHECK(all.back() == "weight_hr_l1_reverse");
  CHECK(lstm.weights[2].w_ih.shape() == Shape{64, 6});
  CHECK(lstm.weights[0].w_hh.shape() == Shape{64, 3});
  CHECK(lstm.weights[0].w_hr.shape() == Shape{3, 16});
  for (const Tensor& p : lstm.parameters())
    for (double v : p.to_vector<double>()) CHECK(std::abs(v) <= 0.25);
  CHECK(lstm.settings() == "5, 16, num_layers = 2, dropout = 0.5, bidirectional = true, proj_size = 3");
  CHECK(nn::RNN(2, 3, {.bias = false, .nonlinearity = Rnn::relu}).settings() ==
        "2, 3, bias = false, nonlinearity = relu");
  CHECK(keys(nn::GRUCell(2, 3)) == Names{"weight_ih", "weight_hh", "bias_ih", "bias_hh"});
  CHECK(nn::GRUCell(2, 3, {.bias = false}).settings() == "2, 3, bias = false");

  const Tensor x = randn({4, 2, 5});
  CHECK(!equal(lstm(x).output, lstm(x).output));
  nn::LSTM copy = lstm.clone();
  copy.eval();
  CHECK(equal(copy(x).output, copy(x).output));
  copy.weights[0].w_ih.detach().fill_(0);
  CHECK(lstm.weights[0].w_ih.to_vector<float>()[0] != 0);

  CHECK_THROWS_WITH(lstm(randn({4, 2, 6})), Catch::Contains("[LSTM] x is (4, 2, 6); it must be (T, N, 5)"));
  CHECK_THROWS_WITH(lstm(x, randn({4, 2, 2})),
                    Catch::Contains("[LSTM] h is (4, 2, 2); for x (4, 2, 5) it must be (4, 2, 3)"));
  CHECK_THROWS_WITH(lstm(x[0], Tensor(), randn({4, 3})),
                    Catch::Contains("[LSTM] c is (4, 3); for x (2, 5) it must be (4, 16)"));
  CHECK_THROWS_WITH(nn::GRU(2, 3, {.dropout = 0.1}), Catch::Contains("dropout acts between layers"));
  CHECK_THROWS_WITH(nn::GRU(2, 3, {.num_layers = 2, .dropout = 1.5}), Catch::Contains("dropout is 1.5"));
  CHECK_THROWS_WITH(nn::GRU(2, 3, {.proj_size = 2}), Catch::Contains("[GRU] has no projection"));
  CHECK_THROWS_WITH(nn::LSTM(2, 3, {.proj_size = 3}), Catch::Contains("proj_size is 3; it must be in [0, 3)"));
  CHECK_THROWS_WITH(nn::LSTM(2, 3, {.nonlinearity = Rnn::relu}), Catch::Contains("nonlinearity is for RNN"));
  CHECK_THROWS_AS(nn::RNN(0, 3), ValueError);
  CHECK_THROWS_AS(nn::RNN(2, 3, {.num_layers = 0}), ValueError);
  CHECK_THROWS_AS(nn::GRUCell(2, 0), ValueError);
  CHECK_THROWS_WITH(nn::GRUCell(2, 3, {.nonlinearity = Rnn::relu}), Catch::Contains("nonlinearity is for RNNCell"));
  nn::RNNCell cell(2, 3);
  CHECK_THROWS_WITH(cell(randn({2, 2, 2})), Catch::Contains("it must be (N, input) or (input,)"));
}
