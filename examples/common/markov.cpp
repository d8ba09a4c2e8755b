#include "markov.hpp"

#include <cotangent/cotangent.hpp>

namespace ct = cotangent;
using ct::Generator, ct::Tensor;

namespace {

/// -sum p ln p over the last dimension.
Tensor entropy(const Tensor& p) { return -ct::sum(p * ct::log(p), -1); }

}  // namespace

MarkovSource::MarkovSource(int64_t symbols, uint64_t seed) : symbols_(symbols) {
  Generator generator(seed);
  next_ = ct::softmax(2 * ct::randn({symbols * symbols, symbols}, ct::float64, generator), 1);
  // The pair (a, b) becomes (b, c) with probability next(c | a b). What stays the same under that is stationary.
  pairs_ = ct::full({symbols * symbols}, 1.0 / static_cast<double>(symbols * symbols), ct::float64);
  const Tensor next = next_.reshape({symbols, symbols, symbols});
  for (double change = 1; change > 1e-15;) {
    const Tensor moved = ct::sum(pairs_.reshape({symbols, symbols, 1}) * next, 0).flatten();
    change = ct::max(ct::abs(moved - pairs_)).item();
    pairs_ = moved;
  }
}

double MarkovSource::entropy_rate() const { return (pairs_ * entropy(next_)).sum().item(); }

double MarkovSource::entropy_after_one() const {
  return entropy(pairs_).item() - entropy_of_one();  // the chain rule: H(a, b) = H(a) + H(b | a)
}

double MarkovSource::entropy_of_one() const { return entropy(ct::sum(pairs_.reshape({symbols_, symbols_}), 0)).item(); }

Tensor MarkovSource::draw(int64_t batch, int64_t length, Generator& generator) const {
  const Tensor pairs = pairs_.reshape({symbols_, symbols_});
  const auto one_each = [&](const Tensor& weights) { return ct::multinomial(weights, 1, true, generator).squeeze(1); };
  const Tensor first = ct::multinomial(ct::sum(pairs, 1), batch, true, generator);
  ct::Tensors symbols{first, one_each(ct::index_select(pairs, 0, first))};
  while (static_cast<int64_t>(symbols.size()) < length) {
    const Tensor pair = *(symbols.end() - 2) * symbols_ + symbols.back();
    symbols.push_back(one_each(ct::index_select(next_, 0, pair)));
  }
  return ct::stack(symbols, 1);
}

Tensor MarkovSource::surprisal(const Tensor& x) const {
  const int64_t n = x.size(1) - 2;
  const Tensor pair = x.narrow(1, 0, n) * symbols_ + x.narrow(1, 1, n);
  return -ct::log(next_.index({pair, x.narrow(1, 2, n)}));
}
