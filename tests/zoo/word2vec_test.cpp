#include <cotangent/zoo/word2vec.hpp>

#include <cmath>

#include <catch2/catch.hpp>
#include <cotangent/autograd/engine.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/nn/gradcheck.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tests/values.hpp>

#include "../check_gradients.hpp"
#include "../json.hpp"
#include "../nn/check_precisions.hpp"
#include "../nn/names.hpp"

using namespace cotangent;
using Catch::Contains;
using zoo::Subsampling;
using zoo::Word2Vec;
using zoo::Word2VecLoss;

namespace {

constexpr Word2VecLoss kLosses[] = {Word2VecLoss::negative_sampling, Word2VecLoss::nce,
                                    Word2VecLoss::hierarchical_softmax};

/// A model in float64 whose vectors are no longer those of the start.
Word2Vec moved(const Tensor& counts, Word2VecLoss loss, int64_t width = 4, int64_t negatives = 3) {
  Word2Vec model(counts, {.width = width, .loss = loss, .negatives = negatives, .dtype = float64});
  Generator generator(5);
  for (Tensor p : model.parameters()) normal_(p, 0, 1, generator);
  return model;
}

}  // namespace

TEST_CASE("Word2Vec: the losses and gradients are those of PyTorch, and a step is one of gradient descent") {
  const Json reference("word2vec.json");
  const Tensor context = unpacked<int64_t>(reference["context"]), target = unpacked<int64_t>(reference["target"]),
               negatives = unpacked<int64_t>(reference["negatives"]),
               counts = from_vector(reference["counts"].get<Values>(), {6});
  for (size_t i = 0; i < std::size(kLosses); ++i) {
    const Json test = reference["cases"][i];
    INFO(zoo::name(kLosses[i]));
    CHECK(test["loss"] == zoo::name(kLosses[i]));
    Word2Vec model = moved(counts, kLosses[i], reference["width"], reference["negatives_each"]);
    model.in.detach().copy_(unpacked(test["in"]));
    model.out.detach().copy_(unpacked(test["out"]));
    const Tensor loss = model.loss(context, target, negatives);
    CHECK(loss.item() == Approx(test["value"].get<double>()).epsilon(1e-11));
    loss.backward();
    CHECK(close(model.in.grad(), unpacked(test["din"]), 1e-11));
    CHECK(close(model.out.grad(), unpacked(test["dout"]), 1e-11));

    for (int64_t row = 0; row < 3; ++row) {  // in closed form, also where a token comes twice
      const Tensor c = context.narrow(0, row, 1), t = target.narrow(0, row, 1), n = negatives.narrow(0, row, 1);
      Word2Vec other = model.clone();
      model.zero_grad();
      const Tensor own = model.loss(c, t, n);
      own.backward();
      CHECK(other.step(c, t, n, 0.3) == Approx(own.item()));
      CHECK(close(other.in, model.in - 0.3 * model.in.grad()));
      CHECK(close(other.out, model.out - 0.3 * model.out.grad()));
    }
  }
}

TEST_CASE("Word2Vec: gradients, dtypes and keys") {
  manual_seed(1);
  const Tensor counts = tensor({9, 5, 3, 2, 1}), context = tensor({{0, 3}, {2, -1}, {1, 1}}),
               target = tensor({4, 0, 2});
  for (const Word2VecLoss loss : kLosses) {
    INFO(zoo::name(loss));
    const Word2Vec model = moved(counts, loss, 2, 2);
    CHECK_THAT(gradcheck(model, {context, target}), GradientsAreRight());
    check_precisions(model, {1}, [&](Word2Vec& m, const Tensor& x) { return m(context, target) * x; });
    CHECK(keys(model) == Names{"in", "out"});
    const Word2Vec fresh(counts, {.width = 50, .loss = loss});
    CHECK(max(abs(fresh.in)).item() <= 0.01);
    CHECK(max(abs(fresh.in)).item() > 0.009);
    CHECK(max(abs(fresh.out)).item() == 0);
    CHECK(fresh.out.size(0) == (loss == Word2VecLoss::hierarchical_softmax ? 4 : 5));
  }
}

TEST_CASE("Word2Vec: the hierarchical softmax is a distribution, whose loss is its logarithm") {
  const Word2Vec model = moved(tensor({20, 9, 9, 5, 3, 2, 1, 0}), Word2VecLoss::hierarchical_softmax);
  const Tensor context = tensor({{0, 3}, {2, -1}, {7, 1}});
  const Tensor p = model.log_probabilities(context);
  CHECK(p.shape() == Shape{3, 8});
  CHECK(close(sum(exp(p), 1), ones({3}, float64)));
  double sum = 0;
  for (int64_t row = 0; row < 3; ++row) sum -= p[row][row + 4].item() / 3;
  CHECK(model.loss(context, tensor({4, 5, 6}), {}).item() == Approx(sum));
}

