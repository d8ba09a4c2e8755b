#include <cotangent/nn/sequence/tree.hpp>

#include <algorithm>

#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::nn {

std::vector<int64_t> checked_depths(const char* op, const Tensor& parents) {
  if (parents.rank() != 1) fail<ShapeError>("[{}] parents of shape {}; they must be (tokens)", op, parents.shape());
  if (parents.dtype() != int64) fail<DTypeError>("[{}] the parents are {}; they must be int64", op, parents.dtype());
  const auto of = parents.to_vector<int64_t>();
  std::vector<int64_t> depths;
  depths.reserve(of.size());
  for (const int64_t parent : of) {
    const auto i = static_cast<int64_t>(depths.size());
    if (parent < -1 || parent >= i)
      fail<ValueError>("[{}] token {} of the tree follows on {}; it must be one before it, or -1", op, i, parent);
    depths.push_back(parent < 0 ? 0 : depths[static_cast<size_t>(parent)] + 1);
    if (i > 0 && depths[static_cast<size_t>(i)] < depths[static_cast<size_t>(i) - 1])
      fail<ValueError>("[{}] token {} of the tree is less deep than the one before; they must come in order of depth",
                       op, i);
  }
  return depths;
}

Tensor tree_mask(const Tensor& parents, int64_t before) {
  checked_depths("tree_mask", parents);
  const auto of = parents.to_vector<int64_t>();
  const auto n = static_cast<int64_t>(of.size());
  const Tensor mask = zeros({n, before + n}, boolean);
  for (int64_t i = 0; i < n; ++i) {
    bool* row = mask.data<bool>() + i * (before + n);
    const int64_t parent = of[static_cast<size_t>(i)];
    if (parent >= 0)
      std::copy_n(row - (i - parent) * (before + n), before + n, row);
    else
      std::fill_n(row, before, true);
    row[before + i] = true;
  }
  return mask;
}

Tensor detail::by_depth(Tensor (*f)(void* function, const Tensor& x, int64_t position), void* function, const Tensor& x,
                        int64_t start, const Tensor& parents) {
  const auto depths = checked_depths("step_tree", parents);
  if (x.size(-2) != parents.numel())
    fail<ShapeError>("[step_tree] parents of {} tokens for x of shape {}", parents.numel(), x.shape());
  Tensors parts;
  for (size_t i = 0; i < depths.size();) {
    size_t next = i + 1;
    while (next < depths.size() && depths[next] == depths[i]) ++next;
    const Tensor level = narrow(x, -2, static_cast<int64_t>(i), static_cast<int64_t>(next - i));
    parts.push_back(squeeze(f(function, unsqueeze(level, -2), start + depths[i]), -2));
    i = next;
  }
  return cat(parts, -2);
}

}  // namespace cotangent::nn
