#include <limits>

#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/lapack.hpp>
#include <cotangent/tensor/lapack_internal.hpp>
#include <cotangent/tensor/matmul.hpp>

extern "C" {
void sgeqrf_(const int* m, const int* n, float* a, const int* lda, float* tau, float* work, const int* lwork,
             int* info);
void dgeqrf_(const int* m, const int* n, double* a, const int* lda, double* tau, double* work, const int* lwork,
             int* info);
void sorgqr_(const int* m, const int* n, const int* k, float* a, const int* lda, const float* tau, float* work,
             const int* lwork, int* info);
void dorgqr_(const int* m, const int* n, const int* k, double* a, const int* lda, const double* tau, double* work,
             const int* lwork, int* info);
void ssyevd_(const char* jobz, const char* uplo, const int* n, float* a, const int* lda, float* w, float* work,
             const int* lwork, int* iwork, const int* liwork, int* info, size_t, size_t);
void dsyevd_(const char* jobz, const char* uplo, const int* n, double* a, const int* lda, double* w, double* work,
             const int* lwork, int* iwork, const int* liwork, int* info, size_t, size_t);
void sgesdd_(const char* jobz, const int* m, const int* n, float* a, const int* lda, float* s, float* u, const int* ldu,
             float* vt, const int* ldvt, float* work, const int* lwork, int* iwork, int* info, size_t);
void dgesdd_(const char* jobz, const int* m, const int* n, double* a, const int* lda, double* s, double* u,
             const int* ldu, double* vt, const int* ldvt, double* work, const int* lwork, int* iwork, int* info,
             size_t);
}

