#pragma once
// What the kernels folder offers: loops over contiguous spans, compiled once per instruction set (COTANGENT_ISA) into a
// table of function pointers each. kernels() is the best table that this processor runs.
//
// Rules for the folder's .cpp files: everything in them has internal linkage except one `fill` function a file, which
// fills the member of Table that is named like the file, in the namespace of the instruction set; they include no
// library code that is inline, since the linker may keep the copy that was built for the newest instruction set.
#include <cotangent/tensor/kernels/attention.hpp>
#include <cotangent/tensor/kernels/by_float.hpp>
#include <cotangent/tensor/kernels/complex.hpp>
#include <cotangent/tensor/kernels/conv.hpp>
#include <cotangent/tensor/kernels/copy.hpp>
#include <cotangent/tensor/kernels/delta_rule.hpp>
#include <cotangent/tensor/kernels/depthwise.hpp>
#include <cotangent/tensor/kernels/elementwise.hpp>
#include <cotangent/tensor/kernels/few_rows.hpp>
#include <cotangent/tensor/kernels/fft.hpp>
#include <cotangent/tensor/kernels/gemm.hpp>
#include <cotangent/tensor/kernels/gemm_half.hpp>
#include <cotangent/tensor/kernels/linear_attention.hpp>
#include <cotangent/tensor/kernels/linear_scan.hpp>
#include <cotangent/tensor/kernels/logistic.hpp>
#include <cotangent/tensor/kernels/loss.hpp>
#include <cotangent/tensor/kernels/norm.hpp>
#include <cotangent/tensor/kernels/optim.hpp>
#include <cotangent/tensor/kernels/pool.hpp>
#include <cotangent/tensor/kernels/random.hpp>
#include <cotangent/tensor/kernels/reduce.hpp>
#include <cotangent/tensor/kernels/resize.hpp>
#include <cotangent/tensor/kernels/resolvent.hpp>
#include <cotangent/tensor/kernels/rnn.hpp>
#include <cotangent/tensor/kernels/selective_scan.hpp>
#include <cotangent/tensor/kernels/softmax.hpp>
#include <cotangent/tensor/kernels/winograd.hpp>
#include <cotangent/tensor/kernels/wkv.hpp>

namespace cotangent::kernels {

/// A member for each .cpp file of the folder, which fills it. Low-precision floats are converted to float32 by the
/// caller; products alone have loops for them.
struct Table {
  ByFloat<AttentionLoops> attention;
  BinaryTable binary;
  ByFloat<ComplexLoops> complex;
  ByFloat<ConvLoops> conv;
  ConvertTable convert;
  CopyTable copy;
  ByFloat<DeltaRuleLoops> delta_rule;
  ByFloat<DepthwiseLoops> depthwise;
  ByFloat<DepthwiseRowsLoops> depthwise_rows;
  ByFloat<FewRowsLoops> few_rows;
  ByFloat<FftLoops> fft;
  ByFloat<GemmLoops> gemm;
  HalfTable gemm_half;
  ByFloat<LinearAttentionLoops> linear_attention;
  LinearScanTable linear_scan;
  ByFloat<LogisticLoops> logistic;
  ByFloat<LossLoops> loss;
  ByFloat<NormLoops> norm;
  ByFloat<OptimLoops> optim;
  ByFloat<PoolLoops> pool;
  ByFloat<PoolPixelsLoops> pool_pixels;
  RandomTable random;
  ReduceTable reduce;
  ByFloat<ResizeLoops> resize;
  ByFloat<ResolventLoops> resolvent;
  ByFloat<RecurrentLoops> rnn;
  ByFloat<SelectiveScanLoops> selective_scan;
  SoftmaxTable softmax;
  UnaryTable unary;
  ByFloat<WinogradLoops> winograd;
  ByFloat<WkvLoops> wkv;
};

const Table& kernels();
/// "v4", "v3", "v2" or "portable": what kernels() picked. COTANGENT_ISA in the environment asks for a lesser one.
const char* instruction_set();

}  // namespace cotangent::kernels
