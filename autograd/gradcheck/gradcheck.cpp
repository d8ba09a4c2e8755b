#include <cotangent/autograd/gradcheck/gradcheck.hpp>

#include <utility>

#include <cotangent/autograd/gradcheck/blame_internal.hpp>
#include <cotangent/autograd/gradcheck/comparison_internal.hpp>
#include <cotangent/autograd/gradcheck/contracts_internal.hpp>
#include <cotangent/autograd/gradcheck/diagnosis_internal.hpp>
#include <cotangent/autograd/modes.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/record.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/views.hpp>

namespace cotangent::detail {
namespace {

/// Makes the inputs leaves that require a gradient, and undoes that.
class Leaves {
 public:
  explicit Leaves(const Tensors& inputs) {
    if (inputs.empty()) fail<ValueError>("[gradcheck] no inputs; name the tensors whose gradients are to be checked");
    for (size_t i = 0; i < inputs.size(); ++i) {
      const Tensor& x = inputs[i];
      if (!x.defined()) fail<ValueError>("[gradcheck] input {} is undefined; give a tensor", i);
      if (!x.is_floating())
        fail<DTypeError>("[gradcheck] input {} is {}, which has no gradient; convert it with to(float64)", i,
                         x.dtype());
      if (!x.is_leaf())
        fail<GradError>("[gradcheck] input {} of shape {} is the result of an op; detach() it, so that it is a leaf", i,
                        x.shape());
      if (raw::overlaps(x))
        fail<GradError>(
            "[gradcheck] elements of input {} of shape {} share memory; clone() it, or expand it inside the function",
            i, x.shape());
    }
    for (Tensor x : inputs)
      if (!x.requires_grad()) made_.push_back(x.requires_grad_());
  }
  ~Leaves() {
    for (Tensor& x : made_) x.requires_grad_(false);
  }
  Leaves(const Leaves&) = delete;
  Leaves& operator=(const Leaves&) = delete;

 private:
  Tensors made_;
};

std::string shapes(const Tensors& xs) {
  std::string text;
  for (const Tensor& x : xs) text += (text.empty() ? "" : ", ") + to_string(x.shape());
  return text;
}

bool all_passed(const GradcheckReport& report) {
  bool passed = report.problems.empty();
  for (const GradcheckInput& part : report.inputs) passed = passed && part.verdict == Verdict::pass;
  return passed;
}

bool any_failed(const GradcheckReport& report) {
  bool failed = !report.problems.empty();
  for (const GradcheckInput& part : report.inputs) failed = failed || part.verdict == Verdict::fail;
  return failed;
}

constexpr const char* kAll = "all inputs";

class Checker {
 public:
  Checker(UserFunction& f, const GradcheckOptions& options, GradcheckReport& report)
      : user_(f), options_(options), report_(report), random_(options.seed) {}

