#include <cotangent/zoo/ngram.hpp>

#include <cmath>
#include <numeric>

#include <catch2/catch.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/softmax.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/random.hpp>
#include <cotangent/tests/values.hpp>

#include "../json.hpp"

using namespace cotangent;
using Catch::Contains;
using zoo::NGram;
using zoo::Smoothing;

namespace {

using Tokens = std::vector<int64_t>;

Tensor ids(const Tokens& tokens) { return from_vector(tokens, {static_cast<int64_t>(tokens.size())}); }

constexpr const char* kSmoothingNames[] = {
    "none", "add_k", "interpolation", "absolute", "kneser_ney", "modified_kneser_ney", "katz"};
constexpr Smoothing kSmoothings[] = {Smoothing::none,     Smoothing::add_k,      Smoothing::interpolation,
                                     Smoothing::absolute, Smoothing::kneser_ney, Smoothing::modified_kneser_ney,
                                     Smoothing::katz};

/// A text of sentences over 8 tokens, of which the last never comes.
Tensor sentences(int64_t length, uint64_t seed) {
  Generator generator(seed);
  const Tensor x = multinomial(tensor({2.0, 5.0, 3.0, 2.0, 1.0, 0.3, 0.1}), length, true, generator);
  x[0].fill_(0);
  x[length - 1].fill_(0);
  return x;
}

}  // namespace

TEST_CASE("NGram: what it says is what dictionaries of n-grams and NLTK say") {
  const Json reference("ngram.json");
  const auto train = reference["train"].get<Tokens>();
  for (const Json test : reference["cases"]) {
    const auto name = test["smoothing"].get<std::string>();
    zoo::NGramOptions options{.order = reference["order"], .boundary = reference["boundary"].get<int64_t>()};
    for (size_t i = 0; i < std::size(kSmoothings); ++i)
      if (name == kSmoothingNames[i]) options.smoothing = kSmoothings[i];
    options.k = test.value("k", 1.0);
    if (test.contains("weights")) options.weights = test["weights"].get<Values>();
    const bool short_text = test["text"] == "short";
    INFO(name << ", " << test["text"]);
    const NGram model(
        ids(short_text ? Tokens(train.begin(), train.begin() + reference["short"].get<int64_t>()) : train),
        reference["vocabulary"], options);
    for (size_t i = 0; i < reference["asked"].size(); ++i) {
      INFO("after " << reference["asked"][i]);
      const Tensor history = ids(reference["asked"][i].get<Tokens>());
      CHECK(close(model.probabilities(history), from_vector(test["p"][i].get<Values>(), {8}), 1e-10));
    }
    const Tensor text = ids(reference["test"].get<Tokens>());
    if (test["perplexity"].is_null()) {
      CHECK_THAT(error_of([&] { model.perplexity(text); }), Contains("has probability 0 after"));
      CHECK(max(model.surprisal(text)).item() == INFINITY);
    } else {
      CHECK(model.perplexity(text) == Approx(test["perplexity"].get<double>()).epsilon(1e-10));
      CHECK(std::exp(mean(model.surprisal(text)).item()) == Approx(model.perplexity(text)));
    }
  }
}

TEST_CASE("NGram: after every history the probabilities sum to one, and each is the exponential of minus a surprisal") {
  const Tensor text = sentences(300, 1);
  for (const Smoothing smoothing : kSmoothings)
    for (const int64_t order : {1, 2, 3, 4})
      for (const bool bounded : {true, false}) {
        INFO(kSmoothingNames[static_cast<int>(smoothing)] << ", order " << order << ", " << bounded);
        zoo::NGramOptions options{.order = order, .smoothing = smoothing};
        if (bounded) options.boundary = 0;
        const NGram model(text, 8, options);
        Generator generator(2);
        for (const int64_t length : {0, 1, 2, 3, 5, 5, 5}) {
          const Tensor history = randint(0, 8, {length}, int64, generator);
          const Tensor p = model.probabilities(history);
          CHECK(std::abs(sum(p).item() - 1) < 1e-12);
          CHECK(min(p).item() >= 0);
          if (length == 0) continue;
          for (const int64_t next : {0, 3, 7}) {
            Tokens tokens = history.to_vector<int64_t>();
            tokens.push_back(next);
            CHECK(model.surprisal(ids(tokens))[length - 1].item() == Approx(-std::log(p[next].item())));
          }
        }
      }
}

