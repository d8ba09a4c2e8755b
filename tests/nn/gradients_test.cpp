// The gradients of every layer, by its input and its parameters, to second order.
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/nn/activation.hpp>
#include <cotangent/nn/attention/gated.hpp>
#include <cotangent/nn/attention/linear.hpp>
#include <cotangent/nn/attention/multihead.hpp>
#include <cotangent/nn/attention/sparse.hpp>
#include <cotangent/nn/container.hpp>
#include <cotangent/nn/conv.hpp>
#include <cotangent/nn/dropout.hpp>
#include <cotangent/nn/embedding.hpp>
#include <cotangent/nn/fold.hpp>
#include <cotangent/nn/linear.hpp>
#include <cotangent/nn/maxout.hpp>
#include <cotangent/nn/norm.hpp>
#include <cotangent/nn/pool.hpp>
#include <cotangent/nn/shape.hpp>
#include <cotangent/nn/upsample.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/random.hpp>

#include "check_layer.hpp"

using namespace cotangent;

namespace {

struct Tied : nn::Module {
  nn::Linear down{4, 2, {.bias = false}};
  nn::Parameter weight = down.weight;
  COTANGENT_MODULE(down, weight)
  Tensor forward(const Tensor& x) { return nn::Tanh()(down(x)) * sum(weight * weight); }
};

/// Puts x at the first places, one after another: an unpooling as a function of x alone.
template <class Layer>
struct Unpooled : nn::Module {
  explicit Unpooled(Layer l) : layer(std::move(l)) {}
  Layer layer;
  COTANGENT_MODULE(layer)
  Tensor forward(const Tensor& x) {
    const int64_t plane = x.numel() / (x.size(0) * x.size(1));
    return layer(x, arange(plane).view(x[0][0].shape()).expand(x.shape()));
  }
};

}  // namespace

TEST_CASE("gradients of Linear, Embedding and Flatten") {
  check_layer(nn::Linear(3, 2), {4, 3});
  check_layer(nn::Linear(3, 2, {.bias = false}), {2, 2, 3});
  check_layer(nn::VarianceKeeping(nn::Activation::geglu), {2, 4});
  check_layer(nn::Sequential(nn::Flatten(), nn::Linear(6, 2)), {2, 3, 2});
  nn::Embedding table(4, 3, {.dtype = float64});
  const auto look_up = [](nn::Embedding& t, const Tensor& x) { return x * t(tensor({{1, 3}, {1, 0}})); };
  check_gradients([&] { return table(tensor({{1, 3}, {1, 0}})); }, {table.weight});
  check_precisions(table, {2, 2, 3}, look_up);
}

TEST_CASE("gradients of the convolution layers") {
  check_layer(nn::Conv2d(2, 2, 3, {.padding = 1}), {1, 2, 3, 4});
  check_layer(nn::Conv2d(2, 4, {2, 1}, {.stride = 2, .dilation = {1, 2}, .groups = 2, .bias = false}), {2, 2, 3, 3});
  check_layer(nn::Conv1d(2, 3, 2), {2, 2, 4});
  check_layer(nn::Conv3d(1, 2, 2), {1, 1, 2, 3, 2});
  check_layer(nn::Conv2d(2, 2, {2, 3}, {.padding = Padding::same, .groups = 2}), {1, 2, 3, 4});
  check_layer(nn::ConvTranspose1d(2, 3, 3, {.stride = 2, .padding = 1, .output_padding = 1}), {1, 2, 3});
  check_layer(nn::ConvTranspose2d(2, 2, {2, 3}, {.stride = {2, 1}, .groups = 2}), {1, 2, 2, 3});
  check_layer(nn::ConvTranspose2d(1, 2, 2, {.bias = false, .dilation = 2}), {2, 1, 2, 2});
  check_layer(nn::ConvTranspose3d(1, 2, 2, {.stride = 2}), {1, 1, 1, 2, 2});
}

