#pragma once
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

#include <cotangent/tensor/dtype.hpp>
#include <cotangent/tensor/memory/allocator.hpp>
#include <cotangent/tensor/scalar.hpp>
#include <cotangent/tensor/shape.hpp>

namespace cotangent {

class Index;  // tensor/indexing.hpp
class Tensor;
struct BackwardOptions;  // autograd/engine.hpp
struct Extreme;          // autograd/ops/reduce.hpp
struct Node;             // autograd/node.hpp: the history of a tensor, opaque here
struct VarOptions;       // autograd/ops/statistics.hpp

/// How the elements of a (N, C, H, W) tensor lie in memory: W fastest, or C fastest.
enum class MemoryFormat : uint8_t { contiguous, channels_last };

namespace detail {

/// Counts owners. Taking the last reference away needs no atomic read-modify-write.
class RefCount {
 public:
  void add() noexcept { __atomic_fetch_add(&count_, 1, __ATOMIC_RELAXED); }
  /// True when the last owner has gone.
  bool drop() noexcept { return unique() || __atomic_sub_fetch(&count_, 1, __ATOMIC_ACQ_REL) == 0; }
  bool unique() const noexcept { return __atomic_load_n(&count_, __ATOMIC_ACQUIRE) == 1; }
  int32_t count() const noexcept { return __atomic_load_n(&count_, __ATOMIC_RELAXED); }

 private:
  int32_t count_ = 1;
};

/// The memory that a tensor and its views share. The elements lie in the same block, behind the TensorImpl that they
/// were made with, or belong to someone else, who is told by `release`.
struct Storage {
  RefCount refs;
  uint32_t version = 0;  ///< grows with each in-place write; threads may write to parts of their own
  int64_t bytes = 0;
  int size_class = 0;  ///< of the block
  char* data = nullptr;
  void (*release)(void* owner) = nullptr;
  void* owner = nullptr;
};

/// What a Tensor points to.
struct TensorImpl {
  RefCount refs;
  Dtype dtype;
  bool contiguous;               ///< dense and row-major
  bool inference;                ///< made in inference mode: takes no part in differentiation
  bool embedded;                 ///< lies in the block of `storage`
  uint16_t output = 0;           ///< which output of `node` this is
  uint32_t generation = 0;       ///< how often an in-place write that was recorded has replaced `node`
  uint32_t base_generation = 0;  ///< of a view: the base's generation that `node` refers to
  int64_t numel;
  char* data;  ///< the first element
  Storage* storage;
  Node* node = nullptr;        ///< history; also set for a leaf that requires a gradient
  TensorImpl* base = nullptr;  ///< of a view: the tensor that it was taken from (never a view itself)
  Shape shape;
  Strides strides;  ///< in elements
  /// Of a view whose base was written since `node` was taken from it.
  bool outdated() const noexcept { return base && base_generation != base->generation; }
};

void release(TensorImpl* impl) noexcept;
void release(Storage* storage) noexcept;
void retain(Node* node) noexcept;   // defined in autograd/node.cpp
void release(Node* node) noexcept;  // defined in autograd/node.cpp

}  // namespace detail

/// A strided, typed, n-dimensional array with an optional history for differentiation.
///
/// A Tensor is a handle: copying it shares the elements. Views (slice, permute, expand, ...) share them too; `clone()`
/// is a copy. A default-constructed Tensor is undefined and stands for "none".
class Tensor {
 public:
  Tensor() noexcept = default;
  Tensor(const Tensor& other) noexcept : impl_(other.impl_) {
    if (impl_) impl_->refs.add();
  }
  Tensor(Tensor&& other) noexcept : impl_(other.impl_) { other.impl_ = nullptr; }
  ~Tensor() {
    if (impl_ && impl_->refs.drop()) detail::release(impl_);
  }
  Tensor& operator=(const Tensor& other) & noexcept {
    Tensor copy(other);
    std::swap(impl_, copy.impl_);
    return *this;
  }
  Tensor& operator=(Tensor&& other) & noexcept {
    std::swap(impl_, other.impl_);
    return *this;
  }
  /// Writes into the view on the left: `x[0] = y`, `x.select(1, 2) = 0.5`, as copy_ and fill_ do.
  Tensor& operator=(const Tensor& values) &&;
  Tensor& operator=(Tensor&& values) && { return std::move(*this) = static_cast<const Tensor&>(values); }
  Tensor& operator=(const Scalar& value) &&;

