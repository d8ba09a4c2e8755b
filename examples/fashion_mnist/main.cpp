// Trains a small convolutional network to tell ten kinds of clothes apart, and measures it on 10,000 images that it has
// not seen. Writes what happened to runs/fashion_mnist/: numbers, curves, the confusion of the classes, and samples.
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
using ct::Tensor;

struct Settings {
  std::string data;  // where the data set lies; empty for Debian's package
  std::string out = "runs/fashion_mnist";
  int64_t epochs = 5, batch_size = 64;
  int64_t steps = 0;  // stop after so many; 0 for no limit
  double lr = 1.5e-3, weight_decay = 1e-2;
  uint64_t seed = 1;
};

// ---- The model: two convolutions find patterns in ever larger parts of the image, two linear layers judge them. ----

struct Net : nn::Module {
  nn::Conv2d conv1{1, 32, 3, {.padding = 1}}, conv2{32, 64, 3, {.padding = 1}};
  nn::Linear hidden{64 * 7 * 7, 128}, output{128, 10};
  nn::Dropout dropout{0.25};
  COTANGENT_MODULE(conv1, conv2, hidden, output, dropout)

  Tensor forward(Tensor x) {                    // (B, 1, 28, 28)
    x = ct::max_pool2d(ct::relu(conv1(x)), 2);  // (B, 32, 14, 14)
    x = ct::max_pool2d(ct::relu(conv2(x)), 2);  // (B, 64, 7, 7)
    x = ct::relu(hidden(x.flatten(1)));         // (B, 128)
    return output(dropout(x));                  // (B, 10): a score for each class
  }
};

// ---- Measuring: the class with the highest score is the prediction. ----

struct Result {
  double loss = 0, accuracy = 0;
  std::vector<int64_t> predictions;
};

Result evaluate(Net& model, const ct::data::Dataset& set) {
  const ct::NoGrad guard;
  model.eval();
  Result result;
  ct::data::DataLoader loader(set, {.batch_size = 250});
  for (const auto& [images, labels] : loader) {
    const Tensor scores = model(images), predicted = ct::argmax(scores, 1);
    result.loss += ct::cross_entropy(scores, labels, {.reduction = ct::Reduction::sum}).item();
    result.accuracy += ct::sum(predicted == labels).item();
    for (int64_t label : predicted.to_vector<int64_t>()) result.predictions.push_back(label);
  }
  result.loss /= static_cast<double>(set.size());
  result.accuracy /= static_cast<double>(set.size());
  model.train();
  return result;
}

// ---- Training ----

void train(const Settings& settings) {
  ct::manual_seed(settings.seed);
  const ct::data::FashionMnist train_set(ct::data::Split::train, settings.data);
  const ct::data::FashionMnist test_set(ct::data::Split::test, settings.data);
  ct::data::DataLoader loader(train_set, {.batch_size = settings.batch_size, .shuffle = true, .seed = settings.seed});

  Net model;
  std::printf("%s\n", to_string(model).c_str());
  ct::optim::AdamW optimizer(model.parameters(), {.lr = settings.lr, .weight_decay = settings.weight_decay});

  std::filesystem::create_directories(settings.out);
  std::ofstream metrics(settings.out + "/metrics.csv");
  metrics << "step,epoch,train_loss,test_loss,test_accuracy,seconds\n";
  const auto start = std::chrono::steady_clock::now();
  auto seconds = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); };

  const int64_t total = settings.steps > 0 ? settings.steps : settings.epochs * loader.size();
  const std::string epochs = "/" + std::to_string((total + loader.size() - 1) / loader.size());
  int64_t step = 0;
  Result result;
  for (int64_t epoch = 1; step < total; ++epoch) {
    {
      ct::data::Progress progress("epoch " + std::to_string(epoch) + epochs, std::min(loader.size(), total - step));
      for (const auto& [images, labels] : loader) {
        // the learning rate falls to 0 along half a cosine (Loshchilov and Hutter 2017)
        optimizer.lr() =
            settings.lr * 0.5 * (1 + std::cos(M_PI * static_cast<double>(step) / static_cast<double>(total)));
        optimizer.zero_grad();
        const Tensor loss = ct::cross_entropy(model(images), labels);
        check_loss(loss.item(), step + 1);
        loss.backward();
        optimizer.step();
        progress.step(loss.item());
        if (++step % 50 == 0 || step == total)
          metrics << step << ',' << epoch << ',' << progress.average_loss() << ",,," << seconds() << '\n';
        if (step == total) break;
      }
    }
    result = evaluate(model, test_set);
    metrics << step << ',' << epoch << ",," << result.loss << ',' << result.accuracy << ',' << seconds() << '\n';
    std::printf("epoch %lld: test loss %.4f, test accuracy %.4f\n", static_cast<long long>(epoch), result.loss,
                result.accuracy);
  }
  metrics.close();

  draw_curves(settings.out);
  draw_confusion(test_set, result.predictions, settings.out);
  draw_samples(test_set, result.predictions, settings.out);
  std::printf("metrics and pictures are in %s\n", settings.out.c_str());
  std::printf("test accuracy: %.4f\n", result.accuracy);
}

int main(int argc, char** argv) {
  Settings settings;
  CommandLine options("fashion_mnist", "Trains a small convolutional network on Fashion-MNIST.");
  options.add("--data", settings.data, "Directory of the four IDX files (default: Debian's dataset-fashion-mnist)");
  options.add("--out", settings.out, "Directory for metrics and pictures");
  options.add("--epochs", settings.epochs, "Passes over the 60,000 training images", kPositive);
  options.add("--steps", settings.steps, "Stop after so many batches; 0 for no limit", kNotNegative);
  options.add("--batch-size", settings.batch_size, "Images a step", kPositive);
  options.add("--lr", settings.lr, "Learning rate at the start");
  options.add("--weight-decay", settings.weight_decay, "How fast weights shrink, in parts of the learning rate");
  options.add("--seed", settings.seed, "Seed of the weights, the order of the images and the dropout");
  return options.run(argc, argv, [&] { train(settings); });
}
