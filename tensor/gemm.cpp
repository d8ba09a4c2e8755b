#include <cotangent/tensor/gemm.hpp>

#include <cblas.h>
#include <pthread.h>

#include <algorithm>
#include <mutex>

#include <cotangent/tensor/kernels/kernels.hpp>
#include <cotangent/tensor/memory/scratch_internal.hpp>
#include <cotangent/tensor/parallel.hpp>

// Only OpenBLAS has these; weak, so that another BLAS will do.
extern "C" void openblas_set_num_threads(int count) __attribute__((weak));
extern "C" int openblas_get_num_threads() __attribute__((weak));

namespace cotangent::raw {
namespace {

using kernels::GemmLoops;
using kernels::PanelProduct;

constexpr int64_t kDepth = 256, kStreamedDepth = 1024;  // of k that is multiplied at once
// Strips by panels of a tile, which one thread computes: groups of strips pass over the panels, which the second cache
// keeps. Where that would give few tiles they are smaller, so that the threads end together.
constexpr int64_t kTileStrips = 16, kTilePanels = 4, kGroupStrips = 4, kLeastTiles = 32;
constexpr int64_t kBlock = 1024, kPacked = 1 << 21;  // rows or columns, and elements, that are packed at once: to stay
                                                     // within the last cache
constexpr int64_t kPage = 4096, kNear = 2048, kFirstCache = 32768;  // bytes
constexpr int64_t kSerial = 1000000;                                // products m n k that one thread does
constexpr int64_t kSmallOperand = 32768;                            // elements of a that the second cache keeps
constexpr int64_t kVector = 16384;  // elements of the matrix from which BLAS multiplies it with a vector

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// Whether the processor reads operands that lie a little apart as fast as packed ones: a panel of its vectors is more
/// than the first cache keeps anyway.
template <class T>
bool streams(const GemmLoops<T>& loops) {
  return 2 * loops.lanes * kDepth * int64_t{sizeof(T)} >= kFirstCache;
}
/// Of k that is multiplied at once: as much as the first cache keeps of a panel, or, where that is not to be, the
/// second of a tile's operands. Long runs have fewer beginnings and ends.
template <class T>
int64_t longest_run(const GemmLoops<T>& loops) {
  return streams<T>(loops) ? kStreamedDepth : kDepth;
}

template <class T>
struct Product {
  int64_t m, n, k;
  Matrix<T> a, b;
  T* c;
  int64_t c_row;
  T alpha, beta;
  const T* bias;
};

// ---- a matrix and a vector: bound by memory, so BLAS reads the matrix once; in chunks of rows or columns ----

/// While one lives, OpenBLAS runs each call on the thread that makes it, for we divide the work by ourselves. How many
/// threads it takes is one number for the whole process (openblas_set_num_threads_local changes the same one): the
/// first of several sets it to 1, and the last one back.
class OneThreadedBlas {
 public:
  OneThreadedBlas() {
    if (!openblas_set_num_threads) return;
    const std::lock_guard lock(g_mutex);
    if (g_living++ == 0 && (g_before = openblas_get_num_threads()) != 1) openblas_set_num_threads(1);
  }
  ~OneThreadedBlas() {
    if (!openblas_set_num_threads) return;
    const std::lock_guard lock(g_mutex);
    if (--g_living == 0 && g_before != 1) openblas_set_num_threads(g_before);
  }
  OneThreadedBlas(const OneThreadedBlas&) = delete;
  OneThreadedBlas& operator=(const OneThreadedBlas&) = delete;

