#include <cotangent/nn/attention/relative.hpp>

#include <cmath>

#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/nn/attention/gated.hpp>
#include <cotangent/nn/attention/linear.hpp>
#include <cotangent/nn/attention/synthesizer.hpp>

#include "../check_layer.hpp"
#include "../reference_layer.hpp"
#include "checks.hpp"

using namespace cotangent;

namespace {

nn::AnyPosition positions_of(const Case& test) {
  const auto name = test.get<std::string>("name", "");
  const auto reach = test.get<int64_t>("reach", 0);
  if (name == "shaw")
    return nn::Shaw(2, {.reach = reach,
                        .keys = test.data["parameters"].contains("positions.key_rows"),
                        .values = test.data["parameters"].contains("positions.value_rows")});
  if (name == "transformer_xl") return nn::TransformerXL(4, 2);
  if (name == "disentangled")
    return nn::Disentangled(4, 2,
                            {.reach = reach,
                             .content_position = test.get("content_position", true),
                             .position_content = test.get("position_content", true),
                             .same_index = test.get("same_index", false)});
  return nn::XPos({.scale = test.get("scale", 512.0), .center = test.get("center", 0.0)});
}

nn::MultiHeadAttention with_positions(const nn::AnyPosition& positions, bool causal = true) {
  return {8, 2, {.causal = causal, .positions = positions}};
}

const nn::AnyPosition kRelative[] = {nn::Shaw(4, {.reach = 3}), nn::TransformerXL(8, 2),
                                     nn::Disentangled(8, 2, {.reach = 3}), nn::XPos({.scale = 8, .center = 6})};

}  // namespace

TEST_CASE("positions by distance equal their formulas in PyTorch, gradients included") {
  const Json data("positions.json");
  CHECK(data.size() == 11);
  for (size_t n = 0; n < data.size(); ++n) {
    const Case test(data[n]);
    INFO(n << ": " << test.get<std::string>("name", ""));
    compare(test, nn::MultiHeadAttention(4, 2, {.causal = test.get("causal", false), .positions = positions_of(test)}),
            [&](auto& m) { return m(test.inputs.get("x"), {.key_mask = test.masks.get("key_mask")}); });
  }
}

TEST_CASE("attention with each of the positions by distance streams, and looks at nothing that comes later") {
  for (const nn::AnyPosition& positions : kRelative) check_causal_layer(with_positions(positions));
  check_causal_layer(nn::MultiHeadAttention(8, 2, {.kv_heads = 1, .causal = true, .positions = nn::Shaw(4)}));
}

TEST_CASE("positions by distance have gradients to second order") {
  for (const nn::AnyPosition& positions :
       {nn::AnyPosition(nn::Shaw(2, {.reach = 1})), nn::AnyPosition(nn::TransformerXL(4, 2)),
        nn::AnyPosition(nn::Disentangled(4, 2, {.reach = 1})), nn::AnyPosition(nn::XPos({.scale = 8, .center = 1}))}) {
    nn::MultiHeadAttention layer =
        prepared(nn::MultiHeadAttention(4, 2, {.causal = true, .bias = false, .positions = positions}));
    const Tensor x = sequence(3, 4).narrow(0, 0, 1);
    CHECK_THAT(gradcheck(layer, {x}), GradientsAreRight());
    check_checkpoint(layer, x);
  }
}

TEST_CASE("a stream computes vectors by distance once, up to a power of two, with the gradients of one pass") {
  const Tensor x = sequence(17, 8);
  for (const nn::AnyPosition& positions : kRelative) {
    nn::MultiHeadAttention layer = prepared(with_positions(positions));
    const auto gradients = [&](const auto& f) {
      layer.zero_grad();
      sum(square(f())).backward();
      Tensors all;
      for (const Tensor& p : layer.parameters()) all.push_back(p.grad());
      return all;
    };
    nn::StreamState state = layer.start(2);
    const Tensors stepwise = gradients([&] {
      return in_parts({8, 1, 7, 1}, 1, [&](int64_t t, int64_t n) { return layer.step(x.narrow(1, t, n), state); });
    });
    const Tensors whole = gradients([&] { return layer(x); });
    for (size_t i = 0; i < whole.size(); ++i) CHECK(largest_difference(stepwise[i], whole[i]) < 1e-10);
  }
  nn::MultiHeadAttention layer = prepared(with_positions(nn::TransformerXL(8, 2)));
  nn::StreamState state = layer.start(2);
  const auto step = [&](int64_t tokens) {
    layer.step(sequence(tokens, 8), state);
    return state.own.as<nn::KeyValueCache>().rows;
  };
  const nn::KnownRows first = step(8), more = step(1), same = step(7), last = step(1);
  CHECK(first.rows.buckets.numel() == 7 + 8);
  CHECK(more.rows.buckets.numel() == 7 + 16);
  CHECK(same.rows.for_queries.data<double>() == more.rows.for_queries.data<double>());
  CHECK(last.rows.buckets.numel() == 7 + 32);
}

