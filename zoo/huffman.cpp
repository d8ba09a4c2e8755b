#include <cotangent/zoo/huffman.hpp>

#include <algorithm>
#include <cmath>
#include <queue>

#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::zoo {

Tensor HuffmanTree::lengths() const { return turns.abs().to(int64).sum(1); }

HuffmanTree huffman(const Tensor& counts) {
  if (counts.rank() != 1 || counts.numel() < 2)
    fail<ValueError>("[huffman] counts of shape {}; they must be (V), of 2 tokens at least", counts.shape());
  const std::vector<double> values = counts.to_vector<double>();
  if (!std::all_of(values.begin(), values.end(), [](double c) { return c >= 0 && c < INFINITY; }))
    fail<ValueError>("[huffman] counts that are negative or not finite");

  struct Node {
    double count;
    int64_t id;  // tokens, then inner nodes as they are made
    bool operator>(const Node& other) const { return count != other.count ? count > other.count : id > other.id; }
  };
  struct Up {
    int64_t parent = -1;
    double turn = 0;
  };
  const auto tokens = static_cast<int64_t>(values.size());
  std::priority_queue<Node, std::vector<Node>, std::greater<>> left;
  for (int64_t i = 0; i < tokens; ++i) left.push({values[static_cast<size_t>(i)], i});
  std::vector<Up> up(static_cast<size_t>(2 * tokens - 1));
  for (int64_t id = tokens; id < 2 * tokens - 1; ++id) {
    double count = 0;
    for (const double turn : {1.0, -1.0}) {
      const Node rarest = left.top();
      left.pop();
      up[static_cast<size_t>(rarest.id)] = {id, turn};
      count += rarest.count;
    }
    left.push({count, id});
  }

  std::vector<int64_t> depth(up.size(), 0);  // parents come after their children
  for (size_t id = up.size() - 1; id-- > 0;) depth[id] = depth[static_cast<size_t>(up[id].parent)] + 1;
  const int64_t longest = *std::max_element(depth.begin(), depth.begin() + tokens);
  const HuffmanTree tree{zeros({tokens, longest}, int64), zeros({tokens, longest}, float64)};
  for (int64_t token = 0; token < tokens; ++token) {
    int64_t at = token * longest + depth[static_cast<size_t>(token)];
    for (Up step = up[static_cast<size_t>(token)]; step.parent >= 0; step = up[static_cast<size_t>(step.parent)]) {
      tree.nodes.data<int64_t>()[--at] = step.parent - tokens;
      tree.turns.data<double>()[at] = step.turn;
    }
  }
  return tree;
}

}  // namespace cotangent::zoo
