#pragma once
// The parameters that are computed.
#include <cotangent/nn/parametrization.hpp>

namespace cotangent::nn::detail {

class Parametrized {
 public:
  /// Whether there are any in the program: calls of modules look no further where there are none.
  static bool exist();
  /// Computes those among the members of m, but not of the modules in it.
  static void compute(Module& m);
  /// Has p computed; null: by nothing, so that it keeps the value that it has.
  static void by(Parameter& p, Any<Parametrization>* how) { p.compute_by(how); }
};

}  // namespace cotangent::nn::detail