 private:
  static inline constinit std::mutex g_mutex;
  static inline int g_living = 0, g_before = 1;
  // those of other threads don't live on in a child process
  static inline const int g_at_fork =
      pthread_atfork([] { g_mutex.lock(); }, [] { g_mutex.unlock(); }, [] { g_living = 0, g_mutex.unlock(); });
};

void blas_gemv(bool transposed, int rows, int columns, float alpha, const float* a, int lda, const float* x, int x_step,
               float beta, float* y, int y_step) {
  cblas_sgemv(CblasRowMajor, transposed ? CblasTrans : CblasNoTrans, rows, columns, alpha, a, lda, x, x_step, beta, y,
              y_step);
}
void blas_gemv(bool transposed, int rows, int columns, double alpha, const double* a, int lda, const double* x,
               int x_step, double beta, double* y, int y_step) {
  cblas_dgemv(CblasRowMajor, transposed ? CblasTrans : CblasNoTrans, rows, columns, alpha, a, lda, x, x_step, beta, y,
              y_step);
}

/// y(i) = alpha sum_k a(i, k) x(k) + beta y(i); false for a geometry that BLAS does not take.
template <class T>
bool vector_product(int64_t n, int64_t k, Matrix<T> a, const T* x, int64_t x_step, T* y, int64_t y_step, T alpha,
                    T beta) {
  const bool by_rows = a.column == 1 && a.row >= k, by_columns = a.row == 1 && a.column >= n;
  const int64_t lda = by_rows ? a.row : a.column;
  constexpr int64_t limit = INT32_MAX;
  if (!(by_rows || by_columns) || x_step < 1 || y_step < 1 || std::max({n, k, lda, x_step, y_step}) > limit)
    return false;
  const OneThreadedBlas guard;
  const int64_t chunk = std::max<int64_t>(65536 / k, 64);
  parallel_chunks(ceil_div(n, chunk), [&](int64_t i) {
    const int64_t first = i * chunk;
    const int count = static_cast<int>(std::min(chunk, n - first)), depth = static_cast<int>(k);
    blas_gemv(!by_rows, by_rows ? count : depth, by_rows ? depth : count, alpha, a.data + first * a.row,
              static_cast<int>(lda), x, static_cast<int>(x_step), beta, y + first * y_step, static_cast<int>(y_step));
  });
  return true;
}

// ---- small: one thread, B packed on the stack panel by panel, or used where it lies ----

template <class T>
void small_product(const Product<T>& p) {
  const GemmLoops<T>& loops = kernels::kernels().gemm.of<T>();
  const int64_t lanes = loops.lanes, panel = 2 * lanes;
  const int64_t depth = longest_run<T>(loops);
  alignas(64) T packed[kStreamedDepth * 32 * 4 / sizeof(T)];
  for (int64_t first_k = 0; first_k < p.k; first_k += depth) {
    const int64_t k = std::min(depth, p.k - first_k);
    const T* a = p.a.data + first_k * p.a.column;
    for (int64_t j = 0; j < p.n; j += panel) {
      const int64_t n = std::min(panel, p.n - j);
      const T* b = p.b.data + first_k * p.b.row + j * p.b.column;
      int64_t b_row = p.b.row;
      const bool in_place = p.b.column == 1 && (n == panel || n == lanes);
      if (!in_place) {
        b_row = n > lanes ? panel : lanes;
        loops.pack(b_row, k, n, b, p.b.row, p.b.column, packed);
        b = packed;
      }
      const bool first = first_k == 0;
      loops.multiply({p.m, n, k, a, p.a.row, p.a.column, loops.strip * p.a.row, b, b_row, p.c + j, p.c_row,
                      first && p.bias ? p.bias + j : nullptr, p.alpha, first ? p.beta : 1});
    }
  }
}

// ---- large: tiles of the result are handed out to the threads ----

/// Rows that lie whole pages apart would drive one another out of the first cache.
template <class T>
bool packs_a(const GemmLoops<T>& loops, Matrix<T> a) {
  constexpr int64_t size = sizeof(T);
  return a.column == 1 ? a.row * size % kPage == 0 : !(streams<T>(loops) && a.row == 1 && a.column * size <= kNear);
}
template <class T>
bool packs_b(const GemmLoops<T>& loops, int64_t m, Matrix<T> b) {
  const bool once = m <= 2 * loops.strip, near = streams<T>(loops) && b.row * int64_t{sizeof(T)} <= kNear;
  return !(b.column == 1 && (once || near));
}

/// A part of a product that is packed as a whole. Where a is read where it lies, packed_a is nullptr; of b, the first
/// `panels_in_place` panels are.
template <class T>
void block_product(const Product<T>& p, T* packed_a, T* packed_b, int64_t panels_in_place) {
  const GemmLoops<T>& loops = kernels::kernels().gemm.of<T>();
  const auto pack = loops.pack;
  const int64_t strip = loops.strip, panel = 2 * loops.lanes;
  const int64_t strips = ceil_div(p.m, strip), panels = ceil_div(p.n, panel), depth = longest_run<T>(loops),
                layers = ceil_div(p.k, depth);
  const int64_t packed_panels = panels - panels_in_place;
  // Layer after layer of k, in each strip after strip of a, or panel after panel of b.
  const auto for_parts = [&](int64_t count, int64_t width, auto&& pack_part) {
    const int64_t part_cost = std::max<int64_t>(p.k * width, 1);
    parallel_for(0, count * layers, ceil_div(32768, part_cost) * layers, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t first_k = i % layers * depth;
        pack_part(i / layers, first_k, std::min(depth, p.k - first_k));
      }
    });
  };
  if (packed_a)
    for_parts(strips, strip, [&](int64_t i, int64_t first_k, int64_t k) {
      const int64_t row = i * strip;
      pack(strip, k, std::min(strip, p.m - row), p.a.data + row * p.a.row + first_k * p.a.column, p.a.column, p.a.row,
           packed_a + first_k * strips * strip + row * k);
    });
  for_parts(packed_panels, panel, [&](int64_t i, int64_t first_k, int64_t k) {
    const int64_t column = (panels_in_place + i) * panel;
    pack(panel, k, std::min(panel, p.n - column), p.b.data + first_k * p.b.row + column * p.b.column, p.b.row,
         p.b.column, packed_b + (first_k * packed_panels + i * k) * panel);
  });
  int64_t down = kTileStrips, across = kTilePanels;
  while (ceil_div(strips, down) * ceil_div(panels, across) < kLeastTiles && down * across > 8)
    down >= 4 * across ? down /= 2 : across /= 2;
  const int64_t tiles_down = ceil_div(strips, down), tiles_across = ceil_div(panels, across);
  // Each thread begins with neighbouring tiles: of the same rows, or, where b is larger than all else, of the same
  // columns, so that it reads only that part of b which it packed, and which it wrote itself if b is a weight.
  const bool share_columns = p.k * p.n > p.m * (p.k + p.n);
  parallel_chunks(tiles_down * tiles_across, [&](int64_t tile) {
    const int64_t tile_row = share_columns ? tile % tiles_down : tile / tiles_across,
                  tile_column = share_columns ? tile / tiles_down : tile % tiles_across;
    const int64_t first_row = tile_row * down * strip, end = std::min(first_row + down * strip, p.m);
    const int64_t first_panel = tile_column * across, last_panel = std::min(first_panel + across, panels);
    for (int64_t first_k = 0; first_k < p.k; first_k += depth) {
      const int64_t k = std::min(depth, p.k - first_k);
      const bool first = first_k == 0;
      for (int64_t row = first_row; row < end; row += kGroupStrips * strip)
        for (int64_t i = first_panel; i < last_panel; ++i) {
          const int64_t column = i * panel;
          PanelProduct<T> part{.m = std::min(kGroupStrips * strip, end - row),
                               .n = std::min(panel, p.n - column),
                               .k = k,
                               .a = p.a.data + row * p.a.row + first_k * p.a.column,
                               .a_row = p.a.row,
                               .a_column = p.a.column,
                               .a_strip = strip * p.a.row,
                               .b = p.b.data + first_k * p.b.row + column,
                               .b_row = p.b.row,
                               .c = p.c + row * p.c_row + column,
                               .c_row = p.c_row,
                               .bias = first && p.bias ? p.bias + column : nullptr,
                               .alpha = p.alpha,
                               .beta = first ? p.beta : 1};
          if (packed_a)
            part.a = packed_a + first_k * strips * strip + row * k, part.a_row = 1, part.a_column = strip,
            part.a_strip = strip * k;
          if (i >= panels_in_place)
            part.b = packed_b + (first_k * packed_panels + (i - panels_in_place) * k) * panel, part.b_row = panel;
          loops.multiply(part);
        }
    }
  });
}

