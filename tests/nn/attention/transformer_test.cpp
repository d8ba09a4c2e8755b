#include <cotangent/nn/attention/transformer.hpp>

#include <catch2/catch.hpp>
#include <cotangent/autograd/modes.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/nn/attention/multihead.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/random.hpp>
#include <cotangent/tests/values.hpp>

#include "../../check_gradients.hpp"
#include "../reference_layer.hpp"
#include "checks.hpp"

using namespace cotangent;

namespace {

nn::TransformerLayerOptions options_of(const Case& test) {
  return {.inner = 3,
          .dropout = 0,
          .activation = nn::activation_named(test.get<std::string>("activation", "relu")),
          .norm_first = test.get("norm_first", false),
          .bias = test.get("bias", true)};
}

nn::MultiHeadAttention attention(bool causal = true) { return {4, 2, {.causal = causal, .dtype = float64}}; }

}  // namespace

TEST_CASE("attention and transformer layers equal PyTorch's, gradients included") {
  const Json data("transformer.json");
  CHECK(data.size() == 12);
  for (size_t n = 0; n < data.size(); ++n) {
    const Case test(data[n]);
    const auto name = test.get<std::string>("name", "");
    INFO(n << ": " << name);
    auto input = [&](const char* key) { return test.inputs.get(key); };
    auto mask = [&](const char* key) { return test.masks.get(key); };
    if (name == "attention") {
      const bool causal = test.get("causal", false);
      compare(test, nn::MultiHeadAttention(4, 2, {.causal = causal, .bias = test.get("bias", true)}), [&](auto& m) {
        return m(input("x"),
                 {.memory = input("memory"), .key_mask = mask("key_mask"), .mask = causal ? Tensor() : mask("mask")});
      });
    } else if (name == "encoder_layer") {
      compare(test, nn::TransformerEncoderLayer(4, 2, options_of(test)),
              [&](auto& m) { return m(input("x"), {.key_mask = mask("key_mask")}); });
    } else if (name == "decoder_layer") {
      compare(test, nn::TransformerDecoderLayer(4, 2, options_of(test)), [&](auto& m) {
        return m(input("x"), input("memory"),
                 {.key_mask = mask("key_mask"), .memory_key_mask = mask("memory_key_mask")});
      });
    } else {
      compare(
          test, nn::Transformer(4, 2, {.encoder_layers = 2, .decoder_layers = 1, .layer = options_of(test)}),
          [&](auto& m) { return m(input("source"), input("target"), {.source_key_mask = mask("source_key_mask")}); });
    }
  }
}

TEST_CASE("normalizations and residual layouts equal their formulas in PyTorch, gradients included") {
  const Json data("residual.json");
  CHECK(data.size() == 13);
  for (size_t n = 0; n < data.size(); ++n) {
    const Case test(data[n]);
    const auto norm = test.get<std::string>("norm", ""), layout = test.get<std::string>("layout", "");
    INFO(n << ": " << norm << ", " << layout);
    nn::TransformerLayerOptions o{
        .inner = 3, .dropout = 0, .norm_first = test.get("norm_first", false), .eps = 1e-3, .dtype = float64};
    o.norm = norm == "rms"     ? nn::Normalization::rms
             : norm == "scale" ? nn::Normalization::scale
                               : nn::Normalization::layer;
    o.residual = layout == "rezero"              ? nn::rezero()
                 : layout == "fixup"             ? nn::fixup(3)
                 : layout == "deep_norm"         ? nn::deep_norm(3)
                 : layout == "deep_norm_encoder" ? nn::deep_norm_encoder(3, 2)
                 : layout == "deep_norm_decoder" ? nn::deep_norm_decoder(2)
                                                 : nn::ResidualOptions{};
    const Tensor x = test.inputs.get("x");
    if (test.get("cross", false))
      compare(test, nn::TransformerDecoderLayer(4, 2, o), [&](auto& m) { return m(x, test.inputs.get("memory")); });
    else
      compare(test, nn::TransformerEncoderLayer(4, 2, o), [&](auto& m) { return m(x); });
  }
}

