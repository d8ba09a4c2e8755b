#pragma once
// gradcheck of what the op table lists.
#include <map>
#include <string>

#include <cotangent/autograd/gradcheck/gradcheck.hpp>
#include <cotangent/tests/autograd/op_info.hpp>

namespace cotangent {

/// What gradcheck says of the samples of an op.
struct OpReport {
  const OpInfo* op;
  int order = 0;              ///< the highest that was checked; 0 if there is no gradient
  int samples = 0;            ///< that were checked
  int beyond_second = 0;      ///< of these, beyond second order
  int64_t elements = 0;       ///< of all samples and orders
  int64_t unresolved = 0;     ///< of these
  double certified = 1;       ///< the share that was measured to be right
  double worst_error = 0;     ///< the largest relative one
  double smallest_fault = 0;  ///< a relative error that would have been caught in any of the certified elements
  double seconds = 0;
  Verdict verdict = Verdict::pass;              ///< the worst one
  std::string reason = {};                      ///< of the first sample that is inconclusive
  std::map<std::string, int64_t> reasons = {};  ///< why elements are unresolved, and how often
  std::vector<std::string> problems = {};       ///< what is wrong, with the sample
};

/// Checks all samples of an op, with inputs of this seed, to its order or `order`, whichever is less; beyond the
/// second, which takes long for many elements, samples of at most 12 and the smallest one. An op whose gradient is 0 in
/// every sample fails, unless zero_gradient says that this is right.
OpReport check_op(const OpInfo& op, int order, uint64_t seed = 1);

}  // namespace cotangent
