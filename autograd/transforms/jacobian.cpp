#include <cotangent/autograd/transforms/jacobian.hpp>

#include <cotangent/autograd/modes.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/autograd/transforms/products_internal.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::detail {
namespace {

int64_t count_elements(const Tensors& xs) {
  int64_t n = 0;
  for (const Tensor& x : xs) n += x.numel();
  return n;
}

Tensor unit_vector(const Tensor& like, int64_t place) {
  Tensor v = zeros({like.numel()}, like.dtype());
  raw::fill_into(v.narrow(0, place, 1), 1);
  return v.reshape(like.shape());
}

// parts[e] is row e (of an output) or column e (of an input) of each block that this tensor has a share in.
Tensor block(const Tensors& parts, const Tensor& y, const Tensor& x, int64_t dim) {
  Shape shape = y.shape();
  for (const int64_t size : x.shape()) shape.push_back(size);
  return parts.empty() ? zeros(shape, y.dtype()) : reshape(stack(parts, dim), shape);
}

std::vector<Tensors> by_rows(const Tensors& outputs, const Tensors& inputs, bool create_graph) {
  std::vector<Tensors> blocks;
  for (const Tensor& y : outputs) {
    std::vector<Tensors> rows(inputs.size());
    for (int64_t e = 0; e < y.numel(); ++e) {
      const Tensors row = pull_back({y}, inputs, {unit_vector(y, e)}, kept(create_graph));
      for (size_t i = 0; i < inputs.size(); ++i) rows[i].push_back(row[i]);
    }
    blocks.emplace_back();
    for (size_t i = 0; i < inputs.size(); ++i) blocks.back().push_back(block(rows[i], y, inputs[i], 0));
  }
  return blocks;
}

std::vector<Tensors> by_columns(const Recorded& call) {
  const Transposed transposed = transpose(call);
  std::vector<Tensors> blocks(call.outputs.size());
  for (size_t i = 0; i < call.inputs.size(); ++i) {
    std::vector<Tensors> columns(call.outputs.size());
    for (int64_t e = 0; e < call.inputs[i].numel(); ++e) {
      Tensors tangents(call.inputs.size());
      tangents[i] = unit_vector(call.inputs[i], e);
      const Tensors column = transposed.push(tangents, kept(call.create_graph));
      for (size_t k = 0; k < column.size(); ++k) columns[k].push_back(column[k]);
    }
    for (size_t k = 0; k < columns.size(); ++k)
      blocks[k].push_back(block(columns[k], call.outputs[k], call.inputs[i], -1));
  }
  return blocks;
}

}  // namespace

std::vector<Tensors> jacobian(FunctionRef f, const Tensors& inputs, const TransformOptions& options) {
  const Recorded call = record_call("jacobian", f, inputs, options);
  for (size_t i = 0; i < call.outputs.size(); ++i)
    if (!call.outputs[i].is_floating())
      fail<DTypeError>("[jacobian] output {} is {}, which has no derivative; leave it out", i, call.outputs[i].dtype());
  EnableGrad guard(options.create_graph);
  return count_elements(call.outputs) > 2 * count_elements(inputs)
             ? by_columns(call)
             : by_rows(call.outputs, call.inputs, options.create_graph);
}

std::vector<Tensors> hessian(FunctionRef f, const Tensors& inputs, const TransformOptions& options) {
  const Recorded call = record_call("hessian", f, inputs, options);
  const Tensor& y = scalar_output(call);
  EnableGrad guard(options.create_graph);
  return by_rows(pull_back({y}, call.inputs, {ones_like(y)}, Retention::created), call.inputs, options.create_graph);
}

}  // namespace cotangent::detail
