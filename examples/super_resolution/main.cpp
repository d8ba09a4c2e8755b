// Enlarges images of 14 x 14 pixels to 28 x 28: by interpolation, and by small networks that learn it. They all look at
// the image in its low resolution, and differ in the layer that enlarges at the end. Writes to runs/super_resolution/
// the same images side by side, the course of the training, and the pattern of squares that a transposed convolution
// makes.
#include <chrono>
#include <cmath>
#include <cotangent/cotangent.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "../common/command_line.hpp"
#include "pictures.hpp"

namespace ct = cotangent;
namespace nn = cotangent::nn;
using ct::Interpolation;
using ct::Tensor;

struct Settings {
  std::string data;  // where the data set lies; empty for Debian's package
  std::string out = "runs/super_resolution";
  int64_t steps = 1500, batch_size = 64, test_images = 10000;
  double lr = 3e-3;
  uint64_t seed = 1;
};

// ---- The task: an image, and what is left of it when blocks of 2 x 2 pixels become one. ----

struct SmallAndLarge : ct::data::Dataset {
  SmallAndLarge(ct::data::Split split, const std::string& directory)
      : images(ct::data::FashionMnist(split, directory).images()) {}
  Tensor images;  // (N, 28, 28) uint8

  int64_t size() const override { return images.size(0); }
  ct::data::Batch batch(std::span<const int64_t> indices, ct::Generator&) const override {
    const Tensor chosen = ct::index_select(images, 0, ct::from_span(indices, {static_cast<int64_t>(indices.size())}));
    const Tensor large = chosen.unsqueeze(1).to(ct::float32) / 255;  // (B, 1, 28, 28)
    return {ct::interpolate(large, {.size = {14, 14}, .mode = Interpolation::area}), large};
  }
};

/// 10 log10(1 / mean squared error) of each image, in decibels: (B, 1, 28, 28) twice -> (B).
Tensor psnr(const Tensor& enlarged, const Tensor& original) {
  const Tensor difference = ct::clamp(enlarged, 0, 1) - original;
  return ct::log(ct::mean(difference * difference, {1, 2, 3})) * (-10 / std::log(10.0));
}

// ---- The networks: two convolutions find features, and the last layer turns them into four times as many pixels. ----

template <class Enlarging>
nn::Sequential network(uint64_t seed, Enlarging make_last) {
  ct::manual_seed(seed);  // the features of all networks start alike
  nn::Sequential net(nn::Conv2d(1, 32, 5, {.padding = ct::Padding::same}), nn::ReLU(),
                     nn::Conv2d(32, 32, 3, {.padding = ct::Padding::same}), nn::ReLU());
  net.append(make_last());
  return net;
}

struct Learned {
  std::string name;
  nn::Sequential net;
  Tensor overlap;                       // how many elements of the last kernel reach each pixel: (1, 1, 28, 28)
  ct::Tensors flat = {};                // what becomes of a flat grey image at first, early, and at the end
  std::vector<double> unevenness = {};  // the deviation within it, in grey levels
  ct::Tensors sample = {};              // what becomes of an image: (28, 28)
  std::vector<std::pair<int64_t, double>> course = {};  // step, PSNR
};

std::vector<Learned> networks(uint64_t seed) {
  const Tensor grid = ct::ones({1, 1, 14, 14});
  std::vector<Learned> all;
  // 2 does not divide 3: every second row and column gets contributions from twice as many pixels
  all.push_back(
      {"transposed 3",
       network(seed, [] { return nn::ConvTranspose2d(32, 1, 3, {.stride = 2, .padding = 1, .output_padding = 1}); }),
       ct::conv_transpose2d(grid, ct::ones({1, 1, 3, 3}), {}, {.stride = 2, .padding = 1, .output_padding = 1})});
  all.push_back({"transposed 4",
                 network(seed, [] { return nn::ConvTranspose2d(32, 1, 4, {.stride = 2, .padding = 1}); }),
                 ct::conv_transpose2d(grid, ct::ones({1, 1, 4, 4}), {}, {.stride = 2, .padding = 1})});
  // a convolution to four channels, whose pixels are then sorted into blocks of 2 x 2
  const Tensor even = ct::pixel_shuffle(ct::conv2d(grid, ct::ones({4, 1, 3, 3}), {}, {.padding = 1}), 2);
  all.push_back({"sub-pixel", network(seed, [] { return nn::SubPixelConv2d(32, 1, 2, {.icnr = false}); }), even});
  all.push_back({"sub-pixel icnr", network(seed, [] { return nn::SubPixelConv2d(32, 1, 2); }), even});
  return all;
}

