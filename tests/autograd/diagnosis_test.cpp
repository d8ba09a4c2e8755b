// What the gradient checker says of a wrong gradient: how much, which elements, where.
#include <cotangent/tests/autograd/diagnosis_cases.hpp>

namespace cotangent::diagnosis_test {

TEST_CASE("a diagnosis names a sign or a factor") {
  check({
      {"minus", of_sizes({3, 4}, {10, 12}),
       [](const Tensors& x) {
         return bad_square(
             x, RULE { return {right(b) * -1}; });
       },
       "sign", "-1 times"},
      {"minus, of a symmetric matrix",
       {{ones({3, 3}, float64) + eye(3, 3, float64)}, {ones({9, 9}, float64) + eye(9, 9, float64)}},
       [](const Tensors& x) -> Tensors {
         return planted(
             x, without_history([&] { return sum(square(x[0])); }), RULE { return {right(b) * -1}; });
       },
       "sign",
       "-1 times"},
      {"twice", of_sizes({3, 5}, {10, 12}),
       [](const Tensors& x) {
         return bad_square(
             x, RULE { return {right(b) * 2}; });
       },
       "factor", "2 times the numeric gradient: counted twice?"},
      {"by the batch", of_sizes({7, 3}, {23, 5}),
       [](const Tensors& x) {
         return bad_square(
             x, RULE { return {right(b) * (1.0 / double(b.input(0).shape()[0]))}; });
       },
       "factor", "the size of dimension 0 of the input, the batch size?"},
      {"by the count", of_sizes({7, 3}, {23, 5}),
       [](const Tensors& x) -> Tensors {
         return planted(
             x, without_history([&] { return mean(square(x[0])); }), RULE { return {right(b)}; });
       },
       "factor", "the count of the elements of the input"},
      {"by the root of a size", of_sizes({4, 7}, {10, 11}),
       [](const Tensors& x) {
         return bad_square(
             x, RULE { return {right(b) * std::sqrt(double(b.input(0).shape()[1]))}; });
       },
       "factor", "the square root of the size"},
      {"as a dropout", of_sizes({4, 7}, {10, 11}),
       [](const Tensors& x) {
         return bad_square(
             x, RULE { return {right(b) * (1 / 0.7)}; });
       },
       "factor", "1 / (1 - 0.3)"},
      {"of a square of pixels", of_sizes({2, 7}, {10, 11}),
       [](const Tensors& x) {
         return bad_square(
             x, RULE { return {right(b) * 9}; });
       },
       "factor", "3^2"},
      {"nearly 1", of_sizes({3, 4}, {10, 12}),
       [](const Tensors& x) {
         return bad_square(
             x, RULE { return {right(b) * (1 + 4e-6)}; });
       },
       "factor", "the rule gives 1 + 4e-6 times the numeric gradient"},
      {"nearly 1, from below", of_sizes({3, 4}, {10, 12}),
       [](const Tensors& x) {
         return bad_square(
             x, RULE { return {right(b) * (1 - 4e-5)}; });
       },
       "factor", "the rule gives 1 - 4e-5 times"},
      {"one for each channel", of_sizes({4, 5}, {12, 9}),
       [](const Tensors& x) {
         return bad_square(
             x, RULE {
               return {right(b) *
                       ones_like_but(b.input(0), [](const Shape&, const Shape& i) { return 2 + 0.5 * double(i[1]); })};
             });
       },
       "factor", "for each index along dimension 1, 2 and 2.5 for the first two"},
  });
}

TEST_CASE("a diagnosis names another order of the elements") {
  check({
      {"exchanged", of_sizes({4, 4}, {11, 11}),
       [](const Tensors& x) {
         return bad_square(
             x, RULE { return {transpose(right(b), 0, 1)}; });
       },
       "layout", "with dimensions 0 and 1 exchanged"},
      {"exchanged and read as if not", of_sizes({3, 4}, {9, 12}),
       [](const Tensors& x) {
         return bad_square(
             x, RULE { return {reshape(transpose(right(b), 0, 1), b.input(0).shape())}; });
       },
       "layout", "with dimensions 0 and 1 exchanged"},
      {"the cotangent exchanged", of_sizes({4, 4}, {11, 11}),
       [](const Tensors& x) {
         return bad_square(
             x, RULE { return {transpose(b.grad(), 0, 1) * b.input(0) * 2}; });
       },
       "layout", "the rule reads the cotangent with dimensions 0 and 1 exchanged"},
      {"flipped", of_sizes({3, 4}, {9, 12}),
       [](const Tensors& x) {
         return bad_square(
             x, RULE { return {flip(right(b), 1)}; });
       },
       "layout", "flipped along dimension 1"},
      {"rolled", of_sizes({3, 5}, {9, 12}),
       [](const Tensors& x) {
         return bad_square(
             x, RULE {
               return {cat({narrow(right(b), 1, 2, right(b).shape()[1] - 2), narrow(right(b), 1, 0, 2)}, 1)};
             });
       },
       "layout", "along dimension 1"},
      {"channels of pixels", of_sizes({1, 8, 3}, {2, 12, 6}),
       [](const Tensors& x) {
         return bad_square(
             x, RULE {
               const Shape s = b.input(0).shape();
               return {reshape(transpose(reshape(right(b), {s[0], 4, s[1] / 4, s[2]}), 1, 2), s)};
             });
       },
       "layout", "as of channels c r^2"},
      {"another permutation", of_sizes({11}, {97}),
       [](const Tensors& x) {
         return bad_square(
             x, RULE {
               const int64_t n = b.input(0).numel();
               const Tensor at = empty({n}, int64);
               for (int64_t i = 0; i < n; ++i) at.data<int64_t>()[i] = 5 * i % n;
               return {index_select(right(b), 0, at)};
             });
       },
       "layout", "another permutation"},
  });
}

TEST_CASE("a diagnosis names a broadcast that is not undone") {
  const auto added = [](const Tensors& x) { return without_history([&] { return x[0] + square(x[1]); }); };
  static const auto add = added;
  const std::vector<Tensors> square_sizes{{sample({4, 4}), sample({4})}, {sample({70, 70}), sample({70})}};
  const std::vector<Tensors> sizes{{sample({3, 4}), sample({4})}, {sample({20, 70}), sample({70})}};
  check({
      {"over the wrong axis", square_sizes,
       [](const Tensors& x) {
         return planted(
             x, add(x), RULE {
               return {b.grad(), sum(b.grad(), 1) * b.input(1) * 2};
             });
       },
       "broadcast", "reduced over the wrong axis"},
      {"the first row alone", sizes,
       [](const Tensors& x) {
         return planted(
             x, add(x), RULE {
               return {b.grad(), b.grad()[0] * b.input(1) * 2};
             });
       },
       "broadcast", "at index 0 of dimension 0 of the output alone"},
      {"the mean", sizes,
       [](const Tensors& x) {
         return planted(
             x, add(x), RULE {
               return {b.grad(), mean(b.grad(), 0) * b.input(1) * 2};
             });
       },
       "broadcast", "the mean over the dimensions that the input is repeated"},
      {"the whole sum for each", sizes,
       [](const Tensors& x) {
         return planted(
             x, without_history([&] { return x[0] + x[1]; }), RULE {
               return {b.grad(), expand(sum(b.grad()), b.input(1).shape()) * 1};
             });
       },
       "broadcast", "the sum of the right gradient along dimension 0"},
      {"a shape that does not fit", sizes,
       [](const Tensors& x) {
         return planted(
             x, add(x), RULE {
               return {b.grad(), b.grad()};
             });
       },
       "broadcast", "its rule gives a gradient of float64"},
      {"spread along the wrong axis", of_sizes({4, 4}, {11, 11}),
       [](const Tensors& x) {
         return planted(
             x, without_history([&] { return sum(x[0], 0); }),
             RULE { return {expand(unsqueeze(b.grad(), 1), b.input(0).shape()) * 1}; });
       },
       "broadcast", "spread over the wrong axis"},
  });
}

TEST_CASE("a diagnosis names contributions that are left out") {
  const auto pairs = [](const Tensors& x) {
    const int64_t n = x[0].shape()[0];
    return without_history([&] { return narrow(x[0], 0, 0, n - 1) * narrow(x[0], 0, 1, n - 1); });
  };
  static const auto products = pairs;
  static const auto places = [](int64_t n) {
    const Tensor at = empty({2 * n}, int64);
    for (int64_t i = 0; i < 2 * n; ++i) at.data<int64_t>()[i] = i * i % n;
    return at;
  };
  check({
      {"the last write wins", of_sizes({5, 2}, {40, 2}),
       [](const Tensors& x) {
         return planted(
             x, without_history([&] { return index_select(x[0], 0, places(x[0].shape()[0])); }), RULE {
               const Tensor g = zeros(b.input(0).shape(), float64);
               const Tensor at = places(g.shape()[0]);
               for (int64_t i = 0; i < at.numel(); ++i)
                 for (int64_t k = 0; k < 2; ++k)
                   g.data<double>()[2 * at.data<int64_t>()[i] + k] = b.grad().contiguous().data<double>()[2 * i + k];
               return {g};
             });
       },
       "accumulation", "the last one alone counts"},
      {"the right neighbour's share", of_sizes({6}, {80}),
       [](const Tensors& x) {
         return planted(
             x, products(x), RULE {
               const int64_t n = b.input(0).shape()[0];
               return {cat({b.grad() * narrow(b.input(0), 0, 1, n - 1), zeros({1}, float64)}, 0)};
             });
       },
       "accumulation", "leaves"},
      {"one of two outputs", of_sizes({6}, {80}),
       [](const Tensors& x) -> Tensors {
         return {square(x[0]), square(x[0].detach()) + x[0].detach()};
       },
       "accumulation", "what comes from output 1 is left out"},
  });
}

TEST_CASE("a diagnosis names a term that is missing") {
  check({
      {"softmax without the sum", of_sizes({3, 4}, {10, 12}),
       [](const Tensors& x) {
         return planted(
             x, without_history([&] { return softmax(x[0], 1); }), RULE { return {b.grad() * b.output()}; });
       },
       "missing term", "a sum or mean along dimension 1"},
      {"centring without the mean", of_sizes({3, 4}, {10, 12}),
       [](const Tensors& x) {
         return planted(
             x, without_history([&] { return x[0] - mean(x[0], 1, true); }), RULE { return {b.grad() * 1}; });
       },
       "missing term", "all along dimension 1"},
      {"a constant", of_sizes({3, 4}, {10, 12}),
       [](const Tensors& x) {
         return planted(
             x, without_history([&] { return square(x[0]) + sum(x[0]); }), RULE { return {right(b)}; });
       },
       "missing term", "is missing in every element"},
      {"a constant times the cotangent", of_sizes({3, 4}, {10, 12}),
       [](const Tensors& x) {
         return planted(
             x, without_history([&] { return square(x[0]) + x[0] * 3; }), RULE { return {right(b)}; });
       },
       "missing term", "the cotangent times the constant 3"},
      {"a factor x", of_sizes({3, 4}, {10, 12}),
       [](const Tensors& x) {
         return planted(
             x, without_history([&] { return square(x[0]) * x[0]; }), RULE { return {b.grad() * b.input(0) * 3}; });
       },
       "missing term", "times the numeric gradient times 1 / x"},
  });
}

TEST_CASE("a diagnosis names where a gradient is wrong") {
  check({
      {"a border", of_sizes({4, 5}, {12, 13}),
       [](const Tensors& x) {
         return bad_square(
             x, RULE {
               return {right(b) * ones_like_but(b.input(0), [](const Shape& s, const Shape& i) {
                         return i[0] == 0 || i[1] == 0 || i[0] == s[0] - 1 || i[1] == s[1] - 1 ? 0.5 : 1.0;
                       })};
             });
       },
       "only where", "at the borders, 1 wide, along dimension 0, 1"},
      {"a phase", of_sizes({4, 7}, {12, 13}),
       [](const Tensors& x) {
         return bad_square(
             x, RULE {
               return {right(b) * ones_like_but(b.input(0), [](const Shape&, const Shape& i) {
                         return i[1] % 3 == 1 ? 0.0 : 1.0;
                       })};
             });
       },
       "only where", "is 1 modulo 3"},
      {"a column", of_sizes({4, 7}, {12, 13}),
       [](const Tensors& x) {
         return bad_square(
             x, RULE {
               return {right(b) *
                       ones_like_but(b.input(0), [](const Shape&, const Shape& i) { return i[1] == 2 ? -1.0 : 1.0; })};
             });
       },
       "only where", "at index 2 along dimension 1"},
      {"a column with its sign, 1e-3 beside 1e4",
       {{sample({4, 5}) *
         ones_like_but(sample({4, 5}), [](const Shape&, const Shape& i) { return i[1] == 2 ? 1e-3 : 1e4; })},
        {sample({12, 9}) *
         ones_like_but(sample({12, 9}), [](const Shape&, const Shape& i) { return i[1] == 2 ? 1e-3 : 1e4; })}},
       [](const Tensors& x) {
         return bad_square(
             x, RULE {
               return {right(b) *
                       ones_like_but(b.input(0), [](const Shape&, const Shape& i) { return i[1] == 2 ? -1.0 : 1.0; })};
             });
       },
       "only where",
       "at index 2 along dimension 1"},
      {"negative ones", of_sizes({4, 7}, {12, 13}),
       [](const Tensors& x) {
         return planted(
             x, without_history([&] { return leaky_relu(x[0], 0.2); }), RULE { return {b.grad() * (b.input(0) > 0)}; });
       },
       "only where", "where the element is below 0"},
      {"above the diagonal", of_sizes({4, 4}, {12, 12}),
       [](const Tensors& x) {
         return bad_square(
             x, RULE {
               return {right(b) *
                       ones_like_but(b.input(0), [](const Shape&, const Shape& i) { return i[0] < i[1] ? 0.0 : 1.0; })};
             });
       },
       "only where", "less than"},
      {"one element", of_sizes({4, 4}, {12, 12}),
       [](const Tensors& x) {
         return bad_square(
             x, RULE {
               return {right(b) * ones_like_but(b.input(0), [](const Shape&, const Shape& i) {
                         return i[0] == 1 && i[1] == 3 ? 1.01 : 1.0;
                       })};
             });
       },
       "only where", "(1, 3)"},
  });
}

}  // namespace cotangent::diagnosis_test
