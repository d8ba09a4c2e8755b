#include <cotangent/tensor/attention.hpp>

#include <algorithm>
#include <limits>

#include <cotangent/tensor/dispatch_internal.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/gemm.hpp>
#include <cotangent/tensor/join.hpp>
#include <cotangent/tensor/kernels/kernels.hpp>
#include <cotangent/tensor/parallel.hpp>
#include <cotangent/tensor/product_plan_internal.hpp>

namespace cotangent::raw {
namespace {

using detail::make_tensor;
using kernels::AttentionBand;
using kernels::AttentionTile;

// A tile has about 64 rows of queries, or half of that where there are few, since a causal tile on the diagonal is half
// wasted; whole strips of a product. Its rows and its columns of keys are the order of sums, alike on all machines.
constexpr int64_t kColumns = 256;
constexpr int64_t kScoreRow = kColumns + 16;  // between rows of scores: a power of two would not stay in a cache
template <class T>
int64_t tile_rows(int64_t queries) {
  const int64_t strip = product_plan<T>().strip;
  return strip * std::max<int64_t>(1, (queries <= 192 ? 32 : 64) / strip);
}
template <class T>
int64_t tile_columns() {
  const int64_t panel = PackedMatrix<T>::panel();
  return kColumns / panel * panel;
}

/// Where a matrix of a (B, H, T, d) tensor lies.
template <class T>
struct Heads {
  explicit Heads(const Tensor& x) : data(x.data<T>()) {
    for (int d = 0; d < 4; ++d) stride[d] = x.strides()[d];
  }
  T* at(int64_t b, int64_t h, int64_t t) const { return data + b * stride[0] + h * stride[1] + t * stride[2]; }
  Matrix<T> rows(int64_t b, int64_t h, int64_t t) const { return {at(b, h, t), stride[2], stride[3]}; }
  Matrix<T> columns(int64_t b, int64_t h, int64_t t) const {
    return {at(b, h, t), stride[3], stride[2]};
  }  // transposed
  T* data;
  int64_t stride[4];
};

/// The mask over (B, H, Tq, Tk) by strides, where the last one is 0 or 1, and the bias by distance. The bias turned
/// round is a matrix too, each row of which begins one element before the one above.
struct Mask {
  Mask(const Tensor& given, const Tensor& distance_bias, int64_t queries_) : queries(queries_) {
    if (distance_bias.defined()) bias = flip(contiguous(distance_bias), 0b10);
    if (!given.defined()) return;
    mask = given;
    if (mask.rank() > 0 && mask.shape().back() > 1 && mask.strides().back() != 1) mask = contiguous(mask);
    const int skip = 4 - mask.rank();
    for (int d = skip; d < 4; ++d) stride[d] = mask.shape()[d - skip] == 1 ? 0 : mask.strides()[d - skip];
  }
  template <class T>
  void place(AttentionTile<T>& tile, int64_t b, int64_t h, int64_t i, int64_t j) const {
    if (bias.defined()) {
      tile.added = bias.data<T>() + h * bias.shape()[1] + place_of(i, j);
      tile.added_row = -1, tile.added_column = 1;
    }
    if (!mask.defined()) return;
    const int64_t at = b * stride[0] + h * stride[1] + i * stride[2] + j * stride[3];
    if (mask.dtype() == boolean)
      tile.allowed = mask.data<bool>() + at, tile.allowed_row = stride[2], tile.allowed_column = stride[3];
    else
      tile.added = mask.data<T>() + at, tile.added_row = stride[2], tile.added_column = stride[3];
  }
  /// Where the bias of query i and key j is in a row that is turned round.
  int64_t place_of(int64_t i, int64_t j) const { return queries - 1 - i + j; }
  bool hides() const { return mask.defined() || bias.defined(); }
  int64_t queries;
  Tensor mask, bias;
  int64_t stride[4] = {0, 0, 0, 0};
};

/// The keys (or values) of a head transposed: packed for the tiles of many queries, or as they lie for those of few.
template <class T>
struct HeadKeys {
  HeadKeys(const Heads<T>& x, int64_t b, int64_t g, int64_t keys, int64_t width)
      : rows(x.columns(b, g, 0)), packed{width, keys, nullptr} {}
  int64_t packed_size() const { return PackedMatrix<T>::packed_size(packed.k, packed.n); }
  void pack(T* space) { packed = PackedMatrix<T>::pack(packed.k, packed.n, rows, space); }
  /// c = a, which is (m, width), times the keys [j, j + columns).
  void multiply(int64_t m, int64_t j, int64_t columns, Matrix<T> a, T* c, int64_t c_row) const {
    if (packed.data)
      gemm<T>(m, columns, a, packed, j, c, c_row);
    else
      gemm<T>(m, columns, packed.k, a, {rows.data + j * rows.column, rows.row, rows.column}, c, c_row);
  }
  Matrix<T> rows;
  PackedMatrix<T> packed;
};

struct Sizes {
  Sizes(const Tensor& q, const Tensor& k, const Tensor& v)
      : batch(q.shape()[0]),
        heads(q.shape()[1]),
        groups(k.shape()[1]),
        queries(q.shape()[2]),
        keys(k.shape()[2]),
        width(q.shape()[3]),
        value_width(v.shape()[3]) {}
  int64_t batch, heads, groups, queries, keys, width, value_width;
  int64_t group_of(int64_t head) const { return head * groups / heads; }
  /// Keys that some query of rows [i, i + rows) may see.
  int64_t visible(bool causal, int64_t i, int64_t rows) const {
    return causal ? std::clamp<int64_t>(i + rows + keys - queries, 0, keys) : keys;
  }
  /// Where the maximum of a row is in the statistics; its share is all_rows() further on.
  int64_t row(int64_t b, int64_t h, int64_t i) const { return (b * heads + h) * queries + i; }
  int64_t all_rows() const { return batch * heads * queries; }
};

template <class T>
AttentionTile<T> make_tile(const Sizes& n, const AttentionOptions& o, int64_t i, int64_t rows, int64_t j,
                           int64_t columns) {
  AttentionTile<T> tile{};
  tile.rows = rows, tile.columns = columns, tile.row_stride = kScoreRow;
  tile.scale = o.scale;
  tile.causal = o.causal;
  tile.first_hidden = i + n.keys - n.queries + 1 - j;  // for row 0: the columns j' with j + j' <= i + Tk - Tq
  return tile;
}

/// y += w x, or w^T x, for the weights w of a tile and rows of `width`. Around NaN, by what is seen alone, since a
/// weight of 0 would not keep NaN out of a product.
template <class T>
void add_product(const kernels::AttentionLoops<T>& loops, bool around_nan, const AttentionTile<T>& tile, const T* w,
                 bool transposed, Matrix<T> x, int64_t width, T* y, int64_t y_row) {
  if (around_nan)
    loops.add_seen(tile, w, transposed, x.data, x.row, x.column, width, y, y_row);
  else if (transposed)
    gemm<T>(tile.columns, width, tile.rows, {w, 1, tile.row_stride}, x, y, y_row, 1, 1);
  else
    gemm<T>(tile.rows, width, tile.columns, {w, tile.row_stride, 1}, x, y, y_row, 1, 1);
}

/// The tables by distance of a head, and their gradients. The queries of a tile, or its keys, meet a band of rows: one
/// for each distance between them, or fewer at the ends, which distances share.
template <class T>
struct HeadTables {
  struct Table {
    Table(bool with_keys, const Tensor& table, const Tensor& its_gradient, int64_t b, int64_t h) : of_keys(with_keys) {
      if (!table.defined()) return;
      rows = Heads<T>(table).rows(b, h, 0), count = table.shape()[2], width = table.shape()[3];
      if (its_gradient.defined()) gradient = Heads<T>(its_gradient).at(b, h, 0);
    }
    bool of_keys;  // it is the keys that meet it
    Matrix<T> rows{};
    int64_t count = 0, width = 0;
    T* gradient = nullptr;  // (count, width), contiguous
  };
  HeadTables(const DistanceTables& t, const DistanceTables& gradients, int64_t b, int64_t h,
             const kernels::AttentionLoops<T>& its_loops, T* space)
      : for_queries(false, t.for_queries, gradients.for_queries, b, h),
        for_keys(true, t.for_keys, gradients.for_keys, b, h),
        for_values(false, t.for_values, gradients.for_values, b, h),
        zero(t.zero),
        loops(its_loops),
        scratch(space) {}
  static int64_t scratch_size(const DistanceTables& t, int64_t tile_height) {
    const bool any = t.for_queries.defined() || t.for_keys.defined() || t.for_values.defined();
    return any ? tile_height * (tile_height + kColumns) : 0;
  }