TEST_CASE("gradients of the normalizations, in training and evaluation") {
  check_layer(nn::LayerNorm(4), {3, 4});
  check_layer(nn::LayerNorm({2, 3}, {.bias = false}), {2, 2, 3});
  nn::BatchNorm2d by_batch(2);
  check_layer(by_batch, {2, 2, 2, 3});
  nn::BatchNorm1d by_average(3);
  by_average(randn({8, 3}));
  by_average.eval();
  check_layer(by_average, {4, 3});
  check_layer(nn::BatchNorm1d(3, {.track_running_stats = false}), {4, 3});
  for (const nn::Activation f : {nn::Activation::relu6, nn::Activation::silu})
    check_layer(nn::BatchNorm2d(2, {.activation = f}), {2, 2, 2, 3});
  check_layer(nn::RMSNorm(4), {3, 4});
  check_layer(nn::RMSNorm({2, 3}, {.affine = false}), {2, 2, 3});
  check_layer(nn::ScaleNorm(4), {3, 4});
  check_layer(nn::GroupNorm(2, 4), {2, 4, 2});
  check_layer(nn::InstanceNorm1d(2, {.affine = true}), {2, 3});
  check_layer(nn::InstanceNorm2d(2), {2, 2, 2, 2});
  check_layer(nn::InstanceNorm1d(2, {.track_running_stats = true}), {2, 2, 3});
  nn::InstanceNorm3d by_average_too(2, {.affine = true, .track_running_stats = true});
  by_average_too(randn({3, 2, 2, 2, 2}));
  by_average_too.eval();
  check_layer(by_average_too, {1, 2, 1, 2, 2});
}

TEST_CASE("gradients of the pooling layers") {
  check_layer(nn::MaxPool2d(2), {1, 2, 4, 4});
  check_layer(nn::MaxPool2d(3, {.stride = 2, .padding = 1}), {1, 1, 4, 5});
  check_layer(nn::AvgPool2d(2), {1, 2, 4, 4});
  check_layer(nn::AdaptiveAvgPool2d(2), {1, 2, 3, 5});
  check_layer(nn::MaxPool1d(2), {1, 2, 5});
  check_layer(nn::MaxPool3d(2, {.stride = 1}), {1, 1, 2, 3, 3});
  check_layer(nn::AvgPool1d(3, {.stride = 2, .ceil_mode = true}), {1, 2, 6});
  check_layer(nn::AvgPool3d(2, {.stride = 1, .padding = 1}), {1, 1, 2, 2, 3});
  check_layer(nn::AdaptiveAvgPool1d(3), {1, 2, 5});
  check_layer(nn::AdaptiveAvgPool3d({1, 2, 2}), {1, 1, 2, 3, 3});
  check_layer(nn::AdaptiveMaxPool1d(3), {1, 2, 5});
  check_layer(nn::AdaptiveMaxPool2d({2, 3}), {1, 2, 3, 5});
  check_layer(nn::AdaptiveMaxPool3d(1), {1, 2, 2, 2, 2});
  check_layer(Unpooled(nn::MaxUnpool1d(2)), {1, 2, 2});
  check_layer(Unpooled(nn::MaxUnpool2d({2, 1})), {1, 2, 2, 2});
  check_layer(Unpooled(nn::MaxUnpool3d(1, {.stride = 2})), {1, 1, 1, 2, 2});
}

