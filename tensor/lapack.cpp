#include <cotangent/tensor/lapack.hpp>

#include <cblas.h>

#include <limits>
#include <utility>

#include <cotangent/tensor/lapack_internal.hpp>

// OpenBLAS has LAPACK's functions, but not everywhere a header of them. A length of 1 follows for each text.
extern "C" {
void sgetrf_(const int* m, const int* n, float* a, const int* lda, int* pivots, int* info);
void dgetrf_(const int* m, const int* n, double* a, const int* lda, int* pivots, int* info);
void sgetrs_(const char* trans, const int* n, const int* k, const float* a, const int* lda, const int* pivots, float* b,
             const int* ldb, int* info, size_t);
void dgetrs_(const char* trans, const int* n, const int* k, const double* a, const int* lda, const int* pivots,
             double* b, const int* ldb, int* info, size_t);
void spotrf_(const char* uplo, const int* n, float* a, const int* lda, int* info, size_t);
void dpotrf_(const char* uplo, const int* n, double* a, const int* lda, int* info, size_t);
}

namespace cotangent::raw {
namespace {

COTANGENT_LAPACK(getrf)
COTANGENT_LAPACK(getrs)
COTANGENT_LAPACK(potrf)
template <class T>
constexpr auto trsm = [] {
  if constexpr (std::is_same_v<T, float>)
    return cblas_strsm;
  else
    return cblas_dtrsm;
}();

// Up to this size plain loops take less time than LAPACK needs for its choice of blocks.
constexpr int kSmall = 16;

/// getrf: x, by columns, becomes its factors.
template <class T>
void factorize(int n, T* x, int* pivots) {
  if (n > kSmall) {
    int info = 0;
    return getrf<T>(&n, &n, x, &n, pivots, &info);
  }
  for (int k = 0; k < n; ++k) {
    T* const column = x + k * n;
    int p = k;
    for (int i = k + 1; i < n; ++i) p = std::abs(column[i]) > std::abs(column[p]) ? i : p;
    pivots[k] = p + 1;
    if (column[p] == 0) continue;
    if (p != k)
      for (int j = 0; j < n; ++j) std::swap(x[j * n + k], x[j * n + p]);
    for (int i = k + 1; i < n; ++i) column[i] /= column[k];
    for (int j = k + 1; j < n; ++j) {
      const T factor = x[j * n + k];
      for (int i = k + 1; i < n; ++i) x[j * n + i] -= factor * column[i];
    }
  }
}

/// potrf of the lower triangle: 0, or the order of the first leading minor that is not positive.
template <class T>
int root(int n, T* x) {
  int info = 0;
  if (n > kSmall) {
    potrf<T>("L", &n, x, &n, &info, 1);
    return info;
  }
  for (int k = 0; k < n; ++k) {
    T* const column = x + k * n;
    if (!(column[k] > 0)) return k + 1;
    const T length = column[k] = std::sqrt(column[k]);
    for (int i = k + 1; i < n; ++i) column[i] /= length;
    for (int j = k + 1; j < n; ++j)
      for (int i = j; i < n; ++i) x[j * n + i] -= column[j] * column[i];
  }
  return 0;
}

}  // namespace

template <class T>
void solve_into(int n, int k, T* a, int* pivots, T* b) {
  int info = 0;
  factorize(n, a, pivots);
  getrs<T>("N", &n, &k, a, &n, pivots, b, &n, &info, 1);
}
template void solve_into(int, int, float*, int*, float*);
template void solve_into(int, int, double*, int*, double*);

LU lu(const char* op, const Tensor& a) {
  const int n = lapack_size(op, a.size(-1));
  const Tensor factors = by_columns(op, a);
  Shape shape = batch_of(a);
  const int64_t count = shape.product(), size = int64_t{n} * n;
  shape.push_back(n);
  const Tensor pivots = detail::make_tensor(shape, int32, op);
  dispatch_compute(op, a.dtype(), [&]<class T> {
    for_each_matrix(
        count, size * n,
        [&](int64_t i) {
          T* const x = factors.data<T>() + i * size;
          int* const p = pivots.data<int32_t>() + i * n;
          if (all_finite(x, size)) {
            factorize(n, x, p);
          } else {  // the search for a pivot does not see NaN
            std::fill_n(x, size, std::numeric_limits<T>::quiet_NaN());
            for (int k = 0; k < n; ++k) p[k] = k + 1;
          }
          return 0;
        },
        [](int64_t, int) {});
  });
  return {factors, pivots};
}

Tensor lu_solve(const char* op, const LU& a, const Tensor& b, bool transposed) {
  const int n = lapack_size(op, b.size(-2)), k = lapack_size(op, b.size(-1)), step = std::max(n, 1);
  const Tensor x = by_columns(op, b);
  dispatch_compute(op, b.dtype(), [&]<class T> {
    for_each_matrix(
        x.numel() > 0 ? batch_of(b).product() : 0, int64_t{n} * n * k,
        [&](int64_t i) {
          const T* const factors = a.factors.data<T>() + batch_offset(a.factors, i);
          for (int d = 0; d < n; ++d)
            if (factors[int64_t{d} * (n + 1)] == 0) return 1;
          int info = 0;
          getrs<T>(transposed ? "T" : "N", &n, &k, factors, &step,
                   a.pivots.data<int32_t>() + batch_offset(a.pivots, i, 1), x.data<T>() + i * n * k, &step, &info, 1);
          return 0;
        },
        [&](int64_t i, int) {
          fail<ValueError>("[{}] {} is singular; lstsq and pinv take such matrices", op, place_of(i, batch_of(b)));
        });
  });
  return x;
}

Determinant determinant(const LU& a) {
  const int64_t n = a.factors.size(-1);
  const Shape shape = batch_of(a.factors);
  const Dtype dtype = a.factors.dtype();
  const Tensor value = detail::make_tensor(shape, dtype), sign = detail::make_tensor(shape, dtype),
               log_size = detail::make_tensor(shape, dtype);
  dispatch_compute("determinant", dtype, [&]<class T> {
    for (int64_t i = 0; i < value.numel(); ++i) {
      const T* const factors = a.factors.data<T>() + i * n * n;
      const int* const p = a.pivots.data<int32_t>() + i * n;
      T product = 1, turn = 1, sum = 0;
      for (int64_t k = 0; k < n; ++k) {
        const T u = factors[k * (n + 1)], exchanged = p[k] == k + 1 ? 1 : -1;
        product *= exchanged * u;
        turn *= exchanged * (u > 0 ? T(1) : u < 0 ? T(-1) : u);  // 0 and NaN as they are
        sum += std::log(std::abs(u));
      }
      value.data<T>()[i] = product, sign.data<T>()[i] = turn, log_size.data<T>()[i] = sum;
    }
  });
  return {value, sign, log_size};
}

Tensor cofactor(const char* op, const Tensor& a, const LU& lu) {
  const int n = lapack_size(op, a.size(-1)), step = std::max(n, 1);
  const Tensor x = contiguous(a), y = new_by_columns(op, batch_of(a), n, n, a.dtype()), dets = determinant(lu).value;
  std::vector<int64_t> others;
  dispatch_compute(op, a.dtype(), [&]<class T> {
    // of a condition c the error is about c / 5 roundings
    constexpr double kWorst = std::is_same_v<T, float> ? 1e3 : 1e5;
    const int64_t size = int64_t{n} * n;
    const auto norm = [n](const T* rows) {
      T most = 0;
      for (int i = 0; i < n; ++i) {
        T sum = 0;
        for (int j = 0; j < n; ++j) sum += std::abs(rows[i * n + j]);
        most = std::max(most, sum);
      }
      return static_cast<double>(most);
    };
    for_each_matrix(
        batch_of(a).product(), size * n,
        [&](int64_t i) {
          const T det = dets.data<T>()[i], *const factors = lu.factors.data<T>() + i * size;
          T* const inverse = y.data<T>() + i * size;  // transposed, by columns: its rows
          if (n > 0 && std::isnan(factors[0])) {
            std::fill_n(inverse, size, factors[0]);
            return 0;
          }
          if (!std::isnormal(det)) return 1;
          std::fill_n(inverse, size, T(0));
          for (int64_t d = 0; d < n; ++d) inverse[d * (n + 1)] = 1;
          int info = 0;
          getrs<T>("T", &n, &n, factors, &step, lu.pivots.data<int32_t>() + i * n, inverse, &step, &info, 1);
          if (!(norm(x.data<T>() + i * size) * norm(inverse) <= kWorst)) return 1;
          for (int64_t k = 0; k < size; ++k) inverse[k] *= det;
          return 0;
        },
        [&](int64_t i, int) { others.push_back(i); });
    if (others.empty()) return;
    const Tensor some = detail::make_tensor({static_cast<int64_t>(others.size()), n, n}, a.dtype(), op);
    T* to = some.data<T>();
    for (const int64_t i : others) to = std::copy_n(x.data<T>() + i * size, size, to);
    Tensor exact;
    if constexpr (std::is_same_v<T, float>) {
      const Tensor wide = cast(some, float64);
      exact = cast(cofactor(op, wide, raw::lu(op, wide)), float32);
    } else {
      exact = cofactor_by_svd(op, some);
    }
    const Tensor found = contiguous(turned(exact));
    const T* from = found.data<T>();
    for (const int64_t i : others) std::copy_n(std::exchange(from, from + size), size, y.data<T>() + i * size);
  });
  return y;
}

Tensor triangular_solve(const char* op, const Tensor& a, const Tensor& b, bool upper, bool unit) {
  const int n = lapack_size(op, b.size(-2)), k = lapack_size(op, b.size(-1)), step = std::max(n, 1);
  const Tensor x = by_columns(op, b);
  // one that lies by columns or rows is read as it is, also where it is repeated
  const int64_t row = a.strides()[a.rank() - 2], column = a.strides()[a.rank() - 1];
  const bool columns = row == 1 && column == n, rows = column == 1 && row == n;
  const Tensor dense = columns || rows ? a : contiguous(a);
  dispatch_compute(op, b.dtype(), [&]<class T> {
    for_each_matrix(
        x.numel() > 0 ? batch_of(b).product() : 0, int64_t{n} * n * k,
        [&](int64_t i) {
          const T* const triangle = dense.data<T>() + batch_offset(dense, i);
          for (int d = 0; !unit && d < n; ++d)
            if (triangle[int64_t{d} * (n + 1)] == 0) return d + 1;
          trsm<T>(CblasColMajor, CblasLeft, upper == columns ? CblasUpper : CblasLower,
                  columns ? CblasNoTrans : CblasTrans, unit ? CblasUnit : CblasNonUnit, n, k, T(1), triangle, step,
                  x.data<T>() + i * n * k, step);
          return 0;
        },
        [&](int64_t i, int d) {
          fail<ValueError>("[{}] {} is singular: element {} of its diagonal is 0", op, place_of(i, batch_of(b)), d - 1);
        });
  });
  return x;
}

Tensor cholesky(const char* op, const Tensor& a) {
  const int n = lapack_size(op, a.size(-1));
  const Tensor l = by_columns(op, a);
  dispatch_compute(op, a.dtype(), [&]<class T> {
    const int64_t size = int64_t{n} * n;
    for_each_matrix(
        batch_of(a).product(), size * n,
        [&](int64_t i) {
          T* const x = l.data<T>() + i * size;
          for (int64_t c = 0; c < n; ++c) std::fill_n(x + c * n, c, T(0));
          return all_finite(x, size) ? root(n, x) : kNotFinite;
        },
        [&](int64_t i, int order) {
          check_finite(op, order, i, batch_of(a));
          fail<ValueError>("[{}] {} is not positive definite: its leading minor of order {} is not positive", op,
                           place_of(i, batch_of(a)), order);
        });
  });
  return l;
}

}  // namespace cotangent::raw
