#include <cotangent/tensor/random.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <thread>

#include <catch2/catch.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/kernels/kernels.hpp>
#include <cotangent/tensor/parallel.hpp>

using namespace cotangent;

namespace {

// Philox 4x32-10 as in the paper, for any counter.
std::array<uint32_t, 4> philox(std::array<uint32_t, 4> c, std::array<uint32_t, 2> k) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53u} * c[0], p1 = uint64_t{0xCD9E8D57u} * c[2];
    c = {uint32_t(p1 >> 32) ^ c[1] ^ k[0], uint32_t(p1), uint32_t(p0 >> 32) ^ c[3] ^ k[1], uint32_t(p0)};
    k = {k[0] + 0x9E3779B9u, k[1] + 0xBB67AE85u};
  }
  return c;
}

double mean_of(const std::vector<double>& v) { return std::accumulate(v.begin(), v.end(), 0.0) / double(v.size()); }
double variance_of(const std::vector<double>& v) {
  const double m = mean_of(v);
  double sum = 0;
  for (double x : v) sum += (x - m) * (x - m);
  return sum / double(v.size());
}

}  // namespace

TEST_CASE("Philox gives the words published with it") {
  // the known answers of the Random123 library
  CHECK(philox({0, 0, 0, 0}, {0, 0}) == std::array<uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}) ==
        std::array<uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        std::array<uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});

  const uint64_t seed = 0x299f31d0a4093822u, first = 0xfffffff0u;  // the counter carries into its second word
  uint32_t words[4 * 100];
  kernels::kernels().random.philox(seed, first, 100, words);
  for (uint64_t b = 0; b < 100; ++b) {
    const uint64_t block = first + b;
    const auto expected =
        philox({uint32_t(block), uint32_t(block >> 32), 0, 0}, {uint32_t(seed), uint32_t(seed >> 32)});
    for (size_t i = 0; i < 4; ++i) CHECK(words[4 * b + i] == expected[i]);
  }
}

TEST_CASE("a generator resumes where its state was taken") {
  Generator g(5);
  const auto first = randn({1000}, float32, g).to_vector<float>();
  const Generator::State state = g.state();
  const auto second = randn({1000}, float32, g).to_vector<float>();
  Generator resumed(state);
  CHECK(randn({1000}, float32, resumed).to_vector<float>() == second);
  CHECK(resumed.state() == g.state());
  g.manual_seed(5);
  CHECK(randn({1000}, float32, g).to_vector<float>() == first);
  CHECK(first != second);
  manual_seed(5);
  CHECK(randn({1000}).to_vector<float>() == first);
  CHECK(default_generator().seed() == 5);
}

