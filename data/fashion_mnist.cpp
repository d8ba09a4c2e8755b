#include <cotangent/data/fashion_mnist.hpp>

#include <unistd.h>

#include <cstdlib>

#include <cotangent/data/idx.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::data {
namespace {

constexpr const char* kDebianDirectory = "/usr/share/datasets/fashion-mnist";
constexpr double kMean = 0.2860, kDeviation = 0.3530;  // of the training set's pixels, in [0, 1]
constexpr int64_t kPixels = 28 * 28;

std::string find_file(const std::string& directory, const std::string& name) {
  for (const char* ending : {".gz", ""}) {
    std::string path = directory;
    path.append("/").append(name).append(ending);
    if (access(path.c_str(), F_OK) == 0) return path;
  }
  fail<IOError>(
      "[FashionMnist] {} holds no {}.gz; install Debian's package dataset-fashion-mnist, or name the directory of the "
      "four "
      "files",
      directory, name);
}

}  // namespace

FashionMnist::FashionMnist(Split split, const std::string& directory) {
  const char* variable = std::getenv("FASHION_MNIST_DIR");
  const std::string place = !directory.empty() ? directory : variable && *variable ? variable : kDebianDirectory;
  const std::string prefix = split == Split::train ? "train" : "t10k";
  const std::string image_file = find_file(place, prefix + "-images-idx3-ubyte");
  const std::string label_file = find_file(place, prefix + "-labels-idx1-ubyte");
  images_ = read_idx(image_file);
  const Tensor labels = read_idx(label_file);
  if (images_.rank() != 3 || images_.size(1) != 28 || images_.size(2) != 28 || images_.dtype() != uint8)
    fail<IOError>("[FashionMnist] {} holds {} {}; it should hold images of shape (N, 28, 28) in uint8", image_file,
                  images_.dtype(), images_.shape());
  if (labels.rank() != 1 || labels.size(0) != images_.size(0) || labels.dtype() != uint8)
    fail<IOError>("[FashionMnist] {} holds {} {}; it should hold {} labels in uint8", label_file, labels.dtype(),
                  labels.shape(), images_.size(0));
  labels_ = raw::cast(labels, int64);
  for (int64_t i = 0; i < labels_.numel(); ++i)
    if (const int64_t label = labels_.data<int64_t>()[i]; label >= classes)
      fail<IOError>("[FashionMnist] label {} in {} is {}; labels are 0 to 9", i, label_file, label);
}

Batch FashionMnist::batch(std::span<const int64_t> indices, Generator&) const {
  struct Levels {
    float value[256];
    Levels() {
      for (int i = 0; i < 256; ++i) value[i] = static_cast<float>((i / 255.0 - kMean) / kDeviation);
    }
  };
  static const Levels levels;
  const auto count = static_cast<int64_t>(indices.size());
  Batch result{empty({count, 1, 28, 28}, float32), empty({count}, int64)};
  float* x = result.x.data<float>();
  int64_t* y = result.y.data<int64_t>();
  for (int64_t index : indices) {
    if (index < 0 || index >= size())
      fail<IndexError>("[FashionMnist] there is no example {}; there are {}", index, size());
    const uint8_t* pixels = images_.data<uint8_t>() + index * kPixels;
    for (int64_t p = 0; p < kPixels; ++p) *x++ = levels.value[pixels[p]];
    *y++ = labels_.data<int64_t>()[index];
  }
  return result;
}

const char* FashionMnist::class_name(int64_t label) {
  static constexpr const char* names[classes] = {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
                                                 "Sandal",      "Shirt",   "Sneaker",  "Bag",   "Ankle boot"};
  if (label < 0 || label >= classes)
    fail<IndexError>("[FashionMnist] there is no class {}; there are {}", label, int64_t{classes});
  return names[label];
}

}  // namespace cotangent::data
