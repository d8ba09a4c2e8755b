#include <cotangent/autograd/gradcheck/gradcheck.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include <cotangent/autograd/engine.hpp>
#include <cotangent/autograd/gradcheck/diagnosis_internal.hpp>
#include <cotangent/autograd/gradcheck/numeric.hpp>
#include <cotangent/autograd/modes.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/views.hpp>

namespace cotangent::detail {
namespace {

constexpr size_t kMaxRows = 200;

Tensor zeros_of(const Tensor& x) {
  Tensor y = make_tensor(x.shape(), float64);
  raw::fill_into(y, 0);
  return y;
}

/// The user's function: its floating outputs.
class UserFunction : public CheckedFunction {
 public:
  UserFunction(FunctionRef f) : f_(f) {}
  Tensors call(const Tensors& inputs, bool record) override {
    EnableGrad guard(record);
    Tensors ys;
    const Tensors all = f_(inputs);
    for (size_t i = 0; i < all.size(); ++i) {
      if (!all[i].defined() || !all[i].is_floating()) continue;
      if (all[i].dtype() != float64)
        fail<DTypeError>("[gradcheck] output {} is {}; differences need float64 throughout", i, all[i].dtype());
      ys.push_back(all[i]);
    }
    if (ys.empty())
      fail<ValueError>("[gradcheck] none of the {} outputs is floating; there is no gradient to check", all.size());
    return ys;
  }

 private:
  FunctionRef f_;
};

/// The vector-Jacobian product of f: the gradient of each of its inputs. Undefined ones are zeros.
Tensors product(CheckedFunction& f, const Tensors& inputs, const Tensors& cotangents, bool create_graph) {
  const Tensors ys = f.call(inputs, true);
  EnableGrad guard;
  Tensors outputs;
  GradOptions options{.create_graph = create_graph, .allow_unused = true};
  for (size_t i = 0; i < ys.size(); ++i)
    if (ys[i].requires_grad()) {
      outputs.push_back(ys[i]);
      options.gradients.push_back(cotangents[i]);
    }
  Tensors gradients(inputs.size());
  if (!outputs.empty()) gradients = grad(outputs, inputs, options);
  for (size_t i = 0; i < inputs.size(); ++i)
    if (!gradients[i].defined()) gradients[i] = zeros_of(inputs[i]);
  return gradients;
}

/// The same as a function of the inputs and the cotangents, whose gradient is the next order.
class GradientFunction : public CheckedFunction {
 public:
  GradientFunction(CheckedFunction& f, size_t inputs) : f_(f), inputs_(inputs) {}
  Tensors call(const Tensors& all, bool record) override {
    const auto cut = all.begin() + static_cast<std::ptrdiff_t>(inputs_);
    return product(f_, Tensors(all.begin(), cut), Tensors(cut, all.end()), record);
  }

 private:
  CheckedFunction& f_;
  size_t inputs_;
};

bool same_bits(const Tensor& a, const Tensor& b) {
  if (a.shape() != b.shape()) return false;
  const Tensor x = raw::contiguous(a.detach()), y = raw::contiguous(b.detach());
  return std::memcmp(x.raw_data(), y.raw_data(), static_cast<size_t>(x.numel() * item_size(x.dtype()))) == 0;
}
bool same_bits(const Tensors& a, const Tensors& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Tensor& x, const Tensor& y) { return same_bits(x, y); });
}

/// Equal but for rounding, against the largest element.
bool close(const Tensors& a, const Tensors& b) {
  for (size_t k = 0; k < a.size(); ++k) {
    const Tensor x = raw::contiguous(a[k].detach()), y = raw::contiguous(b[k].detach());
    if (x.shape() != y.shape()) return false;
    const double *p = x.data<double>(), *q = y.data<double>();
    double largest = 0;
    for (int64_t i = 0; i < x.numel(); ++i)
      if (std::isfinite(p[i])) largest = std::max(largest, std::fabs(p[i]));
    for (int64_t i = 0; i < x.numel(); ++i)
      if (p[i] != q[i] && !(std::isnan(p[i]) && std::isnan(q[i])) &&
          !(std::fabs(p[i] - q[i]) <= 1e-9 * largest + 1e-12))
        return false;
  }
  return true;
}

Tensors copies(const Tensors& xs) {
  Tensors ys;
  for (const Tensor& x : xs) ys.push_back(raw::clone(raw::contiguous(x.detach())));
  return ys;
}

