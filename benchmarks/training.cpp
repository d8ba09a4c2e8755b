// Whole training steps.
#include <cmath>

#include "bench.hpp"

#include <cotangent/zoo/mobilenet.hpp>

namespace bench {
namespace {

namespace nn = ct::nn;

template <class Model>
Step classify(Model model, const Tensor& images) {
  ct::optim::AdamW optimizer(model.parameters(), {.lr = 1e-3});
  return training_step(
      std::move(model), std::move(optimizer),
      [x = images, y = ct::randint(0, 10, {images.size(0)})](Model& m) { return ct::cross_entropy(m(x), y); });
}
Step classify(nn::Sequential model, int64_t batch) { return classify(std::move(model), ct::randn({batch, 1, 28, 28})); }

Step mlp(const std::vector<int64_t>& s) {  // 784-256-128-10
  return classify(nn::Sequential(nn::Flatten(), nn::Linear(784, 256), nn::ReLU(), nn::Linear(256, 128), nn::ReLU(),
                                 nn::Linear(128, 10)),
                  s[0]);
}

Step cnn(const std::vector<int64_t>& s) {  // two 3x3 convolutions with pooling
  return classify(nn::Sequential(nn::Conv2d(1, 32, 3, {.padding = 1}), nn::ReLU(), nn::MaxPool2d(2),
                                 nn::Conv2d(32, 64, 3, {.padding = 1}), nn::ReLU(), nn::MaxPool2d(2), nn::Flatten(),
                                 nn::Linear(3136, 128), nn::ReLU(), nn::Linear(128, 10)),
                  s[0]);
}

const ct::zoo::MobileNetOptions kMobilenet{// for 28x28
                                           .in_channels = 1,
                                           .classes = 10,
                                           .stem_stride = 1,
                                           .blocks = {{64}, {128, 2}, {128}, {256, 2}, {256}, {512, 2}, {512}}};

Step mobilenet(const std::vector<int64_t>& s) {
  ct::zoo::MobileNet net(kMobilenet);
  return classify(std::move(net), channels_last({s[0], 1, 28, 28}));
}

/// With its gradients; only those of the first layer's input are not needed.
double mobilenet_flops(double batch) {
  double side = 28, in = 32, flops = 2 * 2 * batch * in * side * side * 9;
  for (const ct::zoo::MobileNetBlock& b : kMobilenet.blocks) {
    const auto out = static_cast<double>(b.channels);
    side = std::floor((side - 1) / static_cast<double>(b.stride)) + 1;
    const double pixels = batch * side * side;
    flops += matmul_flops(pixels, in, 9) + matmul_flops(pixels, out, in);
    in = out;
  }
  return flops + matmul_flops(batch, 10, in);
}

struct Block : nn::Module {
  explicit Block(int64_t d, int64_t heads_)
      : n1(d), n2(d), qkv(d, 3 * d), proj(d, d), up(d, 4 * d), down(4 * d, d), heads(heads_) {}
  nn::LayerNorm n1, n2;
  nn::Linear qkv, proj, up, down;
  int64_t heads;
  COTANGENT_MODULE(n1, n2, qkv, proj, up, down)

  Tensor forward(const Tensor& in) {
    const int64_t b = in.size(0), t = in.size(1), d = in.size(2);
    const Tensors parts = ct::unbind(qkv(n1(in)).view({b, t, 3, heads, d / heads}).permute({2, 0, 3, 1, 4}));
    const Tensor y = ct::scaled_dot_product_attention(parts[0], parts[1], parts[2], {.causal = true});
    const Tensor x = in + proj(y.transpose(1, 2).reshape({b, t, d}));
    return x + down(ct::gelu(up(n2(x))));
  }
};

struct Gpt : nn::Module {
  Gpt(int64_t vocabulary, int64_t t, int64_t d, int64_t heads, int64_t layers)
      : tok(vocabulary, d),
        pos(t, d),
        blocks(nn::repeat(layers, [&] { return Block(d, heads); })),
        norm(d),
        head(d, vocabulary, {.bias = false}) {}
  nn::Embedding tok, pos;
  std::vector<Block> blocks;
  nn::LayerNorm norm;
  nn::Linear head;
  COTANGENT_MODULE(tok, pos, blocks, norm, head)

  Tensor forward(const Tensor& i) {
    Tensor x = tok(i) + pos.weight.slice(0, 0, i.size(1));
    for (Block& block : blocks) x = block(x);
    return head(norm(x));
  }
};

Step gpt(const std::vector<int64_t>& s) {  // 4 layers, width 128, 4 heads, context 128, vocabulary 96
  Gpt model(96, 128, 128, 4, 4);
  ct::optim::AdamW optimizer(model.parameters(), {.lr = 1e-3});
  const int64_t batch = s[0];
  return training_step(std::move(model), std::move(optimizer),
                       [i = ct::randint(0, 96, {batch, 128}), y = ct::randint(0, 96, {batch * 128})](Gpt& m) {
                         return ct::cross_entropy(m(i).view({-1, 96}), y);
                       });
}

/// A 3x3 convolution, a batch norm and a ReLU, as most of a vision model is.
nn::Sequential conv_norm_relu(int64_t in, int64_t out, int64_t stride = 1) {
  return nn::Sequential(nn::Conv2d(in, out, 3, {.stride = stride, .padding = 1, .bias = false}), nn::BatchNorm2d(out),
                        nn::ReLU());
}

struct ResidualBlock : nn::Module {
  ResidualBlock(int64_t in, int64_t out, int64_t stride)
      : first(conv_norm_relu(in, out, stride)), second(out, out, 3, {.padding = 1, .bias = false}), norm(out) {
    if (in != out || stride != 1)
      shortcut = nn::Sequential(nn::Conv2d(in, out, 1, {.stride = stride, .bias = false}), nn::BatchNorm2d(out));
  }
  nn::Sequential first;
  nn::Conv2d second;
  nn::BatchNorm2d norm;
  nn::Sequential shortcut;
  COTANGENT_MODULE(first, second, norm, shortcut)