  /// w += x table^T, each pair with its row, for the scores or products w of tile (i, j) and the rows x of its queries
  /// or keys.
  void add(const Table& table, const AttentionTile<T>& tile, int64_t i, int64_t j, Matrix<T> x, T* w) const {
    for_bands(table, tile, i, j, [&](const AttentionBand& band, int64_t tokens, int64_t first) {
      gemm<T>(tokens, band.count, table.width, {x.data + first * x.row, x.row, x.column},
              {table.rows.data + band.first * table.rows.row, table.rows.column, table.rows.row}, scratch, band.count);
      loops.add_band(band, scratch, w + first);
    });
  }
  /// The transpose: where they are given, y += w table, and the gradient of the table += w^T x.
  void sum(const Table& table, const AttentionTile<T>& tile, int64_t i, int64_t j, const T* w, Matrix<T> x, T* y,
           int64_t y_row) const {
    for_bands(table, tile, i, j, [&](const AttentionBand& band, int64_t tokens, int64_t first) {
      const int64_t count = band.count, width = table.width;
      std::fill_n(scratch, tokens * count, T(0));
      loops.sum_band(band, w + first, scratch);
      if (y)
        gemm<T>(tokens, width, count, {scratch, count, 1},
                {table.rows.data + band.first * table.rows.row, table.rows.row, table.rows.column}, y + first * y_row,
                y_row, 1, 1);
      if (table.gradient)
        gemm<T>(count, width, tokens, {scratch, 1, count}, {x.data + first * x.row, x.row, x.column},
                table.gradient + band.first * width, width, 1, 1);
    });
  }

