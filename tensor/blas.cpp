#include <cblas.h>
#include <pthread.h>

#include <algorithm>
#include <mutex>

#include <cotangent/tensor/blas_internal.hpp>
#include <cotangent/tensor/parallel.hpp>

// Only OpenBLAS has these; weak, so that another BLAS will do.
extern "C" void openblas_set_num_threads(int count) __attribute__((weak));
extern "C" int openblas_get_num_threads() __attribute__((weak));

namespace cotangent::raw {
namespace {
constinit std::mutex g_mutex;
int g_living = 0, g_before = 1;
// those of other threads don't live on in a child process
const int g_at_fork =
    pthread_atfork([] { g_mutex.lock(); }, [] { g_mutex.unlock(); }, [] { g_living = 0, g_mutex.unlock(); });
}  // namespace

OneThreadedBlas::OneThreadedBlas() {
  if (!openblas_set_num_threads) return;
  const std::lock_guard lock(g_mutex);
  if (g_living++ == 0 && (g_before = openblas_get_num_threads()) != 1) openblas_set_num_threads(1);
}
OneThreadedBlas::~OneThreadedBlas() {
  if (!openblas_set_num_threads) return;
  const std::lock_guard lock(g_mutex);
  if (--g_living == 0 && g_before != 1) openblas_set_num_threads(g_before);
}

namespace {

constexpr int64_t kRows = 256;  // of a part

void call(CBLAS_TRANSPOSE at, CBLAS_TRANSPOSE bt, int m, int n, int k, float alpha, const float* a, int lda,
          const float* b, int ldb, float beta, float* c, int ldc) {
  cblas_sgemm(CblasRowMajor, at, bt, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}
void call(CBLAS_TRANSPOSE at, CBLAS_TRANSPOSE bt, int m, int n, int k, double alpha, const double* a, int lda,
          const double* b, int ldb, double beta, double* c, int ldc) {
  cblas_dgemm(CblasRowMajor, at, bt, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

/// A matrix as BLAS takes it.
struct Operand {
  template <class T>
  Operand(Matrix<T> x, int64_t rows, int64_t columns) {
    if (x.column == 1 && x.row >= columns)
      order = CblasNoTrans, step = x.row;
    else if (x.row == 1 && x.column >= rows)
      order = CblasTrans, step = x.column;
  }
  CBLAS_TRANSPOSE order = CblasNoTrans;
  int64_t step = 0;
};

}  // namespace

template <class T>
bool blas_product(int64_t m, int64_t n, int64_t k, Matrix<T> a, Matrix<T> b, T* c, int64_t c_row, T alpha, T beta) {
  const Operand x(a, m, k), y(b, k, n);
  if (std::min(x.step, y.step) < 1 || std::max({m, n, k, x.step, y.step, c_row}) > INT32_MAX || c_row < n) return false;
  const OneThreadedBlas guard;
  parallel_chunks((m + kRows - 1) / kRows, [&](int64_t i) {
    const int64_t first = i * kRows;
    call(x.order, y.order, static_cast<int>(std::min(kRows, m - first)), static_cast<int>(n), static_cast<int>(k),
         alpha, a.data + first * a.row, static_cast<int>(x.step), b.data, static_cast<int>(y.step), beta,
         c + first * c_row, static_cast<int>(c_row));
  });
  return true;
}

template bool blas_product(int64_t, int64_t, int64_t, Matrix<float>, Matrix<float>, float*, int64_t, float, float);
template bool blas_product(int64_t, int64_t, int64_t, Matrix<double>, Matrix<double>, double*, int64_t, double, double);

}  // namespace cotangent::raw
