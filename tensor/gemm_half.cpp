#include <cotangent/tensor/gemm_half.hpp>

#include <algorithm>

#include <cotangent/tensor/kernels/kernels.hpp>
#include <cotangent/tensor/memory/scratch_internal.hpp>
#include <cotangent/tensor/parallel.hpp>
#include <cotangent/tensor/processor_internal.hpp>
#include <cotangent/tensor/product_plan_internal.hpp>

namespace cotangent::raw {
namespace {

using kernels::HalfLoops;
using kernels::kHalfPanel;
using kernels::kHalfStrip;

// Rows by columns of a tile, which one thread sums, on its stack. Where that would give few tiles they are smaller.
constexpr int64_t kTileRows = 128, kTileColumns = 128, kLeastTiles = 32;
constexpr int64_t kBlock = 1024;      // rows or columns that are packed at once
constexpr int64_t kPairRun = 1024;    // elements along k that are multiplied at once, as pairs
constexpr int64_t kSerial = 1000000;  // products m n k that one thread does
constexpr int64_t kPad = 16;          // elements between widened rows, which would lie whole pages apart

template <class T>
const HalfLoops& loops_of() {
  return dtype_of<T> == bfloat16 ? kernels::kernels().gemm_half.bfloat16 : kernels::kernels().gemm_half.float16;
}
kernels::ConvertLoop conversion(Dtype from, Dtype to) {
  return kernels::kernels().convert[static_cast<int>(from)][static_cast<int>(to)];
}

/// Where the first operand of a part lies, as it is multiplied. Strides are in its elements: float32, or a half.
struct Rows {
  const void* data;
  int64_t row, step;  ///< to the next row, and to the next packed element along k
};

template <class T>
class Product {
 public:
  Product(int64_t m, int64_t n, int64_t k, Matrix<T> a, Matrix<T> b, T* c, int64_t c_row, float alpha, float beta,
          const T* bias)
      : m_(m), n_(n), k_(k), a_(a), b_(b), c_(c), c_row_(c_row), alpha_(alpha), beta_(beta), bias_(bias) {}

  void compute() {
    const int64_t most =
        processor().last_cache / 4 / int64_t{sizeof(float)} * per_;  // elements, which that cache keeps
    const int64_t rows = std::min(m_, kBlock), columns = std::min(n_, kBlock),
                  wide = round_up(rows, kHalfPanel) + round_up(columns, kHalfPanel);
    const int64_t depth = std::max<int64_t>(most / wide / run_, 1) * run_, layer = std::min(k_, depth);
    const Scratch<float> a((in_place_ ? 0 : round_up(rows, kHalfPanel)) * (ceil_div(layer, per_) + kPad)),
        b(round_up(columns, kHalfPanel) * ceil_div(layer, per_)),
        sums(k_ > depth ? rows * round_up(columns, kHalfPanel) : 0), bias(bias_ ? n_ : 0);
    if (bias_) conversion(dtype_of<T>, float32)(bias_, bias.data(), n_);
    wide_bias_ = bias.data();
    packed_a_ = a.data(), packed_b_ = b.data(), sums_ = k_ > depth ? sums.data() : nullptr;
    for (first_column_ = 0; first_column_ < n_; first_column_ += columns)
      for (first_row_ = 0; first_row_ < m_; first_row_ += rows)
        for (first_k_ = 0; first_k_ < k_; first_k_ += depth) {
          rows_ = std::min(rows, m_ - first_row_), columns_ = std::min(columns, n_ - first_column_);
          layer_ = std::min(depth, k_ - first_k_);
          if (first_row_ == 0 || sums_) pack_b();
          if (!in_place_) pack_a();
          multiply();
        }
  }

 private:
  static int64_t round_up(int64_t x, int64_t to) { return ceil_div(x, to) * to; }

  template <class Body>
  void each(int64_t count, Body body) const {
    if (serial_)
      for (int64_t i = 0; i < count; ++i) body(i);
    else
      parallel_chunks(count, body);
  }

  // ---- packing: run after run of k, in each panel after panel ----