  Table for_queries, for_keys, for_values;

 private:
  /// Calls f(band, tokens, first token) for all queries of a tile, or for its keys by as many as there are queries: the
  /// band of all of them would be far wider than the tile is high.
  template <class F>
  void for_bands(const Table& table, const AttentionTile<T>& tile, int64_t i, int64_t j, F f) const {
    if (table.count == 0) return;
    const int64_t step = table.of_keys ? std::max<int64_t>(tile.rows, 8) : tile.columns;
    for (int64_t c = 0; c < tile.columns; c += step) {
      const int64_t columns = std::min(step, tile.columns - c), row = i - (j + c) + zero;  // of the first pair
      const int64_t first = std::clamp<int64_t>(row - (columns - 1), 0, table.count - 1),
                    count = std::clamp<int64_t>(row + (tile.rows - 1), 0, table.count - 1) + 1 - first;
      f({.rows = tile.rows,
         .columns = columns,
         .row_stride = tile.row_stride,
         .first = first,
         .count = count,
         .start = row - first,
         .x_row = table.of_keys ? 0 : count,
         .x_column = table.of_keys ? count : 0},
        table.of_keys ? columns : tile.rows, c);
    }
  }
  int64_t zero;
  const kernels::AttentionLoops<T>& loops;
  T* scratch;
};

// (B, H, T, d) whose memory has the order (B, T, H, d): joining the heads is then a view.
Tensor make_heads(const Shape& shape, Dtype dtype) {
  const Tensor x = make_tensor({shape[0], shape[2], shape[1], shape[3]}, dtype);
  return detail::make_view(x, shape, {x.strides()[0], x.strides()[2], x.strides()[1], x.strides()[3]}, 0);
}

}  // namespace

AttentionResult attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask,
                          const Tensor& distance_bias, AttentionOptions options, const DistanceTables& tables) {
  const Sizes n(q, k, v);
  AttentionResult result{make_heads({n.batch, n.heads, n.queries, n.value_width}, q.dtype()),
                         make_tensor({2, n.batch, n.heads, n.queries}, q.dtype())};
  const Mask seen(mask, distance_bias, n.queries);
  const bool hides = options.causal || seen.hides();
  dispatch_compute("attention", q.dtype(), [&]<class T> {
    const int64_t tile_height = tile_rows<T>(n.queries), tile_width = tile_columns<T>(),
                  blocks = (n.queries + tile_height - 1) / tile_height;
    const Heads<T> hq(q), hk(k), hv(v), ho(result.output);
    T* statistics = result.statistics.data<T>();
    const kernels::AttentionLoops<T>& loops = kernels::kernels().attention.of<T>();
    const T infinity = std::numeric_limits<T>::infinity();
    Tensor packed;  // keys of all heads
    const int64_t packed_size = PackedMatrix<T>::packed_size(n.width, n.keys);
    if (blocks > 1) {
      packed = make_tensor({n.batch * n.groups * packed_size}, q.dtype());
      parallel_chunks(n.batch * n.groups, [&](int64_t i) {
        HeadKeys<T>(hk, i / n.groups, i % n.groups, n.keys, n.width).pack(packed.data<T>() + i * packed_size);
      });
    }
    parallel_chunks(n.batch * n.heads * blocks, [&](int64_t task) {
      const int64_t b = task / (n.heads * blocks), h = task / blocks % n.heads, g = n.group_of(h);
      HeadKeys<T> keys(hk, b, g, n.keys, n.width);
      if (packed.defined()) keys.packed.data = packed.data<T>() + (b * n.groups + g) * packed_size;
      const int64_t i = (blocks - 1 - task % blocks) * tile_height, rows = std::min(tile_height, n.queries - i);
      const Tensor scratch = make_tensor(
          {rows * (kScoreRow + n.value_width + 2) + HeadTables<T>::scratch_size(tables, tile_height)}, q.dtype());
      T *scores = scratch.data<T>(), *sum = scores + rows * kScoreRow, *top = sum + rows, *acc = top + rows,
        *space = acc + rows * n.value_width;
      const HeadTables<T> by(tables, {}, b, h, loops, space);
      const int64_t last = n.visible(options.causal, i, rows);
      const auto attend = [&](bool around_nan) {
        std::fill(sum, sum + rows, T(0));
        std::fill(top, top + rows, -infinity);
        std::fill(acc, acc + rows * n.value_width, T(0));
        for (int64_t j = 0; j < last; j += tile_width) {
          const int64_t columns = std::min(tile_width, last - j);
          AttentionTile<T> tile = make_tile<T>(n, options, i, rows, j, columns);
          seen.place(tile, b, h, i, j);
          keys.multiply(rows, j, columns, hq.rows(b, h, i), scores, kScoreRow);
          by.add(by.for_queries, tile, i, j, hq.rows(b, h, i), scores);
          by.add(by.for_keys, tile, i, j, hk.rows(b, g, j), scores);
          loops.forward(scores, top, sum, acc, n.value_width, tile);
          add_product(loops, around_nan, tile, scores, false, hv.rows(b, g, j), n.value_width, acc, n.value_width);
          by.sum(by.for_values, tile, i, j, scores, {}, acc, n.value_width);
        }
        T* maximum = statistics + n.row(b, h, i);
        loops.finish(acc, top, sum, rows, n.value_width, ho.at(b, h, i), ho.stride[2], maximum, maximum + n.all_rows());
        return loops.finite(ho.at(b, h, i), ho.stride[2], rows, n.value_width);
      };
      if (!attend(false) && hides) attend(true);
    });
  });
  return result;
}

