#pragma once
#include <cotangent/tensor/random.hpp>

namespace cotangent::zoo {

/// Draws tokens from a distribution, each in constant time. There are as many boxes as tokens, all equally likely, and
/// each box holds its own token and at most one other, so that a draw is a box and a place in it. The table is made in
/// time linear in the number of tokens. Walker 1977; Vose, "A linear algorithm for generating random numbers with a
/// given distribution", 1991.
class AliasTable {
 public:
  /// weights (V), which need not sum to 1. A ValueError if there are none, or they are negative, not finite or all 0.
  explicit AliasTable(const Tensor& weights);
  /// Independent tokens, int64.
  Tensor draw(const Shape& shape, Generator& generator = default_generator()) const;
  /// The token that a random number in [0, 1) draws.
  int64_t at(double place) const {
    const double x = place * static_cast<double>(boxes_.size());
    const auto box = static_cast<size_t>(x);
    return x - static_cast<double>(box) < boxes_[box].share ? static_cast<int64_t>(box) : boxes_[box].other;
  }
  /// How likely each token is.   -> float64 (V)
  Tensor probabilities() const;

 private:
  struct Box {
    double share;   // of the token whose box it is
    int64_t other;  // whose the rest is
  };
  std::vector<Box> boxes_;
};

}  // namespace cotangent::zoo