TEST_CASE("random numbers do not depend on the threads, nor on how many are drawn", "[threads]") {
  const int threads = num_threads();
  const Dtype dtype = GENERATE(float32, float64, bfloat16, float16);
  auto draw = [&](Tensor (*make)(const Shape&, Dtype, Generator&), int64_t n) {
    Generator g(3);
    return make({n}, dtype, g).to_vector<double>();
  };
  for (auto make : {rand, randn}) {
    set_num_threads(1);
    const auto one = draw(make, 100'003);
    set_num_threads(3);
    CHECK(draw(make, 100'003) == one);
    auto few = draw(make, 37);
    CHECK(std::equal(few.begin(), few.end(), one.begin()));
  }
  set_num_threads(threads);
}

TEST_CASE("rand is uniform in [0, 1) and made of the words in order") {
  Generator g(11);
  const auto v = rand({200'000}, float64, g).to_vector<double>();
  CHECK(*std::min_element(v.begin(), v.end()) >= 0);
  CHECK(*std::max_element(v.begin(), v.end()) < 1);
  CHECK(mean_of(v) == Approx(0.5).margin(0.004));
  CHECK(variance_of(v) == Approx(1.0 / 12).margin(0.002));
  const auto words = philox({0, 0, 0, 0}, {11, 0});
  CHECK(v[1] == (double(words[3] >> 6) + double(words[2] >> 5) * 0x1p-27) * 0x1p-26);
}

TEST_CASE("uniform stays below its upper bound in every dtype") {
  const Dtype dtype = GENERATE(float32, float64, bfloat16, float16);
  Generator g(1);
  const auto v = uniform({20'000}, -3, 2, dtype, g).to_vector<double>();
  CHECK(*std::min_element(v.begin(), v.end()) >= -3);
  CHECK(*std::max_element(v.begin(), v.end()) < 2);
  CHECK(mean_of(v) == Approx(-0.5).margin(0.05));
  const auto around_zero = uniform({20'000}, -1, 0, dtype, g).to_vector<double>();
  CHECK(*std::max_element(around_zero.begin(), around_zero.end()) < 0);
  const auto narrow = uniform({20'000}, 1, 1.0078125, dtype, g).to_vector<double>();  // two neighbours in bfloat16
  CHECK(*std::max_element(narrow.begin(), narrow.end()) < 1.0078125);
  for (double x : uniform({100}, 4, 4, dtype, g).to_vector<double>()) CHECK(x == 4);
}

TEST_CASE("randn is normal") {
  const Dtype dtype = GENERATE(float32, float64);
  Generator g(2);
  auto v = randn({400'000}, dtype, g).to_vector<double>();
  CHECK(mean_of(v) == Approx(0).margin(0.008));
  CHECK(variance_of(v) == Approx(1).margin(0.01));
  double fourth = 0, pairs = 0;
  for (double x : v) fourth += x * x * x * x;
  for (size_t i = 0; i + 1 < v.size(); i += 2) pairs += v[i] * v[i + 1];
  CHECK(fourth / double(v.size()) == Approx(3).margin(0.06));
  CHECK(pairs / double(v.size() / 2) == Approx(0).margin(0.01));
  std::sort(v.begin(), v.end());  // Kolmogorov and Smirnov's distance to the normal distribution
  double distance = 0;
  for (size_t i = 0; i < v.size(); ++i)
    distance =
        std::max(distance, std::fabs(double(i + 1) / double(v.size()) - 0.5 * std::erfc(-v[i] / std::sqrt(2.0))));
  CHECK(distance < 1.95 / std::sqrt(double(v.size())));
}

TEST_CASE("normal_ and uniform_ fill in place, also a part") {
  Generator g(4), same(4);
  const Tensor x = full({4, 6}, 9, float64);
  const Tensor part = x.slice(1, 1, 3);
  const uint32_t version = x.version();
  normal_(part, 10, 0.5, g);
  CHECK(x.version() > version);
  const auto expected = randn({4, 2}, float64, same).to_vector<double>();
  for (int64_t i = 0; i < 4; ++i)
    for (int64_t j = 0; j < 6; ++j)
      CHECK(x[i][j].item() == Approx(j == 1 || j == 2 ? 10 + 0.5 * expected[size_t(2 * i + j - 1)] : 9));
  uniform_(x, 2, 3, g);
  for (double v : x.to_vector<double>()) CHECK((v >= 2 && v < 3));
  Tensor leaf = zeros({3});
  leaf.requires_grad_();
  normal_(leaf, 0, 1, g);
  CHECK(leaf.is_leaf());
}

TEST_CASE("randint covers its range evenly") {
  Generator g(6);
  std::vector<int> counts(7);
  for (int64_t v : randint(-3, 4, {70'000}, int64, g).to_vector<int64_t>()) ++counts.at(size_t(v + 3));
  for (int c : counts) CHECK(c == Approx(10'000).margin(500));
  CHECK(randint(0, 256, {50}, uint8, g).dtype() == uint8);
  const int64_t low = std::numeric_limits<int64_t>::min(), high = std::numeric_limits<int64_t>::max();
  const auto wide = randint(low, high, {1000}, int64, g).to_vector<int64_t>();
  CHECK(*std::min_element(wide.begin(), wide.end()) < low / 2);
  CHECK(*std::max_element(wide.begin(), wide.end()) > high / 2);
}

TEST_CASE("randperm permutes, each order as often") {
  Generator g(8);
  std::vector<int> counts(27);
  for (int i = 0; i < 6000; ++i) {
    const auto p = randperm(3, int64, g).to_vector<int64_t>();
    REQUIRE(std::is_permutation(p.begin(), p.end(), std::vector<int64_t>{0, 1, 2}.begin()));
    ++counts[size_t(9 * p[0] + 3 * p[1] + p[2])];
  }
  for (int c : counts)
    if (c) CHECK(c == Approx(1000).margin(130));
  CHECK(std::count(counts.begin(), counts.end(), 0) == 21);
  auto large = randperm(5000, int32, g).to_vector<int32_t>();
  std::sort(large.begin(), large.end());
  for (int32_t i = 0; i < 5000; ++i) CHECK(large[size_t(i)] == i);
  CHECK(randperm(0, int64, g).numel() == 0);
}

TEST_CASE("bernoulli follows its probabilities") {
  Generator g(9);
  CHECK(mean_of(bernoulli({100'000}, 0.3, float32, g).to_vector<double>()) == Approx(0.3).margin(0.006));
  CHECK(mean_of(bernoulli({1000}, 0, boolean, g).to_vector<double>()) == 0);
  CHECK(mean_of(bernoulli({1000}, 1, bfloat16, g).to_vector<double>()) == 1);
  const Tensor p = tensor({{0.0, 1.0}, {1.0, 0.0}}).t();
  CHECK(bernoulli(p, g).to_vector<double>() == p.to_vector<double>());
  CHECK(mean_of(bernoulli(full({100'000}, 0.8, float64), g).to_vector<double>()) == Approx(0.8).margin(0.005));
}

TEST_CASE("multinomial draws in proportion to the weights") {
  Generator g(10);
  const Tensor weights = tensor({1.0, 0.0, 3.0, 6.0});
  std::vector<double> counts(4);
  for (int64_t v : multinomial(weights, 50'000, true, g).to_vector<int64_t>()) ++counts.at(size_t(v));
  CHECK(counts[1] == 0);
  CHECK(counts[0] == Approx(5'000).margin(300));
  CHECK(counts[2] == Approx(15'000).margin(450));

  // without replacement: the first draw has the same law, no category comes twice
  std::vector<double> first(4), second_after_3(4);
  for (int i = 0; i < 20'000; ++i) {
    const auto v = multinomial(weights, 2, false, g).to_vector<int64_t>();
    REQUIRE(v[0] != v[1]);
    ++first[size_t(v[0])];
    if (v[0] == 3) ++second_after_3[size_t(v[1])];
  }
  CHECK(first[0] == Approx(2'000).margin(200));
  CHECK(first[3] == Approx(12'000).margin(350));
  CHECK(second_after_3[0] / first[3] == Approx(0.25).margin(0.02));
  CHECK(first[1] + second_after_3[1] == 0);

  const Tensor rows = tensor({{0.0, 1.0, 0.0}, {1.0, 0.0, 0.0}});
  CHECK(multinomial(rows, 3, true, g).to_vector<int64_t>() == std::vector<int64_t>{1, 1, 1, 0, 0, 0});
  CHECK(multinomial(rows, 1, false, g).shape() == Shape{2, 1});
}

TEST_CASE("random functions say what is wrong with their arguments") {
  CHECK_THROWS_WITH(uniform({2}, 1, 0), "[uniform] from 1 to 0: the bounds must be finite, and low at most high");
  CHECK_THROWS_AS(rand({2}, int64), DTypeError);
  CHECK_THROWS_AS(normal_(zeros({2}, int32)), DTypeError);
  CHECK_THROWS_AS(normal_(zeros({2}), 0, -1), ValueError);
  CHECK_THROWS_WITH(randint(3, 3, {2}), Catch::Contains("the range is empty"));
  CHECK_THROWS_WITH(randint(0, 300, {2}, uint8), Catch::Contains("does not fit into uint8"));
  CHECK_THROWS_AS(randperm(-1), ValueError);
  CHECK_THROWS_AS(bernoulli({2}, 1.5), ValueError);
  CHECK_THROWS_AS(bernoulli(tensor({0.5, -0.1})), ValueError);
  CHECK_THROWS_WITH(multinomial(tensor({1.0, -1.0}), 1), Catch::Contains("weight 1 of row 0 is -1"));
  CHECK_THROWS_WITH(multinomial(tensor({0.0, 0.0}), 1), Catch::Contains("sum to 0"));
  CHECK_THROWS_WITH(multinomial(tensor({0.0, 1.0}), 2), Catch::Contains("has 1 with a weight above 0"));
  CHECK_THROWS_AS(multinomial(tensor({{{1.0}}}), 1), ShapeError);
  CHECK_THROWS_AS(multinomial(tensor({1.0}), 0), ValueError);
}

TEST_CASE("a thread may use another generator in place of the default one", "[threads]") {
  manual_seed(1);
  Generator other(2), expected(2);
  {
    const UseGenerator guard(other);
    CHECK(&default_generator() == &other);
    CHECK(rand({5}).to_vector<float>() == rand({5}, float32, expected).to_vector<float>());
    std::thread([&] { CHECK(&default_generator() != &other); }).join();
    Generator inner;
    {
      const UseGenerator nested(inner);
      CHECK(&default_generator() == &inner);
    }
    CHECK(&default_generator() == &other);
  }
  CHECK(default_generator().state() == Generator::State{1, 0});
}
