#pragma once
// Linear recurrences along a dimension, without history.
#include <cotangent/tensor/tensor.hpp>

namespace cotangent::raw {

/// How h_t = a_t h_(t-1) + b_t runs along `dim`.
struct LinearScan {
  int dim;
  bool reverse = false;    ///< from the last place to the first: t - 1 stands for the place that was just done
  bool shifted = false;    ///< each place has the factor of the one before: h_t = a_(t-1) h_(t-1) + b_t
  bool complex = false;    ///< the last dimension holds pairs (re, im)
  bool conjugate = false;  ///< by the conjugate of a
};

/// h, of b's shape and dtype, float32 or float64. a has b's shape, or size 1 along `dim`; the state before the first
/// place has b's shape with size 1 along `dim`, and is undefined for 0, as it must be under `shifted`.
Tensor linear_scan(const char* op, const Tensor& a, const Tensor& b, const Tensor& initial, const LinearScan& way);

struct LinearScanGradients {
  Tensor a, b;
};
/// Of a scan that is neither shifted nor of conjugates, in one pass: r_t = dh_t + conj(a_(t+1)) r_(t+1), db = r and
/// da_t = r_t conj(h_(t-1)), summed where a has size 1 along `dim`.
LinearScanGradients linear_scan_backward(const char* op, Tensor dh, const Tensor& a, const Tensor& h,
                                         const Tensor& initial, const LinearScan& way);

}  // namespace cotangent::raw
