#include <cotangent/autograd/node.hpp>

#include <algorithm>
#include <bit>
#include <new>
#include <utility>

#include <cotangent/autograd/modes_internal.hpp>
#include <cotangent/autograd/observer_internal.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/memory/allocator_internal.hpp>

namespace cotangent {
namespace {

constinit thread_local uint64_t t_order = 0;  // of the newest node of this thread

void destroy(Node* node) noexcept {
  node->release_saved();
  if (node->destroy_attributes) node->destroy_attributes(node->attributes());
  for (int i = 0; i < node->slot_count; ++i) node->slots()[i].~Slot();
  delete node->extras;
  const int size_class = node->size_class;
  node->~Node();
  detail::deallocate_class(node, size_class);
}

// std::popcount is a call on processors without the instruction, and few bits are set
int count_bits(uint64_t bits) {
  int n = 0;
  for (; bits; bits &= bits - 1) ++n;
  return n;
}

constexpr size_t round_up(size_t bytes) { return (bytes + 15) & ~size_t{15}; }

Node* new_node(size_t edges, size_t slots, size_t saved, size_t attribute_bytes) {
  const size_t bytes =
      sizeof(Node) + edges * sizeof(Edge) + slots * sizeof(Slot) + saved * sizeof(Saved) + round_up(attribute_bytes);
  const int size_class = detail::size_class(bytes);
  Node* node = new (detail::allocate_class(size_class, bytes)) Node;
  node->size_class = size_class;
  node->edge_count = static_cast<uint16_t>(edges);
  node->slot_count = static_cast<uint16_t>(slots);
  node->saved_count = static_cast<uint16_t>(saved);
  return node;
}

// Forgets the node's parents and frees those that nobody else owns: with a list of its own, since a recursion over 10^6
// nodes would need a deep stack. `order` is free in a node without owners, and serves as the link.
[[gnu::noinline]] void release_chain(Node* first) noexcept {
  Node* dead = first;
  dead->order = 0;
  while (dead) {
    Node* node = dead;
    dead = reinterpret_cast<Node*>(node->order);
    // saved tensors may own nodes themselves: hand those over to the list
    if (!node->released)
      for (int i = 0; i < node->saved_count; ++i) {
        Tensor& t = node->saved()[i].tensor;
        if (!t.impl() || !t.impl()->refs.unique()) continue;
        detail::TensorImpl* base = t.impl()->base;
        for (detail::TensorImpl* impl : {t.impl(), base && base->refs.unique() ? base : nullptr})
          if (impl && impl->node) {
            if (impl->node->refs.drop()) impl->node->order = reinterpret_cast<uint64_t>(dead), dead = impl->node;
            impl->node = nullptr;
          }
      }
    for (int i = 0; i < node->edge_count; ++i) {
      Node* parent = node->edges()[i].node;
      if (parent && parent->refs.drop()) parent->order = reinterpret_cast<uint64_t>(dead), dead = parent;
    }
    destroy(node);
  }
}

}  // namespace

namespace detail {

void retain(Node* node) noexcept { node->refs.add(); }
void release(Node* node) noexcept {
  if (node->refs.drop()) release_chain(node);
}

bool should_record(const TensorRef* inputs, size_t count) noexcept {
  if (!t_modes.grad) return false;
  for (size_t i = 0; i < count; ++i)
    if (const TensorImpl* impl = inputs[i].tensor->impl())
      if (impl->node || (impl->outdated() && impl->base->node)) return true;
  return false;
}

Tensor alias(const Tensor& x) {
  Tensor y = make_alias(x);
  const TensorImpl* from = x.impl();
  TensorImpl* impl = y.impl();
  impl->node = from->node;
  if (impl->node) impl->node->refs.add();
  impl->output = from->output;
  return y;
}

void adopt_history(TensorImpl* x, const Tensor& from) {
  Node* node = from.impl()->node;
  if (node) node->refs.add();
  std::swap(x->node, node);
  const int before = std::exchange(x->output, from.impl()->output);
  if (!node) return;
  if (x->node && x->node != node && node->extras)
    if (NodeExtras::Retained* kept = node->extras->find_retained(before)) {
      x->node->make_extras().retained.push_back({x->output, kept->always, std::move(kept->grad)});
      node->extras->retained.erase(node->extras->retained.begin() + (kept - node->extras->retained.data()));
    }
  if (x->node && x->node != node && node->extras)
    if (const std::string name = node->extras->name(before); !name.empty())
      x->node->make_extras().set_name(x->output, name);
  release(node);
}

// A view's history is out of date when a recorded write has replaced its base's: it is then taken from the base anew.
Node* history(const Tensor& x) {
  TensorImpl* impl = x.impl();
  if (impl->outdated()) {
    impl->base->refs.add();
    const Tensor base(impl->base);
    const int64_t offset = (impl->data - base.impl()->data) / item_size(impl->dtype);
    EnableGrad guard;
    Tensor fresh = as_strided(base, impl->shape, impl->strides, offset);
    adopt_history(impl, fresh);
    impl->base_generation = impl->base->generation;
  }
  return impl->node;
}

void mark_view(const Tensor& x, Tensor& y) {
  TensorImpl* impl = y.impl();
  if (t_modes.inference || impl->base || impl->storage != x.impl()->storage || impl == x.impl()) return;
  impl->base = x.impl()->base ? x.impl()->base : x.impl();
  impl->base->refs.add();
  impl->base_generation = impl->base->generation;
}

// An input as the node keeps it. An in-place write may give the tensor a history that contains this node: an alias
// keeps the present one, and no cycle of owners arises. A leaf and integers take no such write.
static Tensor kept_input(const Tensor& x) {
  if (!x.defined() || !x.is_floating() || (x.impl()->node && x.impl()->node->is_leaf())) return x;
  return alias(x);
}

void record_after(const Node* node) { t_order = std::max(t_order, node->order); }
uint64_t newest_order() { return t_order; }

Tensor at_edge(const Tensor& x, const Edge& edge) {
  Tensor y = make_alias(x);
  retain(edge.node);
  y.impl()->node = edge.node;
  y.impl()->output = static_cast<uint16_t>(edge.output);
  return y;
}

void check_kept(const char* op, Keep keep, size_t inputs, size_t outputs) {
  const uint64_t of_outputs = keep.bits() >> Keep::kMaxInputs, of_inputs = keep.bits() ^ of_outputs << Keep::kMaxInputs;
  if (std::cmp_greater(std::bit_width(of_inputs), inputs) || std::cmp_greater(std::bit_width(of_outputs), outputs))
    fail<GradError>("[{}] keeps an input or an output that it does not have: there are {} and {}", op, inputs, outputs);
}

[[gnu::cold, gnu::noinline]] static void tell_observers(Node& node, const TensorRef* inputs, const Tensor* outputs) {
  for (Observer* observer = t_observer; observer; observer = observer->around())
    observer->recorded(node, std::span(inputs, node.edge_count), std::span(outputs, node.slot_count));
}

void attach(const char* op, const TensorRef* inputs, size_t input_count, Tensor* outputs, size_t output_count,
            Keep keep, RunRule rule, AttributeBlock attributes) {
  bool any = false;
  for (size_t i = 0; i < output_count; ++i) {
    if (!outputs[i].is_floating()) continue;
    any = true;
    if (outputs[i].impl()->node) outputs[i] = make_alias(outputs[i]);
  }
  if (!any) return;

  for (size_t i = 0; i < input_count; ++i) {
    const Tensor& x = *inputs[i].tensor;
    if (!x.defined()) continue;
    if (x.impl()->inference)
      fail<GradError>(
          "[{}] input {} was made in inference mode and can't take part in differentiation; clone() it outside", op, i);
    if (x.impl()->outdated()) history(x);  // before the node is made: it may throw
    for (size_t k = 0; k < output_count; ++k)
      if (outputs[k].impl() == x.impl()) outputs[k] = make_alias(x);  // x keeps its own place
  }

  const uint64_t bits = keep.bits();
  Node* node = new_node(input_count, output_count, static_cast<size_t>(count_bits(bits)), attributes.size);
  node->op = op;
  node->rule = rule;
  node->keep = bits;
  node->destroy_attributes = attributes.destroy;
  uint64_t order = t_order;
  for (size_t i = 0; i < input_count; ++i) {
    Edge& edge = node->edges()[i];
    edge = {nullptr, 0};
    const Tensor& x = *inputs[i].tensor;
    if (!x.defined()) continue;
    if (Node* parent = x.impl()->node) {
      parent->refs.add();
      edge = {parent, x.impl()->output};
      order = std::max(order, parent->order);
    }
  }
  node->order = t_order = order + 1;
  for (size_t i = 0; i < output_count; ++i) new (node->slots() + i) Slot(outputs[i].dtype(), outputs[i].shape());
  Saved* saved = node->saved();
  try {
    for (uint64_t rest = bits; rest; rest &= rest - 1, ++saved) {
      const int bit = std::countr_zero(rest);
      if (bit < Keep::kMaxInputs) {
        const Tensor& x = *inputs[bit].tensor;
        new (saved) Saved{kept_input(x), x.defined() ? x.version() : 0};
      } else {
        const Tensor& y = outputs[bit - Keep::kMaxInputs];
        new (saved) Saved{make_alias(y), y.version()};
      }
    }
    if (attributes.size) attributes.move(node->attributes(), attributes.value);
  } catch (...) {  // there is no memory: the node goes, with what it has by now
    node->saved_count = static_cast<uint16_t>(saved - node->saved());
    node->destroy_attributes = nullptr;
    release(node);
    throw;
  }
  // the outputs own the node; the first reference is the one it was made with
  bool owned = false;
  for (size_t i = 0; i < output_count; ++i) {
    if (!outputs[i].is_floating()) continue;
    TensorImpl* impl = outputs[i].impl();
    if (owned) node->refs.add();
    owned = true;
    impl->node = node;
    impl->output = static_cast<uint16_t>(i);
  }
  if (t_observer) [[unlikely]]
    tell_observers(*node, inputs, outputs);
}

void accumulate(Tensor& into, Tensor gradient) {
  if (!into.defined()) {
    into = std::move(gradient);
  } else if (!t_modes.grad && is_sole_owner(into) && is_dense(into)) {
    raw::binary_into("accumulate", raw::Binary::add, into, gradient, into);
  } else if (!t_modes.grad) {
    into = raw::binary("accumulate", raw::Binary::add, into, gradient);
  } else {
    into = into + gradient;
  }
}

}  // namespace detail

NodeExtras::~NodeExtras() {
  for (Entry& e : hooks) e.hook.destroy(e.hook.state);
}

NodeExtras::Retained* NodeExtras::find_retained(int output) {
  for (Retained& r : retained)
    if (r.output == output) return &r;
  return nullptr;
}

NodeExtras::Retained& NodeExtras::retain(int output) {
  if (Retained* r = find_retained(output)) return *r;
  return retained.emplace_back(Retained{output, false, Tensor()});
}

std::string NodeExtras::name(int output) const {
  for (const Name& n : names)
    if (n.output == output) return n.name;
  return {};
}

void NodeExtras::set_name(int output, std::string_view name) {
  std::erase_if(names, [=](const Name& n) { return n.output == output; });
  if (!name.empty()) names.push_back({output, std::string(name)});
}

int NodeExtras::add_hook(int output, Tensor::HookFunction hook) {
  const std::lock_guard lock(mutex);
  hooked = true;
  hooks.push_back({next_key, output, hook});
  return next_key++;
}

bool NodeExtras::remove_hook(int key) {
  const std::lock_guard lock(mutex);
  for (Entry& e : hooks)
    if (e.key == key) {
      e.key = kRemoved;
      if (!running) erase_removed();
      return true;
    }
  return false;
}

// What a hook holds may own this node: it goes when the list is in order.
void NodeExtras::erase_removed() {
  const auto rest = std::stable_partition(hooks.begin(), hooks.end(), [](const Entry& e) { return e.key != kRemoved; });
  const std::vector<Entry> removed(rest, hooks.end());
  hooks.erase(rest, hooks.end());
  for (const Entry& e : removed) e.hook.destroy(e.hook.state);
}

Tensor NodeExtras::run_hooks(int output, Tensor gradient) {
  const std::lock_guard lock(mutex);
  struct Running {
    NodeExtras& extras;
    explicit Running(NodeExtras& e) : extras(e) { ++extras.running; }
    ~Running() {
      if (--extras.running == 0) extras.erase_removed();
    }
  } guard(*this);
  const size_t count = hooks.size();  // one that a hook adds waits for the next gradient
  for (size_t i = 0; i < count; ++i)
    if (hooks[i].output == output && hooks[i].key != kRemoved) {
      Tensor replaced = hooks[i].hook.call(hooks[i].hook.state, gradient);
      if (!replaced.defined()) continue;
      if (replaced.shape() != gradient.shape() || replaced.dtype() != gradient.dtype())
        fail<GradError>("[hook] the replacement of a gradient is {} of shape {}; it must be {} of shape {}",
                        replaced.dtype(), replaced.shape(), gradient.dtype(), gradient.shape());
      gradient = std::move(replaced);
    }
  return gradient;
}

Node* Node::make_leaf(const Shape& shape, Dtype dtype) {
  Node* node = new_node(0, 1, 0, 0);
  node->op = "leaf";
  node->rule = nullptr;
  node->order = 0;
  node->keep = 0;
  node->destroy_attributes = nullptr;
  new (node->slots()) Slot(dtype, shape);
  return node;
}

void Node::release_saved() {
  if (released) return;
  released = true;
  for (int i = 0; i < saved_count; ++i) saved()[i].~Saved();
}

const Tensor& Node::unpack(int bit) {
  if (keep >> bit & 1u) [[likely]] {
    const Saved& s = saved()[count_bits(keep & ((uint64_t{1} << bit) - 1))];
    if (!s.tensor.defined() || s.tensor.version() == s.version) [[likely]]
      return s.tensor;
  }
  fail_unpack(bit);
}

[[gnu::noinline]] void Node::fail_unpack(int bit) {
  if (!(keep >> bit & 1u))
    fail<GradError>("[{}] the rule reads {} {} which was not declared; add it to the op's Keep", op,
                    bit < Keep::kMaxInputs ? "input" : "output", bit < Keep::kMaxInputs ? bit : bit - Keep::kMaxInputs);
  const Saved& s = saved()[count_bits(keep & ((uint64_t{1} << bit) - 1))];
  fail<GradError>(
      "[{}] {} {} of shape {} was written in place after it was saved for the backward pass (version {}, saved at "
      "{}); write to a clone(), or after backward()",
      op, bit < Keep::kMaxInputs ? "input" : "output", bit < Keep::kMaxInputs ? bit : bit - Keep::kMaxInputs,
      s.tensor.shape(), s.tensor.version(), s.version);
}

const Saved* Node::find_saved(int i) {
  if (released || i >= Keep::kMaxInputs || !(keep >> i & 1u)) return nullptr;
  const Saved* s = saved() + count_bits(keep & ((uint64_t{1} << i) - 1));
  return s->tensor.defined() ? s : nullptr;
}

// Nothing used that output.
[[gnu::noinline]] static void fill_with_zeros(Slot& slot) {
  slot.grad = detail::make_tensor(slot.shape, slot.dtype);
  raw::fill_into(slot.grad, 0);
}

const Tensor& Backward::grad(int i) const {
  Slot& slot = node_->slots()[i];
  if (!slot.grad.defined()) fill_with_zeros(slot);
  return slot.grad;
}
Tensor Backward::take_grad(int i) const {
  grad(i);
  return std::move(node_->slots()[i].grad);
}
bool Backward::has_grad(int i) const { return node_->slots()[i].grad.defined(); }
const Tensor& Backward::input(int i) const { return node_->unpack(i); }
Tensor Backward::recorded_input(int i) const {
  const Tensor& x = input(i);
  const Edge& edge = node_->edges()[i];
  return edge.node ? identity(detail::at_edge(x, edge)) : x.defined() ? x.detach() : x;
}
Tensor Backward::output(int i) const {
  const Tensor& kept = node_->unpack(Keep::kMaxInputs + i);
  if (!creates_graph() || !kept.is_floating()) return kept;
  return detail::at_edge(kept, {node_, i});
}
const Shape& Backward::shape(int i) const {
  const Edge& e = node_->edges()[i];
  return e.node->slots()[e.output].shape;
}
Dtype Backward::dtype(int i) const {
  const Edge& e = node_->edges()[i];
  return e.node->slots()[e.output].dtype;
}
int Backward::inputs() const { return node_->edge_count; }

}  // namespace cotangent