// ---- Looking at a network ----

/// The middle, which the borders of the image do not reach: (1, 1, 28, 28) -> (12, 12).
Tensor middle(const Tensor& image) { return image[0][0].narrow(0, 8, 12).narrow(1, 8, 12); }

void take_picture(Learned& learned, const Tensor& small) {
  const ct::NoGrad guard;
  const Tensor flat = middle(learned.net(ct::full({1, 1, 14, 14}, 0.5))), deviation = flat - flat.mean();
  learned.flat.push_back(flat);
  learned.unevenness.push_back(255 * std::sqrt((deviation * deviation).mean().item()));
  learned.sample.push_back(learned.net(small)[0][0]);
}

template <class Method>
double mean_psnr(Method enlarge, const SmallAndLarge& set, int64_t count) {
  const ct::NoGrad guard;
  double sum = 0;
  for (int64_t first = 0; first < count; first += 250) {
    const auto indices = ct::arange(first, std::min(count, first + 250)).to_vector<int64_t>();
    const auto [small, large] = set.batch(indices, ct::default_generator());
    sum += psnr(enlarge(small), large).sum().item();
  }
  return sum / static_cast<double>(count);
}

// ---- Training: the mean squared error, and a learning rate that falls to 0. ----

constexpr int64_t kEvery = 50, kFew = 500;

/// The step of the second picture.
int64_t early(const Settings& settings) { return std::min<int64_t>(20, settings.steps - 1); }

void train(Learned& learned, const SmallAndLarge& train_set, const SmallAndLarge& test_set, const Tensor& sample,
           const Settings& settings) {
  ct::optim::Adam optimizer(learned.net.parameters(), {.lr = settings.lr});
  ct::data::Progress progress(learned.name, settings.steps);
  const auto total = static_cast<double>(settings.steps);
  const auto measure = [&](int64_t step) {
    const auto enlarge = [&](const Tensor& x) { return learned.net(x); };
    learned.course.emplace_back(step, mean_psnr(enlarge, test_set, std::min(kFew, settings.test_images)));
  };
  take_picture(learned, sample);
  for (int64_t step = 0; step < settings.steps; ++step) {
    if (step == early(settings)) take_picture(learned, sample);
    if (step % kEvery == 0) measure(step);
    optimizer.lr() = settings.lr * 0.5 * (1 + std::cos(M_PI * static_cast<double>(step) / total));
    optimizer.zero_grad();
    const auto [small, large] =
        ct::data::random_batch(train_set, settings.batch_size, settings.seed, static_cast<uint64_t>(step));
    const Tensor loss = ct::mse_loss(learned.net(small), large);
    check_loss(loss.item(), step + 1);
    loss.backward();
    optimizer.step();
    progress.step(loss.item());
  }
  measure(settings.steps);
  take_picture(learned, sample);
}

