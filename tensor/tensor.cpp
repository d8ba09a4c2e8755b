#include <cotangent/tensor/tensor.hpp>

#include <new>

#include <cotangent/tensor/allocator_internal.hpp>
#include <cotangent/tensor/dispatch_internal.hpp>
#include <cotangent/tensor/elementwise.hpp>

namespace cotangent {
namespace detail {

constinit thread_local bool t_inference = false;  // set by the guards of autograd/modes.hpp

namespace {

constexpr int kImplClass = size_class(sizeof(TensorImpl));

TensorImpl* new_impl() {
  TensorImpl* impl = new (allocate_class(kImplClass)) TensorImpl;
  impl->inference = t_inference;
  return impl;
}

// Memory for the elements, with its header in front. Frees the impl if there is none.
void attach_storage(TensorImpl* impl, int64_t bytes) {
  const int c = size_class(sizeof(Storage) + static_cast<size_t>(bytes));
  void* block;
  try {
    block = allocate_class(c);
  } catch (...) {
    deallocate_class(impl, kImplClass);
    throw;
  }
  Storage* storage = new (block) Storage;
  storage->bytes = bytes;
  storage->size_class = c;
  storage->data = static_cast<char*>(block) + sizeof(Storage);
  impl->storage = storage;
  impl->data = storage->data;
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
  if (impl->storage->refs.drop()) release(impl->storage);
  deallocate_class(impl, kImplClass);
}

Tensor make_tensor(const Shape& shape, Dtype dtype) {
  TensorImpl* impl = new_impl();
  impl->dtype = dtype;
  impl->contiguous = true;
  Strides& strides = impl->strides;
  strides = shape;
  int64_t numel = 1;
  bool too_large = false;
  for (int d = shape.rank() - 1; d >= 0; --d) {
    if (shape[d] < 0) {
      deallocate_class(impl, kImplClass);
      fail<ShapeError>("[empty] shape {} has a negative size; sizes must be 0 or more", shape);
    }
    strides[d] = numel;
    too_large |= __builtin_mul_overflow(numel, shape[d] > 0 ? shape[d] : 1, &numel);
  }
  for (int64_t size : shape) numel = size == 0 ? 0 : numel;
  int64_t bytes = 0;
  too_large |= __builtin_mul_overflow(numel, item_size(dtype), &bytes) || bytes > int64_t{1} << 46;
  if (too_large) {
    deallocate_class(impl, kImplClass);
    fail<ShapeError>("[empty] a {} tensor of shape {} is too large for this machine's memory", dtype, shape);
  }
  impl->shape = shape;
  impl->numel = numel;
  attach_storage(impl, bytes);
  return Tensor(impl);
}

Tensor make_like(const Tensor& x, Dtype dtype) {
  const TensorImpl* from = x.get();
  if (!from->contiguous) return make_tensor(from->shape, dtype);
  TensorImpl* impl = new_impl();
  impl->dtype = dtype;
  impl->contiguous = true;
  impl->shape = from->shape;
  impl->strides = from->strides;
  impl->numel = from->numel;
  attach_storage(impl, from->numel * item_size(dtype));
  return Tensor(impl);
}

Tensor make_view(const Tensor& x, const Shape& shape, const Strides& strides, int64_t offset) {
  const TensorImpl* from = x.get();
  TensorImpl* impl = new_impl();
  impl->dtype = from->dtype;
  impl->shape = shape;
  impl->strides = strides;
  impl->numel = shape.product();
  impl->contiguous = dense_row_major(shape, strides);
  impl->storage = from->storage;
  impl->storage->refs.add();
  impl->data = from->data + offset * item_size(from->dtype);
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
  fail<ValueError>("[tensor] an undefined tensor is used; give it a value first, for instance by zeros({{2, 3}})");
}

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
