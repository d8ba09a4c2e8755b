// One recorded op as a function of its own: what is wrong with it shows there more plainly than in the whole.
#include <algorithm>
#include <cstring>
#include <unordered_map>
#include <utility>

#include <cotangent/autograd/engine.hpp>
#include <cotangent/autograd/gradcheck/contracts_internal.hpp>
#include <cotangent/autograd/gradcheck/diagnosis_internal.hpp>
#include <cotangent/autograd/gradcheck/tape_probe_internal.hpp>
#include <cotangent/autograd/modes.hpp>
#include <cotangent/autograd/observer_internal.hpp>
#include <cotangent/tensor/copy.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::detail {
namespace {

constexpr int kMostAlike = 4;               // ops of the same name that are tried
constexpr int64_t kMostElements = 1 << 17;  // of the inputs of one

/// The op that a run of f records at a place. Its inputs are tensors that the ops before it made, or inputs of f: their
/// memory is written over just before the op runs.
class OpAlone final : public CheckedFunction, private Observer {
 public:
  OpAlone(CheckedFunction& f, const Tensors& inputs, int place) : f_(f), inputs_(inputs), place_(place) {
    run(Phase::first);
  }
  /// It has inputs to differentiate by, and each has memory of its own.
  bool can_be_called() const { return !values_.empty() && !shared_; }
  const char* op() const { return op_; }
  const Tensors& inputs() const { return values_; }
  std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (const Source& s : sources_) all.push_back(fmt::format("input {} of [{}]", s.input, op_));
    return all;
  }

  Tensors call(const Tensors& xs, bool) override {
    const Unchanged guard(inputs_);
    now_ = xs;
    run(Phase::again);
    return outputs_;
  }
  /// What the rule sends to the inputs for these cotangents.
  Tensors gradients(const Tensors& cotangents, bool recorded) {
    now_ = values_;  // those that it has anyway, so that the pass finds all as it was
    run(Phase::again);
    sent_.assign(sources_.size(), {});
    phase_ = Phase::backward;
    product_of(outputs_, inputs_, cotangents, recorded);
    phase_ = Phase::idle;
    Tensors all;
    for (size_t i = 0; i < sent_.size(); ++i) {
      all.push_back(make_tensor(values_[i].shape(), values_[i].dtype()));
      if (sent_[i].defined())
        raw::copy_into("gradcheck", sent_[i], all.back());
      else
        raw::fill_into(all.back(), 0);
    }
    return all;
  }

 private:
  enum class Phase : uint8_t { idle, first, again, backward };
  struct Done {};  // the op has run: what follows is of no interest
  struct Source {
    int input;          // of the op, the first of those that are this tensor
    int maker, output;  // the op that made it, or leaf -1 - i
  };

  void run(Phase phase) {
    struct End {
      Phase& phase;
      ~End() { phase = Phase::idle; }
    } end{phase_};
    cursor_ = 0;
    outputs_.clear(), memory_.assign(sources_.size(), {});
    phase_ = phase;
    replace({});
    try {
      f_.call(inputs_, true);
    } catch (const Done&) {
    }
    if (phase == Phase::again && outputs_.empty())
      fail<ValueError>("[gradcheck] the function takes another way when the inputs of [{}] move", op_);
  }

  void recorded(Node& node, std::span<const TensorRef> xs, std::span<const Tensor> ys) override {
    if (phase_ == Phase::first) {
      if (cursor_ == place_) {
        note(node, xs);
        throw Done{};
      }
      places_[&node] = cursor_;
      kept_.insert(kept_.end(), ys.begin(), ys.end());
    }
    if (phase_ == Phase::again && cursor_ == place_) {
      if (std::strcmp(node.op, op_) != 0) throw Done{};
      node_ = &node;
      for (const Tensor& y : ys)
        if (y.is_floating()) outputs_.push_back(y);
      throw Done{};
    }
    ++cursor_;
    if (phase_ == Phase::again) replace(ys);
  }

  void note(Node& node, std::span<const TensorRef> xs) {
    op_ = node.op;
    for (size_t k = 0; k < xs.size(); ++k) {
      const Edge edge = node.edges()[k];
      const Tensor& x = *xs[k].tensor;
      if (!edge.node || !x.defined() || !x.is_floating()) continue;
      Source s{static_cast<int>(k), 0, edge.output};
      if (const auto made = places_.find(edge.node); made != places_.end()) {
        s.maker = made->second;
      } else {
        const auto leaf = std::find_if(inputs_.begin(), inputs_.end(),
                                       [&](const Tensor& in) { return in.impl()->node == edge.node; });
        if (leaf == inputs_.end()) continue;
        s.maker = -1 - static_cast<int>(leaf - inputs_.begin());
      }
      bool again = false;
      for (size_t i = 0; i < sources_.size() && !again; ++i) {
        again = sources_[i].maker == s.maker && sources_[i].output == s.output;
        shared_ = shared_ || (!again && aliases_[i].shares_storage(x));
      }
      if (again) continue;
      sources_.push_back(s);
      aliases_.push_back(make_alias(x));
      values_.push_back(copies({x})[0]);
    }
    kept_.clear();
  }

