#pragma once
// The tape: what the history of a tensor is made of. Only the library includes this.
#include <atomic>
#include <mutex>

#include <cotangent/autograd/engine.hpp>
#include <cotangent/autograd/record.hpp>

namespace cotangent {

/// Where the gradient of an input goes: an output of the node that made it. No node: the input needs no gradient.
struct Edge {
  Node* node;
  int32_t output;
};

/// A kept tensor and the version its memory had. An output is kept as an alias without history, or it would own itself.
struct Saved {
  Tensor tensor;
  uint32_t version;
};

/// One output of a node: what its gradient must look like, and what has arrived of it in the running pass.
struct Slot {
  Slot(Dtype dtype_, const Shape& shape_) : dtype(dtype_), shape(shape_) {}
  Tensor grad;
  Dtype dtype;
  Shape shape;
};

/// Hooks, retained gradients, names, and where the op was recorded: few nodes have them.
struct NodeExtras {
  static constexpr int kRemoved = -1;
  struct Entry {
    int key;
    int output;
    Tensor::HookFunction hook;
  };
  struct Retained {
    int output;
    bool always;  // by retain_grad(); else backward() was asked for it by name, and only that changes it
    Tensor grad;
  };
  std::recursive_mutex mutex;  // of the hooks: one thread at a time calls them, or changes the list
  std::vector<Entry> hooks;
  int next_key = 0;
  int running = 0;      // calls of run_hooks; until they end a removed hook keeps its place, under the key kRemoved
  bool hooked = false;  // has had a hook
  std::vector<Retained> retained;
  struct Name {
    int output;
    std::string name;
  };
  std::vector<Name> names;  // by set_name
  // what observers note (autograd/observer_internal.hpp)
  std::string modules, line;
  std::vector<uintptr_t> calls;         // the stack, for who has no line
  std::vector<std::string> parameters;  // the names of the inputs that are parameters of a module

  Retained* find_retained(int output);
  /// The one of this output; a new one if there is none.
  Retained& retain(int output);
  int add_hook(int output, Tensor::HookFunction hook);
  /// Empty if there is none.
  std::string name(int output) const;
  void set_name(int output, std::string_view name);
  /// False if there is no hook with this key.
  bool remove_hook(int key);
  Tensor run_hooks(int output, Tensor gradient);
  ~NodeExtras();

 private:
  void erase_removed();
};

/// A recorded op, or a leaf (without a rule). It owns the nodes of its inputs, and never its outputs. Edges, slots,
/// saved tensors and attributes lie behind it in the same block of pooled memory.
struct Node {
  detail::RefCount refs;
  uint16_t edge_count;
  uint16_t slot_count;
  uint16_t saved_count;
  bool released = false;  // saved tensors were freed by a backward pass
  bool wanted = false;    // in the pass that holds it: an input of it is asked for
  bool queued = false;    // in the pass that holds it: waits in the heap
  const char* op;
  uint64_t order;  // larger than that of every node it depends on
  /// The pass that holds this op, or 0: only that one reads or writes what is not the same for ever. Leaves are held by
  /// none.
  std::atomic<uint64_t> pass{0};
  uint64_t keep;
  detail::RunRule rule;
  void (*destroy_attributes)(void*);
  NodeExtras* extras = nullptr;
  Tensor grad;       // of a leaf: what backward() has accumulated
  int32_t lock = 0;  // of a leaf: held while accumulating, for backward passes in several threads
  int size_class;    // of the block

  bool is_leaf() const { return rule == nullptr; }
  Edge* edges() { return reinterpret_cast<Edge*>(this + 1); }
  Slot* slots() { return reinterpret_cast<Slot*>(edges() + edge_count); }
  Saved* saved() { return reinterpret_cast<Saved*>(slots() + slot_count); }
  void* attributes() { return saved() + saved_count; }
  /// False if another pass holds it. The caller has come by an edge of a node that it holds, or owns this one: the only
  /// owner meets nobody else here, and need not pay for an exchange.
  bool hold(uint64_t id) {
    uint64_t none = 0;
    if (refs.unique()) {
      if (pass.load(std::memory_order_acquire) != none) return false;
      pass.store(id, std::memory_order_relaxed);
      return true;
    }
    return pass.compare_exchange_strong(none, id, std::memory_order_acquire, std::memory_order_relaxed);
  }
  void let_go() { pass.store(0, std::memory_order_release); }
  /// Forgets the gradients that have arrived.
  void clear_slots() {
    queued = false;
    for (int i = 0; i < slot_count; ++i) slots()[i].grad = Tensor();
  }
  /// The kept tensor of this bit of `keep`; throws a GradError when it is not there or was written in place.
  const Tensor& unpack(int bit);
  [[noreturn]] void fail_unpack(int bit);
  /// What is kept of input i; nullptr if nothing is, or no longer.
  const Saved* find_saved(int i);
  /// Frees the saved tensors and attributes.
  void release_saved();
  NodeExtras& make_extras() { return extras ? *extras : *(extras = new NodeExtras); }

  static Node* make_leaf(const Shape& shape, Dtype dtype);
};

namespace detail {

/// The node of x's history, brought up to date if x is a view whose base was written in place since.
Node* history(const Tensor& x);
/// A second handle to the same memory and history.
Tensor alias(const Tensor& x);
/// x takes over the history of `from`; whether its gradient is retained stays as it was.
void adopt_history(TensorImpl* x, const Tensor& from);
/// What this thread records from here on is newer than that node.
void record_after(const Node* node);
/// The order of the newest node of this thread.
uint64_t newest_order();
/// x without its history, for which it gets another.
Tensor at_edge(const Tensor& x, const Edge& edge);
/// grad() within a rule: nodes older than `floor` belong to the pass around it, and are only reached, as leaves are.
/// Their hooks are left to that pass.
Tensors grad_above(uint64_t floor, const Tensors& outputs, const Tensors& inputs, const GradOptions& options);
/// Adds to a gradient, in place when nothing else refers to it.
void accumulate(Tensor& into, Tensor gradient);

}  // namespace detail
}  // namespace cotangent
