#include <cotangent/tensor/scalar.hpp>

#include <cmath>

#include <cotangent/tensor/format_internal.hpp>

namespace cotangent {

Integers integers_of(Dtype dtype) {
  constexpr int64_t one = 1;
  switch (dtype) {
    case Dtype::float32: return {-(one << 24), one << 24};
    case Dtype::float64: return {-(one << 53), one << 53};
    case Dtype::bfloat16: return {-(one << 8), one << 8};
    case Dtype::float16: return {-(one << 11), one << 11};
    case Dtype::int64: return {INT64_MIN, INT64_MAX};
    case Dtype::int32: return {INT32_MIN, INT32_MAX};
    case Dtype::uint8: return {0, UINT8_MAX};
    case Dtype::boolean: break;
  }
  return {0, 1};
}

Scalar::Place Scalar::place(const Integers& among) const {
  if (dtype_ == float64) {
    if (double_ != double_) return Place::nowhere;
    if (double_ < static_cast<double>(among.low)) return Place::below;
    if (double_ >= static_cast<double>(among.high) + 1) return Place::above;  // of int64: 2^63, in either rounding
    return std::trunc(double_) == double_ ? Place::held : Place::between;
  }
  if (int_ > among.high || (int_ < 0 && double_ > 0)) return Place::above;
  return int_ < among.low ? Place::below : Place::held;
}

Scalar::Place Scalar::place(Dtype dtype) const { return is_floating(dtype) ? Place::held : place(integers_of(dtype)); }

std::string Scalar::text() const {
  return dtype_ == float64 || (int_ < 0 && double_ > 0) ? fmt::format("{}", double_) : fmt::format("{}", int_);
}

int64_t Scalar::truncated(const char* op, const Integers& among) const {
  const Scalar whole = dtype_ == float64 ? Scalar(std::trunc(double_)) : *this;
  if (whole.place(among) != Place::held)
    fail<ValueError>("[{}] {} is not among the integers from {} to {} that are asked for", op, text(), among.low,
                     among.high);
  return dtype_ == float64 ? static_cast<int64_t>(double_) : int_;
}

int64_t Scalar::checked(const char* op, Dtype dtype) const {
  if (place(dtype) != Place::held)
    fail<ValueError>(
        "[{}] {} does not fit into {}, which holds the integers from {} to {}; convert the tensor with to()", op,
        text(), dtype, integers_of(dtype).low, integers_of(dtype).high);
  return dtype_ == float64 ? static_cast<int64_t>(double_) : int_;
}

Dtype promote(Dtype tensor, const Scalar& scalar) {
  if (is_floating(tensor)) return tensor;
  if (scalar.dtype() == float64) return default_dtype();
  return tensor == boolean && scalar.dtype() == int64 ? int64 : tensor;
}

}  // namespace cotangent
