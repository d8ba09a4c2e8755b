#pragma once
// What runs along a dimension: sums, products, extremes, and linear recurrences. autograd/ops/complex.hpp has the
// recurrence of complex numbers. n is the size of the dimension.
#include <cotangent/autograd/ops/reduce.hpp>

namespace cotangent {

/// y[i] = x[0] + ... + x[i] along `dim`. Integers and bools are summed in int64, float32 in float64.
///   dx[i] = dy[i] + ... + dy[n-1]
Tensor cumsum(const Tensor& x, int64_t dim);

/// y[i] = x[0] * ... * x[i] along `dim`. Integers and bools are multiplied in int64, float32 in float64.
///   dx[i] = y[i-1] s[i] with s[i] = dy[i] + x[i+1] s[i+1], which divides by nothing: it is right at zeros, too
Tensor cumprod(const Tensor& x, int64_t dim);

/// y[i] = log(e^x[0] + ... + e^x[i]) along `dim`, shifted by the running maximum so that it neither overflows nor
/// vanishes; -infinity where all elements so far are.   dx[i] = the sum over j >= i of dy[j] e^(x[i] - y[j])
Tensor logcumsumexp(const Tensor& x, int64_t dim);

/// The largest and the smallest of x[0], ..., x[i] along `dim`, and the index (int64) at which it stands: the last if
/// there are several. NaN is chosen if there is one.   dx = dvalues, added up at the indices
Extreme cummax(const Tensor& x, int64_t dim);
Extreme cummin(const Tensor& x, int64_t dim);

/// The linear recurrence h_t = a_t h_(t-1) + b_t along `dim`, with the state h_(-1) = initial, or 0 where that is
/// undefined. In `reverse` it runs from the last place to the first: h_t = a_t h_(t+1) + b_t, and h_n = initial.
///
///     h = linear_scan(decay, x, 1)         // x (B, T, N), decay (N), (T, N) or (B, T, N)
///
///   b and h (.., n, ..);   a broadcasts to b: a constant decay costs no copy, and its gradient no memory along dim;
///   initial broadcasts to b without dim
///   r_t = dh_t + a_(t+1) r_(t+1);   db = r, da_t = r_t h_(t-1), dinitial = a_0 r_0
/// Lines along `dim` run in parallel, in vectors where they lie side by side in memory, and one element after another:
/// h_t depends on nothing after t, bit for bit. float32 is computed in float32. A ShapeError if a or initial does not
/// broadcast, a DTypeError unless all have one floating dtype.
Tensor linear_scan(const Tensor& a, const Tensor& b, int64_t dim, const Tensor& initial = {}, bool reverse = false);

}  // namespace cotangent