TEST_CASE("positions by distance take cross attention, no token and one") {
  for (const nn::AnyPosition& positions : kRelative) {
    nn::MultiHeadAttention layer = prepared(with_positions(positions, false));
    const Tensor memory = sequence(5, 8, 3);
    const Tensor whole = layer(sequence(3, 8), {.memory = memory});
    nn::StreamState state = layer.start_cross(memory);
    const Tensor parts =
        in_parts({2, 1}, 1, [&](int64_t t, int64_t n) { return layer.step(sequence(3, 8).narrow(1, t, n), state); });
    CHECK(largest_difference(parts, whole) < 1e-10);
    CHECK(layer(sequence(0, 8)).shape() == Shape{2, 0, 8});
    CHECK(layer(sequence(1, 8)).shape() == Shape{2, 1, 8});
  }
}

TEST_CASE("tables of zeros are plain attention, and of DeBERTa with the smaller scale") {
  const Tensor x = sequence(6, 8);
  nn::MultiHeadAttention plain = prepared(nn::MultiHeadAttention(8, 2, {.causal = true}));
  nn::MultiHeadAttention shaw = with_positions(nn::Shaw(4)), deberta = with_positions(nn::Disentangled(8, 2));
  for (nn::MultiHeadAttention* layer : {&shaw, &deberta}) {
    layer->to(float64);
    layer->eval();
    layer->load_state_dict(plain.state_dict(), false);
    for (Tensor& p : layer->positions->parameters()) p.detach().fill_(0);
  }
  CHECK(largest_difference(shaw(x), plain(x)) < 1e-12);
  nn::MultiHeadAttention smaller = plain.clone();
  smaller.in_proj_weight.detach().narrow(0, 0, 8).mul_(1 / std::sqrt(3.0));
  smaller.in_proj_bias.detach().narrow(0, 0, 8).mul_(1 / std::sqrt(3.0));
  CHECK(largest_difference(deberta(x), smaller(x)) < 1e-12);
  // xPos with factors of 1 is rotary
  nn::MultiHeadAttention rotary = plain.clone(), xpos = plain.clone();
  rotary.positions = nn::Rotary();
  xpos.positions = nn::XPos({.scale = 1e300});
  CHECK(largest_difference(xpos(x), rotary(x)) < 1e-12);
}

TEST_CASE("relative positions do not see where a sequence begins") {
  for (const nn::AnyPosition& positions : kRelative) {
    nn::MultiHeadAttention layer = prepared(with_positions(positions));
    const Tensor x = sequence(6, 8), padding = sequence(4, 8, 5);
    Tensor seen = ones({2, 10}, boolean);
    seen.narrow(1, 0, 4).fill_(false);
    const Tensor later = layer(cat({padding, x}, 1), {.key_mask = seen}).narrow(1, 4, 6);
    CHECK(largest_difference(later, layer(x)) < 1e-10);
  }
}

TEST_CASE("scores of xPos depend on the distance, fade with it, and are symmetric about its center") {
  const nn::XPos xpos({.scale = 8, .center = 20});
  const Tensor q = randn({1, 6}, float64), k = randn({1, 6}, float64);
  const auto score = [&](int64_t m, int64_t n) { return sum(xpos.query(q, m) * xpos.key(k, n)).item(); };
  CHECK(score(3, 1) == Approx(score(30, 28)).epsilon(1e-12));
  CHECK(close(xpos.query(q, 20), rope(q, 20)));
  // the slowest pair turns by little: z_0 = 0.4 / 1.4 each 8 positions
  const Tensor one = tensor({{1.0, 0.0}}, float64);
  CHECK(sum(square(xpos.query(one, 28))).item() == Approx(std::pow(0.4 / 1.4, 2)));
  CHECK(sum(square(xpos.key(one, 28))).item() == Approx(std::pow(1.4 / 0.4, 2)));
  CHECK_THROWS_AS(nn::XPos({.scale = 0}), ValueError);
  CHECK(xpos.settings() == "scale = 8, center = 20");
}

