#include <cotangent/nn/embedding.hpp>

#include <cotangent/autograd/ops/index.hpp>
#include <cotangent/nn/init.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::nn {

Embedding::Embedding(int64_t count, int64_t dim, const EmbeddingOptions& options) : padding_idx(options.padding_idx) {
  if (count < 1 || dim < 1)
    fail<ValueError>("[Embedding] {} vectors of {} elements; there must be at least 1 of each", count, dim);
  if (padding_idx && (*padding_idx < -count || *padding_idx >= count))
    fail<ValueError>("[Embedding] padding_idx is {}; it must be in [-{}, {})", *padding_idx, count, count);
  weight = init::normal_(empty({count, dim}, options.dtype));
  if (padding_idx) init::zeros_(weight.detach().select(0, *padding_idx));
}

Tensor Embedding::forward(const Tensor& indices) { return embedding(weight, indices, padding_idx); }

std::string Embedding::settings() const {
  return fmt::format("{}, {}{}", weight.size(0), weight.size(1),
                     padding_idx ? fmt::format(", padding_idx = {}", *padding_idx) : "");
}

}  // namespace cotangent::nn
