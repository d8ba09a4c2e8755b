#include <cotangent/autograd/op_info.hpp>

namespace cotangent {

// The table of each family, which stands at the end of its .cpp.
// clang-format off
#define COTANGENT_OP_FAMILIES(X)                                                                                     \
  X(activation)                                                                                                      \
  X(attention)                                                                                                       \
  X(fold)                                                                                                            \
  X(group_norm) X(rnn)                                                                                             \
  X(gated)                                                                                                       \
  X(favor) X(gated_attention) X(linear_attention) X(sparse_attention)                                                \
  X(rope)                                                                                                            \
  X(conv) X(convert) X(einsum) X(elementwise) X(index) X(indexing) X(join) X(linalg) X(loss) X(math) X(norm) X(pool) \
      X(random) X(reduce) X(resize) X(scan) X(softmax) X(sort) X(statistics) X(view)
// clang-format on

#define COTANGENT_DECLARE(family) std::vector<OpInfo> family##_ops();
COTANGENT_OP_FAMILIES(COTANGENT_DECLARE)

const std::vector<OpInfo>& op_table() {
  static const std::vector<OpInfo> table = [] {
    std::vector<OpInfo> all;
#define COTANGENT_APPEND(family) \
  for (OpInfo & info : family##_ops()) all.push_back(std::move(info));
    COTANGENT_OP_FAMILIES(COTANGENT_APPEND)
    return all;
  }();
  return table;
}

}  // namespace cotangent

template class std::vector<cotangent::InputSpec>;
template class std::vector<cotangent::Sample>;
template class std::vector<cotangent::ErrorSample>;
template class std::vector<cotangent::OpInfo>;