TEST_CASE("gradients of the upsampling layers, Unfold and Fold") {
  using enum Interpolation;
  check_layer(nn::Upsample({.scale_factor = 2, .mode = linear}), {1, 2, 3});
  for (Interpolation mode : {nearest, nearest_exact, bilinear, bicubic, area})
    check_layer(nn::Upsample({.size = {3, 5}, .mode = mode}), {1, 2, 2, 3});
  check_layer(nn::Upsample({.scale_factor = {2, 1.5, 1}, .mode = trilinear, .align_corners = true}), {1, 1, 2, 2, 2});
  check_layer(nn::Upsample({.size = {2, 3}, .mode = bicubic, .antialias = true}), {1, 1, 5, 4});
  check_layer(nn::UpsamplingNearest2d({.scale_factor = 2}), {1, 2, 2, 3});
  check_layer(nn::UpsamplingBilinear2d({.scale_factor = 2}), {1, 2, 2, 3});
  check_layer(nn::PixelShuffle(2), {1, 4, 2, 3});
  check_layer(nn::PixelUnshuffle(2), {1, 1, 2, 4});
  check_layer(nn::SubPixelConv2d(2, 1, 2), {1, 2, 2, 3});
  check_layer(nn::Unfold({2, 3}, {.padding = 1}), {1, 2, 3, 4});
  check_layer(nn::Fold({3, 4}, 2, {.stride = {1, 2}}), {1, 4, 4});
}

TEST_CASE("gradients of the activations") {
  check_layer(nn::ReLU(), {2, 3});
  check_layer(nn::ReLU6(), {2, 3});
  check_layer(nn::LeakyReLU(0.1), {2, 3});
  check_layer(nn::GELU(), {2, 3});
  check_layer(nn::GELU(Gelu::tanh), {2, 3});
  check_layer(nn::SiLU(), {2, 3});
  check_layer(nn::Softplus(2), {2, 3});
  check_layer(nn::Squareplus(1), {2, 3});
  check_layer(nn::LogSigmoid(), {2, 3});
  check_layer(nn::Sigmoid(), {2, 3});
  check_layer(nn::Tanh(), {2, 3});
  check_layer(nn::Softmax(-1), {2, 3});
  check_layer(nn::LogSoftmax(1), {2, 3});
  check_layer(nn::Softmax2d(), {1, 3, 2, 1});
  check_layer(nn::Threshold(0.3, 2), {2, 3});
  check_layer(nn::ReLUSquared(), {2, 3});
  check_layer(nn::PReLU(), {2, 3});
  check_layer(nn::PReLU(3), {2, 3, 2});
  check_layer(nn::ELU(1.3), {2, 3});
  check_layer(nn::CELU(0.6), {2, 3});
  check_layer(nn::SELU(), {2, 3});
  check_layer(nn::GELU(Gelu::sigmoid), {2, 3});
  check_layer(nn::Swish(), {2, 3});
  check_layer(nn::Swish({.beta = 0.7, .learned = false}), {2, 3});
  check_layer(nn::Mish(), {2, 3});
  check_layer(nn::Softsign(), {2, 3});
  check_layer(nn::Hardsigmoid(), {2, 3});
  check_layer(nn::Hardswish(), {2, 3});
  check_layer(nn::Hardtanh(), {2, 3});
  check_layer(nn::Softshrink(), {2, 3});
  check_layer(nn::Hardshrink(), {2, 3});
  check_layer(nn::Tanhshrink(), {2, 3});
  check_layer(nn::Softmin(0), {2, 3});
  check_layer(nn::Maxout(3, 2, 3), {2, 3});
}

TEST_CASE("gradients of the gated linear units") {
  check_layer(nn::GLU(), {2, 4});
  check_layer(nn::BilinearGLU(0), {2, 3});
  check_layer(nn::ReGLU(), {2, 4});
  check_layer(nn::GEGLU(), {2, 4});
  check_layer(nn::GEGLU(0, Gelu::tanh), {2, 4});
  check_layer(nn::SwiGLU(), {2, 4});
}

TEST_CASE("gradients of containers, and of a parameter that is used twice") {
  check_layer(nn::Residual(nn::Sequential(nn::Linear(3, 4), nn::Tanh(), nn::Linear(4, 3))), {2, 3});
  Tied tied;
  tied.to(float64);
  CHECK(tied.parameters().size() == 1);
  check_layer(tied, {2, 4});
}