TEST_CASE("NGram: an unseen history counts as its end, and a boundary hides what is before it") {
  const Tensor text = sentences(300, 1);
  for (const Smoothing smoothing : kSmoothings) {
    if (smoothing == Smoothing::add_k) continue;
    INFO(kSmoothingNames[static_cast<int>(smoothing)]);
    const NGram model(text, 8, {.smoothing = smoothing, .boundary = 0});
    CHECK(equal(model.probabilities(tensor({7, 2})), model.probabilities(tensor({2}))));
    CHECK(equal(model.probabilities(tensor({7})), model.probabilities(ids({}))));
    CHECK(equal(model.probabilities(tensor({3, 0})), model.probabilities(tensor({0}))));
    CHECK(equal(model.probabilities(tensor({5, 1, 3, 2})), model.probabilities(tensor({3, 2}))));
    CHECK_FALSE(equal(model.probabilities(tensor({3, 2})), model.probabilities(tensor({2}))));
  }
  CHECK(
      close(NGram(text, 8, {.smoothing = Smoothing::add_k}).probabilities(tensor({7, 2})), full({8}, 0.125, float64)));
}

TEST_CASE("NGram: limits") {
  const Tensor text = sentences(300, 1);
  const NGram even(text, 8, {.smoothing = Smoothing::add_k, .k = 1e15});
  CHECK(close(even.probabilities(tensor({1, 2})), full({8}, 0.125, float64)));
  const NGram bare(text, 8, {.smoothing = Smoothing::none});
  const NGram nearly(text, 8, {.smoothing = Smoothing::add_k, .k = 1e-12});
  CHECK(close(nearly.probabilities(tensor({1, 2})), bare.probabilities(tensor({1, 2})), 1e-10));
  const NGram uncut(text, 8, {.smoothing = Smoothing::absolute, .discount = 0.0});
  CHECK(close(uncut.probabilities(tensor({1, 2})), bare.probabilities(tensor({1, 2}))));
  const Tensor often = cat(Tensors(9, tensor({0, 1, 2, 3})));  // all counts of Katz are large: one more is for the rest
  const NGram katz(often, 8, {.order = 2, .smoothing = Smoothing::katz});
  CHECK(close(katz.probabilities(tensor({1}))[2], tensor(9 / 10.0, float64)));
  const NGram longest(text, 8, {.smoothing = Smoothing::interpolation, .weights = {0, 0, 0, 1}});
  CHECK(close(longest.probabilities(tensor({1, 2})), bare.probabilities(tensor({1, 2}))));
  double before = 9;
  for (const int64_t order : {1, 2, 3, 4, 5}) {
    const double now = NGram(text, 8, {.order = order, .smoothing = Smoothing::none}).perplexity(text);
    CHECK(now < before);
    before = now;
  }
}

TEST_CASE("NGram: the smallest texts and vocabularies, and tokens that lie apart in memory") {
  const Tensor text = sentences(300, 1), wide = stack({text, text * 0}, 1);
  for (const Smoothing smoothing : kSmoothings) {
    INFO(kSmoothingNames[static_cast<int>(smoothing)]);
    for (const int64_t order : {1, 2, 64}) {
      const NGram one(zeros({2}, int64), 1, {.order = order, .smoothing = smoothing});  // of one token
      CHECK(close(one.probabilities(ids({})), ones({1}, float64)));
      CHECK(one.perplexity(zeros({5}, int64)) == Approx(1));
      const NGram bounds(zeros({4}, int64), 3, {.order = order, .smoothing = smoothing, .boundary = 0});
      for (const Tensor& history : {ids({}), tensor({0}), tensor({2, 0}), tensor({1, 1})})
        CHECK(std::abs(sum(bounds.probabilities(history)).item() - 1) < 1e-12);
      CHECK(bounds.surprisal(tensor({0})).numel() == 0);
    }
    const NGram model(text, 8, {.smoothing = smoothing}), other(wide.select(1, 0), 8, {.smoothing = smoothing});
    CHECK(equal(other.surprisal(wide.select(1, 0)), model.surprisal(text)));
  }
}

