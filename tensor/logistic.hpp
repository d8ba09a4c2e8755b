#pragma once
// Stochastic gradient descent on logistic losses of products of two vectors, in closed form: where word2vec spends its
// time.
#include <cotangent/tensor/tensor.hpp>

namespace cotangent::raw {

/// Examples. Each has a list of inputs, one at least, and a list of outputs: numbers of rows in two tables.
struct LogisticExamples {
  std::vector<int64_t> inputs, input_ends;    ///< the inputs of all examples one after the other, and where each ends
  std::vector<int64_t> outputs, output_ends;  ///< the same of the outputs
  std::vector<double> signs;                  ///< of each output: 1 if the inputs should predict it, else -1
  std::vector<double> offsets;                ///< of each output: what is subtracted from its score; empty for 0
  std::vector<double> rates;                  ///< of each example: the learning rate

  int64_t size() const { return static_cast<int64_t>(rates.size()); }
  void clear();
};

/// Takes a step of gradient descent for each example, one after the other. With h the mean of the rows of `in` at the
/// example's inputs, and scores z_j = out_j . h - offset_j of its outputs,
///   loss = sum_j log(1 + exp(-sign_j z_j)),   g_j = rate sign_j sigmoid(-sign_j z_j),
///   out_j += g_j h,   in_i += sum_j g_j out_j / inputs,
/// where the right sides have the values before the step. Returns the mean loss of the examples 0, 16, 32, .., or 0 if
/// there are none. in (V, D) and out (W, D) are contiguous and of one dtype: a ShapeError otherwise, and a DTypeError
/// unless it is float32 or float64. An IndexError for rows that there are not, a ValueError for an example without
/// inputs.
double logistic_steps(const Tensor& in, const Tensor& out, const LogisticExamples& examples);

}  // namespace cotangent::raw
