#include <cotangent/tensor/few_rows_internal.hpp>

#include <algorithm>

#include <cotangent/tensor/kernels/kernels.hpp>
#include <cotangent/tensor/memory/scratch_internal.hpp>
#include <cotangent/tensor/parallel.hpp>
#include <cotangent/tensor/product_plan_internal.hpp>

namespace cotangent::raw {
namespace {

using kernels::FewRows;

// The order of sums, alike on all machines:
constexpr int64_t kChunk = 65536;               // elements of the matrix that a thread takes at once
constexpr int64_t kColumns = 1024;              // sums of a row at once
constexpr int64_t kFew = 8192, kNear = 131072;  // elements of a matrix whose rows are read in any order

/// Whether it pays not to pack a matrix of which the columns are neighbours: the lanes of each result are summed, so
/// that short columns cost more.
template <class T>
bool pays_by_columns(int64_t rows, int64_t k) {
  return rows == 1 || (rows <= kernels::kernels().few_rows.of<T>().most_dots && 8 * rows <= k);
}
/// Or the rows: gemm has a tile that suits 4 of them, and for a large matrix it jumps from page to page.
bool pays_by_rows(int64_t rows, int64_t elements) {
  return rows == 1 || (rows <= 7 && elements > (rows == 4 ? kNear : kFew));
}

/// Where the columns of w are neighbours. Those that a thread takes do not change the sums.
template <class T>
void multiply_columns(const FewRows<T>& p) {
  const auto loop = kernels::kernels().few_rows.of<T>().dots;
  const int64_t chunk = ceil_div(std::max(kChunk / p.k, int64_t{1}), 8) * 8;
  parallel_chunks(ceil_div(p.n, chunk), [&](int64_t i) {
    FewRows<T> part = p;
    const int64_t first = i * chunk;
    part.n = std::min(chunk, p.n - first), part.w += first * p.w_step, part.c += first * p.c_column;
    loop(part);
  });
}

/// Where the rows of w are neighbours. Columns are cut up for the threads, and the rows of few columns too, whose sums
/// are then added in order.
template <class T>
void add_rows(const FewRows<T>& p) {
  const auto loop = kernels::kernels().few_rows.of<T>().add;
  const int64_t columns = std::min(p.n, kColumns), across = ceil_div(p.n, columns),
                rows = across > 1 ? p.k : std::max<int64_t>(kChunk / columns, 1), down = ceil_div(p.k, rows);
  const bool direct = down == 1 && p.c_column == 1;
  const Scratch<T> space(direct ? 0 : down * p.m * p.n);
  FewRows<T> sums = p;
  if (!direct) sums.c = space.data(), sums.c_row = p.n;
  begin_rows<T>(down * p.m, p.n, sums.c, sums.c_row, direct ? static_cast<T>(p.beta) : T(0), nullptr);
  parallel_chunks(down * across, [&](int64_t task) {
    FewRows<T> part = sums;
    const int64_t row = task / across * rows, column = task % across * columns;
    part.n = std::min(columns, p.n - column), part.k = std::min(rows, p.k - row);
    part.x += row * p.x_column, part.w += row * p.w_step + column, part.c += task / across * p.m * p.n + column;
    loop(part);
  });
  if (direct) return;
  for (int64_t i = 0; i < p.m; ++i) {
    T* const sum = sums.c + i * p.n;
    for (int64_t d = 1; d < down; ++d)
      for (int64_t j = 0; j < p.n; ++j) sum[j] += sum[d * p.m * p.n + j];
    for (int64_t j = 0; j < p.n; ++j) {
      T& to = p.c[i * p.c_row + j * p.c_column];
      to = p.beta == 0 ? sum[j] : sum[j] + static_cast<T>(p.beta) * to;
    }
  }
}

}  // namespace

template <class T>
void begin_rows(int64_t m, int64_t n, T* c, int64_t c_row, T beta, const T* bias) {
  for (int64_t i = 0; i < m; ++i, c += c_row) {
    if (beta == T(0) && bias)
      std::copy(bias, bias + n, c);
    else if (beta == T(0))
      std::fill(c, c + n, T(0));
    else if (beta != T(1) || bias)
      for (int64_t j = 0; j < n; ++j) c[j] = beta * c[j] + (bias ? bias[j] : T(0));
  }
}

template <class T>
bool few_rows_product(int64_t m, int64_t n, int64_t k, Matrix<T> a, Matrix<T> b, T* c, int64_t c_row, T alpha, T beta,
                      const T* bias) {
  const bool turned = n < m;  // then c^T = b^T a^T is the product of few rows
  const Matrix<T> x = turned ? Matrix<T>{b.data, b.column, b.row} : a,
                  w = turned ? Matrix<T>{a.data, a.column, a.row} : b;
  const int64_t rows = std::min(m, n);
  const bool by_columns = w.row == 1 && pays_by_columns<T>(rows, k);
  if (!by_columns && !(w.column == 1 && pays_by_rows(rows, k * std::max(m, n)))) return false;
  if (bias) begin_rows(m, n, c, c_row, beta, bias), beta = 1;
  FewRows<T> p{.m = rows,
               .n = std::max(m, n),
               .k = k,
               .x = x.data,
               .x_row = x.row,
               .x_column = x.column,
               .w = w.data,
               .w_step = by_columns ? w.column : w.row,
               .c = c,
               .c_row = turned ? 1 : c_row,
               .c_column = turned ? c_row : 1,
               .alpha = alpha,
               .beta = beta};
  if (!by_columns) {
    add_rows(p);
    return true;
  }
  const Scratch<T> space(x.column == 1 ? 0 : rows * k);
  if (x.column != 1) {
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t l = 0; l < k; ++l) space[i * k + l] = x.data[i * x.row + l * x.column];
    p.x = space.data(), p.x_row = k;
  }
  multiply_columns(p);
  return true;
}

template void begin_rows(int64_t, int64_t, float*, int64_t, float, const float*);
template void begin_rows(int64_t, int64_t, double*, int64_t, double, const double*);
template bool few_rows_product(int64_t, int64_t, int64_t, Matrix<float>, Matrix<float>, float*, int64_t, float, float,
                               const float*);
template bool few_rows_product(int64_t, int64_t, int64_t, Matrix<double>, Matrix<double>, double*, int64_t, double,
                               double, const double*);

}  // namespace cotangent::raw