TEST_CASE("Word2Vec: where negative sampling and NCE are best") {
  // Tokens 0 to 3 in pairs (c, o), of which row c of the table says how many there are. The noise is 1/2, 1/4, 1/8,
  // 1/8, and 8 negatives in exactly these proportions give the expected gradient.
  const Tensor pairs = tensor({{3, 1, 2, 2}, {1, 4, 1, 2}, {2, 2, 3, 1}, {1, 1, 1, 5}}, float64);
  std::vector<int64_t> c, o, n;
  for (int64_t i = 0; i < 4; ++i)
    for (int64_t j = 0; j < 4; ++j)
      for (int k = 0; k < pairs[i][j].item(); ++k) {
        c.push_back(i), o.push_back(j);
        for (const int64_t noise : {0, 0, 0, 0, 1, 1, 2, 3}) n.push_back(noise);
      }
  const auto count = static_cast<int64_t>(c.size());
  const Tensor context = from_vector(c, {count, 1}), target = from_vector(o, {count}),
               noise = from_vector(n, {count, 8});
  const Tensor best = log(pairs / sum(pairs, 1, true)), pn = tensor({0.5, 0.25, 0.125, 0.125}, float64);
  for (const Word2VecLoss loss : {Word2VecLoss::negative_sampling, Word2VecLoss::nce}) {
    Word2Vec model(tensor({4, 2, 1, 1}), {.width = 4, .loss = loss, .negatives = 8, .power = 1, .dtype = float64});
    const bool nce = loss == Word2VecLoss::nce;  // v = unit vectors, so that u_o . v_c is out[o][c]
    const Tensor scores = nce ? best + std::log(4.0) : best - log(8 * pn);
    model.in.detach().copy_(eye(4, 4, float64));
    model.out.detach().copy_(scores.transpose(0, 1));
    model.loss(context, target, noise).backward();
    CHECK(max(abs(model.out.grad())).item() < 1e-15);
    CHECK(max(abs(model.in.grad())).item() < 1e-15);
    CHECK(close(model.log_probabilities(arange(4).unsqueeze(1)), best));
    // with noise as frequent as the tokens, the scores of negative sampling are PMI - ln K
    if (!nce) {
      const Tensor joint = pairs / sum(pairs), outer = sum(joint, 1, true) * pn;
      CHECK(close(scores, log(joint / outer) - std::log(8.0)));
    }
    model.out.detach()[0][0].fill_(scores[0][0].item() + 0.1);
    model.zero_grad();
    model.loss(context, target, noise).backward();
    CHECK(max(abs(model.out.grad())).item() > 1e-3);
  }
}

TEST_CASE("Word2Vec: the noise comes as often as f^0.75 says") {
  const Tensor counts = tensor({1000.0, 100.0, 10.0, 1.0, 0.0}, float64);
  const Word2Vec model(counts, {.negatives = 10});
  Generator generator(1);
  const Tensor drawn = model.draw_negatives(20000, generator), p = pow(counts, 0.75) / sum(pow(counts, 0.75));
  CHECK(drawn.shape() == Shape{20000, 10});
  for (int64_t token = 0; token < 5; ++token) {
    const double q = p[token].item(), found = (drawn == token).to(float64).mean().item();
    CHECK(std::abs(found - q) <= 4 * std::sqrt(q * (1 - q) / 200000));
  }
}

TEST_CASE("Word2Vec: what subsampling keeps") {
  const Tensor counts = tensor({9890, 100, 10, 0});
  CHECK(equal(keep_probabilities(counts, Subsampling::none, 1e-3), ones({4}, float64)));
  CHECK(close(keep_probabilities(counts, Subsampling::paper, 1e-3),
              tensor({std::sqrt(1e-3 / 0.989), std::sqrt(0.1), 1.0, 1.0}, float64)));
  CHECK(close(keep_probabilities(counts, Subsampling::code, 1e-3),
              tensor({(std::sqrt(989.0) + 1) / 989, (std::sqrt(10.0) + 1) / 10, 1.0, 1.0}, float64)));
}