  /// Checks the gradient of f, of the order `order`, and then the orders above it.
  void check(CheckedFunction& f, const Tensors& inputs, const std::vector<std::string>& names, int order) {
    const Tensors before = copies(inputs);
    const Tensors y = f.call(inputs, true);
    Tensors cotangents;
    for (const Tensor& v : y) {
      cotangents.push_back(make_tensor(v.shape(), v.dtype()));
      for (int64_t i = 0; i < v.numel(); ++i) set_element(cotangents.back(), i, random_.weight());
    }
    if (order == 1)
      report_.checked = fmt::format("inputs {} -> outputs {}, seed {}", shapes(inputs), shapes(y), options_.seed);
    if (!same_bits(before, copies(inputs)))
      add_problem(report_, order, kAll, "changes data", "the function changes an input in place");
    const Tensors cotangents_before = copies(cotangents);
    const BlameQuestion question{f, inputs, cotangents, names, order, options_.seed};
    if (order == 1) first_ = &question;
    Contracts contracts(f, inputs, names, cotangents, order, random_, report_);
    Derivatives derivatives{
        .order = order, .inputs = inputs, .names = names, .fast = {}, .recorded = {}, .reached = {}};
    if (order == 1 && options_.contracts) contracts.check_values(y);
    try {
      const Tensors fast = product(f, inputs, cotangents, false, &derivatives.reached);
      const Tensors recorded = product(f, inputs, cotangents, true);
      for (const Tensor& g : fast) derivatives.fast.push_back(elements_of(g));
      for (const Tensor& g : recorded) derivatives.recorded.push_back(elements_of(g));
      if (options_.contracts) {
        contracts.check_backward(fast);
        if (order == 1 && user_.takes_inputs()) contracts.check_layouts(fast);
        if (order == 2) symmetry_of_->check_symmetry();
      }
    } catch (const std::exception& error) {
      add_problem(report_, order, kAll, word_of_exception(error, order),
                  fmt::format("the backward pass throws: {}", error.what()));
      return find_blame(question, *first_, report_);
    }
    if (!same_bits(before, copies(inputs)))
      add_problem(report_, order, kAll, "changes data", "the backward pass changes an input");
    if (!same_bits(cotangents_before, copies(cotangents)))
      add_problem(report_, order, kAll, "changes data", "the backward pass changes the cotangent");

    NumericDerivative numeric(f, inputs, cotangents, options_.step);
    Comparison comparison(numeric, std::move(derivatives), options_, random_, report_);
    comparison.run();
    const auto rule = [&](const Tensors& vs, bool recorded) { return product(f, inputs, vs, recorded); };
    diagnose(report_, comparison, numeric, rule, cotangents, options_);
    if (any_failed(report_)) {
      find_blame(question, *first_, report_);
      diagnose_blame(report_, first_->f, first_->inputs, order, options_);
    } else if (order < options_.order) {
      Tensors all = inputs;
      std::vector<std::string> all_names = names;
      for (size_t k = 0; k < cotangents.size(); ++k) {
        all.push_back(cotangents[k].requires_grad_());
        all_names.push_back(order == 1 ? fmt::format("cotangent {}", k)
                                       : fmt::format("cotangent {} of order {}", k, order));
      }
      GradientFunction gradient(f, inputs.size());
      symmetry_of_ = &contracts;
      check(gradient, all, all_names, order + 1);
    }
    if (order == 1 && options_.contracts && options_.empty && user_.takes_inputs() && all_passed(report_))
      contracts.check_empty();
    if (order == 1 && options_.contracts && all_passed(report_)) {
      const Displaced displaced(inputs, random_);
      contracts.check_displaced();
      if (any_failed(report_)) find_blame(question, question, report_);
    }
  }