TEST_CASE("a stack of causal layers streams") {
  auto layer = [] {
    return nn::TransformerEncoderLayer(
        nn::MultiHeadAttention(8, 2, {.kv_heads = 1, .causal = true, .positions = nn::Rotary(), .dtype = float64}),
        {.inner = 6, .dropout = 0, .activation = nn::Activation::swiglu, .norm_first = true, .dtype = float64});
  };
  nn::TransformerEncoder blocks(nn::repeat(2, layer), nn::LayerNorm(8, {.dtype = float64}));
  const Tensor x = randn({2, 13, 8}, float64), y = blocks(x);
  nn::StreamState state = blocks.start(2);
  CHECK(close(cat({blocks.step(x.narrow(1, 0, 7), state), blocks.step(x.narrow(1, 7, 1), state),
                   blocks.step(x.narrow(1, 8, 5), state)},
                  1),
              y));
  CHECK(state.length == 13);
  CHECK(close(blocks(x, {.form = nn::SequenceForm::recurrent}), y));
  CHECK(close(blocks(x, {.form = nn::SequenceForm::chunked, .chunk = 5}), y));
  CHECK(blocks.causal());
  check_causal_layer(blocks);

  // an error in the second layer leaves the state as it was
  nn::StreamState broken = blocks.start(2);
  broken.layers[1].layers[0].own.as<nn::KeyValueCache>().keys = ones({3, 1, 0, 4}, float64);
  CHECK_THROWS_WITH(blocks.step(x, broken), Catch::EndsWith("(in layers.1.self_attn)"));
  CHECK(broken.layers[0].length == 0);
  nn::StreamState other = layer().start(2);
  CHECK_THROWS_WITH(blocks.step(x, other), Catch::Contains("a state of 1 parts for 2"));
}

TEST_CASE("a decoder streams, and sees no padding of the source") {
  const nn::TransformerLayerOptions layer{.inner = 6, .dropout = 0, .dtype = float64};
  nn::Transformer model(4, 2, {.encoder_layers = 1, .decoder_layers = 2, .layer = layer});
  const Tensor source = randn({2, 5, 4}, float64), target = randn({2, 6, 4}, float64);
  const Tensor seen = tensor({{1, 1, 1, 1, 1}, {1, 1, 1, 0, 0}}, boolean);
  const Tensor y = model(source, target, {.source_key_mask = seen});
  CHECK(close(y[1], model(source.narrow(1, 0, 3), target)[1]));
  nn::StreamState state = model.start(source, seen);
  CHECK(close(cat({model.step(target.narrow(1, 0, 3), state), model.step(target.narrow(1, 3, 1), state),
                   model.step(target.narrow(1, 4, 2), state)},
                  1),
              y));
  CHECK(state.length == 6);
}

TEST_CASE("the feed-forward takes any activation, or is left out") {
  for (nn::Activation f : nn::all_activations()) {
    nn::TransformerEncoderLayer layer(4, 2, {.inner = 6, .activation = f});
    CHECK(layer.linear1->weight.size(0) == (nn::is_gated(f) ? 12 : 6));
    CHECK(layer(ones({1, 2, 4})).shape() == Shape{1, 2, 4});
  }
  nn::TransformerEncoderLayer bare(attention(), {.inner = 0, .dropout = 0, .dtype = float64});
  CHECK_FALSE(bare.state_dict().contains("linear1.weight"));
  CHECK_FALSE(bare.state_dict().contains("norm2.weight"));
  const Tensor x = randn({1, 3, 4}, float64);
  CHECK(close(bare(x), bare.norm1(x + bare.self_attn(x))));
  CHECK(bare.settings() == "4, inner = 0, relu");
  CHECK(nn::TransformerDecoderLayer(4, 2, {.inner = 6, .norm_first = true}).settings() ==
        "4, inner = 6, relu, norm_first = true, dropout = 0.1");
  const std::string tree = to_string(nn::TransformerEncoderLayer(4, 2, {.inner = 6, .dropout = 0.2}));
  CHECK_THAT(tree, Catch::Contains("TransformerEncoderLayer(4, inner = 6, relu, dropout = 0.2)") &&
                       Catch::Contains("MultiHeadAttention(4, 2, dropout = 0.2)"));
}

TEST_CASE("dropout acts in training only") {
  nn::TransformerEncoderLayer layer(4, 2, {.inner = 6, .dropout = 0.5});
  const Tensor x = randn({2, 3, 4});
  CHECK_FALSE(equal(layer(x), layer(x)));
  layer.eval();
  CHECK(equal(layer(x), layer(x)));
  nn::TransformerDecoderLayer decoder(4, 2, {.inner = 6, .dropout = 0.5});
  CHECK_FALSE(equal(decoder(x, x), decoder(x, x)));
  decoder.eval();
  CHECK(equal(decoder(x, x), decoder(x, x)));
}

