#include <cotangent/zoo/ngram.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::zoo {
namespace {

using Ids = std::vector<int64_t>;

Ids checked_tokens(const char* who, const Tensor& tokens, int64_t vocabulary, int64_t least) {
  if (tokens.rank() != 1 || tokens.is_floating() || tokens.dtype() == boolean)
    fail<ShapeError>("[{}] tokens are {} {}; they must be (N) integers", who, tokens.dtype(), tokens.shape());
  if (tokens.numel() < least)
    fail<ValueError>("[{}] {} tokens; there must be at least {}, one to tell from those before", who, tokens.numel(),
                     least);
  Ids ids = tokens.to_vector<int64_t>();
  for (const int64_t id : ids)
    if (id < 0 || id >= vocabulary)
      fail<IndexError>("[{}] there is no token {}; there are {}, counted from 0", who, id, vocabulary);
  return ids;
}

void check(const NGramOptions& o, int64_t vocabulary) {
  if (vocabulary < 1) fail<ValueError>("[NGram] a vocabulary of {}; there must be at least 1 token", vocabulary);
  if (o.order < 1 || o.order > 64) fail<ValueError>("[NGram] order {}; it must be from 1 to 64", o.order);
  if (!(o.k > 0 && o.k * static_cast<double>(vocabulary) < INFINITY))
    fail<ValueError>("[NGram] k is {}; it must be above 0, and finite times {} tokens", o.k, vocabulary);
  if (o.discount && !(*o.discount >= 0 && *o.discount < 1))
    fail<ValueError>("[NGram] a discount of {}; it must be in [0, 1)", *o.discount);
  if (o.boundary && (*o.boundary < 0 || *o.boundary >= vocabulary))
    fail<IndexError>("[NGram] the boundary is token {}; there are {}, counted from 0", *o.boundary, vocabulary);
  if (o.weights.empty()) return;
  const double sum = std::accumulate(o.weights.begin(), o.weights.end(), 0.0);
  const bool positive = std::all_of(o.weights.begin(), o.weights.end(), [](double w) { return w >= 0; });
  if (static_cast<int64_t>(o.weights.size()) != o.order + 1 || !positive || !(std::abs(sum - 1) < 1e-9))
    fail<ValueError>(
        "[NGram] {} weights that sum to {}; there must be {}, from that of no history at all, and sum to 1",
        o.weights.size(), sum, o.order + 1);
}

/// What is taken from a count of r, at r, where n[r] sequences of a length come r times; the last from all above.
std::vector<double> cuts_of(const NGramOptions& o, const double (&n)[7]) {
  if (o.smoothing < Smoothing::absolute) return {0};
  const double d = o.discount ? *o.discount : n[1] > 0 ? n[1] / (n[1] + 2 * n[2]) : 0;
  if (o.discount || o.smoothing < Smoothing::modified_kneser_ney) return {0, d};
  std::vector<double> cuts{0};
  if (o.smoothing == Smoothing::modified_kneser_ney) {
    for (int r = 1; r <= 3; ++r) {
      const double cut = r - (r + 1) * d * n[r + 1] / n[r];
      cuts.push_back(n[r] > 0 && n[r + 1] > 0 && cut >= 0 ? cut : d);
    }
    return cuts;
  }
  const double a = 6 * n[6] / n[1];
  bool good = true;
  for (int r = 1; r <= 5; ++r) {
    const double kept = ((r + 1) * n[r + 1] / (r * n[r]) - a) / (1 - a);
    good = good && kept > 0 && kept <= 1;  // not for NaN
    cuts.push_back(r - r * kept);
  }
  if (!good) std::fill(cuts.begin() + 1, cuts.end(), std::min(d, 0.5));  // of 1, nothing would be kept of a count of 1
  cuts.push_back(0);
  return cuts;
}

double at(const std::vector<double>& cuts, int64_t count) {
  return cuts[std::min(static_cast<size_t>(count), cuts.size() - 1)];
}

}  // namespace

