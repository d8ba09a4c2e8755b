#include <cotangent/tests/autograd/op_info.hpp>

namespace cotangent {

#define X(family) std::vector<OpInfo> family##_ops();
#include "op_families.inc"  // X(activation) X(attention) ...: written by CMake from the files that there are
#undef X

const std::vector<OpInfo>& op_table() {
  static const std::vector<OpInfo> table = [] {
    std::vector<OpInfo> all;
    struct Family {
      const char* name;
      std::vector<OpInfo> (*ops)();
    };
    for (const Family& family : {
#define X(family) Family{#family, family##_ops},
#include "op_families.inc"
#undef X
         })
      for (OpInfo& info : family.ops()) {
        info.family = family.name;
        all.push_back(std::move(info));
      }
    return all;
  }();
  return table;
}

}  // namespace cotangent

template class std::vector<cotangent::InputSpec>;
template class std::vector<cotangent::Sample>;
template class std::vector<cotangent::ErrorSample>;
template class std::vector<cotangent::OpInfo>;
