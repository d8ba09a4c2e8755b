#include <cotangent/autograd/gradcheck/diagnosis_internal.hpp>

#include <algorithm>

#include <cotangent/autograd/gradcheck/diagnosis_evidence_internal.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::detail {
namespace {

std::string explain_disconnected(const Evidence& e) {
  for (double a : e.rule)
    if (a != 0) return "";
  return "the rule gives 0: is the history cut (detach(), data copied by hand, NoGrad), or an input not passed to "
         "record?";
}

bool all_zero(const Evidence& e) {
  return std::all_of(e.n.begin(), e.n.end(), [](double n) { return n == 0; });
}

std::string explain_stale_copy(const Evidence& e) {
  if (!all_zero(e) || e.influence) return "";
  return "differences give 0, wherever the input is, but the rule does not: the function reads a copy of the input "
         "that "
         "was made before";
}

std::string explain_saturated(const Evidence& e) {
  if (!all_zero(e) || !e.influence) return "";
  return "differences give 0, but the rule does not: the function is flat here, as a step or a saturated one is";
}

constexpr const char* kNothingFits = "nothing simpler fits";

// Where nothing explains it, what is known.
std::string explain_rest(const Evidence& e) {
  size_t worst = 0;
  double dot = 0, a = 0, n = 0;
  for (size_t p = 0; p < e.places.size(); ++p) {
    dot += e.a[p] * e.n[p], a += e.a[p] * e.a[p], n += e.n[p] * e.n[p];
    if (std::fabs(e.a[p] - e.n[p]) > std::fabs(e.a[worst] - e.n[worst])) worst = p;
  }
  return fmt::format(
      "{}, so a term or a factor that varies is left out or wrong: at {} the rule gives {:.6g} and "
      "differences {:.6g}; the whole has {:.3g} times the right length, at an angle whose cosine is {:.3g}",
      kNothingFits, element_index(e.shape, e.places[worst]), e.a[worst], e.n[worst], std::sqrt(a / n),
      dot / std::sqrt(a * n));
}

// From the special to the general: the first that predicts the misfit speaks.
const struct {
  const char* word;
  Hypothesis explain;
} hypotheses[] = {{"disconnected", explain_disconnected},
                  {"stale copy", explain_stale_copy},
                  {"saturated", explain_saturated},
                  {"sign", explain_sign},
                  {"broadcast", explain_broadcast},
                  {"factor", explain_factor},
                  {"broadcast", explain_reduced_too_far},
                  {"precision", explain_precision},
                  {"layout", explain_layout},
                  {"layout", explain_permutation},
                  {"epsilon", explain_epsilon},
                  {"factor", explain_factors},
                  {"accumulation", explain_accumulation},
                  {"only where", explain_only_where},
                  {"factor", explain_factors_of_blocks},
                  {"missing term", explain_missing_term},
                  {"only where", explain_few},
                  {"missing term", explain_rest}};

/// What is said of one input.
class Patient {
 public:
  Patient(GradcheckReport& report, const Derivatives& d, const Measured& m) : report_(report), d_(d), m_(m) {}

  void say(const std::string& word, const std::string& text) {
    report_.diagnosis.push_back(fmt::format("{}, order {}: {}: {}", d_.names[m_.input], d_.order, word, text));
  }

  bool has_edge() const { return edge_; }

  // Elements that are not finite, by the rule or by the function.
  void look_for_edges() {
    const Shape& shape = d_.inputs[m_.input].shape();
    const Values& x = x_;
    int64_t count = 0;
    std::string first;
    for (const auto* rule : {&d_.fast[m_.input], &d_.recorded[m_.input]}) {
      for (size_t e = 0; e < rule->size(); ++e)
        if (!std::isfinite((*rule)[e]) && count++ == 0)
          first = fmt::format("{} at {}, where the element is {:.6g}", (*rule)[e],
                              element_index(shape, static_cast<int64_t>(e)), x[e]);
      if (count == 0) continue;
      edge_ = true;
      say("domain", fmt::format("the rule gives {}{}: not a number, or infinite, at {} of {} elements", first,
                                differences_there(*rule), count, rule->size()));
      return;
    }
    for (size_t i = 0; i < m_.places.size(); ++i)
      if (!m_.numeric[i].finite)
        return say("domain",
                   fmt::format("the function is not finite on both sides of the element {} (which is {:.6g}): "
                               "an edge of its domain, or a step too large; move the input inside",
                               element_index(shape, m_.places[i]), x[static_cast<size_t>(m_.places[i])]));
  }