/// The same values at every second place of a larger memory.
Tensors strided(const Tensors& xs) {
  Tensors ys;
  for (const Tensor& x : xs) {
    Shape twice = x.shape();
    twice.push_back(2);
    if (x.rank() == kMaxRank) return xs;
    const Tensor room = make_tensor(twice, float64);
    raw::fill_into(room, 1e30);
    ys.push_back(raw::select("gradcheck", room, -1, 0));
    raw::copy_into("gradcheck", x.detach(), ys.back());
  }
  return ys;
}

class Checker {
 public:
  Checker(const GradcheckOptions& options, GradcheckReport& report)
      : options_(options), report_(report), random_(options.seed) {}

  /// Checks the gradient of f, of the order `order`, and then the orders above it.
  void check(CheckedFunction& f, const Tensors& inputs, const std::vector<std::string>& names, int order) {
    const Tensors y = f.call(inputs, true);
    Tensors cotangents;
    for (const Tensor& v : y) cotangents.push_back(random_.weights(v.shape()));
    if (order == 1) describe(inputs, y);
    if (order == 1 && options_.contracts) check_values(f, inputs, y);
    Tensors fast, recorded;
    const Tensors before = copies(inputs), cotangents_before = copies(cotangents);
    try {
      fast = product(f, inputs, cotangents, false);
      recorded = product(f, inputs, cotangents, true);
      if (options_.contracts) check_backward(f, inputs, cotangents, fast, order);
    } catch (const Error& error) {
      report_.problems.push_back(fmt::format("order {}: the backward pass throws: {}", order, error.what()));
      return;
    }
    if (!same_bits(before, copies(inputs)))
      report_.problems.push_back(fmt::format("order {}: the backward pass changes an input", order));
    if (!same_bits(cotangents_before, copies(cotangents)))
      report_.problems.push_back(fmt::format("order {}: the backward pass changes the cotangent", order));

    NumericDerivative numeric(f, inputs, cotangents, options_.step);
    bool any = false;
    for (size_t i = 0; i < inputs.size(); ++i)
      any |= compare(numeric, inputs, i, fast[i], recorded[i], names[i], order);
    if (!any && !options_.allow_zero)
      report_.problems.push_back(
          fmt::format("vacuous: all derivatives of order {} are 0, by the rule and by differences; allow_zero says "
                      "that this is right",
                      order));
    if (order >= options_.order || !report_.ok()) return;

    Tensors all = inputs;
    std::vector<std::string> all_names = names;
    for (size_t k = 0; k < cotangents.size(); ++k) {
      all.push_back(cotangents[k].requires_grad_());
      all_names.push_back(order == 1 ? fmt::format("cotangent {}", k)
                                     : fmt::format("cotangent {} of order {}", k, order));
    }
    GradientFunction gradient(f, inputs.size());
    check(gradient, all, all_names, order + 1);
  }

 private:
  void describe(const Tensors& inputs, const Tensors& outputs) {
    auto list = [](const Tensors& xs) {
      std::string text;
      for (const Tensor& x : xs) text += (text.empty() ? "" : ", ") + to_string(x.shape());
      return text;
    };
    report_.checked = fmt::format("inputs {} -> outputs {}, seed {}", list(inputs), list(outputs), options_.seed);
  }

  void check_values(CheckedFunction& f, const Tensors& inputs, const Tensors& y) {
    const Tensors first = copies(y), before = copies(inputs), again = copies(f.call(inputs, true));
    if (!same_bits(before, copies(inputs))) report_.problems.push_back("the function changes an input in place");
    if (!same_bits(first, again))
      report_.problems.push_back(
          "nondeterministic: the function gives other values the second time; fix its seed, or turn its randomness "
          "off");
    else if (!close(first, copies(f.call(inputs, false))))
      report_.problems.push_back("the function gives other values when nothing is recorded (NoGrad)");
  }