  void replace(std::span<const Tensor> ys) {
    for (size_t i = 0; i < sources_.size(); ++i) {
      const Source& s = sources_[i];
      if (s.maker < 0 && cursor_ == 0) memory_[i] = make_alias(inputs_[static_cast<size_t>(-1 - s.maker)]);
      if (s.maker >= 0 && cursor_ == s.maker + 1 && std::cmp_less(s.output, ys.size()))
        memory_[i] = make_alias(ys[static_cast<size_t>(s.output)]);
    }
    if (cursor_ != place_) return;
    for (size_t i = 0; i < sources_.size(); ++i)
      if (memory_[i].defined()) raw::copy_into("gradcheck", now_[i], memory_[i]);
  }

  void sent(uint64_t, Node& node, int input, const Tensor& gradient, const Tensor&) override {
    if (phase_ != Phase::backward || &node != node_ || !gradient.defined()) return;
    const Edge edge = node.edges()[input];
    for (size_t i = 0; i < sources_.size(); ++i) {
      const Edge own = node.edges()[sources_[i].input];
      if (own.node != edge.node || own.output != edge.output) continue;
      const Tensor part = copies({gradient})[0];
      for (int64_t e = 0; sent_[i].defined() && e < part.numel(); ++e)  // a tensor that the op takes twice
        set_element(part, e, element_at(part, e) + element_at(sent_[i], e));
      sent_[i] = part;
    }
  }

  CheckedFunction& f_;
  const Tensors& inputs_;
  int place_;
  Phase phase_ = Phase::idle;
  int cursor_ = 0;
  const char* op_ = "";
  bool shared_ = false;
  std::unordered_map<const Node*, int> places_;
  Tensors kept_;  // results of the first run, so that their nodes stay apart
  std::vector<Source> sources_;
  Tensors aliases_, values_, now_, memory_, outputs_, sent_;
  Node* node_ = nullptr;
};

/// The places of the ops of this name that a run of f records, and how many there are of any.
class Places final : private Observer {
 public:
  Places(CheckedFunction& f, const Tensors& inputs, const std::string& op) : op_(op) { f.call(inputs, true); }
  const std::vector<int>& all() const { return all_; }
  int count() const { return count_; }

 private:
  void recorded(Node& node, std::span<const TensorRef>, std::span<const Tensor>) override {
    if (node.op == op_) all_.push_back(count_);
    ++count_;
  }
  const std::string& op_;
  std::vector<int> all_;
  int count_ = 0;
};

// Whether this op, alone, is wrong; if so, what the diagnosis of it says is added.
bool is_wrong(OpAlone& op, GradcheckReport& report, const GradcheckOptions& options) {
  CheckRandom random(options.seed);
  Tensors cotangents;
  int64_t elements = 0;
  for (const Tensor& x : op.inputs()) elements += x.numel();
  if (!op.can_be_called() || elements > kMostElements) return false;
  for (const Tensor& y : op.call(op.inputs(), true)) {
    cotangents.push_back(make_tensor(y.shape(), y.dtype()));
    for (int64_t i = 0; i < y.numel(); ++i) set_element(cotangents.back(), i, random.weight());
  }
  if (cotangents.empty()) return false;
  const std::vector<std::string> names = op.names();
  Derivatives d{.order = 1, .inputs = op.inputs(), .names = names, .fast = {}, .recorded = {}, .reached = {}};
  const auto rule = [&](const Tensors& vs, bool recorded) { return op.gradients(vs, recorded); };
  for (const Tensor& g : rule(cotangents, false)) d.fast.push_back(elements_of(g));
  for (const Tensor& g : rule(cotangents, true)) d.recorded.push_back(elements_of(g));
  d.reached.assign(names.size(), true);
  NumericDerivative numeric(op, op.inputs(), cotangents, options.step);
  GradcheckOptions quiet = options;
  quiet.allow_zero = true;
  GradcheckReport alone;
  Comparison comparison(numeric, std::move(d), quiet, random, alone);
  comparison.run();
  diagnose(alone, comparison, numeric, rule, cotangents, quiet);
  if (alone.bad_elements == 0) return false;
  std::erase_if(report.diagnosis, fits_nothing);
  report.diagnosis.insert(report.diagnosis.end(), alone.diagnosis.begin(), alone.diagnosis.end());
  return true;
}

}  // namespace

void diagnose_blame(GradcheckReport& report, CheckedFunction& f, const Tensors& inputs, int order,
                    const GradcheckOptions& options) {
  const GradcheckBlame& blame = report.blame;
  if (blame.evidence.find("the history ends") != std::string::npos)
    report.diagnosis.push_back(fmt::format("all inputs, order {}: disconnected: {}", order, blame.evidence));
  if (order > 1 || blame.op.empty() || std::any_of(report.diagnosis.begin(), report.diagnosis.end(), is_left_to_chance))
    return;
  try {
    const Places places(f, inputs, blame.op);
    if (places.count() < 2) return;  // the whole is the op
    for (int i = 0; i < std::min(kMostAlike, static_cast<int>(places.all().size())); ++i) {
      OpAlone op(f, inputs, places.all()[static_cast<size_t>(i)]);
      if (is_wrong(op, report, options)) return;
    }
  } catch (const std::exception&) {
    // an op that can't be called alone: its rule throws, or the function takes another way; the whole has been told of
  }
}

}  // namespace cotangent::detail
