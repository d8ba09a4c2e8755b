// Private: what sees how a thread records and differentiates. Nothing of it costs anything while nobody looks.
#pragma once
#include <string>

#include <cotangent/autograd/node.hpp>

namespace cotangent::detail {

/// Sees every op that this thread records, and every step of its backward passes, while it lives. Observers are scopes:
/// the newest is told first. What one throws leaves the op, or the pass.
class Observer {
 public:
  Observer();
  virtual ~Observer();
  Observer(const Observer&) = delete;
  Observer& operator=(const Observer&) = delete;

  /// The node of an op was made, and its outputs have their history.
  virtual void recorded(Node& node, std::span<const TensorRef> inputs, std::span<const Tensor> outputs);
  /// A pass has come to a node: the gradients in its slots are complete. Passes have different numbers, also those that
  /// a rule starts within another.
  virtual void arrived(uint64_t pass, Node& node);
  /// The rule of a node has given this gradient for an input. `before` is what had arrived there until now.
  virtual void sent(uint64_t pass, Node& node, int input, const Tensor& gradient, const Tensor& before);

  Observer* around() const { return around_; }

 private:
  Observer* around_;
};

extern constinit thread_local Observer* t_observer;

/// What is known around this room of the op that is being recorded. This room knows no modules: nn/module.cpp sets the
/// first two when it is loaded. Whoever can walk the stack may set the third.
struct Surroundings {
  /// The modules that are being called, from the outermost: its type, then the names in the one around them, with
  /// their types: "MLP/blocks.2:Block/fc1:Linear".
  std::string (*modules)() = nullptr;
  /// The path of a leaf in the outermost of them: "blocks.2.fc1.weight".
  std::string (*parameter)(const Node* leaf) = nullptr;
  /// Where the program called the op: "model.cpp:31".
  std::string (*line)() = nullptr;
};
extern Surroundings g_surroundings;

/// The calls that lead here, the innermost first; none where this library was built without what walks the stack.
std::vector<uintptr_t> call_stack();
/// Where in these the program called the library, "/path/model.cpp:31"; empty where it has no debug information for
/// that. It takes a while.
std::string call_line(std::span<const uintptr_t> calls);

/// Writes into the node where it was recorded: the modules and, if somebody tells it, the line.
void note_origin(Node& node);
/// The names of the parameters among its inputs.
void note_parameters(Node& node);
/// Takes the first module off such a list.
struct ModuleName {
  std::string_view name, type;
};
ModuleName next_module(std::string_view& modules);
/// The line where it was recorded: that, or what its calls tell. Empty where neither was noted.
std::string noted_line(const Node& node);
/// " (in blocks.2.fc1, at model.cpp:31)": for the end of a message, as far as that was noted.
std::string origin_text(const Node& node);

}  // namespace cotangent::detail
