// Private: the one way to compute on float16 and bfloat16. An op is written for float32 and float64; around it, its
// operands become float32, and its results are rounded once, at the end.
#pragma once
#include <cmath>

#include <cotangent/tensor/tensor.hpp>

namespace cotangent {

/// How a tensor gets another dtype: raw::cast, or `to`, whose history makes gradients take the same way back.
using Conversion = Tensor (*)(const Tensor& x, Dtype dtype);

/// An argument of an op as it is computed with: low-precision tensors, one or a list, as float32, anything else as it
/// is.
template <Conversion convert, class T>
decltype(auto) widened(const T& argument) {
  if constexpr (std::is_same_v<T, Tensor>) {
    return argument.defined() && is_low_precision(argument.dtype()) ? convert(argument, float32) : argument;
  } else if constexpr (std::is_same_v<T, Tensors>) {
    Tensors wide;
    for (const Tensor& x : argument) wide.push_back(widened<convert>(x));
    return wide;
  } else {
    return (argument);
  }
}

namespace detail {
/// Whether an element of any dtype, as it is computed with, is NaN.
template <class T>
bool is_nan(T value) {
  if constexpr (std::is_floating_point_v<T>)
    return std::isnan(value);
  else
    return false;
}

template <Conversion convert, class Results>
void round_results(Results& results, Dtype dtype) {
  auto round = [&](auto&... each) { (round_results<convert>(each, dtype), ...); };
  if constexpr (std::is_same_v<Results, Tensor>) {
    if (results.defined() && results.is_floating()) results = convert(results, dtype);
  } else if constexpr (requires(Tensor x) { Results{x, x, x}; }) {
    auto& [a, b, c] = results;
    round(a, b, c);
  } else {
    auto& [a, b] = results;
    round(a, b);
  }
}

template <class... T>
Dtype first_dtype(const Tensor& x, const T&...) {
  return x.dtype();
}
template <class... T>
Dtype first_dtype(const Tensors& list, const T&...) {
  return list[0].dtype();
}
template <class First, class... T>
Dtype first_dtype(const First&, const T&... others) {
  return first_dtype(others...);
}
}  // namespace detail

/// f(arguments...), a tensor or a struct of some, where low-precision tensors go in as float32, and floating results
/// come out in the dtype of the first of them:
///     if (is_low_precision(x.dtype())) return in_float32<cast>(softmax, op, x, dim);
template <Conversion convert, class F, class... Arguments>
auto in_float32(F&& f, const Arguments&... arguments) {
  auto results = f(widened<convert>(arguments)...);
  detail::round_results<convert>(results, detail::first_dtype(arguments...));
  return results;
}

}  // namespace cotangent
