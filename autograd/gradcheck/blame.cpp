#include <cotangent/autograd/gradcheck/blame_internal.hpp>

#include <algorithm>

#include <cotangent/autograd/gradcheck/contracts_internal.hpp>
#include <cotangent/autograd/gradcheck/tape_probe_internal.hpp>
#include <cotangent/tensor/copy.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::detail {
namespace {

constexpr int kSteps = 7, kFewSteps = 3;  // each half of the one before
constexpr double kFirstStep = 4e-3;       // relative to the length of the direction
constexpr int kRows = 3;                  // that are tried as directions
constexpr size_t kMaxInputs = 8;          // of an op, that are looked at one by one

/// What is moved, and what is brought back.
struct Question {
  Tensors cotangents;
  Direction direction;  // none: the pass is run again instead
  double scale;
  bool recorded;  // the gradient is that of the pass with create_graph
  std::string along = {};
  int only = TapeProbe::kAll;  // the input whose gradient alone is asked for
  bool retain_graph = true;
};

bool all_finite(const Tensor& x) {
  const std::vector<double> all = x.defined() ? elements_of(x) : std::vector<double>();
  return std::all_of(all.begin(), all.end(), [](double v) { return std::isfinite(v); });
}

std::string ordinal(size_t n) {
  const char* ends[] = {"th", "st", "nd", "rd"};
  return fmt::format("{}{}", n, ends[n % 100 / 10 == 1 || n % 10 > 3 ? 0 : n % 10]);
}

class Search {
 public:
  Search(const BlameQuestion& of, const Question& q, GradcheckBlame& blame) : of_(of), q_(q), blame_(blame) {}

  /// True if there is an op to blame. Else the evidence may tell why not.
  bool run() {
    const Unchanged guard(of_.inputs);  // by a rule
    TapeProbe probe(of_.f, of_.inputs, q_.cotangents, of_.order, q_.only);
    probe_ = &probe;
    try {
      probe.record(q_.recorded, q_.retain_graph, q_.direction.empty());
    } catch (const std::exception& error) {
      if (probe.running() < 0) throw;
      return found(probe.running(), fmt::format("its rule throws: {}", error.what()));
    }
    if (q_.direction.empty()) return look_again();
    if (const int op = probe.undetermined(); op >= 0)
      return not_found(
          fmt::format("nondeterministic: the first op that gives other values when the function is called "
                      "again is {}",
                      name_of(op)));
    if (const int op = not_finite(); op >= 0)
      return found(op, "its rule gives a gradient that is not finite, and what it receives is");
    double epsilon = 0;
    for (const Tensors* xs : {&of_.inputs, &q_.cotangents})
      for (const Tensor& x : *xs)
        if (x.defined()) epsilon = std::max(epsilon, epsilon_of(x.dtype()));
    double h = std::max(kFirstStep, std::cbrt(epsilon)) * q_.scale;
    for (int round = 0; round < 2; ++round) {
      for (int i = 0; i < kSteps && !(i >= kFewSteps && is_plain()); ++i, h /= 2)
        if (!probe.measure(q_.direction, h))
          return not_found("the function takes another way when its inputs move: it records other ops");
      if (look(4 * h)) return true;
    }
    return why_not();
  }

 private:
  /// The first op, from the end, that makes infinity or NaN of finite gradients.
  int not_finite() const {
    for (auto i = static_cast<int>(ops().size()) - 2; i >= 0; --i) {
      const ProbedOp& op = at(i);
      if (!op.live) continue;
      bool bad = false, good = true;
      for (const ProbedOp::Input& in : op.inputs) bad = bad || (in.wanted && !all_finite(in.gradient));
      if (!bad) continue;
      for (const Tensor& g : op.gradients) good = good && all_finite(g);
      if (good) return i;
    }
    return -1;
  }

  // A second pass over the same graph.
  bool look_again() {
    if (const int op = probe_->writing(); op >= 0)
      return found(op,
                   "its rule writes to an input of the function, to a cotangent, or to a tensor that the op has saved");
    const int op = probe_->changing();
    return op >= 0 && found(op, "its rule gives another gradient for the same in a second pass over the graph");
  }