TEST_CASE("gradients of the layers that draw numbers, with the same numbers each time") {
  const Tensor x = randn({3, 4}, float64);
  const auto check = [&](auto layer) {
    check_precisions(layer, {3, 4}, [](auto& l, const Tensor& v) { return l(v); });
    auto still = layer;
    still.eval();
    check_precisions(still, {3, 4}, [](auto& l, const Tensor& v) { return l(v); });
    check_gradients(
        [&] {
          manual_seed(5);
          return layer(x);
        },
        {x});
  };
  check(nn::Dropout(0.4));
  check(nn::AlphaDropout(0.4));
  check(nn::RReLU());
}

TEST_CASE("gradients of MultiHeadAttention") {
  check_layer(nn::MultiHeadAttention(4, 2), {1, 3, 4});
  check_layer(nn::MultiHeadAttention(4, 2, {.kv_heads = 1, .causal = true, .bias = false}), {1, 3, 4});
  check_layer(nn::MultiHeadAttention(4, 2, {.causal = true, .positions = nn::Rotary()}), {1, 3, 4});
  check_layer(nn::MultiHeadAttention(4, 2, {.positions = nn::Alibi()}), {1, 3, 4});
  check_layer(nn::MultiHeadAttention(4, 2, {.causal = true, .scale = nn::ScoreScale::log_length}), {1, 3, 4});
  check_layer(nn::MultiHeadAttention(4, 2, {.scale = nn::ScoreScale::cosine, .scale_length = 8}), {1, 3, 4});
  check_layer(nn::MultiHeadAttention(4, 2, {.positions = nn::T5Bias(2, {.buckets = 4, .max_distance = 2})}), {1, 3, 4});
}

TEST_CASE("gradients of linear, gated and sparse attention") {
  for (bool causal : {false, true}) {
    check_layer(nn::LinearAttention(4, 2, {.causal = causal}), {1, 4, 4});
    check_layer(nn::LinearAttention(4, 2, {.features = FeatureMap::direction, .causal = causal}), {1, 4, 4});
    check_layer(nn::LinearAttention(4, 2, {.cosine_length = 4, .causal = causal}), {1, 4, 4});
    check_layer(nn::EfficientAttention(4, 2, {.causal = causal}), {1, 4, 4});
    for (FavorKernel kernel : {FavorKernel::positive, FavorKernel::hyperbolic, FavorKernel::relu})
      check_layer(nn::Performer(4, 2, {.kernel = kernel, .features = 3, .redraw_every = 0, .causal = causal}),
                  {1, 4, 4});
    check_layer(nn::NormAttention(4, 2, {.causal = causal}), {1, 4, 4});
    check_layer(nn::GatedAttentionUnit(3, {.expanded = 4, .key_width = 2, .causal = causal}), {1, 4, 3});
    for (nn::GatedWeights weights :
         {nn::GatedWeights::squared_relu_by_length, nn::GatedWeights::squared_relu_by_row, nn::GatedWeights::softmax})
      check_layer(nn::GatedAttentionUnit(
                      3, {.expanded = 4, .key_width = 2, .weights = weights, .max_length = 4, .causal = causal}),
                  {1, 4, 3}, weights == nn::GatedWeights::squared_relu_by_row ? 128 : 16);  // rows may sum to nearly 0
    check_layer(nn::MixedChunkAttention(3, {.expanded = 4, .key_width = 2, .size = 2, .causal = causal}), {1, 5, 3});
    check_layer(nn::SparseAttention(4, 2, {.window = 1, .causal = causal}), {1, 5, 4});
    check_layer(nn::SparseAttention(4, 2,
                                    {.pattern = SparsePattern::fixed,
                                     .odd_heads = SparsePattern::combined,
                                     .window = 1,
                                     .stride = 2,
                                     .summary = 1,
                                     .causal = causal}),
                {1, 5, 4});
    for (nn::DiagWeights weights : {nn::DiagWeights::softmax, nn::DiagWeights::relu})
      check_layer(nn::DiagAttention(4, 2, {.block = 3, .weights = weights, .causal = causal}), {1, 5, 4});
  }
}