  void check_backward(CheckedFunction& f, const Tensors& inputs, const Tensors& cotangents, const Tensors& fast,
                      int order) {
    auto problem = [&](const char* text) { report_.problems.push_back(fmt::format("order {}: {}", order, text)); };
    if (!same_bits(fast, product(f, inputs, cotangents, false)))
      problem("the backward pass gives other bits the second time");
    if (!close(fast, product(f, inputs, strided(cotangents), false)))
      problem("the backward pass gives another gradient for the same cotangent when that is not contiguous");
    Tensors nothing;
    for (const Tensor& v : cotangents) nothing.push_back(zeros_of(v));
    for (const Tensor& dx : copies(product(f, inputs, nothing, false)))
      for (int64_t i = 0; i < dx.numel(); ++i)
        if (!(dx.data<double>()[i] == 0)) return problem("a cotangent of 0 does not give a gradient of 0");
  }

  double tolerance(double a, double b) const {
    return options_.atol + options_.rtol * std::max(std::fabs(a), std::fabs(b));
  }

  // Records the error in the report if it is too large.
  bool judge(double analytic, const Difference& d, double extra) {
    const double error = std::fabs(analytic - d.value);
    if (error <= tolerance(analytic, d.value) + extra) {
      const double size = std::max({std::fabs(analytic), std::fabs(d.value), options_.atol / options_.rtol});
      report_.worst_error = std::max(report_.worst_error, error / size);
      return true;
    }
    return false;
  }

  void add_row(GradcheckRow row) {
    ++report_.bad_elements;
    report_.worst_error = std::max(report_.worst_error, row.relative_error());
    report_.rows.push_back(std::move(row));
    if (report_.rows.size() > 2 * kMaxRows) sort_rows(report_);
  }

  // The numeric derivative of one element, refined if a rule does not fit it. Returns whether all fit.
  bool check_element(NumericDerivative& numeric, const Tensors& inputs, size_t i, int64_t e, double fast,
                     double recorded, const std::string& name, int order, double& value) {
    ++report_.elements;
    Difference d = numeric.element(i, e);
    bool good = judge(fast, d, d.noise) && judge(recorded, d, d.noise);
    if (!good) {
      const Difference better = numeric.refined(i, e);
      if (better.noise < std::fabs(better.value - fast) + std::fabs(better.value - recorded)) d.value = better.value;
      d.noise = better.noise;
      good = judge(fast, d, 0) && judge(recorded, d, 0);
    }
    value = d.value;
    if (good) return true;
    std::string note;
    if (std::fabs(d.right - d.left) > 1e-3 * (std::fabs(d.left) + std::fabs(d.right)) + 1e-6)
      note = fmt::format("kink? {:.4g} from the left, {:.4g} from the right", d.left, d.right);
    else if (d.noise > 0.1 * std::fabs(d.value - fast) && d.noise > 0.1 * std::fabs(d.value - recorded))
      note = fmt::format("differences are uncertain by {:.2g}: a jump, or too steep?", d.noise);
    const double x = *element_address(inputs[i], e);
    for (const bool by_graph : {false, true}) {
      const double a = by_graph ? recorded : fast;
      if (by_graph && std::fabs(recorded - fast) <= 1e-9 * std::fabs(fast)) continue;  // the same row again
      if (std::fabs(a - d.value) <= tolerance(a, d.value)) continue;
      add_row({order, by_graph, name, element_index(inputs[i].shape(), e), x, a, d.value, note});
    }
    return false;
  }

  // Returns whether any derivative is not 0.
  bool compare(NumericDerivative& numeric, const Tensors& inputs, size_t i, const Tensor& fast, const Tensor& recorded,
               const std::string& name, int order) {
    const Tensor a = raw::contiguous(fast.detach()), b = raw::contiguous(recorded.detach());
    const double *p = a.data<double>(), *q = b.data<double>();
    const int64_t n = inputs[i].numel();
    bool any = false;
    for (int64_t e = 0; e < n; ++e) any |= !(std::fabs(p[e]) <= options_.atol) || !(std::fabs(q[e]) <= options_.atol);
    if (n > options_.full_limit) return check_directions(numeric, inputs, i, p, q, name, order) || any;
    std::vector<double> values(static_cast<size_t>(n));
    bool good = true;
    for (int64_t e = 0; e < n; ++e) {
      double& value = values[static_cast<size_t>(e)];
      good &= check_element(numeric, inputs, i, e, p[e], q[e], name, order, value);
      any |= !(std::fabs(value) <= options_.atol);
    }
    if (!good) diagnose(report_, name, order, inputs[i].shape(), p, q, values);
    return any;
  }

