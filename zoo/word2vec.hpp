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

/// What takes the place of a softmax over all V tokens. h is the vector of the context, u_j is row j of `out`, o is the
/// target, n_1 to n_K are tokens that are drawn from the noise Pn, and s is the sigmoid. All three are of the form
///   -sum_j ln s(t_j z_j),   with dz_j = -t_j s(-t_j z_j),   dh = sum_j dz_j u_j,   du_j = dz_j h,
/// and differ in what j stands for, in the scores z_j and in the signs t_j:
///   negative_sampling     j is o with t = 1, and n_1 to n_K with t = -1; z_j = u_j . h. The mean loss is smallest
///                         where u_o . h = ln(P(o | context) / (K Pn(o))).
///   nce                   noise contrastive estimation: the same with z_j = u_j . h - ln V - ln(K Pn(j)), so that
///                         u = 0 stands for even probabilities. The mean loss is smallest where
///                         u_o . h = ln(V P(o | context)).
///   hierarchical_softmax  j are the inner nodes on the way from the root of a Huffman tree to o, and t_j = 1 or -1
///                         for the turn there; z_j = u_j . h. The loss is -ln of a probability, and those of all
///                         tokens sum to one. A target takes about log2 V nodes.
enum class Word2VecLoss : uint8_t { negative_sampling, nce, hierarchical_softmax };
const char* name(Word2VecLoss loss);

struct Word2VecOptions {
  int64_t width = 100;
  Word2VecLoss loss = Word2VecLoss::negative_sampling;
  int64_t negatives = 5;  ///< K
  double power = 0.75;    ///< Pn(j) = f_j^power / sum_i f_i^power, where f_j is the count of token j
  Dtype dtype = default_dtype();
};

/// With which probability a pass over a text keeps a token whose share of the text is f, so that frequent tokens take
/// less of it; a probability above 1 counts as 1:
///   none   1
///   paper  sqrt(t / f)
///   code   (sqrt(f / t) + 1) t / f, which the authors' program has in its place
enum class Subsampling : uint8_t { none, paper, code };
/// These probabilities; 1 for a count of 0.   counts (V) -> (V), float64. A ValueError unless t > 0, and for counts
/// that are negative or not finite.
Tensor keep_probabilities(const Tensor& counts, Subsampling rule, double t);

struct Word2VecFit {
  bool cbow = false;   ///< predicts a token from the mean of its context; otherwise each of the context from the token
  int64_t window = 5;  ///< the context reaches this far to both sides at most: for each token, a number from 1 to this
  int64_t epochs = 5;
  Subsampling subsampling = Subsampling::code;
  double threshold = 1e-3;               ///< t of the subsampling
  std::optional<double> rate = {};       ///< at the start, from where it falls to 1e-4 of it: 0.025, or 0.05 for CBOW
  std::optional<int64_t> boundary = {};  ///< the token between sentences: contexts end there, and it is never a target
};

/// word2vec: a vector for each token, by which it and those around it predict one another. It can be trained as any
/// module, or by fit(), which takes a step of stochastic gradient descent for each example in closed form and so
/// touches only the few rows that the example concerns.
///
/// Skip-gram and CBOW: Mikolov, Chen, Corrado and Dean, arXiv:1301.3781. Negative sampling and subsampling: Mikolov,
/// Sutskever, Chen, Corrado and Dean, arXiv:1310.4546. NCE: Gutmann and Hyvarinen 2010, Mnih and Kavukcuoglu 2013. That
/// the scores of negative sampling are pointwise mutual information less ln K, if the noise is as frequent as the
/// tokens: Levy and Goldberg 2014.
struct Word2Vec : nn::Module {
  /// counts (V): how often each token comes. A ValueError for sizes out of range, fewer than 2 tokens, and counts that
  /// are negative, not finite, or all 0.
  explicit Word2Vec(const Tensor& counts, const Word2VecOptions& options = {});
  nn::Parameter in;   // (V, width), the vectors: at the start uniform in +-0.5 / width
  nn::Parameter out;  // (V, width), u, or (V - 1, width) for the inner nodes of the tree: at the start 0
  Word2VecOptions options;
  COTANGENT_MODULE(in, out)

  /// The mean of the loss over B examples, with noise from default_generator().
  ///   context (B, C) of int64 tokens, where -1 stands for none; target (B) -> ()
  /// h is the mean of the vectors of the context. A ValueError for a row without any token, an IndexError for what is
  /// no token.
  Tensor forward(const Tensor& context, const Tensor& target);
  /// The same with this noise.   negatives (B, K); the hierarchical softmax does not read it
  Tensor loss(const Tensor& context, const Tensor& target, const Tensor& negatives) const;
  /// ln P(. | context): by the tree exactly, and for the other losses the value that their scores have at the optimum,
  /// u . h - ln V for NCE and u . h + ln(K Pn) for negative sampling, so that these sum to one only as far as was
  /// learned.
  ///   context (B, C) -> (B, V)
  Tensor log_probabilities(const Tensor& context) const;
  /// Tokens of the noise.   -> int64 (count, K)
  Tensor draw_negatives(int64_t count, Generator& generator = default_generator()) const;
  std::string settings() const override;

  /// One step of gradient descent for each row after the other: what SGD at this rate does with the gradients of
  /// loss(), whose arguments and errors these are. Returns the mean loss of the rows 0, 16, 32, ..
  double step(const Tensor& context, const Tensor& target, const Tensor& negatives, double rate);
  /// Goes `epochs` times through a text, tokens (N), and returns the mean loss of every 16th example of the last pass,
  /// 0 where no token has a neighbour. It runs on one thread, as each example reads what the one before has written. A
  /// ValueError for options out of range; an IndexError for what is no token.
  double fit(const Tensor& tokens, const Word2VecFit& fit = {}, Generator& generator = default_generator());

 private:
  void add_outputs(raw::LogisticExamples& examples, int64_t target, const int64_t* negatives) const;
  struct Asked {
    Tensor rows, signs, offsets;  // (B, M): places in `out`
  };
  Asked asked(const Tensor& target, const Tensor& negatives) const;

  AliasTable noise_;
  Tensor offsets_;  // (V): ln(K Pn), and ln V more for NCE
  HuffmanTree tree_;
};

/// The cosine between each row of a table and a vector.   table (V, D), vector (D) -> (V)
Tensor cosines(const Tensor& table, const Tensor& vector);

}  // namespace cotangent::zoo
