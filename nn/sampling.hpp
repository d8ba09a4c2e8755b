#pragma once
// Drawing the next token from the scores that a model gives to all of them, and writing token by token.
#include <cotangent/tensor/random.hpp>

namespace cotangent::nn {

/// Applied in this order:
struct SamplingOptions {
  double temperature = 1;  ///< divides the logits: below 1 likely tokens win more often; 0 takes the likeliest (greedy)
  int64_t top_k = 0;       ///< only the k likeliest; 0 for all
  double top_p = 1;        ///< only the likeliest that together have this probability (nucleus; Holtzman et al. 2020)
};

/// The probabilities that sample() draws by: softmax(logits / temperature) over the tokens that are kept, and 0 for the
/// others. The nucleus is the smallest set of the likeliest whose probability, among the top k, is top_p or more; one
/// token is always kept. Of equal logits the first comes first, so that greedy, top_k = 1 and top_p near 0 all give the
/// argmax.
///   logits (V) or (B, V), floating; -infinity forbids a token -> the same shape, float64
/// A ValueError for a temperature below 0, a top_k below 0, a top_p outside (0, 1], and logits that are NaN, +infinity
/// or all -infinity; a ShapeError for another rank, or without tokens.
Tensor sampling_probabilities(const Tensor& logits, const SamplingOptions& options = {});

/// One token for each row.   logits (V) or (B, V) -> () or (B), int64
Tensor sample(const Tensor& logits, const SamplingOptions& options = {}, Generator& generator = default_generator());

namespace detail {
Tensor generate(Tensor (*step)(void* function, const Tensor& tokens), void* function, const Tensor& prompt,
                int64_t count, const SamplingOptions& options, Generator& generator);
}  // namespace detail

/// Continues a prompt by `count` tokens, each drawn from the logits behind the one before it.
///   step(tokens (B, t)) -> logits (B, t, V);   prompt (B, T) -> (B, T + count)
/// `step` is called with the prompt, and then with each token that was drawn but the last; it remembers what came
/// before (a key/value cache). Without a cache it joins the tokens itself and gives the logits of all, which costs T
/// times as much and gives the same. Nothing is recorded.
///
///     nn::StreamState state = model.start(1);
///     Tensor text = nn::generate([&](const Tensor& tokens) { return model.step(tokens, state); }, prompt, 200);
///
/// A ShapeError for a prompt that is empty or not (B, T), and for logits of another shape.
template <class Step>
Tensor generate(Step&& step, const Tensor& prompt, int64_t count, const SamplingOptions& options = {},
                Generator& generator = default_generator()) {
  auto call = [&step](const Tensor& tokens) -> Tensor { return step(tokens); };
  return detail::generate([](void* f, const Tensor& tokens) { return (*static_cast<decltype(call)*>(f))(tokens); },
                          &call, prompt, count, options, generator);
}

}  // namespace cotangent::nn
