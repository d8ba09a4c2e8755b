#pragma once
// Ops whose rules can be made wrong, for the tests of gradcheck's blame.
#include <cmath>

#include <cotangent/autograd/record.hpp>
#include <cotangent/cotangent.hpp>

namespace cotangent::faulty {

inline Tensor wave(const Shape& shape, double shift = 0) {
  Tensor x = empty(shape, float64);
  for (int64_t i = 0; i < x.numel(); ++i)
    x.data<double>()[i] = shift + std::sin(2.3 * double(i) + 1 + shift) + 0.01 * double(i % 7);
  return x;
}

/// f() without a history.
template <class F>
Tensor unrecorded(F f) {
  NoGrad guard;
  return f();
}

/// tanh, whose gradient is multiplied by `factor`.
inline Tensor scaled_tanh(const Tensor& x, double factor, const char* name = "my_tanh") {
  const Tensor y = unrecorded([&] { return tanh(x); });
  return record(name, {x}, y, Keep::output(), factor, [](const Backward& b, double c) -> Gradients {
    const Tensor out = b.output();
    return {b.grad() * (1 - out * out) * c};
  });
}

/// a * b, where the gradient of one of them may be scaled.
struct Factors {
  double a, b;
};
inline Tensor scaled_mul(const Tensor& a, const Tensor& b, Factors factors) {
  const Tensor y = unrecorded([&] { return a * b; });
  return record("my_mul", {a, b}, y, Keep::inputs(2), factors, [](const Backward& back, const Factors& f) -> Gradients {
    return {back.grad() * back.input(1) * f.a, back.grad() * back.input(0) * f.b};
  });
}

}  // namespace cotangent::faulty
