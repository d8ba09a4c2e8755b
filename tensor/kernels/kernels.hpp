#pragma once
// What the kernels folder offers: loops over contiguous spans, compiled once per instruction set (COTANGENT_ISA) into a
// table of function pointers each. kernels() is the best table that this processor runs.
//
// Rules for the folder's .cpp files: everything in them has internal linkage except one `fill` function a file, in the
// namespace of the instruction set; they include no library code that is inline, since the linker may keep the copy
// that was built for the newest instruction set.
#include <cstdint>

namespace cotangent::kernels {

/// y = f(x). p and q are parameters: the slope of leaky_relu, the bounds of clamp, the beta of swish.
enum class Unary : uint8_t {
  copy,
  neg,
  abs,
  sign,
  square,
  sqrt,
  rsqrt,
  reciprocal,
  exp,
  expm1,
  log,
  log1p,
  sin,
  cos,
  tanh,
  sigmoid,
  erf,
  relu,
  clamp,
  leaky_relu,
  relu_squared,
  threshold,
  heaviside,
  elu,
  selu,
  gelu,
  gelu_tanh,
  silu,
  swish,
  mish,
  softplus,
  log_sigmoid,
  softsign,
  hardsigmoid,
  hardswish,
  softshrink,
  hardshrink,
  tanhshrink,
  power,
  floor,
  ceil,
  round,
  trunc,
  is_nan,
  is_finite,
  logical_not,
  count
};

/// y = f(a, b), where either may be one repeated element. The `_backward` ones take the gradient first, then what the
/// rule keeps (the output y or the input x), and give the gradient of the input.
enum class Binary : uint8_t {
  add,
  sub,
  mul,
  div,
  pow,
  minimum,
  maximum,
  remainder,
  floor_divide,
  tanh_backward,
  sigmoid_backward,
  relu_backward,
  clamp_backward,
  hardtanh_backward,
  leaky_relu_backward,
  relu_squared_backward,
  threshold_backward,
  elu_backward,
  selu_backward,
  gelu_backward,
  gelu_tanh_backward,
  silu_backward,
  swish_backward,
  mish_backward,
  softplus_backward,
  softsign_backward,
  hardsigmoid_backward,
  hardswish_backward,
  shrink_backward,
  tanhshrink_backward,
  scaled_sub,
  bce_with_logits,
  bce_with_logits_slope,
  eq,
  ne,
  lt,
  le,
  gt,
  ge,
  logical_and,
  logical_or,
  logical_xor,
  count
};
inline bool is_comparison(Binary op) { return op >= Binary::eq; }
inline bool is_predicate(Unary op) { return op >= Unary::is_nan; }

/// Which operands of a Binary are arrays: both, the first (the second is one element), the second.
enum class Layout : uint8_t { both, array_scalar, scalar_array };

using UnaryLoop = void (*)(const void* x, void* y, int64_t n, double p, double q);
using BinaryLoop = void (*)(const void* a, const void* b, void* y, int64_t n, Layout layout, double p, double q);
using ConvertLoop = void (*)(const void* x, void* y, int64_t n);

/// One step of SGD: d = sign * gradient + weight_decay * parameter is what the parameter, or its velocity, follows.
struct SgdStep {
  double lr, momentum, fresh, weight_decay, sign;  // velocity = momentum * velocity + fresh * d
  bool nesterov;
};
/// One step of Adam and its kin, with d as in SGD:
/// parameter = shrink * parameter - (step_size * first + ahead * d) / (scale * sqrt(second) + eps).
struct AdamStep {
  double beta1, beta2, eps, weight_decay, sign, shrink, step_size, scale, ahead = 0;
};
/// The steps of Adamax, Adadelta, Adagrad, RMSprop and Lion; their formulas stand in optim/.
struct AdamaxStep {
  double beta1, beta2, eps, weight_decay, sign, step_size;
};
struct AdadeltaStep {
  double lr, rho, eps, weight_decay, sign;
};
struct AdagradStep {
  double eps, weight_decay, sign, step_size;
};
struct RmspropStep {
  double lr, alpha, eps, momentum, weight_decay, sign;
};
struct LionStep {
  double lr, beta1, beta2, sign, shrink;
};
/// Of tensor/optim.hpp; float32 and float64.
struct OptimLoops {
  void (*sgd[2])(int64_t n, const SgdStep& step, void* parameter, const void* gradient, void* velocity);
  void (*adam[2])(int64_t n, const AdamStep& step, void* parameter, const void* gradient, void* first, void* second,
                  void* largest);
  void (*adamax[2])(int64_t n, const AdamaxStep& step, void* parameter, const void* gradient, void* first, void* top);
  void (*adadelta[2])(int64_t n, const AdadeltaStep& step, void* parameter, const void* gradient, void* squares,
                      void* deltas);
  void (*adagrad[2])(int64_t n, const AdagradStep& step, void* parameter, const void* gradient, void* sum);
  void (*rmsprop[2])(int64_t n, const RmspropStep& step, void* parameter, const void* gradient, void* squares,
                     void* mean, void* velocity);
  void (*lion[2])(int64_t n, const LionStep& step, void* parameter, const void* gradient, void* first);
  double (*sum_of_squares[2])(int64_t n, const void* x);
};

/// Random words and what is made of them; [0] is float32, [1] float64, which takes two words a number.
struct RandomLoops {
  /// Blocks of 4 words of the Philox 4x32-10 stream of this key.
  void (*philox)(uint64_t key, uint64_t first_block, int64_t blocks, uint32_t* words);
  /// In [low, high), at most `below`.
  void (*uniform[2])(const uint32_t* words, void* y, int64_t n, double low, double high, double below);
  /// n must be even.
  void (*normal[2])(const uint32_t* words, void* y, int64_t n, double mean, double std);
  /// y = x * scale where the word (one a number) is at most `last`, else 0.
  void (*keep_below[2])(const uint32_t* words, uint32_t last, const void* x, void* y, int64_t n, double scale);
};

/// Pixels that lie one after another in the source and in a panel.
struct PixelRun {
  int64_t from, to, count;
};

/// A tile of a convolution's result: `rows` channels of up to three vectors of pixels.
///   y[r * row_stride + place[v] + lane] = start[r] + sum over k of weights[k * rows + r] * x[offsets[k] + from[v] +
///   lane]
struct ConvTile {
  int64_t depth, vectors;
  const void *weights, *start, *x;
  const int64_t *offsets, *from, *place;
  void* y;
  int64_t row_stride;
};

/// A part of a weight gradient: outer_rows taps and at most two vectors of channels, summed over blocks of rows of
/// pixels.
///   sums[r * sums_stride + j] += sum over pixels of x[offsets[r] + pixel] * g[pixel * g_stride + j]
/// The pixels lie one after another in g, and in rows and blocks in x.
struct ConvOuter {
  int64_t blocks = 1, block_stride = 0, rows = 1, row_stride = 0, pixels = 0;
  const void* x = nullptr;
  const int64_t* offsets = nullptr;
  const void* g = nullptr;
  int64_t g_stride = 0, channels = 0;
  void* sums = nullptr;
  int64_t sums_stride = 0;
};

/// The loops of a convolution, whose tiles of results stay in registers: see tensor/conv.cpp. A vector has `lanes`
/// elements, and may reach beyond what is asked for, where its reader says so.
struct ConvLoops {
  int64_t lanes;
  int64_t rows, vectors;  ///< the largest tile of `product`
  int64_t outer_rows, outer_vectors;
  void (*product)(const ConvTile& tile);
  void (*outer)(const ConvOuter& part);
  /// panel[k * width + run.to + i] = x[offsets[k] + run.from + i], with nothing read or written elsewhere
  void (*pack)(const void* x, const int64_t* offsets, int64_t depth, const PixelRun* runs, int64_t run_count,
               void* panel, int64_t width);
  /// y[r * y_stride + i] = x[r * x_stride + i * step]
  void (*copy)(const void* x, int64_t x_stride, int64_t step, void* y, int64_t y_stride, int64_t rows, int64_t n);
};

/// And of convolutions with one channel a group, or few: see kernels/depthwise.cpp.
struct DepthwiseLoops {
  /// y[r * y_stride + 2 i] = x[r * x_stride + i], with a zero behind each
  void (*spread)(const void* x, int64_t x_stride, void* y, int64_t y_stride, int64_t rows, int64_t n);
  /// y[i] = *start + sum over k of weights[k] * x[offsets[k] + i], for n pixels; reads x to the end of a vector
  void (*filter)(int64_t depth, const void* weights, const void* x, const int64_t* offsets, const void* start, void* y,
                 int64_t n);
  /// sums[k] += sum over r and i of g[r * g_stride + i] * x[r * x_stride + offsets[k] + i], for rows of n pixels; reads
  /// x to the end of a vector
  void (*correlate)(int64_t depth, const void* x, int64_t x_stride, const int64_t* offsets, const void* g,
                    int64_t g_stride, int64_t rows, int64_t n, void* sums);
  /// Both for 3 x 3 taps: y[r * y_stride + i] = *start + sum over a and b of weights[3 a + b] * x[(r + a) * x_stride +
  /// i
  /// + b], and sums[3 a + b] += sum over r and i of g[r * g_stride + i] * x[(r + a) * x_stride + i + b]
  void (*filter_3x3)(const void* weights, const void* x, int64_t x_stride, const void* start, void* y, int64_t y_stride,
                     int64_t rows, int64_t n);
  void (*correlate_3x3)(const void* x, int64_t x_stride, const void* g, int64_t g_stride, int64_t rows, int64_t n,
                        void* sums);
  /// Both for 3 x 3 taps and planes of `rows` x n pixels with zeros around them; n has 16 bytes at least. The sums are
  /// of several planes.
  void (*filter_plane)(const void* weights, const void* x, const void* start, void* y, int64_t rows, int64_t n);
  void (*correlate_planes)(const void* x, int64_t x_stride, const void* g, int64_t g_stride, int64_t planes,
                           int64_t rows, int64_t n, void* sums);
  /// The same with a stride of two, where (n + 1) / 2 results have 16 bytes at least; and the adjoint of that filter,
  /// for results of `rows` x n pixels.
  void (*filter_halved)(const void* weights, const void* x, const void* start, void* y, int64_t rows, int64_t n);
  void (*filter_doubled)(const void* weights, const void* x, const void* start, void* y, int64_t rows, int64_t n);
  void (*correlate_halved)(const void* x, int64_t x_stride, const void* g, int64_t g_stride, int64_t planes,
                           int64_t rows, int64_t n, void* sums);
};

/// Pixels whose channels lie side by side, in rows and blocks, and the taps of a convolution with one channel a group:
/// tap k reads x[offsets[k]] from the place of a pixel and has its weights at w[taps[k]], one for each channel.
struct DepthwiseRows {
  int64_t channels;
  int64_t blocks, x_block, y_block;
  int64_t rows, x_row, y_row;
  int64_t pixels, x_pixel, y_pixel;
  int64_t depth;
  const int64_t *offsets, *taps;
  const void *x, *w, *start;
  void *y, *dx, *dw;
  struct {
    const void* at;
    int64_t bytes;
  } next[2];  ///< memory that will be needed soon
  // Where the rows of results are whole ones: the first of them, and the size of x. x, y and dx begin with the image.
  int64_t first_row, height, width;
  const void* zeros;  ///< a row of them
};
struct DepthwiseRowsLoops {
  /// y = start (or 0) + sum over the taps of w * x
  void (*filter)(const DepthwiseRows& part);
  /// dw += sum over the pixels of y * x, for each tap
  void (*correlate)(const DepthwiseRows& part);
  /// The same filter for 3 x 3 taps and whole rows of images with zeros around them, instead of the offsets; [1] has a
  /// stride of two.
  void (*filter_3x3[2])(const DepthwiseRows& part);
  /// With y the gradient of such a result: dx = start (or 0) + the gradient of x, which may take its place, and dw as
  /// above. dx or dw may be null, and then what only it needs.
  void (*gradients_3x3[2])(const DepthwiseRows& part);
};

/// Winograd's convolution works on tiles of 4 x 4 pixels that give 2 x 2 results: see tensor/conv_winograd.cpp. A map
/// from squares of vectors to squares of another size:
///   y[r * y_row + run.to + i * y_line + j * y_plane + lane] = map of x[r * x_row + run.from + offsets[k] + lane], each
/// run a vector
struct WinogradMap {
  int64_t rows;
  const void* x;
  int64_t x_row;
  const int64_t* offsets;
  void* y;
  int64_t y_row, y_line, y_plane;
  const PixelRun* runs;
  int64_t run_count;
};
/// Neighbouring tiles of a result, from the vectors' tile `tile` on, and where their pixels lie, of which the first
/// ones may be left out.
struct WinogradLine {
  int64_t tile, place, first_row, first_column, rows, columns;
};
/// From products[p * phase + plane * i + r * row_stride + tile], for 16 planes i, to the lines of `rows` channels r of
/// y.
struct WinogradResult {
  int64_t rows, vectors;
  const void* products;
  int64_t row_stride, plane, phase;
  const WinogradLine* lines;
  int64_t line_count;
  void* y;
  int64_t y_channel, y_row;
};
inline constexpr int kWinogradVectors = 3;  ///< of tiles, at most, in a WinogradResult
struct WinogradLoops {
  void (*source)(const WinogradMap& map);               ///< 4 x 4 pixels to 4 x 4
  void (*from_three)(const WinogradMap& map);           ///< 3 x 3 taps, or gradients of results, to 4 x 4
  void (*from_two)(const WinogradMap& map);             ///< 2 x 2
  void (*to_three)(const WinogradMap& map);             ///< and their adjoints: 4 x 4 to gradients of 3 x 3 taps
  void (*to_two)(const WinogradMap& map);               ///< of 2 x 2
  void (*two_results)(const WinogradResult& result);    ///< 2 x 2 of a tile, where taps are 3 x 3
  void (*three_results)(const WinogradResult& result);  ///< 3 x 3, where taps are 2 x 2
  void (*six_results)(const WinogradResult& result);    ///< 3 x 3 of four phases each, with one another
};

/// Columns of a matrix that are worked on at once when an op runs along the dimension that is not contiguous.
inline constexpr int64_t kColumns = 256;

// Loops along one dimension come in two forms: along rows of n elements, one row after another; and along columns,
// where consecutive elements of a column lie `stride` apart and there are at most kColumns columns unless said. n is at
// least 1.

/// y = all elements of a row or column joined. The extremes give NaN if there is one.
enum class Fold : uint8_t { sum, sum_squares, product, max, min, count };
struct FoldLoops {
  void (*rows)(const void* x, void* y, int64_t rows, int64_t n);
  void (*columns)(const void* x, void* y, int64_t n, int64_t stride, int64_t columns);  ///< any number of columns
};
/// Running sums of the columns, from row to row `stride` apart (below 0 if they run backwards); `sums` are of the rows
/// before, and then of all.
using ScanLoop = void (*)(const void* x, void* y, double* sums, int64_t n, int64_t stride, int64_t columns);
/// Where `value` stands first.
struct FindLoops {
  void (*rows)(const void* x, const void* value, int64_t* index, int64_t rows, int64_t n);
  void (*columns)(const void* x, const void* value, int64_t* index, int64_t n, int64_t stride, int64_t columns);
};
/// The mean, and the sum of (x - mean)^2.
struct DeviationLoops {
  void (*rows)(const void* x, void* mean, void* y, int64_t rows, int64_t n);
  void (*columns)(const void* x, void* mean, void* y, int64_t n, int64_t stride, int64_t columns);
};

struct SoftmaxLoops {
  void (*rows)(const void* x, void* y, int64_t rows, int64_t n);
  void (*columns)(const void* x, void* y, int64_t n, int64_t stride, int64_t columns);
  void (*rows_backward)(const void* dy, const void* y, void* dx, int64_t rows, int64_t n);
  void (*columns_backward)(const void* dy, const void* y, void* dx, int64_t n, int64_t stride, int64_t columns);
};

/// What the cross entropy of logits (outer, classes, inner) with class indices (outer, inner) reads and writes.
struct CrossEntropy {
  const void* logits;
  const int64_t* target;  ///< each in [0, classes) or ignore_index
  const void* weight;     ///< (classes), or nullptr for ones
  double weight_sum;
  double smoothing;
  int64_t ignore_index, classes, inner;
  void *shift, *log_sum;  ///< (outer, inner): the maximum of the logits and log(sum(exp(logits - maximum)))
  void* loss;             ///< (outer, inner), by forward
  const void* grad;       ///< of the losses, `grad_step` (0 or 1) apart and to be multiplied by grad_scale
  int64_t grad_step;
  double grad_scale;
  void* d_logits;  ///< by backward
};

/// Units of work are rows when inner is 1, else blocks of kColumns columns.
struct LossLoops {
  void (*cross_entropy)(const CrossEntropy& arguments, int64_t first, int64_t last);
  void (*cross_entropy_backward)(const CrossEntropy& arguments, int64_t first, int64_t last);
  /// The sum of (x - y)^2; of a few thousand elements, since it is summed in their type.
  double (*squared_distance)(const void* x, const void* y, int64_t n);
};

/// c = alpha a b + beta c + bias, for m rows and a panel of n columns, which is at most two vectors wide. Where beta is
/// 0, c is not read. `b` has whole vectors of columns, of which those beyond n are not used. Strides are in elements.
struct PanelProduct {
  int64_t m, n, k;
  const void* a;
  int64_t a_row, a_column;
  int64_t a_strip;  ///< from one strip of rows to the next
  const void* b;
  int64_t b_row;
  void* c;
  int64_t c_row;
  const void* bias;  ///< (n), or nullptr
  double alpha, beta;
};

/// Products of matrices, for float32 and float64.
struct GemmLoops {
  int strip;     ///< rows that are computed at once
  int lanes[2];  ///< elements of a vector; a panel is two vectors wide
  /// y[i * width + j] = x[i * k_step + j * n_step] for i < k and j < n, and 0 for n <= j < width.
  void (*pack[2])(int64_t width, int64_t k, int64_t n, const void* x, int64_t k_step, int64_t n_step, void* y);
  void (*multiply[2])(const PanelProduct& product);
};

/// A tile of attention scores, rows x columns, and what hides parts of it.
struct AttentionTile {
  int64_t rows, columns, row_stride;
  double scale;
  bool causal;
  int64_t first_hidden;  ///< causal: row i sees the columns below first_hidden + i
  const bool* allowed;   ///< or nullptr: element (i, j) is seen where allowed[i * mask_row + j * mask_column]
  const void* added;     ///< or nullptr: added to the scaled scores, addressed alike
  int64_t mask_row, mask_column;
};

/// Between the products of tiled attention, for float32 and float64: see kernels/attention.cpp.
struct AttentionLoops {
  void (*forward[2])(void* scores, void* maximum, void* sum, void* accumulated, int64_t width,
                     const AttentionTile& tile);
  void (*backward[2])(void* scores, void* products, const void* log_sum_exp, const void* delta,
                      const AttentionTile& tile);
  /// After the last tile, for rows of `width`: y = accumulated / sum and log_sum_exp = maximum + log(sum), or zeros and
  /// infinity for a row that sees nothing.
  void (*finish[2])(const void* accumulated, const void* maximum, const void* sum, int64_t rows, int64_t width, void* y,
                    int64_t y_row, void* log_sum_exp);
  /// y[i] = the sum of a[i * a_row + j] * b[i * b_row + j] over `width` j.
  void (*dot_rows[2])(const void* a, int64_t a_row, const void* b, int64_t b_row, int64_t rows, int64_t width, void* y);
};

/// y = (x - mean) * scale + shift of each channel, limited to [low, high]. No gradient passes a limit.
struct ChannelNorm {
  int64_t channels;
  const void *mean, *scale, *shift;  ///< (channels)
  double low = -__builtin_inf(), high = __builtin_inf();
};
/// Normalisation. Means and rstds (one over the standard deviation) are of rows, or of channels.
struct NormLoops {
  /// y = (x - mean) * rstd * weight + bias along rows of n elements, whose means and rstds are kept. weight and bias
  /// may be null. [1] is that, and [0] takes 0 for the mean.
  void (*layer_norm[2])(const void* x, const void* weight, const void* bias, void* y, void* mean, void* rstd,
                        int64_t rows, int64_t n, double eps);
  /// dweight and dbias are added to. Each of weight, dx, dweight and dbias may be null.
  void (*layer_norm_backward[2])(const void* dy, const void* x, const void* weight, const void* mean, const void* rstd,
                                 void* dx, void* dweight, void* dbias, int64_t rows, int64_t n);
  /// Of n elements of one channel, or several spans of n that lie `stride` apart: the mean and the sum of squared
  /// deviations.
  void (*span_moments)(const void* x, int64_t spans, int64_t n, int64_t stride, double* mean, double* squares);
  /// Spans of n elements, from the one of number `first` to before `last`, of which span i is of channel i % channels.
  void (*span_normalize)(const ChannelNorm& c, const void* x, void* y, int64_t first, int64_t last, int64_t n);
  /// With g = dy where y is within the limits, else 0: the sums of g and g * (x - mean) of a channel, which are added
  /// to, and dx = scale * g + slope * (x - mean) + offset.
  void (*span_sums)(const ChannelNorm& c, int64_t channel, const void* dy, const void* x, int64_t spans, int64_t n,
                    int64_t stride, double* sum, double* product);
  void (*span_gradient)(const ChannelNorm& c, const void* slope, const void* offset, const void* dy, const void* x,
                        void* dx, int64_t first, int64_t last, int64_t n);
  /// The same for rows that hold an element of each channel; the sums are overwritten.
  void (*row_moments)(const void* x, int64_t rows, int64_t channels, void* mean, void* squares);
  void (*row_normalize)(const ChannelNorm& c, const void* x, void* y, int64_t rows);
  void (*row_sums)(const ChannelNorm& c, const void* dy, const void* x, int64_t rows, void* sum, void* product);
  void (*row_gradient)(const ChannelNorm& c, const void* slope, const void* offset, const void* dy, const void* x,
                       void* dx, int64_t rows);
};

/// The windows of pooling along the rows of a plane. Regular ones have a stride, and what they reach is laid out in a
/// panel: column i of the input stands in its row (i + padding) % stride, column (i + padding) / stride, and its rows
/// are `length` long. `head` columns come first, from panel element head_at on; then `groups` of `stride` columns, from
/// element `at` on; then `tail` columns. Where the stride is 0, window o reaches from from[o] to to[o].
struct PoolColumns {
  int64_t in, out, kernel, stride, dilation, length;
  int64_t head, head_at, groups, at, tail;
  const int64_t *taps, *from, *to;  ///< taps: where the cells of the first window stand in the panel
  // For each window, with a vector more. Indices are int32 for float32, else int64.
  const void *begin, *first;  ///< where its cells begin, and how far from there its first cell inside of the input lies
  const void* cells;          ///< what the mean divides by
};
/// The windows over the rows of a plane of `in` elements: row o of the results reaches the rows that begin at
/// starts[first[o]] .. starts[first[o + 1] - 1]; the mean divides by cells[o]. `block` rows of results are worked on at
/// once.
struct PoolRows {
  int64_t in, out, block;
  bool quarters;  ///< all windows are 2 x 2, side by side, and inside of the plane
  bool tiled;     ///< each row of the plane is reached by one row of results
  const int64_t *first, *starts;
  const int64_t* slots;  ///< which of the block's panels holds the row that a start names; of at most
  int64_t panels;
  const double* cells;
};
/// Of one plane. The index of a maximum is that in the plane. The space holds padding at first, -inf or 0, and can be
/// used for the next plane: for maxima `panels`, for means a panel, a row of the input, `length` and (kernel - 1) /
/// stride elements for each row of a block.
struct PoolLoops {
  void (*max_pool)(const PoolColumns& columns, const PoolRows& rows, const void* x, void* y, void* index, void* space);
  void (*max_pool_backward)(const PoolColumns& columns, const PoolRows& rows, const void* g, const void* index,
                            void* dx);
  void (*avg_pool)(const PoolColumns& columns, const PoolRows& rows, const void* x, void* y, void* space);
  void (*avg_pool_backward)(const PoolColumns& columns, const PoolRows& rows, const void* g, void* dx, void* space);
};

/// Resampling along one dimension: output o is the sum over k < width of weight[o * width + k] * input[first[o] + k].
/// The weights of the outputs from `begin` on repeat `count` times, after `period` outputs, which advance by `step`
/// inputs. These go to a panel: input base + i stands at i % step * length + i / step, and tap k of the phase p of the
/// first outputs at offset[p * width + k].
struct ResampleAxis {
  int64_t in, out, width;
  const int64_t* first;
  const void* weight;
  bool identity;
  int64_t begin, count, period, step, base, length;
  const int64_t* offset;
};
inline constexpr int64_t kResampleBlock = 8;

/// One step of a recurrent layer for a few rows of a batch, with n hidden units: see kernels/rnn.cpp.
struct RecurrentLoops {
  /// The gates i, f, g, o (rows, 4 n) go through their functions in place; c = f c_before + i g, h = o tanh(c).
  void (*lstm)(void* gates, const void* c_before, void* c, void* h, int64_t rows, int64_t n);
  /// dc is of c at first, and then of c_before; d_gates is before the functions.
  void (*lstm_backward)(const void* gates, const void* c_before, const void* c, const void* dh, void* dc, void* d_gates,
                        int64_t rows, int64_t n);
  /// The gates r, z, c (rows, 3 n) of the input go through their functions in place, joined by those of the hidden
  /// state, of which the last is kept; h = (1 - z) c + z h_before.
  void (*gru)(void* gates, const void* hidden, const void* h_before, void* kept, void* h, int64_t rows, int64_t n);
  /// dh is of h at first, and then the direct part of that of h_before.
  void (*gru_backward)(const void* gates, const void* kept, const void* h_before, void* dh, void* d_gates,
                       void* d_hidden, int64_t rows, int64_t n);
};

/// Indexed by Dtype where there is a [8]; nullptr where the op is not defined for a dtype. Low-precision floats are
/// converted to float32 by the caller and have no loops of their own.
struct Table {
  UnaryLoop unary[static_cast<int>(Unary::count)][8];
  BinaryLoop binary[static_cast<int>(Binary::count)][8];
  ConvertLoop convert[8][8];
  /// y = condition ? a : b over n elements of 1, 2, 4 or 8 bytes, by log2 of the size. Steps are 0 or 1.
  void (*where[4])(const bool* condition, const void* a, const void* b, void* y, int64_t n, int step_a, int step_b);
  /// y[j * y_stride + r] = x[r * x_stride + j] for elements of 1, 2, 4 or 8 bytes, by log2 of the size.
  void (*transpose[4])(const void* x, int64_t rows, int64_t columns, int64_t x_stride, void* y, int64_t y_stride);
  /// y[i] = x[i * stride] and y[i * stride] = x[i], for n elements of 1, 2, 4 or 8 bytes, by log2 of the size.
  void (*gather[4])(const void* x, void* y, int64_t n, int64_t stride);
  void (*scatter[4])(const void* x, void* y, int64_t n, int64_t stride);
  /// Copies, past the caches where the processor can. Other threads see it after end_stream() or a barrier.
  void (*stream)(const void* x, void* y, int64_t bytes);
  void (*end_stream)();
  /// Rows `begin` to before `end` of the result of resampling a plane along its rows' numbers and along its rows, for
  /// float32 and float64. The space is for kResampleBlock rows: in, step * length and period *
  /// count elements each.
  void (*resample[2])(const ResampleAxis& rows, const ResampleAxis& columns, const void* x, void* y, int64_t begin,
                      int64_t end, void* space);
  /// y += alpha * x, for float32 and float64.
  void (*axpy[2])(int64_t n, double alpha, const void* x, void* y);
  RandomLoops random;
  FoldLoops fold[static_cast<int>(Fold::count)][8];
  FindLoops find[8];
  ScanLoop scan[2];             // float32, float64
  DeviationLoops deviation[2];  // float32, float64
  SoftmaxLoops softmax[2], log_softmax[2];
  FoldLoops logsumexp[2];
  LossLoops loss[2];
  OptimLoops optim;
  GemmLoops gemm;
  NormLoops norm[2];
  ConvLoops conv[2];  // float32, float64
  DepthwiseLoops depthwise[2];
  DepthwiseRowsLoops depthwise_rows[2];
  WinogradLoops winograd[2];
  AttentionLoops attention;
  RecurrentLoops recurrent[2];  // float32, float64
  PoolLoops pool[2];
};

const Table& kernels();
/// "v4", "v3", "v2" or "portable": what kernels() picked. COTANGENT_ISA in the environment asks for a lesser one.
const char* instruction_set();

}  // namespace cotangent::kernels
