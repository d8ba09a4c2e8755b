#pragma once
#include <cotangent/tensor/tensor.hpp>

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
  /// The examples at `indices`, stacked along dimension 0. A DataLoader calls it from a thread of its own, so it must
  /// not change what others read, and random changes of the examples need a Generator of their own.
  virtual Batch batch(std::span<const int64_t> indices) const = 0;
};

/// Two tensors whose first dimensions count the examples. A ShapeError when they differ.
class TensorDataset : public Dataset {
 public:
  TensorDataset(const Tensor& x, const Tensor& y);
  int64_t size() const override { return x_.size(0); }
  Batch batch(std::span<const int64_t> indices) const override;

 private:
  Tensor x_, y_;
};

/// `batch_size` examples drawn with replacement, as a function of seed and step: a training that goes on at a step
/// draws what it would have drawn. A ValueError when the batch or the data set is empty.
Batch random_batch(const Dataset& dataset, int64_t batch_size, uint64_t seed, uint64_t step);

}  // namespace cotangent::data
