#include <cotangent/tensor/logistic.hpp>

#include <algorithm>

#include <cotangent/tensor/dispatch_internal.hpp>
#include <cotangent/tensor/kernels/kernels.hpp>

namespace cotangent::raw {
namespace {

void check_places(const std::vector<int64_t>& places, int64_t rows) {
  for (const int64_t place : places)
    if (place < 0 || place >= rows) fail<IndexError>("[logistic_steps] row {} of a table of {}", place, rows);
}

}  // namespace

void LogisticExamples::clear() {
  for (auto* places : {&inputs, &input_ends, &outputs, &output_ends}) places->clear();
  for (auto* numbers : {&signs, &offsets, &rates}) numbers->clear();
}

double logistic_steps(const Tensor& in, const Tensor& out, const LogisticExamples& examples) {
  if (in.rank() != 2 || out.rank() != 2 || in.size(1) != out.size(1) || in.dtype() != out.dtype() ||
      !in.is_contiguous() || !out.is_contiguous())
    fail<ShapeError>(
        "[logistic_steps] tables {} {} and {} {}; they must be contiguous, with rows of one width and dtype",
        in.dtype(), in.shape(), out.dtype(), out.shape());
  check_places(examples.inputs, in.size(0));
  check_places(examples.outputs, out.size(0));
  for (size_t i = 0; i < examples.input_ends.size(); ++i)
    if (examples.input_ends[i] <= (i > 0 ? examples.input_ends[i - 1] : 0))
      fail<ValueError>("[logistic_steps] example {} has no inputs; there must be at least 1", i);
  if (examples.size() == 0) return 0;
  return dispatch_compute("logistic_steps", in.dtype(), [&]<class T> {
    int64_t most = 0;
    for (size_t i = 0; i < examples.output_ends.size(); ++i)
      most = std::max(most, examples.output_ends[i] - (i > 0 ? examples.output_ends[i - 1] : 0));
    const int64_t width = in.size(1);
    std::vector<T> memory(static_cast<size_t>(2 * width + most));
    kernels::LogisticSteps<T> steps{.examples = examples.size(),
                                    .width = width,
                                    .in = in.data<T>(),
                                    .out = out.data<T>(),
                                    .inputs = examples.inputs.data(),
                                    .input_ends = examples.input_ends.data(),
                                    .outputs = examples.outputs.data(),
                                    .output_ends = examples.output_ends.data(),
                                    .signs = examples.signs.data(),
                                    .offsets = examples.offsets.empty() ? nullptr : examples.offsets.data(),
                                    .rates = examples.rates.data(),
                                    .mean = memory.data(),
                                    .error = memory.data() + width,
                                    .score = memory.data() + 2 * width,
                                    .loss = 0};
    kernels::kernels().logistic.of<T>().steps(steps);
    const int64_t counted = (examples.size() + 15) / 16;
    return steps.loss / static_cast<double>(counted);
  });
}

}  // namespace cotangent::raw