  void pack_panels(Matrix<T> x, int64_t count, float* to) const {
    const int64_t panels = ceil_div(count, kHalfPanel);
    each(panels, [&](int64_t i) {
      const int64_t first = i * kHalfPanel, width = std::min(kHalfPanel, count - first);
      for (int64_t l = 0; l < layer_; l += run_) {
        const int64_t k = std::min(run_, layer_ - l);
        loops_.pack(k, width, x.data + first * x.column + l * x.row, x.row, x.column,
                    to + (l / per_ * panels + i * ceil_div(k, per_)) * kHalfPanel);
      }
    });
  }
  void pack_b() const {
    pack_panels({b_.data + first_k_ * b_.row + first_column_ * b_.column, b_.row, b_.column}, columns_, packed_b_);
  }
  bool widens_rows() const { return per_ == 1 && a_.column == 1; }
  void pack_a() const {
    const T* from = a_.data + first_row_ * a_.row + first_k_ * a_.column;
    if (!widens_rows()) return pack_panels({from, a_.column, a_.row}, rows_, packed_a_);
    const auto widen = conversion(dtype_of<T>, float32);
    each(ceil_div(rows_, kHalfPanel), [&](int64_t i) {
      for (int64_t row = i * kHalfPanel; row < std::min(rows_, (i + 1) * kHalfPanel); ++row)
        widen(from + row * a_.row, packed_a_ + row * (layer_ + kPad), layer_);
    });
  }
  /// Of the kHalfPanel rows from `row` on, for k elements from l on.
  Rows rows_from(int64_t row, int64_t l, int64_t k) const {
    if (in_place_) return {a_.data + (first_row_ + row) * a_.row + first_k_ + l, a_.row, 2};
    if (widens_rows()) return {packed_a_ + row * (layer_ + kPad) + l, layer_ + kPad, 1};
    const int64_t panels = ceil_div(rows_, kHalfPanel), i = row / kHalfPanel;
    return {packed_a_ + (l / per_ * panels + i * ceil_div(k, per_)) * kHalfPanel, per_, kHalfPanel * per_};
  }

  // ---- multiplication ----

  void multiply() const {
    const int64_t panels = ceil_div(columns_, kHalfPanel);
    int64_t down = kTileRows, across = kTileColumns;
    while (ceil_div(rows_, down) * ceil_div(columns_, across) < kLeastTiles && down * across > kHalfPanel * kHalfPanel)
      down > kHalfPanel ? down /= 2 : across /= 2;
    const int64_t tiles_across = ceil_div(columns_, across);
    each(ceil_div(rows_, down) * tiles_across, [&](int64_t tile) {
      alignas(64) float space[kTileRows * kTileColumns];
      const int64_t row = tile / tiles_across * down, column = tile % tiles_across * across,
                    rows = std::min(down, rows_ - row), columns = std::min(across, columns_ - column),
                    width = sums_ ? panels * kHalfPanel : kTileColumns;
      float* const sums = sums_ ? sums_ + row * width + column : space;
      for (int64_t l = 0; l < layer_; l += run_) {
        const int64_t k = std::min(run_, layer_ - l), depth = ceil_div(k, per_);
        for (int64_t i = 0; i < rows; i += kHalfPanel)
          for (int64_t j = 0; j < columns; j += kHalfPanel)
            add_product(std::min(kHalfPanel, rows - i), std::min(kHalfPanel, columns - j), depth,
                        rows_from(row + i, l, k),
                        packed_b_ + (l / per_ * panels + (column + j) / kHalfPanel * depth) * kHalfPanel,
                        sums + i * width + j, width, first_k_ + l > 0);
      }
      if (first_k_ + layer_ < k_) return;
      loops_.store(rows, columns, sums, width, alpha_, bias_ ? wide_bias_ + first_column_ + column : nullptr, beta_,
                   c_ + (first_row_ + row) * c_row_ + first_column_ + column, c_row_);
    });
  }

  void add_product(int64_t m, int64_t n, int64_t depth, Rows a, const float* b, float* c, int64_t c_row,
                   bool add) const {
    if (loops_.multiply) {
      loops_.multiply({m, n, depth, static_cast<const uint16_t*>(a.data), a.row, a.step, kHalfStrip * a.row,
                       reinterpret_cast<const uint32_t*>(b), c, c_row, add});
      return;
    }
    const float* x = static_cast<const float*>(a.data);
    const int64_t panel = std::min(plan_.panel, kHalfPanel);
    for (int64_t j = 0; j < n; j += panel)
      plan_.multiply({m, std::min(panel, n - j), depth, x, a.row, a.step, plan_.strip * a.row, b + j, kHalfPanel, c + j,
                      c_row, nullptr, 1, add ? 1.0 : 0.0});
  }