TEST_CASE("NGram: worked by hand") {
  // 0 1 2 1 2 0 with 0 between sentences: 1 after 0 and after 2, 2 after 1 twice, 0 after 2
  const Tensor text = tensor({0, 1, 2, 1, 2, 0});
  const NGram bigram(text, 3, {.order = 2, .smoothing = Smoothing::none, .boundary = 0});
  CHECK(close(bigram.probabilities(tensor({2})), tensor({0.5, 0.5, 0.0})));
  CHECK(bigram.perplexity(text) == Approx(std::pow(4, 0.2)));
  // Kneser-Ney: bigrams 01, 12 (twice), 21, 20: n1 = 3, n2 = 1, D = 3/5; tokens by different predecessors: 0 has 1,
  // 1 has 2, 2 has 1: n1 = 2, n2 = 1, D = 1/2, so P(0) = (1 - 1/2) / 4 + 3/8 / 3 = 1/4, P(1) = 3/8 + 1/8 = 1/2
  const NGram kneser(text, 3, {.order = 2, .smoothing = Smoothing::kneser_ney});
  CHECK(close(kneser.probabilities(ids({})), tensor({0.25, 0.5, 0.25})));
  CHECK(close(kneser.probabilities(tensor({1})), tensor({0.3 * 0.25, 0.3 * 0.5, 0.7 + 0.3 * 0.25}, float64)));
}

TEST_CASE("NGram: the trigram of a second-order source comes to within 2 % of its entropy, and the unigram does not") {
  Generator generator(4);
  const int64_t symbols = 6;
  const Tensor next = softmax(2 * randn({symbols * symbols, symbols}, float64, generator), 1);
  const Tensor u = rand({24000}, float64, generator);
  Tokens tokens{0, 1};
  double h = 0;  // of the last 4000, by the probabilities that they were drawn by
  for (int64_t t = 2; t < 24000; ++t) {
    const double* p = next.data<double>() + (*(tokens.end() - 2) * symbols + tokens.back()) * symbols;
    double left = u.data<double>()[t];
    int64_t token = 0;
    while (token + 1 < symbols && left >= p[token]) left -= p[token++];
    tokens.push_back(token);
    if (t >= 20000) h -= std::log(p[token]) / 4000;
  }
  const Tensor train = ids({tokens.begin(), tokens.begin() + 20000}),
               test = ids({tokens.begin() + 19998, tokens.end()});
  for (const Smoothing smoothing : kSmoothings) {
    if (smoothing == Smoothing::none) continue;
    INFO(kSmoothingNames[static_cast<int>(smoothing)]);
    zoo::NGramOptions options{.smoothing = smoothing};
    if (smoothing == Smoothing::interpolation) options.weights = {0.001, 0.001, 0.008, 0.99};
    CHECK(std::log(NGram(train, symbols, options).perplexity(test)) < 1.02 * h);
    CHECK(std::log(NGram(train, symbols, {.order = 1, .smoothing = smoothing}).perplexity(test)) > 1.3 * h);
  }
}

TEST_CASE("NGram: weights that fit what was held out") {
  const Tensor train = sentences(400, 1), held_out = sentences(200, 2);
  NGram model(train, 8, {.smoothing = Smoothing::interpolation});
  double before = model.perplexity(held_out);
  for (int i = 0; i < 5; ++i) {  // each step makes it likelier
    model.fit_weights(held_out, 1);
    CHECK(model.perplexity(held_out) < before);
    before = model.perplexity(held_out);
  }
  const Values weights = model.fit_weights(held_out, 200);
  CHECK(weights.size() == 4);
  CHECK(std::accumulate(weights.begin(), weights.end(), 0.0) == Approx(1));
  CHECK(NGram(train, 8, {.smoothing = Smoothing::interpolation, .weights = weights}).perplexity(held_out) ==
        Approx(model.perplexity(held_out)));
  const double best = model.perplexity(held_out);
  for (size_t i = 0; i < 4; ++i)  // no step to the side makes it likelier still
    for (size_t j = 0; j < 4; ++j) {
      Values moved = weights;
      const double step = std::min(1e-3, moved[i]);
      moved[i] -= step;
      moved[j] += step;
      CHECK(NGram(train, 8, {.smoothing = Smoothing::interpolation, .weights = moved}).perplexity(held_out) >=
            best - 1e-4);
    }
}

