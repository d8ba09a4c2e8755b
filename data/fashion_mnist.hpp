#pragma once
#include <string>

#include <cotangent/data/dataset.hpp>

namespace cotangent::data {

enum class Split : uint8_t { train, test };

/// Fashion-MNIST: 60,000 + 10,000 grey images of 28 x 28 pixels, of clothes of 10 classes (Xiao, Rasul and Vollgraf
/// 2017).
///
/// The four IDX files, with or without .gz, are looked for in `directory`; when that is empty, in that of the
/// environment variable FASHION_MNIST_DIR, or else where Debian's package dataset-fashion-mnist puts them. An IOError
/// when they are missing or damaged.
class FashionMnist : public Dataset {
 public:
  explicit FashionMnist(Split split, const std::string& directory = "");

  int64_t size() const override { return labels_.numel(); }
  /// x (B, 1, 28, 28) float32 with mean 0 and deviation 1 over the training set; y (B) int64.
  Batch batch(std::span<const int64_t> indices, Generator& generator) const override;

  const Tensor& images() const { return images_; }  ///< (N, 28, 28) uint8: 0 is the background
  const Tensor& labels() const { return labels_; }  ///< (N) int64

  static constexpr int64_t classes = 10;
  /// "T-shirt/top", "Trouser", ... An IndexError beyond 9.
  static const char* class_name(int64_t label);

 private:
  Tensor images_, labels_;
};

}  // namespace cotangent::data
