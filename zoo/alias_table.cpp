#include <cotangent/zoo/alias_table.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>

#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::zoo {

AliasTable::AliasTable(const Tensor& weights) {
  if (weights.rank() != 1 || weights.numel() == 0)
    fail<ValueError>("[AliasTable] weights of shape {}; they must be (V), of 1 at least", weights.shape());
  std::vector<double> left = weights.to_vector<double>();
  const double sum = std::accumulate(left.begin(), left.end(), 0.0);
  if (!std::all_of(left.begin(), left.end(), [](double w) { return w >= 0; }) || !(sum > 0 && sum < INFINITY))
    fail<ValueError>("[AliasTable] weights that are negative, not finite or all 0");

  boxes_.resize(left.size());
  std::vector<size_t> small, large;
  for (size_t i = 0; i < left.size(); ++i) {
    left[i] *= static_cast<double>(left.size()) / sum;  // in boxes
    boxes_[i] = {1, static_cast<int64_t>(i)};
    (left[i] < 1 ? small : large).push_back(i);
  }
  while (!small.empty() && !large.empty()) {  // what a small one leaves of its box, a large one fills
    const size_t i = small.back(), j = large.back();
    small.pop_back();
    boxes_[i] = {left[i], static_cast<int64_t>(j)};
    left[j] -= 1 - left[i];
    if (left[j] < 1) {
      large.pop_back();
      small.push_back(j);
    }
  }
}

Tensor AliasTable::draw(const Shape& shape, Generator& generator) const {
  const Tensor places = rand(shape, float64, generator), tokens = empty(shape, int64);
  std::transform(places.data<double>(), places.data<double>() + places.numel(), tokens.data<int64_t>(),
                 [this](double place) { return at(place); });
  return tokens;
}

Tensor AliasTable::probabilities() const {
  std::vector<double> p(boxes_.size(), 0);
  for (size_t i = 0; i < p.size(); ++i) {
    p[i] += boxes_[i].share;
    p[static_cast<size_t>(boxes_[i].other)] += 1 - boxes_[i].share;
  }
  for (double& x : p) x /= static_cast<double>(p.size());
  return from_vector(p, {static_cast<int64_t>(p.size())});
}

}  // namespace cotangent::zoo
