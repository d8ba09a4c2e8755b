#include <cotangent/data/dataset.hpp>

#include <cstring>

#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::data {

TensorDataset::TensorDataset(const Tensor& x, const Tensor& y)
    : x_(raw::contiguous(x.detach())), y_(raw::contiguous(y.detach())) {
  if (x.rank() == 0 || y.rank() == 0 || x.size(0) != y.size(0))
    fail<ShapeError>(
        "[TensorDataset] x is {} and y is {}; their first dimensions count the examples and must be the same",
        x.shape(), y.shape());
}

namespace {
Tensor rows(const Tensor& x, std::span<const int64_t> indices) {
  Shape shape = x.shape();
  const int64_t count = shape[0];
  shape[0] = static_cast<int64_t>(indices.size());
  const Tensor result = empty(shape, x.dtype());
  const auto bytes = static_cast<size_t>(count > 0 ? x.numel() / count * item_size(x.dtype()) : 0);
  char* to = static_cast<char*>(result.raw_data());
  for (int64_t i : indices) {
    if (i < 0 || i >= count) fail<IndexError>("[TensorDataset] there is no example {}; there are {}", i, count);
    std::memcpy(to, static_cast<const char*>(x.raw_data()) + static_cast<size_t>(i) * bytes, bytes);
    to += bytes;
  }
  return result;
}
}  // namespace

Batch TensorDataset::batch(std::span<const int64_t> indices, Generator&) const {
  return {rows(x_, indices), rows(y_, indices)};
}

Batch random_batch(const Dataset& dataset, int64_t batch_size, uint64_t seed, uint64_t step) {
  if (batch_size < 1) fail<ValueError>("[random_batch] batch_size is {}; it must be at least 1", batch_size);
  detail::check_memory("random_batch", batch_size, sizeof(int64_t));
  if (dataset.size() < 1) fail<ValueError>("[random_batch] the data set is empty");
  // A stream that is not default_generator()'s of the same seed, from a place for each step.
  Generator generator(Generator::State{seed ^ 0xD1B54A32D192ED03u, step << 32});
  const std::vector<int64_t> indices = randint(0, dataset.size(), {batch_size}, int64, generator).to_vector<int64_t>();
  const UseGenerator guard(generator);
  return dataset.batch(indices, generator);
}

}  // namespace cotangent::data
