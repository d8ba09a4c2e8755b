// The op table of autograd/ops/reduce.hpp.
#include <algorithm>

#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/index.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/reduce.hpp>
#include <cotangent/tensor/views.hpp>
#include <cotangent/tests/autograd/op_info.hpp>

namespace cotangent {
namespace {

/// The same reduction, element by element in float64: f(result so far, element).
Tensor reduced_by(const Tensor& x, std::initializer_list<int> dims, bool keepdim, double first,
                  double (*f)(double, double)) {
  const Tensor in = clone(contiguous(to(x.detach(), float64)));
  Shape kept = in.shape(), shape;
  for (int d : dims) kept[d] = 1;
  for (int d = 0; d < in.rank(); ++d)
    if (keepdim || std::find(dims.begin(), dims.end(), d) == dims.end()) shape.push_back(kept[d]);
  std::vector<double> y(static_cast<size_t>(kept.product()), first);
  for (int64_t i = 0; i < in.numel(); ++i) {
    int64_t at = 0, rest = i, step = 1;
    for (int d = in.rank() - 1; d >= 0; --d) {
      if (kept[d] != 1) at += rest % in.shape()[d] * step, step *= kept[d];
      rest /= in.shape()[d];
    }
    y[static_cast<size_t>(at)] = f(y[static_cast<size_t>(at)], in.data<double>()[i]);
  }
  return from_vector(y, shape);
}
double plus(double a, double b) { return a + b; }
double times(double a, double b) { return a * b; }
double larger(double a, double b) { return std::max(a, b); }
double smaller(double a, double b) { return std::min(a, b); }
double both(double a, double b) { return a != 0 && b != 0; }
double either(double a, double b) { return a != 0 || b != 0; }

using Reducer = Tensor (*)(const Tensor&, const DimList&, bool);

/// All, one and several dimensions, negative ones, keepdim, size 1, rank 0. `first` is the result for no element.
template <Reducer F, double (*f)(double, double), int first>
std::vector<Sample> samples_of(InputSpec (*input)(const Shape&)) {
  constexpr double start = first;
  return {
      {{input({2, 3, 4})},
       [](Arguments x) -> Results { return F(x[0], {}, false); },
       [](Arguments x) -> Results {
         return reduced_by(x[0], {0, 1, 2}, false, start, f);
       }},
      {{input({2, 3, 4})},
       [](Arguments x) -> Results { return F(x[0], 1, false); },
       [](Arguments x) -> Results { return reduced_by(x[0], {1}, false, start, f); }},
      {{input({2, 3, 4})},
       [](Arguments x) -> Results {
         return F(x[0], {-1, 0}, true);
       },
       [](Arguments x) -> Results {
         return reduced_by(x[0], {0, 2}, true, start, f);
       }},
      {{input({4, 3})},
       [](Arguments x) -> Results { return F(x[0], 0, true); },
       [](Arguments x) -> Results { return reduced_by(x[0], {0}, true, start, f); }},
      {{input({3, 1})},
       [](Arguments x) -> Results { return F(x[0], -1, false); },
       [](Arguments x) -> Results { return reduced_by(x[0], {1}, false, start, f); }},
      {{input({})},
       [](Arguments x) -> Results { return F(x[0], {}, false); },
       [](Arguments x) -> Results { return reduced_by(x[0], {}, false, start, f); }},
  };
}

template <Reducer F>
std::vector<ErrorSample> dim_errors() {
  return {{{normal({2, 3})}, [](Arguments x) -> Results { return F(x[0], 2, false); }, "dimension 2 is out of range"},
          {{normal({2, 3})},
           [](Arguments x) -> Results {
             return F(x[0], {1, -1}, false);
           },
           "dimension -1 is given twice"}};
}
template <Reducer F>
std::vector<ErrorSample> extreme_errors() {
  std::vector<ErrorSample> errors = dim_errors<F>();
  errors.push_back(
      {{normal({2, 0})}, [](Arguments x) -> Results { return F(x[0], 1, false); }, "has no element to choose"});
  return errors;
}

template <Extreme (*F)(const Tensor&, int64_t, bool), int64_t dim, bool keepdim>
Results both_of(Arguments x) {
  const Extreme e = F(x[0], dim, keepdim);
  return Tensors{e.values, e.indices};
}
/// The extreme by a loop over the slices along dim.
template <auto better, int64_t dim, bool keepdim>
Results both_reference(Arguments x) {
  const int d = checked_dim("reference", dim, x[0].rank());
  Tensor value = narrow(x[0].detach(), d, 0, 1), index = zeros_like(to(value, int64));
  for (int64_t i = 1; i < x[0].size(d); ++i) {
    const Tensor next = narrow(x[0].detach(), d, i, 1), wins = better(next, value);
    value = where(wins, next, value), index = where(wins, full_like(index, i), index);
  }
  return keepdim ? Tensors{value, index} : Tensors{squeeze(value, d), squeeze(index, d)};
}
constexpr auto kGreater = [](const Tensor& a, const Tensor& b) { return a > b; };
constexpr auto kLess = [](const Tensor& a, const Tensor& b) { return a < b; };

template <Extreme (*F)(const Tensor&, int64_t, bool), Tensor (*All)(const Tensor&), auto better,
          double (*f)(double, double)>
std::vector<Sample> extreme_samples() {
  return {{{distinct({2, 3, 4})}, both_of<F, 1, false>, both_reference<better, 1, false>},
          {{distinct({2, 3, 4})}, both_of<F, -1, true>, both_reference<better, -1, true>},
          {{distinct({4, 3})}, both_of<F, 0, false>, both_reference<better, 0, false>},
          {{distinct({3, 1})}, both_of<F, 1, true>, both_reference<better, 1, true>},
          {{distinct({4, 3})},
           [](Arguments x) -> Results { return All(x[0]); },
           [](Arguments x) -> Results {
             return reduced_by(x[0], {0, 1}, false, x[0].data<double>()[0], f);
           }}};
}

template <Tensor (*F)(const Tensor&, int64_t, bool), Tensor (*All)(const Tensor&), auto better>
std::vector<Sample> place_samples() {
  return {{{distinct({2, 3, 4})},
           [](Arguments x) -> Results { return F(x[0], 1, false); },
           [](Arguments x) -> Results { return both_reference<better, 1, false>(x)[1]; }},
          {{values({2, 4}, {1, 3, 3, 0, -1, -2, -2, 5})},  // the first of several
           [](Arguments x) -> Results { return F(x[0], -1, true); },
           [](Arguments x) -> Results { return both_reference<better, -1, true>(x)[1]; }},
          {{distinct({3, 4})},
           [](Arguments x) -> Results { return All(x[0]); },
           [](Arguments x) -> Results {
             const Tensor flat = reshape(x[0], {-1});
             return both_reference<better, 0, false>(Arguments(&flat, 1))[1];
           }}};
}

InputSpec with_zeros(const Shape& shape) {
  std::vector<double> v(static_cast<size_t>(shape.product()));
  for (size_t i = 0; i < v.size(); ++i) v[i] = i % 5 == 1 || i % 7 == 0 ? 0 : 0.3 * static_cast<double>(i % 4) - 0.7;
  return values(shape, v);
}

template <Reducer F, double (*f)(double, double), int first>
std::vector<Sample> truth_samples() {
  return {{{booleans({2, 3, 4})},
           [](Arguments x) -> Results { return F(x[0], {}, false); },
           [](Arguments x) -> Results {
             return to(reduced_by(x[0], {0, 1, 2}, false, first, f), boolean);
           }},
          {{booleans({3, 4})},
           [](Arguments x) -> Results { return F(x[0], -1, true); },
           [](Arguments x) -> Results { return to(reduced_by(x[0], {1}, true, first, f), boolean); }},
          {{constant(with_zeros({2, 3, 4}))},
           [](Arguments x) -> Results {
             return F(x[0], {0, 2}, false);
           },
           [](Arguments x) -> Results {
             return to(reduced_by(x[0], {0, 2}, false, first, f), boolean);
           }}};
}

}  // namespace

COTANGENT_OP_TABLE(reduce) {
  std::vector<Sample> products = samples_of<prod, times, 1>(normal);
  for (const Sample& s : samples_of<prod, times, 1>(with_zeros)) products.push_back(s);
  return {
      {.name = "sum", .samples = samples_of<sum, plus, 0>(normal), .errors = dim_errors<sum>()},
      {.name = "mean",
       .samples = {{{normal({2, 3, 4})},
                    [](Arguments x) -> Results { return mean(x[0]); },
                    [](Arguments x) -> Results { return sum(x[0]) / 24; }},
                   {{normal({2, 3, 4})},
                    [](Arguments x) -> Results {
                      return mean(x[0], {0, -1}, true);
                    },
                    [](Arguments x) -> Results {
                      return sum(x[0], {0, 2}, true) / 8;
                    }},
                   {{normal({3, 1})},
                    [](Arguments x) -> Results { return mean(x[0], 1); },
                    [](Arguments x) -> Results { return reshape(x[0], {3}); }},
                   {{normal({})},
                    [](Arguments x) -> Results { return mean(x[0]); },
                    [](Arguments x) -> Results { return x[0]; }}},
       .errors = {{{integers({3}, 0, 5)}, [](Arguments x) -> Results { return mean(x[0]); }, "takes a floating tensor"},
                  {{normal({3})},
                   [](Arguments x) -> Results { return mean(x[0], 1); },
                   "dimension 1 is out of range"}}},
      {.name = "sum_to",
       .samples = {{{normal({2, 3, 4})},
                    [](Arguments x) -> Results {
                      return sum_to(x[0], {3, 1});
                    },
                    [](Arguments x) -> Results {
                      return reshape(reduced_by(x[0], {0, 2}, true, 0, plus), {3, 1});
                    }},
                   {{normal({4, 3})},
                    [](Arguments x) -> Results { return sum_to(x[0], {3}); },
                    [](Arguments x) -> Results { return reduced_by(x[0], {0}, false, 0, plus); }},
                   {{normal({2, 3})},
                    [](Arguments x) -> Results { return sum_to(x[0], {}); },
                    [](Arguments x) -> Results {
                      return reduced_by(x[0], {0, 1}, false, 0, plus);
                    }},
                   {{normal({2, 3})},
                    [](Arguments x) -> Results {
                      return sum_to(x[0], {2, 3});
                    },
                    [](Arguments x) -> Results { return x[0]; }}}},
      {.name = "prod", .samples = products, .errors = dim_errors<prod>()},
      {.name = "amax", .samples = samples_of<amax, larger, -1000>(distinct), .errors = extreme_errors<amax>()},
      {.name = "amin", .samples = samples_of<amin, smaller, 1000>(distinct), .errors = extreme_errors<amin>()},
      {.name = "max",
       .samples = extreme_samples<max, max, kGreater, larger>(),
       .errors = {{{normal({2, 0})}, both_of<max, 1, false>, "has no element to choose"},
                  {{normal({2, 3})}, both_of<max, 2, false>, "dimension 2 is out of range"}}},
      {.name = "min",
       .samples = extreme_samples<min, min, kLess, smaller>(),
       .errors = {{{normal({2, 0})}, both_of<min, 1, false>, "has no element to choose"}}},
      {.name = "argmax", .samples = place_samples<argmax, argmax, kGreater>(), .orders = 0},
      {.name = "argmin", .samples = place_samples<argmin, argmin, kLess>(), .orders = 0},
      {.name = "all", .samples = truth_samples<all, both, 1>(), .orders = 0},
      {.name = "any", .samples = truth_samples<any, either, 0>(), .orders = 0},
  };
}

}  // namespace cotangent
