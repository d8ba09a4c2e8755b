#pragma once
// Linear recurrences of columns side by side: h_t = a_t h_(t-1) + b_t.
#include <cotangent/tensor/kernels/by_float.hpp>
#include <cotangent/tensor/kernels/columns.hpp>

namespace cotangent::kernels {

/// How far it is in memory from one step to the next, below 0 where steps run backwards; and how many columns there
/// are, any number. Where `one_a` or `one_b` is set, a row of a or b is one element for all columns.
struct ScanSteps {
  int64_t steps, columns;
  int64_t a, b, h;
  bool one_a = false, one_b = false;
};
/// The same for gradients: of dh, h, r and da.
struct ScanBackSteps {
  int64_t steps, columns;
  int64_t a, dh, h, r, da;
  bool one_a = false;
};
/// Real numbers, or pairs (re, im), of which `columns` counts the pairs; all other distances are in single numbers.
template <class T>
struct LinearScanLoops {
  /// h = a * before + b, where `before` is h of the step before: for the first step it is given, or null for 0.
  void (*scan)(const T* a, const T* b, const T* before, T* h, const ScanSteps& s, bool conjugate);
  /// r = dh + conj(a) * before, and da = r * conj(h); h of the last step is `last`, or null for 0. Where da stands
  /// still, it is added to. r may be dh.
  void (*backward)(const T* a, const T* dh, const T* h, const T* last, const T* before, T* r, T* da,
                   const ScanBackSteps& s);
};
struct LinearScanTable {
  ByFloat<LinearScanLoops> real, pairs;
};

}  // namespace cotangent::kernels