TEST_CASE("a Transformer starts as PyTorch's") {
  nn::Transformer model(8, 2, {.encoder_layers = 1, .decoder_layers = 1, .layer = {.inner = 300}});
  double largest = 0;
  for (double v : model.encoder.layers[0].linear1->weight.to_vector<double>()) largest = std::max(largest, v);
  CHECK(largest <= std::sqrt(6.0 / 308));
  CHECK(largest > 0.9 * std::sqrt(6.0 / 308));
  CHECK(nn::Transformer(8, 2, {.encoder_layers = 1, .decoder_layers = 1}).decoder.layers[0].linear2.weight.size(1) ==
        2048);
}

namespace {

/// A branch of the residual that gives another normal tensor in each call.
struct Noise : nn::SequenceLayer {
  explicit Noise(int64_t width) : SequenceLayer(width, false) {}
  COTANGENT_MEMBERS()

 protected:
  Tensor run(const Tensor& x, const nn::SequenceCall&, nn::StreamState*) override {
    return randn(x.shape(), x.dtype());
  }
};

double mean_square(const Tensor& x) { return mean(square(x)).item(); }

/// The layers of a narrow stack.
std::vector<nn::TransformerEncoderLayer> stack(int64_t depth, nn::TransformerLayerOptions o) {
  o.inner = 32, o.dropout = 0, o.dtype = float64;
  return nn::repeat(depth, [&] { return nn::TransformerEncoderLayer(16, 2, o); });
}

}  // namespace

TEST_CASE("variances along the residual layouts") {
  manual_seed(1);
  const Tensor x = randn({8, 16, 64}, float64);
  for (bool norm_first : {false, true}) {
    Tensor y = x;
    for (int depth = 1; depth <= 6; ++depth) {
      nn::TransformerEncoderLayer layer(Noise(64),
                                        {.inner = 0, .dropout = 0, .norm_first = norm_first, .dtype = float64});
      y = layer(y);
      const double kept = mean(x * y).item() / mean_square(x);  // the part of y along x
      if (norm_first) {
        CHECK(mean_square(y) == Approx(1 + depth).epsilon(0.08));
        CHECK(kept == Approx(1).margin(0.1));
      } else {
        CHECK(mean_square(y) == Approx(1).epsilon(1e-4));
        CHECK(kept * kept == Approx(std::pow(0.5, depth)).margin(0.03));
      }
    }
  }
  Tensor y = x;
  const nn::ResidualOptions deep = nn::deep_norm(6);
  for (int depth = 1; depth <= 6; ++depth)
    y = nn::TransformerEncoderLayer(Noise(64),
                                    {.inner = 0, .dropout = 0, .residual = {.skip = deep.skip}, .dtype = float64})(y);
  const double a2 = deep.skip * deep.skip, kept = mean(x * y).item() / mean_square(x);
  CHECK(kept * kept == Approx(std::pow(a2 / (a2 + 1), 6)).margin(0.03));
}

