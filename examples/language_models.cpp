// What comes next? Models that count and a model with vectors of words, beside the entropy that nobody can beat:
//
//     markov   6 symbols, of which the next depends on the last two. The trigram is all that there is to know
//     classes  300 words in 12 classes. The next class depends on the last two; its words are interchangeable. 90,000
//              pairs of words are too many to count, but of like words NPLM learns like vectors
//     text     Debian's fortunes, or a file, word by word
//
// Numbers are the mean surprisal of the next token in nats (-ln of the probability that it was given), over a part of
// the text that no model has seen.
#include <algorithm>
#include <cmath>
#include <cotangent/cotangent.hpp>
#include <cotangent/zoo.hpp>
#include <cstdio>
#include <string>
#include <vector>

#include "common/command_line.hpp"
#include "common/markov.hpp"

namespace ct = cotangent;
namespace zoo = cotangent::zoo;
using ct::Tensor;
using zoo::Smoothing;

constexpr int64_t kPiece = 500;  // of a text of a source

struct Texts {
  Tensor train, held_out, test;  // tokens
  int64_t vocabulary;
  std::optional<int64_t> boundary = {};
};

const std::vector<std::pair<const char*, Smoothing>> kSmoothings{
    {"add 1", Smoothing::add_k},
    {"interpolation", Smoothing::interpolation},
    {"absolute discounting", Smoothing::absolute},
    {"Katz", Smoothing::katz},
    {"Kneser-Ney", Smoothing::kneser_ney},
    {"modified Kneser-Ney", Smoothing::modified_kneser_ney}};

/// A row for each smoothing, a column for each order.
void show_counts(const Texts& t, int64_t orders) {
  std::printf("  %-22s", "nats; by order");
  for (int64_t order = 1; order <= orders; ++order) std::printf("%8lld", static_cast<long long>(order));
  std::printf("\n");
  for (const auto& [name, smoothing] : kSmoothings) {
    std::printf("  %-22s", name);
    for (int64_t order = 1; order <= orders; ++order) {
      zoo::NGram model(t.train, t.vocabulary, {.order = order, .smoothing = smoothing, .boundary = t.boundary});
      if (smoothing == Smoothing::interpolation) model.fit_weights(t.held_out, 20);
      std::printf("%8.3f", std::log(model.perplexity(t.test)));
      std::fflush(stdout);
    }
    std::printf("\n");
  }
}

/// The mean surprisal of a model at the places of a text.
double surprisal(zoo::NPLM& model, const Tensor& tokens) {
  const ct::NoGrad guard;
  const ct::data::TextDataset places(tokens, model.order - 1);
  ct::data::DataLoader loader(places, {.batch_size = 512, .workers = 0});
  double sum = 0;
  for (const auto& [x, y] : loader)
    sum += ct::cross_entropy(model(x), y.select(1, -1), {.reduction = ct::Reduction::sum}).item();
  return sum / static_cast<double>(places.size());
}

void train(zoo::NPLM& model, const Texts& t, int64_t steps, int64_t batch_size) {
  const ct::data::TextDataset places(t.train, model.order - 1);
  ct::optim::AdamW optimizer(model.parameters(), {.lr = 1e-2, .weight_decay = 0.1});
  for (int64_t step = 0; step < steps; ++step) {
    const auto [x, y] = ct::data::random_batch(places, batch_size, 1, static_cast<uint64_t>(step));
    const Tensor loss = ct::cross_entropy(model(x), y.select(1, -1));
    optimizer.lr() = 1e-2 * (1 - static_cast<double>(step) / static_cast<double>(steps));
    optimizer.zero_grad();
    loss.backward();
    optimizer.step();
    if (step % 100 == 0) check_loss(loss.item(), step);
  }
}

void show_nplm(const Texts& t, const zoo::NPLMOptions& options, int64_t steps, int64_t batch_size) {
  ct::manual_seed(1);
  zoo::NPLM model(t.vocabulary, options);
  train(model, t, steps, batch_size);
  std::printf("  NPLM of order %lld%s  %.3f\n", static_cast<long long>(options.order), options.direct ? ", direct" : "",
              surprisal(model, t.test));
  std::fflush(stdout);
}

