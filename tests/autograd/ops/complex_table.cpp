// The op table of autograd/ops/complex.hpp, compared with std::complex.
#include <complex>

#include <cotangent/autograd/ops/complex.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tests/autograd/op_info.hpp>

namespace cotangent {
namespace {

using Number = std::complex<double>;
using Numbers = std::vector<Number>;

Numbers numbers_of(const Tensor& x) {
  const std::vector<double> v = x.detach().to_vector<double>();
  Numbers z(v.size() / 2);
  for (size_t i = 0; i < z.size(); ++i) z[i] = {v[2 * i], v[2 * i + 1]};
  return z;
}
Tensor pairs_of(const Numbers& z, const Shape& shape) {
  std::vector<double> v;
  for (const Number& n : z) v.push_back(n.real()), v.push_back(n.imag());
  return from_vector(v, shape);
}
template <class F>
Tensor each(const Tensor& x, F f) {
  Numbers z = numbers_of(x);
  for (Number& n : z) n = f(n);
  return pairs_of(z, x.shape());
}
/// Of pairs, numbers.
template <class F>
Tensor each_real(const Tensor& x, F f) {
  std::vector<double> v;
  for (const Number& n : numbers_of(x)) v.push_back(f(n));
  return from_vector(v, x.shape().slice(0, x.rank() - 1));
}
template <class F>
Tensor each_two(const Tensor& a, const Tensor& b, F f) {
  const Shape shape = broadcast_shapes("each_two", a.shape(), b.shape());
  const Numbers p = numbers_of(expand(a, shape)), q = numbers_of(expand(b, shape));
  Numbers z;
  for (size_t i = 0; i < p.size(); ++i) z.push_back(f(p[i], q[i]));
  return pairs_of(z, shape);
}
/// Of two numbers each.
template <class F>
Tensor each_pair(const Tensor& a, const Tensor& b, F f) {
  const Shape shape = broadcast_shapes("each_pair", a.shape(), b.shape());
  const std::vector<double> p = expand(a.detach(), shape).to_vector<double>(),
                            q = expand(b.detach(), shape).to_vector<double>();
  Numbers z;
  for (size_t i = 0; i < p.size(); ++i) z.push_back(f(p[i], q[i]));
  Shape pairs = shape;
  pairs.push_back(2);
  return pairs_of(z, pairs);
}

template <Tensor (*F)(const Tensor&)>
Results one(Arguments x) {
  return F(x[0]);
}
template <Tensor (*F)(const Tensor&, const Tensor&)>
Results two(Arguments x) {
  return F(x[0], x[1]);
}

template <int64_t dim, bool reverse>
Results scanned(Arguments x) {
  return complex::linear_scan(x[0], x[1], dim, x.size() > 2 ? x[2] : Tensor(), reverse);
}
/// b (B, T, N, 2), along T.
template <bool reverse>
Results stepped(Arguments x) {
  const Shape& shape = x[1].shape();
  const Numbers a = numbers_of(expand(x[0], shape)), b = numbers_of(x[1]);
  Shape states = shape;
  states.erase(1);
  const Numbers first = x.size() > 2 ? numbers_of(expand(x[2], states)) : Numbers();
  Numbers h = b;
  const int64_t T = shape[1], N = shape[2];
  for (int64_t line = 0; line < shape[0] * N; ++line) {
    Number state = first.empty() ? 0 : first[size_t(line)];
    for (int64_t i = 0; i < T; ++i) {
      const auto at = size_t((line / N * T + (reverse ? T - 1 - i : i)) * N + line % N);
      h[at] = state = a[at] * state + b[at];
    }
  }
  return pairs_of(h, shape);
}

}  // namespace

COTANGENT_OP_TABLE(complex) {
  const InputSpec z = normal({2, 3, 2}), w = normal({3, 2}), b = normal({2, 5, 3, 2});
  const InputSpec real_line = integers({2, 2}, 0, 3), narrow_one = normal({2, 3});
  return {
      {"complex::from_parts",
       {{{normal({2, 3}), normal({3})},
         two<complex::from_parts>,
         [](Arguments x) -> Results {
           return each_pair(x[0], x[1], [](double p, double q) { return Number(p, q); });
         }}},
       {{{normal({2}), integers({2}, 0, 3)}, two<complex::from_parts>, "one floating dtype"},
        {{normal({2}), normal({3})}, two<complex::from_parts>, "[complex::from_parts]"}},
       3,
       1e-6,
       true,
       {"stack"}},
      {"complex::polar",
       {{{uniform({2, 1}, 0.5, 2), normal({3})},
         two<complex::polar>,
         [](Arguments x) -> Results {
           return each_pair(x[0], x[1], [](double r, double angle) { return std::polar(r, angle); });
         }}},
       {{{normal({2}), integers({2}, 0, 3)}, two<complex::polar>, "[complex::polar] the parts are"}}},
      {"complex::real",
       {{{z},
         one<complex::real>,
         [](Arguments x) -> Results { return each_real(x[0], [](Number n) { return n.real(); }); }}},
       {{{narrow_one}, one<complex::real>, "[complex::real] (2, 3) holds no complex numbers"},
        {{normal({})}, one<complex::real>, "holds no complex numbers"}}},
      {"complex::imag",
       {{{z},
         one<complex::imag>,
         [](Arguments x) -> Results { return each_real(x[0], [](Number n) { return n.imag(); }); }}},
       {{{real_line}, one<complex::imag>, "[complex::imag] takes floating tensors"}}},
      {"complex::conj",
       {{{z},
         one<complex::conj>,
         [](Arguments x) -> Results { return each(x[0], [](Number n) { return std::conj(n); }); }}},
       {{{narrow_one}, one<complex::conj>, "holds no complex numbers"}}},
      {"complex::mul",
       {{{z, w}, two<complex::mul>, [](Arguments x) -> Results { return each_two(x[0], x[1], std::multiplies<>()); }},
        {{normal({2}), z},
         two<complex::mul>,
         [](Arguments x) -> Results { return each_two(x[0], x[1], std::multiplies<>()); }},
        {{z, normal({2, 1, 2})},
         two<complex::mul>,
         [](Arguments x) -> Results { return each_two(x[0], x[1], std::multiplies<>()); }}},
       {{{z, narrow_one}, two<complex::mul>, "[complex::mul] (2, 3) holds no complex numbers"},
        {{z, normal({2, 2})}, two<complex::mul>, "[complex::mul]"},
        {{real_line, real_line}, two<complex::mul>, "takes floating tensors"}}},
      {"complex::div",
       {{{z, uniform({3, 2}, 0.5, 2)},
         two<complex::div>,
         [](Arguments x) -> Results { return each_two(x[0], x[1], std::divides<>()); }},
        {{normal({1, 2}), uniform({2, 3, 2}, -2, -0.5)},
         two<complex::div>,
         [](Arguments x) -> Results { return each_two(x[0], x[1], std::divides<>()); }}},
       {{{z, normal({2, 2})}, two<complex::div>, "[complex::div]"},
        {{narrow_one, narrow_one}, two<complex::div>, "holds no complex numbers"}},
       3,
       1e-6,
       true,
       {"complex::mul"}},
      {"complex::exp",
       {{{z},
         one<complex::exp>,
         [](Arguments x) -> Results { return each(x[0], [](Number n) { return std::exp(n); }); }}},
       {{{narrow_one}, one<complex::exp>, "[complex::exp] (2, 3)"}}},
      {"complex::abs",
       {{{distinct({2, 3, 2})},
         one<complex::abs>,
         [](Arguments x) -> Results { return each_real(x[0], [](Number n) { return std::abs(n); }); }}},
       {{{narrow_one}, one<complex::abs>, "[complex::abs] (2, 3)"}}},
      {"complex::angle",
       {{{uniform({2, 3, 2}, -2, -0.5)},
         one<complex::angle>,
         [](Arguments x) -> Results { return each_real(x[0], [](Number n) { return std::arg(n); }); }},
        {{uniform({4, 2}, 0.5, 2)},
         one<complex::angle>,
         [](Arguments x) -> Results { return each_real(x[0], [](Number n) { return std::arg(n); }); }}},
       {{{narrow_one}, one<complex::angle>, "[complex::angle] (2, 3)"}}},
      {"complex::linear_scan",
       {{{normal({2, 5, 3, 2}), b}, scanned<1, false>, stepped<false>},
        {{normal({2, 5, 3, 2}), b, normal({2, 3, 2})}, scanned<-3, true>, stepped<true>},
        {{normal({3, 2}), b, normal({3, 2})}, scanned<1, false>, stepped<false>},
        {{normal({5, 3, 2}), b}, scanned<1, true>, stepped<true>},
        {{normal({2, 1, 1, 2}), b}, scanned<1, false>, stepped<false>},
        {{normal({3, 4, 1, 2}), normal({3, 4, 1, 2}), normal({2})}, scanned<1, false>, stepped<false>},
        {{normal({2}), normal({1, 4, 1, 2}), normal({2})}, scanned<1, false>, stepped<false>}},
       {{{b, b}, scanned<3, false>, "[complex::linear_scan] dimension 3 of b (2, 5, 3, 2) holds the pairs"},
        {{normal({3}), b}, scanned<1, false>, "[complex::linear_scan] a is (3,)"},
        {{b, narrow_one}, scanned<0, false>, "[complex::linear_scan] b is (2, 3)"},
        {{b, b, normal({3, 1})}, scanned<1, false>, "the initial state is (3, 1)"}},
       3,
       1e-6,
       true,
       {"complex::mul"}}};
}

}  // namespace cotangent
