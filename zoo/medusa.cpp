#include <cotangent/zoo/medusa.hpp>

#include <algorithm>
#include <cmath>

#include <cotangent/autograd/modes.hpp>
#include <cotangent/autograd/ops/activation.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/index.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/loss.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/sort.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/nn/init.hpp>
#include <cotangent/nn/sequence/tree.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/range.hpp>

namespace cotangent::zoo {

// ---- heads ----

MedusaHead::MedusaHead(const nn::Linear& model_head)
    : linear(model_head.weight.size(1), model_head.weight.size(1), {.dtype = model_head.weight.dtype()}),
      head(model_head.clone()) {
  nn::init::zeros_(linear.weight);
  nn::init::zeros_(linear.bias);
}

Tensor MedusaHead::forward(const Tensor& h) { return head(h + silu(linear(h))); }

Medusa::Medusa(const GPT& model_, int64_t count) : model(model_) {
  if (!model.blocks.has_trees())
    fail<ValueError>("[Medusa] the model's attention takes no trees of tokens; softmax attention does");
  if (count < 1) fail<ValueError>("[Medusa] {} heads; there must be 1 at least", count);
  heads = nn::repeat(count, [&] { return MedusaHead(model.head); });
}

Tensors Medusa::forward(const Tensor& tokens) {
  const Tensor h = model.hidden(tokens);
  Tensors logits{model.head(h)};
  for (MedusaHead& head : heads) logits.push_back(head(h));
  return logits;
}

namespace {

/// The logits (B, T, V) that guess a token of y, `ahead` places on, as rows, and these tokens.
struct Guesses {
  Tensor logits, tokens;
};
Guesses guesses(const Tensor& logits, const Tensor& y, int64_t ahead) {
  const int64_t places = std::max<int64_t>(y.size(1) - ahead, 0);
  return {flatten(narrow(logits, 1, 0, places), 0, 1), flatten(narrow(y, 1, y.size(1) - places, places))};
}

void check_follow(const Tensor& x, const Tensor& y) {
  if (x.rank() != 2 || y.shape() != x.shape())
    fail<ShapeError>("[Medusa] tokens {} and those that follow {}; both must be (B, T)", x.shape(), y.shape());
}

}  // namespace

Tensor Medusa::loss(const Tensor& x, const Tensor& y, const MedusaLossOptions& o) {
  check_follow(x, y);
  cotangent::detail::check_not_negative("Medusa", "decay", o.decay);
  cotangent::detail::check_not_negative("Medusa", "joint", o.joint);
  const bool joint = o.joint > 0;
  Tensor h;
  if (joint) {
    h = model.hidden(x);
  } else {
    const NoGrad guard;
    h = model.hidden(x);
  }
  Tensor total = zeros({}, h.dtype());
  for (size_t k = 1; k <= heads.size(); ++k) {
    const auto [logits, tokens] = guesses(heads[k - 1](h), y, static_cast<int64_t>(k));
    if (tokens.numel() > 0) total = total + std::pow(o.decay, static_cast<double>(k)) * cross_entropy(logits, tokens);
  }
  return joint ? cross_entropy(flatten(model.head(h), 0, 1), flatten(y)) + o.joint * total : total;
}

Tensor Medusa::hits(const Tensor& x, const Tensor& y, int64_t ranks) {
  check_follow(x, y);
  if (ranks < 1 || ranks > model.head.weight.size(0))
    fail<ValueError>("[Medusa] {} ranks of {} tokens; there must be 1 at least, and no more than there are", ranks,
                     model.head.weight.size(0));
  const NoGrad guard;
  const Tensors logits = forward(x);
  Tensors rows;
  for (size_t k = 1; k < logits.size(); ++k) {
    const auto [own, tokens] = guesses(logits[k], y, static_cast<int64_t>(k));
    const Tensor right = (topk(own, ranks, 1).indices == unsqueeze(tokens, 1)).to(float64);
    rows.push_back(sum(right, {0}) / static_cast<double>(std::max<int64_t>(tokens.numel(), 1)));
  }
  return stack(rows, 0);
}

// ---- trees ----

MedusaTree medusa_tree(const std::vector<std::vector<int64_t>>& paths) {
  std::vector<std::vector<int64_t>> nodes;
  for (const auto& path : paths) {
    if (path.empty()) fail<ValueError>("[medusa_tree] a path without a rank; token 0 is always there");
    for (const int64_t rank : path)
      if (rank < 0) fail<ValueError>("[medusa_tree] rank {}; it must be 0 or more", rank);
    for (size_t length = 1; length <= path.size(); ++length) {
      std::vector<int64_t> start(path.begin(), path.begin() + static_cast<std::ptrdiff_t>(length));
      if (std::find(nodes.begin(), nodes.end(), start) == nodes.end()) nodes.push_back(std::move(start));
    }
  }
  std::stable_sort(nodes.begin(), nodes.end(), [](const auto& a, const auto& b) { return a.size() < b.size(); });
  MedusaTree tree;
  for (const auto& node : nodes) {
    const std::vector<int64_t> above(node.begin(), node.end() - 1);
    tree.parents.push_back(above.empty() ? 0 : 1 + (std::find(nodes.begin(), nodes.end(), above) - nodes.begin()));
    tree.ranks.push_back(node.back());
  }
  return tree;
}

MedusaTree medusa_tree(const Tensor& hits, int64_t tokens) {
  if (hits.rank() != 2) fail<ShapeError>("[medusa_tree] hits of shape {}; they must be (heads, ranks)", hits.shape());
  if (tokens < 1) fail<ValueError>("[medusa_tree] {} tokens; there must be 1 at least", tokens);
  if (!all(hits >= 0 && hits <= 1).item<bool>()) fail<ValueError>("[medusa_tree] hits that are no shares from 0 to 1");
  struct Path {
    std::vector<int64_t> ranks;
    double chance;  // that all of it is right
  };
  // A path is likelier than those that it begins, so the likeliest that is left always hangs on what was taken.
  std::vector<std::vector<int64_t>> taken;
  std::vector<Path> open{{{}, 1}};
  while (static_cast<int64_t>(taken.size()) < tokens && !open.empty()) {
    const auto best =
        std::max_element(open.begin(), open.end(), [](const Path& a, const Path& b) { return a.chance < b.chance; });
    const Path path = *best;
    open.erase(best);
    taken.push_back(path.ranks);
    const auto depth = static_cast<int64_t>(path.ranks.size());
    for (int64_t rank = 0; depth < hits.size(0) && rank < hits.size(1); ++rank) {
      open.push_back(path);
      open.back().ranks.push_back(rank);
      open.back().chance *= hits[depth][rank].item();
    }
  }
  taken.erase(taken.begin());  // token 0
  return medusa_tree(taken);
}

// ---- writing ----

namespace {

/// Whether each token (B, n) of a tree is accepted behind its parent, given the logits (B, n, V): bool (B, n), of which
/// the first is true.
Tensor accepted(const Tensor& logits, const Tensor& tokens, const Tensor& parents, const MedusaOptions& o) {
  const Tensor behind = maximum(parents, tensor(0));
  if (o.acceptance == Acceptance::greedy) return index_select(argmax(logits, -1), 1, behind) == tokens;
  const Tensor above = index_select(logits, 1, behind);  // what may stand at each
  const Tensor p = unflatten(nn::sampling_probabilities(flatten(above, 0, 1), o.sampling), 0, tokens.shape());
  const Tensor entropy = -sum(where(p > 0, p * log(p), 0), {-1});
  const Tensor threshold = minimum(tensor(o.epsilon, float64), o.delta * exp(-entropy));
  return squeeze(gather(p, -1, unsqueeze(tokens, -1)), -1) > threshold;
}

/// The places of the longest path of accepted tokens, from token 0 on.
std::vector<int64_t> longest_path(const bool* accepted, const MedusaTree& tree, const std::vector<int64_t>& depths,
                                  size_t size) {
  std::vector<bool> on(size, true);
  size_t last = 0;
  for (size_t i = 1; i < size; ++i) {
    on[i] = accepted[i] && on[static_cast<size_t>(tree.parents[i])];
    if (on[i] && depths[i] > depths[last]) last = i;
  }
  std::vector<int64_t> path;
  for (auto i = static_cast<int64_t>(last); i >= 0; i = tree.parents[static_cast<size_t>(i)]) path.push_back(i);
  std::reverse(path.begin(), path.end());
  return path;
}

/// The longest paths of all rows of accepted (B, n), cut to the length of the shortest: places (B, m).
Tensor paths_to_keep(const Tensor& accepted, const MedusaTree& tree, const std::vector<int64_t>& depths) {
  const int64_t batch = accepted.size(0), size = accepted.size(1);
  std::vector<std::vector<int64_t>> paths;
  for (int64_t b = 0; b < batch; ++b)
    paths.push_back(longest_path(accepted.data<bool>() + b * size, tree, depths, static_cast<size_t>(size)));
  size_t kept = paths[0].size();
  for (const auto& path : paths) kept = std::min(kept, path.size());
  std::vector<int64_t> places;
  for (auto& path : paths) {
    path.resize(kept);
    places.insert(places.end(), path.begin(), path.end());
  }
  return from_vector(places, {batch, static_cast<int64_t>(kept)});
}

/// The first tokens of a tree, (B, size): the next one (B), and depth by depth what the heads guess from h (B, width).
Tensor guessed_tokens(std::vector<MedusaHead>& heads, const Tensor& h, const Tensor& next, const MedusaTree& tree,
                      const std::vector<int64_t>& depths, size_t size) {
  const int64_t batch = next.size(0), row = static_cast<int64_t>(size);
  const Tensor tokens = empty({batch, row}, int64);
  select(tokens, 1, 0).copy_(next);
  for (size_t i = 1, k = 0; i < size; ++k) {
    size_t end = i;
    while (end < size && depths[end] == depths[i]) ++end;
    const int64_t count = 1 + *std::max_element(&tree.ranks[i], &tree.ranks[end]);
    const Tensor best = topk(heads[k](h), count, 1).indices;
    for (; i < end; ++i)
      for (int64_t b = 0; b < batch; ++b)
        tokens.data<int64_t>()[b * row + static_cast<int64_t>(i)] = best.data<int64_t>()[b * count + tree.ranks[i]];
  }
  return tokens;
}

/// The depths of a tree, for which there must be heads.
std::vector<int64_t> checked_tree(const MedusaTree& tree, size_t heads, int64_t vocabulary) {
  const auto& [parents, ranks] = tree;
  if (parents.empty() || parents.size() != ranks.size())
    fail<ValueError>("[Medusa] a tree of {} parents and {} ranks; each of its tokens must have both", parents.size(),
                     ranks.size());
  std::vector<int64_t> depths =
      nn::checked_depths("Medusa", from_vector(parents, {static_cast<int64_t>(parents.size())}));
  if (std::count(depths.begin(), depths.end(), 0) > 1)
    fail<ValueError>("[Medusa] a tree with several tokens that follow on -1; only token 0 may");
  if (depths.back() > static_cast<int64_t>(heads))
    fail<ValueError>("[Medusa] a tree {} deep for {} heads; there must be a head for each depth", depths.back(), heads);
  for (const int64_t rank : ranks)
    if (rank < 0 || rank >= vocabulary)
      fail<ValueError>("[Medusa] a tree with rank {}; those of {} tokens are from 0 to {}", rank, vocabulary,
                       vocabulary - 1);
  return depths;
}

}  // namespace

MedusaText Medusa::write(const Tensor& prompt, int64_t count, const MedusaTree& tree, const MedusaOptions& o,
                         Generator& generator) {
  const NoGrad guard;
  cotangent::detail::check_not_negative("Medusa", "epsilon", o.epsilon);
  cotangent::detail::check_not_negative("Medusa", "delta", o.delta);
  if (prompt.rank() != 2 || prompt.numel() == 0)
    fail<ShapeError>("[Medusa] a prompt of shape {}; it must be (B, T) with a token at least", prompt.shape());
  if (count < 0) fail<ValueError>("[Medusa] {} tokens; there must be 0 or more", count);
  const std::vector<int64_t> depths = checked_tree(tree, heads.size(), model.head.weight.size(0));

  const int64_t batch = prompt.size(0), wanted = prompt.size(1) + count;
  const nn::SamplingOptions own =
      o.acceptance == Acceptance::greedy ? nn::SamplingOptions{.temperature = 0} : o.sampling;
  nn::StreamState state = model.start(batch);
  MedusaText text{prompt};
  Tensor h, logits;  // of the last token: (B, width), (B, V)
  // Reads the text into a new state, or its end where the context is too short.
  const auto begin = [&] {
    state = model.start(batch);
    const int64_t length = text.tokens.size(1);
    const int64_t kept = length <= model.context ? length : std::max<int64_t>(model.context / 2, 1);
    h = select(model.step_hidden(narrow(text.tokens, 1, length - kept, kept), state), 1, -1);
    logits = model.head(h);
  };
  begin();

  while (text.tokens.size(1) < wanted) {
    const Tensor next = nn::sample(logits, own, generator);  // token 0
    ++text.steps;
    const int64_t before = state.length;
    if (before == model.context) {
      text.tokens = cat({text.tokens, unsqueeze(next, 1)}, 1);
      begin();
      continue;
    }
    size_t size = 1;  // of the part of the tree for which the context has places
    while (size < depths.size() && before + depths[size] < model.context) ++size;
    const Tensor tokens = guessed_tokens(heads, h, next, tree, depths, size);
    const Tensor parents = from_span(std::span(tree.parents).first(size), {static_cast<int64_t>(size)});
    const Tensor hidden = model.step_tree(tokens, state, parents), scores = model.head(hidden);
    const Tensor path = paths_to_keep(accepted(scores, tokens, parents, o).contiguous(), tree, depths);
    text.tokens = cat({text.tokens, take_along_dim(tokens, path, 1)}, 1);
    const Tensor last = unsqueeze(narrow(path, 1, path.size(1) - 1, 1), 2);
    h = select(take_along_dim(hidden, last, 1), 1, 0), logits = select(take_along_dim(scores, last, 1), 1, 0);
    state.keep(cat({expand(arange(before), {batch, before}), path + before}, 1));
  }
  text.tokens = narrow(text.tokens, 1, 0, wanted);
  return text;
}

}  // namespace cotangent::zoo
