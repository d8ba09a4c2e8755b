#include <cotangent/autograd/ops/low_rank_attention.hpp>

#include <algorithm>
#include <cmath>

#include <cotangent/autograd/autocast_internal.hpp>
#include <cotangent/autograd/ops/attention.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/heads_internal.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/scan.hpp>
#include <cotangent/autograd/ops/softmax.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent {
namespace {

constexpr const char* kNystrom = "nystrom_attention";

void check_iterations(const char* op, int64_t iterations) {
  if (iterations < 0) fail<ValueError>("[{}] {} iterations; there must be 0 or more", op, iterations);
}

/// The means of segments, (B, H, m, d), and which of them have a token, (B, m), undefined for all.
struct Landmarks {
  Tensor means, seen;
};

Landmarks landmarks_of(const Tensor& x, const Tensor& mask, int64_t most) {
  const int64_t batch = x.size(0), length = x.size(2), count = std::min(most, length);
  if (!mask.defined() && length % count == 0) return {mean(unflatten(x, 2, {count, length / count}), 3), {}};
  // the token that is r-th of n belongs to the segment floor(r count / n)
  const Tensor n = mask.defined() ? reshape(sum(mask, 1), {batch, 1, 1}) : full({1, 1, 1}, length, int64);
  const Tensor rank = mask.defined() ? unsqueeze(cumsum(mask, 1) - 1, 1) : reshape(arange(length), {1, 1, length});
  const Tensor at = rank * count, segment = reshape(arange(count), {1, count, 1});
  Tensor member = segment * n <= at && at < (segment + 1) * n;
  Tensor own = x;
  if (mask.defined()) {
    member = member && unsqueeze(mask, 1);
    own = where(checked_key_mask(kNystrom, mask, x), x, 0);
  }
  const Tensor size = sum(member, -1, true);
  const Tensor share = to(member, x.dtype()) / to(maximum(size, ones({}, int64)), x.dtype());
  return {matmul(unsqueeze(share, 1), own), mask.defined() ? squeeze(size > 0, -1) : Tensor()};
}

}  // namespace

Tensor iterative_pseudo_inverse(const Tensor& a, int64_t iterations) {
  static constexpr const char* op = "iterative_pseudo_inverse";
  if (a.rank() < 2) fail<ShapeError>("[{}] a has shape {}; it must be matrices, (.., m, n)", op, a.shape());
  if (!a.is_floating()) fail<DTypeError>("[{}] a is {}; it must be floating", op, a.dtype());
  check_iterations(op, iterations);
  if (is_low_precision(a.dtype())) return in_float32<to>(iterative_pseudo_inverse, a, iterations);
  if (a.numel() == 0) return transposed(a).clone();
  const Tensor size = abs(a);
  Tensor z = divided_by_sum(transposed(a), amax(sum(size, -2, true), -1, true) * amax(sum(size, -1, true), -2, true));
  const Tensor one = eye(a.size(-2), a.size(-2), a.dtype());
  for (int64_t i = 0; i < iterations; ++i) {
    const Tensor az = matmul(a, z);
    z = matmul(z, 3.25 * one - matmul(az, 3.75 * one - matmul(az, 1.75 * one - 0.25 * az)));
  }
  return z;
}

Tensor nystrom_attention(const Tensor& q, const Tensor& k, const Tensor& v, const NystromOptions& o) {
  COTANGENT_AUTOCAST(nystrom_attention, q, k, v, o);
  check_heads(kNystrom, q, k, v, false);
  checked_key_mask(kNystrom, o.key_mask, k);
  checked_key_mask(kNystrom, o.query_mask, q);
  check_positive(kNystrom, "number of landmarks", o.landmarks);
  check_iterations(kNystrom, o.iterations);
  if (is_low_precision(q.dtype())) return in_float32<to>(nystrom_attention, q, k, v, o);
  if (q.numel() == 0 || k.numel() == 0) return no_values(q, v);
  const double scale = o.scale != 0 ? o.scale : 1 / std::sqrt(static_cast<double>(q.size(3)));
  const Landmarks queries = landmarks_of(q, o.query_mask, o.landmarks), keys = landmarks_of(k, o.key_mask, o.landmarks);
  const auto of_keys = [](const Tensor& seen) {
    return seen.defined() ? reshape(seen, {seen.size(0), 1, 1, seen.size(1)}) : seen;
  };
  Tensor between = matmul(queries.means * scale, transposed(keys.means));
  between =
      keys.seen.defined() ? masked_softmax(where(of_keys(keys.seen), between, kHidden), -1) : softmax(between, -1);
  // a segment without a token: a row of zeros, so that its column of the inverse is 0
  if (queries.seen.defined()) between = where(transposed(of_keys(queries.seen)), between, 0);
  const Tensor inner = scaled_dot_product_attention(queries.means, k, v, {.mask = of_keys(o.key_mask), .scale = scale});
  const Tensor values = matmul(iterative_pseudo_inverse(between, o.iterations), inner);
  return scaled_dot_product_attention(q, keys.means, values, {.mask = of_keys(keys.seen), .scale = scale});
}

}  // namespace cotangent
