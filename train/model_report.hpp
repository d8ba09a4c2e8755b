#pragma once
#include <string>
#include <vector>

namespace cotangent {

/// Something that keeps a model from training, or a sign of it.
struct ModelFinding {
  std::string name;                ///< what it is, from the list at check_model
  std::vector<std::string> where;  ///< paths of parameters or modules, or "batch.x", "batch.y", "the loss"
  std::string seen;                ///< with the numbers
  std::string advice;              ///< what to do
};

/// What check_model found.
struct ModelReport {
  std::vector<ModelFinding> findings;
  double loss = 0;        ///< before the step; NaN where there was none
  double loss_after = 0;  ///< of the same batch, and of the same random numbers
  double gradient = 0;    ///< the norm of all gradients, taken as one long vector

  bool ok() const { return findings.empty(); }
  /// Whether there is a finding of this name.
  bool has(const std::string& name) const;
  /// "check_model: nothing found; ..." or a paragraph for each finding.
  std::string to_string() const;
  /// The same for programs: an object with the names of these members, and `ok`. NaN and infinity are the strings
  /// "NaN", "Infinity" and "-Infinity".
  std::string to_json() const;
};

}  // namespace cotangent