namespace cotangent::raw {
namespace {

COTANGENT_LAPACK(geqrf)
COTANGENT_LAPACK(orgqr)
COTANGENT_LAPACK(syevd)
COTANGENT_LAPACK(gesdd)

Tensor vectors_like(const char* op, const Tensor& a, int64_t n) {
  Shape shape = batch_of(a);
  shape.push_back(n);
  return detail::make_tensor(shape, a.dtype(), op);
}
Tensor matrices_like(const char* op, const Tensor& a, int64_t m, int64_t n) {
  Shape shape = batch_of(a);
  shape.push_back(m), shape.push_back(n);
  return detail::make_tensor(shape, a.dtype(), op);
}
void make_identities(const Tensor& x) {
  fill_into(x, 0);
  fill_into(diagonal("eye", x, 0, -2, -1), 1);
}

/// How much space LAPACK says it wants, where a float may have rounded it.
template <class T>
int space(T answer) {
  return static_cast<int>(static_cast<double>(answer) * 1.000001) + 1;
}

}  // namespace

QR qr(const char* op, const Tensor& a, bool complete) {
  const int m = lapack_size(op, a.size(-2)), n = lapack_size(op, a.size(-1)), k = std::min(m, n),
            columns = complete ? m : k, step = std::max(m, 1), query = -1;
  const Tensor packed = by_columns(op, a), q = new_by_columns(op, batch_of(a), m, columns, a.dtype()),
               r = matrices_like(op, a, columns, n);
  dispatch_compute(op, a.dtype(), [&]<class T> {
    T answers[2] = {};
    int info = 0;
    geqrf<T>(&m, &n, nullptr, &step, nullptr, answers, &query, &info);
    orgqr<T>(&m, &columns, &k, nullptr, &step, nullptr, answers + 1, &query, &info);
    const int work = space(std::max(answers[0], answers[1]));
    for_each_matrix(
        batch_of(a).product(), int64_t{m} * n * columns,
        [&](int64_t i) {
          T *const x = packed.data<T>() + i * m * n, *const y = q.data<T>() + i * m * columns,
                   *const z = r.data<T>() + i * columns * n;
          if (!all_finite(x, int64_t{m} * n)) {
            std::fill_n(y, int64_t{m} * columns, std::numeric_limits<T>::quiet_NaN());
            std::fill_n(z, int64_t{columns} * n, std::numeric_limits<T>::quiet_NaN());
            return 0;
          }
          const Scratch<T> tau(k), memory(work);
          int status = 0;
          geqrf<T>(&m, &n, x, &step, tau.data(), memory.data(), &work, &status);
          for (int64_t row = 0; row < columns; ++row)
            for (int64_t c = 0; c < n; ++c) z[row * n + c] = row <= c ? x[c * m + row] : T(0);
          std::copy_n(x, int64_t{m} * std::min(n, columns), y);
          orgqr<T>(&m, &columns, &k, y, &step, tau.data(), memory.data(), &work, &status);
          return 0;
        },
        [](int64_t, int) {});
  });
  return {q, r};
}

Eigen eigh(const char* op, const Tensor& a, bool vectors) {
  const int n = lapack_size(op, a.size(-1)), step = std::max(n, 1), query = -1;
  const Tensor x = clone(contiguous(a)), values = vectors_like(op, a, n);
  const char* const job = vectors ? "V" : "N";
  dispatch_compute(op, a.dtype(), [&]<class T> {
    T answer = 0;
    int whole_answer = 0, info = 0;
    // by columns, our lower triangle is the upper one, and the vectors are rows of what we get
    syevd<T>(job, "U", &n, nullptr, &step, nullptr, &answer, &query, &whole_answer, &query, &info, 1, 1);
    const int work = space(answer), whole_work = std::max(1, whole_answer);
    const int64_t size = int64_t{n} * n;
    for_each_matrix(
        size > 0 ? batch_of(a).product() : 0, size * n,
        [&](int64_t i) {
          T* const matrix = x.data<T>() + i * size;
          for (int64_t r = 0; r < n; ++r) std::fill(matrix + r * n + r + 1, matrix + (r + 1) * n, T(0));
          if (!all_finite(matrix, size)) return kNotFinite;
          const Scratch<T> memory(work);
          const Scratch<int> whole_memory(whole_work);
          int status = 0;
          syevd<T>(job, "U", &n, matrix, &step, values.data<T>() + i * n, memory.data(), &work, whole_memory.data(),
                   &whole_work, &status, 1, 1);
          return status;
        },
        [&](int64_t i, int status) {
          check_finite(op, status, i, batch_of(a));
          fail<ValueError>("[{}] the iteration for {} did not converge", op, place_of(i, batch_of(a)));
        });
  });
  return {values, vectors ? turned(x) : Tensor()};
}

SVD svd(const char* op, const Tensor& a, bool full, bool vectors) {
  // by columns, memory holds the transpose v diag(s) u^T
  const int m = lapack_size(op, a.size(-2)), n = lapack_size(op, a.size(-1)), k = std::min(m, n), rows = full ? m : k,
            columns = full ? n : k, n_step = std::max(n, 1), rows_step = std::max(rows, 1), query = -1;
  const Tensor x = clone(contiguous(a)), s = vectors_like(op, a, k);
  Tensor u, vh;
  if (vectors) u = matrices_like(op, a, m, rows), vh = matrices_like(op, a, columns, n);
  if (k == 0) {
    if (vectors && full) make_identities(u), make_identities(vh);
    return {u, s, vh};
  }
  const char* const job = !vectors ? "N" : full ? "A" : "S";
  dispatch_compute(op, a.dtype(), [&]<class T> {
    T answer = 0;
    int info = 0, whole = 0;
    gesdd<T>(job, &n, &m, nullptr, &n_step, nullptr, nullptr, &n_step, nullptr, &rows_step, &answer, &query, &whole,
             &info, 1);
    const int work = space(answer);
    const int64_t size = int64_t{m} * n;
    for_each_matrix(
        batch_of(a).product(), size * k,
        [&](int64_t i) {
          T* const matrix = x.data<T>() + i * size;
          if (!all_finite(matrix, size)) return kNotFinite;
          const Scratch<T> memory(work);
          const Scratch<int> whole_memory(int64_t{8} * k);
          int status = 0;
          gesdd<T>(job, &n, &m, matrix, &n_step, s.data<T>() + i * k,
                   vectors ? vh.data<T>() + i * columns * n : nullptr, &n_step,
                   vectors ? u.data<T>() + i * m * rows : nullptr, &rows_step, memory.data(), &work,
                   whole_memory.data(), &status, 1);
          return status;
        },
        [&](int64_t i, int status) {
          check_finite(op, status, i, batch_of(a));
          fail<ValueError>("[{}] the iteration for {} did not converge", op, place_of(i, batch_of(a)));
        });
  });
  return {u, s, vh};
}

namespace {

/// a = sign u diag(s) vh, where sign is that of det(u vh); and the products of all s but one, and but two.
struct Minors {
  SVD a;
  Tensor sign;  ///< (.., 1, 1)
  Tensor one;   ///< (.., n)
  Tensor two;   ///< (.., n, n), with 0 on the diagonal
};
Minors minors(const char* op, const Tensor& x) {
  Minors m{svd(op, x, false, true), {}, {}, {}};
  const int64_t n = x.size(-1);
  Shape single = batch_of(x);
  single.push_back(1), single.push_back(1);
  m.sign = reshape(op, determinant(lu(op, matmul(op, m.a.u, m.a.vh))).sign, single);
  m.one = vectors_like(op, x, n), m.two = matrices_like(op, x, n, n);
  dispatch_compute(op, x.dtype(), [&]<class T> {
    for (int64_t i = 0; i < batch_of(x).product(); ++i) {
      const T* const s = m.a.s.data<T>() + i * n;
      T* const one = m.one.data<T>() + i * n;
      T* const two = m.two.data<T>() + i * n * n;
      const Scratch<T> behind(n + 1);  // the product of those from k on
      behind[n] = 1;
      for (int64_t k = n; k-- > 0;) behind[k] = behind[k + 1] * s[k];
      T before = 1;
      for (int64_t p = 0; p < n; before *= s[p++]) {
        one[p] = before * behind[p + 1];
        two[p * n + p] = 0;
        T between = before;
        for (int64_t q = p + 1; q < n; between *= s[q++]) two[p * n + q] = two[q * n + p] = between * behind[q + 1];
      }
    }
  });
  return m;
}

}  // namespace

Tensor cofactor_by_svd(const char* op, const Tensor& a) {
  const Minors m = minors(op, a);
  const Tensor scaled = binary(op, Binary::mul, m.a.u, unsqueeze(op, m.one, -2));
  return binary(op, Binary::mul, matmul(op, scaled, m.a.vh), m.sign);
}

// In the basis of u and v the determinant's second derivative along e and f is the sum over p < q of two_pq (e_pp f_qq
// + e_qq f_pp - e_pq f_qp - e_qp f_pq).
Tensor cofactor_gradient(const char* op, const Tensor& a, const Tensor& dy) {
  const Minors m = minors(op, a);
  const Tensor inner = matmul(op, matmul(op, turned(m.a.u), dy), turned(m.a.vh));
  const Tensor along = unsqueeze(op, diagonal(op, inner, 0, -2, -1), -1);
  const Tensor dx = binary(op, Binary::mul, binary(op, Binary::mul, turned(inner), m.two), -1);
  const Tensor on_diagonal = diagonal(op, dx, 0, -2, -1);
  copy_into(op, squeeze(op, matmul(op, m.two, along), 1u << (a.rank() - 1)), on_diagonal);
  return binary(op, Binary::mul, matmul(op, matmul(op, m.a.u, dx), m.a.vh), m.sign);
}

}  // namespace cotangent::raw
