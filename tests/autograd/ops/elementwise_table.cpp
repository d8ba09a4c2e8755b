// The op table of elementwise.hpp, apart from the functions because it is long.
#include <algorithm>
#include <cmath>

#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tests/autograd/op_info.hpp>

namespace cotangent {
namespace {

/// Row-major values of x repeated to `shape`, by counting.
std::vector<double> repeated_to(const Tensor& x, const Shape& shape) {
  const std::vector<double> from = to(x.detach(), float64).to_vector<double>();
  std::vector<double> y(static_cast<size_t>(shape.product()));
  for (size_t i = 0; i < y.size(); ++i) {
    int64_t rest = static_cast<int64_t>(i), at = 0, step = 1;
    for (int d = 1; d <= shape.rank(); ++d) {
      const int64_t index = rest % shape[shape.rank() - d];
      rest /= shape[shape.rank() - d];
      if (d > x.rank()) continue;
      const int64_t size = x.shape()[x.rank() - d];
      at += (size == 1 ? 0 : index) * step, step *= size;
    }
    y[i] = from[static_cast<size_t>(at)];
  }
  return y;
}

/// The larger rank, and the larger size in each dimension: right for the shapes below.
Shape common_shape(const Tensor& a, const Tensor& b) {
  Shape shape = a.rank() >= b.rank() ? a.shape() : b.shape();
  const Shape& other = a.rank() >= b.rank() ? b.shape() : a.shape();
  for (int d = 1; d <= other.rank(); ++d)
    shape[shape.rank() - d] = std::max(shape[shape.rank() - d], other[other.rank() - d]);
  return shape;
}

/// f of each pair of elements, in `dtype`.
Tensor of_pairs(const Tensor& a, const Tensor& b, double (*f)(double, double), Dtype dtype) {
  const Shape shape = common_shape(a, b);
  std::vector<double> x = repeated_to(a, shape);
  const std::vector<double> y = repeated_to(b, shape);
  for (size_t i = 0; i < x.size(); ++i) x[i] = f(x[i], y[i]);
  return to(from_vector(x, shape), dtype);
}

using Function = Tensor (*)(const Tensor&, const Tensor&);
using WithNumber = Tensor (*)(const Tensor&, const Scalar&);

/// Every pair of the shapes (), (2), (3, 2) and (1, 2).
template <Function F, double (*f)(double, double), Dtype result = float64>
std::vector<Sample> pairs(InputSpec (*first)(const Shape&), InputSpec (*second)(const Shape&)) {
  std::vector<Sample> samples;
  const Shape shapes[] = {{}, {2}, {3, 2}, {1, 2}};
  for (const Shape& a : shapes)
    for (const Shape& b : shapes)
      samples.push_back({{first(a), second(b)},
                         [](Arguments x) -> Results { return F(x[0], x[1]); },
                         [](Arguments x) -> Results { return of_pairs(x[0], x[1], f, result); }});
  return samples;
}

/// A tensor and the number 1.5.
template <WithNumber F, double (*f)(double, double), Dtype result = float64>
Sample with_number(InputSpec spec) {
  return {{std::move(spec)},
          [](Arguments x) -> Results { return F(x[0], 1.5); },
          [](Arguments x) -> Results { return of_pairs(x[0], full({}, 1.5, float64), f, result); }};
}
/// Two samples of int64, whose result has `result`.
template <Function F, double (*f)(double, double), Dtype result = int64>
Sample of_integers() {
  return {{values({4}, {7, -7, 7, -6}, int64), values({4}, {2, 2, -2, 3}, int64)},
          [](Arguments x) -> Results { return F(x[0], x[1]); },
          [](Arguments x) -> Results { return of_pairs(x[0], x[1], f, result); }};
}

std::vector<Sample> joined(std::vector<Sample> samples, std::initializer_list<Sample> more) {
  samples.insert(samples.end(), more);
  return samples;
}

template <Function F>
std::vector<ErrorSample> shape_errors() {
  return {{{normal({2, 3}), normal({2, 4})}, [](Arguments x) -> Results { return F(x[0], x[1]); }, "do not broadcast"}};
}

InputSpec positive(const Shape& shape) { return uniform(shape, 0.4, 2); }
/// Values that occur several times, so that comparisons meet equal ones; the two meet in each of the shapes above.
InputSpec few(const Shape& shape) {
  std::vector<double> v = {1, 1.5, 2, 1, 1.5, 2};
  v.resize(static_cast<size_t>(shape.product()));
  return constant(values(shape, v));
}
InputSpec few_shifted(const Shape& shape) {
  std::vector<double> v = {1.5, 1.5, 1, 1, 2, 2};
  v.resize(static_cast<size_t>(shape.product()));
  return constant(values(shape, v));
}

double plus(double a, double b) { return a + b; }
double minus(double a, double b) { return a - b; }
double times(double a, double b) { return a * b; }
double over(double a, double b) { return a / b; }
double power(double a, double b) { return std::pow(a, b); }
double modulo(double a, double b) { return a - std::floor(a / b) * b; }
double rest(double a, double b) { return a - std::trunc(a / b) * b; }
double floored(double a, double b) { return std::floor(a / b); }
double smaller(double a, double b) { return std::min(a, b); }
double larger(double a, double b) { return std::max(a, b); }
double is_equal(double a, double b) { return a == b; }
double is_other(double a, double b) { return a != b; }
double is_less(double a, double b) { return a < b; }
double is_at_most(double a, double b) { return a <= b; }
double is_more(double a, double b) { return a > b; }
double is_at_least(double a, double b) { return a >= b; }
double is_both(double a, double b) { return a != 0 && b != 0; }
double is_either(double a, double b) { return a != 0 || b != 0; }
double is_one(double a, double b) { return (a != 0) != (b != 0); }

template <Function F, WithNumber N, double (*f)(double, double)>
OpInfo comparison(const char* name) {
  return {.name = name,
          .samples = joined(pairs<F, f, boolean>(few, few_shifted),
                            {with_number<N, f, boolean>(few({3, 2})), of_integers<F, f, boolean>()}),
          .errors = shape_errors<F>(),
          .orders = 0};
}
template <Function F, double (*f)(double, double)>
OpInfo logical(const char* name) {
  return {.name = name,
          .samples = joined(pairs<F, f, boolean>(booleans, booleans),
                            {{{constant(values({4}, {0, 0, 2, -3})), constant(values({4}, {0, 1.5, 0, 4}))},
                              [](Arguments x) -> Results { return F(x[0], x[1]); },
                              [](Arguments x) -> Results { return of_pairs(x[0], x[1], f, boolean); }}}),
          .orders = 0};
}

template <Function F>
Results divided(Arguments x) {
  return F(x[0], x[1]);
}
/// The references divide, where the ops do not: what is drawn lies nowhere near an integer quotient.
template <Function F, WithNumber N, double (*f)(double, double)>
OpInfo division(const char* name, const double (&by_hand)[4]) {
  static const std::vector<double> expected(by_hand, by_hand + 4);
  const bool is_flat = f == floored;
  return {.name = name,
          .samples = joined(pairs<F, f>(normal, positive),
                            {with_number<N, f>(normal({2, 3})),
                             of_integers<F, f>(),
                             {{constant(values({4}, {3.5, -3.5, 3.5, -3.5})), constant(values({4}, {2, 2, -2, -2}))},
                              divided<F>,
                              [](Arguments) -> Results { return from_vector<double>(expected, {4}); }}}),
          .errors = {{{integers({2}, 1, 4), values({2}, {1, 0}, int64)}, divided<F>, "division by zero, at element 1"}},
          .zero_gradient = is_flat};
}

/// f of each element, in the dtype of x or as bool.
template <double (*f)(double), bool kPredicate>
Results of_elements(Arguments x) {
  std::vector<double> v = to(x[0].detach(), float64).to_vector<double>();
  for (double& e : v) e = f(e);
  return to(from_vector(v, x[0].shape()), kPredicate ? boolean : x[0].dtype());
}
double negated(double v) { return -v; }
double is_zero(double v) { return v == 0; }
double not_a_number(double v) { return std::isnan(v); }
double finite(double v) { return std::isfinite(v); }
double limited(double v) { return std::clamp(v, -0.8, 0.9); }
double limited_below(double v) { return std::max(v, 0.05); }
double limited_integer(double v) { return std::clamp(v, -2.0, 3.0); }

Results chosen(Arguments x) { return where(x[0], x[1], x[2]); }
/// where for operands of one shape.
Results chosen_reference(Arguments x) {
  const std::vector<double> c = to(x[0], float64).to_vector<double>();
  std::vector<double> a = x[1].detach().to_vector<double>();
  const std::vector<double> b = x[2].detach().to_vector<double>();
  for (size_t i = 0; i < a.size(); ++i) a[i] = c[i] != 0 ? a[i] : b[i];
  return from_vector(a, x[1].shape());
}

}  // namespace

COTANGENT_OP_TABLE(elementwise) {
  const InputSpec odd = constant(values({5}, {0, NAN, INFINITY, -INFINITY, -2.5}));
  return {
      {.name = "add",
       .samples =
           joined(pairs<add, plus>(normal, normal), {with_number<add, plus>(normal({2, 3})), of_integers<add, plus>()}),
       .errors = shape_errors<add>()},
      {.name = "sub",
       .samples =
           joined(pairs<sub, minus>(normal, normal),
                  {with_number<sub, minus>(normal({2, 3})),
                   of_integers<sub, minus>(),
                   {{normal({2, 3})},
                    [](Arguments x) -> Results { return sub(1.5, x[0]); },
                    [](Arguments x) -> Results { return of_pairs(full({}, 1.5, float64), x[0], minus, float64); }}}),
       .errors = shape_errors<sub>()},
      {.name = "mul",
       .samples = joined(pairs<mul, times>(normal, normal),
                         {with_number<mul, times>(normal({2, 3})), of_integers<mul, times>()}),
       .errors = shape_errors<mul>()},
      {.name = "div",
       .samples =
           joined(pairs<div, over>(normal, positive),
                  {with_number<div, over>(normal({2, 3})),
                   {{positive({2, 3})},
                    [](Arguments x) -> Results { return div(1.5, x[0]); },
                    [](Arguments x) -> Results { return of_pairs(full({}, 1.5, float64), x[0], over, float64); }}}),
       .errors = shape_errors<div>()},
      {.name = "pow",
       .samples =
           joined(pairs<pow, power>(positive, normal),
                  {with_number<pow, power>(positive({2, 3})),
                   {{normal({2, 3})},
                    [](Arguments x) -> Results { return pow(x[0], 2); },
                    [](Arguments x) -> Results { return of_pairs(x[0], x[0], times, float64); }},
                   {{normal({3})},
                    [](Arguments x) -> Results { return pow(x[0], 3); },
                    [](Arguments x) -> Results { return of_pairs(x[0], full({}, 3, float64), power, float64); }},
                   {{positive({3})},
                    [](Arguments x) -> Results { return pow(x[0], 0.5); },
                    [](Arguments x) -> Results { return of_pairs(x[0], full({}, 0.5, float64), power, float64); }},
                   {{positive({3})},
                    [](Arguments x) -> Results { return pow(x[0], -1); },
                    [](Arguments x) -> Results { return of_pairs(x[0], full({}, -1, float64), power, float64); }},
                   {{normal({3})},
                    [](Arguments x) -> Results { return pow(x[0], 0); },
                    [](Arguments x) -> Results { return ones_like(x[0]); }},
                   {{values({4}, {2, -3, 0, 5}, int64), values({4}, {3, 3, 0, 2}, int64)},
                    [](Arguments x) -> Results { return pow(x[0], x[1]); },
                    [](Arguments x) -> Results { return of_pairs(x[0], x[1], power, int64); }}}),
       .errors = {{{integers({3}, 1, 4), values({3}, {1, 2, -1}, int64)},
                   [](Arguments x) -> Results { return pow(x[0], x[1]); },
                   "negative power -1"},
                  {{normal({2, 3}), normal({2, 4})},
                   [](Arguments x) -> Results { return pow(x[0], x[1]); },
                   "do not broadcast"}}},
      division<remainder, remainder, modulo>("remainder", {1.5, 0.5, -0.5, -1.5}),
      division<fmod, fmod, rest>("fmod", {1.5, -1.5, 1.5, -1.5}),
      division<floor_divide, floor_divide, floored>("floor_divide", {1, -2, -2, 1}),
      {.name = "minimum",
       .samples = joined(pairs<minimum, smaller>(normal, normal), {of_integers<minimum, smaller>()}),
       .errors = shape_errors<minimum>()},
      {.name = "maximum",
       .samples = joined(pairs<maximum, larger>(normal, normal), {of_integers<maximum, larger>()}),
       .errors = shape_errors<maximum>()},
      {.name = "where",
       .samples = {{{booleans({2, 3}), normal({2, 3}), normal({2, 3})}, chosen, chosen_reference},
                   {{booleans({3, 1}), normal({2}), normal({3, 2})},
                    chosen,
                    [](Arguments x) -> Results {
                      const Tensor full[] = {clone(expand(x[0], {3, 2})), clone(expand(x[1], {3, 2})), x[2]};
                      return chosen_reference(full);
                    }},
                   {{booleans({}), normal({2}), normal({})},
                    chosen,
                    [](Arguments x) -> Results {
                      const Tensor full[] = {clone(expand(x[0], {2})), x[1], clone(expand(x[2], {2}))};
                      return chosen_reference(full);
                    }},
                   {{booleans({4}), normal({4})},
                    [](Arguments x) -> Results { return where(x[0], x[1], 2); },
                    [](Arguments x) -> Results {
                      const Tensor full[] = {x[0], x[1], full_like(x[1], 2)};
                      return chosen_reference(full);
                    }},
                   {{booleans({4}), normal({4})},
                    [](Arguments x) -> Results { return where(x[0], 2, x[1]); },
                    [](Arguments x) -> Results {
                      const Tensor full[] = {x[0], full_like(x[1], 2), x[1]};
                      return chosen_reference(full);
                    }}},
       .errors = {{{normal({2}), normal({2}), normal({2})}, chosen, "the condition must be bool"},
                  {{booleans({3}), normal({2}), normal({2})}, chosen, "do not broadcast"}}},
      {.name = "masked_fill",
       .samples = {{{normal({2, 3}), booleans({2, 3})},
                    [](Arguments x) -> Results { return masked_fill(x[0], x[1], -1.5); },
                    [](Arguments x) -> Results {
                      const Tensor full[] = {x[1], full_like(x[0], -1.5), x[0]};
                      return chosen_reference(full);
                    }},
                   {{normal({2, 3}), booleans({3})},
                    [](Arguments x) -> Results { return masked_fill(x[0], x[1], 7); },
                    [](Arguments x) -> Results {
                      const Tensor full[] = {clone(expand(x[1], {2, 3})), full_like(x[0], 7), x[0]};
                      return chosen_reference(full);
                    }}},
       .errors = {{{normal({2}), normal({2})},
                   [](Arguments x) -> Results { return masked_fill(x[0], x[1], 0); },
                   "the mask must be bool"},
                  {{normal({2}), booleans({3})},
                   [](Arguments x) -> Results { return masked_fill(x[0], x[1], 0); },
                   "can't be expanded"}}},
      {.name = "clamp",
       .samples = {{{distinct({3, 4})},
                    [](Arguments x) -> Results { return clamp(x[0], -0.8, 0.9); },
                    of_elements<limited, false>},
                   {{distinct({5})},
                    [](Arguments x) -> Results { return clamp(x[0], 0.05); },
                    of_elements<limited_below, false>},
                   {{integers({6}, -5, 5)},
                    [](Arguments x) -> Results { return clamp(x[0], -2, 3); },
                    of_elements<limited_integer, false>}},
       .errors = {{{normal({2})}, [](Arguments x) -> Results { return clamp(x[0], 1, 0); }, "low 1 is above high 0"}}},
      {.name = "neg",
       .samples = {{{normal({2, 3})}, [](Arguments x) -> Results { return neg(x[0]); }, of_elements<negated, false>},
                   {{integers({3}, -5, 5)},
                    [](Arguments x) -> Results { return neg(x[0]); },
                    of_elements<negated, false>}},
       .errors = {{{booleans({2})}, [](Arguments x) -> Results { return neg(x[0]); }, "is not defined for bool"}}},
      comparison<eq, eq, is_equal>("eq"),
      comparison<ne, ne, is_other>("ne"),
      comparison<lt, lt, is_less>("lt"),
      comparison<le, le, is_at_most>("le"),
      comparison<gt, gt, is_more>("gt"),
      comparison<ge, ge, is_at_least>("ge"),
      logical<logical_and, is_both>("logical_and"),
      logical<logical_or, is_either>("logical_or"),
      logical<logical_xor, is_one>("logical_xor"),
      {.name = "logical_not",
       .samples = {{{booleans({2, 3})},
                    [](Arguments x) -> Results { return logical_not(x[0]); },
                    of_elements<is_zero, true>},
                   {{odd}, [](Arguments x) -> Results { return logical_not(x[0]); }, of_elements<is_zero, true>}},
       .orders = 0},
      {.name = "isnan",
       .samples = {{{odd}, [](Arguments x) -> Results { return isnan(x[0]); }, of_elements<not_a_number, true>},
                   {{integers({3}, 0, 5)},
                    [](Arguments x) -> Results { return isnan(x[0]); },
                    of_elements<not_a_number, true>}},
       .orders = 0},
      {.name = "isfinite",
       .samples = {{{odd}, [](Arguments x) -> Results { return isfinite(x[0]); }, of_elements<finite, true>},
                   {{integers({3}, 0, 5)},
                    [](Arguments x) -> Results { return isfinite(x[0]); },
                    of_elements<finite, true>}},
       .orders = 0},
  };
}

}  // namespace cotangent
