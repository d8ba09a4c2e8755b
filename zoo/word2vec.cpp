#include <cotangent/zoo/word2vec.hpp>

#include <cmath>

#include <cotangent/autograd/ops/activation.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/index.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/nn/init.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::zoo {
namespace {

Tensor noise_of(const Tensor& counts, const Word2VecOptions& o) {
  if (o.width < 1 || o.negatives < 1 || !std::isfinite(o.power))
    fail<ValueError>("[Word2Vec] width {}, {} negatives and a power of {}; there must be at least 1 of the former",
                     o.width, o.negatives, o.power);
  if (counts.rank() != 1 || counts.numel() < 2)
    fail<ValueError>("[Word2Vec] counts of shape {}; they must be (V), of 2 tokens at least", counts.shape());
  const Tensor c = counts.detach().to(float64);
  if (!(min(c).item() >= 0 && max(c).item() > 0 && max(c).item() < INFINITY))
    fail<ValueError>("[Word2Vec] counts that are negative, not finite or all 0");
  return where(c > 0, pow(c, o.power), c);
}

/// The mean of the rows at the context's tokens.
Tensor mean_of_context(const char* who, const Tensor& in, const Tensor& context) {
  const Tensor there = (context >= 0).to(in.dtype()), count = sum(there, 1, true);
  if (any(count == 0).item<bool>())
    fail<ValueError>("[{}] a row of the context has no token; at least one must not be -1", who);
  return sum(embedding(in, clamp(context, 0)) * there.unsqueeze(2), 1) / count;
}

void check_tokens(const char* who, const Tensor& context, const Tensor& target) {
  if (context.rank() != 2 || (target.defined() && (target.rank() != 1 || target.size(0) != context.size(0))))
    fail<ShapeError>("[{}] a context {} and targets {}; they must be (B, C) and (B)", who, context.shape(),
                     target.defined() ? target.shape() : Shape{});
  if (context.dtype() != int64 || (target.defined() && target.dtype() != int64))
    fail<DTypeError>("[{}] tokens are {}; they must be int64", who,
                     context.dtype() != int64 ? context.dtype() : target.dtype());
}

}  // namespace

const char* name(Word2VecLoss loss) {
  constexpr const char* names[] = {"negative_sampling", "nce", "hierarchical_softmax"};
  return names[static_cast<size_t>(loss)];
}

Word2Vec::Word2Vec(const Tensor& counts, const Word2VecOptions& o) : options(o), noise_(noise_of(counts, o)) {
  const int64_t tokens = counts.numel();
  // With scores of 0 for ln P all vectors would have to learn ln(1 / V) first, and would have it in common ever after.
  const double scale = o.loss == Word2VecLoss::nce ? static_cast<double>(tokens) : 1;
  offsets_ = log(noise_.probabilities() * (static_cast<double>(o.negatives) * scale));
  const bool tree = o.loss == Word2VecLoss::hierarchical_softmax;
  if (tree) tree_ = huffman(counts);
  const double bound = 0.5 / static_cast<double>(o.width);
  in = nn::init::uniform_(empty({tokens, o.width}, o.dtype), -bound, bound);
  out = zeros({tree ? tokens - 1 : tokens, o.width}, o.dtype);
}

std::string Word2Vec::settings() const { return fmt::format("{}, {}, {}", in.size(0), in.size(1), name(options.loss)); }

Tensor Word2Vec::draw_negatives(int64_t count, Generator& generator) const {
  return noise_.draw({count, options.negatives}, generator);
}

Word2Vec::Asked Word2Vec::asked(const Tensor& target, const Tensor& negatives) const {
  if (options.loss == Word2VecLoss::hierarchical_softmax)
    return {index_select(tree_.nodes, 0, target), index_select(tree_.turns, 0, target).to(in.dtype()), {}};
  if (negatives.rank() != 2 || negatives.size(0) != target.size(0))
    fail<ShapeError>("[Word2Vec] negatives {}; they must be (B, K) for targets {}", negatives.shape(), target.shape());
  const Tensor rows = cat({target.unsqueeze(1), negatives}, 1);
  const Tensor signs = cat({ones({target.size(0), 1}, in.dtype()), full(negatives.shape(), -1, in.dtype())}, 1);
  if (options.loss == Word2VecLoss::negative_sampling) return {rows, signs, {}};
  return {rows, signs, index_select(offsets_, 0, rows.flatten()).reshape(rows.shape()).to(in.dtype())};
}

Tensor Word2Vec::forward(const Tensor& context, const Tensor& target) {
  const bool tree = options.loss == Word2VecLoss::hierarchical_softmax;
  return loss(context, target, tree ? Tensor() : draw_negatives(target.numel()));
}

Tensor Word2Vec::loss(const Tensor& context, const Tensor& target, const Tensor& negatives) const {
  check_tokens("Word2Vec", context, target);
  const Asked a = asked(target, negatives);
  const Tensor h = mean_of_context("Word2Vec", in, context);
  Tensor scores = matmul(embedding(out, a.rows), h.unsqueeze(2)).squeeze(2);
  if (a.offsets.defined()) scores = scores - a.offsets;
  return -sum(log_sigmoid(scores * a.signs) * abs(a.signs)) / static_cast<double>(target.size(0));
}

Tensor Word2Vec::log_probabilities(const Tensor& context) const {
  check_tokens("log_probabilities", context, {});
  const Tensor scores = linear(mean_of_context("log_probabilities", in, context), out);
  if (options.loss == Word2VecLoss::nce) return scores - std::log(static_cast<double>(in.size(0)));
  if (options.loss == Word2VecLoss::negative_sampling) return scores + offsets_.to(scores.dtype());
  const Tensor turns = tree_.turns.to(scores.dtype());
  const Tensor ways =
      index_select(scores, 1, tree_.nodes.flatten()).reshape({scores.size(0), in.size(0), turns.size(1)});
  return sum(log_sigmoid(ways * turns) * abs(turns), 2);
}

Tensor cosines(const Tensor& table, const Tensor& vector) {
  const auto length = [](const Tensor& x) { return sqrt(sum(square(x), -1, true)); };
  return matmul(table / length(table), vector / length(vector));
}

}  // namespace cotangent::zoo