void run(const Settings& settings) {
  const SmallAndLarge train_set(ct::data::Split::train, settings.data), test_set(ct::data::Split::test, settings.data);
  std::filesystem::create_directories(settings.out);
  const int64_t count = std::min(settings.test_images, test_set.size());
  const std::vector<int64_t> shown{0, 1, 4, 8, 18, 19};  // a few of the test images
  const ct::data::Batch chosen = test_set.batch(shown, ct::default_generator());
  const Tensor &small = chosen.x, &large = chosen.y;
  std::vector<Column> columns;
  const auto show = [&](const std::string& name, const Tensor& images) {
    columns.push_back({name, images, psnr(images, large).to_vector<double>()});
  };

  std::vector<Learned> learned = networks(settings.seed);
  for (Learned& each : learned) train(each, train_set, test_set, small.narrow(0, 0, 1), settings);

  std::printf("\n%-16s %9s    unevenness of a flat image, in grey levels\n", "", "PSNR");
  std::printf("%-16s %9s    at first, after %lld steps, at the end\n", "", "dB",
              static_cast<long long>(early(settings)));
  double bicubic = 0, bicubic_of_few = 0, least = 1e9;
  for (Interpolation mode : {Interpolation::nearest, Interpolation::bilinear, Interpolation::bicubic}) {
    const auto enlarge = [&](const Tensor& x) { return ct::interpolate(x, {.scale_factor = 2, .mode = mode}); };
    bicubic = mean_psnr(enlarge, test_set, count);
    bicubic_of_few = mean_psnr(enlarge, test_set, std::min(kFew, count));
    std::printf("%-16s %9.2f\n", name(mode), bicubic);
    show(name(mode), enlarge(small));
  }
  std::vector<std::string> names;
  for (Learned& each : learned) {
    const ct::NoGrad guard;
    const double result = mean_psnr([&](const Tensor& x) { return each.net(x); }, test_set, count);
    std::printf("%-16s %9.2f %11.3f %9.3f %9.3f\n", each.name.c_str(), result, each.unevenness[0], each.unevenness[1],
                each.unevenness[2]);
    least = std::min(least, result);
    names.push_back(each.name);
    if (each.name == "transposed 4") show("transposed", each.net(small));
    if (each.name == "sub-pixel icnr") show("sub-pixel", each.net(small));
  }
  std::printf("the worst of the learned ones is %.2f dB %s bicubic interpolation\n", std::fabs(least - bicubic),
              least > bicubic ? "above" : "below");

  columns.push_back({"original", large, {}});
  draw_samples(columns, settings.out);

  const std::string when = "after " + std::to_string(early(settings)) + " steps";
  std::vector<Row> rows{{"overlap of the kernels", {}, true},
                        {"a flat image at first", {}, true},
                        {"the flat image " + when, {}, true},
                        {"an image " + when, {}, false},
                        {"the image at the end", {}, false}};
  for (Learned& each : learned) {
    const Tensor pictures[] = {middle(each.overlap), each.flat[0], each.flat[1], each.sample[1], each.sample[2]};
    for (size_t i = 0; i < rows.size(); ++i) rows[i].pictures.push_back(pictures[i]);
  }
  draw_checkerboard(names, rows, settings.out);

  std::ofstream csv(settings.out + "/psnr.csv");
  csv << "step";
  for (const std::string& name : names) csv << ',' << name;
  for (size_t i = 0; i < learned[0].course.size(); ++i) {
    csv << '\n' << learned[0].course[i].first;
    for (const Learned& each : learned) csv << ',' << each.course[i].second;
  }
  csv << '\n';
  csv.close();
  draw_curves(names, bicubic_of_few, settings.out);
  std::printf("pictures are in %s\n", settings.out.c_str());
}

int main(int argc, char** argv) {
  Settings settings;
  CommandLine options("super_resolution",
                      "Enlarges images of 14 x 14 pixels to 28 x 28, by interpolation and by networks.");
  options.add("--data", settings.data, "Directory of the IDX files (default: Debian's dataset-fashion-mnist)");
  options.add("--out", settings.out, "Directory for the pictures");
  options.add("--steps", settings.steps, "Training steps of each network", kPositive);
  options.add("--batch-size", settings.batch_size, "Images a step", kPositive);
  options.add("--test-images", settings.test_images, "Images to measure on", kPositive);
  options.add("--lr", settings.lr, "Learning rate at the start", kPositive);
  options.add("--seed", settings.seed, "Seed of the weights and the order of the images");
  return options.run(argc, argv, [&] { run(settings); });
}
