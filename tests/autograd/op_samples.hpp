#pragma once
// Makes the tensors of the op table's samples, and compares results.
#include <cotangent/cotangent.hpp>
#include <cotangent/tests/autograd/op_info.hpp>

namespace cotangent {

/// SplitMix64: the samples must not depend on the generator that is under test.
class SampleRandom {
 public:
  explicit SampleRandom(uint64_t seed) : state_(seed) {}
  uint64_t bits();
  double uniform();  ///< in [0, 1)
  double normal();

 private:
  uint64_t state_;
};

/// The tensors of the specs: the same for the same seed. Floating ones are float64.
Tensors make_inputs(const std::vector<InputSpec>& specs, uint64_t seed = 1);

/// The inputs with other layouts and the same values: `kind` 0 has the dimensions in reverse order in memory, 1 has
/// every second place of a larger memory, 2 starts behind the beginning of its memory.
Tensor with_layout(const Tensor& x, int kind);
inline constexpr int kLayouts = 3;

/// The first slice along `dim`, repeated by a stride of 0.
Tensor repeated(const Tensor& x, int dim);

/// Shapes, dtypes and values alike: |a - b| <= rtol * (the largest |b| + |b|) + atol; NaN equals NaN. Else a text says
/// where they differ; empty when they don't.
std::string difference(const Tensor& a, const Tensor& b, double rtol, double atol = 1e-300, bool compare_dtype = true);
std::string difference(const Tensors& a, const Tensors& b, double rtol, double atol = 1e-300,
                       bool compare_dtype = true);

/// The gradients of the differentiable inputs, contracted with cotangents made from a seed; undefined for others.
/// Undefined for all when no output has a history.
struct Evaluation {
  Tensors outputs, gradients;
};
Evaluation evaluate(const Sample& sample, const Tensors& inputs, bool create_graph = false);

}  // namespace cotangent