  // ---- description ----
  bool defined() const noexcept { return impl_ != nullptr; }
  const Shape& shape() const { return get()->shape; }
  const Strides& strides() const { return get()->strides; }
  int rank() const { return get()->shape.rank(); }
  /// PyTorch's names of shape() and rank().
  const Shape& size() const { return shape(); }
  int dim() const { return rank(); }
  /// The size of dimension `dim`, where -1 is the last.
  int64_t size(int64_t dim) const;
  int64_t numel() const { return get()->numel; }
  Dtype dtype() const { return get()->dtype; }
  bool is_floating() const { return cotangent::is_floating(dtype()); }
  bool is_contiguous(MemoryFormat format = MemoryFormat::contiguous) const;
  /// Whether both are views of the same memory.
  bool shares_storage(const Tensor& other) const { return get()->storage == other.get()->storage; }
  /// How often the memory was written in place, through whichever view.
  uint32_t version() const { return __atomic_load_n(&get()->storage->version, __ATOMIC_RELAXED); }

  // ---- elements ----
  /// The first element. The others lie at multiples of the strides. A DTypeError if T is not the dtype.
  template <class T>
  T* data() const {
    if (get()->dtype != dtype_of<T>) wrong_dtype(dtype_of<T>);
    return reinterpret_cast<T*>(impl_->data);
  }
  void* raw_data() const { return get()->data; }
  /// The value of a tensor with one element. A ShapeError otherwise.
  template <class T = double>
  T item() const {
    return item_scalar().to<T>();
  }
  /// All elements in row-major order, converted to T.
  template <class T>
  std::vector<T> to_vector() const;

  // ---- conversions: autograd/ops/convert.hpp ----
  Tensor to(Dtype dtype) const;
  Tensor clone() const;
  Tensor contiguous(MemoryFormat format = MemoryFormat::contiguous) const;

  // ---- views: autograd/ops/view.hpp holds the same as functions, with their contracts ----
  Tensor reshape(const Shape& shape) const;
  Tensor view(const Shape& shape) const;
  Tensor flatten(int64_t start_dim = 0, int64_t end_dim = -1) const;
  Tensor unflatten(int64_t dim, const Shape& sizes) const;
  Tensor permute(const Dims& dims) const;
  Tensor transpose(int64_t dim0, int64_t dim1) const;
  Tensor t() const;
  Tensor expand(const Shape& shape) const;
  Tensor squeeze() const;
  Tensor squeeze(int64_t dim) const;
  Tensor unsqueeze(int64_t dim) const;
  Tensor select(int64_t dim, int64_t index) const;
  Tensor slice(int64_t dim, int64_t start, int64_t stop, int64_t step = 1) const;
  Tensor narrow(int64_t dim, int64_t start, int64_t length) const;

  // ---- indexing: tensor/indexing.hpp ----
  /// `x[i]` is select(0, i): a view, which can be assigned to.
  Tensor operator[](int64_t index) const;
  /// NumPy's indexing: integers, Slice, Ellipsis, None, bool and integer tensors. Read only (hence const); `index_put_`
  /// writes. A list that is made at run time is a std::vector<Index>.
  const Tensor index(std::initializer_list<Index> indices) const;
  const Tensor index(std::span<const Index> indices) const;
  Tensor& index_put_(std::initializer_list<Index> indices, const Tensor& values);
  Tensor& index_put_(std::initializer_list<Index> indices, const Scalar& value);
  Tensor& index_put_(std::span<const Index> indices, const Tensor& values);
  Tensor& index_put_(std::span<const Index> indices, const Scalar& value);

