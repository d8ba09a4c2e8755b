#pragma once
// How an op gets its gradient: compute the result, then `record` it with a rule. See CONTRIBUTING.md for a worked
// example.
#include <cotangent/autograd/modes.hpp>
#include <cotangent/tensor/tensor.hpp>

namespace cotangent {

namespace detail {
struct Pass;  // autograd/engine.cpp
}

/// Which of an op's tensors its rule reads. They stay alive until the backward pass, and an in-place write to one of
/// them before that is an error. One that the op doesn't have does not compile.
class Keep {
 public:
  static consteval Keep nothing() { return Keep(0); }
  static consteval Keep input(int i) { return Keep(bit(i, kMaxInputs)); }
  static consteval Keep inputs(int count) { return Keep(2 * bit(count - 1, kMaxInputs) - 1); }
  static consteval Keep output(int i = 0) { return Keep(bit(i, kMaxOutputs) << kMaxInputs); }
  /// inputs(count) of a list whose length is known when the program runs: at most kMaxInputs.
  static constexpr Keep of_list(int count) { return Keep(count > 0 ? ~uint64_t{0} >> (64 - count) : 0); }
  constexpr Keep operator|(Keep other) const { return Keep(bits_ | other.bits_); }
  constexpr uint64_t bits() const { return bits_; }
  /// Inputs and outputs beyond these counts (of cat, split) can't be kept.
  static constexpr int kMaxInputs = 48, kMaxOutputs = 15;

  static void there_is_no_such_tensor();  ///< not constant: to call it is an error of the compiler

 private:
  explicit constexpr Keep(uint64_t bits) : bits_(bits) {}
  static consteval uint64_t bit(int i, int count) {
    if (i < 0 || i >= count) there_is_no_such_tensor();
    return uint64_t{1} << i;
  }
  uint64_t bits_;
};

/// A Keep that is chosen when the program runs: keep_a ? Keep::input(0) : Keep::nothing().
struct ChosenKeep {
  ChosenKeep(Keep keep_) : keep(keep_) {}
  Keep keep;
};

namespace detail {
/// The Keep of an op with so many inputs and outputs, which has them all.
template <size_t inputs, size_t outputs>
struct KeepOf {
  consteval KeepOf(Keep keep_) : keep(keep_) {
    if (keep.bits() << (64 - Keep::kMaxInputs) >> (64 - Keep::kMaxInputs) >> inputs ||
        keep.bits() >> Keep::kMaxInputs >> outputs)
      Keep::there_is_no_such_tensor();
  }
  KeepOf(ChosenKeep chosen) : keep(chosen.keep) {}
  Keep keep;
};
}  // namespace detail

/// What a rule carries besides the tensors it reads: numbers, shapes, names. A type that owns anything is refused,
/// since that might be a tensor, whose writes nobody would notice. One that owns something else, a list of sizes or a
/// closure, may be let in by a specialisation:
///     template <> inline constexpr bool is_attribute<Sizes> = true;
template <class T>
inline constexpr bool is_attribute = std::is_trivially_destructible_v<T>;

/// What a rule returns: the gradient of each input in order. An undefined tensor means zero, or that nobody needs it;
/// those of the last inputs may be left out if none requires a gradient (indices, masks, what the op keeps for itself).
class Gradients {
 public:
  template <class... T>
  requires(sizeof...(T) <= 4 && (std::is_convertible_v<T&&, Tensor> && ...)) Gradients(T&&... gradients)
      : size_(sizeof...(T)), all_(reinterpret_cast<Tensor*>(few_)) {
    [[maybe_unused]] Tensor* next = all_;
    (new (next++) Tensor(std::forward<T>(gradients)), ...);
  }
  Gradients(Tensors gradients) : Gradients(undefined(static_cast<int>(gradients.size()))) {
    for (int i = 0; i < size_; ++i) all_[i] = std::move(gradients[static_cast<size_t>(i)]);
  }
  /// `count` undefined ones, to be set one by one.
  static Gradients undefined(int count) { return Gradients(Count{count}); }
  Gradients(Gradients&& other) : Gradients(Count{other.size_}) {
    for (int i = 0; i < size_; ++i) all_[i] = std::move(other.all_[i]);
  }
  ~Gradients() {
    for (int i = 0; i < size_; ++i) all_[i].~Tensor();
    if (size_ > kFew) detail::deallocate(all_, bytes());
  }

