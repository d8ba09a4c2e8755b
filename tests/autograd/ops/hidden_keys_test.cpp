// What a mask hides does not matter: NaN and infinity in hidden keys and values reach no result and no gradient, in any
// attention, of any order.
#include <limits>

#include <cotangent/autograd/ops/attention.hpp>
#include <cotangent/autograd/ops/favor.hpp>
#include <cotangent/autograd/ops/gated_attention.hpp>
#include <cotangent/autograd/ops/linear_attention.hpp>
#include <cotangent/autograd/ops/sparse_attention.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/random.hpp>

#include "../sequences.hpp"

using namespace cotangent;

namespace {

constexpr double kPoison = std::numeric_limits<double>::quiet_NaN(), kEndless = std::numeric_limits<double>::infinity();
constexpr int64_t kMaskedLength = 11;
const std::vector<int64_t> kHiddenKeys{2, 6, 10};  // of the second sequence

struct MaskedHeads {
  Tensor q, k, v;
};
MaskedHeads make_masked_heads(Dtype dtype, int64_t length = kMaskedLength) {
  Generator g(4);
  const auto one = [&](int64_t d) { return randn({2, 2, length, d}, float64, g).to(dtype); };
  return {one(4), one(4), one(3)};
}
/// The same with `value` where the mask hides keys.
MaskedHeads poisoned(const MaskedHeads& x, const Tensor& key_mask, double value) {
  const Tensor hidden = !reshape(key_mask, {2, 1, x.k.size(2), 1});
  return {x.q, masked_fill(x.k, hidden, value), masked_fill(x.v, hidden, value)};
}
Tensor make_key_mask() {
  const Tensor mask = ones({2, kMaskedLength}, boolean);
  for (int64_t j : kHiddenKeys) mask[1][j].fill_(false);
  return mask;
}

/// y, its gradients, and where `twice` those of their squares.
template <class F>
Tensors masked_derivatives(MaskedHeads x, F f, bool twice) {
  const Tensors inputs{x.q.detach().requires_grad_(), x.k.detach().requires_grad_(), x.v.detach().requires_grad_()};
  const Tensor y = f(MaskedHeads{inputs[0], inputs[1], inputs[2]}), loss = sum(square(y.to(float64)));
  Tensors all{y.detach()}, first = grad({loss}, inputs, {.retain_graph = true, .create_graph = twice});
  for (const Tensor& g : first) all.push_back(g.detach());
  if (twice) {
    Tensor total = zeros({}, float64);
    for (const Tensor& g : first) total = total + sum(square(g));
    for (const Tensor& g : grad({total}, inputs)) all.push_back(g);
  }
  return all;
}

/// f(heads) hides what the key mask says.
template <class F>
void check_hidden(F f, Dtype dtype = float64) {
  const Tensor key_mask = make_key_mask();
  const MaskedHeads clean = make_masked_heads(dtype);
  for (bool twice : {false, true})
    for (double value : {kPoison, kEndless, -kEndless}) {
      INFO("filled with " << value << (twice ? ", second order" : ", first order"));
      const Tensors expected = masked_derivatives(clean, f, twice),
                    got = masked_derivatives(poisoned(clean, key_mask, value), f, twice);
      for (size_t i = 0; i < got.size(); ++i) {
        INFO("result " << i);
        CHECK(largest_difference(got[i].to(float64), expected[i].to(float64)) <= (dtype == float64 ? 1e-9 : 1e-2));
      }
    }
}
/// f(heads) is causal: queries that come before a key do not see it.
template <class F>
void check_before(F f) {
  const MaskedHeads clean = make_masked_heads(float64);
  const int64_t at = 7;
  MaskedHeads dirty = clean;
  for (Tensor* x : {&dirty.k, &dirty.v}) {
    *x = x->clone();
    x->narrow(2, at, 1).fill_(kPoison);
  }
  const Tensor y = f(dirty);
  CHECK(largest_difference(y.narrow(2, 0, at), f(clean).narrow(2, 0, at)) < 1e-12);
  CHECK(y.narrow(2, at, 1)[0][0][0][0].item() != y.narrow(2, at, 1)[0][0][0][0].item());
}

}  // namespace

TEST_CASE("attention: what any kind of mask hides does not matter") {
  const Tensor keys = reshape(make_key_mask(), {2, 1, 1, kMaskedLength}),
               added = where(keys, zeros({}, float64), -kEndless);
  for (bool causal : {false, true})
    for (Dtype dtype : {float64, float32, bfloat16, float16}) {
      INFO(name(dtype) << (causal ? ", causal" : ""));
      const auto attend = [&](const Tensor& mask, double rate) {
        check_hidden(
            [&](const MaskedHeads& x) {
              manual_seed(1);
              return scaled_dot_product_attention(x.q, x.k, x.v, {.mask = mask, .causal = causal, .dropout = rate});
            },
            dtype);
      };
      attend(keys, 0);
      attend(added.to(dtype), 0);
      attend(keys, 0.25);  // by the whole matrix of scores
      attend(added.to(dtype).detach().requires_grad_(), 0);
    }
}

TEST_CASE("attention: a key that some may see is NaN to them alone") {
  check_before([](const MaskedHeads& x) { return scaled_dot_product_attention(x.q, x.k, x.v, {.causal = true}); });
  check_before([](const MaskedHeads& x) {
    return scaled_dot_product_attention(x.q, x.k, x.v, {.causal = true, .dropout = 1e-300});
  });
  // over several tiles, with the gradients of what the earlier queries give
  const MaskedHeads clean = make_masked_heads(float32, 300);
  MaskedHeads dirty = clean;
  for (Tensor* x : {&dirty.k, &dirty.v}) {
    *x = x->clone();
    x->narrow(2, 270, 30).fill_(kPoison);
  }
  const auto early = [](const MaskedHeads& x) {
    return scaled_dot_product_attention(x.q, x.k, x.v, {.causal = true}).narrow(2, 0, 270);
  };
  const Tensors expected = masked_derivatives(clean, early, false), got = masked_derivatives(dirty, early, false);
  for (size_t i = 0; i < got.size(); ++i) CHECK(largest_difference(got[i], expected[i]) < 1e-4);
}

