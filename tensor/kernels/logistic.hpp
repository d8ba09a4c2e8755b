#pragma once
// Steps of stochastic gradient descent on logistic losses of products of two vectors; tensor/logistic.hpp has the
// formulas.
#include <cstdint>

namespace cotangent::kernels {

/// Examples that are taken one after the other. Example i has the inputs from input_ends[i - 1] (0 for the first) to
/// input_ends[i], and its outputs likewise.
template <class T>
struct LogisticSteps {
  int64_t examples, width;
  T *in, *out;  ///< tables of rows of `width`
  const int64_t *inputs, *input_ends, *outputs, *output_ends;
  const double *signs, *offsets;  ///< one for each output; no offsets: null
  const double* rates;            ///< one for each example
  T *mean, *error, *score;        ///< memory for a row, another, and for the most outputs
  double loss;                    ///< result: the sum of every 16th example's
};

template <class T>
struct LogisticLoops {
  void (*steps)(LogisticSteps<T>& s);
};

}  // namespace cotangent::kernels
