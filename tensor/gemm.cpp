#include <cotangent/tensor/gemm.hpp>

#include <algorithm>
#include <cstdlib>

#include <cotangent/tensor/blas_internal.hpp>
#include <cotangent/tensor/few_rows_internal.hpp>
#include <cotangent/tensor/kernels/kernels.hpp>
#include <cotangent/tensor/memory/scratch_internal.hpp>
#include <cotangent/tensor/parallel.hpp>
#include <cotangent/tensor/processor_internal.hpp>
#include <cotangent/tensor/product_plan_internal.hpp>

namespace cotangent::raw {
namespace {

using kernels::PanelProduct;

// Rows by columns of a tile, which one thread computes: groups of strips pass over the panels, which the second cache
// keeps. Where that would give few tiles they are smaller, so that the threads end together.
constexpr int64_t kTileRows = 128, kTileColumns = 128, kGroupStrips = 4, kLeastTiles = 32;
constexpr int64_t kBlock = 1024;        // rows or columns that are packed at once
constexpr int64_t kSerial = 1000000;    // products m n k that one thread does
constexpr int64_t kPackedStrips = 4;    // which share the lines of the cache where a lies transposed
constexpr int64_t kOuterChunk = 65536;  // products of an outer product that a thread does at once
constexpr int64_t kThin = 16;           // rows of a result for which it does not pay to pack b

template <class T>
struct Product {
  int64_t m, n, k;
  Matrix<T> a, b;
  T* c;
  int64_t c_row;
  T alpha, beta;
  const T* bias;
};

// ---- one column and one row: bound by memory ----

template <class T>
void outer_product(const Product<T>& p) {
  const auto add = kernels::kernels().gemm.of<T>().axpy;
  const bool lies = p.b.column == 1;
  const Scratch<T> space(lies ? 0 : p.n);
  for (int64_t j = 0; !lies && j < p.n; ++j) space[j] = p.b.data[j * p.b.column];
  const T* const row = lies ? p.b.data : space.data();
  parallel_for(0, p.m, ceil_div(kOuterChunk, p.n), [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) {
      T* const to = p.c + i * p.c_row;
      begin_rows(1, p.n, to, p.c_row, p.beta, p.bias);
      add(p.n, p.alpha * p.a.data[i * p.a.row], row, to);
    }
  });
}

// ---- small: one thread, B packed on the stack panel by panel, or used where it lies ----

template <class T>
void small_product(const ProductPlan<T>& plan, const Product<T>& p) {
  const kernels::GemmLoops<T>& loops = kernels::kernels().gemm.of<T>();
  const int64_t lanes = loops.lanes, panel = plan.panel, depth = plan.run_of(p.k);
  alignas(64) T packed[kMostPacked<T>];
  for (int64_t first_k = 0; first_k < p.k; first_k += depth) {
    const int64_t k = std::min(depth, p.k - first_k);
    const T* a = p.a.data + first_k * p.a.column;
    for (int64_t j = 0; j < p.n; j += panel) {
      const int64_t n = std::min(panel, p.n - j), width = (n + lanes - 1) & -lanes;  // of whole vectors
      const T* b = p.b.data + first_k * p.b.row + j * p.b.column;
      int64_t b_row = p.b.row;
      if (p.b.column != 1 || n != width) {
        b_row = width;
        loops.pack(b_row, k, n, b, p.b.row, p.b.column, packed, 0);
        b = packed;
      }
      const bool first = first_k == 0;
      plan.multiply({p.m, n, k, a, p.a.row, p.a.column, plan.strip * p.a.row, b, b_row, p.c + j, p.c_row,
                     first && p.bias ? p.bias + j : nullptr, p.alpha, first ? p.beta : 1});
    }
  }
}

// ---- large: tiles of the result are handed out to the threads ----

/// Whether rows lie a little apart, so that the processor reads them as fast as packed ones.
template <class T>
bool lie_near(const ProductPlan<T>& plan, int64_t step) {
  return plan.near && step * int64_t{sizeof(T)} <= processor().page / 2;
}
/// Rows that lie whole pages apart share the places of one page in the first cache, which a strip may not use up, and
/// if very far apart a few places in the second. Of a transposed operand a strip reads parts of lines, which the next
/// strips should find there still.
template <class T>
bool packs_a(const ProductPlan<T>& plan, int64_t k, Matrix<T> a) {
  const Processor& cpu = processor();
  if (a.column != 1)
    return !(a.row == 1 && lie_near(plan, a.column) && plan.run_of(k) * kCacheLine <= cpu.stays_in_first());
  const int64_t step = a.row * int64_t{sizeof(T)};
  const bool stay = plan.near && plan.strip < cpu.first_cache / cpu.page &&
                    kGroupStrips * plan.strip * std::abs(step) < cpu.second_cache;
  return step % cpu.page == 0 && !stay;
}
template <class T>
bool packs_b(const ProductPlan<T>& plan, int64_t m, Matrix<T> b) {
  return !(b.column == 1 && (m <= kThin || lie_near(plan, b.row)));
}

/// A part of a product that is packed as a whole. Where a is read where it lies, packed_a is nullptr; of b, the first
/// `panels_in_place` panels are.
template <class T>
void block_product(const Product<T>& p, T* packed_a, T* packed_b, int64_t panels_in_place) {
  const auto pack = kernels::kernels().gemm.of<T>().pack;
  const ProductPlan<T>& plan = product_plan<T>();
  const int64_t strip = plan.strip, panel = plan.panel;
  const int64_t strips = ceil_div(p.m, strip), panels = ceil_div(p.n, panel), depth = plan.run_of(p.k),
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
    for_parts(ceil_div(strips, kPackedStrips), kPackedStrips * strip, [&](int64_t i, int64_t first_k, int64_t k) {
      const int64_t row = i * kPackedStrips * strip;
      pack(strip, k, std::min(kPackedStrips * strip, p.m - row), p.a.data + row * p.a.row + first_k * p.a.column,
           p.a.column, p.a.row, packed_a + first_k * strips * strip + row * k, strip * k);
    });
  for_parts(packed_panels, panel, [&](int64_t i, int64_t first_k, int64_t k) {
    const int64_t column = (panels_in_place + i) * panel;
    pack(panel, k, std::min(panel, p.n - column), p.b.data + first_k * p.b.row + column * p.b.column, p.b.row,
         p.b.column, packed_b + (first_k * packed_panels + i * k) * panel, 0);
  });
  int64_t down = ceil_div(kTileRows, strip), across = ceil_div(kTileColumns, panel);
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
          plan.multiply(part);
        }
    }
  });
}