  struct Along {
    double fast = 0, recorded = 0, size = 0;
  };
  static Along analytic_along(const double* p, const double* q, const std::vector<double>& u, int64_t first,
                              int64_t last) {
    Along sum;
    for (int64_t e = first; e < last; ++e) {
      const double w = u[static_cast<size_t>(e)];
      sum.fast += w * p[e], sum.recorded += w * q[e], sum.size += w * w * std::max(p[e] * p[e], q[e] * q[e]);
    }
    sum.size = std::sqrt(sum.size);
    return sum;
  }

  bool check_directions(NumericDerivative& numeric, const Tensors& inputs, size_t i, const double* p, const double* q,
                        const std::string& name, int order) {
    const int64_t n = inputs[i].numel();
    bool any = false;
    for (int trial = 0; trial < options_.directions; ++trial) {
      ++report_.directions;
      std::vector<double> u(static_cast<size_t>(n));
      for (int64_t e = 0; e < n; ++e) u[static_cast<size_t>(e)] = random_.weight() * numeric.unit(i, e);
      auto misfit = [&](int64_t first, int64_t last) {
        const Difference d = numeric.along(i, u, first, last);
        const Along sum = analytic_along(p, q, u, first, last);
        any |= !(std::fabs(d.value) <= options_.atol);
        const double error = std::max(std::fabs(sum.fast - d.value), std::fabs(sum.recorded - d.value));
        const double allowed = options_.atol + options_.rtol * std::max(sum.size, std::fabs(d.value)) + d.noise;
        return std::isnan(error) ? INFINITY : error / allowed;
      };
      int64_t first = 0, last = n;
      if (misfit(first, last) <= 1) continue;
      while (last - first > 1) {  // the half that fits worse
        const int64_t middle = first + (last - first) / 2;
        if (misfit(first, middle) >= misfit(middle, last))
          last = middle;
        else
          first = middle;
      }
      double value;
      if (check_element(numeric, inputs, i, first, p[first], q[first], name, order, value)) {
        const Difference d = numeric.along(i, u, 0, n);
        const Along sum = analytic_along(p, q, u, 0, n);
        add_row({order, false, name, element_index(inputs[i].shape(), first), *element_address(inputs[i], first),
                 sum.fast, d.value, "along a random direction; no element stands out"});
      }
    }
    for (int sample = 0; sample < options_.directions; ++sample) {
      const auto e = static_cast<int64_t>(random_.uniform() * static_cast<double>(n));
      double value;
      check_element(numeric, inputs, i, e, p[e], q[e], name, order, value);
      any |= !(std::fabs(value) <= options_.atol);
    }
    return any;
  }

  const GradcheckOptions& options_;
  GradcheckReport& report_;
  CheckRandom random_;

 public:
  static void sort_rows(GradcheckReport& report) {
    std::stable_sort(report.rows.begin(), report.rows.end(), [](const GradcheckRow& a, const GradcheckRow& b) {
      return a.relative_error() * a.absolute_error() > b.relative_error() * b.absolute_error();
    });
    if (report.rows.size() > kMaxRows) report.rows.resize(kMaxRows);
  }
};

/// Makes the inputs leaves that require a gradient, and undoes that.
class Leaves {
 public:
  explicit Leaves(const Tensors& inputs) {
    if (inputs.empty()) fail<ValueError>("[gradcheck] no inputs; name the tensors whose gradients are to be checked");
    for (size_t i = 0; i < inputs.size(); ++i) {
      const Tensor& x = inputs[i];
      if (x.dtype() != float64)
        fail<DTypeError>("[gradcheck] input {} is {}; differences need float64, convert it with to(float64)", i,
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
      if (!x.requires_grad()) {
        made_.push_back(x.requires_grad_());
      }
  }
  ~Leaves() {
    for (Tensor& x : made_) x.requires_grad_(false);
  }

 private:
  Tensors made_;
};

}  // namespace

GradcheckReport run_gradcheck(FunctionRef call, const Tensors& inputs, const GradcheckOptions& options) {
  if (std::cmp_less(inputs.size(), call.count)) check_count("gradcheck", call, inputs.size());
  const Leaves leaves(inputs);
  GradcheckReport report;
  report.order = options.order;
  UserFunction f(call);
  std::vector<std::string> names;
  for (size_t i = 0; i < inputs.size(); ++i) names.push_back(fmt::format("input {}", i));
  Checker(options, report).check(f, inputs, names, 1);
  Checker::sort_rows(report);
  return report;
}

}  // namespace cotangent::detail