  /// How much is lost for certain. At a kink any slope between those of both sides is right.
  static double loss(const Difference& d) {
    if (d.kink && !d.jump) {
      const double low = std::min(d.left, d.right), high = std::max(d.left, d.right);
      const double outside = std::max({low, -high, 0.0});
      return outside > 1e-3 * std::max(std::fabs(low), std::fabs(high)) ? outside : 0;
    }
    const double size = std::fabs(d.value);
    return d.finite && size > 10 * d.error ? size : 0;
  }
  static bool off_balance(const ProbedOp& op, const Difference& d, double largest) {
    return loss(d) > std::max(1e-7 * std::max(std::fabs(op.due), std::fabs(op.sent)), 1e-3 * largest);
  }

  /// The largest loss is known well enough: more steps would not tell more.
  bool is_plain() const {
    const Difference* most = nullptr;
    for (const ProbedOp& op : ops())
      for (const Difference* d : {&op.rule.best(), &op.received.best()})
        if (op.live && loss(*d) > (most ? loss(*most) : 0)) most = d;
    return most && most->error < 1e-6 * std::fabs(most->value);
  }

  bool look(double h) {
    double largest = 0, loose = 0;
    for (const ProbedOp& op : ops())
      if (op.live) largest = std::max({largest, loss(op.rule.best()), loss(op.received.best())});
    if (largest == 0) return false;
    // A shift or a scale without a history, such as a largest element that is subtracted and added again, is right
    // where it comes to nothing in the end.
    for (const ProbedOp& op : ops())
      if (op.live && op.is_loose()) loose += op.rule.best().value;
    const bool even = std::fabs(loose) <= 1e-6 * largest;
    for (auto i = static_cast<int>(ops().size()) - 1; i >= 0; --i) {
      const ProbedOp& op = at(i);
      if (!op.live) continue;
      if (off_balance(op, op.received.best(), largest)) return receives(i);
      if (even && op.is_loose()) continue;
      if (off_balance(op, op.rule.best(), largest)) return explain(i, h, largest);
    }
    return false;
  }

  // The balance of op i does not hold: by one of its inputs, or since one that varies has no history.
  bool explain(int i, double h, double largest) {
    const ProbedOp& op = at(i);
    const auto end = static_cast<int>(ops().size()) - 1;
    size_t wanted = 0;
    int loose = -1;
    for (size_t k = 0; k < op.inputs.size(); ++k) {
      const ProbedOp::Input& in = op.inputs[k];
      wanted += in.wanted;
      if (!in.wanted && in.varies && loose < 0) loose = static_cast<int>(k);
    }
    if (i == end) return cut(i, loose);
    for (size_t k = 0; k < op.inputs.size(); ++k)
      if (op.inputs[k].rewritten) return rewritten(i, static_cast<int>(k));
    std::string numbers = fmt::format(
        "of what it receives {:.6g} must go on, by differences, and its rule sends {:.6g}", op.due, op.sent);
    if (loose >= 0 && op.inputs[static_cast<size_t>(loose)].shared) return cut(i, loose);
    int input = wanted == 1 ? only_wanted(op) : -1;
    const bool alone = wanted == 1 && op.inputs.size() == 1;
    if (!alone && wanted <= kMaxInputs) {
      const std::vector<TapeProbe::Local> locals = probe_->locals(i, q_.direction, h);
      double worst = 0;
      bool seen = true;
      for (size_t k = 0; k < locals.size(); ++k) {
        const TapeProbe::Local& l = locals[k];
        const double error = std::fabs(l.rule - l.differences);
        seen = seen && (l.seen || !op.inputs[k].wanted);
        if (!l.seen || !(error > worst)) continue;
        worst = error, input = static_cast<int>(k);
        numbers = fmt::format("moving that input alone, differences of its result give {:.6g}, and its rule {:.6g}",
                              l.differences, l.rule);
      }
      if (worst < 0.05 * std::fabs(op.rule.best().value)) {
        if (seen || loose >= 0) return cut(i, loose);
        input = -1;
      }
    }
    std::string others;
    int more = 0;
    for (int j = i - 1; j >= 0; --j)
      if (at(j).live && off_balance(at(j), at(j).rule.best(), largest) && ++more <= 3)
        others += (others.empty() ? "; wrong too: " : ", ") + name_of(j);
    if (more > 3) others += fmt::format(" and {} more", more - 3);
    blame_.input = input;
    return found(i, numbers + others);
  }