AttentionGradients attention_backward(const Tensor& g_, const Tensor& q, const Tensor& k, const Tensor& v,
                                      const Tensor& mask, const Tensor& distance_bias, const Tensor& output,
                                      const Tensor& statistics, AttentionOptions options, bool wants_bias,
                                      const DistanceTables& tables) {
  const Sizes n(q, k, v);
  const Tensor g = g_.strides()[3] == 1 ? g_ : contiguous(g_);
  const auto like = [](const Tensor& table) {
    return table.defined() ? make_tensor(table.shape(), table.dtype()) : table;
  };
  AttentionGradients result{make_heads(q.shape(), q.dtype()),
                            make_heads(k.shape(), k.dtype()),
                            make_heads(v.shape(), v.dtype()),
                            {},
                            {like(tables.for_queries), like(tables.for_keys), like(tables.for_values)}};
  const Tensor* const of_tables[] = {&result.tables.for_queries, &result.tables.for_keys, &result.tables.for_values};
  for (const Tensor* t : {&result.q, &result.k, &result.v}) fill_into(*t, 0);
  for (const Tensor* t : of_tables)
    if (t->defined()) fill_into(*t, 0);
  const Mask seen(mask, distance_bias, n.queries);
  const bool hides = options.causal || seen.hides();
  const int64_t diagonals = wants_bias ? distance_bias.shape()[1] : 0;
  Tensor sums;  // along the diagonals of each matrix of scores, turned round
  if (wants_bias) {
    sums = make_tensor({n.batch, n.heads, diagonals}, q.dtype());
    fill_into(sums, 0);
  }
  const int64_t members = n.heads / std::max<int64_t>(n.groups, 1);
  dispatch_compute("attention", q.dtype(), [&]<class T> {
    const Heads<T> hq(q), hk(k), hv(v), hg(g), ho(output), dq(result.q), dk(result.k), dv(result.v);
    const T* all_statistics = statistics.data<T>();
    const kernels::AttentionLoops<T>& loops = kernels::kernels().attention.of<T>();
    const int64_t tile_height = tile_rows<T>(n.queries), tile_width = tile_columns<T>();
    const bool several = n.queries > tile_height;
    // a key head and the query heads that read it: nobody else writes what this task writes
    parallel_chunks(n.batch * n.groups, [&](int64_t task) {
      const int64_t b = task / n.groups, group = task % n.groups;
      HeadKeys<T> keys(hk, b, group, n.keys, n.width), values(hv, b, group, n.keys, n.value_width);
      const int64_t tile_size = tile_height * kScoreRow, queries = (n.queries + 15) / 16 * 16;
      const int64_t packed_size = several ? keys.packed_size() + values.packed_size() : 0;
      const Tensor scratch = make_tensor(
          {2 * tile_size + queries + packed_size + HeadTables<T>::scratch_size(tables, tile_height)}, q.dtype());
      T *scores = scratch.data<T>(), *products = scores + tile_size, *delta = products + tile_size,
        *space = delta + queries, *band_space = space + packed_size;
      if (several) keys.pack(space), values.pack(space + keys.packed_size());
      const auto sums_of = [&](int64_t h) { return sums.data<T>() + (b * n.heads + h) * diagonals; };
      const auto differentiate_head = [&](int64_t h, bool around_nan) {
        const HeadTables<T> by(tables, result.tables, b, h, loops, band_space);
        loops.dot_rows(hg.at(b, h, 0), hg.stride[2], ho.at(b, h, 0), ho.stride[2], n.queries, n.value_width, delta);
        const int64_t step = around_nan ? 1 : tile_height;
        for (int64_t i = 0; i < n.queries; i += step) {
          const int64_t rows = std::min(step, n.queries - i), last = n.visible(options.causal, i, rows);
          const T* dy = hg.at(b, h, i);  // a query that sees NaN, but whose result nobody used, has no gradient to give
          if (around_nan && std::all_of(dy, dy + n.value_width, [](T x) { return x == T(0); })) continue;
          const T *maximum = all_statistics + n.row(b, h, i), *share = maximum + n.all_rows();
          for (int64_t j = 0; j < last; j += tile_width) {
            const int64_t columns = std::min(tile_width, last - j);
            AttentionTile<T> tile = make_tile<T>(n, options, i, rows, j, columns);
            seen.place(tile, b, h, i, j);
            keys.multiply(rows, j, columns, hq.rows(b, h, i), scores, kScoreRow);
            values.multiply(rows, j, columns, hg.rows(b, h, i), products, kScoreRow);
            by.add(by.for_queries, tile, i, j, hq.rows(b, h, i), scores);
            by.add(by.for_keys, tile, i, j, hk.rows(b, group, j), scores);
            by.add(by.for_values, tile, i, j, hg.rows(b, h, i), products);
            loops.backward(scores, products, maximum, share, delta + i, tile);
            if (around_nan) loops.clear_hidden(tile, scores), loops.clear_hidden(tile, products);
            const auto add = [&](const T* w, bool transposed, Matrix<T> x, int64_t width, T* y, int64_t y_row) {
              add_product(loops, around_nan, tile, w, transposed, x, width, y, y_row);
            };
            add(scores, true, hg.rows(b, h, i), n.value_width, dv.at(b, group, j), dv.stride[2]);
            add(products, false, hk.rows(b, group, j), n.width, dq.at(b, h, i), dq.stride[2]);
            add(products, true, hq.rows(b, h, i), n.width, dk.at(b, group, j), dk.stride[2]);
            by.sum(by.for_queries, tile, i, j, products, hq.rows(b, h, i), dq.at(b, h, i), dq.stride[2]);
            by.sum(by.for_keys, tile, i, j, products, hk.rows(b, group, j), dk.at(b, group, j), dk.stride[2]);
            by.sum(by.for_values, tile, i, j, scores, hg.rows(b, h, i), nullptr, 0);
            if (wants_bias) loops.add_diagonals(tile, products, sums_of(h) + seen.place_of(i, j));
          }
        }
      };
      const auto differentiate = [&](bool around_nan) {
        bool finite = true;
        const auto for_results = [&](auto&& f) {
          f(dk.at(b, group, 0), dk.stride[2], n.keys, n.width);
          f(dv.at(b, group, 0), dv.stride[2], n.keys, n.value_width);
          for (int64_t h = group * members; h < (group + 1) * members; ++h) {
            f(dq.at(b, h, 0), dq.stride[2], n.queries, n.width);
            if (wants_bias) f(sums_of(h), diagonals, 1, diagonals);
            for (const Tensor* t : of_tables)
              if (t->defined()) f(Heads<T>(*t).at(b, h, 0), t->shape()[3], t->shape()[2], t->shape()[3]);
          }
        };
        if (around_nan)  // once more
          for_results([](T* x, int64_t row, int64_t rows, int64_t width) {
            for (int64_t i = 0; i < rows; ++i) std::fill_n(x + i * row, width, T(0));
          });
        for (int64_t h = group * members; h < (group + 1) * members; ++h) differentiate_head(h, around_nan);
        for_results(
            [&](T* x, int64_t row, int64_t rows, int64_t width) { finite &= loops.finite(x, row, rows, width); });
        return finite;
      };
      if (!differentiate(false) && hides) differentiate(true);
    });
    if (!wants_bias) return;
    result.distance_bias = make_tensor(distance_bias.shape(), q.dtype());
    fill_into(result.distance_bias, 0);
    const T scale = static_cast<T>(options.scale);  // which the sums hold, as products of queries and keys need it
    for (int64_t row = 0; row < n.batch * n.heads; ++row) {
      const T* sum = sums.data<T>() + row * diagonals;
      T* to = result.distance_bias.data<T>() + (row % n.heads + 1) * diagonals;
      for (int64_t i = 0; i < diagonals; ++i) *--to += sum[i] / scale;
    }
  });
  return result;
}

}  // namespace cotangent::raw