  // ---- functions of autograd/ops/ that everyone types, which holds their contracts and the others ----
  Tensor sum(const DimList& dims = {}, bool keepdim = false) const;
  Tensor mean(const DimList& dims = {}, bool keepdim = false) const;
  Tensor prod(const DimList& dims = {}, bool keepdim = false) const;
  Tensor amax(const DimList& dims = {}, bool keepdim = false) const;
  Tensor amin(const DimList& dims = {}, bool keepdim = false) const;
  Tensor max() const;
  Tensor min() const;
  Extreme max(int64_t dim, bool keepdim = false) const;
  Extreme min(int64_t dim, bool keepdim = false) const;
  Tensor argmax() const;
  Tensor argmin() const;
  Tensor argmax(int64_t dim, bool keepdim = false) const;
  Tensor argmin(int64_t dim, bool keepdim = false) const;
  Tensor all(const DimList& dims = {}, bool keepdim = false) const;
  Tensor any(const DimList& dims = {}, bool keepdim = false) const;
  Tensor var(const DimList& dims = {}) const;
  Tensor var(const DimList& dims, const VarOptions& options) const;
  Tensor std(const DimList& dims = {}) const;
  Tensor std(const DimList& dims, const VarOptions& options) const;
  Tensor norm(double p = 2, const DimList& dims = {}, bool keepdim = false) const;
  Tensor logsumexp(const DimList& dims = {}, bool keepdim = false) const;
  Tensor cumsum(int64_t dim) const;
  Tensor exp() const;
  Tensor log() const;
  Tensor sqrt() const;
  Tensor square() const;
  Tensor abs() const;
  Tensor sin() const;
  Tensor cos() const;
  Tensor tanh() const;
  Tensor sigmoid() const;
  Tensor relu() const;
  Tensor softmax(int64_t dim) const;
  Tensor log_softmax(int64_t dim) const;
  Tensor pow(const Tensor& exponent) const;
  Tensor pow(const Scalar& exponent) const;
  Tensor matmul(const Tensor& other) const;

  // ---- in place: autograd/ops/inplace.cpp ----
  /// Each writes into this tensor's memory and returns it. Operands are broadcast to its shape, and the result is cast
  /// to its dtype: a DTypeError where that would make integers of floats, or bools of numbers, which to() does.
  /// With a history the write is recorded: gradients are those of the same op out of place. A leaf that requires a
  /// gradient takes such a write only under no_grad (a GradError otherwise).
  Tensor& copy_(const Tensor& values);
  Tensor& fill_(const Scalar& value);
  Tensor& zero_() { return fill_(0); }
  Tensor& add_(const Tensor& other, const Scalar& alpha = 1);
  Tensor& sub_(const Tensor& other);
  Tensor& mul_(const Tensor& other);
  Tensor& div_(const Tensor& other);
  Tensor& add_(const Scalar& other);
  Tensor& sub_(const Scalar& other);
  Tensor& mul_(const Scalar& other);
  Tensor& div_(const Scalar& other);
  Tensor& operator+=(const Tensor& other) { return add_(other); }
  Tensor& operator-=(const Tensor& other) { return sub_(other); }
  Tensor& operator*=(const Tensor& other) { return mul_(other); }
  Tensor& operator/=(const Tensor& other) { return div_(other); }
  Tensor& operator+=(const Scalar& other) { return add_(other); }
  Tensor& operator-=(const Scalar& other) { return sub_(other); }
  Tensor& operator*=(const Scalar& other) { return mul_(other); }
  Tensor& operator/=(const Scalar& other) { return div_(other); }

  // ---- differentiation: autograd/engine.hpp, autograd/leaf.cpp ----
  bool requires_grad() const noexcept { return impl_ && (impl_->node || (impl_->outdated() && impl_->base->node)); }
  /// Makes this a leaf whose gradient is wanted, or turns that off. A GradError for a dtype that is not floating, or a
  /// tensor with a history.
  Tensor& requires_grad_(bool wanted = true);
  /// Not the result of a recorded op.
  bool is_leaf() const;
  /// What backward() has accumulated for this leaf (or, after retain_grad(), for this result): undefined before.
  const Tensor& grad() const;
  /// Replaces the gradient by a copy of this one; an undefined tensor clears it.
  void set_grad(const Tensor& gradient) const;
  /// Keeps the gradient of a result that is no leaf, also after in-place writes: that of its values as they are then.
  void retain_grad() const;
  /// A name in pictures of the graph (autograd/graph/graph.hpp), which in-place writes leave; an empty one takes it
  /// away. A GradError without history: call it after requires_grad_(), or on a result.
  void set_name(std::string_view name) const;
  /// Empty unless set_name() gave one.
  std::string name() const;
  /// The same elements without history.
  Tensor detach() const;
  /// Accumulates d(this)/d(leaf) into the grad() of every leaf. Without a gradient this must have one element. The
  /// memory of a temporary, as in f(x).backward(gradient), is free for the gradients.
  void backward() const;
  void backward(const Tensor& gradient) const&;
  void backward(const Tensor& gradient) &&;
  void backward(const BackwardOptions& options) const;
  /// Calls `f(gradient)` when the gradient of this tensor is complete. f returns its replacement, an undefined tensor
  /// for "as it is", or nothing; it may write to the gradient, and remove itself. Returns a key for remove_hook.
  template <class F>
  int register_hook(F f) const;
  void remove_hook(int key) const;