  static int only_wanted(const ProbedOp& op) {
    for (size_t k = 0; k < op.inputs.size(); ++k)
      if (op.inputs[k].wanted) return static_cast<int>(k);
    return -1;
  }

  // What op i takes there varies with the inputs of the function, but nothing recorded how.
  bool cut(int i, int input) {
    const auto end = static_cast<int>(ops().size()) - 1;
    const Tensor value = input < 0 ? Tensor() : at(i).inputs[static_cast<size_t>(input)].value;
    const std::string taker = input < 0 ? fmt::format("something that {} takes besides its recorded inputs", name_of(i))
                              : i == end ? fmt::format("output {} of the function", input)
                                         : fmt::format("input {} of {}", input, name_of(i));
    if (const int op = value.defined() ? probe_->sender(value) : -1; op >= 0)
      return found(
          op,
          fmt::format("its rule, when it is itself recorded, gives a gradient without a history, which is {}", taker));
    std::string origin;
    for (int j = i - 1; j >= 0 && origin.empty(); --j)
      for (const Tensor& y : at(j).outputs)
        if (y.defined() && value.defined() && same_bits(y, value))
          origin = "; its values are those of the result of " + name_of(j);
    for (size_t k = 0; k < of_.inputs.size() && origin.empty(); ++k)
      if (value.defined() && same_bits(of_.inputs[k], value)) origin = "; its values are those of " + of_.names[k];
    const std::string text = fmt::format(
        "the history ends at {}, which changes with the inputs without being made from them by recorded ops: detached, "
        "copied by hand, computed under NoGrad, or a mask or index{}",
        taker, origin);
    if (i == end) return not_found(text);
    if (at(i).owner >= 0) return found(at(i).owner, "in its rule " + text);
    blame_.input = input;
    return found(i, text);
  }

  bool rewritten(int i, int input) {
    blame_.input = input;
    return found(i, fmt::format("its input {} is not what {} gave: it was written to since, and that was not recorded "
                                "(NoGrad, data())",
                                input, maker(at(i).inputs[static_cast<size_t>(input)])));
  }

  bool receives(int i) {
    for (const ProbedOp& op : ops())
      for (const ProbedOp::Input& in : op.inputs)
        if (in.from == i && in.rewritten) {
          const auto user = static_cast<int>(&op - ops().data());
          return rewritten(user, static_cast<int>(&in - op.inputs.data()));
        }
    return found(i, "it receives another gradient than those that use its result send: is there a hook on it?");
  }

  std::string maker(const ProbedOp::Input& in) const {
    return in.from >= 0 ? name_of(in.from) : "input " + std::to_string(ProbedOp::kLeaf - in.from) + " of the function";
  }

  // "the 3rd of 7 on the tape"; empty where there is no other of its name.
  std::string place_of(int i) const {
    size_t place = 0, count = 0;
    for (int j = 0; j + 1 < static_cast<int>(ops().size()); ++j)
      if (at(j).op == std::string_view(at(i).op)) ++count, place += j <= i;
    return count < 2 ? "" : fmt::format("the {} of {} on the tape", ordinal(place), count);
  }
  std::string name_of(int i) const {
    const std::string place = place_of(i);
    return fmt::format("[{}]{}{}", at(i).op, place.empty() ? "" : ", ", place);
  }

  bool found(int i, const std::string& evidence) {
    const ProbedOp& op = at(i);
    blame_.op = op.op;
    const std::string which = place_of(i);
    blame_.evidence = which + (which.empty() ? "" : ": ") + evidence;
    const int called = op.owner >= 0 ? op.owner : i;
    if (called != i) blame_.evidence += fmt::format("; it was recorded by the rule of {}", name_of(called));
    if (!q_.along.empty()) blame_.evidence += " (" + q_.along + ")";
    const TapeProbe::Place place = probe_->place(called);
    std::string_view modules = place.modules, type;
    while (!modules.empty()) {
      const ModuleName module = next_module(modules);
      if (type.empty()) type = module.type;
      if (!module.name.empty()) blame_.module.append(blame_.module.empty() ? "" : ".").append(module.name);
    }
    if (blame_.module.empty()) blame_.module = type;
    if (const size_t colon = place.line.rfind(':'); colon != std::string::npos) {
      blame_.file = place.line.substr(0, colon);
      blame_.line = std::atoi(place.line.c_str() + colon + 1);
    }
    return true;
  }