  int size() const { return size_; }
  Tensor& operator[](int i) { return all_[i]; }

 private:
  static constexpr int kFew = 4;
  struct Count {
    int value;
  };
  explicit Gradients(Count count)
      : size_(count.value),
        all_(static_cast<Tensor*>(size_ > kFew ? detail::allocate(bytes()) : static_cast<void*>(few_))) {
    for (int i = 0; i < size_; ++i) new (all_ + i) Tensor;
  }
  size_t bytes() const { return static_cast<size_t>(size_) * sizeof(Tensor); }

  int size_;
  Tensor* all_;
  alignas(Tensor) unsigned char few_[kFew * sizeof(Tensor)];
};

/// What a rule reads: the gradients of the outputs, and what was kept.
class Backward {
 public:
  /// dL/d(output i); zeros when nothing used that output.
  const Tensor& grad(int i = 0) const;
  /// The same for the last time: what is computed from it may be written over it, where nobody else holds it.
  Tensor take_grad(int i = 0) const;
  bool has_grad(int i) const;
  /// Input i, if the op declared Keep::input(i). A GradError names the op when it was written in place since.
  const Tensor& input(int i) const;
  /// The same for the last time: where the pass retains nothing, it is freed with the handle, for the memory of what
  /// the rule computes next.
  Tensor take_input(int i) const;
  /// Output i, if the op declared Keep::output(i), with its history.
  Tensor output(int i = 0) const;
  /// Whether the gradient of input i is wanted. A rule should skip the work otherwise.
  bool needs(int i) const;
  /// Shape and dtype of an input that needs a gradient, kept or not.
  const Shape& shape(int i) const;
  Dtype dtype(int i) const;
  int inputs() const;
  /// Whether the rule is itself being recorded. A rule that calls a kernel must then take a differentiable way.
  bool creates_graph() const;
  /// Input i, which must be kept, with a place of its own in the graph that goes on as the input did when the op was
  /// recorded.
  Tensor recorded_input(int i) const;
  /// That way, for a rule that computes the outputs again, by f(*this, attributes): the vector-Jacobian product through
  /// them, down to what the op was recorded with. f is recorded, and starts from recorded_input(i).
  Gradients through(Tensors (*f)(const Backward& backward, const void* attributes), const void* attributes) const;
  /// The same for a fused op with a composite form f(inputs). All inputs must be kept.
  Gradients through(Tensor (*f)(std::span<const Tensor> inputs, const void* attributes), const void* attributes) const;
  /// The same for several outputs, which f gives in order.
  Gradients through(Tensors (*f)(std::span<const Tensor> inputs, const void* attributes), const void* attributes) const;

  Backward(Node* node, const detail::Pass& pass) : node_(node), pass_(pass) {}

