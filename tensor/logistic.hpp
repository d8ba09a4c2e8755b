#pragma once
// Stochastic gradient descent on logistic losses of products of two vectors, in closed form: what word2vec spends its
// time on.
#include <cotangent/tensor/tensor.hpp>

namespace cotangent::raw {

/// Examples, each of which has a list of inputs, one at least, and a list of outputs: places in two tables.
struct LogisticExamples {
  std::vector<int64_t> inputs, input_ends;    ///< one list after the other, and where each ends
  std::vector<int64_t> outputs, output_ends;  ///< the same
  std::vector<double> signs;                  ///< 1 for an output that should come of the inputs, -1 for another
  std::vector<double> offsets;                ///< subtracted from its score, or empty
  std::vector<double> rates;                  ///< one for each example

  int64_t size() const { return static_cast<int64_t>(rates.size()); }
  void clear();
};

/// Takes a step for each example after the other, with h the mean of the rows of `in` at its inputs:
///     loss = sum_j log(1 + exp(-sign_j (out_j . h - offset_j))),   g_j = rate sign_j sigmoid(-sign_j (out_j . h -
///     offset_j)) out_j += g_j h,   in_i += sum_j g_j out_j / inputs, all with the values before the step
/// Returns the mean loss of every 16th example, and 0 if there is none. in (V, D) and out (W, D) are contiguous, and
/// both float32 or float64. An IndexError for places beyond them, a ValueError for an example without inputs.
double logistic_steps(const Tensor& in, const Tensor& out, const LogisticExamples& examples);

}  // namespace cotangent::raw