  bool not_found(const std::string& evidence) {
    blame_.evidence = evidence;
    return false;
  }

  // Every op that was recorded is right as far as can be seen.
  bool why_not() {
    std::string text;
    for (size_t i = 0; i < of_.inputs.size(); ++i) {
      bool moved = false, taken = false;
      if (i < q_.direction.size())
        for (double w : q_.direction[i]) moved = moved || w != 0;
      for (const ProbedOp& op : ops())
        for (const ProbedOp::Input& in : op.inputs) taken = taken || in.from == ProbedOp::kLeaf - static_cast<int>(i);
      if (moved && !taken) text += fmt::format("{}{}", text.empty() ? "no recorded op takes " : ", ", of_.names[i]);
    }
    for (int i = 0; i < static_cast<int>(ops().size()) && text.empty(); ++i)
      for (size_t k = 0; k < at(i).inputs.size(); ++k)
        if (at(i).inputs[k].earlier && at(i).inputs[k].gradient.defined())
          text = fmt::format(
              "input {} of {} was recorded before the function was called: is it a copy of an input, made "
              "once?",
              k, name_of(i));
    return blame_.evidence.empty() && not_found(text);
  }

  const std::vector<ProbedOp>& ops() const { return probe_->ops(); }
  const ProbedOp& at(int i) const { return ops()[static_cast<size_t>(i)]; }