NGram::NGram(const Tensor& tokens, int64_t vocabulary, const NGramOptions& options)
    : vocabulary_(vocabulary), options_(options) {
  check(options, vocabulary);
  count(checked_tokens("NGram", tokens, vocabulary, 2));
  const size_t orders = levels_.size();
  if (options.smoothing == Smoothing::kneser_ney || options.smoothing == Smoothing::modified_kneser_ney)
    for (size_t length = 0; length + 1 < orders; ++length) count_predecessors(length);
  set_weights(options.weights.empty() ? std::vector<double>(orders + 1, 1 / static_cast<double>(orders + 1))
                                      : options.weights);
}

/// Level by level: place t has the history of length d at node[t], and -1 where it would reach beyond a boundary.
void NGram::count(std::span<const int64_t> tokens) {
  const auto n = static_cast<int64_t>(tokens.size());
  const auto token = [&](int64_t t) { return tokens[static_cast<size_t>(t)]; };
  Ids node(tokens.size(), 0);
  node[0] = -1;
  levels_.resize(static_cast<size_t>(options_.order));
  levels_[0].keys = {{0, 0}};
  for (int64_t d = 0; d < options_.order; ++d) {
    Level& level = levels_[static_cast<size_t>(d)];
    std::vector<Key> seen;
    for (int64_t t = 1; t < n; ++t)
      if (const int64_t h = node[static_cast<size_t>(t)]; h >= 0) seen.push_back({h, token(t)});
    std::sort(seen.begin(), seen.end());
    level.histories.resize(level.keys.size() + 1);
    for (size_t i = 0; i < seen.size(); ++i) {
      if (i == 0 || seen[i] != seen[i - 1]) level.followers.push_back({seen[i].token, 0});
      ++level.followers.back().count;
      level.histories[static_cast<size_t>(seen[i].parent) + 1].first = static_cast<int64_t>(level.followers.size());
    }
    if (d + 1 == options_.order) return;

    std::vector<Key>& keys = levels_[static_cast<size_t>(d) + 1].keys;
    const auto key = [&](int64_t t) { return Key{node[static_cast<size_t>(t)], token(t - d - 1)}; };
    for (int64_t t = 1; t < n; ++t) {
      int64_t& h = node[static_cast<size_t>(t)];
      if (t <= d || (d > 0 && token(t - d) == options_.boundary)) h = -1;
      if (h >= 0) keys.push_back(key(t));
    }
    std::sort(keys.begin(), keys.end());
    keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
    for (int64_t t = 1; t < n; ++t)
      if (int64_t& h = node[static_cast<size_t>(t)]; h >= 0)
        h = std::lower_bound(keys.begin(), keys.end(), key(t)) - keys.begin();
  }
}

/// Replaces the counts of this level by how many different tokens came before; a boundary has none before it, so that
/// counts after it stay what they are.
void NGram::count_predecessors(size_t length) {
  Level& level = levels_[length];
  const Level& longer = levels_[length + 1];
  for (size_t h = 0; h < level.keys.size(); ++h)
    if (length == 0 || level.keys[h].token != options_.boundary)
      for (Follower& f : followers(level, h)) f.count = 0;
  for (size_t h = 0; h < longer.keys.size(); ++h) {
    auto own = followers(level, static_cast<size_t>(longer.keys[h].parent)).begin();
    for (const Follower& f : followers(longer, h)) {
      while (own->token != f.token) ++own;  // both ascend, and what came after the longer came after the shorter
      ++own->count;
    }
  }
}

void NGram::set_weights(const std::vector<double>& weights) {
  options_.weights = weights;
  double sum = weights[0];
  for (size_t length = 0; length < levels_.size(); ++length) {
    const double weight = weights[length + 1];
    sum += weight;
    levels_[length].stop = sum > 0 ? weight / sum : 1;
    weigh(length);
  }
}

