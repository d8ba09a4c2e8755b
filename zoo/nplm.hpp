#pragma once
// The neural probabilistic language model: an n-gram model whose words are vectors, so that what it learns of one word
// holds for others like it.
//
//     zoo::NPLM model(vocabulary.size(), {.order = 5});
//     Tensor loss = cross_entropy(model(x), y);  // x (B, 4) the tokens before, y (B)
#include <cotangent/nn/module.hpp>

namespace cotangent::zoo {

struct NPLMOptions {
  int64_t order = 5;    ///< n: a token is told from the n - 1 before it
  int64_t width = 60;   ///< m, of a word's vector; the paper takes 30 to 100
  int64_t hidden = 50;  ///< h, tanh units; the paper takes 50 to 100, and 0 for a model that is linear in the vectors
  bool direct = false;  ///< whether the vectors reach the output directly too, by W
  Dtype dtype = default_dtype();
};

/// x = [C(w_(t-1)); ..; C(w_(t-n+1))],   y = b + W x + U tanh(d + H x),   P(w_t) = softmax(y)
///   tokens (..., n - 1), the oldest first -> y (..., vocabulary)
/// Of C, only the rows of tokens that were looked up get a gradient other than 0. Without direct and hidden units y is
/// b, and the best b is the logarithm of how often each token comes.
///
/// C starts standard normal, H and d, U and W uniform within one over the root of their inputs, b at 0. The paper
/// trains by stochastic gradient descent at the rate 1e-3 / (1 + r t), with a weight decay of 1e-4 but for the biases.
/// Bengio, Ducharme, Vincent and Jauvin, "A neural probabilistic language model", JMLR 3, 2003. A ValueError for sizes
/// out of range; a ShapeError for another number of tokens.
struct NPLM : nn::Module {
  explicit NPLM(int64_t vocabulary, const NPLMOptions& options = {});
  nn::Parameter C;     // (V, m)
  nn::Parameter H, d;  // (h, (n - 1) m), (h); undefined for no hidden units
  nn::Parameter U;     // (V, h)
  nn::Parameter W;     // (V, (n - 1) m); undefined unless direct
  nn::Parameter b;     // (V)
  int64_t order;
  COTANGENT_MODULE(C, H, d, U, W, b)

  Tensor forward(const Tensor& tokens);
  std::string settings() const override;
};

}  // namespace cotangent::zoo
