#include "calls.hpp"

namespace cotangent {

int64_t Draw::integer() {
  constexpr int64_t edges[] = {INT64_MIN,
                               INT64_MIN + 1,
                               -(int64_t{1} << 62),
                               -(int64_t{1} << 32),
                               -(int64_t{1} << 31),
                               -2,
                               -1,
                               0,
                               1,
                               2,
                               int64_t{1} << 16,
                               INT32_MAX,
                               int64_t{1} << 31,
                               int64_t{1} << 32,
                               int64_t{1} << 61,
                               int64_t{1} << 62,
                               (int64_t{1} << 62) + 1,
                               INT64_MAX - 1,
                               INT64_MAX};
  return below(2) ? edges[below(std::ssize(edges))] : below(9) - 2;
}

Scalar Draw::number() {
  constexpr double edges[] = {
      -__builtin_inf(), -0x1p63,          -0x1p31 - 1, -.5, -0., .5, 255.5, 0x1p31, 0x1p53, 0x1p63, 1e300,
      __builtin_inf(),  __builtin_nan("")};
  return below(2) ? Scalar(integer()) : Scalar(edges[below(std::ssize(edges))]);
}

Dims Draw::integers(int count) {
  Dims dims;
  for (int i = 0; i < count; ++i) dims.push_back(likely());
  return dims;
}

Dtype Draw::dtype() {
  constexpr Dtype all[] = {float32, float64, bfloat16, float16, int64, int32, uint8, boolean};
  return all[below(8)];
}

Tensor Draw::tensor(const Shape& shape, bool floating) {
  const Tensor x = randn(shape, float32) * 3;
  Dtype to = dtype();
  while (floating && !is_floating(to)) to = dtype();
  const Tensor y = x.to(to);
  return below(2) ? y : with_layout(y, static_cast<int>(below(kLayouts)));
}

Tensor Draw::varied(const Tensor& x) {
  if (below(2)) return x.to(dtype());
  if (x.rank() > 0 && x.numel() > 0 && below(4) == 0) return repeated(x, static_cast<int>(below(x.rank())));
  return with_layout(x, static_cast<int>(below(kLayouts)));
}

namespace {

/// f of a tensor and another one, or a number.
template <class F>
void with_operand(Draw& d, F f) {
  const Tensor x = d.tensor({d.below(3), 3});
  if (d.below(2))
    f(x, d.tensor({3}));
  else
    f(x, d.number());
}

// Reads what a view shows, unless that is too much.
void read(const Tensor& x) {
  if (x.numel() <= 1 << 20) sum(x.to(float32));
}

Tensor sequence(Draw& d) { return d.tensor({2, 4, 6, 4}, true); }

constexpr SparsePattern kPatterns[] = {SparsePattern::local,    SparsePattern::blocks,  SparsePattern::atrous,
                                       SparsePattern::combined, SparsePattern::summary, SparsePattern::fixed};
SparseOptions sparse(Draw& d) {
  return {.pattern = kPatterns[d.below(6)],
          .window = d.likely(),
          .stride = d.likely(),
          .summary = d.likely(),
          .causal = d.below(2) == 1};
}

template <int n>
Shape image() {
  Shape shape{2, 4};
  for (int i = 0; i < n; ++i) shape.push_back(5 - i);
  return shape;
}
template <int n>
Shape kernel() {
  Shape shape{4, 4};
  for (int i = 0; i < n; ++i) shape.push_back(2);
  return shape;
}

void differentiate(const Tensor& x, Tensor (*f)(Draw&, const Tensor&), Draw& d) {
  Tensor leaf = x.detach();
  leaf.requires_grad_();
  sum(f(d, leaf)).backward();
}

#define COTANGENT_SPATIAL_CALLS(n)                                                                                     \
  {"conv" #n "d",                                                                                                      \
   [](Draw& d) {                                                                                                       \
     differentiate(                                                                                                    \
         randn(image<n>()),                                                                                            \
         [](Draw& e, const Tensor& x) {                                                                                \
           return conv##n##d(x, randn(kernel<n>()), {},                                                                \
                             {.stride = e.integers(n),                                                                 \
                              .padding = e.integers(n),                                                                \
                              .dilation = e.integers(n),                                                               \
                              .groups = e.below(4) ? 1 : e.integer()});                                                \
         },                                                                                                            \
         d);                                                                                                           \
   }},                                                                                                                 \
      {"conv_transpose" #n "d",                                                                                        \
       [](Draw& d) {                                                                                                   \
         differentiate(                                                                                                \
             randn(image<n>()),                                                                                        \
             [](Draw& e, const Tensor& x) {                                                                            \
               return conv_transpose##n##d(x, randn(kernel<n>()), {},                                                  \
                                           {.stride = e.integers(n),                                                   \
                                            .padding = e.integers(n),                                                  \
                                            .output_padding = e.below(3) ? Spatial(0) : Spatial(e.integers(n)),        \
                                            .groups = e.below(4) ? 1 : e.integer(),                                    \
                                            .dilation = e.integers(n)});                                               \
             },                                                                                                        \
             d);                                                                                                       \
       }},                                                                                                             \
      {"conv" #n "d, same",                                                                                            \
       [](Draw& d) {                                                                                                   \
         conv##n##d(randn(image<n>()), randn(kernel<n>()), {}, {.padding = Padding::same, .dilation = d.integers(n)}); \
       }},                                                                                                             \
      {"max_pool" #n "d",                                                                                              \
       [](Draw& d) {                                                                                                   \
         differentiate(                                                                                                \
             randn(image<n>()),                                                                                        \
             [](Draw& e, const Tensor& x) {                                                                            \
               return max_pool##n##d(x, e.integers(n),                                                                 \
                                     {.stride = e.integers(n),                                                         \
                                      .padding = e.below(2) ? Spatial(0) : Spatial(e.integers(n)),                     \
                                      .dilation = e.integers(n),                                                       \
                                      .ceil_mode = e.below(2) == 1});                                                  \
             },                                                                                                        \
             d);                                                                                                       \
       }},                                                                                                             \
      {"avg_pool" #n "d",                                                                                              \
       [](Draw& d) {                                                                                                   \
         differentiate(                                                                                                \
             randn(image<n>()),                                                                                        \
             [](Draw& e, const Tensor& x) {                                                                            \
               return avg_pool##n##d(x, e.integers(n),                                                                 \
                                     {.stride = e.integers(n),                                                         \
                                      .padding = e.below(2) ? Spatial(0) : Spatial(e.integers(n)),                     \
                                      .ceil_mode = e.below(2) == 1,                                                    \
                                      .divisor_override = e.below(3) ? 0 : e.integer()});                              \
             },                                                                                                        \
             d);                                                                                                       \
       }},                                                                                                             \
      {"max_unpool" #n "d",                                                                                            \
       [](Draw& d) {                                                                                                   \
         const MaxPool y = max_pool##n##d##_with_indices(randn(image<n>()), 2);                                        \
         max_unpool##n##d(y.values, y.indices, d.integers(n),                                                          \
                          {.stride = d.integers(n),                                                                    \
                           .padding = d.integers(n),                                                                   \
                           .output_size = d.below(2) ? Shape() : d.integers(n)});                                      \
       }},                                                                                                             \
      {"adaptive_avg_pool" #n "d",                                                                                     \
       [](Draw& d) { adaptive_avg_pool##n##d(d.tensor(image<n>(), true), d.integers(n)); }},                           \
      {"adaptive_max_pool" #n "d",                                                                                     \
       [](Draw& d) { adaptive_max_pool##n##d(d.tensor(image<n>(), true), d.integers(n)); }},

}  // namespace

// clang-format off
const std::vector<Call>& calls() {
  static const std::vector<Call> all = {
      {"zeros", [](Draw& d) { zeros(d.integers(1 + int(d.below(4))), d.dtype()); }},
      {"ones", [](Draw& d) { ones(d.integers(1 + int(d.below(4))), d.dtype()); }},
      {"full", [](Draw& d) { full(d.integers(2), d.integer(), d.dtype()); }},
      {"empty", [](Draw& d) { empty(d.integers(1 + int(d.below(5))), d.dtype()); }},
      {"from_vector", [](Draw& d) { from_vector(std::vector<float>(4), d.integers(2)); }},
      {"full, of any number", [](Draw& d) { full({2}, d.number(), d.dtype()); }},
      {"fill_", [](Draw& d) { d.tensor({2, 3}).fill_(d.number()); }},
      {"item", [](Draw& d) { const Tensor x = full({}, d.number(), float64); x.item<int>(), x.item<uint8_t>(), x.item<int64_t>(); }},
      {"masked_fill", [](Draw& d) { masked_fill(d.tensor({2, 3}), d.tensor({3}).to(boolean), d.number()); }},
      {"where", [](Draw& d) { where(d.tensor({3}).to(boolean), d.tensor({2, 3}), d.number()); }},
      {"clamp", [](Draw& d) { clamp(d.tensor({2, 3}), d.number(), d.number()); }},
      {"eq", [](Draw& d) { with_operand(d, [](const Tensor& x, const auto& y) { eq(x, y), ne(x, y); }); }},
      {"lt", [](Draw& d) { with_operand(d, [](const Tensor& x, const auto& y) { lt(x, y), le(x, y); }); }},
      {"gt", [](Draw& d) { with_operand(d, [](const Tensor& x, const auto& y) { gt(x, y), ge(x, y); }); }},
      {"add", [](Draw& d) { with_operand(d, [](const Tensor& x, const auto& y) { x + y; }); }},
      {"mul", [](Draw& d) { with_operand(d, [](const Tensor& x, const auto& y) { x * y; }); }},
      {"div", [](Draw& d) { with_operand(d, [](const Tensor& x, const auto& y) { x / y; }); }},
      {"pow", [](Draw& d) { with_operand(d, [](const Tensor& x, const auto& y) { pow(x, y); }); }},
      {"remainder", [](Draw& d) { with_operand(d, [](const Tensor& x, const auto& y) { remainder(x, y); }); }},
      {"fmod", [](Draw& d) { with_operand(d, [](const Tensor& x, const auto& y) { fmod(x, y); }); }},
      {"floor_divide", [](Draw& d) { with_operand(d, [](const Tensor& x, const auto& y) { floor_divide(x, y); }); }},
      {"integers by -1", [](Draw& d) { const Tensor x = full({3}, d.integer(), int64).to(d.below(2) ? int64 : int32); floor_divide(x, -1), remainder(x, -1), fmod(x, full({3}, -1, x.dtype())); }},
      {"add_", [](Draw& d) { with_operand(d, [](Tensor x, const auto& y) { x += y; }); }},
      {"mul_", [](Draw& d) { with_operand(d, [](Tensor x, const auto& y) { x *= y; }); }},
      {"add_, with alpha", [](Draw& d) { d.tensor({2, 3}).add_(d.tensor({3}), d.number()); }},
      {"copy_", [](Draw& d) { d.tensor({2, 3}).copy_(d.tensor({3})); }},
      {"index_put_", [](Draw& d) { d.tensor({2, 3}).index_put_({d.tensor({2}).to(boolean)}, d.number()); }},
      {"addmm", [](Draw& d) { const Tensor a = d.tensor({3, 3}); addmm(a, a, a, d.number().to<double>(), d.number().to<double>()); }},
      {"norm", [](Draw& d) { Tensor x = d.tensor({2, 3}, true); norm(x * d.number(), d.number().to<double>(), d.integers(1 + int(d.below(2)))); }},
      {"arange", [](Draw& d) { arange(d.integer(), d.integer(), d.integer(), d.dtype()); }},
      {"arange, of any numbers", [](Draw& d) { arange(d.number(), d.number(), d.number(), d.dtype()); }},
      {"linspace", [](Draw& d) { linspace(0, 1, d.integer()); }},
      {"linspace, of any numbers", [](Draw& d) { linspace(d.number().to<double>(), d.number().to<double>(), d.likely(), d.dtype()); }},
      {"eye", [](Draw& d) { eye(d.integer(), d.integer()); }},
      {"rand", [](Draw& d) { rand(d.integers(2)); }},
      {"randn", [](Draw& d) { randn(d.integers(2)); }},
      {"randint", [](Draw& d) { randint(d.integer(), d.integer(), d.integers(2), d.dtype()); }},
      {"randperm", [](Draw& d) { randperm(d.integer(), d.dtype()); }},
      {"bernoulli", [](Draw& d) { bernoulli(d.integers(2), .5); }},
      {"multinomial", [](Draw& d) { multinomial(ones({2, 5}), d.integer(), d.below(2) == 1); }},
      {"Dims[]", [](Draw& d) { static_cast<void>(Shape{2, 3}[static_cast<int>(d.integer())]); }},
      {"size", [](Draw& d) { ones({2, 3}).size(d.integer()); }},
      {"reshape", [](Draw& d) { read(reshape(d.tensor({4}), d.integers(3))); }},
      {"view", [](Draw& d) { read(view(d.tensor({4, 3}), d.integers(3))); }},
      {"expand", [](Draw& d) { read(expand(d.tensor({1, 1}), d.integers(3))); }},
      {"flatten", [](Draw& d) { read(flatten(d.tensor({2, 3, 2}), d.integer(), d.integer())); }},
      {"flatten of what is large", [](Draw& d) { flatten(expand(ones({1, 1, 1}), d.integers(3)), d.integer(), d.integer()); }},
      {"unflatten", [](Draw& d) { read(unflatten(d.tensor({2, 4}), d.integer(), d.integers(2))); }},
      {"permute", [](Draw& d) { const Dims dims = d.integers(2); permute(d.tensor({2, 3}), {dims[0], dims[1]}); }},
      {"transpose", [](Draw& d) { read(transpose(d.tensor({2, 3}), d.integer(), d.integer())); }},
      {"squeeze", [](Draw& d) { squeeze(d.tensor({2, 1}), d.integer()); }},
      {"unsqueeze", [](Draw& d) { unsqueeze(d.tensor({2, 1}), d.integer()); }},
      {"select", [](Draw& d) { read(select(d.tensor({2, 3}), d.likely(), d.integer())); }},
      {"slice", [](Draw& d) { read(slice(d.tensor({4, 3}), d.below(2), d.integer(), d.integer(), d.integer())); }},
      {"narrow", [](Draw& d) { read(narrow(d.tensor({4, 3}), d.below(2), d.integer(), d.integer())); }},
      {"diagonal", [](Draw& d) { read(diagonal(d.tensor({4, 3}), d.integer(), d.below(2), d.integer())); }},
      {"unfold", [](Draw& d) { read(unfold(d.tensor({4, 3}), d.below(2), d.likely(), d.integer())); }},
      {"as_strided", [](Draw& d) { read(as_strided(d.tensor({4, 3}), d.integers(2), d.integers(2), d.integer())); }},
      {"index", [](Draw& d) { read(d.tensor({4, 3}).index({Slice(d.integer(), d.integer(), d.integer()), d.integer()})); }},
      {"index, with a tensor", [](Draw& d) { read(d.tensor({4, 3}).index({full({2}, d.integer(), int64), None})); }},
      {"split", [](Draw& d) { split(d.tensor({4, 3}), d.integer(), d.below(4) ? d.below(2) : d.integer()); }},
      {"split, sizes", [](Draw& d) { const Dims s = d.integers(3); split(d.tensor({4, 3}), {s[0], s[1], s[2]}, 0); }},
      {"split of what is large", [](Draw& d) { split(expand(ones({1}), {d.integer()}), d.integer(), 0); }},
      {"chunk", [](Draw& d) { chunk(d.tensor({4, d.below(3)}), d.integer(), d.integer()); }},
      {"unbind", [](Draw& d) { unbind(expand(ones({1, 1}), d.integers(2)), d.integer()); }},
      {"flip", [](Draw& d) { read(flip(d.tensor({4, 3}), d.integer())); }},
      {"cat", [](Draw& d) { cat({expand(ones({1, 1}), d.integers(2)), expand(ones({1, 1}), d.integers(2))}, d.below(4) ? d.below(2) : d.integer()); }},
      {"stack", [](Draw& d) { stack({d.tensor({2}), d.tensor({2})}, d.integer()); }},
      {"add of what is large", [](Draw& d) { expand(ones({1, 1}), d.integers(2)) + expand(ones({1, 1}), d.integers(2)); }},
      {"contiguous of what is large", [](Draw& d) { expand(ones({1, 1}), d.integers(2)).contiguous(); }},
      {"matmul of what is large", [](Draw& d) { const int64_t n = d.likely(); matmul(expand(ones({1, 2}), {n, 2}), expand(ones({2, 1}), {2, n})); }},
      {"conv1d of what is large", [](Draw& d) { conv1d(expand(ones({1, 1, 1}), {1, 1, d.likely()}), expand(ones({1, 1, 1}), {1, 1, d.likely()}), {}, {.padding = d.likely(), .dilation = d.likely()}); }},
      {"conv_transpose1d of what is large", [](Draw& d) { conv_transpose1d(expand(ones({1, 1, 1}), {1, 1, d.likely()}), expand(ones({1, 1, 1}), {1, 1, d.likely()}), {}, {.stride = d.likely(), .dilation = d.likely()}); }},
      {"sum", [](Draw& d) { sum(d.tensor({2, 3}), {d.integer(), d.integer()}); }},
      {"max", [](Draw& d) { max(d.tensor({2, 3}), d.integer()); }},
      {"max of nothing", [](Draw& d) { max(d.tensor({d.below(2), 3})); }},
      {"argmax", [](Draw& d) { argmax(d.tensor({2, 3}), d.integer()); }},
      {"cumsum", [](Draw& d) { cumsum(d.tensor({2, 3}), d.integer()); }},
      {"cumprod", [](Draw& d) { cumprod(d.tensor({2, 3}), d.integer()); }},
      {"logcumsumexp", [](Draw& d) { logcumsumexp(d.tensor({2, 3}), d.integer()); }},
      {"cummax", [](Draw& d) { cummax(d.tensor({2, 3}), d.integer()); }},
      {"linear_scan", [](Draw& d) { const Tensor b = d.tensor({2, d.below(4), 2}, true); linear_scan(d.below(2) ? b : d.varied(select(b, 0, 0)), b, d.integer(), d.below(2) ? select(b, 0, 0) : Tensor(), d.below(2) == 1); }},
      {"complex::linear_scan", [](Draw& d) { const Tensor b = d.tensor({2, d.below(4), 2}, true); complex::linear_scan(d.below(2) ? b : d.varied(select(b, 0, 0)), b, d.integer()); }},
      {"complex::mul", [](Draw& d) { const Tensor a = d.tensor({2, d.below(4), 2}, true); complex::mul(a, d.varied(a)); }},
      {"sort", [](Draw& d) { sort(d.tensor({2, 3}), d.integer()); }},
      {"topk", [](Draw& d) { topk(d.tensor({2, 3}), d.integer(), d.integer()); }},
      {"softmax", [](Draw& d) { softmax(d.tensor({2, 3}), d.integer()); }},
      {"index_select", [](Draw& d) { index_select(d.tensor({2, 3}), d.below(4) ? d.below(2) : d.integer(), full({2}, d.integer(), int64)); }},
      {"gather", [](Draw& d) { gather(d.tensor({2, 3}), d.below(4) ? d.below(2) : d.integer(), full({2, 3}, d.integer(), int64)); }},
      {"embedding", [](Draw& d) { embedding(randn({4, 2}), full({2}, d.integer(), int64), d.integer()); }},
      {"one_hot", [](Draw& d) { one_hot(full({2}, d.integer(), int64), d.integer()); }},
      {"tril", [](Draw& d) { tril(d.tensor({2, 3}), d.integer()); }},
      {"triu", [](Draw& d) { triu(d.tensor({2, 3}), d.integer()); }},
      {"cross_entropy", [](Draw& d) { cross_entropy(randn({2, 3}), full({2}, d.integer(), int64), {.ignore_index = d.integer()}); }},
      {"nll_loss", [](Draw& d) { nll_loss(randn({2, 3}), full({2}, d.integer(), int64), {.ignore_index = d.integer()}); }},
      {"layer_norm", [](Draw& d) { layer_norm(randn({2, 3}), d.integers(1 + int(d.below(3)))); }},
      {"group_norm", [](Draw& d) { group_norm(randn({2, 4, 3}), d.integer()); }},
      {"glu", [](Draw& d) { glu(randn({2, 4}), d.integer()); }},
      {"maxout", [](Draw& d) { maxout(randn({2, 4}), d.integer(), d.integer()); }},
      {"pixel_shuffle", [](Draw& d) { pixel_shuffle(d.tensor({1, 4 * d.below(2), 2, d.below(3)}), d.integer()); }},
      {"pixel_unshuffle", [](Draw& d) { pixel_unshuffle(d.tensor({1, 4, 2 * d.below(2), 2}), d.integer()); }},
      {"interpolate", [](Draw& d) { interpolate(randn({1, 2, 3, 4}), {.size = d.integers(2)}); }},
      {"interpolate, bilinear", [](Draw& d) { interpolate(randn({1, 2, 3, 4}), {.size = d.integers(2), .mode = Interpolation::bilinear, .antialias = d.below(2) == 1}); }},
      {"im2col", [](Draw& d) { im2col(randn({1, 2, 3, 4}), d.integers(2), {.dilation = d.integers(2), .padding = d.integers(2), .stride = d.integers(2)}); }},
      {"col2im", [](Draw& d) { col2im(randn({1, 4, 4}), d.integers(2), d.integers(2), {.dilation = d.integers(2), .padding = d.integers(2), .stride = d.integers(2)}); }},
      {"rope", [](Draw& d) { rope(randn({2, 3, 4}), d.integer(), {.width = d.integer()}); }},
      {"sparse_mask", [](Draw& d) { sparse_mask(d.integer(), d.integer(), sparse(d), d.integer(), d.integer()); }},
      {"sparse_scores", [](Draw& d) { const int64_t n = d.integer(); sparse_scores(std::abs(n + (n == INT64_MIN)) > 1 << 16 && n > 0 && n < 1 << 30 ? 64 : n, sparse(d)); }},
      {"sparse_attention", [](Draw& d) { const Tensor x = sequence(d); sparse_attention(x, x, x, sparse(d)); }},
      {"linear_attention", [](Draw& d) { const Tensor x = sequence(d); linear_attention(x, x, x, {.causal = d.below(2) == 1, .chunk = d.integer()}); }},
      {"efficient_attention", [](Draw& d) { const Tensor x = sequence(d); efficient_attention(x, x, x, {.causal = d.below(2) == 1, .chunk = d.integer()}); }},
      {"causal_product", [](Draw& d) { const Tensor x = sequence(d); causal_product(x, x, x, {}, d.below(2) == 1, d.integer()); }},
      {"gated_linear_attention", [](Draw& d) { const Tensor x = sequence(d); gated_linear_attention(x, x, x, d.tensor({d.below(3), 1, d.below(5)}), d.below(2) == 1 ? x : Tensor()); }},
      {"mlstm", [](Draw& d) { const Tensor x = sequence(d), gate = d.tensor({2, 4, d.below(8)}, true); mlstm(x, x, x, gate, gate); }},
      {"selective_scan", [](Draw& d) { const Tensor x = d.tensor({2, 3, 4}, true), b = d.tensor({2, 3, d.below(4)}, true); selective_scan(x, x, d.tensor({4, d.below(4)}, true), b, b); }},
      {"wkv", [](Draw& d) { const Tensor x = d.tensor({2, d.below(3), 4}, true), w = d.tensor({d.below(6)}, true); wkv(x, x, w, w); }},
      {"favor_attention", [](Draw& d) { const Tensor x = sequence(d); favor_attention(x, x, x, random_projection(3, 4), {.causal = d.below(2) == 1, .chunk = d.integer()}); }},
      {"random_projection", [](Draw& d) { random_projection(d.likely(), d.likely()); }},
      {"mixed_chunk_attention", [](Draw& d) { const Tensor x = sequence(d); mixed_chunk_attention(x, x, x, x, x, {.causal = d.below(2) == 1, .chunk = d.integer()}); }},
      {"squared_relu_attention", [](Draw& d) { const Tensor x = sequence(d); squared_relu_attention(x, x, x, {.length = d.integer()}); }},
      {"toeplitz", [](Draw& d) { toeplitz(randn({5}), d.integer(), d.integer()); }},
      {"matrix_power", [](Draw& d) { linalg::matrix_power(eye(2), d.integer()); }},
      {"cosformer_features", [](Draw& d) { cosformer_features(randn({2, 3, 4}), d.integer(), d.integer()); }},
      {"random_batch", [](Draw& d) { const data::TensorDataset set(randn({5, 2}), randn({5})); data::random_batch(set, d.integer(), 1, 1); }},
      {"DataLoader", [](Draw& d) {
         const data::TensorDataset set(randn({5, 2}), randn({5}));
         data::DataLoader loader(set, {.batch_size = d.integer(), .drop_last = d.below(2) == 1, .workers = d.likely(), .prefetch = d.integer()});
         loader.size();
         for (const auto& batch : loader) read(batch.x);
       }},
      {"Linear", [](Draw& d) { nn::Linear(d.likely(), d.likely()); }},
      {"Embedding", [](Draw& d) { nn::Embedding(d.likely(), d.likely(), {.padding_idx = d.integer()}); }},
      {"Conv2d", [](Draw& d) { nn::Conv2d(d.likely(), d.likely(), d.integers(2), {.groups = d.integer()}); }},
      {"ConvTranspose2d", [](Draw& d) { nn::ConvTranspose2d(d.likely(), d.likely(), d.integers(2), {.groups = d.integer()}); }},
      {"GroupNorm", [](Draw& d) { nn::GroupNorm(d.integer(), d.integer()); }},
      {"LayerNorm", [](Draw& d) { nn::LayerNorm{d.integers(2)}; }},
      {"BatchNorm2d", [](Draw& d) { nn::BatchNorm2d{d.integer()}; }},
      {"MultiHeadAttention", [](Draw& d) { nn::MultiHeadAttention(d.likely(), d.likely()); }},
      {"PixelShuffle", [](Draw& d) { nn::PixelShuffle{d.integer()}; }},
      {"SubPixelConv2d", [](Draw& d) { nn::SubPixelConv2d(d.likely(), d.likely(), d.likely()); }},
      COTANGENT_SPATIAL_CALLS(1)
      COTANGENT_SPATIAL_CALLS(2)
      COTANGENT_SPATIAL_CALLS(3)
  };
  return all;
}
// clang-format on

}  // namespace cotangent
