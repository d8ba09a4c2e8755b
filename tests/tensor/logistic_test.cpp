#include <cotangent/tensor/logistic.hpp>

#include <cmath>

#include <catch2/catch.hpp>
#include <cotangent/tensor/random.hpp>
#include <cotangent/tests/values.hpp>

using namespace cotangent;
using Catch::Contains;

namespace {

/// The formulas of the header, in double precision.
double naive(std::vector<double>& in, std::vector<double>& out, int64_t width, const raw::LogisticExamples& e) {
  double total = 0;
  for (size_t i = 0; i < e.rates.size(); ++i) {
    const auto first = [&](const std::vector<int64_t>& ends) { return i > 0 ? ends[i - 1] : 0; };
    const std::vector<double> before_in = in, before_out = out;
    const auto inputs = static_cast<double>(e.input_ends[i] - first(e.input_ends));
    std::vector<double> h(static_cast<size_t>(width), 0);
    const auto at = [&](int64_t row, int64_t k) { return static_cast<size_t>(row * width + k); };
    for (int64_t j = first(e.input_ends); j < e.input_ends[i]; ++j)
      for (int64_t k = 0; k < width; ++k)
        h[static_cast<size_t>(k)] += before_in[at(e.inputs[static_cast<size_t>(j)], k)] / inputs;
    for (auto j = static_cast<size_t>(first(e.output_ends)); j < static_cast<size_t>(e.output_ends[i]); ++j) {
      double z = e.offsets.empty() ? 0 : -e.offsets[j];
      for (int64_t k = 0; k < width; ++k) z += before_out[at(e.outputs[j], k)] * h[static_cast<size_t>(k)];
      z *= e.signs[j];
      if (i % 16 == 0) total += std::log1p(std::exp(-z));
      const double g = e.rates[i] * e.signs[j] / (1 + std::exp(z));
      for (int64_t k = 0; k < width; ++k) {
        out[at(e.outputs[j], k)] += g * h[static_cast<size_t>(k)];
        for (int64_t m = first(e.input_ends); m < e.input_ends[i]; ++m)
          in[at(e.inputs[static_cast<size_t>(m)], k)] += g * before_out[at(e.outputs[j], k)] / inputs;
      }
    }
  }
  return total / std::ceil(static_cast<double>(e.rates.size()) / 16);
}

}  // namespace

TEST_CASE("logistic_steps: what a loop gives") {
  for (const int64_t width : {1, 3, 16, 37})
    for (const Dtype dtype : {float32, float64})
      for (const bool offsets : {false, true}) {
        Generator generator(static_cast<uint64_t>(width));
        raw::LogisticExamples e;
        const auto draw = [&](int64_t end) { return randint(0, end, {1}, int64, generator).item<int64_t>(); };
        for (int i = 0; i < 40; ++i) {  // of few rows, so that many come twice
          for (int64_t j = draw(3); j >= 0; --j) e.inputs.push_back(draw(5));
          for (int64_t j = draw(5); j > 0; --j) {
            e.outputs.push_back(draw(4));
            e.signs.push_back(draw(2) == 0 ? -1 : 1);
            if (offsets) e.offsets.push_back(0.1 * static_cast<double>(draw(20)) - 1);
          }
          e.input_ends.push_back(static_cast<int64_t>(e.inputs.size()));
          e.output_ends.push_back(static_cast<int64_t>(e.outputs.size()));
          e.rates.push_back(0.01 * static_cast<double>(i % 7));
        }
        const Tensor in = randn({5, width}, dtype, generator), out = randn({4, width}, dtype, generator);
        Values own_in = to_values(in), own_out = to_values(out);
        const double expected = naive(own_in, own_out, width, e);
        const double tolerance = dtype == float64 ? 1e-12 : 1e-4;
        CHECK(raw::logistic_steps(in, out, e) == Approx(expected).epsilon(tolerance));
        CHECK(close(in.to(float64), from_vector(own_in, {5, width}), tolerance));
        CHECK(close(out.to(float64), from_vector(own_out, {4, width}), tolerance));
      }
}

TEST_CASE("logistic_steps: far scores, and what it cannot take") {
  raw::LogisticExamples e{{0}, {1}, {0, 0}, {2}, {1, -1}, {}, {1}};
  const Tensor in = full({1, 1}, 1e4), out = ones({1, 1});
  CHECK(raw::logistic_steps(in, out, e) == Approx(1e4));  // right, and wrong by as much
  CHECK(out.item() == Approx(1 - 1e4));
  CHECK(in.item() == Approx(1e4 - 1));

  CHECK(raw::logistic_steps(in, out, {}) == 0);
  e.inputs = {1};
  CHECK_THAT(error_of([&] { raw::logistic_steps(in, out, e); }), Contains("row 1 of a table of 1"));
  e.input_ends = {0};
  CHECK_THAT(error_of([&] { raw::logistic_steps(ones({2, 1}), out, e); }), Contains("example 0 has no inputs"));
  CHECK_THAT(error_of([&] { raw::logistic_steps(in, ones({1, 2}), {}); }), Contains("rows of one width"));
  CHECK_THAT(error_of([&] { raw::logistic_steps(in, ones({1, 1}, float64), {}); }), Contains("rows of one width"));
  e.inputs = {0}, e.input_ends = {1};
  CHECK_THAT(error_of([&] { raw::logistic_steps(in.to(float16), out.to(float16), e); }),
             Contains("takes float32 or float64"));
}