/// Three texts of a source, the first of about so many tokens: pieces one after the other.
template <class Draw>
Texts drawn(int64_t tokens, int64_t vocabulary, Draw draw) {
  const int64_t pieces = std::max<int64_t>(tokens / kPiece, 1), fewer = std::max<int64_t>(pieces / 3, 1);
  return {draw(pieces), draw(fewer), draw(fewer), vocabulary};
}

void show_markov(int64_t tokens, int64_t steps) {
  constexpr int64_t symbols = 6;
  const MarkovSource source(symbols, 1);
  ct::Generator generator(1);
  double sum = 0;  // of the last text
  const Texts t = drawn(tokens, symbols, [&](int64_t pieces) {
    const Tensor x = source.draw(pieces, kPiece, generator);
    sum = source.surprisal(x).mean().item();
    return x.flatten();
  });
  std::printf("markov: entropy %.3f; of those who know one symbol %.3f, none %.3f; of the text that is tested %.3f\n",
              source.entropy_rate(), source.entropy_after_one(), source.entropy_of_one(), sum);
  show_counts(t, 4);
  show_nplm(t, {.order = 3, .width = 8, .hidden = 64}, steps, 512);
}

void show_classes(int64_t tokens, int64_t steps) {
  constexpr int64_t classes = 12, words = 25;
  const MarkovSource source(classes, 2);
  ct::Generator generator(2);
  const Texts t = drawn(tokens, classes * words, [&](int64_t pieces) {
    const Tensor c = source.draw(pieces, kPiece, generator);
    return (c * words + ct::randint(0, words, c.shape(), ct::int64, generator)).flatten();
  });
  const double choice = std::log(static_cast<double>(words));
  std::printf("classes: entropy %.3f, of which %.3f is the choice of a word\n", source.entropy_rate() + choice, choice);
  show_counts(t, 3);
  show_nplm(t, {.order = 3, .width = 16, .hidden = 128}, steps, 512);
}

struct Settings {
  std::string text;
  int64_t tokens = 100000, steps = 3000, text_steps = 0, min_count = 5;
};

void show_text(const Settings& s, const std::string& text) {
  using ct::data::WordVocabulary;
  const WordVocabulary vocabulary(text, s.min_count);
  const Tensor tokens = vocabulary.encode(text);
  const int64_t rest = tokens.numel() / 20, train = tokens.numel() - 2 * rest;
  const Texts t{tokens.narrow(0, 0, train), tokens.narrow(0, train, rest), tokens.narrow(0, train + rest, rest),
                vocabulary.size(), WordVocabulary::boundary};
  std::printf("text: %lld tokens, %lld of them different\n", static_cast<long long>(tokens.numel()),
              static_cast<long long>(vocabulary.size()));
  show_counts(t, 5);
  const zoo::NGram model(t.train, t.vocabulary, {.order = 4, .boundary = t.boundary});
  ct::manual_seed(1);
  std::printf("  Kneser-Ney writes: %s\n", vocabulary.decode(model.write(ct::tensor({0}), 40)).c_str());
  if (s.text_steps > 0)
    for (const bool direct : {false, true}) show_nplm(t, {.direct = direct}, s.text_steps, 256);
}

int main(int argc, char** argv) {
  Settings s;
  CommandLine options("language_models", "Compares models that count words, and one that learns vectors of them.", 1);
  options.add("--tokens", s.tokens, "Tokens to learn from, of each of the two made-up sources", kPositive);
  options.add("--steps", s.steps, "Steps of NPLM's training on each of these sources", kPositive);
  options.group("The text");
  options.add("--text", s.text, "A file instead of Debian's fortunes");
  options.add("--text-steps", s.text_steps,
              "Steps of NPLM's training on the text, with and without direct connections; 0 leaves it out",
              kNotNegative);
  options.add("--min-count", s.min_count, "Rarer words count as one, the unknown", kPositive);
  return options.run(argc, argv, [&] {
    const std::string text = s.text.empty() ? ct::data::read_fortunes() : ct::data::read_text(s.text);
    show_markov(s.tokens, s.steps);
    show_classes(s.tokens, s.steps);
    show_text(s, text);
  });
}
