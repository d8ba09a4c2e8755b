#include <cotangent/tests/autograd/op_check.hpp>

#include <algorithm>
#include <chrono>

#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/tensor/error.hpp>
#include <cotangent/tests/autograd/op_samples.hpp>

namespace cotangent {
namespace {

constexpr int64_t kSmall = 12;  // elements of a sample that is checked to any order

int64_t elements_of(const Tensors& xs) {
  int64_t n = 0;
  for (const Tensor& x : xs) n += x.defined() ? x.numel() : 0;
  return n;
}
int64_t elements_of(const Sample& sample) {
  int64_t n = 0;
  for (const InputSpec& input : sample.inputs) n += input.differentiable ? input.shape.product() : 0;
  return n;
}
Verdict worse(Verdict a, Verdict b) {
  if (a == Verdict::fail || b == Verdict::fail) return Verdict::fail;
  return a == Verdict::pass ? b : a;
}

/// Adds what is found of a sample to the report; whether there is a gradient that moves.
bool check_sample(OpReport& report, const Sample& sample, const std::string& where, int order, uint64_t seed) {
  Tensors inputs = make_inputs(sample.inputs, seed), checked;
  for (size_t i = 0; i < inputs.size(); ++i)
    if (sample.inputs[i].differentiable) checked.push_back(inputs[i]);
  if (checked.empty()) return false;
  const auto f = [&](const Tensors& xs) -> Tensors {
    Tensors all = inputs;
    for (size_t i = 0, k = 0; i < all.size(); ++i)
      if (sample.inputs[i].differentiable) all[i] = xs[k++];
    return sample.call(all);
  };
  const GradcheckReport found =
      gradcheck(f, checked, {.rtol = report.op->tolerance, .order = order, .seed = seed, .allow_zero = true});

  ++report.samples;
  report.worst_error = std::max(report.worst_error, found.worst_error);
  report.smallest_fault = std::max(report.smallest_fault, found.smallest_fault);
  report.verdict = worse(report.verdict, found.verdict);
  double certified = report.certified * static_cast<double>(report.elements);
  bool moves = elements_of(checked) == 0 || elements_of(sample.call(inputs)) == 0;  // nothing is to be seen
  int reached = 0;
  for (const GradcheckInput& part : found.inputs) {
    reached = std::max(reached, part.order);
    certified += static_cast<double>(part.certified);
    report.elements += part.elements;
    report.unresolved += part.unresolved;
    moves = moves || (part.order == 1 && part.largest > 0);
  }
  for (const GradcheckRow& row : found.unresolved) ++report.reasons[row.note.substr(0, row.note.find_first_of(":;"))];
  report.beyond_second += reached > 2;
  report.order = std::max(report.order, reached);
  report.certified = report.elements > 0 ? certified / static_cast<double>(report.elements) : 1;
  if (found.verdict == Verdict::fail) report.problems.push_back(where + "\n" + found.to_string());
  if (found.verdict == Verdict::inconclusive && report.reason.empty())
    for (const GradcheckInput& part : found.inputs)
      if (part.verdict == Verdict::inconclusive && report.reason.empty())
        report.reason = where + ", " + part.input + ", order " + std::to_string(part.order) + ": " + part.reason;
  return moves || found.verdict != Verdict::pass;
}

}  // namespace

OpReport check_op(const OpInfo& op, int order, uint64_t seed) {
  OpReport report{.op = &op};
  if (op.orders == 0) return report;
  const auto start = std::chrono::steady_clock::now();
  size_t smallest = 0;
  for (size_t i = 1; i < op.samples.size(); ++i) {
    const int64_t n = elements_of(op.samples[i]), least = elements_of(op.samples[smallest]);
    if (n > 0 && (n < least || least == 0)) smallest = i;
  }
  order = std::min(order, op.orders);
  bool moves = op.zero_gradient;
  for (size_t i = 0; i < op.samples.size(); ++i) {
    const std::string where = std::string(op.name) + ", sample " + std::to_string(i);
    try {
      const bool to_the_end = i == smallest || elements_of(op.samples[i]) <= kSmall;
      moves |= check_sample(report, op.samples[i], where, to_the_end ? order : std::min(order, 2), seed);
    } catch (const std::exception& error) {
      report.verdict = Verdict::fail;
      report.problems.push_back(where + " throws: " + error.what());
    }
  }
  if (report.samples > 0 && !moves && report.verdict == Verdict::pass) {
    report.verdict = Verdict::fail;
    report.problems.push_back(std::string(op.name) +
                              ": the gradient is 0 in every sample; set zero_gradient if that is right");
  }
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

}  // namespace cotangent
