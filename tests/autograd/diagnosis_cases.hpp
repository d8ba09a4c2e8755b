#pragma once
// Wrong rules, each on a small and on a larger input, and what the gradient checker has to say of them.
#include <catch2/catch.hpp>

#include <cmath>
#include <string>
#include <vector>

#include <cotangent/autograd/gradcheck/gradcheck.hpp>
#include <cotangent/autograd/record.hpp>
#include <cotangent/cotangent.hpp>

namespace cotangent::diagnosis_test {

// Some hundred different numbers, all at least 0.1 away from 0 and from each other's ties.
inline Tensor sample(const Shape& shape, double shift = 0) {
  const Tensor x = empty(shape, float64);
  for (int64_t i = 0; i < x.numel(); ++i) {
    const double v = std::sin(2.3 * double(i) + 1) + 0.3 * std::cos(0.7 * double(i));
    x.data<double>()[i] = shift + v + (v < 0 ? -0.1 : 0.1);
  }
  return x;
}

using Function = Tensors (*)(const Tensors& x);
using Rule = Gradients (*)(const Backward& b, NoAttributes);
#ifndef RULE
#define RULE [](const Backward& b, NoAttributes) -> Gradients
#endif

template <class F>
inline Tensor without_history(F&& f) {
  NoGrad guard;
  return clone(f()).detach();
}
/// y, made of the inputs by an op whose rule is this one.
inline Tensors planted(const Tensors& x, const Tensor& y, Rule rule) {
  const auto call = [](const Backward& b, Rule f) { return f(b, NoAttributes{}); };
  if (x.size() == 1) return {record("bad", {x[0]}, y, Keep::input(0) | Keep::output(), rule, call)};
  return {record("bad", {x[0], x[1]}, y, Keep::inputs(2) | Keep::output(), rule, call)};
}
inline Tensors bad_square(const Tensors& x, Rule rule) {
  return planted(x, without_history([&] { return square(x[0]); }), rule);
}
inline Tensor right(const Backward& b) { return b.grad() * b.input(0) * 2; }
inline Tensor ones_like_but(const Tensor& x, double (*value)(const Shape& shape, const Shape& index)) {
  const Tensor y = ones(x.shape(), float64);
  for (int64_t i = 0; i < y.numel(); ++i) {
    Shape index = y.shape();
    int64_t rest = i;
    for (int d = y.rank() - 1; d >= 0; --d) index[d] = rest % y.shape()[d], rest /= y.shape()[d];
    y.data<double>()[i] = value(y.shape(), index);
  }
  return y;
}

struct Case {
  const char* name;
  std::vector<Tensors> inputs;  ///< a small and a large one
  Function f;
  const char* word;
  const char* evidence;
};

inline void check(const std::vector<Case>& cases) {
  for (const Case& c : cases)
    for (const Tensors& inputs : c.inputs) {
      const GradcheckReport report = gradcheck(c.f, inputs);
      INFO(c.name);
      INFO(report.to_string(3));
      CHECK_FALSE(report.ok());
      const std::string word = std::string(": ") + c.word + ": ";
      bool said = false;
      for (const std::string& line : report.diagnosis)
        said = said || (line.find(word) != std::string::npos && line.find(c.evidence) != std::string::npos);
      CHECK(said);
      REQUIRE(!report.diagnosis.empty());
      CHECK_THAT(report.diagnosis[0], Catch::Contains(word));
    }
}

inline std::vector<Tensors> of_sizes(const Shape& small, const Shape& large, double shift = 0) {
  return {{sample(small, shift)}, {sample(large, shift)}};
}

}  // namespace cotangent::diagnosis_test
