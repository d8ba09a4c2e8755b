#pragma once
#include <cotangent/tensor/random.hpp>

namespace cotangent::data {

/// Some examples: what goes into a model, and what should come out of it.
struct Batch {
  Tensor x, y;
};

/// Examples by number.
class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual int64_t size() const = 0;
  /// The examples at `indices`, stacked along dimension 0.
  ///
  /// A DataLoader calls it from threads of its own, several at once, so it must not change what others read. What is
  /// random in the examples comes from `generator`, whose stream is a function of the loader's seed, the epoch and the
  /// number of the batch: so they are the same whichever thread makes them, and when, and in a training that was
  /// stopped and goes on. While this runs, `generator` is default_generator() as well. Each image mirrored or not:
  ///
  ///     data::Batch batch(std::span<const int64_t> indices, Generator& generator) const override {
  ///       const auto [x, y] = images.batch(indices, generator);  // (B, 1, 28, 28)
  ///       const Tensor mirrored = bernoulli({x.size(0), 1, 1, 1}, 0.5, x.dtype(), generator) == 1;
  ///       return {where(mirrored, flip(x, -1), x), y};
  ///     }
  virtual Batch batch(std::span<const int64_t> indices, Generator& generator) const = 0;
};

/// Two tensors whose first dimensions count the examples. A ShapeError when they differ.
class TensorDataset : public Dataset {
 public:
  TensorDataset(const Tensor& x, const Tensor& y);
  int64_t size() const override { return x_.size(0); }
  Batch batch(std::span<const int64_t> indices, Generator& generator) const override;

 private:
  Tensor x_, y_;
};

/// `batch_size` examples drawn with replacement, with what is random in them, as a function of seed and step: a
/// training that goes on at a step draws what it would have drawn. A ValueError when the batch or the data set is
/// empty.
Batch random_batch(const Dataset& dataset, int64_t batch_size, uint64_t seed, uint64_t step);

}  // namespace cotangent::data
