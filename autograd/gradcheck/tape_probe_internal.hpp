#pragma once
// Every recorded op beside differences: where, on the way back, the gradient ceases to be right.
//
// Move the inputs of a function by h along some direction, and by -h: every tensor y on the tape moves too, by dy. Each
// op then has a balance of its own: what its rule receives at its outputs must be what it sends to its inputs,
//
//     sum over outputs of <gradient, dy>  =  sum over inputs of <gradient that the rule gives, dx>,
//
// whether or not what it receives is right. The balances of all ops add up to the error of the whole, so that there is
// an op that is out of balance wherever a gradient is wrong, and a few runs tell for all ops at once.
#include <string>
#include <unordered_map>

#include <cotangent/autograd/gradcheck/extrapolation_internal.hpp>
#include <cotangent/autograd/gradcheck/function_internal.hpp>
#include <cotangent/autograd/observer_internal.hpp>

namespace cotangent::detail {

/// How far each element of each input is moved by a step of 1; an empty list for one that stays.
using Direction = std::vector<std::vector<double>>;

/// Gives tensors their elements back when it goes.
class Unchanged {
 public:
  explicit Unchanged(const Tensors& xs);
  ~Unchanged();
  Unchanged(const Unchanged&) = delete;
  Unchanged& operator=(const Unchanged&) = delete;
  /// Moves them from where they were, which takes a direction for each.
  void move(const Direction& direction, double h) const;

 private:
  const Tensors& xs_;
  Tensors before_;
};

/// A balance: sum(gradient * (value - value in the first run)).
struct Balance {
  double sum = 0, squares = 0;  ///< squares: of the rounding of its terms
  bool changed = false;         ///< any value has
  void add(const Balance& other, double sign = 1) {
    sum += sign * other.sum, squares += other.squares, changed = changed || other.changed;
  }
  Balance minus(const Balance& other) const {
    Balance result = *this;
    result.add(other, -1);
    return result;
  }
};

/// An op as the first run recorded it.
struct ProbedOp {
  static constexpr int kNothing = -1, kLeaf = -2;
  struct Input {
    int from = kNothing;               ///< the op that made it, or kLeaf - i for input i of the function
    int output = 0;                    ///< which of the outputs of that op
    bool wanted = false;               ///< it leads, by recorded ops, to an input of the function
    bool earlier = false;              ///< it has a history from before the run
    bool rewritten = false;            ///< it was written to since it was made, and nothing recorded that
    bool varies = false;               ///< it changes with the inputs
    bool shared = false;               ///< it lies in the memory of one that is wanted
    Tensor value = {}, gradient = {};  ///< the one that the rule gives it
  };
  const char* op;
  int owner = -1;       ///< the op whose rule recorded it, where the function is itself a gradient
  bool live = false;    ///< an input is wanted
  bool varies = false;  ///< a result changes with the inputs
  std::vector<Input> inputs = {};
  Tensors outputs = {}, gradients = {};
  Balance out = {}, in = {}, link = {};    ///< of the last run; link: between what it receives and what its users send
  double due = 0, sent = 0;                ///< per step: what it receives, by differences, and what its rule sends
  Extrapolation rule = {}, received = {};  ///< what its rule loses, and what is lost between it and its users

  /// Takes what changes with the inputs without a history that tells how.
  bool is_loose() const {
    for (const Input& x : inputs)
      if (!x.wanted && x.varies) return true;
    return false;
  }
};

/// Runs a function once with its backward pass, and then again and again with its inputs moved.
class TapeProbe final : public Observer {
 public:
  /// The gradient of all inputs, or of one alone.
  static constexpr int kAll = -1;
  TapeProbe(CheckedFunction& f, const Tensors& inputs, const Tensors& cotangents, int order, int only = kAll)
      : f_(f), inputs_(inputs), cotangents_(cotangents), order_(order), only_(only) {}

  /// The first run, and the backward pass over it. What that throws leaves; running() then tells in which op.
  /// `watched`: writing() tells afterwards whose rule has written to an input of the function, a cotangent, or a tensor
  /// of its op.
  void record(bool create_graph, bool retain_graph, bool watched);
  /// Runs again, and adds to the balances. False if other ops are recorded than before.
  bool measure(const Direction& direction, double h);
  /// Runs again without moving anything. The first op that gives something else; -1 for none.
  int undetermined();
  /// Runs the pass again over the same graph. The first op whose rule gives other gradients for the same; -1 for none.
  int changing();

  /// The ops, from the oldest, and at last the end of the function, which takes its outputs.
  const std::vector<ProbedOp>& ops() const { return ops_; }
  int running() const { return running_; }
  int writing() const { return writing_; }

  /// What the rule of an op says of one of its inputs, and what differences of its results say, where that input alone
  /// moves as it does in the whole.
  struct Local {
    double rule = 0, differences = 0;
    bool seen = false;  ///< the move was
  };
  std::vector<Local> locals(int op, const Direction& direction, double h);
  /// The gradients without a history that a rule has sent while the function ran, as a gradient of that order should
  /// not: the op that sent one with these values; -1 for none.
  int sender(const Tensor& value) const;
  /// The modules that an op is recorded in, and the line.
  struct Place {
    std::string modules, line;
  };
  Place place(int op);

 private:
  enum class Phase : uint8_t { idle, first, backward, again };
  void recorded(Node& node, std::span<const TensorRef> inputs, std::span<const Tensor> outputs) override;
  void arrived(uint64_t pass, Node& node) override;
  void sent(uint64_t pass, Node& node, int input, const Tensor& gradient, const Tensor& before) override;
  void note(Node& node, std::span<const TensorRef> inputs, std::span<const Tensor> outputs);
  void find_maker(const Edge& edge, ProbedOp::Input& input) const;
  void compare(const char* op, std::span<const TensorRef> inputs, std::span<const Tensor> outputs);
  void compare_end(const Tensors& outputs);
  void replace(std::span<const Tensor> outputs);
  int place_of(const Node& node) const;
  Tensors watched_of(int op) const;
  Tensors call(Phase phase);
  bool again();

  CheckedFunction& f_;
  const Tensors& inputs_;
  const Tensors& cotangents_;
  int order_, only_;
  Phase phase_ = Phase::idle;
  std::vector<ProbedOp> ops_;
  std::unordered_map<const Node*, int> places_;
  Tensors outputs_;  // of the first run, with their graph
  uint64_t pass_ = 0;
  int running_ = -1;  // whose rule
  int begin_ = 0;     // of the ops that this rule records
  struct Sent {
    int op;
    Tensor value;
  };
  std::vector<Sent> sent_;
  bool repeats_ = false;  // the pass is the second one
  int changing_ = -1, writing_ = -1;
  bool watched_ = false;
  std::vector<Tensors> memory_;  // of each op, where that is watched
  Tensors untouched_;            // copies of what is watched while a rule runs

  // of a run again
  int cursor_ = 0;
  bool other_ = false;
  struct {
    int op = -1, input = 0;
    Tensor memory, values;
  } replaced_;
  int captured_ = -1;  // the op whose inputs are captured
  Tensors captures_;
  int placed_ = -1;  // the op whose place is asked for
  Place place_;
};

}  // namespace cotangent::detail