TEST_CASE("the constants of DeepNorm") {
  CHECK(nn::deep_norm(12).skip == Approx(2.213).margin(1e-3));
  CHECK(nn::deep_norm(12).inner_gain == Approx(0.3195).margin(1e-4));
  CHECK(nn::deep_norm(12).last_gain == nn::deep_norm(12).inner_gain);
  CHECK(nn::deep_norm_decoder(6).skip == Approx(std::pow(18.0, 0.25)));
  CHECK(nn::deep_norm_decoder(6).last_gain == Approx(std::pow(72.0, -0.25)));
  CHECK(nn::deep_norm_encoder(6, 2).skip == Approx(0.81 * std::pow(6 * 6 * 6 * 6 * 2, 1.0 / 16)));
  CHECK(nn::deep_norm_encoder(6, 2).inner_gain == Approx(0.87 * std::pow(6 * 6 * 6 * 6 * 2, -1.0 / 16)));
  CHECK_THROWS_WITH(nn::deep_norm(0), "[deep_norm] 0 layers; there must be at least 1");

  // the starting values that it scales
  const auto start = [](const nn::ResidualOptions& r) {
    manual_seed(7);
    return nn::TransformerDecoderLayer(8, 2, {.inner = 6, .residual = r, .dtype = float64});
  };
  const auto plain = start({}).state_dict(), scaled = start(nn::deep_norm(12)).state_dict();
  const double b = nn::deep_norm(12).last_gain;
  for (const char* attention : {"self_attn.", "multihead_attn."}) {
    const std::string name = attention;
    const Tensor before = plain[name + "in_proj_weight"], after = scaled[name + "in_proj_weight"];
    CHECK(equal(after.narrow(0, 0, 16), before.narrow(0, 0, 16)));
    CHECK(close(after.narrow(0, 16, 8), before.narrow(0, 16, 8) * b));
    CHECK(close(scaled[name + "out_proj.weight"], plain[name + "out_proj.weight"] * b));
  }
  for (const char* name : {"linear1.weight", "linear2.weight"}) CHECK(close(scaled[name], plain[name] * b));

  // and a Transformer, which draws its own
  manual_seed(8);
  const nn::TransformerOptions o{.encoder_layers = 1, .decoder_layers = 1, .layer = {.inner = 6}};
  nn::TransformerOptions with = o;
  with.layer.residual = {.last_gain = 0.5};
  manual_seed(8);
  const Tensor whole = nn::Transformer(8, 2, o).state_dict()["decoder.layers.0.linear2.weight"];
  manual_seed(8);
  CHECK(close(nn::Transformer(8, 2, with).state_dict()["decoder.layers.0.linear2.weight"], whole * 0.5));
}

TEST_CASE("ReZero and Fixup start as the identity, and learn") {
  for (const nn::ResidualOptions& r : {nn::rezero(), nn::fixup(2)}) {
    nn::TransformerEncoder blocks(stack(2, {.residual = r}));
    const Tensor x = randn({2, 5, 16}, float64).requires_grad_();
    const Tensor y = blocks(x);
    CHECK(equal(y, x));
    y.square().sum().backward();
    CHECK(close(x.grad(), 2.0 * x.detach()));
    CHECK_FALSE(blocks.state_dict().contains("layers.0.norm1.weight"));
    CHECK(blocks.layers[1].gate2.shape() == Shape{});
    CHECK(blocks.layers[1].gate2.item() == *r.gate);
    // only the gates of ReZero, and the last layers of Fixup, have gradients in the first step
    const nn::TransformerEncoderLayer& layer = blocks.layers[0];
    const double gate = std::abs(layer.gate1.grad().item()), last = layer.linear2->weight.grad().abs().max().item(),
                 first = layer.linear1->weight.grad().abs().max().item();
    CHECK((gate > 0) == (*r.gate == 0));
    CHECK((last > 0) == (*r.gate == 1));
    CHECK(first == 0);
    nn::TransformerDecoderLayer decoder(16, 2, {.inner = 8, .residual = r, .dtype = float64});
    decoder.eval();
    CHECK(equal(decoder(x, x), x));
  }
  CHECK(nn::TransformerEncoderLayer(4, 2, {.inner = 6, .residual = nn::rezero()}).settings() ==
        "4, inner = 6, relu, no norms, gate = 0, dropout = 0.1");
  CHECK(nn::TransformerEncoderLayer(4, 2, {.inner = 6, .residual = nn::deep_norm(12)}).settings() ==
        "4, inner = 6, relu, skip = 2.213, dropout = 0.1");
}

// What one step at a fixed rate does to the result, relative to it: Wang et al. call it the model update.
TEST_CASE("the update of a deep DeepNorm stack is about that of a shallow one") {
  const auto update = [](int64_t depth, const nn::ResidualOptions& r) {
    manual_seed(3);
    nn::TransformerEncoder blocks(stack(depth, {.residual = r}));
    const Tensor x = randn({2, 8, 16}, float64), target = randn({2, 8, 16}, float64), before = blocks(x);
    (before * target).sum().backward();
    NoGrad guard;
    for (Tensor& p : blocks.parameters())
      if (p.rank() > 1) p.sub_(p.grad() * 1e-4);  // the theory is about the weights
    return std::sqrt(mean_square(blocks(x) - before));
  };
  const double deep = update(48, nn::deep_norm(48)) / update(6, nn::deep_norm(6));
  const double post = update(48, {}) / update(6, {});
  CAPTURE(deep, post);
  CHECK(deep > 0.5);
  CHECK(deep < 2);
  CHECK(post > 10);
}

