#pragma once
// The op table: what the tests, the gradient checks and the documentation know of each differentiable function.
#include <cotangent/tensor/tensor.hpp>

namespace cotangent {

/// How a sample's input is made.
struct InputSpec {
  enum class Fill : uint8_t { normal, uniform, integers, distinct, booleans, values };
  Shape shape;
  Fill fill = Fill::normal;
  double low = 0, high = 1;         // of uniform and integers (high exclusive)
  std::vector<double> values = {};  // of values
  Dtype dtype = float64;
  bool differentiable = true;
};

/// Standard normal values.
inline InputSpec normal(const Shape& shape) { return {.shape = shape}; }
/// Uniform in [low, high): to stay inside a domain or away from a kink.
inline InputSpec uniform(const Shape& shape, double low, double high) {
  return {.shape = shape, .fill = InputSpec::Fill::uniform, .low = low, .high = high};
}
/// A random order of well separated values around 0: for max, sort, relu and others with kinks where values meet or
/// vanish.
inline InputSpec distinct(const Shape& shape) { return {.shape = shape, .fill = InputSpec::Fill::distinct}; }
/// int64 values in [low, high).
inline InputSpec integers(const Shape& shape, int64_t low, int64_t high) {
  return {.shape = shape,
          .fill = InputSpec::Fill::integers,
          .low = double(low),
          .high = double(high),
          .dtype = int64,
          .differentiable = false};
}
inline InputSpec booleans(const Shape& shape) {
  return {.shape = shape, .fill = InputSpec::Fill::booleans, .dtype = boolean, .differentiable = false};
}
/// Exactly these values.
inline InputSpec values(const Shape& shape, std::vector<double> v, Dtype dtype = float64) {
  return {.shape = shape,
          .fill = InputSpec::Fill::values,
          .values = std::move(v),
          .dtype = dtype,
          .differentiable = cotangent::is_floating(dtype)};
}
/// The same values without a gradient.
inline InputSpec constant(InputSpec spec) {
  spec.differentiable = false;
  return spec;
}

/// The tensors of a sample, made from its specs in order.
using Arguments = std::span<const Tensor>;

/// What a call gives: one tensor or several.
struct Results : Tensors {
  Results(Tensor y) : Tensors{std::move(y)} {}
  Results(Tensors ys) : Tensors(std::move(ys)) {}
};

/// One way to call an op. `reference` is the same in another form (a composite, a naive loop in float64), to compare
/// values with; it must not call the op itself.
struct Sample {
  std::vector<InputSpec> inputs;
  Results (*call)(Arguments x);
  Results (*reference)(Arguments x) = nullptr;
};

/// A call that must throw a message that contains `message`.
struct ErrorSample {
  std::vector<InputSpec> inputs;
  Results (*call)(Arguments x);
  const char* message;
};

struct OpInfo {
  const char* name;  ///< of the public function
  std::vector<Sample> samples;
  std::vector<ErrorSample> errors = {};
  int orders = 3;                             ///< derivatives that there are: 0 for ops without a gradient
  double tolerance = 1e-6;                    ///< relative, of the gradient checks
  bool low_precision = true;                  ///< works in bfloat16 and float16 too
  std::vector<const char*> recorded_as = {};  ///< the names it records, where they are not `name`
  bool zero_gradient = false;                 ///< its gradient is 0 everywhere, as floor's
  const char* family = "";                    ///< set by op_table()
};

/// The table of a family, in a file of its own, tests/autograd/ops/<family>_table.cpp:
///
///     COTANGENT_OP_TABLE(softmax) { return {{.name = "softmax", .samples = {...}}, ...}; }
#define COTANGENT_OP_TABLE(family) std::vector<OpInfo> family##_ops()

/// All ops, family by family: tests/autograd/op_table.cpp.
const std::vector<OpInfo>& op_table();

}  // namespace cotangent

// Compiled once, in tests/autograd/op_table.cpp, and not in every family's file.
extern template class std::vector<cotangent::InputSpec>;
extern template class std::vector<cotangent::Sample>;
extern template class std::vector<cotangent::ErrorSample>;
extern template class std::vector<cotangent::OpInfo>;