  const int64_t m_, n_, k_;
  const Matrix<T> a_, b_;
  T* const c_;
  const int64_t c_row_;
  const float alpha_, beta_;
  const T* const bias_;
  const HalfLoops& loops_ = loops_of<T>();
  const ProductPlan<float>& plan_ = product_plan<float>();
  const int64_t per_ = loops_.depth, run_ = per_ == 1 ? plan_.run_of(k_) : kPairRun;
  const bool serial_ = m_ * n_ * k_ <= kSerial;
  // Pairs of a matrix by rows need no packing, unless a processor minds that the rows lie whole pages apart.
  const bool in_place_ = per_ == 2 && a_.column == 1 && k_ % 2 == 0 &&
                         (processor().reads_near || a_.row * int64_t{sizeof(T)} % processor().page != 0);
  // the part that is computed now
  int64_t first_row_, first_column_, first_k_, rows_, columns_, layer_;
  float *packed_a_, *packed_b_, *sums_, *wide_bias_;
};

/// y = alpha a x + beta y + bias, for rows of a whose k elements are neighbours. Each row is summed alone.
template <class T>
void vector_product(int64_t m, int64_t k, const T* a, int64_t a_row, const T* x, int64_t x_step, T* y, int64_t y_step,
                    float alpha, float beta, const T* bias, int64_t bias_step) {
  constexpr int64_t chunk = 64, together = 8;  // rows
  const HalfLoops& loops = loops_of<T>();
  const auto dots = kernels::kernels().few_rows.of<float>().dots;
  const auto widen = conversion(dtype_of<T>, float32);
  const bool pairs = loops.dot_rows;
  const Scratch<T> gathered(x_step == 1 ? 0 : k);
  for (int64_t l = 0; x_step != 1 && l < k; ++l) gathered[l] = x[l * x_step];
  const T* const vector = x_step == 1 ? x : gathered.data();
  const Scratch<float> wide(pairs ? 0 : k);
  if (!pairs) widen(vector, wide.data(), k);
  parallel_for(0, ceil_div(m, chunk), ceil_div(65536, chunk * k), [&](int64_t begin, int64_t end) {
    const Scratch<float> rows(pairs ? 0 : together * k);
    for (int64_t first = begin * chunk; first < std::min(m, end * chunk); first += chunk) {
      float sums[chunk];
      const int64_t count = std::min(chunk, m - first);
      if (pairs) loops.dot_rows(count, k, a + first * a_row, a_row, vector, sums);
      for (int64_t i = 0; !pairs && i < count; i += together) {
        const int64_t some = std::min(together, count - i);
        for (int64_t j = 0; j < some; ++j) widen(a + (first + i + j) * a_row, rows.data() + j * k, k);
        dots({1, some, k, wide.data(), k, 1, rows.data(), k, sums + i, some, 1, 1, 0});
      }
      for (int64_t i = 0; i < count; ++i) {
        T& to = y[(first + i) * y_step];
        float sum = alpha * sums[i] + (bias ? static_cast<float>(bias[(first + i) * bias_step]) : 0);
        if (beta != 0) sum += beta * static_cast<float>(to);
        to = T(sum);
      }
    }
  });
}

}  // namespace

template <class T>
void gemm_half(int64_t m, int64_t n, int64_t k, Matrix<T> a, Matrix<T> b, T* c, int64_t c_row, float alpha, float beta,
               const T* bias) {
  if (m == 0 || n == 0) return;
  if (k == 0) {
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < n; ++j) {
        T& to = c[i * c_row + j];
        to = T((bias ? static_cast<float>(bias[j]) : 0) + (beta != 0 ? beta * static_cast<float>(to) : 0));
      }
  } else if (n == 1 && a.column == 1) {
    vector_product(m, k, a.data, a.row, b.data, b.row, c, c_row, alpha, beta, bias, 0);
  } else if (m == 1 && b.row == 1) {
    vector_product(n, k, b.data, b.column, a.data, a.column, c, 1, alpha, beta, bias, 1);
  } else {
    Product<T>(m, n, k, a, b, c, c_row, alpha, beta, bias).compute();
  }
}

template void gemm_half(int64_t, int64_t, int64_t, Matrix<BFloat16>, Matrix<BFloat16>, BFloat16*, int64_t, float, float,
                        const BFloat16*);
template void gemm_half(int64_t, int64_t, int64_t, Matrix<Half>, Matrix<Half>, Half*, int64_t, float, float,
                        const Half*);

}  // namespace cotangent::raw
