#pragma once
// Language models that count: how often each token came after the last n - 1.
//
//     const zoo::NGram model(tokens, vocabulary.size(), {.order = 3, .boundary = 0});
//     std::printf("perplexity %.1f\n", model.perplexity(validation));
#include <optional>

#include <cotangent/nn/sampling.hpp>

namespace cotangent::zoo {

/// What becomes of tokens that were never seen after a history h. c(hw) says how often w came after h, c(h) is the sum
/// over w, h' is h without its oldest token, and below the empty history all V tokens are equally likely.
///
///     none          c(hw) / c(h)                                              maximum likelihood: they are impossible
///     add_k         (c(hw) + k) / (c(h) + k V)                                           k = 1 is Laplace's
///     interpolation l_0 / V + l_1 P_1(w) + .. + l_n P_n(w | h), of the P of none           Jelinek and Mercer
///     absolute      max(c(hw) - D, 0) / c(h) + b(h) P(w | h')                              Ney, Essen and Kneser
///     kneser_ney    the same; but for shorter histories than n - 1, c(hw) is how many different tokens came before hw.
///                   So "Francisco", frequent but after "San" alone, is unlikely elsewhere
///     modified_kneser_ney   with three D, for counts of 1, of 2, and of 3 or more          Chen and Goodman
///     katz          d c(hw) / c(h) where hw was seen, b(h) P(w | h') elsewhere             Katz's backing off
///
/// b(h) is what makes the sum over w one. D = n1 / (n1 + 2 n2), where n_r is how many of the sequences of one length
/// come r times; D_r = r - (r + 1) D n_(r+1) / n_r of the modified form, where these counts are above 0 and D_r is in
/// [0, r], else D. Katz's d, for counts r of up to 5, are Good and Turing's ((r + 1) n_(r+1) / (r n_r) - A) / (1 - A),
/// A = 6 n_6 / n_1, where all of them come out above 0 and at most 1, else (r - min(D, 1/2)) / r. Where they leave
/// nothing to the tokens that were not seen, as all counts are large, c(h) is 1 more; and where there are no such
/// tokens, d = 1.
///
/// A history that was never seen counts as its longest end that was; but add_k gives 1 / V, as its formula does.
/// Chen and Goodman, "An empirical study of smoothing techniques for language modeling", 1999, has them all.
enum class Smoothing : uint8_t { none, add_k, interpolation, absolute, kneser_ney, modified_kneser_ney, katz };

struct NGramOptions {
  int64_t order = 3;  ///< n: a token is told from the n - 1 before it
  Smoothing smoothing = Smoothing::kneser_ney;
  double k = 1;                          ///< for add_k
  std::vector<double> weights = {};      ///< l_0 to l_n for interpolation, which sum to 1; all the same when left out
  std::optional<double> discount = {};   ///< D in [0, 1), where it is not to come from the counts
  std::optional<int64_t> boundary = {};  ///< the token between two sentences: histories do not reach beyond it
};

/// P(token | those before it) by counts. Of a text every token but the first is told, as by other models that predict
/// the next token; with a boundary, the text begins and ends with one, and so the first word of a sentence is told from
/// the boundary, and its end is told too.
class NGram {
 public:
  /// tokens (N) integers in [0, vocabulary). A ValueError for fewer than 2 of them, and for options out of range; an
  /// IndexError for a token that is none.
  NGram(const Tensor& tokens, int64_t vocabulary, const NGramOptions& options = {});

  /// P(. | history): history (T), of which the end is read -> (V), float64
  Tensor probabilities(const Tensor& history) const;
  /// -ln P of each token but the first, which is infinite for what is impossible: tokens (N) -> (N - 1), float64
  Tensor surprise(const Tensor& tokens) const;
  /// exp(mean surprise): among so many equally likely tokens one would have to choose. A ValueError that names the
  /// first token which is impossible, and one for fewer than 2 tokens.
  double perplexity(const Tensor& tokens) const;
  /// Continues a prompt by tokens drawn from the model: (T) -> (T + count)
  Tensor write(const Tensor& prompt, int64_t count, const nn::SamplingOptions& sampling = {},
               Generator& generator = default_generator()) const;

  /// Finds the weights of interpolation by which a text that was not counted is likeliest, by steps of expectation and
  /// maximisation ("deleted interpolation"), and takes them. Returns l_0 to l_n. A ValueError unless the smoothing is
  /// interpolation.
  std::vector<double> fit_weights(const Tensor& held_out, int64_t steps = 50);

  int64_t vocabulary() const { return vocabulary_; }
  const NGramOptions& options() const { return options_; }

 private:
  struct Key {  // a history of a length: that without its oldest token, and this token
    int64_t parent, token;
    auto operator<=>(const Key&) const = default;
  };
  struct Follower {
    int64_t token, count;
  };
  struct History {
    double total = 0;   // c(h)
    double rest = 0;    // b(h)
    bool cut = true;    // whether its counts are discounted
    int64_t first = 0;  // where its followers begin
  };
  struct Level {                     // all histories of a length
    std::vector<Key> keys;           // in ascending order
    std::vector<History> histories;  // one more than there are, for `first`
    std::vector<Follower> followers;
    std::vector<double> cuts;  // what is taken from a count of r, at r; the last one from all above
    double stop = 0;           // of interpolation: the part of this length, beside the shorter ones
  };
  struct Place {
    const Level* level;
    const History* history;
  };
  using Path = std::vector<Place>;
  void count(std::span<const int64_t> tokens);
  void count_predecessors(size_t length);
  void set_weights(const std::vector<double>& weights);
  void weigh(size_t length);
  /// The histories that count after these tokens, from the shortest to the longest.
  Path path(std::span<const int64_t> before) const;
  template <class L>
  static auto followers(L& level, size_t history) {
    const auto first = level.followers.data();
    return std::span(first + level.histories[history].first, first + level.histories[history + 1].first);
  }
  /// The count of a token after a history.
  static int64_t count_of(const Place& place, int64_t token);
  /// What a history gives to a token of this count by itself; the shorter ones add b(h) times what they say.
  double share(const Place& place, int64_t count) const;
  double probability(const Path& path, int64_t token) const;

  int64_t vocabulary_;
  NGramOptions options_;
  std::vector<Level> levels_;  // by length of the history
};

}  // namespace cotangent::zoo
