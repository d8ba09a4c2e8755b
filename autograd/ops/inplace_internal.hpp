// Private: what in-place writes are made of. See inplace.cpp.
#pragma once
#include <cotangent/autograd/record.hpp>

namespace cotangent::detail {

/// Whether a write of `operand` (which may be undefined) into x has to be recorded; x's history is then up to date. If
/// not, the caller writes to memory and calls bump_version; else it hands the result of the recorded op to
/// replace_in_place. Throws where x can't be written to.
bool must_record_write(const char* op, const Tensor& x, const Tensor& operand);
/// x takes over the values and the history of `value`, and its base and other views follow.
void replace_in_place(const char* op, const Tensor& x, const Tensor& value);
/// A DTypeError unless x, which is written to, has floats where `values` are some, and integers where they are those.
void check_holds(const char* op, const Tensor& x, Dtype values);
/// The operand itself, or a copy where it lies in the memory that is about to be written. What lies in the very same
/// places may stay there if nothing is recorded.
Tensor apart_from(const Tensor& x, const Tensor& operand);

}  // namespace cotangent::detail