  // ---- for the library ----
  explicit Tensor(detail::TensorImpl* owned) noexcept : impl_(owned) {}
  detail::TensorImpl* impl() const noexcept { return impl_; }
  detail::TensorImpl* get() const {
    if (!impl_) undefined();
    return impl_;
  }
  void swap(Tensor& other) noexcept { std::swap(impl_, other.impl_); }

 private:
  [[noreturn]] static void undefined();
  [[noreturn]] void wrong_dtype(Dtype asked) const;
  Scalar item_scalar() const;
  struct HookFunction {
    void* state;
    Tensor (*call)(void* state, const Tensor& gradient);
    void (*destroy)(void* state);
  };
  friend struct Node;
  friend struct NodeExtras;
  int add_hook(HookFunction hook) const;

  detail::TensorImpl* impl_ = nullptr;
};

/// A list of tensors, in memory of the caching allocator. A std::vector<Tensor> is taken wherever one is expected.
struct Tensors : PooledVector<Tensor> {
  using PooledVector<Tensor>::PooledVector;
  Tensors(const std::vector<Tensor>& list);
  operator std::vector<Tensor>() const;
};

/// The elements as nested brackets, as NumPy prints them with a precision of 4: in columns, without an exponent unless
/// one is needed (from 1e6 on, for float64 from 1e8 on; below 1e-4; or for numbers more than a factor of 1000 apart);
/// above 1000 elements the first and the last three along each dimension. A tensor of rank 0 is a bare number. Neither
/// dtype nor shape are shown, since the brackets tell the shape; only an empty tensor says "[], shape (2, 0)". An
/// undefined one is "undefined". tensor/print.hpp has operator<< for streams.
std::string to_string(const Tensor& x);

template <class F>
int Tensor::register_hook(F f) const {
  return add_hook({new F(std::move(f)),
                   [](void* state, const Tensor& gradient) -> Tensor {
                     if constexpr (std::is_void_v<decltype((*static_cast<F*>(state))(gradient))>) {
                       (*static_cast<F*>(state))(gradient);
                       return Tensor();
                     } else {
                       return (*static_cast<F*>(state))(gradient);
                     }
                   },
                   [](void* state) { delete static_cast<F*>(state); }});
}

namespace detail {

/// A tensor with its own uninitialised memory. A ShapeError names `op` for a negative size, more elements than 64 bits
/// count, or more bytes than there are.
Tensor make_tensor(const Shape& shape, Dtype dtype, const char* op = "tensor");
/// The same with x's shape, in row-major order.
Tensor make_like(const Tensor& x, Dtype dtype, const char* op = "tensor");
/// A tensor of the same memory with another geometry, without history. `offset` is in elements from x's first one.
/// A ShapeError names `op` where 64 bits do not count the elements.
Tensor make_view(const Tensor& x, const Shape& shape, const Strides& strides, int64_t offset, const char* op = "view");
/// The same memory and geometry, without history.
Tensor make_alias(const Tensor& x);
/// A dense tensor of memory that is there already. Takes over the caller's reference.
Tensor make_on(Storage* storage, const Shape& shape, Dtype dtype);
inline void bump_version(const Tensor& x) {
  Storage& s = *x.get()->storage;
  if (s.refs.unique())  // no view for another thread to write through
    __atomic_store_n(&s.version, s.version + 1, __ATOMIC_RELAXED);
  else
    __atomic_fetch_add(&s.version, 1, __ATOMIC_RELAXED);
}
/// Whether nothing but this handle refers to the memory, so that it may be overwritten.
inline bool is_sole_owner(const Tensor& x) { return x.impl()->refs.unique() && x.impl()->storage->refs.unique(); }
/// Whether its elements follow one another, in one of both memory formats.
inline bool is_dense(const Tensor& x) { return x.get()->contiguous || x.is_contiguous(MemoryFormat::channels_last); }

}  // namespace detail
}  // namespace cotangent
