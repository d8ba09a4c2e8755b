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
  };
}

}  // namespace bench
