#pragma once
// How the functions of unary.cpp and binary.cpp are written, next to one another:
//
//     COTANGENT_UNARY(leaky_relu, Float, T x, T slope) { return x < T(0) ? slope * x : x; }
//     COTANGENT_GRADIENT(leaky_relu, T dy, T x, T slope) { return x > T(0) ? dy : dy * slope; }
//
// is Unary::leaky_relu for floating types T, with as many of the parameters p and q as it has, and its gradient, of dy
// and what the rule keeps: the argument x or the result y. The rows of the kernel table follow.
#include <type_traits>
#include <utility>  // integer_sequence: no code

#include <cotangent/tensor/kernels/elementwise.hpp>
#include <cotangent/tensor/kernels/wrap.hpp>

namespace cotangent::kernels {
namespace {

template <class T>
concept Any = true;
template <class T>
concept Float = Any<T> && std::is_floating_point_v<T>;
template <class T>
concept Integer = Any<T> && std::is_integral_v<T> && !std::is_same_v<T, bool>;
template <class T>
concept Number = Float<T> || Integer<T>;

template <auto f>
struct Value {};
template <auto f>
struct Gradient {};

#define COTANGENT_UNARY(f, Types, ...) \
  template <Types T>                   \
  auto compute(Value<Unary::f>, __VA_ARGS__)
#define COTANGENT_GRADIENT(f, ...) \
  template <Float T>               \
  auto compute(Gradient<Unary::f>, __VA_ARGS__)
// inlined, or the larger ones would be called for each element by the loops of three layouts
#define COTANGENT_BINARY(f, Types, ...) \
  template <Types T>                    \
  [[gnu::always_inline]] inline auto compute(Value<Binary::f>, __VA_ARGS__)

template <class Of, class... X>
concept Takes = requires(X... x) {
  compute(Of(), x...);
};
/// Whether there is a function of these operands, with or without parameters.
template <class Of, class T, class... X>
concept Defined = Takes<Of, T, X...> || Takes<Of, T, X..., T> || Takes<Of, T, X..., T, T>;

template <class Of, class T, class... X>
auto apply(T p, T q, X... x) {
  if constexpr (Takes<Of, X...>)
    return compute(Of(), x...);
  else if constexpr (Takes<Of, X..., T>)
    return compute(Of(), x..., p);
  else
    return compute(Of(), x..., p, q);
}

/// Calls add.template operator()<f, T, the number of T's Dtype>() for all f before `count`.
template <auto count, class Add>
void for_each_function(Add add) {
  [&]<int... f>(std::integer_sequence<int, f...>) {
    const auto add_all = [&]<class T, int dtype>() { (add.template operator()<decltype(count)(f), T, dtype>(), ...); };
    add_all.template operator()<float, 0>(), add_all.template operator()<double, 1>();
    add_all.template operator()<int64_t, 4>(), add_all.template operator()<int32_t, 5>();
    add_all.template operator()<uint8_t, 6>(), add_all.template operator()<bool, 7>();
  }
  (std::make_integer_sequence<int, int(count)>{});
}

}  // namespace
}  // namespace cotangent::kernels
