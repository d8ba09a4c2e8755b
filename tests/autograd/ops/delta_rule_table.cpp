// The op table of autograd/ops/delta_rule.hpp, compared with a loop over the numbers of the state.
#include <cmath>

#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/delta_rule.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tests/autograd/ops/naive_attention.hpp>

namespace cotangent {
namespace {

/// The state, which is float32 in low precision, in the dtype of the arguments.
Results together(const DeltaSequence& s) { return Tensors{s.output, to(s.state, s.output.dtype())}; }

Tensors by_definition(const Tensor& q_, const Tensor& k_, const Tensor& v_, const Tensor& a_, const Tensor& b_,
                      const Tensor& log_decay, const Tensor& state) {
  const int64_t B = q_.size(0), H = q_.size(1), T = q_.size(2), m = q_.size(3), n = v_.size(3);
  const Array q(q_), k(k_), v(v_), a(a_), b(b_),
      g(log_decay.defined() ? broadcast_to(log_decay.detach(), {B, H, T, m}) : zeros({B, H, T, m}, float64)),
      start(state.defined() ? state : zeros({B, H, m, n}, float64));
  std::vector<double> outputs, states;
  for (int64_t batch = 0; batch < B; ++batch)
    for (int64_t h = 0; h < H; ++h) {
      std::vector<double> s(static_cast<size_t>(m * n));
      const auto at = [&](int64_t i, int64_t j) -> double& { return s[static_cast<size_t>(i * n + j)]; };
      for (int64_t i = 0; i < m; ++i)
        for (int64_t j = 0; j < n; ++j) at(i, j) = start(batch, h, i, j);
      for (int64_t t = 0; t < T; ++t)
        for (int64_t j = 0; j < n; ++j) {
          double read = 0, y = 0;
          for (int64_t i = 0; i < m; ++i) read += a(batch, h, t, i) * at(i, j);
          for (int64_t i = 0; i < m; ++i) {
            at(i, j) = std::exp(g(batch, h, t, i)) * at(i, j) + b(batch, h, t, i) * read +
                       k(batch, h, t, i) * v(batch, h, t, j);
            y += q(batch, h, t, i) * at(i, j);
          }
          outputs.push_back(y);
        }
      states.insert(states.end(), s.begin(), s.end());
    }
  return {from_vector(outputs, {B, H, T, n}), from_vector(states, {B, H, m, n})};
}

Tensor maybe(Arguments x, size_t i) { return i < x.size() ? x[i] : Tensor(); }
// q, k, v, a, b, log_decay, state
Results generalized(Arguments x) {
  return together(generalized_delta_rule(x[0], x[1], x[2], x[3], x[4], maybe(x, 5), maybe(x, 6)));
}
Results generalized_naively(Arguments x) {
  return by_definition(x[0], x[1], x[2], x[3], x[4], maybe(x, 5), maybe(x, 6));
}

// q, k, v, beta, log_decay, state
Results delta(Arguments x) { return together(delta_rule(x[0], x[1], x[2], x[3], maybe(x, 4), maybe(x, 5))); }
Results delta_naively(Arguments x) {
  const Tensor beta = unsqueeze(x[3].detach(), -1), key = x[1].detach() * beta,
               decay = x.size() > 4 ? unsqueeze(x[4].detach(), -1) : Tensor();
  return by_definition(x[0], key, x[2], x[1], decay.defined() ? -key * exp(decay) : -key, decay, maybe(x, 5));
}
Results delta_with_state(Arguments x) { return together(delta_rule(x[0], x[1], x[2], x[3], {}, x[4])); }
Results delta_with_state_naively(Arguments x) {
  const Tensor key = x[1].detach() * unsqueeze(x[3].detach(), -1);
  return by_definition(x[0], key, x[2], x[1], -key, {}, x[4]);
}
/// In two parts, the second of which starts from the state of the first.
Results delta_in_two(Arguments x) {
  Tensor state;
  Tensors parts;
  for (const auto& [first, count] : {std::pair(0, 3), std::pair(3, 2)}) {
    const auto part = [&, at = first, size = count](const Tensor& t) { return narrow(t, 2, at, size); };
    const DeltaSequence y = delta_rule(part(x[0]), part(x[1]), part(x[2]), part(x[3]), part(x[4]), state);
    parts.push_back(y.output), state = y.state;
  }
  return together({cat(parts, 2), state});
}

const InputSpec decays = uniform({1, 2, 3, 2}, -2, 0);

}  // namespace

COTANGENT_OP_TABLE(delta_rule) {
  return {
      {.name = "generalized_delta_rule",
       .samples = {{{normal({1, 1, 3, 2}), normal({1, 1, 3, 2}), normal({1, 1, 3, 1}), normal({1, 1, 3, 2}),
                     normal({1, 1, 3, 2})},
                    generalized,
                    generalized_naively},
                   {{normal({1, 2, 3, 2}), normal({1, 2, 3, 2}), normal({1, 2, 3, 3}), normal({1, 2, 3, 2}),
                     normal({1, 2, 3, 2}), decays},
                    generalized,
                    generalized_naively},
                   {{normal({2, 1, 2, 3}), normal({2, 1, 2, 3}), normal({2, 1, 2, 2}), normal({2, 1, 2, 3}),
                     normal({2, 1, 2, 3}), uniform({2, 1, 2, 1}, -1, 0), normal({2, 1, 3, 2})},
                    generalized,
                    generalized_naively},
                   {{normal({1, 1, 1, 1}), normal({1, 1, 1, 1}), normal({1, 1, 1, 1}), normal({1, 1, 1, 1}),
                     normal({1, 1, 1, 1}), uniform({1, 1, 1, 1}, -1, 0), normal({1, 1, 1, 1})},
                    generalized,
                    generalized_naively}},
       .errors = {{{normal({1, 3, 2}), normal({1, 3, 2}), normal({1, 3, 2}), normal({1, 3, 2}), normal({1, 3, 2})},
                   generalized,
                   "[generalized_delta_rule] q (1, 3, 2), k (1, 3, 2) and v (1, 3, 2) do not fit together"},
                  {{normal({1, 1, 3, 2}), normal({1, 1, 3, 2}), normal({1, 1, 3, 1}), normal({1, 1, 3, 1}),
                    normal({1, 1, 3, 2})},
                   generalized,
                   "[generalized_delta_rule] a is (1, 1, 3, 1); it must be (1, 1, 3, 2)"},
                  {{normal({1, 2, 3, 2}), normal({1, 2, 3, 2}), normal({1, 2, 3, 3}), normal({1, 2, 3, 2}),
                    normal({1, 2, 3, 2}), normal({1, 2, 3})},
                   generalized,
                   "log_decay is (1, 2, 3); it must be (1, 2, 3, 1)"},
                  {{normal({1, 2, 3, 2}), normal({1, 2, 3, 2}), normal({1, 2, 3, 3}), normal({1, 2, 3, 2}),
                    normal({1, 2, 3, 2}), decays, normal({1, 2, 3, 2})},
                   generalized,
                   "the state is (1, 2, 3, 2); it must be (1, 2, 2, 3)"},
                  {{normal({1, 1, 1, 1}), normal({1, 1, 1, 1}), integers({1, 1, 1, 1}, 0, 3), normal({1, 1, 1, 1}),
                    normal({1, 1, 1, 1})},
                   generalized,
                   "q is float64 and another input int64"}},
       .recorded_as = {"narrow", "matmul", "cat"}},
      {.name = "delta_rule",
       .samples = {{{normal({1, 1, 3, 2}), normal({1, 1, 3, 2}), normal({1, 1, 3, 1}), uniform({1, 1, 3}, 0, 1)},
                    delta,
                    delta_naively},
                   {{normal({1, 2, 5, 2}), normal({1, 2, 5, 2}), normal({1, 2, 5, 3}), uniform({1, 2, 5}, 0, 1),
                     uniform({1, 2, 5}, -1, 0)},
                    delta,
                    delta_naively},
                   {{normal({1, 2, 5, 2}), normal({1, 2, 5, 2}), normal({1, 2, 5, 3}), uniform({1, 2, 5}, 0, 1),
                     uniform({1, 2, 5}, -1, 0)},
                    delta_in_two,
                    delta_naively},
                   {{normal({1, 1, 2, 2}), normal({1, 1, 2, 2}), normal({1, 1, 2, 2}), uniform({1, 1, 2}, 0, 1),
                     normal({1, 1, 2, 2})},
                    delta_with_state,
                    delta_with_state_naively}},
       .errors = {{{normal({1, 1, 3, 2}), normal({1, 1, 2, 2}), normal({1, 1, 3, 2}), normal({1, 1, 3})},
                   delta,
                   "[delta_rule] q (1, 1, 3, 2), k (1, 1, 2, 2)"},
                  {{normal({1, 1, 3, 2}), normal({1, 1, 3, 2}), normal({1, 1, 3, 2}), normal({1, 1, 3, 1})},
                   delta,
                   "[delta_rule] beta is (1, 1, 3, 1); it must be (1, 1, 3)"},
                  {{normal({1, 1, 3, 2}), normal({1, 1, 3, 2}), normal({1, 1, 3, 2}), normal({1, 1, 3}),
                    normal({1, 3})},
                   delta,
                   "[delta_rule] log_decay is (1, 3)"}},
       .recorded_as = {"generalized_delta_rule"}},
  };
}

}  // namespace cotangent