TEST_CASE("the relative shift puts each distance into its place") {
  // Transformer-XL's way: pad a column, lay the matrix out anew, drop a row
  const int64_t n = 5;
  const Tensor x = randn({2, n, n}, float64);  // column c: distance n - 1 - c
  const Tensor padded = reshape(cat({zeros({2, n, 1}, float64), x}, 2), {2, n + 1, n});
  const Tensor shifted = padded.narrow(1, 1, n);
  const Tensor all = cat({zeros({2, n, n - 1}, float64), flip(x, 2)}, 2);  // by ascending distance
  const Tensor seen = unsqueeze(arange(n), 1) >= arange(n);
  CHECK(close(where(seen, gather_by_distance(all, arange(2 * n - 1), n), 0), where(seen, shifted, 0)));
}

TEST_CASE("segments with a memory are one long pass, and no gradient reaches the segment before") {
  for (const nn::AnyPosition& positions : {kRelative[0], kRelative[1], kRelative[2], nn::AnyPosition(nn::Alibi())}) {
    nn::SegmentAttention layer = prepared(nn::SegmentAttention(8, 2, 20, {.positions = positions}));
    const Tensor x = sequence(13, 8), whole = layer(x);
    CHECK(largest_difference(whole, nn::MultiHeadAttention(layer)(x)) < 1e-12);  // the memory is longer than all
    const Tensor first = x.narrow(1, 0, 7).clone().requires_grad_(),
                 second = x.narrow(1, 7, 6).clone().requires_grad_();
    nn::StreamState state = layer.start(2);
    const Tensor y1 = layer.step(first, state), y2 = layer.step(second, state);
    CHECK(largest_difference(cat({y1, y2}, 1), whole) < 1e-10);
    CHECK(state.own.as<nn::SegmentMemory>().hidden.size(1) == 13);
    y2.backward(ones_like(y2));
    CHECK_FALSE(first.grad().defined());
    CHECK(second.grad().defined());
    // but gradients reach the projections through the memory: they are those of a pass over constants
    const Tensor through_memory = layer.in_proj_weight.grad();
    for (Tensor& p : layer.parameters()) p.set_grad({});
    const Tensor again = layer(x).narrow(1, 7, 6);
    again.backward(ones_like(again));
    CHECK(largest_difference(through_memory, layer.in_proj_weight.grad()) < 1e-10);
  }
  // a short memory is a window
  nn::SegmentAttention window = prepared(nn::SegmentAttention(8, 2, 3, {.positions = nn::TransformerXL(8, 2)}));
  check_causal_layer(window);
  const Tensor x = sequence(8, 8);
  CHECK(largest_difference(window(x).select(1, 7), window(x.narrow(1, 4, 4)).select(1, 3)) < 1e-10);
  CHECK(window.settings() == "8, 2, causal = true, memory = 3");
  CHECK_THROWS_AS(nn::SegmentAttention(8, 2, 0), ValueError);
}

TEST_CASE("positions by distance tell where they do not fit") {
  using Catch::Contains;
  CHECK_THROWS_WITH(nn::MultiHeadAttention(8, 4, {.positions = nn::Shaw(4)})(ones({1, 2, 8})),
                    Contains("[Shaw] heads of width 4 in an attention of heads of width 2"));
  CHECK_THROWS_WITH(with_positions(nn::TransformerXL(8, 4))(ones({1, 2, 8})),
                    Contains("[TransformerXL] made for 4 heads of width 2"));
  CHECK_THROWS_AS(with_positions(nn::Disentangled(8, 4))(ones({1, 2, 8})), ValueError);
  CHECK_THROWS_AS(nn::Shaw(4, {.reach = -1}), ValueError);
  CHECK_THROWS_AS(nn::TransformerXL(8, 3), ValueError);
  CHECK_THROWS_AS(nn::Disentangled(8, 2, {.reach = 0}), ValueError);
  CHECK_THROWS_AS(nn::Disentangled(8, 2, {.content_position = false, .position_content = false}), ValueError);
  CHECK_THROWS_WITH(nn::LinearAttention(8, 2, {.positions = nn::Shaw(4)}), Contains("positions that add to scores"));
  CHECK_THROWS_WITH(nn::GatedAttentionUnit(8, {.key_width = 4, .positions = nn::Shaw(4)}),
                    Contains("vectors by distance"));
  CHECK_THROWS_WITH(nn::Synthesizer(8, 2, {.positions = nn::Shaw(4)}), Contains("vectors by distance"));
  CHECK_THROWS_WITH(nn::MultiHeadAttention(8, 2, {.positions = nn::Shaw(4), .scale = nn::ScoreScale::log_length}),
                    Contains("vectors by distance go with each scale but log_length"));
  CHECK(nn::Shaw(4).settings() == "4, reach = 16");
  CHECK(nn::TransformerXL(8, 2).settings() == "8, 2");
  CHECK(nn::Disentangled(8, 2, {.same_index = true}).settings() == "8, 2, reach = 256, same_index = true");
}
