// The op table of autograd/ops/gated_linear_attention.hpp, compared with the masked matrix of all weights.
#include <algorithm>
#include <cmath>

#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/gated_linear_attention.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tests/autograd/ops/naive_attention.hpp>

namespace cotangent {
namespace {

/// The state, which is float32 in low precision, in the dtype of the arguments.
Results together(const Tensor& y, const Tensor& state) { return Tensors{y, to(state, y.dtype())}; }
Results gated(Arguments x) {
  const auto [y, state] = gated_linear_attention(x[0], x[1], x[2], x[3], x.size() > 4 ? x[4] : Tensor());
  return together(y, state);
}
Results ungated(Arguments x) {
  const auto [y, state] = gated_linear_attention(x[0], x[1], x[2], {}, x.size() > 3 ? x[3] : Tensor());
  return together(y, state);
}
/// In two parts, the second of which starts from the state of the first.
Results in_two(Arguments x) {
  Tensor state = x.size() > 4 ? x[4] : Tensor();
  Tensors parts;
  for (const auto& [first, count] : {std::pair(0, 3), std::pair(3, 2)}) {
    const auto part = [&, at = first, size = count](const Tensor& t) { return narrow(t, 2, at, size); };
    const GatedLinearSequence y = gated_linear_attention(part(x[0]), part(x[1]), part(x[2]), part(x[3]), state);
    parts.push_back(y.output), state = y.state;
  }
  return together(cat(parts, 2), state);
}

/// Every weight by its own exponential.
Tensors by_weights(const Tensor& q_, const Tensor& k_, const Tensor& v_, const Tensor& decay, const Tensor& state_) {
  const int64_t B = v_.size(0), H = v_.size(1), T = v_.size(2), m = q_.size(3), n = v_.size(3), per = H / q_.size(1);
  const Array q(q_), k(k_), v(v_), g(broadcast_to(decay.detach(), {B, H, T, m})),
      s(state_.defined() ? state_.detach() : zeros({B, H, m, n}, float64));
  const auto factor = [&](int64_t b, int64_t h, int64_t from, int64_t to, int64_t i) {
    double sum = 0;
    for (int64_t t = from + 1; t <= to; ++t) sum += g(b, h, t, i);
    return std::exp(sum);
  };
  std::vector<double> outputs, states;
  for (int64_t b = 0; b < B; ++b)
    for (int64_t h = 0; h < H; ++h) {
      for (int64_t t = 0; t < T; ++t)
        for (int64_t c = 0; c < n; ++c) {
          double y = 0;
          for (int64_t i = 0; i < m; ++i) {
            y += q(b, h / per, t, i) * factor(b, h, -1, t, i) * s(b, h, i, c);
            for (int64_t j = 0; j <= t; ++j)
              y += q(b, h / per, t, i) * factor(b, h, j, t, i) * k(b, h / per, j, i) * v(b, h, j, c);
          }
          outputs.push_back(y);
        }
      for (int64_t i = 0; i < m; ++i)
        for (int64_t c = 0; c < n; ++c) {
          double sum = factor(b, h, -1, T - 1, i) * s(b, h, i, c);
          for (int64_t j = 0; j < T; ++j) sum += factor(b, h, j, T - 1, i) * k(b, h / per, j, i) * v(b, h, j, c);
          states.push_back(sum);
        }
    }
  return {from_vector(outputs, {B, H, T, n}), from_vector(states, {B, H, m, n})};
}
Results gated_naively(Arguments x) { return by_weights(x[0], x[1], x[2], x[3], x.size() > 4 ? x[4] : Tensor()); }
Results ungated_naively(Arguments x) {
  return by_weights(x[0], x[1], x[2], zeros({1}, float64), x.size() > 3 ? x[3] : Tensor());
}

// q, k, v, log_i, log_f
Results matrix_lstm(Arguments x) { return mlstm(x[0], x[1], x[2], x[3], x[4]).output; }
Results matrix_lstm_in_two(Arguments x) {
  MlstmState state;
  Tensors parts;
  for (const auto& [first, count] : {std::pair(0, 3), std::pair(3, 2)}) {
    const auto part = [&, at = first, size = count](const Tensor& t) { return narrow(t, 2, at, size); };
    const MlstmSequence y = mlstm(part(x[0]), part(x[1]), part(x[2]), part(x[3]), part(x[4]), state);
    parts.push_back(y.output), state = y.state;
  }
  return cat(parts, 2);
}
Results matrix_lstm_naively(Arguments x) {
  const Array q(x[0]), k(x[1]), v(x[2]);
  const std::vector<double> i = x[3].detach().to_vector<double>(), f = x[4].detach().to_vector<double>();
  const int64_t B = x[0].size(0), H = x[0].size(1), T = x[0].size(2), n = x[2].size(3);
  std::vector<double> out;
  for (int64_t b = 0; b < B; ++b)
    for (int64_t h = 0; h < H; ++h)
      for (int64_t t = 0; t < T; ++t)
        for (int64_t c = 0; c < n; ++c) {
          double y = 0, total = 0, passed = 0;
          for (int64_t s = t; s >= 0; --s) {
            const auto at = static_cast<size_t>((b * H + h) * T + s);
            const double w = dot(q, k, b, h, t, s) * std::exp(i[at] + passed);
            y += w * v(b, h, s, c), total += w, passed += f[at];
          }
          out.push_back(y / std::max(std::abs(total), 1.0));
        }
  return from_vector(out, {B, H, T, n});
}

}  // namespace

COTANGENT_OP_TABLE(gated_linear_attention) {
  const InputSpec q = normal({1, 1, 5, 2}), v = normal({1, 2, 5, 2}), state = normal({1, 2, 2, 2});
  const InputSpec by_head = uniform({2, 1, 1}, -1, 0), by_step = uniform({1, 2, 5, 1}, -2, 0),
                  by_channel = uniform({1, 2, 5, 2}, -3, 0), one = normal({1, 2, 5, 2}),
                  gate = uniform({1, 2, 5}, 1, 3), forget = uniform({1, 2, 5}, -2, 0);
  return {{"gated_linear_attention",
           {{{q, q, v, by_head}, gated, gated_naively},
            {{q, q, v, by_step, state}, gated, gated_naively},
            {{q, q, v, by_channel, state}, gated, gated_naively},
            {{one, one, v, by_channel}, gated, gated_naively},
            {{one, one, v, by_step, state}, in_two, gated_naively},
            {{q, q, v, by_channel}, in_two, gated_naively},
            {{q, q, v, state}, ungated, ungated_naively}},
           {{{normal({5, 2}), q, v, by_step}, gated, "must be (B, G, T, m)"},
            {{q, normal({1, 1, 5, 3}), v, by_step}, gated, "do not fit together"},
            {{one, one, normal({1, 3, 5, 2}), by_step}, gated, "G divides H"},
            {{q, q, v, normal({1, 2, 5, 3})}, gated, "it must broadcast to (1, 2, 5, 2)"},
            {{q, q, v, by_step, normal({1, 2, 3, 2})}, gated, "the state is (1, 2, 3, 2)"},
            {{q, q, v, integers({2, 1, 1}, -2, 0)}, gated, "one floating dtype"}}},
          {"mlstm",
           {{{one, one, v, gate, forget}, matrix_lstm, matrix_lstm_naively},
            {{one, one, v, gate, forget}, matrix_lstm_in_two, matrix_lstm_naively},
            {{one, one, v, uniform({1, 2, 5}, -9, -7), forget}, matrix_lstm, matrix_lstm_naively}},
           {{{q, q, v, gate, forget}, matrix_lstm, "do not fit together"},
            {{one, one, v, forget, normal({1, 2, 4})}, matrix_lstm, "a gate is (1, 2, 4)"}},
           3,
           1e-6,
           true,
           {"gated_linear_attention"}}};
}

}  // namespace cotangent
