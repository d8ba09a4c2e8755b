#include <cotangent/tensor/tensor.hpp>

#include <new>

#include <cotangent/tensor/dispatch_internal.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/memory/allocator_internal.hpp>

namespace cotangent {
namespace detail {

constinit thread_local bool t_inference = false;  // set by the guards of autograd/modes.hpp

namespace {

constexpr int kImplClass = size_class(sizeof(TensorImpl));
constexpr size_t kHeader = sizeof(Storage) + sizeof(TensorImpl);
constexpr int64_t kCounted = 1 << 20;  // elements from which on a tensor asks whether there is memory for it
static_assert(kHeader % kUnit == 0, "the elements behind it must be aligned");

TensorImpl* init(void* place, Storage* storage, Dtype dtype, bool embedded) {
  TensorImpl* impl = new (place) TensorImpl;
  impl->dtype = dtype;
  impl->inference = t_inference;
  impl->embedded = embedded;
  impl->storage = storage;
  return impl;
}

// With memory of its own, all in one block of class c.
inline TensorImpl* new_block(Dtype dtype, int64_t numel, int64_t bytes, int c) {
  char* block = static_cast<char*>(allocate_class(c, kHeader + static_cast<size_t>(bytes)));
  Storage* storage = new (block) Storage;
  storage->bytes = bytes;
  storage->size_class = c;
  storage->data = block + kHeader;
  TensorImpl* impl = init(block + sizeof(Storage), storage, dtype, true);
  impl->contiguous = true;
  impl->numel = numel;
  impl->data = storage->data;
  return impl;
}
TensorImpl* new_dense(Dtype dtype, int64_t numel) {
  const int64_t bytes = numel * item_size(dtype);
  return new_block(dtype, numel, bytes, size_class(kHeader + static_cast<size_t>(bytes)));
}

// On memory that it shares.
TensorImpl* new_view(const TensorImpl* from) {
  TensorImpl* impl = init(allocate_class(kImplClass, sizeof(TensorImpl)), from->storage, from->dtype, false);
  impl->storage->refs.add();
  return impl;
}

bool dense_row_major(const Shape& shape, const Strides& strides) {
  int64_t expected = 1;
  for (int d = shape.rank() - 1; d >= 0; --d) {
    if (shape[d] == 1) continue;
    if (strides[d] != expected) return false;
    expected *= std::max<int64_t>(shape[d], 1);  // as contiguous_strides does
  }
  return true;
}
}  // namespace

void release(Storage* storage) noexcept {
  if (storage->release) storage->release(storage->owner);
  deallocate_class(storage, storage->size_class);
}

void release(TensorImpl* impl) noexcept {
  if (impl->node) release(impl->node);
  if (impl->base && impl->base->refs.drop()) release(impl->base);
  if (impl->embedded) {
    Storage* storage = reinterpret_cast<Storage*>(impl) - 1;  // impl->storage, without the wait for a load
    if (storage->refs.drop()) release(storage);
    return;
  }
  if (impl->storage->refs.drop()) release(impl->storage);
  deallocate_class(impl, kImplClass);
}

Tensor make_tensor(const Shape& shape, Dtype dtype, const char* op) {
  Strides strides = shape;
  int64_t numel = 1;
  bool wraps = false, empty = false;
  for (int d = shape.rank() - 1; d >= 0; --d) {
    const int64_t size = shape[d];
    if (size < 0) fail<ShapeError>("[{}] shape {} has a negative size; sizes must be 0 or more", op, shape);
    strides[d] = numel;
    empty |= size == 0;
    wraps |= __builtin_mul_overflow(numel, size + (size == 0), &numel);
  }
  if (wraps) static_cast<void>(shape.product(op));  // which says so
  if (empty) numel = 0;
  if (numel > kCounted) check_memory(op, numel, item_size(dtype));
  TensorImpl* impl = new_dense(dtype, numel);
  impl->shape = shape;
  impl->strides = strides;
  return Tensor(impl);
}

Tensor make_like(const Tensor& x, Dtype dtype, const char* op) {
  const TensorImpl* from = x.get();
  if (!from->contiguous) return make_tensor(from->shape, dtype, op);
  const bool same_block = from->embedded && from->dtype == dtype;
  TensorImpl* impl = same_block ? new_block(dtype, from->numel, from->storage->bytes, from->storage->size_class)
                                : new_dense(dtype, from->numel);
  impl->shape = from->shape;
  impl->strides = from->strides;
  return Tensor(impl);
}

Tensor make_view(const Tensor& x, const Shape& shape, const Strides& strides, int64_t offset, const char* op) {
  const TensorImpl* from = x.get();
  const int64_t numel = shape.product(op);
  TensorImpl* impl = new_view(from);
  impl->shape = shape;
  impl->strides = strides;
  impl->numel = numel;
  impl->contiguous = dense_row_major(shape, strides);
  impl->data = from->data + (numel > 0 ? offset * item_size(from->dtype) : 0);  // nothing may have any size and place
  return Tensor(impl);
}

Tensor make_alias(const Tensor& x) {
  const TensorImpl* from = x.get();
  TensorImpl* impl = new_view(from);
  impl->shape = from->shape;
  impl->strides = from->strides;
  impl->numel = from->numel;
  impl->contiguous = from->contiguous;
  impl->data = from->data;
  return Tensor(impl);
}

Tensor make_on(Storage* storage, const Shape& shape, Dtype dtype) {
  TensorImpl* impl = init(allocate_class(kImplClass, sizeof(TensorImpl)), storage, dtype, false);
  impl->shape = shape;
  impl->strides = contiguous_strides(shape);
  impl->numel = shape.product();
  impl->contiguous = true;
  impl->data = storage->data;
  return Tensor(impl);
}

}  // namespace detail

int64_t Tensor::size(int64_t dim) const {
  const Shape& s = shape();
  if (s.empty()) fail<IndexError>("[size] dimension {} of a tensor of rank 0; it has no dimensions", dim);
  return s[checked_dim("size", dim, s.rank())];
}

bool Tensor::is_contiguous(MemoryFormat format) const {
  if (format == MemoryFormat::contiguous) return get()->contiguous;
  const Shape& s = shape();
  const Strides& t = strides();
  if (s.rank() != 4) return false;
  int64_t expected = 1;
  for (int d : {1, 3, 2, 0}) {
    if (s[d] == 1) continue;
    if (t[d] != expected) return false;
    expected *= s[d];
  }
  return true;
}

void Tensor::undefined() {
  fail<ValueError>(
      "[tensor] an undefined tensor is used; give it a value first, for instance by zeros({{2, 3}}). A grad() is "
      "undefined before backward(), and of results without retain_grad()");
}

Tensors::Tensors(const std::vector<Tensor>& list) : PooledVector<Tensor>(list.begin(), list.end()) {}
Tensors::operator std::vector<Tensor>() const { return {begin(), end()}; }

void Tensor::wrong_dtype(Dtype asked) const {
  fail<DTypeError>("[data] the tensor is {}, not {}; convert it with to({})", dtype(), asked, asked);
}

Scalar Tensor::item_scalar() const {
  if (numel() != 1)
    fail<ShapeError>("[item] shape {} has {} elements; item() takes a tensor with one", shape(), numel());
  return dispatch(dtype(), [&]<class T>() -> Scalar {
    const T value = *data<T>();
    if constexpr (std::is_arithmetic_v<T>)
      return value;
    else
      return static_cast<float>(value);
  });
}

template <class T>
std::vector<T> Tensor::to_vector() const {
  const Tensor dense = raw::contiguous(raw::cast(*this, dtype_of<T>));
  const T* p = dense.data<T>();
  return std::vector<T>(p, p + dense.numel());
}
template std::vector<float> Tensor::to_vector<float>() const;
template std::vector<double> Tensor::to_vector<double>() const;
template std::vector<int64_t> Tensor::to_vector<int64_t>() const;
template std::vector<int32_t> Tensor::to_vector<int32_t>() const;
template std::vector<uint8_t> Tensor::to_vector<uint8_t>() const;
template std::vector<bool> Tensor::to_vector<bool>() const;

}  // namespace cotangent
