#include <cotangent/autograd/gradcheck/tape_probe_internal.hpp>

#include <algorithm>
#include <cstring>

#include <cotangent/autograd/gradcheck/contracts_internal.hpp>
#include <cotangent/autograd/modes.hpp>
#include <cotangent/tensor/copy.hpp>
#include <cotangent/tensor/dispatch_internal.hpp>

namespace cotangent::detail {
namespace {

Tensor plain(const Tensor& x) { return x.defined() ? raw::contiguous(x.detach()) : Tensor(); }

/// sum(weight * (now - before)), where undefined weights are 0.
Balance change(const Tensor& weight, const Tensor& now, const Tensor& before) {
  Balance b;
  if (!before.defined() || now.shape() != before.shape() || now.dtype() != before.dtype()) {
    b.changed = before.defined();
    return b;
  }
  const Tensor x = plain(now), w = plain(weight);
  const double epsilon = epsilon_of(x.dtype());
  dispatch(x.dtype(), [&]<class T> {
    const T *p = x.data<T>(), *q = before.data<T>(), *g = w.defined() ? w.data<T>() : nullptr;
    const int64_t n = x.numel();
    double largest = 0;
    if (g)
      for (int64_t i = 0; i < n; ++i) {
        const double size = std::fabs(static_cast<double>(q[i]));
        if (size > largest && std::isfinite(size)) largest = size;
      }
    for (int64_t i = 0; i < n; ++i) {
      const auto value = static_cast<double>(p[i]), center = static_cast<double>(q[i]);
      if (value == center || (std::isnan(value) && std::isnan(center))) continue;
      b.changed = true;
      if (!g) break;
      const auto of = static_cast<double>(g[i]);
      if (of == 0) continue;
      b.sum += of * (value - center);
      // what is small may be left of a difference: its rounding is that of larger values
      const double last = epsilon * of * std::max(std::fabs(center), 0.1 * largest);
      b.squares += last * last;
    }
  });
  return b;
}

}  // namespace

Unchanged::Unchanged(const Tensors& xs) : xs_(xs), before_(copies(xs)) {}

Unchanged::~Unchanged() {
  for (size_t i = 0; i < xs_.size(); ++i) {
    raw::copy_into("gradcheck", before_[i], xs_[i]);
    bump_version(xs_[i]);
  }
}

void Unchanged::move(const Direction& direction, double h) const {
  for (size_t i = 0; i < direction.size(); ++i) {
    for (size_t e = 0; e < direction[i].size(); ++e)
      if (const double w = direction[i][e]; w != 0) {
        const auto place = static_cast<int64_t>(e);
        set_element(xs_[i], place, element_at(before_[i], place) + h * w);
      }
    bump_version(xs_[i]);
  }
}

Tensors TapeProbe::call(Phase phase) {
  struct Restore {
    Phase& phase;
    ~Restore() { phase = Phase::idle; }
  } restore{phase_};
  phase_ = phase;
  pass_ = 0, running_ = -1, begin_ = 0;
  return f_.call(inputs_, true);
}

void TapeProbe::record(bool create_graph, bool retain_graph, bool watched) {
  watched_ = watched;
  outputs_ = call(Phase::first);
  ProbedOp end{.op = "the end of the function", .live = true};
  for (size_t k = 0; k < outputs_.size(); ++k) {
    const Tensor& y = outputs_[k];
    ProbedOp::Input in;
    if (Node* node = y.requires_grad() ? history(y) : nullptr) find_maker({node, y.impl()->output}, in);
    in.value = copies({y})[0];
    in.gradient = plain(cotangents_[k]);
    end.inputs.push_back(std::move(in));
  }
  ops_.push_back(std::move(end));
  phase_ = Phase::backward;
  pass_ = 0, running_ = -1;
  struct Restore {
    Phase& phase;
    ~Restore() { phase = Phase::idle; }
  } restore{phase_};
  const Tensors asked = only_ == kAll ? inputs_ : Tensors{inputs_[static_cast<size_t>(only_)]};
  product_of(outputs_, asked, cotangents_, create_graph, retain_graph);
}

int TapeProbe::changing() {
  repeats_ = true;
  phase_ = Phase::backward;
  pass_ = 0;
  product_of(outputs_, inputs_, cotangents_, false, true);
  phase_ = Phase::idle;
  repeats_ = false;
  return changing_;
}

int TapeProbe::place_of(const Node& node) const {
  const auto place = places_.find(&node);
  return place == places_.end() ? -1 : place->second;
}

void TapeProbe::recorded(Node& node, std::span<const TensorRef> inputs, std::span<const Tensor> outputs) {
  if (phase_ == Phase::first) note(node, inputs, outputs);
  if (phase_ == Phase::again) compare(node.op, inputs, outputs);
}

void TapeProbe::find_maker(const Edge& edge, ProbedOp::Input& input) const {
  input.output = edge.output;
  if (edge.node->is_leaf()) {
    for (size_t i = 0; i < inputs_.size(); ++i)
      if (inputs_[i].impl()->node == edge.node && (only_ == kAll || only_ == static_cast<int>(i)))
        input.from = ProbedOp::kLeaf - static_cast<int>(i), input.wanted = true;
    return;
  }
  input.from = place_of(*edge.node);
  if (input.from >= 0)
    input.wanted = ops_[static_cast<size_t>(input.from)].live;
  else
    input.from = ProbedOp::kNothing, input.earlier = true;
}

void TapeProbe::note(Node& node, std::span<const TensorRef> inputs, std::span<const Tensor> outputs) {
  ProbedOp op{.op = node.op, .owner = order_ > 1 ? running_ : -1};
  for (size_t k = 0; k < inputs.size(); ++k) {
    ProbedOp::Input in;
    const Edge edge = node.edges()[k];
    if (edge.node) find_maker(edge, in);
    op.live = op.live || in.wanted;
    op.inputs.push_back(std::move(in));
  }
  if (op.live) {
    for (size_t k = 0; k < inputs.size(); ++k) {
      ProbedOp::Input& in = op.inputs[k];
      const Tensor& x = *inputs[k].tensor;
      if (!x.defined()) continue;
      if (in.wanted && in.from >= 0) {
        const Tensor& made = ops_[static_cast<size_t>(in.from)].outputs[static_cast<size_t>(in.output)];
        in.rewritten = !same_bits(made, x);
        if (!in.rewritten) in.value = made;
      }
      if (!in.value.defined()) in.value = copies({x})[0];
      for (size_t other = 0; other < inputs.size() && !in.wanted; ++other)
        in.shared = in.shared || (op.inputs[other].wanted && inputs[other].tensor->shares_storage(x));
    }
    for (const Tensor& y : outputs) op.outputs.push_back(y.is_floating() ? copies({y})[0] : Tensor());
    op.gradients.resize(outputs.size());
  }
  if (watched_) {
    memory_.emplace_back();
    for (const TensorRef& x : inputs)
      if (x.tensor->defined()) memory_.back().push_back(make_alias(*x.tensor));
    for (const Tensor& y : outputs) memory_.back().push_back(make_alias(y));
  }
  places_[&node] = static_cast<int>(ops_.size());
  ops_.push_back(std::move(op));
}

// Passes that the function runs by itself are of interest where it is a gradient: an op that is recorded after one has
// come to a node belongs to the rule of that. A pass within a rule visits what that rule has recorded, and nothing
// else.
void TapeProbe::arrived(uint64_t pass, Node& node) {
  if (phase_ == Phase::idle) return;
  const int op = place_of(node);
  if (phase_ == Phase::first && op >= 0 && (pass == pass_ || op < begin_ || pass_ == 0)) {
    pass_ = pass, running_ = op, begin_ = static_cast<int>(ops_.size());
  } else if (phase_ == Phase::backward && (pass_ == 0 || pass == pass_)) {
    pass_ = pass, running_ = op;
    if (op < 0 || repeats_) return;
    if (watched_) untouched_ = copies(watched_of(op));
    Tensors& gradients = ops_[static_cast<size_t>(op)].gradients;
    for (size_t k = 0; k < gradients.size(); ++k) gradients[k] = plain(node.slots()[k].grad);
  }
}

void TapeProbe::sent(uint64_t pass, Node& node, int input, const Tensor& gradient, const Tensor&) {
  if (phase_ == Phase::first && order_ > 1 && pass == pass_ && !gradient.requires_grad()) {
    sent_.push_back({place_of(node), copies({gradient})[0]});
  } else if (phase_ == Phase::backward && pass == pass_) {
    const int op = place_of(node);
    if (op < 0) return;
    Tensor& kept = ops_[static_cast<size_t>(op)].inputs[static_cast<size_t>(input)].gradient;
    if (!repeats_)
      kept = plain(gradient);
    else if (changing_ < 0 && !(kept.defined() && same_bits(kept, gradient)))
      changing_ = op;
    if (watched_ && !repeats_ && writing_ < 0 && !same_bits(untouched_, watched_of(op))) writing_ = op;
  }
}

Tensors TapeProbe::watched_of(int op) const {
  Tensors all = memory_[static_cast<size_t>(op)];
  all.insert(all.end(), inputs_.begin(), inputs_.end());
  all.insert(all.end(), cotangents_.begin(), cotangents_.end());
  return all;
}

int TapeProbe::sender(const Tensor& value) const {
  for (const Sent& s : sent_)
    if (same_bits(s.value, value)) return s.op;
  return -1;
}

// What is replaced is written over as soon as the op before the one in question has been recorded.
void TapeProbe::replace(std::span<const Tensor> outputs) {
  if (replaced_.op < 0) return;
  const ProbedOp::Input& in = ops_[static_cast<size_t>(replaced_.op)].inputs[static_cast<size_t>(replaced_.input)];
  if (cursor_ > 0 && in.from == cursor_ - 1) replaced_.memory = make_alias(outputs[static_cast<size_t>(in.output)]);
  if (cursor_ == 0 && in.from <= ProbedOp::kLeaf)
    replaced_.memory = make_alias(inputs_[static_cast<size_t>(ProbedOp::kLeaf - in.from)]);
  if (cursor_ == replaced_.op && replaced_.memory.defined())
    raw::copy_into("gradcheck", replaced_.values, replaced_.memory);
}

void TapeProbe::compare(const char* name, std::span<const TensorRef> inputs, std::span<const Tensor> outputs) {
  if (other_ || cursor_ + 1 >= static_cast<int>(ops_.size()) ||
      std::strcmp(ops_[static_cast<size_t>(cursor_)].op, name) != 0 ||
      ops_[static_cast<size_t>(cursor_)].inputs.size() != inputs.size()) {
    other_ = true;
    return;
  }
  if (cursor_ == placed_) {
    if (g_surroundings.modules) place_.modules = g_surroundings.modules();
    place_.line = call_line(call_stack());
  }
  ProbedOp& op = ops_[static_cast<size_t>(cursor_)];
  if (op.live) {
    if (cursor_ == captured_)
      for (size_t k = 0; k < inputs.size(); ++k)
        captures_.push_back(op.inputs[k].wanted ? copies({*inputs[k].tensor})[0] : Tensor());
    for (size_t k = 0; k < inputs.size(); ++k) {
      ProbedOp::Input& in = op.inputs[k];
      if (!in.value.defined()) continue;
      const Balance b = change(in.wanted ? in.gradient : Tensor(), *inputs[k].tensor, in.value);
      in.varies = in.varies || b.changed;
      if (!in.wanted) continue;
      op.in.add(b);
      if (in.from >= 0) ops_[static_cast<size_t>(in.from)].link.add(b);
    }
    for (size_t k = 0; k < outputs.size(); ++k) {
      const Balance b = change(op.gradients[k], outputs[k], op.outputs[k]);
      op.varies = op.varies || b.changed;
      op.out.add(b);
      op.link.add(b, -1);
    }
  }
  ++cursor_;
  replace(outputs);
}

void TapeProbe::compare_end(const Tensors& outputs) {
  ProbedOp& end = ops_.back();
  for (size_t k = 0; k < end.inputs.size() && k < outputs.size(); ++k) {
    ProbedOp::Input& in = end.inputs[k];
    const Balance b = change(in.gradient, outputs[k], in.value);
    in.varies = in.varies || b.changed;
    end.out.add(b);
    if (!in.wanted) continue;
    end.in.add(b);
    if (in.from >= 0) ops_[static_cast<size_t>(in.from)].link.add(b);
  }
}

bool TapeProbe::again() {
  cursor_ = 0, other_ = false;
  for (ProbedOp& op : ops_) op.out = op.in = op.link = {};
  replace({});
  const Tensors outputs = call(Phase::again);
  compare_end(outputs);
  return !other_ && cursor_ + 1 == static_cast<int>(ops_.size());
}

bool TapeProbe::measure(const Direction& direction, double h) {
  const Unchanged inputs(inputs_);
  struct Side {
    Balance out, in, link;
  };
  std::vector<Side> above(ops_.size());
  for (const double sign : {1.0, -1.0}) {
    inputs.move(direction, sign * h);
    if (!again()) return false;
    if (sign > 0) {
      for (size_t i = 0; i < ops_.size(); ++i) above[i] = {ops_[i].out, ops_[i].in, ops_[i].link};
      continue;
    }
    for (size_t i = 0; i < ops_.size(); ++i) {
      ProbedOp& op = ops_[i];
      const auto add = [&](Extrapolation& table, const Balance& up, const Balance& down) {
        const double noise = 4 * std::sqrt(up.squares + down.squares) / h;
        table.add({(up.sum - down.sum) / (2 * h), -down.sum / h, up.sum / h, noise});
      };
      op.due = (above[i].out.sum - op.out.sum) / (2 * h), op.sent = (above[i].in.sum - op.in.sum) / (2 * h);
      add(op.rule, above[i].out.minus(above[i].in), op.out.minus(op.in));
      add(op.received, above[i].link, op.link);
    }
  }
  return true;
}

int TapeProbe::undetermined() {
  if (!again()) return cursor_;
  int first = -1;
  for (ProbedOp& op : ops_) {
    const bool end = &op == &ops_.back();
    // a buffer that each call moves on, such as a running mean, may be of no consequence
    if (first < 0 && (op.varies || (end && op.out.changed))) first = static_cast<int>(&op - ops_.data());
    op.varies = false;
    for (ProbedOp::Input& in : op.inputs) in.varies = false;
  }
  return first;
}

std::vector<TapeProbe::Local> TapeProbe::locals(int op, const Direction& direction, double h) {
  const ProbedOp& probed = ops_[static_cast<size_t>(op)];
  std::vector<Local> result(probed.inputs.size());
  Tensors moved[2];
  for (int side = 0; side < 2; ++side) {
    const Unchanged inputs(inputs_);
    inputs.move(direction, side == 0 ? h : -h);
    captures_.clear();
    captured_ = op;
    again();
    captured_ = -1;
    moved[side] = std::move(captures_);
    if (moved[side].size() != result.size()) return result;
  }
  for (size_t k = 0; k < result.size(); ++k) {
    if (!probed.inputs[k].wanted) continue;
    for (int side = 0; side < 2; ++side) {
      const Unchanged inputs(inputs_);  // a replaced tensor may be a view of one
      replaced_ = {op, static_cast<int>(k), {}, moved[side][k]};
      again();
      const double sign = side == 0 ? 1 : -1;
      result[k].rule += sign * probed.in.sum / (2 * h);
      result[k].differences += sign * probed.out.sum / (2 * h);
      result[k].seen = result[k].seen || probed.in.changed;
      replaced_ = {};
    }
  }
  return result;
}

TapeProbe::Place TapeProbe::place(int op) {
  placed_ = op;
  place_ = {};
  again();
  placed_ = -1;
  return place_;
}

}  // namespace cotangent::detail
