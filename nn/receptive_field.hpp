#pragma once
// Which inputs an output of a stack of convolutions and poolings depends on, along one spatial dimension, in three
// ways: counted from the input up, followed from an output down, and found by the gradient.
#include <cstdint>
#include <vector>

namespace cotangent::nn {

/// A layer as it moves over one dimension. With `upsampling` f > 1 it is a transposed convolution of stride f (and
/// stride 1 here): of kernel f it is nearest-neighbour upsampling, of kernel 2 f linear interpolation. With `branches`
/// it is several stacks beside each other, whose results are added or joined; an empty one is a skip connection.
struct Window {
  int64_t kernel = 0;  ///< the upsampling factor when left out, which is 1
  int64_t stride = 1, padding = 0, dilation = 1;
  int64_t upsampling = 1;
  std::vector<std::vector<Window>> branches = {};
};

/// The receptive field of the outputs, measured in input cells: cell i covers [i, i + 1).
struct ReceptiveField {
  double size = 1;      ///< inputs that an output depends on
  double jump = 1;      ///< distance of the fields of neighbouring outputs: the stride of the stack
  double center = 0.5;  ///< of the field of output 0; that of output o is center + o * jump
};

/// From the input up. With reach = dilation (kernel - 1) + 1 a layer adds (reach - 1) jump to the size and
/// ((reach - 1)/2 - padding) jump to the center, and multiplies the jump by its stride: the size is 1 + the sum of
/// (reach - 1) times the strides below. Padding moves the field, but does not change its size. Upsampling adds
/// (kernel/f - 1) jump to the size and (padding - (kernel - 1)/2)/f jump to the center, and divides the jump by f;
/// outputs then differ by the phase at which they read, and size and center are the means over the phases. Branches
/// must have equal jumps; the field covers that of each.
///   A ValueError for a kernel, stride, dilation or factor below 1, branches that differ in their jumps, or upsampling
/// that skips outputs (kernel below f) or goes with a stride, dilation or branches.
/// Araujo, Norris and Sim, "Computing receptive fields of convolutional neural networks" (2019).
///
///     receptive_field({{.kernel = 3, .stride = 2}, {.kernel = 3, .stride = 2}, {.kernel = 3}}).size  // 15
ReceptiveField receptive_field(const std::vector<Window>& layers, const ReceptiveField& input = {});

/// Cells first to last, both included.
struct Interval {
  int64_t first = 0, last = 0;
  int64_t size() const { return last - first + 1; }
  friend bool operator==(const Interval&, const Interval&) = default;
};

/// From the outputs down: the inputs that these depend on, exactly, with those in the padding (below 0, or beyond the
/// end). Through a layer n cells become (n - 1) stride + reach.
Interval receptive_field_of(const std::vector<Window>& layers, const Interval& outputs);

/// By the gradient: the first and last inputs where it is not 0, in `length` inputs, for one output of the layers as
/// convolutions by ones. That is receptive_field_of, and at the borders what is left of it without
/// the padding: first lies beyond last where nothing is. An IndexError if there is no such output.
Interval receptive_field_by_gradient(const std::vector<Window>& layers, int64_t length, int64_t output);

}  // namespace cotangent::nn
