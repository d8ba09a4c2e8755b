#include <cotangent/tensor/elementwise.hpp>

#include <cmath>
#include <utility>

#include <cotangent/tensor/elementwise_internal.hpp>

namespace cotangent::raw {
namespace {

using detail::make_tensor;
using kernels::kernels;
using kernels::Layout;

Dtype result_dtype(Unary f, Dtype d) { return kernels::is_predicate(f) ? boolean : d; }
Dtype result_dtype(Binary f, Dtype d) { return kernels::is_comparison(f) ? boolean : d; }

[[noreturn]] void unsupported(const char* op, Dtype dtype) {
  fail<DTypeError>("[{}] is not defined for {}; convert with to(float32) or another dtype", op, dtype);
}

// The common case of everything below: small dense operands of a dtype that kernels compute in, and of one shape.
bool is_plain(const detail::TensorImpl* x) { return x->contiguous && x->numel <= kElementGrain && x->dtype <= float64; }
bool is_alike(const detail::TensorImpl* x, const detail::TensorImpl* y) {
  return y->contiguous && x->dtype == y->dtype && x->shape == y->shape;
}

void check_divisors(const char* op, Binary f, const Source& b, Dtype dtype) {
  if (f != Binary::remainder && f != Binary::fmod && f != Binary::floor_divide && f != Binary::pow) return;
  const Tensor dense = b.tensor ? contiguous(*b.tensor) : Tensor();
  const void* data = b.tensor ? dense.raw_data() : b.data;
  dispatch(dtype, [&]<class T> {
    if constexpr (std::is_integral_v<T>) {
      const T* p = static_cast<const T*>(data);
      for (int64_t i = 0; i < (b.tensor ? dense.numel() : 1); ++i) {
        if (f == Binary::pow && p[i] < T(0))
          fail<ValueError>("[{}] an integer is raised to the negative power {}; convert the base with to(float32)", op,
                           p[i]);
        if (f != Binary::pow && p[i] == T(0)) fail<ValueError>("[{}] integer division by zero, at element {}", op, i);
      }
    }
  });
}

// Any operands.
void general_unary(const char* op, Unary f, const Tensor& x, const Tensor& y, double p, double q) {
  const Dtype dtype = compute_dtype(x.dtype());
  const kernels::UnaryLoop loop = kernels().unary.value[int(f)][int(dtype)];
  if (!loop) unsupported(op, x.dtype());
  const Source in[] = {{x, dtype}};
  execute(op, y, result_dtype(f, dtype), in, 1,
          [=](const char* const* from, char* to, int64_t n, unsigned) { loop(from[0], to, n, p, q); });
}

void general_gradient(kernels::GradientLoop loop, const Tensor& dy, const Tensor& kept, const Tensor& dx, double p,
                      double q) {
  const Dtype dtype = compute_dtype(dy.dtype());
  const Source in[] = {{dy, dtype}, {kept, dtype}};
  execute("gradient", dx, dtype, in, 3,
          [=](const char* const* from, char* to, int64_t n, unsigned) { loop(from[0], from[1], to, n, p, q); });
}

void general_binary(const char* op, Binary f, const Source (&in)[2], Dtype given, const Tensor& y, double p, double q) {
  const Dtype dtype = compute_dtype(given);
  const kernels::BinaryLoop loop = kernels().binary[int(f)][int(dtype)];
  if (!loop) unsupported(op, given);
  if (!is_floating(dtype)) check_divisors(op, f, in[1], dtype);
  execute(op, y, result_dtype(f, dtype), in, 0, [=](const char* const* from, char* to, int64_t n, unsigned repeats) {
    loop(from[0], from[1], to, n, Layout(repeats), p, q);
  });
}

void scalar_into(const char* op, Binary f, const Tensor& x, const Scalar& s, const Tensor& y, bool scalar_first) {
  const detail::TensorImpl *ix = x.get(), *iy = y.get();
  if (is_plain(ix) && iy->contiguous && ix->shape == iy->shape && iy->dtype == result_dtype(f, ix->dtype)) {
    const float s4 = s.to<float>();
    const double s8 = s.to<double>();
    const void* number = ix->dtype == float32 ? static_cast<const void*>(&s4) : &s8;
    const kernels::BinaryLoop loop = kernels().binary[int(f)][int(ix->dtype)];
    return scalar_first ? loop(number, ix->data, iy->data, ix->numel, Layout::scalar_array, 0, 0)
                        : loop(ix->data, number, iy->data, ix->numel, Layout::array_scalar, 0, 0);
  }
  const Dtype dtype = compute_dtype(ix->dtype);
  if (scalar_first)
    general_binary(op, f, {{op, s, dtype}, {x, dtype}}, x.dtype(), y, 0, 0);
  else
    general_binary(op, f, {{x, dtype}, {op, s, dtype}}, x.dtype(), y, 0, 0);
}

}  // namespace

void unary_into(const char* op, Unary f, const Tensor& x, const Tensor& y, double p, double q) {
  if (is_plain(x.get()) && is_alike(x.get(), y.get()) && !kernels::is_predicate(f))
    if (const auto loop = kernels().unary.value[int(f)][int(x.dtype())])
      return loop(x.raw_data(), y.raw_data(), x.numel(), p, q);
  general_unary(op, f, x, y, p, q);
}

void binary_into(const char* op, Binary f, const Tensor& a, const Tensor& b, const Tensor& y, double p, double q) {
  const detail::TensorImpl *ia = a.get(), *ib = b.get(), *iy = y.get();
  if (is_plain(ia) && is_alike(ia, ib) && iy->contiguous && ia->shape == iy->shape &&
      iy->dtype == result_dtype(f, ia->dtype))
    return kernels().binary[int(f)][int(ia->dtype)](ia->data, ib->data, iy->data, ia->numel, Layout::both, p, q);
  if (ia->dtype != ib->dtype)
    fail<DTypeError>("[{}] operands must have one dtype, got {} and {}; convert one with to()", op, ia->dtype,
                     ib->dtype);
  const Dtype dtype = compute_dtype(ia->dtype);
  general_binary(op, f, {{a, dtype}, {b, dtype}}, ia->dtype, y, p, q);
}

void binary_into(const char* op, Binary f, const Tensor& x, const Scalar& s, const Tensor& y) {
  scalar_into(op, f, x, s, y, false);
}

Tensor unary(const char* op, Unary f, const Tensor& x, double p, double q) {
  if (is_plain(x.get())) {
    Tensor y = detail::make_like(x, result_dtype(f, x.dtype()));
    if (const auto loop = kernels().unary.value[int(f)][int(x.dtype())]) {
      loop(x.impl()->data, y.impl()->data, x.numel(), p, q);
      return y;
    }
  }
  Tensor y = empty_like(x, result_dtype(f, x.dtype()), op);
  unary_into(op, f, x, y, p, q);
  return y;
}

[[gnu::noinline]] static Tensor empty_for(const char* op, const Tensor& a, const Tensor& b, Dtype dtype) {
  if (a.shape() == b.shape())
    return a.strides() == b.strides()
               ? empty_like(a, dtype, op)
               : empty_in_format(a.shape(), dtype, std::max(memory_format(a), memory_format(b)), op);
  if (b.numel() == 1 && b.rank() <= a.rank()) return empty_like(a, dtype, op);
  return make_tensor(broadcast_shapes(op, a.shape(), b.shape()), dtype, op);
}

// Out of line, so that what most operands take is short.
[[gnu::noinline]] static Tensor general_binary(const char* op, Binary f, const Tensor& a, const Tensor& b, double p,
                                               double q) {
  Tensor y = empty_for(op, a, b, result_dtype(f, a.dtype()));
  binary_into(op, f, a, b, y, p, q);
  return y;
}

Tensor binary(const char* op, Binary f, const Tensor& a, const Tensor& b, double p, double q) {
  const detail::TensorImpl *ia = a.get(), *ib = b.get();
  if (!is_plain(ia) || !is_alike(ia, ib)) return general_binary(op, f, a, b, p, q);
  Tensor y = detail::make_like(a, result_dtype(f, ia->dtype));
  kernels().binary[int(f)][int(ia->dtype)](ia->data, ib->data, y.impl()->data, ia->numel, Layout::both, p, q);
  return y;
}

// Of integers with a number that is none of theirs.
[[gnu::noinline]] static Tensor compare_beyond(const char* op, Binary f, const Tensor& x, const Scalar& s,
                                               Scalar::Place place) {
  const bool is_less = f == Binary::lt || f == Binary::le, is_more = f == Binary::gt || f == Binary::ge;
  if (place == Scalar::Place::between && (is_less || is_more))  // x < 2.5 says x <= 2
    return binary(op, is_less ? Binary::le : Binary::gt, x, std::floor(s.to<double>()));
  Tensor y = empty_like(x, boolean, op);
  fill_into(
      y, f == Binary::ne || (is_less && place == Scalar::Place::above) || (is_more && place == Scalar::Place::below));
  return y;
}

Tensor binary(const char* op, Binary f, const Tensor& x, const Scalar& s) {
  if (kernels::is_comparison(f) && !is_floating(x.dtype()))
    if (const Scalar::Place place = s.place(x.dtype()); place != Scalar::Place::held)
      return compare_beyond(op, f, x, s, place);
  Tensor y = empty_like(x, result_dtype(f, x.dtype()), op);
  scalar_into(op, f, x, s, y, false);
  return y;
}

Tensor binary(const char* op, Binary f, const Scalar& s, const Tensor& x) {
  Tensor y = empty_like(x, result_dtype(f, x.dtype()), op);
  scalar_into(op, f, x, s, y, true);
  return y;
}

namespace {
bool is_ours(const Tensor& x) {
  const bool lent = x.get()->storage->release;  // read only
  return !lent && detail::is_sole_owner(x) && detail::is_dense(x) && !x.get()->inference;
}
bool is_disposable(const Tensor& x) {
  const detail::TensorImpl* impl = x.get();
  const bool pays = !impl->node || impl->numel > kElementGrain;  // a result beside a history needs a handle of its own
  return pays && is_ours(x);
}
// What was written over x. With a history, x keeps that, since the op is yet to be recorded.
Tensor written_over(Tensor&& x) { return x.impl()->node ? detail::make_alias(x) : std::move(x); }
}  // namespace

Tensor in_place_of(const Tensor& x) { return is_ours(x) ? detail::make_alias(x) : empty_like(x, x.dtype()); }

Tensor unary(const char* op, Unary f, Tensor&& x, double p, double q) {
  if (!is_disposable(x) || kernels::is_predicate(f)) return unary(op, f, std::as_const(x), p, q);
  unary_into(op, f, x, x, p, q);
  return written_over(std::move(x));
}

Tensor binary(const char* op, Binary f, Tensor&& a, const Tensor& b, double p, double q) {
  if (!is_disposable(a) || kernels::is_comparison(f) || a.shape() != b.shape())
    return binary(op, f, std::as_const(a), b, p, q);
  binary_into(op, f, a, b, a, p, q);
  return written_over(std::move(a));
}

Tensor binary(const char* op, Binary f, Tensor&& x, const Scalar& s) {
  if (!is_disposable(x) || kernels::is_comparison(f)) return binary(op, f, std::as_const(x), s);
  scalar_into(op, f, x, s, x, false);
  return written_over(std::move(x));
}

Tensor unary_gradient(Unary f, Tensor dy, const Tensor& kept, double p, double q) {
  const auto loop = kernels().unary.gradient[int(f)][int(compute_dtype(dy.dtype()))];
  const bool over = is_disposable(dy), plain = is_plain(dy.get()) && is_alike(dy.get(), kept.get());
  Tensor dx = over ? Tensor() : plain ? detail::make_like(dy, dy.dtype()) : empty_for("gradient", dy, kept, dy.dtype());
  const Tensor& to = over ? dy : dx;
  if (plain)
    loop(dy.raw_data(), kept.raw_data(), to.raw_data(), dy.numel(), p, q);
  else
    general_gradient(loop, dy, kept, to, p, q);
  return over ? written_over(std::move(dy)) : dx;
}

bool keeps_integers(Unary f) { return kernels().unary.value[int(f)][int(int64)]; }

Tensor where(const char* op, const Tensor& condition, const Tensor& a, const Tensor& b) {
  if (condition.dtype() != boolean)
    fail<DTypeError>("[{}] the condition must be bool, got {}; compare it first, as in x != 0", op, condition.dtype());
  if (a.dtype() != b.dtype())
    fail<DTypeError>("[{}] both choices must have one dtype, got {} and {}", op, a.dtype(), b.dtype());
  const Dtype dtype = a.dtype();
  const Shape shape = broadcast_shapes(op, condition.shape(), broadcast_shapes(op, a.shape(), b.shape()));
  MemoryFormat format = MemoryFormat::contiguous;
  for (const Tensor* x : {&condition, &a, &b})
    if (x->shape() == shape) format = std::max(format, memory_format(*x));
  const Tensor y = empty_in_format(shape, dtype, format, op);
  const auto loop = kernels().copy.of(item_size(dtype)).where;
  const Source in[] = {{condition, boolean}, {a, dtype}, {b, dtype}};
  execute(op, y, dtype, in, 1, [=](const char* const* from, char* to, int64_t n, unsigned repeats) {
    loop(reinterpret_cast<const bool*>(from[0]), from[1], from[2], to, n, !(repeats & 2), !(repeats & 4));
  });
  return y;
}

}  // namespace cotangent::raw