 private:
  Node* node_;
  const detail::Pass& pass_;
};

/// For rules without parameters.
struct NoAttributes {};

/// A reference to an input, which may be an undefined tensor (an optional input that was left out).
struct TensorRef {
  TensorRef(const Tensor& x) : tensor(&x) {}
  const Tensor* tensor;
};

namespace detail {

using RunRule = Gradients (*)(const Backward& backward, const void* attributes);

/// The attributes of an op as the node holds them.
struct AttributeBlock {
  size_t size;
  void (*move)(void* to, void* from);
  void (*destroy)(void* attributes);  // nullptr when trivial
  void* value;
};

bool should_record(const TensorRef* inputs, size_t count) noexcept;
/// A GradError unless an op with lists of inputs and outputs of these lengths has what it keeps.
void check_kept(const char* op, Keep keep, size_t inputs, size_t outputs);
/// Makes a node and attaches it to the outputs (those that are floating).
void attach(const char* op, const TensorRef* inputs, size_t input_count, Tensor* outputs, size_t output_count,
            Keep keep, RunRule rule, AttributeBlock attributes);
/// Makes y known as a view of x, so that in-place writes through either reach the other's history.
void mark_view(const Tensor& x, Tensor& y);

template <class Attributes, class Rule>
void record_outputs(const char* op, const TensorRef* inputs, size_t count, Tensor* outputs, size_t output_count,
                    Keep keep, Attributes& attributes) {
  static_assert(is_attribute<Attributes>,
                "attributes hold no tensor: what a rule reads is an input or an output, declared with Keep");
  static_assert(std::is_empty_v<Rule>, "a rule captures nothing: declare what it reads with Keep, or pass attributes");
  attach(op, inputs, count, outputs, output_count, keep,
         [](const Backward& b, const void* a) -> Gradients { return Rule{}(b, *static_cast<const Attributes*>(a)); },
         {std::is_empty_v<Attributes> ? 0 : sizeof(Attributes),
          [](void* to, void* from) { new (to) Attributes(std::move(*static_cast<Attributes*>(from))); },
          std::is_trivially_destructible_v<Attributes> ? nullptr
                                                       : +[](void* a) { static_cast<Attributes*>(a)->~Attributes(); },
          &attributes});
}

}  // namespace detail

/// Gives the result y of `op` its history, if recording is on and an input requires a gradient; returns y.
///
///     return record("exp", {x}, y, Keep::output(), NoAttributes{},
///                   [](const Backward& b, NoAttributes) -> Gradients { return {b.grad() * b.output()}; });
///
/// `op` must be a string literal. The rule is a lambda without captures, written in differentiable ops. What it reads
/// is an input or an output, also what has no gradient: indices, a mask, the means that the op computed on the way.
template <size_t count, class Attributes, class Rule>
Tensor record(const char* op, const TensorRef (&inputs)[count], Tensor y,
              std::type_identity_t<detail::KeepOf<count, 1>> keep, Attributes attributes, Rule) {
  if (detail::should_record(inputs, count))
    detail::record_outputs<Attributes, Rule>(op, inputs, count, &y, 1, keep.keep, attributes);
  return y;
}

/// The same for a list of inputs (cat, einsum).
template <class Attributes, class Rule>
Tensor record(const char* op, std::span<const Tensor> inputs, Tensor y, Keep keep, Attributes attributes, Rule) {
  const PooledVector<TensorRef> refs(inputs.begin(), inputs.end());
  detail::check_kept(op, keep, refs.size(), 1);
  if (detail::should_record(refs.data(), refs.size()))
    detail::record_outputs<Attributes, Rule>(op, refs.data(), refs.size(), &y, 1, keep, attributes);
  return y;
}

/// The same for several outputs: record_all("sort", {x}, outputs, ...). Outputs that are not floating get no
/// history; grad(i) and output(i) count all of them.
template <size_t count, class Attributes, class Rule>
void record_all(const char* op, const TensorRef (&inputs)[count], std::span<Tensor> outputs,
                std::type_identity_t<detail::KeepOf<count, Keep::kMaxOutputs>> keep, Attributes attributes, Rule) {
  detail::check_kept(op, keep.keep, count, outputs.size());
  if (detail::should_record(inputs, count))
    detail::record_outputs<Attributes, Rule>(op, inputs, count, outputs.data(), outputs.size(), keep.keep, attributes);
}

/// record for a view y of x: also makes in-place writes through x and y reach each other's history.
template <class Attributes, class Rule>
Tensor record_view(const char* op, const Tensor& x, Tensor y, Attributes attributes, Rule rule) {
  detail::mark_view(x, y);
  return record(op, {x}, std::move(y), Keep::nothing(), attributes, rule);
}

}  // namespace cotangent