/// Sums up what each history keeps and what it leaves to the shorter ones, which have been weighed.
void NGram::weigh(size_t length) {
  Level& level = levels_[length];
  double n[7] = {};
  for (const Follower& f : level.followers)
    if (f.count <= 6) ++n[f.count];
  level.cuts = cuts_of(options_, n);
  const double added = options_.k * static_cast<double>(vocabulary_);
  for (size_t i = 0; i < level.keys.size(); ++i) {
    History& h = level.histories[i];
    double cut = 0;
    h.total = 0;
    for (const Follower& f : followers(level, i)) {
      h.total += static_cast<double>(f.count);
      cut += at(level.cuts, f.count);
    }
    if (h.total == 0) {  // it came at the start of the text alone, where nothing is before it
      h.total = h.rest = 1;
      continue;
    }
    switch (options_.smoothing) {
      case Smoothing::none: h.rest = 0; break;
      case Smoothing::add_k:
        h.total += added;
        h.rest = added / h.total;
        break;
      case Smoothing::interpolation: h.rest = 1 - level.stop; break;
      case Smoothing::absolute:
      case Smoothing::kneser_ney:
      case Smoothing::modified_kneser_ney: h.rest = cut / h.total; break;
      case Smoothing::katz: {
        Path shorter(length);
        int64_t parent = level.keys[i].parent;
        for (size_t d = length; d-- > 0; parent = levels_[d].keys[static_cast<size_t>(parent)].parent)
          shorter[d] = {&levels_[d], &levels_[d].histories[static_cast<size_t>(parent)]};
        double unseen = 1;
        for (const Follower& f : followers(level, i)) unseen -= probability(shorter, f.token);
        h.cut = unseen > 1e-12;
        if (h.cut && cut == 0) cut = 1, h.total += 1;
        h.rest = h.cut ? cut / h.total / unseen : 0;
        break;
      }
    }
  }
}

NGram::Path NGram::path(std::span<const int64_t> before) const {
  Path result{{levels_.data(), levels_[0].histories.data()}};
  int64_t node = 0;
  bool complete = true;
  for (size_t d = 1; d < levels_.size() && d <= before.size(); ++d) {
    if (d > 1 && before[before.size() - d + 1] == options_.boundary) break;
    const Level& level = levels_[d];
    const Key key{node, before[before.size() - d]};
    const auto found = std::lower_bound(level.keys.begin(), level.keys.end(), key);
    complete = found != level.keys.end() && *found == key;
    if (!complete) break;
    node = found - level.keys.begin();
    result.push_back({&level, &level.histories[static_cast<size_t>(node)]});
  }
  if (options_.smoothing <= Smoothing::add_k) result.erase(result.begin(), result.end() - 1);
  if (options_.smoothing == Smoothing::add_k && !complete) result.clear();
  return result;
}

int64_t NGram::count_of(const Place& place, int64_t token) {
  const auto first = place.level->followers.begin();
  const auto end = first + place.history[1].first;
  const auto found = std::lower_bound(first + place.history->first, end, token,
                                      [](const Follower& f, int64_t wanted) { return f.token < wanted; });
  return found != end && found->token == token ? found->count : 0;
}

double NGram::share(const Place& place, int64_t count) const {
  const History& h = *place.history;
  if (options_.smoothing == Smoothing::interpolation) return place.level->stop * static_cast<double>(count) / h.total;
  return (static_cast<double>(count) - (h.cut ? at(place.level->cuts, count) : 0)) / h.total;
}

double NGram::probability(const Path& path, int64_t token) const {
  double p = 1 / static_cast<double>(vocabulary_);
  for (const Place& place : path) {
    const int64_t count = count_of(place, token);
    const bool alone = options_.smoothing == Smoothing::katz && count > 0;
    p = share(place, count) + (alone ? 0 : place.history->rest * p);
  }
  return p;
}

Tensor NGram::probabilities(const Tensor& history) const {
  const Ids before = checked_tokens("NGram", history, vocabulary_, 0);
  const Tensor result = full({vocabulary_}, 1 / static_cast<double>(vocabulary_), float64);
  const std::span p(result.data<double>(), static_cast<size_t>(vocabulary_));
  for (const Place& place : path(before)) {
    for (double& x : p) x *= place.history->rest;
    for (auto i = place.history->first; i < place.history[1].first; ++i) {
      const Follower& f = place.level->followers[static_cast<size_t>(i)];
      double& x = p[static_cast<size_t>(f.token)];
      x = share(place, f.count) + (options_.smoothing == Smoothing::katz && f.count > 0 ? 0 : x);
    }
  }
  return result;
}

