// Private: how products of matrices are cut up on this processor.
#pragma once
#include <cstdint>

#include <cotangent/tensor/kernels/kernels.hpp>

namespace cotangent::raw {

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// Elements of a panel that small products pack at once, on the stack.
template <class T>
inline constexpr int64_t kMostPacked = (int64_t{128} << 10) / int64_t{sizeof(T)};

/// A tile of `strip` rows by a panel of columns stays in registers over a run of k. Results depend on the run, in
/// rounding, but not on the tile nor on the number of threads.
///
/// The environment variable COTANGENT_PRODUCTS forces a choice: ROWSxVECTORS[:RUN[:near|:packed]], for example 4x4,
/// 8x2:1024 or 8x2:1024:near; or openblas, which then computes what it can.
template <class T>
struct ProductPlan {
  int64_t strip, panel;
  int64_t longest_run;  ///< of k that is multiplied at once; longer ones are cut into equal parts
  bool near;            ///< operands whose rows lie near one another are read where they lie; else they are packed
  bool blas;            ///< OpenBLAS computes what it can
  void (*multiply)(const kernels::PanelProduct<T>&);

  int64_t run_of(int64_t k) const;
};

/// Throws a ValueError where the environment asks for a tile that there is not.
template <class T>
const ProductPlan<T>& product_plan();

/// "4x4:384:packed", of float32, or "openblas".
const char* product_plan_name();

}  // namespace cotangent::raw
