#pragma once
// The neural probabilistic language model: an n-gram model whose words are vectors, so that what it learns of one word
// also holds for similar words.
//
//     zoo::NPLM model(vocabulary.size(), {.order = 5});
//     Tensor loss = cross_entropy(model(x), y);  // x (B, 4) the tokens before, y (B)
#include <cotangent/nn/module.hpp>

namespace cotangent::zoo {

struct NPLMOptions {
  int64_t order = 5;    ///< n: a token is predicted from the n - 1 before it
  int64_t width = 60;   ///< m, the width of a word's vector; the paper takes 30 to 100
  int64_t hidden = 50;  ///< h, the number of tanh units; the paper takes 50 to 100, and 0 for a linear model
  bool direct = false;  ///< whether the vectors also reach the output directly, by W
  Dtype dtype = default_dtype();
};

/// x = [C(w_(t-1)); ..; C(w_(t-n+1))],   y = b + W x + U tanh(d + H x),   P(w_t) = softmax(y)
///   tokens (..., n - 1), the oldest first -> y (..., vocabulary)
/// Only the rows of C whose tokens are looked up get a gradient other than 0. Without direct connections and hidden
/// units y is b, and the best b is the logarithm of the tokens' frequencies.
///
/// At the start C is standard normal, b is 0, and H with d, U and W are uniform in +-1/sqrt(n), for the n inputs of
/// each: (order - 1) m, h and (order - 1) m. The paper trains by stochastic gradient descent at the rate 1e-3 / (1 + r
/// t), with a weight decay of 1e-4 of all but the biases. A ValueError for sizes out of range, a ShapeError for another
/// number of tokens. Bengio, Ducharme, Vincent and Jauvin, "A neural probabilistic language model", JMLR 3, 2003.
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