TEST_CASE("T5's starting values give scores of variance 1 without a scale") {
  manual_seed(2);
  const int64_t d = 64, heads = 4, dh = d / heads;
  const auto layer = [&](nn::ScoreScale scale) {
    return nn::TransformerEncoderLayer(
        nn::MultiHeadAttention(d, heads, {.bias = false, .positions = nn::T5Bias(heads), .scale = scale}),
        {.inner = 128, .norm_first = true, .norm = nn::Normalization::rms, .eps = 1e-6, .bias = false});
  };
  nn::TransformerEncoder model(nn::repeat(2, [&] { return layer(nn::ScoreScale::none); }), nn::RMSNorm(d));
  nn::start_as_t5(model);
  for (const auto& p : model.named_parameters()) CHECK(p.name.find("bias") == std::string::npos);
  double variance = 0;
  for (auto& one : model.layers) {
    auto& attention = dynamic_cast<nn::MultiHeadAttention&>(*one.self_attn);
    const Tensor x = randn({512, d});
    const Tensor w = attention.in_proj_weight.detach();
    for (int64_t h = 0; h < heads; ++h) {
      const Tensor q = matmul(x, w.narrow(0, h * dh, dh).t()), k = matmul(x, w.narrow(0, d + h * dh, dh).t());
      variance += mean_square(matmul(q, k.t())) / double(2 * heads);
    }
    CHECK(mean_square(attention.out_proj.weight) == Approx(1.0 / 64).epsilon(0.1));
    CHECK(mean_square(one.linear1->weight) == Approx(1.0 / 64).epsilon(0.1));
    CHECK(mean_square(one.linear2->weight) == Approx(1.0 / 128).epsilon(0.1));
    CHECK(one.norm1->type_name() == "RMSNorm");
    auto& bias = dynamic_cast<nn::T5Bias&>(*attention.positions);
    CHECK(mean_square(bias.weight) == Approx(1.0 / 64).epsilon(0.5));
  }
  CHECK(variance == Approx(1).epsilon(0.1));
  nn::TransformerEncoderLayer scaled = layer(nn::ScoreScale::inverse_sqrt);
  CHECK_THROWS_WITH(nn::start_as_t5(scaled), Catch::Contains("[start_as_t5] MultiHeadAttention(64, 4") &&
                                                 Catch::Contains("give it ScoreScale::none"));
}

TEST_CASE("transformer layers say what does not fit") {
  const Tensor x = ones({1, 3, 4});
  nn::TransformerEncoderLayer layer(4, 2, {.inner = 6});
  CHECK_THROWS_WITH(layer(x, {.memory = x}), Catch::Contains("takes no memory; TransformerDecoderLayer does"));
  CHECK_THROWS_WITH(layer.start(1), Catch::Contains("without causal = true"));
  CHECK_THROWS_WITH(layer(x, {.form = nn::SequenceForm::recurrent}), Catch::Contains("has no recurrent form"));
  CHECK_THROWS_WITH(nn::TransformerEncoderLayer(nn::AnySequenceLayer()), Catch::Contains("an empty attention"));
  CHECK_THROWS_WITH(nn::TransformerEncoderLayer(4, 3), Catch::Contains("the heads must divide the width"));
  CHECK_THROWS_WITH(nn::TransformerEncoderLayer(4, 2, {.inner = -1}),
                    "[TransformerEncoderLayer] an inner width of -1; it must be at least 1");
  CHECK_THROWS_WITH(nn::TransformerDecoderLayer(4, 2, {.inner = 0}),
                    "[TransformerDecoderLayer] an inner width of 0; it must be at least 1");
  CHECK_THROWS_WITH(nn::TransformerEncoderLayer(4, 2, {.residual = {.skip = double{NAN}}}),
                    Catch::Contains("[TransformerEncoderLayer] a residual with a factor of nan"));
  CHECK_THROWS_WITH(nn::TransformerDecoderLayer(4, 2, {.residual = {.gate = double{INFINITY}}}),
                    Catch::Contains("[TransformerDecoderLayer] a residual with a factor of inf"));
  CHECK_THROWS_WITH(nn::TransformerEncoderLayer(4, 2, {.dropout = 1.1}), Catch::Contains("dropout is 1.1"));
  CHECK_THROWS_WITH(nn::TransformerEncoderLayer(4, 2, {.dropout = -0.1}), Catch::Contains("dropout is -0.1"));
  CHECK_THROWS_WITH(nn::TransformerEncoder({}), Catch::Contains("no layers"));
  CHECK_THROWS_WITH(nn::TransformerDecoder({}), Catch::Contains("no layers"));
  CHECK_THROWS_WITH(
      nn::TransformerEncoderLayer(Noise(4), {.inner = 6, .residual = nn::fixup(1)}),
      Catch::Contains("[TransformerEncoderLayer] a residual with gains") && Catch::Contains("Noise has none"));
  CHECK_THROWS_WITH(nn::TransformerDecoderLayer(attention(), nn::MultiHeadAttention(8, 2)),
                    Catch::Contains("attentions of widths 4 and 8"));
  nn::TransformerDecoderLayer decoder(4, 2, {.inner = 6});
  CHECK_THROWS_WITH(decoder(x, ones({1, 3, 5})), Catch::EndsWith("(in multihead_attn)"));
  CHECK_THROWS_WITH(decoder.start(ones({3, 5})), Catch::EndsWith("(in multihead_attn)"));
  nn::StreamState none;
  CHECK_THROWS_WITH(decoder.step(x, none), Catch::Contains("a state of 0 parts for 2"));
  CHECK_THROWS_WITH(
      nn::Transformer(nn::TransformerEncoder({nn::TransformerEncoderLayer(8, 2)}), nn::TransformerDecoder({decoder})),
      Catch::Contains("an encoder of width 8 and a decoder of width 4"));
}

