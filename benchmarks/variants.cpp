// More of the kind that people try: the same ops in other shapes, types and settings. Their names hold the sizes.
#include "bench.hpp"

namespace bench {
namespace {

using Sizes = std::vector<int64_t>;

/// y = f(x) for one x.
template <auto f>
Step of_one(const Sizes& s) {
  Shape shape;
  for (int64_t n : s) shape.push_back(n);
  const Tensor x = leaf(shape);
  return forward_backward({x}, [=] { return f(x); });
}
template <auto f>
Step of_one_in_float64(const Sizes& s) {
  Shape shape;
  for (int64_t n : s) shape.push_back(n);
  const Tensor x = leaf(shape, ct::float64);
  return forward_backward({x}, [=] { return f(x); });
}

void activations(std::vector<Workload>& to) {
  const Sizes size{1024, 1024};
  const Work work{.bytes = floats(5 * 1024 * 1024)};
#define BENCH_ACTIVATION(name, expression) \
  to.push_back({"act_" #name, of_one<[](const Tensor& x) { return expression; }>, work, size});
  BENCH_ACTIVATION(relu, ct::relu(x))
  BENCH_ACTIVATION(relu6, ct::relu6(x))
  BENCH_ACTIVATION(leaky_relu, ct::leaky_relu(x))
  BENCH_ACTIVATION(gelu_tanh, ct::gelu(x, ct::Gelu::tanh))
  BENCH_ACTIVATION(sigmoid, ct::sigmoid(x))
  BENCH_ACTIVATION(tanh, ct::tanh(x))
  BENCH_ACTIVATION(softplus, ct::softplus(x))
  BENCH_ACTIVATION(log_sigmoid, ct::log_sigmoid(x))
  BENCH_ACTIVATION(elu, ct::elu(x))
  BENCH_ACTIVATION(celu, ct::celu(x))
  BENCH_ACTIVATION(selu, ct::selu(x))
  BENCH_ACTIVATION(mish, ct::mish(x))
  BENCH_ACTIVATION(softsign, ct::softsign(x))
  BENCH_ACTIVATION(hardsigmoid, ct::hardsigmoid(x))
  BENCH_ACTIVATION(hardswish, ct::hardswish(x))
  BENCH_ACTIVATION(hardtanh, ct::hardtanh(x))
  BENCH_ACTIVATION(softshrink, ct::softshrink(x))
  BENCH_ACTIVATION(hardshrink, ct::hardshrink(x))
  BENCH_ACTIVATION(tanhshrink, ct::tanhshrink(x))
  BENCH_ACTIVATION(glu, ct::glu(x))
  BENCH_ACTIVATION(exp, ct::exp(x))
  BENCH_ACTIVATION(square, ct::square(x))
  BENCH_ACTIVATION(dropout, ct::dropout(x, 0.1))
#undef BENCH_ACTIVATION
}

template <bool a_transposed, bool b_transposed>
Step matmul(const Sizes& s) {
  const Tensor a = leaf({s[0], s[0]}), b = leaf({s[0], s[0]});
  return forward_backward({a, b}, [=] { return ct::matmul(a_transposed ? a.t() : a, b_transposed ? b.t() : b); });
}
void matmuls(std::vector<Workload>& to) {
  for (int64_t n : {8, 16, 32, 64, 128, 256, 512, 1024}) {
    const std::string name = "matmul_" + std::to_string(n);
    const Work work{.flops = matmul_flops(double(n), double(n), double(n))};
    to.push_back({name + "_nn", matmul<false, false>, work, {n}});
    to.push_back({name + "_nt", matmul<false, true>, work, {n}});
    to.push_back({name + "_tn", matmul<true, false>, work, {n}});
    to.push_back({name + "_tt", matmul<true, true>, work, {n}});
  }
  for (int64_t n : {1, 8, 64, 512})
    to.push_back({"linear_batch" + std::to_string(n),
                  [](const Sizes& s) {
                    const Tensor x = leaf({s[0], 512}), w = leaf({512, 512}), b = leaf({512});
                    return forward_backward({x, w, b}, [=] { return ct::linear(x, w, b); });
                  },
                  {.flops = matmul_flops(double(n), 512, 512)},
                  {n}});
}

/// Sizes: N, C, H, O, kernel, stride, padding, dilation, groups.
template <ct::Dtype dtype = ct::float32>
Step convolution(const Sizes& s) {
  const Tensor x = leaf({s[0], s[1], s[2], s[2]}, dtype), w = leaf({s[3], s[1] / s[8], s[4], s[4]}, dtype),
               b = leaf({s[3]}, dtype);
  return forward_backward({x, w, b}, [=, stride = s[5], padding = s[6], dilation = s[7], groups = s[8]] {
    return ct::conv2d(x, w, b, {.stride = stride, .padding = padding, .dilation = dilation, .groups = groups});
  });
}
void convolutions(std::vector<Workload>& to) {
  auto add = [&](const std::string& name, const Sizes& s) {
    const int64_t out = (s[2] + 2 * s[6] - s[7] * (s[4] - 1) - 1) / s[5] + 1;
    const double work = double(s[0] * s[3] * out * out) * double(s[1] / s[8] * s[4] * s[4]);
    to.push_back({"conv_" + name, convolution<>, {.flops = 3 * 2 * work}, s});
    if (name == "images32") to.push_back({"conv_f64", convolution<ct::float64>, {.flops = 2 * 3 * 2 * work}, s});
  };
  for (int64_t n : {1, 4, 16, 32, 64, 256}) add("images" + std::to_string(n), {n, 32, 28, 32, 3, 1, 1, 1, 1});
  add("first_layer", {64, 3, 32, 64, 3, 1, 1, 1, 1});
  add("5x5", {32, 32, 28, 32, 5, 1, 2, 1, 1});
  add("7x7_stride2", {8, 3, 112, 64, 7, 2, 3, 1, 1});
  add("stride2", {32, 64, 28, 64, 3, 2, 1, 1, 1});
  add("dilation2", {32, 32, 28, 32, 3, 1, 2, 2, 1});
  add("groups4", {32, 64, 28, 64, 3, 1, 1, 1, 4});
  add("1x1_wide", {32, 256, 14, 256, 1, 1, 0, 1, 1});
  add("depthwise_stride2", {32, 128, 28, 128, 3, 2, 1, 1, 128});
  add("small_maps", {32, 256, 7, 256, 3, 1, 1, 1, 1});
  to.push_back({"conv1d",
                [](const Sizes&) {
                  const Tensor x = leaf({16, 64, 512}), w = leaf({64, 64, 5}), b = leaf({64});
                  return forward_backward({x, w, b}, [=] { return ct::conv1d(x, w, b, {.padding = 2}); });
                },
                {.flops = 3 * 2 * 16 * 64 * 512 * 64 * 5.0}});
  to.push_back({"conv3d",
                [](const Sizes&) {
                  const Tensor x = leaf({4, 16, 16, 16, 16}), w = leaf({32, 16, 3, 3, 3}), b = leaf({32});
                  return forward_backward({x, w, b}, [=] { return ct::conv3d(x, w, b, {.padding = 1}); });
                },
                {.flops = 3 * 2 * 4 * 32 * 4096 * 16 * 27.0}});
}

void pools(std::vector<Workload>& to) {
  const Sizes size{32, 64, 28, 28};
#define BENCH_POOL(name, expression) \
  to.push_back({#name, of_one<[](const Tensor& x) { return expression; }>, {}, size});
  BENCH_POOL(pool_max_3x3_stride2, ct::max_pool2d(x, 3, {.stride = 2, .padding = 1}))
  BENCH_POOL(pool_max_3x3_stride1, ct::max_pool2d(x, 3, {.stride = 1, .padding = 1}))
  BENCH_POOL(pool_avg_2x2, ct::avg_pool2d(x, 2))
  BENCH_POOL(pool_avg_3x3_stride1, ct::avg_pool2d(x, 3, {.stride = 1, .padding = 1}))
  BENCH_POOL(pool_adaptive_1, ct::adaptive_avg_pool2d(x, 1))
  BENCH_POOL(pool_adaptive_7, ct::adaptive_avg_pool2d(x, 7))
  BENCH_POOL(upsample_nearest, ct::interpolate(x, {.scale_factor = 2}))
  BENCH_POOL(upsample_bicubic, ct::interpolate(x, {.scale_factor = 2, .mode = ct::Interpolation::bicubic}))
  BENCH_POOL(pixel_unshuffle, ct::pixel_unshuffle(x, 2))
#undef BENCH_POOL
}

template <bool causal>
Step attention(const Sizes& s) {
  const Shape shape{4096 / s[0], 4, s[0], 64};
  const Tensor q = leaf(shape), k = leaf(shape), v = leaf(shape);
  return forward_backward({q, k, v}, [=] { return ct::scaled_dot_product_attention(q, k, v, {.causal = causal}); });
}
void attentions(std::vector<Workload>& to) {  // 4096 positions altogether
  for (int64_t t : {64, 128, 256, 512, 1024, 2048, 4096}) {
    const double heads = 4 * 4096 / double(t);
    to.push_back({"attention_causal_" + std::to_string(t),
                  attention<true>,
                  {.flops = attention_flops(heads, double(t), 64, true)},
                  {t}});
    to.push_back({"attention_full_" + std::to_string(t),
                  attention<false>,
                  {.flops = attention_flops(heads, double(t), 64, false)},
                  {t}});
  }
}

void reductions(std::vector<Workload>& to) {
  const Sizes size{256, 64, 256};
  const Work work{.bytes = floats(2 * 256 * 64 * 256)};
#define BENCH_REDUCTION(name, expression) \
  to.push_back({#name, of_one<[](const Tensor& x) { return expression; }>, work, size});
  BENCH_REDUCTION(sum_all, ct::sum(x))
  BENCH_REDUCTION(sum_dim0, ct::sum(x, 0))
  BENCH_REDUCTION(sum_dim1, ct::sum(x, 1))
  BENCH_REDUCTION(sum_dim2, ct::sum(x, 2))
  BENCH_REDUCTION(max_dim0, ct::max(x, 0).values)
  BENCH_REDUCTION(max_dim2, ct::max(x, 2).values)
  BENCH_REDUCTION(var_dim1, ct::var(x, 1))
  BENCH_REDUCTION(var_dim2, ct::var(x, 2))
  BENCH_REDUCTION(logsumexp_dim1, ct::logsumexp(x, 1))
  BENCH_REDUCTION(logsumexp_dim2, ct::logsumexp(x, 2))
  BENCH_REDUCTION(norm_all, ct::norm(x))
  BENCH_REDUCTION(softmax_dim0, ct::softmax(x, 0))
  BENCH_REDUCTION(softmax_dim1, ct::softmax(x, 1))
  BENCH_REDUCTION(log_softmax_dim2, ct::log_softmax(x, 2))
  BENCH_REDUCTION(cumsum_dim1, ct::cumsum(x, 1))
  BENCH_REDUCTION(cumsum_dim2, ct::cumsum(x, 2))
  BENCH_REDUCTION(sort_dim2, ct::sort(x, 2).values)
  BENCH_REDUCTION(topk_dim2, ct::topk(x, 8, 2).values)
  BENCH_REDUCTION(transpose_copy, x.transpose(0, 2).contiguous())
  BENCH_REDUCTION(cat_dim1, ct::cat({x, x}, 1))
  BENCH_REDUCTION(slice_step2, x.slice(2, 0, 256, 2) * 2)
#undef BENCH_REDUCTION
}

void normalizations(std::vector<Workload>& to) {
  const Work rows{.bytes = floats(5 * 4096 * 512)}, maps{.bytes = floats(5 * 32 * 64 * 28 * 28)};
  to.push_back({"norm_rms",
                [](const Sizes&) {
                  const Tensor a = leaf({4096, 512}), w = leaf({512});
                  return forward_backward({a, w}, [=] { return ct::rms_norm(a, {512}, w); });
                },
                rows});
  to.push_back({"norm_layer_wide",
                [](const Sizes&) {
                  const Tensor a = leaf({64, 32768}), w = leaf({32768}), b = leaf({32768});
                  return forward_backward({a, w, b}, [=] { return ct::layer_norm(a, {32768}, w, b); });
                },
                rows});
  to.push_back({"norm_group",
                [](const Sizes&) {
                  const Tensor a = leaf({32, 64, 28, 28}), w = leaf({64}), b = leaf({64});
                  return forward_backward({a, w, b}, [=] { return ct::group_norm(a, 8, w, b); });
                },
                maps});
  to.push_back({"norm_instance",
                [](const Sizes&) {
                  const Tensor a = leaf({32, 64, 28, 28}), w = leaf({64}), b = leaf({64});
                  return forward_backward({a, w, b}, [=] { return ct::instance_norm(a, {}, {}, w, b); });
                },
                maps});
  to.push_back({"norm_batch_rows",
                [](const Sizes&) {
                  const Tensor a = leaf({4096, 512}), w = leaf({512}), b = leaf({512});
                  return forward_backward({a, w, b}, [=] { return ct::batch_norm(a, {}, {}, w, b, true); });
                },
                rows});
}

template <class Layer>
Step recurrent(const Sizes& s) {  // steps, batch, hidden, layers, directions
  auto m =
      std::make_shared<Layer>(s[2], s[2], ct::nn::RecurrentOptions{.num_layers = s[3], .bidirectional = s[4] == 2});
  const Tensor x = leaf({s[0], s[1], s[2]});
  Tensors leaves = m->parameters();
  leaves.push_back(x);
  return forward_backward(leaves, [=] { return (*m)(x).output; });
}
void recurrent_layers(std::vector<Workload>& to) {
  auto flops = [](double gates) { return matmul_flops(64 * 32, gates * 128, 2 * 128); };
  to.push_back({"rnn", recurrent<ct::nn::RNN>, {.flops = flops(1)}, {64, 32, 128, 1, 1}});
  to.push_back({"gru", recurrent<ct::nn::GRU>, {.flops = flops(3)}, {64, 32, 128, 1, 1}});
  to.push_back({"lstm_batch1", recurrent<ct::nn::LSTM>, {.flops = flops(4) / 32}, {64, 1, 128, 1, 1}});
  to.push_back({"lstm_2_layers_both_ways", recurrent<ct::nn::LSTM>, {}, {64, 32, 128, 2, 2}});
}

template <int64_t n>
Tensor half_spectrum(const Tensor& x) {
  return ct::fft::rfft(x, n);
}
void transforms(std::vector<Workload>& to) {
  to.push_back({"rfft_4096", of_one<half_spectrum<4096>>, {}, {8, 256, 4096}});
  to.push_back({"rfft_4096_f64", of_one_in_float64<half_spectrum<4096>>, {}, {8, 256, 4096}});
  to.push_back({"rfft_1000", of_one<half_spectrum<1000>>, {}, {8, 256, 1000}});
  to.push_back({"rfft_prime_1021", of_one<half_spectrum<1021>>, {}, {8, 256, 1021}});
  to.push_back({"rfft_one_row", of_one<half_spectrum<65536>>, {}, {65536}});
  to.push_back({"fft_conv1d", [](const Sizes&) {
                  const Tensor x = leaf({8, 256, 2048}), k = leaf({256, 2048});
                  return forward_backward({x, k}, [=] { return ct::fft_conv1d(x, k); });
                }});
  to.push_back({"fft_conv1d_channels_last", [](const Sizes&) {
                  const Tensor x = leaf({8, 2048, 256}), k = leaf({256, 2048});
                  return forward_backward(
                      {x, k}, [=] { return ct::transpose(ct::fft_conv1d(ct::transpose(x, 1, 2), k), 1, 2); });
                }});
}

void others(std::vector<Workload>& to) {
  to.push_back({"loss_mse",
                [](const Sizes&) {
                  const Tensor x = leaf({1024, 1024}), y = ct::randn({1024, 1024});
                  return forward_backward({x}, [=] { return ct::mse_loss(x, y); });
                },
                {.bytes = floats(5 * 1024 * 1024)}});
  to.push_back({"loss_bce_with_logits",
                [](const Sizes&) {
                  const Tensor x = leaf({1024, 1024}), y = ct::rand({1024, 1024});
                  return forward_backward({x}, [=] { return ct::binary_cross_entropy_with_logits(x, y); });
                },
                {.bytes = floats(5 * 1024 * 1024)}});
  to.push_back({"cross_entropy_small", [](const Sizes&) {
                  const Tensor x = leaf({2048, 96}), y = ct::randint(0, 96, {2048});
                  return forward_backward({x}, [=] { return ct::cross_entropy(x, y); });
                }});
  to.push_back({"gather", [](const Sizes&) {
                  const Tensor x = leaf({4096, 512}), i = ct::randint(0, 512, {4096, 64});
                  return forward_backward({x}, [=] { return ct::gather(x, 1, i); });
                }});
  to.push_back({"index_select", [](const Sizes&) {
                  const Tensor x = leaf({4096, 512}), i = ct::randint(0, 4096, {2048});
                  return forward_backward({x}, [=] { return ct::index_select(x, 0, i); });
                }});
  to.push_back({"where",
                [](const Sizes&) {
                  const Tensor a = leaf({1024, 1024}), b = leaf({1024, 1024}), c = ct::randn({1024, 1024}) > 0;
                  return forward_backward({a, b}, [=] { return ct::where(c, a, b); });
                },
                {.bytes = floats(6 * 1024 * 1024)}});
  to.push_back({"adam_10m",
                [](const Sizes&) -> Step {
                  Tensors parameters;
                  for (int i = 0; i < 50; ++i) {
                    parameters.push_back(leaf({200'000}));
                    parameters.back().set_grad(ct::randn({200'000}));
                  }
                  return [o = std::make_shared<ct::optim::Adam>(parameters, ct::optim::AdamOptions{.lr = 1e-3})] {
                    o->step();
                  };
                },
                {.bytes = floats(7 * 10e6)}});
}

void in_float64(std::vector<Workload>& to) {
  const Sizes rows{2048, 512};
  const Work work{.bytes = 2 * floats(5 * 2048 * 512)};
  to.push_back({"gelu_f64", of_one_in_float64<[](const Tensor& x) { return ct::gelu(x); }>, work, rows});
  to.push_back({"tanh_f64", of_one_in_float64<[](const Tensor& x) { return ct::tanh(x); }>, work, rows});
  to.push_back({"softmax_f64", of_one_in_float64<[](const Tensor& x) { return ct::softmax(x, -1); }>, work, rows});
  to.push_back(
      {"layer_norm_f64", of_one_in_float64<[](const Tensor& x) { return ct::layer_norm(x, {512}); }>, work, rows});
  to.push_back({"sum_f64",
                of_one_in_float64<[](const Tensor& x) { return ct::sum(x, 0); }>,
                {.bytes = 2 * floats(2 * 2048 * 512)},
                rows});
  to.push_back({"matmul_256_f64",
                [](const Sizes&) {
                  const Tensor a = leaf({256, 256}, ct::float64), b = leaf({256, 256}, ct::float64);
                  return forward_backward({a, b}, [=] { return ct::matmul(a, b); });
                },
                {.flops = 2 * matmul_flops(256, 256, 256)}});
}

}  // namespace

std::vector<Workload> variants() {
  std::vector<Workload> all;
  for (auto family : {activations, matmuls, convolutions, pools, attentions, reductions, normalizations,
                      recurrent_layers, transforms, others, in_float64})
    family(all);
  return all;
}

}  // namespace bench
