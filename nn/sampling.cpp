#include <cotangent/nn/sampling.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>

#include <cotangent/autograd/modes.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::nn {
namespace {

/// Turns a row of logits into probabilities, in place.
void filter(double* row, size_t n, const SamplingOptions& options) {
  const double largest = *std::max_element(row, row + n);
  if (!std::all_of(row, row + n, [](double x) { return x < INFINITY; }) || largest == -INFINITY)
    fail<ValueError>(
        "[sample] logits that are NaN, infinite or all -infinity; they must be numbers, or -infinity for tokens that "
        "are forbidden");
  if (options.temperature == 0) {
    const double* first = std::max_element(row, row + n);
    for (double* x = row; x < row + n; ++x) *x = x == first ? 1 : 0;
    return;
  }
  for (size_t i = 0; i < n; ++i) row[i] = std::exp((row[i] - largest) / options.temperature);

  std::vector<size_t> order(n);
  std::iota(order.begin(), order.end(), 0);
  size_t kept = options.top_k > 0 ? std::min(n, static_cast<size_t>(options.top_k)) : n;
  if (kept < n || options.top_p < 1)
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return row[a] > row[b]; });
  const auto sum_of = [&](size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; ++i) sum += row[order[i]];
    return sum;
  };
  if (options.top_p < 1) {
    const double wanted = options.top_p * sum_of(kept);
    double sum = 0;
    for (size_t i = 0; i < kept; ++i)
      if ((sum += row[order[i]]) >= wanted) kept = i + 1;
  }
  for (size_t i = kept; i < n; ++i) row[order[i]] = 0;
  const double total = sum_of(kept);
  for (size_t i = 0; i < kept; ++i) row[order[i]] /= total;
}

}  // namespace

Tensor sampling_probabilities(const Tensor& logits, const SamplingOptions& options) {
  if (!(options.temperature >= 0) || std::isinf(options.temperature))
    fail<ValueError>("[sample] temperature {}; it must be 0 (greedy) or more", options.temperature);
  if (options.top_k < 0) fail<ValueError>("[sample] top_k {}; it must be 0 (all) or more", options.top_k);
  if (!(options.top_p > 0 && options.top_p <= 1))
    fail<ValueError>("[sample] top_p {}; it must be above 0 and at most 1", options.top_p);
  if ((logits.rank() != 1 && logits.rank() != 2) || logits.size(-1) == 0)
    fail<ShapeError>("[sample] logits of shape {}; they must be (tokens) or (rows, tokens)", logits.shape());
  if (!logits.is_floating()) fail<DTypeError>("[sample] logits must be floating, got {}", logits.dtype());
  const Tensor result = raw::contiguous(logits.dtype() == float64 ? raw::clone(logits) : raw::cast(logits, float64));
  const int64_t n = logits.size(-1);
  for (int64_t row = 0; row < result.numel() / n; ++row)
    filter(result.data<double>() + row * n, static_cast<size_t>(n), options);
  return result;
}

Tensor sample(const Tensor& logits, const SamplingOptions& options, Generator& generator) {
  const NoGrad guard;
  return multinomial(sampling_probabilities(logits, options), 1, true, generator).squeeze(-1);
}

Tensor detail::generate(Tensor (*step)(void* function, const Tensor& tokens), void* function, const Tensor& prompt,
                        int64_t count, const SamplingOptions& options, Generator& generator) {
  const NoGrad guard;
  if (prompt.rank() != 2 || prompt.numel() == 0)
    fail<ShapeError>("[generate] a prompt of shape {}; it must be (B, T) with a token at least", prompt.shape());
  if (prompt.dtype() != int64) fail<DTypeError>("[generate] the prompt is {}; tokens are int64", prompt.dtype());
  if (count < 0) fail<ValueError>("[generate] {} tokens; there must be 0 or more", count);
  Tensors written{prompt};
  for (int64_t i = 0; i < count; ++i) {
    const Tensor& tokens = written.back();
    const Tensor logits = step(function, tokens);
    if (logits.rank() != 3 || logits.size(0) != tokens.size(0) || logits.size(1) < 1)
      fail<ShapeError>("[generate] tokens {} gave logits {}; they must be (B, T, V)", tokens.shape(), logits.shape());
    written.push_back(sample(logits.select(1, -1), options, generator).unsqueeze(1));
  }
  return cat(written, 1);
}

}  // namespace cotangent::nn
