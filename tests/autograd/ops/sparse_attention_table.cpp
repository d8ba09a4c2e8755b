// The op table of autograd/ops/sparse_attention.hpp.

#include <cotangent/autograd/ops/attention.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/heads_internal.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/sparse_attention.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tests/autograd/op_info.hpp>

namespace cotangent {
namespace {

// x: q, k, v, and perhaps a key_mask
template <SparsePattern Pattern, bool Causal>
SparseOptions small_options(Arguments x) {
  return {.pattern = Pattern,
          .window = 1,
          .stride = 3,
          .summary = 2,
          .causal = Causal,
          .key_mask = x.size() > 3 ? x[3] : Tensor()};
}
template <SparsePattern Pattern, bool Causal>
Results attend_sparsely(Arguments x) {
  return sparse_attention(x[0], x[1], x[2], small_options<Pattern, Causal>(x));
}
template <SparsePattern Pattern, bool Causal>
Results attend_masked(Arguments x) {
  const int64_t T = x[0].size(2);
  Tensor mask = sparse_mask(T, T, small_options<Pattern, Causal>(x));
  if (x.size() > 3) mask = mask && reshape(x[3], {x[3].size(0), 1, 1, T});
  return scaled_dot_product_attention(x[0], x[1], x[2], {.mask = mask});
}
template <SparsePattern Pattern>
Results attend_in_parts(Arguments x) {
  SparseState state;
  Tensors parts;
  for (const auto& [first, count] : {std::pair(0, 4), std::pair(4, 1), std::pair(5, 2)}) {
    const auto cut = [&, a = first, n = count](const Tensor& t) { return narrow(t, 2, a, n); };
    parts.push_back(sparse_attention(cut(x[0]), cut(x[1]), cut(x[2]), small_options<Pattern, true>(x), &state));
  }
  return cat(parts, 2);
}
// a dilated window and global keys
template <int64_t Window, int64_t Dilation, bool Causal>
SparseOptions long_options(Arguments x) {
  return {.window = Window,
          .dilation = Dilation,
          .globals = {0, 4, 9},  // the last is beyond the end
          .causal = Causal,
          .key_mask = x.size() > 3 ? x[3] : Tensor()};
}
template <int64_t Window, int64_t Dilation, bool Causal>
Results attend_far(Arguments x) {
  return sparse_attention(x[0], x[1], x[2], long_options<Window, Dilation, Causal>(x));
}
template <int64_t Window, int64_t Dilation, bool Causal>
Results far_by_mask(Arguments x) {
  const int64_t T = x[0].size(2);
  const Tensor mask = empty({x[0].size(0), 1, T, T}, boolean);
  for (int64_t b = 0; b < x[0].size(0); ++b)
    for (int64_t i = 0; i < T; ++i)
      for (int64_t j = 0; j < T; ++j) {
        const int64_t far = i > j ? i - j : j - i;
        const bool seen = (far <= Window * Dilation && far % Dilation == 0) || j == 0 || j == 4;
        const bool kept = x.size() < 4 || x[3][b][j].item<bool>();
        mask[b][0][i][j].fill_(seen && kept && (!Causal || j <= i));
      }
  return scaled_dot_product_attention(x[0].detach(), x[1].detach(), x[2].detach(), {.mask = mask});
}
template <int64_t Window, int64_t Dilation>
Results attend_far_in_parts(Arguments x) {
  SparseState state;
  Tensors parts;
  for (const auto& [first, count] : {std::pair(0, 2), std::pair(2, 1), std::pair(3, 3), std::pair(6, 1)}) {
    const auto cut = [&, a = first, n = count](const Tensor& t) { return narrow(t, 2, a, n); };
    parts.push_back(sparse_attention(cut(x[0]), cut(x[1]), cut(x[2]), long_options<Window, Dilation, true>(x), &state));
  }
  return cat(parts, 2);
}
Results attend_with(Arguments x, const SparseOptions& o) { return sparse_attention(x[0], x[1], x[2], o); }
template <int64_t Window, int64_t Stride, int64_t Summary, SparsePattern Pattern>
Results attend_wrongly(Arguments x) {
  return sparse_attention(x[0], x[1], x[2],
                          {.pattern = Pattern, .window = Window, .stride = Stride, .summary = Summary});
}

}  // namespace

COTANGENT_OP_TABLE(sparse_attention) {
  using enum SparsePattern;
  const InputSpec q = normal({2, 1, 7, 2}), v = normal({2, 1, 7, 3});
  const InputSpec kept = values({2, 7}, {1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0}, boolean);
  const InputSpec one = normal({1, 1, 7, 2});
  return {{.name = "sparse_mask",
           .samples = {{{},
                        [](Arguments) -> Results { return sparse_mask(3, 4, {.window = 1, .causal = true}, 1); },
                        [](Arguments) -> Results {
                          return tensor({{1, 1, 0, 0}, {0, 1, 1, 0}, {0, 0, 1, 1}}, boolean);
                        }}},
           .errors = {{{}, [](Arguments) -> Results { return sparse_mask(2, 2, {.window = -1}); }, "a window of -1"}},
           .orders = 0},
          {"sparse_attention",
           {{{q, q, v}, attend_sparsely<local, false>, attend_masked<local, false>},
            {{q, q, v}, attend_sparsely<local, true>, attend_masked<local, true>},
            {{one, one, one}, attend_sparsely<blocks, false>, attend_masked<blocks, false>},
            {{one, one, one}, attend_sparsely<blocks, true>, attend_masked<blocks, true>},
            {{one, one, one}, attend_sparsely<atrous, false>, attend_masked<atrous, false>},
            {{one, one, one}, attend_sparsely<atrous, true>, attend_masked<atrous, true>},
            {{q, q, v}, attend_sparsely<combined, false>, attend_masked<combined, false>},
            {{q, q, v}, attend_sparsely<combined, true>, attend_masked<combined, true>},
            {{one, one, one}, attend_sparsely<summary, false>, attend_masked<summary, false>},
            {{one, one, one}, attend_sparsely<summary, true>, attend_masked<summary, true>},
            {{q, q, v}, attend_sparsely<fixed, false>, attend_masked<fixed, false>},
            {{q, q, v}, attend_sparsely<fixed, true>, attend_masked<fixed, true>},
            {{q, q, v, kept}, attend_sparsely<local, true>, attend_masked<local, true>},
            {{q, q, v, kept}, attend_sparsely<atrous, false>, attend_masked<atrous, false>},
            {{q, q, v, kept}, attend_sparsely<combined, true>, attend_masked<combined, true>},
            {{q, q, v}, attend_far<1, 2, false>, far_by_mask<1, 2, false>},
            {{q, q, v, kept}, attend_far<1, 2, true>, far_by_mask<1, 2, true>},
            {{one, one, one}, attend_far<2, 1, true>, far_by_mask<2, 1, true>},
            {{one, one, one}, attend_far<0, 3, false>, far_by_mask<0, 3, false>},
            {{one, one, one}, attend_far_in_parts<1, 2>, far_by_mask<1, 2, true>},
            {{one, one, one}, attend_far_in_parts<0, 1>, far_by_mask<0, 1, true>},
            {{one, one, one}, attend_in_parts<local>, attend_masked<local, true>},
            {{one, one, one}, attend_in_parts<blocks>, attend_masked<blocks, true>},
            {{one, one, one}, attend_in_parts<fixed>, attend_masked<fixed, true>}},
           {{{q, q, v}, attend_wrongly<-1, 1, 1, local>, "a window of -1"},
            {{q, q, v}, [](Arguments x) { return attend_with(x, {.dilation = 0}); }, "a dilation of 0"},
            {{q, q, v},
             [](Arguments x) { return attend_with(x, {.pattern = SparsePattern::blocks, .globals = {0}}); },
             "a dilation of 1 and 1 globals; only the local pattern has them"},
            {{q, q, v},
             [](Arguments x) {
               return attend_with(x, {.globals = {1, 1}});
             },
             "a global position 1"},
            {{q, q, v}, [](Arguments x) { return attend_with(x, {.globals = {-1}}); }, "a global position -1"},
            {{q, q, v}, attend_wrongly<-1, 1, 1, combined>, "a window of -1"},
            {{q, q, v}, attend_wrongly<1, 0, 1, atrous>, "a stride of 0"},
            {{q, q, v}, attend_wrongly<1, 0, 1, blocks>, "a stride of 0"},
            {{q, q, v}, attend_wrongly<1, 3, 4, fixed>, "a summary of 4 keys in blocks of 3"},
            {{q, q, v}, attend_wrongly<1, 3, 0, summary>, "a summary of 0 keys"},
            {{q, q, v, booleans({7, 2})}, attend_sparsely<local, true>, "the key_mask is (7, 2)"},
            {{q, q, v},
             [](Arguments x) -> Results {
               SparseState state;
               return sparse_attention(x[0], x[1], x[2], {}, &state);
             },
             "the whole sequence is needed"},
            {{normal({2, 1, 5, 2}), q, v}, attend_sparsely<local, true>, "5 queries and 7 keys"}}}};
}

}  // namespace cotangent
