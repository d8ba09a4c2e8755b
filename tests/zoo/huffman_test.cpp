#include <cotangent/zoo/huffman.hpp>

#include <cmath>

#include <catch2/catch.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/tensor/random.hpp>
#include <cotangent/tests/values.hpp>

using namespace cotangent;
using Catch::Contains;
using zoo::huffman;

TEST_CASE("huffman: the mean way is at least the entropy, and less than one longer") {
  Generator generator(1);
  for (const Tensor& counts :
       {tensor({1, 1}), tensor({99, 1}), tensor({4, 2, 1, 1}), tensor({1, 1, 1, 1, 1}), tensor({0, 2, 3}),
        1000 / arange(1, 301).to(float64), exp(3 * randn({77}, float64, generator))}) {
    const Tensor p = counts.to(float64) / counts.to(float64).sum(), lengths = huffman(counts).lengths().to(float64);
    double entropy = 0;
    for (const double x : to_values(p)) entropy -= x > 0 ? x * std::log2(x) : 0;
    const double mean = (p * lengths).sum().item();
    INFO(mean << " bits for " << entropy);
    CHECK(mean >= entropy - 1e-12);
    CHECK(mean < entropy + 1);
    double kraft = 0;  // a full tree
    for (const double length : to_values(lengths)) kraft += std::exp2(-length);
    CHECK(kraft == Approx(1));
  }
}

TEST_CASE("huffman: ways by hand") {
  // 3 and 2 make node 0, that and 1 make node 1, that and 0 the root, node 2; the rarer child is the turn 1
  const zoo::HuffmanTree tree = huffman(tensor({8, 4, 2, 1}));
  CHECK(to_values(tree.lengths()) == Values{1, 2, 3, 3});
  CHECK(equal(tree.nodes, tensor({{2, 0, 0}, {2, 1, 0}, {2, 1, 0}, {2, 1, 0}})));
  CHECK(equal(tree.turns, tensor({{-1, 0, 0}, {1, -1, 0}, {1, 1, -1}, {1, 1, 1}}, float64)));
}

TEST_CASE("huffman: what it cannot take") {
  CHECK_THAT(error_of([] { huffman(tensor({3})); }), Contains("of 2 tokens at least"));
  CHECK_THAT(error_of([] { huffman(ones({2, 2})); }), Contains("they must be (V)"));
  CHECK_THAT(error_of([] { huffman(tensor({1.0, -1.0})); }), Contains("negative or not finite"));
  CHECK_THAT(error_of([] { huffman(tensor({1.0, NAN})); }), Contains("negative or not finite"));
}