TEST_CASE("Word2Vec: fit takes the steps of a loop over windows of one") {
  const Tensor text = tensor({0, 1, 2, 3, 1, 0, 2, 2, 1, 0}), counts = tensor({0, 3, 3, 1});  // sentences between zeros
  for (const bool cbow : {false, true}) {
    Word2Vec model = moved(counts, Word2VecLoss::hierarchical_softmax), other = model.clone();
    const zoo::Word2VecFit options{
        .cbow = cbow, .window = 1, .epochs = 2, .subsampling = Subsampling::none, .boundary = 0};
    const double loss = model.fit(text, options);
    double first = 0;
    for (int epoch = 0; epoch < 2; ++epoch)
      for (int t = 0; t < 10; ++t) {
        const auto at = [&](int i) { return i < 0 || i > 9 ? 0 : text[i].item<int64_t>(); };
        if (at(t) == 0) continue;
        const double rate = (cbow ? 0.05 : 0.025) * (1 - (epoch + t / 10.0) / 2);
        std::vector<int64_t> around;
        for (const int64_t i : {at(t - 1), at(t + 1)})
          if (i != 0) around.push_back(i);
        const auto step = [&](const std::vector<int64_t>& context, int64_t target) {
          const Tensor c = from_vector(context, {1, static_cast<int64_t>(context.size())});
          const double now = other.step(c, tensor({target}), {}, rate);
          if (epoch == 1 && first == 0) first = now;
        };
        if (cbow) step(around, at(t));
        for (const int64_t token : around)
          if (!cbow) step({at(t)}, token);
      }
    CHECK(close(model.in, other.in));
    CHECK(close(model.out, other.out));
    CHECK(loss == Approx(first));  // of the first of 16
  }
  // At the end the rate does not fall below 1e-4 of the first, which only long texts reach.
  std::vector<int64_t> late(200'000, 0);
  late.push_back(1), late.push_back(2);
  Word2Vec model = moved(counts, Word2VecLoss::hierarchical_softmax), other = model.clone();
  model.fit(from_vector(late, {static_cast<int64_t>(late.size())}),
            {.window = 1, .epochs = 1, .subsampling = Subsampling::none, .rate = 1.0, .boundary = 0});
  other.step(tensor({{1}}), tensor({2}), {}, 1e-4);
  other.step(tensor({{2}}), tensor({1}), {}, 1e-4);
  CHECK(close(model.in, other.in, 1e-12));
  CHECK(close(model.out, other.out, 1e-12));
}

TEST_CASE("Word2Vec: fit draws the tokens that it keeps, its windows and its noise as its contract says") {
  // The same by a loop over the random numbers. A pass takes one for each token that it may leave out, then one for the
  // window of each token, and K for the noise of each example.
  const std::vector<int64_t> text{0, 1, 2, 1, 1, 3, 1, 4, 1, 2, 0, 1, 1, 5, 1, 3, 2, 1, 0, 4, 1, 1, 2, 1, 5, 1, 0};
  const auto size = static_cast<int64_t>(text.size());
  const Tensor counts = tensor({0, 13, 4, 2, 2, 2});
  const auto keep = keep_probabilities(counts, Subsampling::paper, 0.05).to_vector<double>();
  const zoo::AliasTable noise(pow(counts.to(float64), 0.75));
  for (const Word2VecLoss loss : kLosses)
    for (const bool cbow : {false, true}) {
      INFO(zoo::name(loss) << (cbow ? ", CBOW" : ", skip-gram"));
      Word2Vec model = moved(counts, loss, 4, 2), other = model.clone();
      Generator generator(7), again(7);
      const Tensor numbers = rand({1 << 14}, float64, again);
      int64_t used = 0;
      const auto uniform = [&] { return numbers.data<double>()[used++]; };
      model.fit(from_vector(text, {size}),
                {.cbow = cbow,
                 .window = 3,
                 .epochs = 3,
                 .subsampling = Subsampling::paper,
                 .threshold = 0.05,
                 .rate = 0.1,
                 .boundary = 0},
                generator);
      for (int epoch = 0; epoch < 3; ++epoch) {
        std::vector<int64_t> kept;
        for (const int64_t token : text)
          if (token == 0 || uniform() < keep[static_cast<size_t>(token)]) kept.push_back(token);
        const auto n = static_cast<int64_t>(kept.size());
        CHECK(n < size);
        for (int64_t t = 0; t < n; ++t) {
          const int64_t own = kept[static_cast<size_t>(t)];
          if (own == 0) continue;
          const auto window = 1 + static_cast<int64_t>(3 * uniform());
          std::vector<int64_t> around;
          for (int64_t j = t - 1; j >= t - window && kept[static_cast<size_t>(j)] != 0; --j)
            around.insert(around.begin(), kept[static_cast<size_t>(j)]);
          for (int64_t j = t + 1; j <= t + window && kept[static_cast<size_t>(j)] != 0; ++j)
            around.push_back(kept[static_cast<size_t>(j)]);
          const auto step = [&](const std::vector<int64_t>& context, int64_t target) {
            const Tensor negatives = zeros({1, 2}, int64);
            if (loss != Word2VecLoss::hierarchical_softmax)
              for (const int64_t k : {0, 1}) negatives[0][k].fill_(static_cast<double>(noise.at(uniform())));
            other.step(from_vector(context, {1, static_cast<int64_t>(context.size())}), tensor({target}), negatives,
                       0.1 * (1 - (epoch + static_cast<double>(t) / static_cast<double>(n)) / 3));
          };
          if (cbow && !around.empty()) step(around, own);
          for (const int64_t token : around)
            if (!cbow) step({own}, token);
        }
      }
      CHECK(close(model.in, other.in));
      CHECK(close(model.out, other.out));
    }
}

TEST_CASE("Word2Vec: words of one topic come together") {
  // 4 topics of 10 words; a sentence has 8 words of one topic, each of which may be a word of any with probability 1/5
  Generator generator(1);
  const int64_t sentences = 1000, length = 8;
  const Tensor topic = randint(0, 4, {sentences, 1}, int64, generator);
  const Tensor own = topic * 10 + randint(0, 10, {sentences, length}, int64, generator);
  const Tensor words = where(rand({sentences, length}, float32, generator) < 0.2,
                             randint(0, 40, {sentences, length}, int64, generator), own);
  const Tensor text = cat({words, full({sentences, 1}, 40, int64)}, 1).flatten(), counts = ones({41}) * 300;
  const Tensor row = arange(40).unsqueeze(1), column = arange(40).unsqueeze(0);
  const Tensor same = ((row - remainder(row, 10)) == (column - remainder(column, 10))).to(float32), others = 1 - same;
  for (const Word2VecLoss loss : kLosses)
    for (const bool cbow : {false, true}) {
      INFO(zoo::name(loss) << (cbow ? ", CBOW" : ", skip-gram"));
      manual_seed(2);
      Word2Vec model(counts, {.width = 10, .loss = loss});
      const Generator::State before = default_generator().state();
      const double last = model.fit(text, {.cbow = cbow,
                                           .window = 4,
                                           .epochs = 2,
                                           .subsampling = Subsampling::none,
                                           .rate = cbow ? 0.2 : 0.05,
                                           .boundary = 40});
      CHECK(last > 0);
      const Tensor v = model.in.detach().narrow(0, 0, 40);
      Tensors rows;
      for (int64_t i = 0; i < 40; ++i) rows.push_back(zoo::cosines(v, v[i]));
      const Tensor cosine = stack(rows, 0);
      const double within = ((cosine * same).sum().item() - 40) / (40 * 9),
                   between = (cosine * others).sum().item() / 1200;
      INFO("within " << within << ", between " << between);
      CHECK(within - between > 0.5);
      if (loss != Word2VecLoss::nce || cbow) continue;
      Word2Vec again(counts, {.width = 10, .loss = loss});  // the same numbers give the same vectors
      manual_seed(2);
      again = Word2Vec(counts, {.width = 10, .loss = loss});
      CHECK(default_generator().state() == before);
      again.fit(text, {.window = 4, .epochs = 2, .subsampling = Subsampling::none, .rate = 0.05, .boundary = 40});
      CHECK(equal(again.in, model.in));
    }
}

TEST_CASE("Word2Vec: what it cannot take") {
  const Tensor counts = tensor({3, 2, 1});
  CHECK_THAT(error_of([] { Word2Vec(tensor({3})); }), Contains("of 2 tokens at least"));
  CHECK_THAT(error_of([&] { Word2Vec(counts, {.width = 0}); }), Contains("width 0"));
  CHECK_THAT(error_of([&] { Word2Vec(counts, {.negatives = 0}); }), Contains("0 negatives"));
  CHECK_THAT(error_of([&] { Word2Vec(zeros({3})); }), Contains("all 0"));
  Word2Vec model(counts);
  const Tensor text = tensor({0, 1, 2});
  CHECK_THAT(error_of([&] { model(text, text); }), Contains("they must be (B, C) and (B)"));
  CHECK_THAT(error_of([&] { model(text.unsqueeze(1).to(float32), text); }),
             Contains("tokens are float32; they must be int64"));
  CHECK_THAT(error_of([&] { model.loss(text.unsqueeze(1), text, text); }), Contains("they must be (B, K)"));
  CHECK_THAT(error_of([&] { model.step(text.unsqueeze(1), text, {}, 1); }), Contains("[step]"));
  const Tensor none = full({1, 2}, -1, int64), noise = zeros({1, 5}, int64);
  CHECK(error_of([&] { model.step(none, tensor({0}), noise, 1); }) ==
        "[step] row 0 of the context has no token; at least one must not be -1");
  CHECK(error_of([&] { model.loss(none, tensor({0}), noise); }) ==
        "[Word2Vec] a row of the context has no token; at least one must not be -1");
  CHECK_THROWS_AS(model.log_probabilities(none), ValueError);
  for (const Word2VecLoss loss : kLosses) {  // also where a table of the tree or the noise would be read beyond its end
    Word2Vec own(counts, {.loss = loss});
    const auto step = [&](int64_t context, int64_t target, int64_t negative) {
      return error_of([&] { own.step(tensor({{context}}), tensor({target}), full({1, 5}, negative, int64), 1); });
    };
    CHECK(step(3, 0, 0) == "[step] there is no token 3; there are 3, counted from 0");
    CHECK_THAT(step(-2, 0, 0), Contains("no token -2"));
    CHECK_THAT(step(0, 3, 0), Contains("no token 3"));
    CHECK_THAT(step(0, -1, 0), Contains("no token -1"));
    if (loss != Word2VecLoss::hierarchical_softmax) CHECK_THAT(step(0, 0, 1 << 20), Contains("no token 1048576"));
    CHECK_THROWS_AS(own.loss(tensor({{0}}), tensor({3}), noise), IndexError);
    CHECK_THROWS_AS(own.loss(tensor({{3}}), tensor({0}), noise), IndexError);
  }
  for (const Word2VecLoss loss : kLosses) {
    Word2Vec each(counts, {.loss = loss});
    CHECK_THAT(error_of([&] { each.step(tensor({{0.5}}), tensor({0}), noise, 1); }),
               Contains("[step] tokens are float32; they must be int64"));
    CHECK_THAT(error_of([&] { each.step(tensor({{0}}), tensor({0}), noise, NAN); }), Contains("the rate is nan"));
    CHECK(std::isnan(each.loss(zeros({0, 2}, int64), zeros({0}, int64), zeros({0, 5}, int64)).item()));  // mean of none
    CHECK(each.step(zeros({0, 2}, int64), zeros({0}, int64), zeros({0, 5}, int64), 1) == 0);
    CHECK(each.log_probabilities(zeros({0, 2}, int64)).shape() == Shape{0, 3});
    each.in.detach()[1].fill_(NAN);
    CHECK(std::isnan(each.log_probabilities(tensor({{1}}))[0][0].item()));
    CHECK(std::isnan(each.loss(tensor({{1, 0}}), tensor({0}), noise).item()));
  }
  for (const double bad : {-1.0, double{NAN}, double{INFINITY}}) {
    const Tensor wrong = tensor({3.0, bad, 1.0}, float64);
    CHECK_THAT(error_of([&] { Word2Vec{wrong}; }), Contains("[Word2Vec] counts that are negative, not finite"));
    CHECK_THAT(error_of([&] { keep_probabilities(wrong, Subsampling::paper, 1e-3); }),
               Contains("[keep_probabilities] counts that are negative or not finite"));
  }
  CHECK(equal(keep_probabilities(zeros({2}), Subsampling::code, 1e-3), ones({2}, float64)));
  CHECK(std::isnan(zoo::cosines(zeros({1, 2}), ones({2}))[0].item()));  // nothing has no direction
  CHECK(zoo::cosines(zeros({0, 2}), ones({2})).shape() == Shape{0});
  CHECK_THAT(error_of([&] { model.fit(tensor({0.5, 1.0})); }), Contains("[fit] tokens are float32"));
  CHECK_THAT(error_of([&] { model.fit(text, {.window = 0}); }), Contains("a window of 0"));
  CHECK_THAT(error_of([&] { model.fit(text, {.epochs = 0}); }), Contains("0 epochs"));
  CHECK_THAT(error_of([&] { model.fit(text, {.threshold = 0}); }), Contains("t is 0"));
  CHECK_THAT(error_of([&] { model.fit(text, {.rate = -1.0}); }), Contains("the rate is -1"));
  CHECK_THAT(error_of([&] { model.fit(text, {.rate = 0.0}); }), Contains("the rate is 0"));
  CHECK_THAT(error_of([&] { model.fit(tensor({0, 3})); }), Contains("there is no token 3"));
  CHECK(model.fit(text.narrow(0, 0, 1)) == 0);
  CHECK(model.fit(zeros({0}, int64)) == 0);
}