TEST_CASE("attention: a query or a first key that is NaN gives NaN, not 0") {
  MaskedHeads x = make_masked_heads(float64);
  x.q = x.q.clone();
  x.q[1][0][3].fill_(kPoison);
  const Tensor y = scaled_dot_product_attention(x.q, x.k, x.v);
  for (int64_t i = 0; i < kMaskedLength; ++i) CHECK(isnan(y[1][0][i][0]).item<bool>() == (i == 3));
  CHECK_FALSE(any(isnan(y[0])).item<bool>());
}

TEST_CASE("sparse attention: what is hidden does not matter, in a stream either") {
  using enum SparsePattern;
  for (SparsePattern pattern : {local, blocks, atrous, combined, summary, fixed})
    for (bool causal : {false, true}) {
      INFO("pattern " << static_cast<int>(pattern) << (causal ? ", causal" : ""));
      const SparseOptions o{
          .pattern = pattern, .window = 3, .stride = 4, .summary = 2, .causal = causal, .key_mask = make_key_mask()};
      check_hidden([&](const MaskedHeads& x) { return sparse_attention(x.q, x.k, x.v, o); });
      if (!causal) continue;
      SparseOptions open = o;
      open.key_mask = Tensor();
      if (pattern == local || pattern == combined || pattern == blocks || pattern == fixed)
        check_before([&](const MaskedHeads& x) { return sparse_attention(x.q, x.k, x.v, open); });
      check_hidden([&](const MaskedHeads& x) {
        SparseState state;
        return in_parts({4, 1, 6}, 2, [&](int64_t first, int64_t count) {
          SparseOptions part = o;
          part.key_mask = o.key_mask.narrow(1, first, count);
          const auto cut = [&](const Tensor& t) { return t.narrow(2, first, count); };
          return sparse_attention(cut(x.q), cut(x.k), cut(x.v), part, &state);
        });
      });
    }
}

TEST_CASE("squared relu attention and mixed chunks: what is hidden does not matter") {
  const Tensor key_mask = make_key_mask();
  for (ReluNorm norm : {ReluNorm::length, ReluNorm::squared_length, ReluNorm::row})
    for (bool causal : {false, true}) {
      INFO("norm " << static_cast<int>(norm) << (causal ? ", causal" : ""));
      const auto attend = [&](const MaskedHeads& x, const Tensor& mask, const Tensor& kept) {
        return squared_relu_attention(
            x.q, x.k, x.v,
            {.norm = norm, .causal = causal, .bias = full({1}, 0.5, float64), .mask = mask, .key_mask = kept});
      };
      check_hidden([&](const MaskedHeads& x) { return attend(x, {}, key_mask); });
      check_hidden([&](const MaskedHeads& x) { return attend(x, reshape(key_mask, {2, 1, 1, kMaskedLength}), {}); });
      if (causal) check_before([&](const MaskedHeads& x) { return attend(x, {}, {}); });
    }
  for (bool causal : {false, true}) {
    const auto mix = [&](const MaskedHeads& x, const Tensor& kept) {
      return mixed_chunk_attention(
          x.q, x.k, x.q + 0.5, x.k * 0.5, x.v,
          {.causal = causal, .chunk = 4, .distance_bias = ones({7}, float64), .key_mask = kept});
    };
    check_hidden([&](const MaskedHeads& x) { return mix(x, key_mask); });
  }
}

TEST_CASE("linear attentions: what is hidden does not matter") {
  const Tensor key_mask = make_key_mask(), projection = random_projection(6, 4, true, float64, default_generator());
  for (bool causal : {false, true})
    for (LinearForm form : {LinearForm::parallel, LinearForm::chunked, LinearForm::recurrent}) {
      if (!causal && form == LinearForm::recurrent) continue;
      INFO("form " << static_cast<int>(form) << (causal ? ", causal" : ""));
      const auto linear = [&](const MaskedHeads& x, const Tensor& kept) {
        return linear_attention(square(x.q), square(x.k), x.v,
                                {.causal = causal, .form = form, .chunk = 4, .key_mask = kept});
      };
      const auto efficient = [&](const MaskedHeads& x, const Tensor& kept) {
        return efficient_attention(x.q, x.k, x.v, {.causal = causal, .form = form, .chunk = 4, .key_mask = kept});
      };
      const auto favor = [&](const MaskedHeads& x, const Tensor& kept) {
        return favor_attention(x.q, x.k, x.v, projection,
                               {.causal = causal, .form = form, .chunk = 4, .key_mask = kept});
      };
      check_hidden([&](const MaskedHeads& x) { return favor(x, key_mask); });
      check_hidden([&](const MaskedHeads& x) { return efficient(x, key_mask); });
      check_hidden([&](const MaskedHeads& x) {
        return linear_attention(x.q, x.k, x.v,
                                {.causal = causal, .normalize = false, .form = form, .chunk = 4, .key_mask = key_mask});
      });
      if (!causal) continue;
      check_before([&](const MaskedHeads& x) { return linear(x, {}); });
      check_before([&](const MaskedHeads& x) { return efficient(x, {}); });
      check_before([&](const MaskedHeads& x) { return favor(x, {}); });
    }
}
