#include <cotangent/nn/receptive_field.hpp>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cotangent/autograd/engine.hpp>
#include <cotangent/nn/activation.hpp>
#include <cotangent/nn/container.hpp>
#include <cotangent/nn/conv.hpp>
#include <cotangent/nn/init.hpp>
#include <cotangent/tensor/create.hpp>
#include <random>

using namespace cotangent;
using nn::Interval;
using nn::receptive_field;
using nn::receptive_field_by_gradient;
using nn::receptive_field_of;
using nn::Window;
using Layers = std::vector<Window>;

namespace {

/// The gradient finds the same, for some outputs that see nothing of the padding; at the border a part of it.
void check_gradient(const Layers& layers, const nn::ReceptiveField& field) {
  const auto inside = int64_t((20 + field.size - field.center) / field.jump) + 1;
  for (int64_t o : {inside, inside + 1, inside + 2, inside + 3}) {
    const Interval seen = receptive_field_of(layers, {o, o});
    REQUIRE(seen.first > 0);
    CHECK(receptive_field_by_gradient(layers, seen.last + 20 + int64_t(field.size), o) == seen);
  }
  const Interval seen = receptive_field_of(layers, {0, 0}),
                 left = receptive_field_by_gradient(layers, 40 + int64_t(field.size), 0);
  if (left.size() > 0) CHECK((left.first >= std::max<int64_t>(seen.first, 0) && left.last <= seen.last));
}

Layers operator+(Layers a, const Layers& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

}  // namespace

TEST_CASE("receptive fields of well-known networks") {
  CHECK(receptive_field({}).size == 1);
  CHECK(receptive_field({{.kernel = 3, .stride = 2}, {.kernel = 3, .stride = 2}, {.kernel = 3}}).size == 15);

  const Window conv{.kernel = 3, .padding = 1}, pool{.kernel = 2, .stride = 2};
  const Layers two{conv, conv, pool}, three{conv, conv, conv, pool};
  const Layers conv5_3 = two + two + three + three + Layers{conv, conv, conv};
  CHECK(receptive_field(conv5_3).size == 196);
  CHECK(receptive_field(conv5_3).jump == 16);
  CHECK(receptive_field(conv5_3 + Layers{pool}).size == 212);
  CHECK(receptive_field(conv5_3 + Layers{pool}).jump == 32);

  const Window overlapping{.kernel = 3, .stride = 2};
  const auto alexnet = receptive_field({{.kernel = 11, .stride = 4, .padding = 2},
                                        overlapping,
                                        {.kernel = 5, .padding = 2},
                                        overlapping,
                                        conv,
                                        conv,
                                        conv,
                                        overlapping});
  CHECK(alexnet.size == 195);
  CHECK(alexnet.jump == 32);

  // dilations that double see 2^n inputs (WaveNet's stacks)
  Layers dilated;
  for (int64_t d = 1; d <= 512; d *= 2) dilated.push_back({.kernel = 2, .dilation = d});
  CHECK(receptive_field(dilated).size == 1024);
}

TEST_CASE("both forms and the gradient agree on random stacks") {
  std::mt19937 random(1);
  const auto draw = [&](int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random);
  };
  for (int trial = 0; trial < 100; ++trial) {
    Layers layers;
    for (int64_t n = draw(1, 5); n > 0; --n) {
      const int64_t k = draw(1, 4);
      layers.push_back({.kernel = k, .stride = draw(1, 3), .padding = draw(0, k / 2), .dilation = draw(1, 2)});
    }
    const auto field = receptive_field(layers);
    double closed = 1, strides = 1;
    for (const Window& w : layers) {
      closed += double(w.dilation * (w.kernel - 1)) * strides;
      strides *= double(w.stride);
    }
    CHECK(field.size == closed);
    CHECK(field.jump == strides);
    for (int64_t o : {0, 1, 5}) {
      const Interval seen = receptive_field_of(layers, {o, o});
      CHECK(double(seen.size()) == field.size);
      CHECK(double(seen.first + seen.last + 1) / 2 == field.center + double(o) * field.jump);
    }
    check_gradient(layers, field);
  }
}

TEST_CASE("with upsampling the outputs differ, and the size is their mean") {
  std::mt19937 random(2);
  const auto draw = [&](int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random);
  };
  for (int trial = 0; trial < 40; ++trial) {
    Layers layers{{.kernel = draw(1, 3), .stride = draw(1, 2), .padding = draw(0, 1)}};
    for (int64_t n = draw(1, 3); n > 0; --n) {
      if (draw(0, 1) == 0)
        layers.push_back({.kernel = draw(1, 3), .padding = draw(0, 1)});
      else if (draw(0, 1) == 0)
        layers.push_back({.upsampling = draw(2, 3)});
      else
        layers.push_back({.kernel = draw(3, 5), .padding = draw(0, 1), .upsampling = draw(2, 3)});
    }
    const auto field = receptive_field(layers);
    constexpr int64_t period = 2 * 2 * 2 * 2 * 3 * 3 * 3 * 3;
    double mean = 0, center = 0;
    for (int64_t o = 0; o < period; ++o) {
      const Interval seen = receptive_field_of(layers, {o, o});
      mean += double(seen.size()) / double(period);
      center += (double(seen.first + seen.last + 1) / 2 - double(o) * field.jump) / double(period);
    }
    CHECK(mean == Approx(field.size));
    CHECK(center == Approx(field.center).margin(1e-9));
    check_gradient(layers, field);
  }
  // nearest by 2, then a kernel of 2: one input or two
  const Layers small{{.upsampling = 2}, {.kernel = 2}};
  CHECK(receptive_field(small).size == 1.5);
  CHECK(receptive_field(small).jump == 0.5);
  CHECK(receptive_field_of(small, {0, 0}) == Interval{0, 0});
  CHECK(receptive_field_of(small, {1, 1}) == Interval{0, 1});
  // a stride after it picks outputs of one phase: what each sees is exact
  CHECK(receptive_field_of({{.upsampling = 2}, {.kernel = 2, .stride = 2}}, {7, 7}) == Interval{7, 7});
  // linear by 2: always two
  CHECK(receptive_field({{.kernel = 4, .padding = 1, .upsampling = 2}}).size == 2);
}

