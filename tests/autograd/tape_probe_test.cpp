// The balances of right ops hold.
#include <cotangent/autograd/gradcheck/tape_probe_internal.hpp>

#include <catch2/catch.hpp>

#include <cotangent/autograd/gradcheck/numeric_internal.hpp>
#include <cotangent/tests/autograd/op_samples.hpp>

using namespace cotangent;
using namespace cotangent::detail;

namespace {

Tensors weights_like(const Tensors& xs, CheckRandom& random) {
  Tensors ws;
  for (const Tensor& x : xs) {
    ws.push_back(zeros(x.shape(), x.dtype()));
    for (int64_t e = 0; e < x.numel(); ++e) set_element(ws.back(), e, random.weight());
  }
  return ws;
}

/// What is out of balance; adds to the number of balances.
std::string imbalance(CheckedFunction& f, const Tensors& inputs, const Tensors& cotangents, int order, int& count) {
  TapeProbe probe(f, inputs, cotangents, order);
  probe.record(false, true, false);
  if (probe.undetermined() >= 0) return "";
  CheckRandom random(3);
  Direction direction;
  for (const Tensor& x : inputs) {
    direction.emplace_back();
    for (int64_t e = 0; e < x.numel(); ++e)
      direction.back().push_back(random.weight() * std::max(std::fabs(element_at(x, e)), 0.1));
  }
  for (double h = 1e-3; h > 1e-5; h /= 2)
    if (!probe.measure(direction, h)) return "";
  std::string text;
  const auto check = [&](const char* op, const Difference& d, double size) {
    ++count;
    if (d.error < INFINITY && std::fabs(d.value) > 10 * d.error && std::fabs(d.value) > 1e-6 * size + 1e-12)
      text += std::string(" ") + op + " is off by " + std::to_string(d.value) + " of " + std::to_string(size);
  };
  double loose = 0, largest = 0;  // what has no history must come to nothing in the end
  for (const ProbedOp& p : probe.ops()) {
    if (!p.live || !(p.rule.best().error < INFINITY)) continue;
    const double size = std::max(std::fabs(p.due), std::fabs(p.sent));
    largest = std::max(largest, size);
    check(p.op, p.received.best(), size);
    if (p.is_loose())
      loose += p.rule.best().value;
    else
      check(p.op, p.rule.best(), size);
  }
  if (std::fabs(loose) > 1e-6 * largest) text += " without a history: " + std::to_string(loose);
  return text;
}

}  // namespace

TEST_CASE("tape probe: the balance of every op of the table holds, at first and second order") {
  int count = 0;
  for (const OpInfo& op : op_table())
    for (const Sample& s : op.samples) {
      if (op.orders == 0) continue;
      Tensors inputs = make_inputs(s.inputs), checked;
      for (size_t i = 0; i < inputs.size(); ++i)
        if (s.inputs[i].differentiable) checked.push_back(inputs[i].requires_grad_());
      if (checked.empty()) continue;
      const auto call = [&]() -> Tensors { return s.call(inputs); };
      UserFunction f(function_ref<Tensors>(call));
      CheckRandom random(3);
      const Tensors cotangents = weights_like(f.call(checked, true), random);
      std::string text = imbalance(f, checked, cotangents, 1, count);
      if (!text.empty()) FAIL_CHECK(op.name << ":" << text);
      if (op.orders < 2) continue;
      GradientFunction gradient(f, checked.size());
      Tensors all = checked;
      for (Tensor v : cotangents) all.push_back(v.requires_grad_());
      text = imbalance(gradient, all, weights_like(gradient.call(all, true), random), 2, count);
      if (!text.empty()) FAIL_CHECK(op.name << ", order 2:" << text);
    }
  CHECK(count > 1000);
}