Tensor NGram::surprisal(const Tensor& tokens) const {
  const Ids ids = checked_tokens("NGram", tokens, vocabulary_, 1);
  const Tensor result = empty({static_cast<int64_t>(ids.size()) - 1}, float64);
  for (size_t t = 1; t < ids.size(); ++t)
    result.data<double>()[t - 1] = -std::log(probability(path(std::span(ids).first(t)), ids[t]));
  return result;
}

double NGram::perplexity(const Tensor& tokens) const {
  const Ids ids = checked_tokens("perplexity", tokens, vocabulary_, 2);
  double sum = 0;
  for (size_t t = 1; t < ids.size(); ++t) {
    const double p = probability(path(std::span(ids).first(t)), ids[t]);
    if (!(p > 0)) {
      const size_t length = std::min(t, levels_.size() - 1);
      const std::string before = fmt::format("{}", fmt::join(std::span(ids).subspan(t - length, length), " "));
      fail<ValueError>(
          "[perplexity] token {} at {} has probability 0 after {}: the text that was counted has no such sequence, and "
          "{}; take a smoothing that leaves something to what was not seen",
          ids[t], t, before, options_.smoothing == Smoothing::none ? "Smoothing::none" : "its discounts or weights");
    }
    sum -= std::log(p);
  }
  return std::exp(sum / static_cast<double>(ids.size() - 1));
}

Tensor NGram::write(const Tensor& prompt, int64_t count, const nn::SamplingOptions& sampling,
                    Generator& generator) const {
  if (count < 0) fail<ValueError>("[write] {} tokens; there must be 0 or more", count);
  Ids text = checked_tokens("write", prompt, vocabulary_, 0);
  for (int64_t i = 0; i < count; ++i) {
    const auto last = static_cast<int64_t>(std::min(text.size(), levels_.size() - 1));
    const Tensor p = probabilities(from_vector(Ids(text.end() - last, text.end()), {last}));
    text.push_back(nn::sample(cotangent::log(p), sampling, generator).item<int64_t>());
  }
  return from_vector(text, {static_cast<int64_t>(text.size())});
}

std::vector<double> NGram::fit_weights(const Tensor& held_out, int64_t steps) {
  if (options_.smoothing != Smoothing::interpolation)
    fail<ValueError>("[fit_weights] only Smoothing::interpolation has weights");
  if (steps < 0) fail<ValueError>("[fit_weights] {} steps; there must be 0 or more", steps);
  const Ids ids = checked_tokens("fit_weights", held_out, vocabulary_, 2);
  // A token takes the longest history, or with probability 1 - stop the next shorter one. What is counted is how often
  // each length was asked and how often it was taken, as the model of the last step has it.
  for (int64_t step = 0; step < steps; ++step) {
    std::vector<double> asked(levels_.size(), 0), taken(levels_.size(), 0), p(levels_.size()), own(levels_.size());
    for (size_t t = 1; t < ids.size(); ++t) {
      const Path all = path(std::span(ids).first(t));
      for (size_t d = 0; d < all.size(); ++d) {
        own[d] = share(all[d], count_of(all[d], ids[t]));
        p[d] = own[d] + all[d].history->rest * (d > 0 ? p[d - 1] : 1 / static_cast<double>(vocabulary_));
      }
      double left = 1;
      for (size_t d = all.size(); d-- > 0 && p[d] > 0;) {
        asked[d] += left;
        taken[d] += left * own[d] / p[d];
        left *= 1 - own[d] / p[d];
      }
    }
    std::vector<double> weights(levels_.size() + 1, 0);
    double left = 1;
    for (size_t d = levels_.size(); d-- > 0;) {
      const double stop = asked[d] > 0 ? taken[d] / asked[d] : levels_[d].stop;
      weights[d + 1] = left * stop;
      left *= 1 - stop;
    }
    weights[0] = left;
    set_weights(weights);
  }
  return options_.weights;
}

}  // namespace cotangent::zoo