  Tensor forward(const Tensor& x) { return ct::relu(norm(second(first(x))) + (shortcut.size() ? shortcut(x) : x)); }
};

/// ResNet-20 for images of 32x32 (He et al. 2015, section 4.2), with projections as shortcuts.
struct ResNet20 : nn::Module {
  ResNet20() : stem(conv_norm_relu(3, 16)), head(64, 10) {
    int64_t in = 16;
    for (int64_t out : {16, 32, 64})
      for (int i = 0; i < 3; ++i) blocks.emplace_back(in, out, i == 0 && out > 16 ? 2 : 1), in = out;
  }
  nn::Sequential stem;
  std::vector<ResidualBlock> blocks;
  nn::Linear head;
  COTANGENT_MODULE(stem, blocks, head)

  Tensor forward(const Tensor& images) {
    Tensor x = stem(images);
    for (ResidualBlock& block : blocks) x = block(x);
    return head(ct::mean(x, {2, 3}));
  }
};

Step resnet(const std::vector<int64_t>& s) { return classify(ResNet20(), ct::randn({s[0], 3, 32, 32})); }
Step resnet_channels_last(const std::vector<int64_t>& s) {
  return classify(ResNet20(), channels_last({s[0], 3, 32, 32}));
}

/// The U of Ronneberger et al. 2015, padded so that sizes stay, with two poolings and a batch norm a convolution.
struct UNet : nn::Module {
  static nn::Sequential two(int64_t in, int64_t out) {
    return nn::Sequential(conv_norm_relu(in, out), conv_norm_relu(out, out));
  }
  nn::Sequential down1 = two(3, 32), down2 = two(32, 64), bottom = two(64, 128), up2 = two(128, 64), up1 = two(64, 32);
  nn::ConvTranspose2d rise2{128, 64, 2, {.stride = 2}}, rise1{64, 32, 2, {.stride = 2}};
  nn::Conv2d head{32, 3, 1};
  COTANGENT_MODULE(down1, down2, bottom, up2, up1, rise2, rise1, head)

  Tensor forward(const Tensor& images) {
    const Tensor a = down1(images), b = down2(ct::max_pool2d(a, 2)), c = bottom(ct::max_pool2d(b, 2));
    const Tensor d = up2(ct::cat({rise2(c), b}, 1));
    return head(up1(ct::cat({rise1(d), a}, 1)));
  }
};

Step unet(const std::vector<int64_t>& s) {
  UNet model;
  ct::optim::AdamW optimizer(model.parameters(), {.lr = 1e-3});
  const Shape images{s[0], 3, 64, 64};
  return training_step(std::move(model), std::move(optimizer),
                       [x = ct::randn(images), y = ct::randn(images)](UNet& m) { return ct::mse_loss(m(x), y); });
}

double resnet_flops(double batch) {
  const auto stage = [&](double side, double width, double in) {
    const double pixels = batch * side * side;
    return matmul_flops(pixels, width, 9 * (in + 5 * width)) + (in == width ? 0 : matmul_flops(pixels, width, in));
  };
  return 2 * 2 * batch * 32 * 32 * 16 * 27 + stage(32, 16, 16) + stage(16, 32, 16) + stage(8, 64, 32);
}
double unet_flops(double batch) {
  const auto two = [&](double side, double in, double out) {
    return matmul_flops(batch * side * side, out, 9 * (in + out));
  };
  const auto rise = [&](double side, double in, double out) { return matmul_flops(batch * side * side, 4 * out, in); };
  return two(64, 3, 32) - 2 * batch * 64 * 64 * 32 * 27 + two(32, 32, 64) + two(16, 64, 128) + rise(16, 128, 64) +
         two(32, 128, 64) + rise(32, 64, 32) + two(64, 64, 32) + matmul_flops(batch * 64 * 64, 3, 32);
}
double gpt_flops(double batch) {
  return matmul_flops(batch * 128, 1, 4 * 12 * 128 * 128 + 96 * 128) + 4 * attention_flops(batch * 4, 128, 32, true);
}
double mlp_flops(double batch) {
  return matmul_flops(batch, 1, 784 * 256 + 256 * 128 + 128 * 10) - 2 * batch * 784 * 256;
}
double cnn_flops(double batch) {
  return 2 * 2 * batch * 32 * 28 * 28 * 9 + matmul_flops(batch * 64 * 14 * 14, 1, 32 * 9) +
         matmul_flops(batch, 1, 3136 * 128 + 128 * 10);
}

}  // namespace

std::vector<Workload> training() {
  return {
      {"train_mlp", mlp, {.flops = mlp_flops(128)}, {128}},
      {"train_cnn", cnn, {.flops = cnn_flops(64)}, {64}},
      {"train_mobilenet", mobilenet, {.flops = mobilenet_flops(64)}, {64}},
      {"train_gpt", gpt, {.flops = gpt_flops(16)}, {16}},
      {"train_resnet", resnet, {.flops = resnet_flops(64)}, {64}},
      {"train_resnet_channels_last", resnet_channels_last, {.flops = resnet_flops(64)}, {64}},
      {"train_unet", unet, {.flops = unet_flops(8)}, {8}},
  };
}

}  // namespace bench
