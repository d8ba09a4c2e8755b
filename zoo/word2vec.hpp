#pragma once
// Vectors of words, such that words which come among the same others have like vectors.
//
//     zoo::Word2Vec model(counts, {.width = 100});
//     model.fit(tokens, {.window = 5, .boundary = 0});
//     const Tensor alike = zoo::cosines(model.in, model.in[word]);
#include <optional>

#include <cotangent/nn/module.hpp>
#include <cotangent/tensor/logistic.hpp>
#include <cotangent/zoo/alias_table.hpp>
#include <cotangent/zoo/huffman.hpp>

namespace cotangent::zoo {

/// What is asked of a vector h, instead of a softmax over all V tokens. s is the sigmoid, u a row of `out`, o the
/// target, n_1 to n_K tokens drawn from the noise.
///
///     negative_sampling     -ln s(u_o . h) - sum_k ln s(-u_nk . h)     is the target told from noise? The best u_o . h
///     is
///                                                                      ln P(o | context) / (K Pn(o))
///     nce                   the same of u . h - ln(K Pn): noise contrastive estimation. The best u_o . h is
///                                                                      ln P(o | context), by itself
///     hierarchical_softmax  -sum_j ln s(t_j u_nj . h) over the inner nodes n_j and the turns t_j = 1 or -1 on the way
///     to
///                           the target in a Huffman tree: a distribution over all tokens in log2 V steps
enum class Word2VecLoss : uint8_t { negative_sampling, nce, hierarchical_softmax };

struct Word2VecOptions {
  int64_t width = 100;
  Word2VecLoss loss = Word2VecLoss::negative_sampling;
  int64_t negatives = 5;  ///< K
  double power = 0.75;    ///< the noise is Pn = f^power / sum f^power, f how often a token comes
  Dtype dtype = default_dtype();
};

/// Which tokens a pass leaves out, so that frequent ones take less of it: kept is a token of the share f of the text
/// with probability
///     paper: sqrt(t / f)      code: (sqrt(f / t) + 1) t / f, of the authors' program      none: 1
/// or 1 where that is more.
enum class Subsampling : uint8_t { none, paper, code };
/// counts (V) -> (V), float64; 1 for a count of 0
Tensor keep_probabilities(const Tensor& counts, Subsampling rule, double t);

struct Word2VecFit {
  bool cbow = false;   ///< a token from the mean of those around it; else each of those around it from the token
  int64_t window = 5;  ///< tokens on either side, at most: for each place, drawn evenly from 1 to this
  int64_t epochs = 5;
  Subsampling subsampling = Subsampling::code;
  double threshold = 1e-3;               ///< t of the subsampling
  double rate = 0;                       ///< at the start, falling evenly to 1e-4 of it; 0: 0.025, or 0.05 for CBOW
  std::optional<int64_t> boundary = {};  ///< the token between sentences: it gets no vector, and windows end at it
};

/// word2vec. Mikolov, Chen, Corrado and Dean, arXiv:1301.3781 (skip-gram and CBOW); Mikolov, Sutskever, Chen, Corrado
/// and Dean, arXiv:1310.4546 (negative sampling, subsampling). NCE: Gutmann and Hyvarinen 2010, Mnih and Kavukcuoglu
/// 2013. What PMI has to do with it: Levy and Goldberg 2014.
///
/// It can be trained as any module, and by fit(), which takes one step of stochastic gradient descent for each example,
/// in closed form: two passes over the few rows that it concerns.
struct Word2Vec : nn::Module {
  /// counts (V): how often each token comes. A ValueError for sizes out of range, fewer than 2 tokens, or counts that
  /// are negative, not finite, or all 0.
  explicit Word2Vec(const Tensor& counts, const Word2VecOptions& options = {});
  nn::Parameter in;   // (V, width), the vectors: uniform within half of 1 / width at the start
  nn::Parameter out;  // (V, width) u, or (V - 1, width) for the inner nodes of the tree: 0 at the start
  Word2VecOptions options;
  COTANGENT_MODULE(in, out)

  /// The mean of the loss, with noise that is drawn by default_generator(). h is the mean of the context's vectors.
  ///   context (B, C) tokens, -1 for none; target (B)
  Tensor forward(const Tensor& context, const Tensor& target);
  /// The same with this noise.   negatives (B, K), which the tree does not read
  Tensor loss(const Tensor& context, const Tensor& target, const Tensor& negatives) const;
  /// ln P(. | context) by the tree, u . h, which NCE makes the same, or u . h + ln(K Pn) of negative sampling; of these
  /// the probabilities sum to one as far as was learned.   context (B, C) -> (B, V)
  Tensor log_probabilities(const Tensor& context) const;
  Tensor draw_negatives(int64_t count, Generator& generator = default_generator()) const;  // (count, K)
  std::string settings() const override;

  /// One step of gradient descent for each row after the other, in closed form: what SGD does with the gradients of
  /// loss(). Returns the mean loss of every 16th row.
  double step(const Tensor& context, const Tensor& target, const Tensor& negatives, double rate);
  /// Goes through a text `epochs` times. Returns the mean loss of the last. On one thread: each example reads what the
  /// one before has written. A ValueError for options out of range; an IndexError for a token that is none.
  double fit(const Tensor& tokens, const Word2VecFit& fit = {}, Generator& generator = default_generator());

 private:
  void add_outputs(raw::LogisticExamples& examples, int64_t target, const int64_t* negatives) const;
  struct Asked {
    Tensor rows, signs, offsets;  // (B, M): places in `out`
  };
  Asked asked(const Tensor& target, const Tensor& negatives) const;

  AliasTable noise_;
  Tensor offsets_;  // (V): ln(K Pn)
  HuffmanTree tree_;
};

/// The cosines between each row of a table and a vector.   table (V, D), vector (D) -> (V)
Tensor cosines(const Tensor& table, const Tensor& vector);

}  // namespace cotangent::zoo