template <class T>
void large_product(const Product<T>& p) {
  const GemmLoops<T>& loops = kernels::kernels().gemm.of<T>();
  const int64_t panel = 2 * loops.lanes;
  const bool pack_a = packs_a(loops, p.a), pack_b = packs_b(loops, p.m, p.b);
  const int64_t rows = pack_a ? std::min(p.m, kBlock) : p.m, columns = std::min(p.n, kBlock);
  const int64_t packed_rows = pack_a ? rows + loops.strip : 0, packed_columns = pack_b ? columns + panel : panel;
  const int64_t run = longest_run<T>(loops),
                depth = std::min(p.k, std::max<int64_t>(kPacked / (packed_rows + packed_columns) / run, 1) * run);
  const Scratch<T> packed_a(packed_rows * depth), packed_b(packed_columns * depth);
  for (int64_t j = 0; j < p.n; j += columns)
    for (int64_t i = 0; i < p.m; i += rows)
      for (int64_t l = 0; l < p.k; l += depth)
        block_product<T>({std::min(rows, p.m - i),
                          std::min(columns, p.n - j),
                          std::min(depth, p.k - l),
                          {p.a.data + i * p.a.row + l * p.a.column, p.a.row, p.a.column},
                          {p.b.data + l * p.b.row + j * p.b.column, p.b.row, p.b.column},
                          p.c + i * p.c_row + j,
                          p.c_row,
                          p.alpha,
                          l == 0 ? p.beta : T(1),
                          l == 0 && p.bias ? p.bias + j : nullptr},
                         pack_a ? packed_a.data() : nullptr, packed_b.data(),
                         pack_b ? 0 : std::min(columns, p.n - j) / panel);
}

}  // namespace

