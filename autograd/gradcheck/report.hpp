#pragma once
#include <string>
#include <vector>

#include <cotangent/tensor/shape.hpp>

namespace cotangent {

/// One element whose derivative is wrong.
struct GradcheckRow {
  int order;          ///< 1: the gradient; 2: the gradient of the gradient, ...
  bool recorded;      ///< by the pass that create_graph records, else by the fast one
  std::string input;  ///< "input 0", or from the second order on "cotangent 0", ...
  Shape index;
  double x;          ///< the value of the element
  double analytic;   ///< what the rule gives
  double numeric;    ///< what differences give
  std::string note;  ///< for instance that a kink is here
  double absolute_error() const;
  double relative_error() const;  ///< the absolute one by the larger magnitude
};

/// What gradcheck found.
struct GradcheckReport {
  int order = 0;           ///< derivatives asked for
  int64_t elements = 0;    ///< that were differentiated one by one, over all orders
  int64_t directions = 0;  ///< random ones, for larger inputs
  double worst_error = 0;  ///< the largest relative error of all that was compared, good or bad
  int64_t bad_elements = 0;
  std::vector<GradcheckRow> rows;      ///< the bad elements, worst first
  std::vector<std::string> problems;   ///< broken contracts: a changed input, an undetermined forward pass, ...
  std::vector<std::string> diagnosis;  ///< what the errors look like: a factor, another order of the elements, ...
  std::string checked;                 ///< the inputs and outputs

  bool ok() const { return bad_elements == 0 && problems.empty(); }
  /// "gradcheck passed: ..." or a table of the worst `max_rows` elements and why they may be wrong.
  std::string to_string(int max_rows = 10) const;
};

}  // namespace cotangent
