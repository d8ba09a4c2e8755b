#pragma once
// n-gram language models, which count how often each token came after the n - 1 before it.
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
  int64_t order = 3;  ///< n: a token is predicted from the n - 1 before it
  Smoothing smoothing = Smoothing::kneser_ney;
  double k = 1;                          ///< for add_k
  std::vector<double> weights = {};      ///< l_0 to l_n for interpolation, which sum to 1; all the same when left out
  std::optional<double> discount = {};   ///< D in [0, 1), where it is not to come from the counts
  std::optional<int64_t> boundary = {};  ///< the token between two sentences: histories do not reach beyond it
};

/// P(token | tokens before it) by counts. Every token of a text but the first is predicted, as by other models of the
/// next token. With a boundary, a text should begin and end with one: then the first word of a sentence is predicted
/// from the boundary, and the end of a sentence is predicted like a word.
class NGram {
 public:
  /// Counts a text: tokens (N), integers in [0, vocabulary). A ShapeError for another tensor, a ValueError for fewer
  /// than 2 tokens and for options out of range, an IndexError for a token outside the vocabulary. The functions below
  /// throw the same for their tokens.
  NGram(const Tensor& tokens, int64_t vocabulary, const NGramOptions& options = {});

  /// P(. | history), for which the last n - 1 tokens of the history count.   history (T) -> float64 (V)
  Tensor probabilities(const Tensor& history) const;
  /// -ln P of each token but the first, infinite where P is 0.   tokens (N) -> float64 (N - 1)
  Tensor surprisal(const Tensor& tokens) const;
  /// exp(mean surprisal): the number of equally likely tokens among which a choice would be as uncertain. A ValueError
  /// that names the first token whose P is 0, if there is one, and one for fewer than 2 tokens.
  double perplexity(const Tensor& tokens) const;
  /// Continues a prompt by tokens that are drawn from the model.   prompt (T) -> (T + count)
  Tensor write(const Tensor& prompt, int64_t count, const nn::SamplingOptions& sampling = {},
               Generator& generator = default_generator()) const;

  /// Changes the weights of interpolation so that a held-out text becomes more likely with each step of expectation and
  /// maximisation (deleted interpolation), and returns them, l_0 to l_n. A ValueError unless the smoothing is
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