  void look_for_kinks() {
    int64_t kinks = 0;
    const Difference* first = nullptr;
    int64_t place = 0;
    for (size_t i = 0; i < m_.places.size(); ++i) {
      if (!m_.numeric[i].kink) continue;
      if (kinks++ == 0) first = &m_.numeric[i], place = m_.places[i];
    }
    if (!first) return;
    const auto e = static_cast<size_t>(place);
    say("kink",
        fmt::format(
            "the one-sided slopes do not approach each other as the step shrinks at {} of {} elements: {:.4g} on "
            "the left and {:.4g} on the right of {}, where the element is {:.6g}, and {:.4g} by the rule{}",
            kinks, m_.places.size(), first->left, first->right, element_index(d_.inputs[m_.input].shape(), place),
            x_[e], d_.fast[m_.input][e], first->jump ? ": the function jumps" : ""));
  }

  // Gradients that rounding hides.
  void look_for_noise(double noise_factor) {
    if (noise_factor > 1e5)
      return say(
          "precision",
          fmt::format("the outputs carry {:.2g} times the rounding of their own type: float32 inside", noise_factor));
    double largest = 0, bar = 0;
    for (size_t i = 0; i < m_.places.size(); ++i) {
      const auto e = static_cast<size_t>(m_.places[i]);
      if (!m_.numeric[i].finite) continue;
      largest = std::max({largest, std::fabs(d_.fast[m_.input][e]), std::fabs(m_.numeric[i].value)});
      bar = std::max(bar, m_.numeric[i].error);
    }
    if (largest <= 1e-6)
      say("saturated", fmt::format("no derivative is larger than {:.2g}, which differences can't tell from 0: the "
                                   "function is nearly flat here",
                                   largest));
  }

 private:
  std::string differences_there(const std::vector<double>& rule) const {
    for (size_t i = 0; i < m_.places.size(); ++i)
      if (!std::isfinite(rule[static_cast<size_t>(m_.places[i])]) && m_.numeric[i].finite)
        return fmt::format(", and differences {:.6g}", m_.numeric[i].value);
    return "";
  }

  GradcheckReport& report_;
  const Derivatives& d_;
  const Measured& m_;
  const Values x_ = elements_of(d_.inputs[m_.input]);
  bool edge_ = false;
};

bool any_wrong(const Evidence& e) {
  for (size_t p = 0; p < e.places.size(); ++p)
    if (e.wrong(p)) return true;
  return false;
}

}  // namespace

bool fits_nothing(const std::string& line) { return line.find(kNothingFits) != std::string::npos; }

void diagnose(GradcheckReport& report, const Comparison& comparison, NumericDerivative& numeric,
              const GradientsFor& rule, const Tensors& cotangents, const GradcheckOptions& options) {
  // what was measured of a function that is not determined says nothing
  if (std::any_of(report.diagnosis.begin(), report.diagnosis.end(), is_left_to_chance)) return;
  const Derivatives& d = comparison.derivatives();
  EvidenceOf evidence_of(comparison, numeric, rule, cotangents);
  for (const Measured& m : comparison.measured()) {
    const Verdict verdict = comparison.found(m.input).verdict;
    if (verdict == Verdict::pass) continue;
    Patient patient(report, d, m);
    const size_t before = report.diagnosis.size();
    patient.look_for_edges();
    patient.look_for_kinks();
    if (!m.wrong) {
      if (report.diagnosis.size() == before) patient.look_for_noise(numeric.noise_factor());
      continue;
    }
    Evidence e = evidence_of(m, false, options.rtol);
    const bool recorded = !any_wrong(e);
    if (recorded) e = evidence_of(m, true, options.rtol);
    if (!any_wrong(e)) {
      if (patient.has_edge() && !e.places.empty())
        patient.say("only where", "right wherever it is finite: are some elements never written, or 0 / 0?");
      continue;
    }
    std::string word, text;
    for (const auto& hypothesis : hypotheses)
      if (text = hypothesis.explain(e); !text.empty()) {
        word = hypothesis.word;
        break;
      }
    std::string only;
    if (d.order > 1) only = fmt::format("right at order {}, wrong only from order {} on", d.order - 1, d.order);
    if (recorded || e.other_is_right())
      only += fmt::format("{}only the {} is wrong", only.empty() ? "" : "; ",
                          recorded ? "pass that create_graph records" : "fast pass");
    if (only.empty())
      patient.say(word, text);
    else
      patient.say("order", fmt::format("{}: {}: {}", only, word, text));
  }
}

}  // namespace cotangent::detail