template <class T>
void large_product(const Product<T>& p) {
  const ProductPlan<T>& plan = product_plan<T>();
  const int64_t panel = plan.panel, run = plan.longest_run;
  const bool pack_a = packs_a(plan, p.k, p.a), pack_b = packs_b(plan, p.m, p.b);
  const int64_t rows = pack_a ? std::min(p.m, kBlock) : p.m, columns = std::min(p.n, ceil_div(kBlock, panel) * panel);
  const int64_t packed_rows = pack_a ? rows + plan.strip : 0, packed_columns = pack_b ? columns + panel : panel;
  const int64_t most = processor().last_cache / 4 / int64_t{sizeof(T)};  // packed elements, which that cache keeps
  const int64_t depth = std::min(p.k, std::max<int64_t>(most / (packed_rows + packed_columns) / run, 1) * run);
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
  const ProductPlan<T>& plan = product_plan<T>();
  const bool blas = plan.blas;
  if (k == 0 || (bias && blas)) {
    begin_rows(m, n, c, c_row, beta, bias);
    beta = 1, bias = nullptr;
  }
  if (k == 0) return;
  if (blas && blas_product<T>(m, n, k, a, b, c, c_row, alpha, beta)) return;
  const Product<T> p{m, n, k, a, b, c, c_row, alpha, beta, bias};
  if (k == 1 && m > 1 && n > 1) return outer_product(p);
  if (few_rows_product<T>(m, n, k, a, b, c, c_row, alpha, beta, bias)) return;
  const bool alone = detail::task_count(2, 1) == 1;  // then larger ones gain nothing from packing a
  if (m * n * k <= kSerial || (alone && m * k * int64_t{sizeof(T)} <= processor().second_cache / 8))
    small_product(plan, p);
  else
    large_product(p);
}

// Layer after layer of k, in each panel after panel.
template <class T>
int64_t PackedMatrix<T>::panel() {
  return product_plan<T>().panel;
}

template <class T>
int64_t PackedMatrix<T>::packed_size(int64_t k, int64_t n) {
  return ceil_div(n, panel()) * panel() * k;
}

template <class T>
PackedMatrix<T> PackedMatrix<T>::pack(int64_t k, int64_t n, Matrix<T> b, T* space) {
  const auto pack = kernels::kernels().gemm.of<T>().pack;
  const ProductPlan<T>& plan = product_plan<T>();
  const int64_t panel = plan.panel, panels = ceil_div(n, panel), run = plan.run_of(k);
  parallel_for(0, panels, ceil_div(32768, std::max<int64_t>(k * panel, 1)), [&](int64_t begin, int64_t end) {
    for (int64_t first_k = 0; first_k < k; first_k += run) {
      const int64_t depth = std::min(run, k - first_k);
      for (int64_t i = begin; i < end; ++i)
        pack(panel, depth, std::min(panel, n - i * panel), b.data + first_k * b.row + i * panel * b.column, b.row,
             b.column, space + (first_k * panels + i * depth) * panel, 0);
    }
  });
  return {k, n, space};
}

template <class T>
void gemm(int64_t m, int64_t n, Matrix<T> a, const PackedMatrix<T>& b, int64_t first, T* c, int64_t c_row, T beta,
          const T* bias) {
  const ProductPlan<T>& plan = product_plan<T>();
  const int64_t panel = plan.panel, width = ceil_div(b.n, panel) * panel, run = plan.run_of(b.k);
  for (int64_t first_k = 0; first_k < b.k; first_k += run) {
    const int64_t k = std::min(run, b.k - first_k);
    for (int64_t j = 0; j < n; j += panel)
      plan.multiply({m, std::min(panel, n - j), k, a.data + first_k * a.column, a.row, a.column, plan.strip * a.row,
                     b.data + first_k * width + (first + j) * k, panel, c + j, c_row,
                     first_k == 0 && bias ? bias + j : nullptr, 1, first_k == 0 ? beta : T(1)});
  }
}

template struct PackedMatrix<float>;
template struct PackedMatrix<double>;
template void gemm(int64_t, int64_t, Matrix<float>, const PackedMatrix<float>&, int64_t, float*, int64_t, float,
                   const float*);
template void gemm(int64_t, int64_t, Matrix<double>, const PackedMatrix<double>&, int64_t, double*, int64_t, double,
                   const double*);
template void gemm<float>(int64_t, int64_t, int64_t, Matrix<float>, Matrix<float>, float*, int64_t, float, float,
                          const float*);
template void gemm<double>(int64_t, int64_t, int64_t, Matrix<double>, Matrix<double>, double*, int64_t, double, double,
                           const double*);

}  // namespace cotangent::raw
