#pragma once
#include <string>
#include <vector>

#include <cotangent/tensor/shape.hpp>

namespace cotangent {

/// What a check says. `inconclusive` where it did not see enough to say that a gradient is right or wrong: rounding
/// hides it, the function has a kink or ends there.
enum class Verdict : uint8_t { pass, fail, inconclusive };
const char* name(Verdict verdict);

/// One element whose derivative is wrong, or could not be measured.
struct GradcheckRow {
  int order;          ///< 1: the gradient; 2: the gradient of the gradient, ...
  bool recorded;      ///< by the pass that create_graph records, else by the fast one
  std::string input;  ///< "input 0", or from the second order on "cotangent 0", ...; of a module the parameter's name
  Shape index;
  double x;          ///< the value of the element
  double analytic;   ///< what the rule gives
  double numeric;    ///< what differences give
  double error_bar;  ///< how far `numeric` may be off
  std::string note;  ///< for instance that a kink is here
  double absolute_error() const;
  double relative_error() const;  ///< the absolute one by the larger magnitude
};

/// What was found of one input at one order.
struct GradcheckInput {
  int order;
  std::string input;
  Shape shape;
  Verdict verdict = Verdict::pass;
  int64_t elements = 0;    ///< of the input
  int64_t certified = 0;   ///< measured to be right, one by one or along a direction that they are part of
  int64_t failed = 0;      ///< measured to be wrong, one by one
  int64_t unresolved = 0;  ///< neither
  double largest = 0;      ///< magnitude of a derivative that was measured
  /// A relative error that any certified element would have been caught with.
  double smallest_fault = 0;
  std::string reason = {};  ///< of a verdict of inconclusive, and what would settle it
};

/// Where the fault lies, if the recorded ops tell.
struct GradcheckBlame {
  std::string op;      ///< the first op, from the outputs, whose rule is wrong; empty where none is found
  int input = -1;      ///< which of its inputs gets the wrong gradient
  std::string module;  ///< the path of the module that called it, or the type of the outermost one itself
  std::string file;    ///< of the call, where the program has debug information
  int line = 0;
  std::string evidence;  ///< which one of its name it is, and how it is known; or why there is none
};

/// What gradcheck found.
struct GradcheckReport {
  Verdict verdict = Verdict::pass;
  int order = 0;              ///< derivatives asked for
  int64_t elements = 0;       ///< that were differentiated one by one, over all orders
  int64_t directions = 0;     ///< random ones, for larger inputs
  double worst_error = 0;     ///< the largest relative error of all that was compared, good or bad
  double certified = 0;       ///< the share of all elements, over all orders, that was measured to be right
  double smallest_fault = 0;  ///< a relative error that would have been caught in any of these
  int64_t bad_elements = 0;
  std::vector<GradcheckRow> rows;        ///< the bad elements, worst first
  std::vector<GradcheckRow> unresolved;  ///< those that could not be measured, each with its reason
  std::vector<GradcheckInput> inputs;    ///< each input at each order
  std::vector<std::string> problems;     ///< broken contracts: a changed input, an undetermined forward pass, ...
  /// What the errors look like. Each line reads "<input>, order <n>: <word>: <sentence>", where the word is that of the
  /// first hypothesis that predicts the gradient by the rule from that by differences:
  ///
  ///     sign            -1 times the right one
  ///     factor          a constant times it, or one for each row or channel
  ///     layout          dimensions exchanged, flipped, shifted, or another order of the elements
  ///     broadcast       not reduced, reduced or spread along the wrong axis, or a mean for a sum
  ///     accumulation    one contribution of several: = for +=, an index that repeats, a tensor that is used twice
  ///     missing term    a sum or mean along an axis, a constant, or something that varies is left out
  ///     only where      wrong at a border, a phase of a stride, a row, some values; right elsewhere
  ///     disconnected    the rule gives 0
  ///     stale copy      the function reads a copy of the input that was made before
  ///     order           only from the second order on, or only the fast or the recorded pass
  ///     strides         only for strided or only for contiguous inputs or cotangents
  ///     not linear      in the cotangent
  ///     nondeterministic, changes data, not symmetric    broken contracts
  ///     epsilon         another small constant in the rule than in the function
  ///     precision       float32 or less inside
  ///     saturated       the function is flat here
  ///     kink            the one-sided slopes stay apart as the step shrinks
  ///     domain          an edge of the domain, NaN or infinity
  ///
  /// NaN, infinity and kinks have a line of their own, and what else is wrong has another one.
  std::vector<std::string> diagnosis;
  GradcheckBlame blame;
  std::string checked;  ///< the inputs and outputs

  bool ok() const { return verdict == Verdict::pass; }
  /// "gradcheck passed: ..." or a table of the worst `max_rows` elements and why they may be wrong.
  std::string to_string(int max_rows = 10) const;
  /// The same for programs, on one line: an object with the names of these members, and `ok`; a verdict is its name.
  /// Numbers have all their digits; NaN and infinity are the strings "NaN", "Infinity" and "-Infinity".
  std::string to_json() const;
};

}  // namespace cotangent