TEST_CASE("gradients of the transformer layers, parameters included") {
  auto check = [](auto layer, const Tensors& x, auto call) {
    Generator generator(7);
    layer.to(float64);
    Tensors inputs = x;
    for (Tensor& p : layer.parameters()) {
      normal_(p, 0.2, 1, generator);
      inputs.push_back(p);
    }
    INFO(to_string(layer));
    check_gradients([&] { return call(layer, x[0]); }, inputs);
    check_precisions(layer, x[0].shape(), call);
  };
  const Tensor x = randn({1, 2, 3}, float64), memory = randn({1, 2, 3}, float64);
  for (bool norm_first : {false, true}) {
    const nn::TransformerLayerOptions o{
        .inner = 1, .dropout = 0, .activation = nn::Activation::geglu, .norm_first = norm_first};
    check(nn::TransformerEncoderLayer(3, 1, o), {x}, [&](auto& layer, const Tensor& v) { return layer(v); });
    nn::TransformerLayerOptions other = o;
    other.norm = norm_first ? nn::Normalization::scale : nn::Normalization::rms;
    other.residual = norm_first ? nn::rezero() : nn::deep_norm(2);
    nn::TransformerLayerOptions third = o;
    third.residual = nn::fixup(2);
    for (const auto& options : {o, other, third})
      check(nn::TransformerDecoderLayer(3, 1, options), {x, memory},
            [&](auto& layer, const Tensor& v) { return layer(v, memory.to(v.dtype())); });
  }
}

TEST_CASE("const sequence layers and transformers are called and stream in evaluation mode") {
  NoGrad guard;
  nn::TransformerOptions options{.encoder_layers = 1, .decoder_layers = 2, .layer = {.inner = 6}};
  nn::Transformer made(4, 2, options);
  const nn::Transformer& model = made;
  const nn::TransformerEncoder& encoder = made.encoder;
  const nn::TransformerDecoder& decoder = made.decoder;
  const Tensor source = randn({2, 3, 4}), target = randn({2, 2, 4});
  CHECK_THROWS_AS(model(source, target), ValueError);
  CHECK_THROWS_AS(encoder(source), ValueError);
  CHECK_THROWS_AS(decoder(target, source), ValueError);
  CHECK_THROWS_AS(model.start(source), ValueError);
  made.eval();
  const Tensor whole = model(source, target);
  CHECK(equal(decoder(target, encoder(source)), whole));
  nn::StreamState state = model.start(source);
  CHECK(allclose(model.step(target, state), whole, 1e-5, 1e-5));
  const auto& layer = decoder.layers[0];
  state = layer.start(source);
  CHECK(allclose(layer.step(target, state), layer(target, source), 1e-5, 1e-5));
  const nn::SequenceLayer& attention = *layer.self_attn;
  state = attention.start(2);
  CHECK(allclose(attention.step(target, state), attention(target), 1e-5, 1e-5));
}