template <class T>
void gemm(int64_t m, int64_t n, int64_t k, Matrix<T> a, Matrix<T> b, T* c, int64_t c_row, T alpha, T beta,
          const T* bias) {
  if (m == 0 || n == 0) return;
  const bool column = n == 1 && m * k >= kVector, row = m == 1 && n * k >= kVector;
  if (bias && (k == 0 || column || row)) {  // these add to what is there
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < n; ++j) c[i * c_row + j] = (beta == T(0) ? T(0) : beta * c[i * c_row + j]) + bias[j];
    beta = 1, bias = nullptr;
  }
  if (k == 0) {
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < n; ++j) c[i * c_row + j] = beta == T(0) ? T(0) : beta * c[i * c_row + j];
    return;
  }
  if (column && vector_product<T>(m, k, a, b.data, b.row, c, c_row, alpha, beta)) return;
  if (row && vector_product<T>(n, k, {b.data, b.column, b.row}, a.data, a.column, c, 1, alpha, beta)) return;
  const Product<T> p{m, n, k, a, b, c, c_row, alpha, beta, bias};
  const bool alone = detail::task_count(2, 1) == 1;  // then larger ones gain nothing from packing a
  if (m * n * k <= kSerial || (alone && m * k <= kSmallOperand))
    small_product(p);
  else
    large_product(p);
}

// Layer after layer of k, in each panel after panel.
template <class T>
int64_t PackedMatrix<T>::packed_size(int64_t k, int64_t n) {
  const int64_t panel = 2 * kernels::kernels().gemm.of<T>().lanes;
  return ceil_div(n, panel) * panel * k;
}

template <class T>
PackedMatrix<T> PackedMatrix<T>::pack(int64_t k, int64_t n, Matrix<T> b, T* space) {
  const GemmLoops<T>& loops = kernels::kernels().gemm.of<T>();
  const int64_t panel = 2 * loops.lanes, width = ceil_div(n, panel) * panel;
  const int64_t run = longest_run<T>(loops);
  for (int64_t first_k = 0; first_k < k; first_k += run) {
    const int64_t depth = std::min(run, k - first_k);
    for (int64_t j = 0; j < n; j += panel)
      loops.pack(panel, depth, std::min(panel, n - j), b.data + first_k * b.row + j * b.column, b.row, b.column,
                 space + first_k * width + j * depth);
  }
  return {k, n, space};
}

template <class T>
void gemm(int64_t m, int64_t n, Matrix<T> a, const PackedMatrix<T>& b, int64_t first, T* c, int64_t c_row) {
  const GemmLoops<T>& loops = kernels::kernels().gemm.of<T>();
  const int64_t panel = 2 * loops.lanes, width = ceil_div(b.n, panel) * panel;
  const int64_t run = longest_run<T>(loops);
  for (int64_t first_k = 0; first_k < b.k; first_k += run) {
    const int64_t k = std::min(run, b.k - first_k);
    for (int64_t j = 0; j < n; j += panel)
      loops.multiply({m, std::min(panel, n - j), k, a.data + first_k * a.column, a.row, a.column, loops.strip * a.row,
                      b.data + first_k * width + (first + j) * k, panel, c + j, c_row, nullptr, 1,
                      first_k == 0 ? 0.0 : 1.0});
  }
}

template struct PackedMatrix<float>;
template struct PackedMatrix<double>;
template void gemm(int64_t, int64_t, Matrix<float>, const PackedMatrix<float>&, int64_t, float*, int64_t);
template void gemm(int64_t, int64_t, Matrix<double>, const PackedMatrix<double>&, int64_t, double*, int64_t);
template void gemm<float>(int64_t, int64_t, int64_t, Matrix<float>, Matrix<float>, float*, int64_t, float, float,
                          const float*);
template void gemm<double>(int64_t, int64_t, int64_t, Matrix<double>, Matrix<double>, double*, int64_t, double, double,
                           const double*);

}  // namespace cotangent::raw
