#include <cotangent/autograd/ops/reduce.hpp>

#include <algorithm>
#include <cmath>

#include <cotangent/autograd/op_info.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/index.hpp>
#include <cotangent/autograd/ops/index_internal.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/reduce_internal.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/autograd/record.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/reduce.hpp>
#include <cotangent/tensor/views.hpp>

namespace cotangent {

DimList::operator std::span<const int64_t>() const { return {dims_.begin(), dims_.size()}; }

namespace detail {

Tensor finish_reduction(const Tensor& y, uint32_t dims, bool keepdim) {
  if (keepdim) return y;
  Shape shape;
  for (int d = 0; d < y.rank(); ++d)
    if (!(dims >> d & 1u)) shape.push_back(y.shape()[d]);
  return reshape(y, shape);
}

Dims listed(uint32_t dims, int rank) {
  Dims list;
  for (int d = 0; d < std::max(rank, 1); ++d)
    if (dims >> d & 1u) list.push_back(d);
  return list;
}

}  // namespace detail

using detail::finish_reduction;

Tensor sum(const Tensor& x, const DimList& dims, bool keepdim) {
  const uint32_t mask = checked_dims("sum", dims, x.rank());
  const Tensor y = record("sum", {x}, raw::sum("sum", x, mask), Keep::nothing(), NoAttributes{},
                          [](const Backward& b, NoAttributes) -> Gradients { return {expand(b.grad(), b.shape(0))}; });
  return finish_reduction(y, mask, keepdim);
}

Tensor mean(const Tensor& x, const DimList& dims, bool keepdim) {
  if (!x.is_floating())
    fail<DTypeError>("[mean] takes a floating tensor, got {}; convert it with to(float32)", x.dtype());
  const uint32_t mask = checked_dims("mean", dims, x.rank());
  const double n = static_cast<double>(raw::reduced_count(x.shape(), mask));
  const Tensor y =
      record("mean", {x}, raw::mean("mean", x, mask), Keep::nothing(), n,
             [](const Backward& b, double count) -> Gradients { return {expand(b.grad() / count, b.shape(0))}; });
  return finish_reduction(y, mask, keepdim);
}

Tensor sum_to(const Tensor& x, const Shape& shape) {
  if (x.shape() == shape) return x;
  const int skip = x.rank() - shape.rank();
  Dims dims;
  for (int d = 0; d < x.rank(); ++d)
    if (d < skip || (shape[d - skip] == 1 && x.shape()[d] != 1)) dims.push_back(d);
  const Tensor y = dims.empty() ? x : sum(x, dims, true);
  return reshape(y, shape);
}

// ---- product ----

namespace {

// For each element the product of the others along `dim`, from those before and those after it.
Tensor product_of_others(const Tensor& x, int dim) {
  const int64_t n = x.shape()[dim];
  Tensors y;
  Tensor before = ones_like(narrow(x, dim, 0, 1)), after = before;
  for (int64_t i = 0; i < n; ++i) {
    y.push_back(before);
    before = before * narrow(x, dim, i, 1);
  }
  for (int64_t i = n - 1; i >= 0; --i) {
    y[static_cast<size_t>(i)] = y[static_cast<size_t>(i)] * after;
    after = after * narrow(x, dim, i, 1);
  }
  return cat(y, dim);
}

// The same without history: y / x, except where there are zeros.
Tensor product_of_others_now(const Tensor& x, const Tensor& y, int dim) {
  const Tensor zero = x == 0;
  if (!any(zero).item<bool>()) return y / x;
  const Tensor zeros = sum(zero, dim, true), filled = masked_fill(x, zero, 1), rest = prod(filled, dim, true);
  return where(zero, masked_fill(rest, zeros > 1, 0), masked_fill(rest, zeros > 0, 0) / filled);
}

Tensor prod_along(const Tensor& x, int dim) {
  return record("prod", {x}, raw::prod("prod", x, 1u << dim), Keep::input(0) | Keep::output(), dim,
                [](const Backward& b, int d) -> Gradients {
                  const Tensor& v = b.input(0);
                  if (v.numel() == 0 || v.rank() == 0) return {expand(b.grad(), b.shape(0))};
                  if (b.creates_graph()) return {b.grad() * product_of_others(v, d)};
                  return {b.grad() * product_of_others_now(v, b.output(), d)};
                });
}

}  // namespace

Tensor prod(const Tensor& x, const DimList& dims, bool keepdim) {
  const uint32_t mask = checked_dims("prod", dims, x.rank());
  const Dims reduced = detail::listed(mask, x.rank());
  if (reduced.size() == 1) return finish_reduction(prod_along(x, static_cast<int>(reduced[0])), mask, keepdim);
  // several dimensions become one
  Dims order = detail::listed(~mask & ((1u << x.rank()) - 1), x.rank());
  Shape shape;
  for (int64_t d : order) shape.push_back(x.size(d));
  const int last = shape.rank();
  for (int64_t d : reduced) order.push_back(d);
  shape.push_back(raw::reduced_count(x.shape(), mask));
  const Tensor y = prod_along(reshape(permute(x, order), shape), last);
  shape = x.shape();
  for (int64_t d : reduced) shape[static_cast<int>(d)] = 1;
  return finish_reduction(reshape(y, shape), mask, keepdim);
}

// ---- extremes ----

namespace {

// Equal shares for all elements that are as large.
Gradients shared_out(const Backward& b, uint32_t mask) {
  const Tensor& x = b.input(0);
  const Tensor chosen = to(x == b.output(), x.dtype());
  return {chosen * (b.grad() / sum(chosen, detail::listed(mask, x.rank()), true))};
}

Extreme with_indices(const char* op, const Tensor& x, raw::ValuesAndIndices r, int dim, bool keepdim) {
  struct Place {
    Tensor indices;
    int dim;
  };
  const Tensor values = record(op, {x}, std::move(r.values), Keep::nothing(), Place{r.indices, dim},
                               [](const Backward& b, const Place& p) -> Gradients {
                                 if (b.shape(0).rank() == 0) return {b.grad()};
                                 return {detail::scatter_sum(b.grad(), b.shape(0), p.dim, p.indices)};
                               });
  return {finish_reduction(values, 1u << dim, keepdim), finish_reduction(r.indices, 1u << dim, keepdim)};
}

}  // namespace

Tensor amax(const Tensor& x, const DimList& dims, bool keepdim) {
  const uint32_t mask = checked_dims("amax", dims, x.rank());
  const Tensor y = record("amax", {x}, raw::amax("amax", x, mask), Keep::input(0) | Keep::output(), mask,
                          [](const Backward& b, uint32_t m) { return shared_out(b, m); });
  return finish_reduction(y, mask, keepdim);
}

Tensor amin(const Tensor& x, const DimList& dims, bool keepdim) {
  const uint32_t mask = checked_dims("amin", dims, x.rank());
  const Tensor y = record("amin", {x}, raw::amin("amin", x, mask), Keep::input(0) | Keep::output(), mask,
                          [](const Backward& b, uint32_t m) { return shared_out(b, m); });
  return finish_reduction(y, mask, keepdim);
}

Extreme max(const Tensor& x, int64_t dim, bool keepdim) {
  const int d = checked_dim("max", dim, x.rank());
  return with_indices("max", x, raw::max_along("max", x, d), d, keepdim);
}
Extreme min(const Tensor& x, int64_t dim, bool keepdim) {
  const int d = checked_dim("min", dim, x.rank());
  return with_indices("min", x, raw::min_along("min", x, d), d, keepdim);
}
Tensor max(const Tensor& x) { return amax(x); }
Tensor min(const Tensor& x) { return amin(x); }

Tensor argmax(const Tensor& x, int64_t dim, bool keepdim) {
  const int d = checked_dim("argmax", dim, x.rank());
  return finish_reduction(raw::max_along("argmax", x, d).indices, 1u << d, keepdim);
}
Tensor argmin(const Tensor& x, int64_t dim, bool keepdim) {
  const int d = checked_dim("argmin", dim, x.rank());
  return finish_reduction(raw::min_along("argmin", x, d).indices, 1u << d, keepdim);
}
Tensor argmax(const Tensor& x) {
  return finish_reduction(raw::max_along("argmax", raw::reshape("argmax", x, {x.numel()}), 0).indices, 1, false);
}
Tensor argmin(const Tensor& x) {
  return finish_reduction(raw::min_along("argmin", raw::reshape("argmin", x, {x.numel()}), 0).indices, 1, false);
}

// ---- truth ----

Tensor all(const Tensor& x, const DimList& dims, bool keepdim) {
  const uint32_t mask = checked_dims("all", dims, x.rank());
  return finish_reduction(raw::all("all", x, mask), mask, keepdim);
}
Tensor any(const Tensor& x, const DimList& dims, bool keepdim) {
  const uint32_t mask = checked_dims("any", dims, x.rank());
  return finish_reduction(raw::any("any", x, mask), mask, keepdim);
}

Tensor Tensor::sum() const { return cotangent::sum(*this); }
Tensor Tensor::mean() const { return cotangent::mean(*this); }

// ---- op table ----

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