TEST_CASE("NGram: writes as it counts") {
  const Tensor text = tensor({0, 1, 2, 3, 0, 1, 2, 3, 0});
  const NGram model(text, 4, {.order = 2, .smoothing = Smoothing::none});
  Generator generator(1);
  CHECK(model.write(tensor({2}), 5, {}, generator).to_vector<int64_t>() == Tokens{2, 3, 0, 1, 2, 3});
  const NGram loose(sentences(2000, 1), 8, {.order = 2, .boundary = 0});
  const Tokens written = loose.write(ids({}), 8000, {}, generator).to_vector<int64_t>();
  CHECK(written.size() == 8000);
  Values after(8, 0);
  double total = 0;
  for (size_t t = 1; t < written.size(); ++t)
    if (written[t - 1] == 1) ++after[static_cast<size_t>(written[t])], ++total;
  for (double& share : after) share /= total;
  CHECK(close(from_vector(after, {8}), loose.probabilities(tensor({1})), 0.03));  // about 3000 times 1
}

TEST_CASE("NGram: what it cannot take") {
  const Tensor text = tensor({0, 1, 2, 1});
  CHECK_THAT(error_of([&] { NGram(tensor({0}), 3); }), Contains("1 tokens; there must be at least 2"));
  CHECK_THAT(error_of([&] { NGram(tensor({{0, 1}}), 3); }), Contains("must be (N) integers"));
  CHECK_THAT(error_of([&] { NGram(tensor({0.0, 1.0}), 3); }), Contains("must be (N) integers"));
  CHECK_THAT(error_of([&] { NGram(text, 2); }), Contains("there is no token 2; there are 2"));
  CHECK_THAT(error_of([&] { NGram(text, 0); }), Contains("a vocabulary of 0"));
  CHECK_THAT(error_of([&] { NGram(text, 3, {.order = 0}); }), Contains("order 0"));
  CHECK_THAT(error_of([&] { NGram(text, 3, {.k = 0}); }), Contains("k is 0"));
  CHECK_THAT(error_of([&] { NGram(text, 3, {.k = NAN}); }), Contains("k is nan"));
  CHECK_THAT(error_of([&] { NGram(text, 3, {.k = 1e308}); }), Contains("finite times 3 tokens"));
  CHECK_THAT(error_of([&] { NGram(text, 3, {.weights = {0.5, 0.5}}); }), Contains("there must be 4"));
  CHECK_THAT(error_of([&] { NGram(text, 3, {.weights = {1.5, -0.5, 0, 0}}); }), Contains("and sum to 1"));
  CHECK_THAT(error_of([&] { NGram(text, 3, {.discount = 1.0}); }), Contains("a discount of 1"));
  CHECK_THAT(error_of([&] { NGram(text, 3, {.boundary = 3}); }), Contains("the boundary is token 3"));
  NGram model(text, 3, {.order = 2, .smoothing = Smoothing::none});
  CHECK_THAT(error_of([&] { model.probabilities(tensor({3})); }), Contains("there is no token 3"));
  CHECK_THAT(error_of([&] { model.perplexity(tensor({1})); }), Contains("at least 2"));
  CHECK_THAT(error_of([&] {
               model.perplexity(tensor({0, 1, 2, 2}));
             }),
             Contains("[perplexity] token 2 at 3 has probability 0 after 2") && Contains("Smoothing::none"));
  CHECK_THAT(error_of([&] { model.fit_weights(text); }), Contains("only Smoothing::interpolation"));
  CHECK_THAT(error_of([&] { model.write(text, -1); }), Contains("-1 tokens"));
  CHECK_THAT(error_of([&] { NGram(text, 3, {.discount = NAN}); }), Contains("a discount of nan"));
  CHECK_THAT(error_of([&] { NGram(text, 3, {.discount = -0.1}); }), Contains("a discount of -0.1"));
  CHECK_THAT(error_of([&] { NGram(text, 3, {.weights = {NAN, 0, 0, 1}}); }), Contains("and sum to 1"));
  NGram mixed(text, 3, {.order = 2, .smoothing = Smoothing::interpolation});
  CHECK_THAT(error_of([&] { mixed.fit_weights(text, -1); }), Contains("-1 steps"));
}
