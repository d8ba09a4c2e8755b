#include "op_samples.hpp"

#include <cmath>

namespace cotangent {

uint64_t SampleRandom::bits() {
  uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}
double SampleRandom::uniform() { return static_cast<double>(bits() >> 11) * 0x1p-53; }
double SampleRandom::normal() {
  const double radius = std::sqrt(-2 * std::log(1 - uniform()));
  return radius * std::cos(6.283185307179586 * uniform());
}

namespace {

std::vector<double> make_values(const InputSpec& spec, SampleRandom& random) {
  const auto n = static_cast<size_t>(spec.shape.product());
  std::vector<double> v(n);
  switch (spec.fill) {
    case InputSpec::Fill::normal:
      for (double& x : v) x = random.normal();
      break;
    case InputSpec::Fill::uniform:
      for (double& x : v) x = spec.low + (spec.high - spec.low) * random.uniform();
      break;
    case InputSpec::Fill::integers:
      for (double& x : v) x = spec.low + std::floor((spec.high - spec.low) * random.uniform());
      break;
    case InputSpec::Fill::distinct:  // 0.3 apart, never 0
      for (size_t i = 0; i < n; ++i) v[i] = 0.3 * (static_cast<double>(i) + 0.5 - static_cast<double>(n / 2));
      for (size_t i = n; i > 1; --i) std::swap(v[i - 1], v[random.bits() % i]);
      break;
    case InputSpec::Fill::booleans:
      for (double& x : v) x = static_cast<double>(random.bits() & 1);
      break;
    case InputSpec::Fill::values: v = spec.values; break;
  }
  return v;
}

}  // namespace

Tensors make_inputs(const std::vector<InputSpec>& specs, uint64_t seed) {
  SampleRandom random(seed);
  Tensors inputs;
  for (const InputSpec& spec : specs)
    inputs.push_back(to(from_vector(make_values(spec, random), spec.shape), spec.dtype));
  return inputs;
}

Tensor with_layout(const Tensor& x, int kind) {
  NoGrad guard;
  const int rank = x.rank();
  if (kind == 0) {
    Dims reverse = Dims::filled(rank, 0);
    for (int d = 0; d < rank; ++d) reverse[d] = rank - 1 - d;
    return permute(clone(contiguous(permute(x, reverse))), reverse).detach();
  }
  Shape larger = x.shape();
  if (kind == 1) {
    larger.push_back(2);
    const Tensor room = full(larger, 1, x.dtype());
    Tensor y = select(room, -1, 0);
    y.copy_(x);
    return y.detach();
  }
  if (rank == 0) larger.push_back(1);
  larger[0] += 1;
  const Tensor room = full(larger, 1, x.dtype());
  Tensor y = rank == 0 ? room[1] : slice(room, 0, 1, larger[0]);
  y.copy_(x);
  return y.detach();
}

Tensor repeated(const Tensor& x, int dim) {
  NoGrad guard;
  return expand(clone(narrow(x, dim, 0, 1)), x.shape()).detach();
}

std::string difference(const Tensor& a, const Tensor& b, double rtol, double atol, bool compare_dtype) {
  if (a.defined() != b.defined()) return std::string("one is undefined: the ") + (a.defined() ? "second" : "first");
  if (!a.defined()) return "";
  if (a.shape() != b.shape()) return "shapes " + to_string(a.shape()) + " and " + to_string(b.shape());
  if (compare_dtype && a.dtype() != b.dtype())
    return std::string("dtypes ") + name(a.dtype()) + " and " + name(b.dtype());
  const std::vector<double> p = a.detach().to_vector<double>(), q = b.detach().to_vector<double>();
  double largest = 0;
  for (double v : q)
    if (std::isfinite(v)) largest = std::max(largest, std::fabs(v));
  for (size_t i = 0; i < p.size(); ++i) {
    if ((std::isnan(p[i]) && std::isnan(q[i])) || p[i] == q[i]) continue;
    if (std::fabs(p[i] - q[i]) <= rtol * (largest + std::fabs(q[i])) + atol) continue;
    char text[200];
    std::snprintf(text, sizeof text, "element %zu of shape %s is %.10g and %.10g", i, to_string(a.shape()).c_str(),
                  p[i], q[i]);
    return text;
  }
  return "";
}

std::string difference(const Tensors& a, const Tensors& b, double rtol, double atol, bool compare_dtype) {
  if (a.size() != b.size()) return std::to_string(a.size()) + " and " + std::to_string(b.size()) + " tensors";
  for (size_t i = 0; i < a.size(); ++i) {
    const std::string text = difference(a[i], b[i], rtol, atol, compare_dtype);
    if (!text.empty()) return "tensor " + std::to_string(i) + ": " + text;
  }
  return "";
}

Evaluation evaluate(const Sample& sample, const Tensors& inputs, bool create_graph) {
  Evaluation result;
  Tensors leaves;
  for (size_t i = 0; i < inputs.size(); ++i) {
    leaves.push_back(inputs[i].detach());
    if (sample.inputs[i].differentiable && inputs[i].is_floating()) leaves.back().requires_grad_();
  }
  result.outputs = sample.call(leaves);
  Tensors roots, cotangents, wanted;
  SampleRandom random(7);
  for (const Tensor& y : result.outputs) {
    if (!y.defined() || !y.is_floating() || !y.requires_grad()) continue;
    std::vector<double> v(static_cast<size_t>(y.numel()));
    for (double& value : v) value = (random.bits() & 1 ? 1 : -1) * (0.5 + random.uniform());
    roots.push_back(y);
    cotangents.push_back(to(to(from_vector(v, y.shape()), bfloat16), y.dtype()));  // the same values for every dtype
  }
  for (const Tensor& x : leaves)
    if (x.requires_grad()) wanted.push_back(x);
  result.gradients.resize(inputs.size());
  if (!roots.empty() && !wanted.empty()) {
    const Tensors g =
        grad(roots, wanted, {.gradients = cotangents, .create_graph = create_graph, .allow_unused = true});
    for (size_t i = 0, k = 0; i < leaves.size(); ++i)
      if (leaves[i].requires_grad()) result.gradients[i] = g[k++];
  }
  return result;
}

}  // namespace cotangent
