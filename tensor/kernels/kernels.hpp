#pragma once
// What the kernels folder offers: loops over contiguous spans, compiled once per instruction set (COTANGENT_ISA) into a
// table of function pointers each. kernels() is the best table that this processor runs.
//
// Rules for the folder's .cpp files: everything in them has internal linkage except one `fill` function a file, in the
// namespace of the instruction set; they include no library code that is inline, since the linker may keep the copy
// that was built for the newest instruction set.
#include <cotangent/tensor/kernels/attention.hpp>
#include <cotangent/tensor/kernels/conv.hpp>
#include <cotangent/tensor/kernels/copy.hpp>
#include <cotangent/tensor/kernels/depthwise.hpp>
#include <cotangent/tensor/kernels/elementwise.hpp>
#include <cotangent/tensor/kernels/gemm.hpp>
#include <cotangent/tensor/kernels/loss.hpp>
#include <cotangent/tensor/kernels/norm.hpp>
#include <cotangent/tensor/kernels/optim.hpp>
#include <cotangent/tensor/kernels/pool.hpp>
#include <cotangent/tensor/kernels/random.hpp>
#include <cotangent/tensor/kernels/reduce.hpp>
#include <cotangent/tensor/kernels/resize.hpp>
#include <cotangent/tensor/kernels/rnn.hpp>
#include <cotangent/tensor/kernels/softmax.hpp>
#include <cotangent/tensor/kernels/winograd.hpp>

namespace cotangent::kernels {

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
