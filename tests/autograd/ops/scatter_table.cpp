// The op table of autograd/ops/scatter.hpp.
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/scatter.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tests/autograd/op_info.hpp>

namespace cotangent {
namespace {

/// What a place (a scalar view) becomes by one more value.
using Meet = void (*)(Tensor place, const Tensor& value);

void set(Tensor place, const Tensor& value) { place.copy_(value); }

/// For matrices, element by element in the order of the loops; without `include_self` the first that arrives stays as
/// it is.
Tensor met(const Tensor& x, int dim, const Tensor& index, const Tensor& src, Meet meet, bool include_self = true) {
  const Tensor y = clone(x), seen = full(x.shape(), include_self, boolean);
  for (int64_t i = 0; i < index.size(0); ++i)
    for (int64_t j = 0; j < index.size(1); ++j) {
      const int64_t k = index[i][j].item<int64_t>();
      Tensor before = dim == 0 ? seen[k][j] : seen[i][k];
      (before.item<bool>() ? meet : &set)(dim == 0 ? y[k][j] : y[i][k], src[i][j]);
      before.fill_(true);
    }
  return y;
}
void add_to(Tensor place, const Tensor& value) { place.add_(value); }
void multiply(Tensor place, const Tensor& value) { place.mul_(value); }
void raise(Tensor place, const Tensor& value) { place.copy_(maximum(place, value)); }
void lower(Tensor place, const Tensor& value) { place.copy_(minimum(place, value)); }

template <ScatterReduce reduce, bool include_self, int dim>
Results reduced(Arguments x) {
  return scatter_reduce(x[0], dim, x[1], x[2], reduce, include_self);
}
template <Meet meet, bool include_self, int dim>
Results by_loops(Arguments x) {
  return met(x[0], dim, x[1], x[2], meet, include_self);
}
template <bool include_self>
Results mean_by_loops(Arguments x) {
  const Tensor sum = met(x[0], 1, x[1], x[2], add_to, include_self);
  const Tensor count =
      met(full(x[0].shape(), 1, x[0].dtype()), 1, x[1], ones(x[1].shape(), x[0].dtype()), add_to, include_self);
  return sum / count;
}

template <ScatterReduce reduce, Meet meet>
std::vector<Sample> samples() {
  // several at one place, none at others, the index smaller than src and x; no two values alike
  const InputSpec rows = values({2, 4}, {3, 0, 3, 3, 1, 1, 0, 1}, int64),
                  columns = values({4, 2}, {2, 0, 1, 0, 2, 0, 2, 0}, int64),
                  x = values({2, 4}, {.5, -1.5, 1, 2, -1, .25, 1.75, -.75}),
                  src = values({2, 4}, {-.6, 1.4, 2.3, -1.2, .9, -.4, 1.1, .35}),
                  tall = values({5, 2}, {1.6, -.7, .45, 1.3, -2.1, .8, -.3, 1.9, 1, 1}),
                  square = values({3, 3}, {1, -.5, .75, 2, -1.25, .15, -.9, 1.5, .6});
  return {{{x, rows, src}, reduced<reduce, true, 1>, by_loops<meet, true, 1>},
          {{x, rows, src}, reduced<reduce, false, 1>, by_loops<meet, false, 1>},
          {{square, columns, tall}, reduced<reduce, true, 0>, by_loops<meet, true, 0>},
          {{square, columns, tall}, reduced<reduce, false, 0>, by_loops<meet, false, 0>}};
}

std::vector<Sample> reductions() {
  std::vector<Sample> all;
  const auto add = [&](std::vector<Sample> some) { all.insert(all.end(), some.begin(), some.end()); };
  add(samples<ScatterReduce::sum, add_to>());
  add(samples<ScatterReduce::prod, multiply>());
  add(samples<ScatterReduce::amax, raise>());
  add(samples<ScatterReduce::amin, lower>());
  const InputSpec rows = values({2, 4}, {3, 0, 3, 3, 1, 1, 0, 1}, int64);
  all.push_back({{normal({2, 4}), rows, normal({2, 4})}, reduced<ScatterReduce::mean, true, 1>, mean_by_loops<true>});
  all.push_back({{normal({2, 4}), rows, normal({2, 4})}, reduced<ScatterReduce::mean, false, 1>, mean_by_loops<false>});
  // zeros: one at place 3, two at place 1, one of them x's own
  all.push_back({{values({2, 4}, {1, 2, 3, 4, 5, 0, 7, 8}), rows, values({2, 4}, {2, 3, 0, 5, 2, 0, 3, 4})},
                 reduced<ScatterReduce::prod, true, 1>,
                 by_loops<multiply, true, 1>});
  all.push_back({{normal({}), values({}, {0}, int64), normal({})},
                 reduced<ScatterReduce::prod, true, 0>,
                 [](Arguments x) -> Results { return x[0] * x[2]; }});
  return all;
}

}  // namespace

COTANGENT_OP_TABLE(scatter) {
  return {{.name = "scatter",
           .samples = {{{normal({2, 4}), values({2, 3}, {3, 0, 3, 1, 2, 0}, int64), normal({2, 3})},
                        [](Arguments x) -> Results { return scatter(x[0], 1, x[1], x[2]); },
                        [](Arguments x) -> Results { return met(x[0], 1, x[1], x[2], set); }},
                       {{normal({3, 2}), values({4, 2}, {2, 0, 1, 2, 2, 0, 2, 2}, int64), normal({5, 3})},
                        [](Arguments x) -> Results { return scatter(x[0], 0, x[1], x[2]); },
                        [](Arguments x) -> Results { return met(x[0], 0, x[1], x[2], set); }},
                       {{normal({2, 3}), values({2, 2}, {2, 0, 1, 1}, int32)},
                        [](Arguments x) -> Results { return scatter(x[0], -1, x[1], -2.5); },
                        [](Arguments x) -> Results {
                          return met(x[0], 1, x[1], full({2, 2}, -2.5, x[0].dtype()), set);
                        }},
                       {{normal({}), values({}, {0}, int64), normal({})},
                        [](Arguments x) -> Results { return scatter(x[0], 0, x[1], x[2]); },
                        [](Arguments x) -> Results { return x[2] * 1; }}},
           .errors = {{{normal({3, 4}), integers({3, 2}, 0, 2), normal({2, 2})},
                       [](Arguments x) -> Results { return scatter(x[0], 1, x[1], x[2]); },
                       "[scatter] the index has shape (3, 2) for src (2, 2); it must be at most as large"},
                      {{normal({2}), values({1}, {2}, int64), normal({1})},
                       [](Arguments x) -> Results { return scatter(x[0], 0, x[1], x[2]); },
                       "[scatter] index 2, at position 0 of the index, is out of range"},
                      {{integers({2}, 0, 3), values({1}, {1}, int64)},
                       [](Arguments x) -> Results { return scatter(x[0], 0, x[1], 0.5); },
                       "[scatter] "}},
           .recorded_as = {"scatter", "slice", "expand"}},
          {.name = "scatter_reduce",
           .samples = reductions(),
           .errors = {{{booleans({2}), values({1}, {1}, int64), booleans({1})},
                       [](Arguments x) -> Results { return scatter_reduce(x[0], 0, x[1], x[2], ScatterReduce::amax); },
                       "[scatter_reduce] x is bool"},
                      {{normal({2}), values({1}, {1}, int64), integers({1}, 0, 2)},
                       [](Arguments x) -> Results { return scatter_reduce(x[0], 0, x[1], x[2], ScatterReduce::sum); },
                       "[scatter_reduce] x is float64 and src int64"}},
           .recorded_as = {"scatter_reduce", "scatter", "scatter_add", "slice", "div"}}};
}

}  // namespace cotangent