TEST_CASE("branches see what any of them sees") {
  const Window conv{.kernel = 3, .padding = 1};
  const Layers residual{conv, {.branches = {{}, {conv, conv}}}, conv};
  CHECK(receptive_field(residual).size == 9);
  CHECK(receptive_field_of(residual, {20, 20}) == Interval{16, 24});
  CHECK(receptive_field_by_gradient(residual, 40, 20) == Interval{16, 24});
  const Layers inception{{.kernel = 3, .stride = 2, .padding = 1},
                         {.branches = {{{.kernel = 1}}, {{.kernel = 5, .padding = 2}}, {conv, conv, conv}}}};
  CHECK(receptive_field(inception).size == 3 + 6 * 2);
  CHECK(receptive_field_of(inception, {10, 10}) == receptive_field_by_gradient(inception, 60, 10));
  // one that is off centre
  const Layers shifted{{.branches = {{{.kernel = 3, .padding = 2}, {.kernel = 3}}, {{.kernel = 1}}}}};
  CHECK(receptive_field(shifted).size == 5);
  CHECK(receptive_field(shifted).center == 0.5);
  CHECK_THROWS_WITH(receptive_field({{.branches = {{}, {{.kernel = 2, .stride = 2}}}}}),
                    Catch::Contains("branches advance by 1 and by 2 inputs"));
}

TEST_CASE("padding moves the field, and an image may be smaller than it") {
  const Window same{.kernel = 5, .padding = 2};
  CHECK(receptive_field({same, same}).center == 0.5);
  CHECK(receptive_field({{.kernel = 5}}).center == 2.5);
  CHECK(receptive_field({same, same}).size == receptive_field({{.kernel = 5}, {.kernel = 5}}).size);
  CHECK(receptive_field_by_gradient({same, same}, 6, 3) == Interval{0, 5});
  CHECK(receptive_field_of({same, same}, {3, 3}) == Interval{-1, 7});
  CHECK(receptive_field_of({same, same}, {3, 4}) == Interval{-1, 8});
  CHECK(receptive_field_by_gradient({{.kernel = 1, .padding = 1}}, 4, 0).size() <= 0);
  CHECK_THROWS_AS(receptive_field_by_gradient({same}, 6, 6), IndexError);
}

TEST_CASE("the gradient of a network finds its receptive field") {
  nn::Sequential net(nn::Conv2d(1, 4, 3, {.stride = 2, .padding = 1, .dtype = float64}), nn::Softplus(),
                     nn::Conv2d(4, 1, {3, 5}, {.padding = {1, 2}, .dtype = float64}));
  net.apply<nn::Conv2d>([](nn::Conv2d& c) { nn::init::ones_(c.weight); });
  Tensor x = zeros({1, 1, 20, 20}, float64);
  const Tensor gradient = grad({net(x.requires_grad_())[0][0][5][5]}, {x})[0];
  const Interval rows = receptive_field_of({{.kernel = 3, .stride = 2, .padding = 1}, {.kernel = 3, .padding = 1}},
                                           {5, 5}),
                 columns = receptive_field_of({{.kernel = 3, .stride = 2, .padding = 1}, {.kernel = 5, .padding = 2}},
                                              {5, 5});
  for (int64_t i = 0; i < 20; ++i)
    for (int64_t j = 0; j < 20; ++j) {
      const bool inside = i >= rows.first && i <= rows.last && j >= columns.first && j <= columns.last;
      CHECK((gradient[0][0][i][j].item() != 0) == inside);
    }
}

TEST_CASE("wrong layers are errors") {
  CHECK_THROWS_AS(receptive_field({{.kernel = -1}}), ValueError);
  CHECK_THROWS_AS(receptive_field({{.kernel = 3, .stride = 0}}), ValueError);
  CHECK_THROWS_AS(receptive_field_of({{.kernel = 3, .dilation = 0}}, {0, 0}), ValueError);
  CHECK_THROWS_AS(receptive_field({{.kernel = 3, .padding = -1}}), ValueError);
  CHECK_THROWS_WITH(receptive_field({{.kernel = 2, .upsampling = 3}}),
                    Catch::Contains("leaves outputs that depend on nothing"));
  CHECK_THROWS_WITH(receptive_field({{.stride = 2, .upsampling = 3}}), Catch::Contains("a stride and dilation of 1"));
  CHECK_THROWS_WITH(receptive_field({{.kernel = 3, .branches = {{}}}}), Catch::Contains("give it two layers"));
}
