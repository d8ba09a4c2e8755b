#include <cotangent/data/fashion_mnist.hpp>

#include <cstdlib>

#include <catch2/catch.hpp>

#include "files.hpp"

using namespace cotangent;
using data::FashionMnist;
using data::Split;

namespace {

/// A data set of `count` images, pixel p of image i being (i + p) mod 256, and label i mod 10.
void write_small(const TemporaryDirectory& directory, const std::string& prefix, uint32_t count, bool compressed) {
  std::vector<uint8_t> images = idx_header(0x08, {count, 28, 28}), labels = idx_header(0x08, {count});
  for (uint32_t i = 0; i < count; ++i) {
    for (uint32_t p = 0; p < 784; ++p) images.push_back(static_cast<uint8_t>(i + p));
    labels.push_back(static_cast<uint8_t>(i % 10));
  }
  if (compressed) {
    write_gzip(directory / (prefix + "-images-idx3-ubyte.gz"), images);
    write_gzip(directory / (prefix + "-labels-idx1-ubyte.gz"), labels);
  } else {
    write_plain(directory / (prefix + "-images-idx3-ubyte"), images);
    write_plain(directory / (prefix + "-labels-idx1-ubyte"), labels);
  }
}

std::string message_of(const std::string& directory) {
  try {
    FashionMnist set(Split::train, directory);
  } catch (const IOError& error) {
    return error.what();
  }
  return "nothing thrown";
}

}  // namespace

TEST_CASE("FashionMnist reads the files of a directory and scales the pixels") {
  TemporaryDirectory directory;
  write_small(directory, "train", 12, true);
  write_small(directory, "t10k", 3, false);
  const FashionMnist train(Split::train, directory.path.string()), test(Split::test, directory.path.string());
  CHECK(train.size() == 12);
  CHECK(test.size() == 3);
  CHECK(train.images().shape() == Shape{12, 28, 28});
  const int64_t indices[] = {11, 0};
  const data::Batch batch = train.batch(indices, default_generator());
  CHECK(batch.x.shape() == Shape{2, 1, 28, 28});
  CHECK(batch.y.to_vector<int64_t>() == std::vector<int64_t>{1, 0});
  CHECK(batch.x.data<float>()[0] == Approx((11 / 255.0 - 0.2860) / 0.3530));
  CHECK(batch.x.data<float>()[784 + 255] == Approx((1 - 0.2860) / 0.3530));
  const int64_t beyond[] = {12};
  CHECK_THROWS_AS(train.batch(beyond, default_generator()), IndexError);
  setenv("FASHION_MNIST_DIR", directory.path.c_str(), 1);
  CHECK(FashionMnist(Split::test).size() == 3);
  unsetenv("FASHION_MNIST_DIR");
}

TEST_CASE("FashionMnist says what is missing or does not fit") {
  TemporaryDirectory directory;
  const std::string path = directory.path.string();
  CHECK_THAT(message_of(path),
             Catch::Contains("holds no train-images-idx3-ubyte.gz; install Debian's package dataset-fashion-mnist"));
  write_small(directory, "train", 2, false);
  write_plain(directory / "train-images-idx3-ubyte", idx_header(0x08, {2, 7, 7}) + std::vector<uint8_t>(98));
  CHECK_THAT(message_of(path), Catch::Contains("holds uint8 (2, 7, 7); it should hold images"));
  write_small(directory, "train", 2, false);
  write_plain(directory / "train-labels-idx1-ubyte", idx_header(0x08, {3}) + std::vector<uint8_t>(3));
  CHECK_THAT(message_of(path), Catch::Contains("it should hold 2 labels"));
  write_plain(directory / "train-labels-idx1-ubyte", idx_header(0x08, {2}) + std::vector<uint8_t>{1, 10});
  CHECK_THAT(message_of(path), Catch::Contains("label 1 in") && Catch::Contains("is 10; labels are 0 to 9"));
}

TEST_CASE("the classes of Fashion-MNIST have names") {
  CHECK(std::string(FashionMnist::class_name(0)) == "T-shirt/top");
  CHECK(std::string(FashionMnist::class_name(9)) == "Ankle boot");
  CHECK_THROWS_AS(FashionMnist::class_name(10), IndexError);
}

TEST_CASE("Debian's package holds what it should", "[slow]") {
  if (!std::filesystem::exists("/usr/share/datasets/fashion-mnist")) {
    WARN("dataset-fashion-mnist is not installed: nothing was tested");
    return;
  }
  const FashionMnist train(Split::train), test(Split::test);
  CHECK(train.size() == 60000);
  CHECK(test.size() == 10000);
  std::vector<int64_t> all(60000);
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int64_t>(i);
  const data::Batch batch = train.batch(all, default_generator());
  double sum = 0, squares = 0;
  for (int64_t i = 0; i < batch.x.numel(); ++i) {
    const double v = batch.x.data<float>()[i];
    sum += v, squares += v * v;
  }
  CHECK(sum / double(batch.x.numel()) == Approx(0).margin(0.001));
  CHECK(squares / double(batch.x.numel()) == Approx(1).margin(0.002));
  std::vector<int64_t> counts(10);
  for (int64_t label : batch.y.to_vector<int64_t>()) ++counts[static_cast<size_t>(label)];
  CHECK(counts == std::vector<int64_t>(10, 6000));
}