 private:
  UserFunction& user_;
  const GradcheckOptions& options_;
  GradcheckReport& report_;
  CheckRandom random_;
  Contracts* symmetry_of_ = nullptr;      // those of order 1
  const BlameQuestion* first_ = nullptr;  // of order 1
};

void conclude(GradcheckReport& report) {
  sort_rows(report);
  int64_t elements = 0, certified = 0;
  bool doubtful = false;
  for (const GradcheckInput& part : report.inputs) {
    elements += part.elements, certified += part.certified;
    doubtful = doubtful || part.verdict == Verdict::inconclusive;
    report.smallest_fault = std::max(report.smallest_fault, part.smallest_fault);
  }
  report.certified = elements > 0 ? static_cast<double>(certified) / static_cast<double>(elements) : 1;
  report.verdict = any_failed(report) ? Verdict::fail : doubtful ? Verdict::inconclusive : Verdict::pass;
  if (report.verdict == Verdict::pass && elements > 0 && certified == 0) {
    report.problems.push_back("nothing could be certified: see the reasons of the elements that are unresolved");
    report.verdict = Verdict::fail;
  }
}

/// Whether f, given its inputs in float64, computes in float64 throughout; if so, those inputs.
Tensors in_float64(UserFunction& f, const Tensors& inputs) {
  Tensors wide;
  bool low = false;
  for (const Tensor& x : inputs) {
    low = low || x.dtype() != float64;
    wide.push_back(raw::clone(raw::contiguous(to(x.detach(), float64))));
  }
  if (!low || !f.takes_inputs()) return {};
  for (Tensor& x : wide) x.requires_grad_();
  try {
    for (const Tensor& y : f.call(wide, true))
      if (y.dtype() != float64 || !y.requires_grad()) return {};
  } catch (const Error&) {
    return {};
  }
  return wide;
}

/// Compares the gradients in lower precision with those of the same function in float64.
void compare_precision(UserFunction& f, const Tensors& inputs, const Tensors& wide,
                       const std::vector<std::string>& names, GradcheckReport& report) {
  CheckRandom random(1);
  const Tensors ys = f.call(inputs, true);
  Tensors narrow_cotangents, wide_cotangents;
  for (const Tensor& y : ys) {
    narrow_cotangents.push_back(make_tensor(y.shape(), y.dtype()));
    for (int64_t i = 0; i < y.numel(); ++i) set_element(narrow_cotangents.back(), i, random.weight());
    wide_cotangents.push_back(to(narrow_cotangents.back(), float64));
  }
  Tensors got;
  try {
    got = product(f, inputs, narrow_cotangents, false);
  } catch (const std::exception& error) {
    add_problem(report, 1, kAll, word_of_exception(error, 1),
                fmt::format("the backward pass throws in lower precision: {}", error.what()));
    return;
  }
  const Tensors expected = product(f, wide, wide_cotangents, false);
  double largest = 0;  // of all inputs: what is 0 for one of them may be a sum of terms as large as these
  for (const Tensor& g : expected)
    for (double v : elements_of(g))
      if (std::isfinite(v)) largest = std::max(largest, std::fabs(v));
  for (size_t i = 0; i < inputs.size(); ++i) {
    const std::vector<double> a = elements_of(got[i]), b = elements_of(expected[i]);
    const double epsilon = epsilon_of(inputs[i].dtype()), tolerance = std::max(1e-6, 2 * std::sqrt(epsilon));
    for (size_t e = 0; e < a.size(); ++e) {
      const double size = std::max(std::fabs(b[e]), 8 * std::sqrt(epsilon) * largest);
      if (std::fabs(a[e] - b[e]) <= tolerance * size || (std::isnan(a[e]) && std::isnan(b[e])) || a[e] == b[e])
        continue;
      add_problem(report, 1, names[i], "precision",
                  fmt::format("in {} the gradient of {} at {} is {:.6g}, and {:.6g} in float64", inputs[i].dtype(),
                              names[i], element_index(inputs[i].shape(), static_cast<int64_t>(e)), a[e], b[e]));
      break;
    }
  }
}

}  // namespace

GradcheckReport run_gradcheck(FunctionRef call, const Tensors& inputs, std::vector<std::string> names,
                              const GradcheckOptions& options) {
  if (std::cmp_less(inputs.size(), call.count)) check_count("gradcheck", call, inputs.size());
  const Leaves leaves(inputs);
  GradcheckReport report;
  report.order = options.order;
  UserFunction f(call);
  for (size_t i = names.size(); i < inputs.size(); ++i) names.push_back(fmt::format("input {}", i));
  const Tensors wide = in_float64(f, inputs);
  Checker(f, options, report).check(f, wide.empty() ? inputs : wide, names, 1);
  if (!wide.empty()) compare_precision(f, inputs, wide, names, report);
  conclude(report);
  return report;
}

GradcheckReport run_control(FunctionRef call, const Tensors& inputs, const GradcheckOptions& options) {
  struct Scaled {
    FunctionRef call;
    double rtol;
  } scaled{call, options.rtol};
  const auto f = [](void* function, const Tensors& xs) {
    const Scaled& s = *static_cast<Scaled*>(function);
    Tensors ys = s.call(xs);
    for (Tensor& y : ys) {
      if (!y.defined() || !y.is_floating()) continue;
      const double fault =
          std::max({1e-3, 4 * s.rtol, y.dtype() == float64 ? 0 : 4 * std::sqrt(epsilon_of(y.dtype()))});
      y = record("gradcheck_control", {y}, raw::clone(y.detach()), Keep::nothing(), fault,
                 [](const Backward& b, double part) -> Gradients { return {b.grad() * (1 + part)}; });
    }
    return ys;
  };
  return run_gradcheck({&scaled, f, call.count}, inputs, {}, options);
}

GradcheckReport run_manual(FunctionRef call, const std::string& name, const Tensor& gradient, const Tensor& x,
                           const GradcheckOptions& options) {
  if (!gradient.defined() || !x.defined()) fail<ValueError>("[check_manual] the gradient and x must be defined");
  if (gradient.shape() != x.shape())
    fail<ShapeError>("[check_manual] {} has the shape {}; it must be {}, as x", name, gradient.shape(), x.shape());
  const Tensors inputs{x};
  const Leaves leaves(inputs);
  UserFunction f(call);
  GradcheckReport report;
  report.order = 1;
  const Tensors ys = f.call(inputs, false);
  Tensors ones;
  for (const Tensor& y : ys) {
    ones.push_back(make_tensor(y.shape(), y.dtype()));
    raw::fill_into(ones.back(), 1);
  }
  report.checked = fmt::format("{} {} of outputs {}", name, shapes(inputs), shapes(ys));
  const std::vector<std::string> names{name};
  const std::vector<double> mine = elements_of(gradient);
  CheckRandom random(options.seed);
  NumericDerivative numeric(f, inputs, ones, options.step);
  Comparison comparison(
      numeric, {.order = 1, .inputs = inputs, .names = names, .fast = {mine}, .recorded = {mine}, .reached = {true}},
      options, random, report);
  comparison.run();
  diagnose(report, comparison, numeric, {}, ones, options);
  conclude(report);
  return report;
}

}  // namespace cotangent::detail