  const BlameQuestion& of_;
  const Question& q_;
  GradcheckBlame& blame_;
  TapeProbe* probe_ = nullptr;
};

Direction to_element(const BlameQuestion& of, const GradcheckRow& row, double& scale) {
  Direction direction(of.inputs.size());
  for (size_t i = 0; i < of.inputs.size(); ++i) {
    if (of.names[i] != row.input) continue;
    int64_t place = 0;
    for (int d = 0; d < row.index.rank(); ++d) place = place * of.inputs[i].shape()[d] + row.index[d];
    direction[i].assign(static_cast<size_t>(of.inputs[i].numel()), 0);
    direction[i][static_cast<size_t>(place)] = 1;
    scale = std::max(std::fabs(element_at(of.inputs[i], place)), 0.01);
  }
  return direction;
}

Direction everywhere(const BlameQuestion& of, CheckRandom& random) {
  Direction direction;
  for (const Tensor& x : of.inputs) {
    direction.emplace_back();
    for (int64_t e = 0; e < x.numel(); ++e)
      direction.back().push_back(random.weight() * std::max(std::fabs(element_at(x, e)), 0.1));
  }
  return direction;
}

Tensors of_all_magnitudes(const Tensors& cotangents, CheckRandom& random) {
  Tensors all;
  for (const Tensor& v : cotangents) {
    all.push_back(make_tensor(v.shape(), v.dtype()));
    for (int64_t e = 0; e < v.numel(); ++e) set_element(all.back(), e, random.any_magnitude());
  }
  return all;
}

/// Moves all inputs somewhere near.
void move_away(const Tensors& inputs, CheckRandom& random) {
  for (const Tensor& x : inputs) {
    for (int64_t e = 0; e < x.numel(); ++e) {
      const double v = element_at(x, e);
      set_element(x, e, v * (1 + 0.1 * random.weight()) + (v == 0 ? 0.05 * random.weight() : 0));
    }
    bump_version(x);
  }
}

bool mentions(const GradcheckReport& report, std::string_view word) {
  return std::any_of(report.problems.begin(), report.problems.end(),
                     [&](const std::string& problem) { return problem.find(word) != std::string::npos; });
}

bool search(const BlameQuestion& of, const Question& q, GradcheckReport& report) {
  GradcheckBlame blame;
  const bool found = Search(of, q, blame).run();
  if (found || report.blame.evidence.empty()) report.blame = std::move(blame);
  return found;
}

/// In another layout of the inputs, or of the cotangents.
bool try_layout(const BlameQuestion& of, const MemoryLayout& layout, GradcheckReport& report) {
  CheckRandom random(of.seed);
  const bool inputs = mentions(report, "inputs when they are");
  Tensors moved, cotangents;
  for (const Tensor& x : of.inputs) moved.push_back(layout.make(x).requires_grad_());
  for (const Tensor& v : of.cotangents) cotangents.push_back(layout.make(v));
  const BlameQuestion in_layout{of.f, inputs ? moved : of.inputs, of.cotangents, of.names, of.order, of.seed};
  const std::string along = fmt::format("where the {} {}", inputs ? "inputs are" : "cotangent is", layout.name);
  return search(in_layout, {inputs ? of.cotangents : cotangents, everywhere(of, random), 1, false, along}, report);
}

/// With one input or one output alone.
bool try_parts(const BlameQuestion& of, GradcheckReport& report) {
  CheckRandom random(of.seed);
  const Direction direction = everywhere(of, random);
  for (size_t i = 0; i < of.inputs.size(); ++i) {
    Direction one(of.inputs.size());
    one[i] = direction[i];
    const std::string along = fmt::format("where the gradient of {} alone is asked for", of.names[i]);
    if (search(of, {of.cotangents, one, 1, false, along, static_cast<int>(i)}, report)) return true;
  }
  for (size_t k = 0; k < of.cotangents.size(); ++k) {
    Tensors one(of.cotangents.size());
    one[k] = of.cotangents[k];
    if (search(of, {one, direction, 1, false, fmt::format("for output {} alone", k)}, report)) return true;
  }
  return false;
}

void try_all(const BlameQuestion& of, const BlameQuestion& first, GradcheckReport& report) {
  CheckRandom random(of.seed);
  std::vector<GradcheckRow> rows;
  for (const GradcheckRow& row : report.rows)
    if (row.order == of.order) rows.push_back(row);
  std::stable_sort(rows.begin(), rows.end(), [](const GradcheckRow& a, const GradcheckRow& b) {
    return a.absolute_error() * a.relative_error() > b.absolute_error() * b.relative_error();
  });
  if ((mentions(report, "changes") || mentions(report, "second") || mentions(report, "twice")) &&
      search(of, {of.cotangents, {}, 1, false}, report))
    return;
  for (const MemoryLayout& layout : kMemoryLayouts)
    if ((mentions(report, layout.name) || mentions(report, "not contiguous")) && try_layout(of, layout, report)) return;
  if (mentions(report, "retains the graph") && search(of,
                                                      {of.cotangents, everywhere(of, random), 1, false,
                                                       "in a pass that frees the graph", TapeProbe::kAll, false},
                                                      report))
    return;
  if (mentions(report, "only that one is asked for") || mentions(report, "one at a time"))
    if (try_parts(of, report)) return;
  int tried = 0;
  for (auto row = rows.begin(); row != rows.end() && tried < kRows; ++row) {
    const bool like = std::any_of(
        rows.begin(), row, [&](const GradcheckRow& r) { return r.input == row->input && r.recorded == row->recorded; });
    if (like) continue;
    ++tried;
    double scale = 1;
    Direction direction = to_element(of, *row, scale);
    if (search(of, {of.cotangents, std::move(direction), scale, row->recorded}, report)) return;
  }
  for (const bool recorded : {false, true})
    if (search(of, {of.cotangents, everywhere(of, random), 1, recorded}, report)) return;
  if (mentions(report, "linear") && search(of,
                                           {of_all_magnitudes(of.cotangents, random), everywhere(of, random), 1, false,
                                            "for a cotangent of all magnitudes from 1e-3 to 1e3"},
                                           report))
    return;
  if (!mentions(report, "symmetric")) return;
  const Unchanged guard(first.inputs);
  move_away(first.inputs, random);
  search(first,
         {first.cotangents, everywhere(first, random), 1, false,
          "with the inputs moved to another place, where it is not 1 or 0 what is left out"},
         report);
}

}  // namespace

void find_blame(const BlameQuestion& question, const BlameQuestion& first, GradcheckReport& report) {
  try {
    try_all(question, first, report);
  } catch (const std::exception& error) {
    report.blame = {};
    report.blame.evidence = fmt::format("no op could be looked at: {}", error.what());
  }
}

}  // namespace cotangent::detail
