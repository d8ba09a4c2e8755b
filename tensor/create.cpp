#include <cotangent/tensor/create.hpp>

#include <cmath>
#include <cstring>
#include <new>

#include <cotangent/tensor/dispatch_internal.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/memory/allocator_internal.hpp>

namespace cotangent {

using detail::make_tensor;
using raw::filled;

NestedList::NestedList(std::initializer_list<NestedList> parts) : dtype_(float64) {
  shape_ = Shape{static_cast<int64_t>(parts.size())};
  if (parts.size() == 0) return;
  const NestedList& first = *parts.begin();
  for (int64_t size : first.shape_) shape_.push_back(size);
  dtype_ = first.dtype_;
  for (const NestedList& part : parts) {
    if (part.shape_ != first.shape_)
      fail<ShapeError>("[tensor] nested lists of shapes {} and {} stand side by side; all must have one shape",
                       first.shape_, part.shape_);
    dtype_ = promote(dtype_, part.dtype_);
    values_.insert(values_.end(), part.values_.begin(), part.values_.end());
  }
}

Tensor tensor(const NestedList& values) {
  return tensor(values, values.dtype() == float64 ? default_dtype() : values.dtype());
}

Tensor tensor(const NestedList& values, Dtype dtype) {
  Tensor x = make_tensor(values.shape(), dtype, "tensor");
  dispatch(dtype, [&]<class T> {
    T* p = x.data<T>();
    for (const Scalar& v : values.values()) *p++ = v.to<T>("tensor");
  });
  return x;
}

template <class T>
Tensor from_span(std::span<const T> values, const Shape& shape, const char* op) {
  if (static_cast<int64_t>(values.size()) != shape.product(op))
    fail<ShapeError>("[{}] {} values for shape {}; it takes {}", op, values.size(), shape, shape.product());
  Tensor x = make_tensor(shape, dtype_of<T>, op);
  std::copy(values.begin(), values.end(), x.data<T>());
  return x;
}
template Tensor from_span(std::span<const float>, const Shape&, const char*);
template Tensor from_span(std::span<const double>, const Shape&, const char*);
template Tensor from_span(std::span<const BFloat16>, const Shape&, const char*);
template Tensor from_span(std::span<const Half>, const Shape&, const char*);
template Tensor from_span(std::span<const int64_t>, const Shape&, const char*);
template Tensor from_span(std::span<const int32_t>, const Shape&, const char*);
template Tensor from_span(std::span<const uint8_t>, const Shape&, const char*);
template Tensor from_span(std::span<const bool>, const Shape&, const char*);

Tensor from_memory(void* data, const Shape& shape, Dtype dtype, void (*release)(void*), void* owner) {
  for (int64_t size : shape)
    if (size < 0) fail<ShapeError>("[from_memory] shape {} has a negative size; sizes must be 0 or more", shape);
  const int64_t numel = shape.product("from_memory");
  const int size_class = detail::size_class(sizeof(detail::Storage));
  auto* storage = new (detail::allocate_class(size_class, sizeof(detail::Storage))) detail::Storage;
  storage->size_class = size_class;
  storage->bytes = numel * item_size(dtype);
  storage->data = static_cast<char*>(data);
  storage->release = release ? release : [](void*) {};
  storage->owner = owner;
  try {
    return detail::make_on(storage, shape, dtype);
  } catch (...) {  // there is no memory for the tensor itself
    detail::deallocate_class(storage, size_class);
    throw;
  }
}

Tensor empty(const Shape& shape, Dtype dtype) { return make_tensor(shape, dtype, "empty"); }

Tensor full(const Shape& shape, const Scalar& value, Dtype dtype) { return filled("full", shape, value, dtype); }
Tensor zeros(const Shape& shape, Dtype dtype) { return filled("zeros", shape, 0, dtype); }
Tensor ones(const Shape& shape, Dtype dtype) { return filled("ones", shape, 1, dtype); }
Tensor empty_like(const Tensor& x) { return raw::empty_like(x, x.dtype(), "empty_like"); }
static Tensor filled_like(const char* op, const Tensor& x, const Scalar& value) {
  Tensor y = raw::empty_like(x, x.dtype(), op);
  raw::fill_into(y, value, op);
  return y;
}
Tensor full_like(const Tensor& x, const Scalar& value) { return filled_like("full_like", x, value); }
Tensor zeros_like(const Tensor& x) { return filled_like("zeros_like", x, 0); }
Tensor ones_like(const Tensor& x) { return filled_like("ones_like", x, 1); }

Tensor arange(const Scalar& stop) { return arange(0, stop, 1); }

Tensor arange(const Scalar& start, const Scalar& stop, const Scalar& step) {
  const bool floating = start.dtype() == float64 || stop.dtype() == float64 || step.dtype() == float64;
  return arange(start, stop, step, floating ? default_dtype() : int64);
}

Tensor arange(const Scalar& start, const Scalar& stop, const Scalar& step, Dtype dtype) {
  const double first = start.to<double>(), last = stop.to<double>(), by = step.to<double>();
  if (by == 0 || !std::isfinite(first) || !std::isfinite(last) || !std::isfinite(by))
    fail<ValueError>("[arange] from {} to {} by {}: bounds must be finite and the step not 0", first, last, by);
  const bool exact = start.dtype() != float64 && stop.dtype() != float64 && step.dtype() != float64;  // beyond 2^53
  const int64_t a = exact ? start.to<int64_t>() : 0, b = exact ? stop.to<int64_t>() : 0,
                d = exact ? step.to<int64_t>() : 0;
  if (exact ? (d > 0 ? b < a : b > a) : (last - first) * by < 0)
    fail<ValueError>("[arange] from {} to {} by {}: the step leads away from the end", first, last, by);
  constexpr int64_t kTooMany = int64_t{1} << 62;  // for any memory
  const double steps = std::ceil((last - first) / by);
  int64_t count = steps < static_cast<double>(kTooMany) ? static_cast<int64_t>(steps) : kTooMany;
  if (exact) {
    const uint64_t length = d > 0 ? static_cast<uint64_t>(b) - static_cast<uint64_t>(a)
                                  : static_cast<uint64_t>(a) - static_cast<uint64_t>(b),
                   by_size = d > 0 ? static_cast<uint64_t>(d) : -static_cast<uint64_t>(d);
    count = static_cast<int64_t>(std::min<uint64_t>(length / by_size + (length % by_size != 0), kTooMany));
  }
  Tensor x = make_tensor({count}, dtype, "arange");
  dispatch(dtype, [&]<class T> {
    T* p = x.data<T>();
    for (int64_t i = 0; i < x.numel(); ++i) {
      p[i] = exact && std::is_same_v<T, int64_t> ? static_cast<T>(uint64_t(a) + uint64_t(i) * uint64_t(d))
                                                 : Scalar(first + static_cast<double>(i) * by).element<T>("arange");
    }
  });
  return x;
}

Tensor linspace(double start, double stop, int64_t count, Dtype dtype) {
  if (count < 0) fail<ValueError>("[linspace] {} values; the number must be 0 or more", count);
  Tensor x = make_tensor({count}, dtype, "linspace");
  dispatch(dtype, [&]<class T> {
    T* p = x.data<T>();
    const double step = count > 1 ? (stop - start) / static_cast<double>(count - 1) : 0;
    for (int64_t i = 0; i < count; ++i)  // from the nearer end, so that both are exact
      p[i] = Scalar(i < count - i ? start + static_cast<double>(i) * step
                                  : stop - static_cast<double>(count - 1 - i) * step)
                 .to<T>("linspace");
  });
  return x;
}

Tensor eye(int64_t rows, int64_t columns, Dtype dtype) {
  if (columns == -1) columns = rows;
  Tensor x = filled("eye", {rows, columns}, 0, dtype);
  if (x.numel() > 0) raw::fill_into(detail::make_view(x, {std::min(rows, columns)}, {columns + 1}, 0), 1);
  return x;
}

}  // namespace cotangent
