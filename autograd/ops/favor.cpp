#include <cotangent/autograd/ops/favor.hpp>

#include <cmath>

#include <cotangent/autograd/autocast_internal.hpp>
#include <cotangent/autograd/ops/activation.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/heads_internal.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/range.hpp>

namespace cotangent {
namespace {

double dot(const double* a, const double* b, int64_t n) {
  double s = 0;
  for (int64_t i = 0; i < n; ++i) s += a[i] * b[i];
  return s;
}

}  // namespace

Tensor random_projection(int64_t m, int64_t d, bool orthogonal, Dtype dtype, Generator& generator) {
  constexpr const char* op = "random_projection";
  check_positive(op, "number of features", m);
  check_positive(op, "width", d);
  const Tensor rows = randn({m, d}, float64, generator);
  if (!orthogonal) return to(rows, dtype);
  const Tensor lengths = randn({m, d}, float64, generator);
  double *w = rows.data<double>(), *other = lengths.data<double>();
  for (int64_t i = 0; i < m; ++i) {
    double* row = w + i * d;
    for (int pass = 0; pass < 2; ++pass)  // Gram and Schmidt's method, twice for accuracy
      for (int64_t j = i - i % d; j < i; ++j) {
        const double* before = w + j * d;  // of unit length
        const double share = dot(row, before, d);
        for (int64_t c = 0; c < d; ++c) row[c] -= share * before[c];
      }
    const double norm = std::sqrt(dot(row, row, d));
    for (int64_t c = 0; c < d; ++c) row[c] /= norm;
  }
  for (int64_t i = 0; i < m; ++i) {
    const double length = std::sqrt(dot(other + i * d, other + i * d, d));
    for (int64_t c = 0; c < d; ++c) w[i * d + c] *= length;
  }
  return to(rows, dtype);
}

namespace {

void check_projection(const char* op, const Tensor& x, const Tensor& projection) {
  if (x.rank() < 1 || projection.rank() != 2 || projection.size(1) != x.size(-1))
    fail<ShapeError>("[{}] the projection is {} for x {}; it must be (m, d) with the width d of x", op,
                     projection.shape(), x.shape());
}

/// The exponents of the features, or for relu what is rectified.
Tensor exponents(const Tensor& x, const Tensor& projection, FavorKernel kernel) {
  const Tensor wx = linear(x, projection);
  if (kernel == FavorKernel::relu) return wx;
  const Tensor half = sum(square(x), -1, true) * 0.5;
  if (kernel == FavorKernel::positive) return wx - half;
  return cat({wx, -wx}, -1) - half;
}
Tensor features_of(const Tensor& u, FavorKernel kernel, double eps) {
  const double scale = 1 / std::sqrt(static_cast<double>(u.size(-1)));
  return (kernel == FavorKernel::relu ? relu(u) : exp(u)) * scale + scale * eps;
}

}  // namespace

Tensor favor_features(const Tensor& x, const Tensor& projection, FavorKernel kernel, double eps) {
  check_projection("favor_features", x, projection);
  detail::check_not_negative("favor_features", "eps", eps);
  const auto features = [&](const Tensor& in, const Tensor& w) {
    return features_of(exponents(in, w, kernel), kernel, eps);
  };
  return in_float32<to>(features, x, projection);
}

Tensor favor_attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& projection,
                       const FavorOptions& options, LinearAttentionState* state) {
  COTANGENT_AUTOCAST(favor_attention, q, k, v, projection, options, state);
  constexpr const char* op = "favor_attention";
  check_heads(op, q, k, v, options.causal);
  check_projection(op, q, projection);
  if (options.eps) detail::check_not_negative(op, "eps", *options.eps);
  if (is_low_precision(q.dtype())) return in_float32<to>(favor_attention, q, k, v, projection, options, state);
  const FavorKernel kernel = options.kernel;
  const double eps = options.eps.value_or(kernel == FavorKernel::relu ? 1e-3 : 1e-4);
  const double scale = std::pow(static_cast<double>(q.size(3)), -0.25);
  const Tensor kept = checked_key_mask(op, options.key_mask, k), keys = kept.defined() ? masked_fill(k, !kept, 0) : k;
  Tensor uq = exponents(q * scale, projection, kernel), uk = exponents(keys * scale, projection, kernel);
  if (kernel != FavorKernel::relu && q.numel() > 0 && k.numel() > 0) {
    uq = uq - amax(uq, -1, true);
    if (!options.causal) {
      const Tensor seen = kept.defined() ? masked_fill(uk, !kept, kHidden) : uk;
      uk = uk - finite_top(amax(seen, {2, 3}, true));
    }
  }
  return linear_attention(features_of(uq, kernel, eps), features_of(uk, kernel, eps), v,
                          {.causal = options.causal,
                           .eps = 1e-30,  // only for a row that sees nothing
                           .form = options.form,
                           .chunk = options.chunk,
                           .key_mask = options.key_mask},
                          state);
}

}  // namespace cotangent
