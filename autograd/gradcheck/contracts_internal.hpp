#pragma once
// What every rule has to keep to, whatever its formula.
#include <cotangent/autograd/gradcheck/numeric_internal.hpp>

namespace cotangent::detail {

/// Copies of their elements, contiguous, without history.
Tensors copies(const Tensors& xs);
bool same_bits(const Tensor& a, const Tensor& b);
bool same_bits(const Tensors& a, const Tensors& b);

/// The values of a tensor in another order of memory, in memory of their own.
struct MemoryLayout {
  Tensor (*make)(const Tensor& x);
  const char* name;
};
extern const MemoryLayout kMemoryLayouts[3];

/// Inputs that are moved in place by 1 to 3 %, and have their own bits again when it goes.
class Displaced {
 public:
  Displaced(const Tensors& xs, CheckRandom& random);
  ~Displaced();
  Displaced(const Displaced&) = delete;
  Displaced& operator=(const Displaced&) = delete;

 private:
  const Tensors& xs_;
  std::vector<std::vector<double>> before_;
};

/// What a rule is likely to have got wrong if it throws.
const char* word_of_exception(const std::exception& error, int order);

/// Tries them on a function at one order, and adds to the report which are broken.
class Contracts {
 public:
  Contracts(CheckedFunction& f, const Tensors& inputs, const std::vector<std::string>& names, const Tensors& cotangents,
            int order, CheckRandom& random, GradcheckReport& report);

  /// Of the values: the same in each call, and without recording.
  void check_values(const Tensors& outputs);
  /// Of the backward pass, which gave `fast`: its bits are the same again; it is linear in the cotangent; a cotangent's
  /// layout doesn't matter; outputs and inputs can be left out; a retained graph can be passed over again, which
  /// changes nothing that was saved; gradients are added up.
  void check_backward(const Tensors& fast);
  /// Of inputs that do not lie in order in memory, or repeat themselves: values and gradients are the same.
  void check_layouts(const Tensors& fast);
  /// Of empty inputs, where the function and its rules take them: gradients have their shapes, and are 0 where there is
  /// no output.
  void check_empty();
  /// Of the gradient where the inputs are Displaced: it is right there too. A rule that leaves out what is 1 or 0 at
  /// one place is wrong everywhere else.
  void check_displaced();
  /// Of the second derivatives: the Hessian is symmetric, whatever the gradient's rules say of themselves.
  void check_symmetry();

 private:
  void problem(const char* word, const std::string& text);
  void check_linearity(const Tensors& fast);
  void check_parts(const Tensors& fast);
  void check_passes(const Tensors& fast);
  void check_accumulation(const Tensors& fast);
  bool compare_layout(const Tensors& moved, const Tensors& plain, const char* layout);
  Tensors weighted(double (CheckRandom::*weight)());
  /// Equal but for rounding, against the largest element.
  bool close(const Tensors& a, const Tensors& b) const;

  CheckedFunction& f_;
  const Tensors& inputs_;
  const std::vector<std::string>& names_;
  const Tensors& cotangents_;
  int order_;
  CheckRandom& random_;
  GradcheckReport& report_;
  double tolerance_;
};

}  // namespace cotangent::detail
