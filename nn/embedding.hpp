#pragma once
#include <optional>

#include <cotangent/nn/module.hpp>

namespace cotangent::nn {

struct EmbeddingOptions {
  std::optional<int64_t> padding_idx = {};  ///< a row that starts at 0 and gets no gradient; negative from the end
  Dtype dtype = default_dtype();
};

/// A table of vectors, looked up by index.
///   indices (...) of integers in [0, count) -> (..., dim);   weight (count, dim), standard normal at the start
struct Embedding : Module {
  Embedding(int64_t count, int64_t dim, const EmbeddingOptions& options = {});
  Parameter weight;
  std::optional<int64_t> padding_idx;
  COTANGENT_MODULE(weight)
  Tensor forward(const Tensor& indices);
  std::string settings() const override;
};

}  // namespace cotangent::nn
