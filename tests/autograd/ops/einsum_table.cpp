// The op table of autograd/ops/einsum.hpp.
#include <bit>

#include <cotangent/autograd/ops/einsum.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tests/autograd/op_info.hpp>

namespace cotangent {
namespace {

/// The sum by its definition: a loop over all labels, for letters a to h and sizes without broadcasting.
Tensor naive_einsum(const std::vector<std::string>& subscripts, const std::string& output, Arguments x) {
  int64_t sizes[8];
  std::fill(std::begin(sizes), std::end(sizes), int64_t{1});
  for (size_t i = 0; i < subscripts.size(); ++i)
    for (size_t d = 0; d < subscripts[i].size(); ++d) sizes[subscripts[i][d] - 'a'] = x[i].shape()[static_cast<int>(d)];
  Shape shape;
  for (char c : output) shape.push_back(sizes[c - 'a']);
  Tensor y = detail::make_tensor(shape, float64);
  y.zero_();
  int64_t total = 1, index[8];
  for (int64_t size : sizes) total *= size;
  for (int64_t i = 0; i < total; ++i) {
    int64_t rest = i;
    for (int l = 0; l < 8; ++l) index[l] = rest % sizes[l], rest /= sizes[l];
    auto at = [&](const Tensor& t, const std::string& names) {
      int64_t offset = 0;
      for (size_t d = 0; d < names.size(); ++d) offset += index[names[d] - 'a'] * t.strides()[static_cast<int>(d)];
      return offset;
    };
    double product = 1;
    for (size_t o = 0; o < subscripts.size(); ++o) product *= x[o].data<double>()[at(x[o], subscripts[o])];
    y.data<double>()[at(y, output)] += product;
  }
  return y;
}

#define COTANGENT_EINSUM(equation, output, ...)                                         \
  [](Arguments x) -> Results { return einsum(equation, Tensors(x.begin(), x.end())); }, \
      [](Arguments x) -> Results { return naive_einsum({__VA_ARGS__}, output, x); }
#define COTANGENT_EINSUM_ERROR(equation) \
  [](Arguments x) -> Results { return einsum(equation, Tensors(x.begin(), x.end())); }

}  // namespace

COTANGENT_OP_TABLE(einsum) {
  return {
      {"einsum",
       {{{normal({2, 3}), normal({3, 2})}, COTANGENT_EINSUM("ij,jk->ik", "ac", "ab", "bc")},
        {{normal({2, 2, 3}), normal({2, 3, 2})}, COTANGENT_EINSUM("bij,bjk->bik", "abd", "abc", "acd")},
        {{normal({2, 3}), normal({3, 2})}, COTANGENT_EINSUM(" i j , k i -> j k ", "bc", "ab", "ca")},
        {{normal({3, 2}), normal({2, 3})}, COTANGENT_EINSUM("ba,cb", "ac", "ba", "cb")},
        {{normal({3, 3})}, COTANGENT_EINSUM("ii->i", "a", "aa")},
        {{normal({3, 3})}, COTANGENT_EINSUM("ii", "", "aa")},
        {{normal({2, 3, 2})}, COTANGENT_EINSUM("iji->j", "b", "aba")},
        {{normal({2, 3})}, COTANGENT_EINSUM("ij->ji", "ba", "ab")},
        {{normal({2, 3})}, COTANGENT_EINSUM("ij->", "", "ab")},
        {{normal({3}), normal({3})}, COTANGENT_EINSUM("i,i->", "", "a", "a")},
        {{normal({3}), normal({2})}, COTANGENT_EINSUM("i,j->ji", "ba", "a", "b")},
        {{normal({2, 3}), normal({2, 3})}, COTANGENT_EINSUM("ij,ij->i", "a", "ab", "ab")},
        {{normal({2, 3}), normal({2, 3})}, COTANGENT_EINSUM("ij,ij->ij", "ab", "ab", "ab")},
        {{normal({2, 3}), normal({2})}, COTANGENT_EINSUM("ij,k->i", "a", "ab", "c")},
        {{normal({2, 3}), normal({3, 2}), normal({2, 2})}, COTANGENT_EINSUM("ij,jk,kl->il", "ad", "ab", "bc", "cd")},
        {{normal({2}), normal({2, 3}), normal({3})}, COTANGENT_EINSUM("a,ab,b", "", "a", "ab", "b")},
        {{normal({2, 3, 2}), normal({2, 2, 3})}, COTANGENT_EINSUM("...ij,...jk->...ik", "abd", "abc", "acd")},
        {{normal({2, 3, 2}), normal({2, 2})}, COTANGENT_EINSUM("i...,j...->ij...", "adbc", "abc", "dc")},
        {{normal({2, 3, 2})}, COTANGENT_EINSUM("...i->i...", "cab", "abc")},
        {{normal({}), normal({2})}, COTANGENT_EINSUM(",i->i", "a", "", "a")},
        {{normal({2, 0}), normal({0, 3})}, COTANGENT_EINSUM("ij,jk->ik", "ac", "ab", "bc")},
        {{normal({2, 1}), normal({3, 2})}, COTANGENT_EINSUM("ij,jk->ik", "ac", "ad", "bc")},
        {{normal({2, 2, 2, 1}), normal({2, 2, 2})}, COTANGENT_EINSUM("abcd,cbe->aed", "aed", "abcd", "cbe")}},
       {{{normal({2, 3}), normal({4, 2})},
         COTANGENT_EINSUM_ERROR("ij,jk->ik"),
         "has size 3 in one operand and 4 in another"},
        {{normal({2, 3})},
         COTANGENT_EINSUM_ERROR("ijk->i"),
         "operand 0 of \"ijk->i\" has 3 subscripts, but its shape is (2, 3)"},
        {{normal({2, 3})}, COTANGENT_EINSUM_ERROR("i->i"), "has 1 subscripts"},
        {{normal({2, 3})}, COTANGENT_EINSUM_ERROR("ij->ik"), "'k' of the output of \"ij->ik\" is in no operand"},
        {{normal({2, 3})}, COTANGENT_EINSUM_ERROR("ij->ii"), "'i' stands twice in the output"},
        {{normal({2, 3})}, COTANGENT_EINSUM_ERROR("ii->i"), "whose sizes differ in (2, 3)"},
        {{normal({2, 3})}, COTANGENT_EINSUM_ERROR("i1->i"), "'1' in \"i1->i\" can't be read"},
        {{normal({2, 3})}, COTANGENT_EINSUM_ERROR("......->"), "can't be read"},
        {{normal({2, 3})}, COTANGENT_EINSUM_ERROR("ij->i->j"), "can't be read"},
        {{normal({2, 3})}, COTANGENT_EINSUM_ERROR("ij,jk->ik"), "has subscripts for 2 operands, got 1"}},
       3,
       1e-6,
       true,
       {"matmul", "mul", "sum", "permute", "reshape", "diagonal", "squeeze", "expand"}}};
}
#undef COTANGENT_EINSUM
#undef COTANGENT_EINSUM_ERROR

}  // namespace cotangent
