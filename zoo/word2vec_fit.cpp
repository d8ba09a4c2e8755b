// word2vec's own way to train: an example at a time, in closed form.
#include <cmath>

#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/zoo/word2vec.hpp>

namespace cotangent::zoo {
namespace {

constexpr int64_t kExamples = 4096;  // so many are collected before their steps are taken

/// Random numbers, uniform in [0, 1), one after the other.
class Uniforms {
 public:
  explicit Uniforms(Generator& generator) : generator_(generator) {}
  double operator()() {
    if (at_ == block_.numel()) {
      block_ = rand({1 << 14}, float64, generator_);
      at_ = 0;
    }
    return block_.data<double>()[at_++];
  }

 private:
  Generator& generator_;
  Tensor block_ = empty({0}, float64);
  int64_t at_ = 0;
};

void check(const Word2VecFit& o) {
  if (o.window < 1 || o.epochs < 1)
    fail<ValueError>("[fit] a window of {} and {} epochs; both must be at least 1", o.window, o.epochs);
  if (!(o.threshold > 0)) fail<ValueError>("[fit] the threshold t is {}; it must be above 0", o.threshold);
  if (o.rate && !(*o.rate > 0 && *o.rate < INFINITY))
    fail<ValueError>("[fit] the rate is {}; it must be above 0", *o.rate);
}

int64_t checked_token(const char* who, int64_t token, int64_t vocabulary) {
  if (token < 0 || token >= vocabulary)
    fail<IndexError>("[{}] there is no token {}; there are {}, counted from 0", who, token, vocabulary);
  return token;
}

using Ids = std::vector<int64_t>;
Ids listed(const char* who, const Tensor& tokens) {
  if (tokens.is_floating()) fail<DTypeError>("[{}] tokens are {}; they must be int64", who, tokens.dtype());
  return tokens.to_vector<int64_t>();
}

}  // namespace

Tensor keep_probabilities(const Tensor& counts, Subsampling rule, double t) {
  if (!(t > 0)) fail<ValueError>("[keep_probabilities] t is {}; it must be above 0", t);
  const Tensor c = counts.detach().to(float64), f = c / sum(c);
  if (!all(c >= 0).item<bool>() || !(sum(c).item() < INFINITY))
    fail<ValueError>("[keep_probabilities] counts that are negative or not finite");
  Tensor keep = rule == Subsampling::none    ? ones_like(f)
                : rule == Subsampling::paper ? sqrt(t / f)
                                             : (sqrt(f / t) + 1) * (t / f);
  return where(f > 0, clamp(keep, 0, 1), 1.0);
}

void Word2Vec::add_outputs(raw::LogisticExamples& e, int64_t target, const int64_t* negatives) const {
  if (options.loss == Word2VecLoss::hierarchical_softmax) {
    const int64_t longest = tree_.nodes.size(1);
    for (int64_t j = target * longest; j < (target + 1) * longest && tree_.turns.data<double>()[j] != 0; ++j) {
      e.outputs.push_back(tree_.nodes.data<int64_t>()[j]);
      e.signs.push_back(tree_.turns.data<double>()[j]);
    }
  } else {
    e.outputs.push_back(target);
    e.signs.push_back(1);
    for (int64_t j = 0; j < options.negatives; ++j) {
      e.outputs.push_back(negatives[j]);
      e.signs.push_back(-1);
    }
    if (options.loss == Word2VecLoss::nce)
      for (size_t j = e.offsets.size(); j < e.outputs.size(); ++j)
        e.offsets.push_back(offsets_.data<double>()[e.outputs[j]]);
  }
  e.output_ends.push_back(static_cast<int64_t>(e.outputs.size()));
}

double Word2Vec::step(const Tensor& context, const Tensor& target, const Tensor& negatives, double rate) {
  const bool draws = options.loss != Word2VecLoss::hierarchical_softmax;
  const int64_t rows = target.numel(), vocabulary = in.size(0);
  if (context.rank() != 2 || context.size(0) != rows || target.rank() != 1 ||
      (draws && (!negatives.defined() || negatives.shape() != Shape{rows, options.negatives})))
    fail<ShapeError>("[step] a context {}, targets {} and negatives {}; they must be (B, C), (B) and (B, {})",
                     context.shape(), target.shape(), negatives.defined() ? negatives.shape() : Shape{},
                     options.negatives);
  if (!std::isfinite(rate)) fail<ValueError>("[step] the rate is {}; it must be finite", rate);
  const Ids inputs = listed("step", context), targets = listed("step", target),
            noise = draws ? listed("step", negatives) : Ids();
  for (const int64_t token : noise) checked_token("step", token, vocabulary);
  raw::LogisticExamples e;
  for (int64_t i = 0; i < rows; ++i) {
    const size_t before = e.inputs.size();
    for (int64_t j = i * context.size(1); j < (i + 1) * context.size(1); ++j)
      if (const int64_t token = inputs[static_cast<size_t>(j)]; token != -1)
        e.inputs.push_back(checked_token("step", token, vocabulary));
    if (e.inputs.size() == before)
      fail<ValueError>("[step] row {} of the context has no token; at least one must not be -1", i);
    e.input_ends.push_back(static_cast<int64_t>(e.inputs.size()));
    add_outputs(e, checked_token("step", targets[static_cast<size_t>(i)], vocabulary),
                noise.data() + (draws ? i * options.negatives : 0));
    e.rates.push_back(rate);
  }
  return raw::logistic_steps(in.detach(), out.detach(), e);
}

double Word2Vec::fit(const Tensor& tokens, const Word2VecFit& o, Generator& generator) {
  check(o);
  if (tokens.rank() != 1) fail<ShapeError>("[fit] tokens {}; they must be (N)", tokens.shape());
  const int64_t vocabulary = in.size(0);
  const Ids text = listed("fit", tokens);
  std::vector<double> counts(static_cast<size_t>(vocabulary), 0);
  for (const int64_t token : text) {
    checked_token("fit", token, vocabulary);
    if (token != o.boundary) ++counts[static_cast<size_t>(token)];
  }
  const std::vector<double> keep =
      keep_probabilities(from_vector(counts, {vocabulary}), o.subsampling, o.threshold).to_vector<double>();
  const double start = o.rate.value_or(o.cbow ? 0.05 : 0.025);

  Uniforms uniform(generator);
  raw::LogisticExamples examples;
  std::vector<int64_t> negatives(static_cast<size_t>(options.negatives));
  const bool draws = options.loss != Word2VecLoss::hierarchical_softmax;
  double sum = 0;
  int64_t count = 0;
  const auto take_steps = [&] {
    sum += raw::logistic_steps(in.detach(), out.detach(), examples) * static_cast<double>(examples.size());
    count += examples.size();
    examples.clear();
  };
  std::vector<int64_t> kept;
  for (int64_t epoch = 0; epoch < o.epochs; ++epoch) {
    kept.clear();
    for (const int64_t token : text)
      if (token == o.boundary || uniform() < keep[static_cast<size_t>(token)]) kept.push_back(token);
    sum = 0;
    count = 0;
    const auto n = static_cast<int64_t>(kept.size());
    const auto at = [&](int64_t t) { return kept[static_cast<size_t>(t)]; };
    for (int64_t t = 0; t < n; ++t) {
      if (at(t) == o.boundary) continue;
      const double done = (static_cast<double>(epoch) + static_cast<double>(t) / static_cast<double>(n)) /
                          static_cast<double>(o.epochs);
      const double rate = start * std::max(1 - done, 1e-4);
      const auto window = 1 + static_cast<int64_t>(uniform() * static_cast<double>(o.window));
      int64_t first = t, end = t + 1;
      while (first > 0 && first > t - window && at(first - 1) != o.boundary) --first;
      while (end < n && end <= t + window && at(end) != o.boundary) ++end;
      const auto add = [&](int64_t target) {
        if (draws)
          for (int64_t& token : negatives) token = noise_.at(uniform());
        add_outputs(examples, target, negatives.data());
        examples.input_ends.push_back(static_cast<int64_t>(examples.inputs.size()));
        examples.rates.push_back(rate);
      };
      for (int64_t j = first; j < end; ++j) {
        if (j == t) continue;
        examples.inputs.push_back(o.cbow ? at(j) : at(t));
        if (!o.cbow) add(at(j));
      }
      if (o.cbow && end - first > 1) add(at(t));
      if (examples.size() >= kExamples) take_steps();
    }
    take_steps();
  }
  return count > 0 ? sum / static_cast<double>(count) : 0;
}

}  // namespace cotangent::zoo
