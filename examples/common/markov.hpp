// A source of tokens whose entropy is known, for models to be measured by.
#pragma once
#include <cotangent/tensor/random.hpp>

/// A random source of order two: the next symbol depends on the last two. Its probabilities are drawn from the seed,
/// and sequences start in its stationary distribution.
class MarkovSource {
 public:
  MarkovSource(int64_t symbols, uint64_t seed);

  cotangent::Tensor draw(int64_t batch, int64_t length, cotangent::Generator& generator) const;  // (batch, length)
  /// -ln of the probability of each symbol from the third on, given the two before it: (batch, length - 2).
  cotangent::Tensor surprisal(const cotangent::Tensor& sequences) const;

  /// The mean surprisal of the next symbol in nats, exactly: of those who know the last two symbols, the last, or none.
  double entropy_rate() const;
  double entropy_after_one() const;
  double entropy_of_one() const;

 private:
  int64_t symbols_;
  cotangent::Tensor next_;   // (symbols^2, symbols): row a * symbols + b has the probabilities of what follows a b
  cotangent::Tensor pairs_;  // (symbols^2): how often the pair a b comes
};
