#include <cotangent/nn/peft/adalora.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>

#include <cotangent/autograd/modes.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/nn/init.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::nn {

AdaLoRA::AdaLoRA(Module& base, const AdaLoRAOptions& o) : options(o) {
  if (o.target_r < 1 || o.target_r > o.r)
    fail<ValueError>("[AdaLoRA] ranks from {} to {}; take r >= target_r >= 1", o.r, o.target_r);
  if (!(o.beta1 >= 0 && o.beta1 < 1 && o.beta2 >= 0 && o.beta2 < 1))
    fail<ValueError>("[AdaLoRA] betas {} and {} must be at least 0 and below 1", o.beta1, o.beta2);
  if (!std::isfinite(o.alpha) || !std::isfinite(o.orthogonality))
    fail<ValueError>("[AdaLoRA] alpha {} and orthogonality {} must be finite", o.alpha, o.orthogonality);
  if (o.initial < 0 || o.final < 0 || o.initial + o.final >= o.steps || o.interval < 1)
    fail<ValueError>("[AdaLoRA] {} initial and {} final of {} steps, by {}; some must be left between, by 1 or more",
                     o.initial, o.final, o.steps, o.interval);
  for (const detail::FoundTarget& t : detail::find_targets("AdaLoRA", base, o.targets)) {
    const Dtype dtype = t.values.dtype();
    const int64_t out = t.rows, in = t.values.shape().slice(1, t.values.rank()).product();
    Triplets d;
    d.lora_P = init::normal_(empty({out, o.r}, dtype), 0, 0.02);
    d.lora_s = zeros({o.r}, dtype);
    d.lora_Q = init::normal_(empty({o.r, in}, dtype), 0, 0.02);
    d.mean_P = zeros({out, o.r}, dtype), d.deviation_P = zeros({out, o.r}, dtype);
    d.mean_s = zeros({o.r}, dtype), d.deviation_s = zeros({o.r}, dtype);
    d.mean_Q = zeros({o.r, in}, dtype), d.deviation_Q = zeros({o.r, in}, dtype);
    d.kept = ones({o.r}, dtype);
    deltas.push_back(d);
    targets.push_back(t);
  }
}

void AdaLoRA::members(Members& visitor) {
  for (size_t i = 0; i < targets.size(); ++i) visitor.add(targets[i].name, deltas[i]);
}

Tensor AdaLoRA::tuned(size_t i, const Tensor& w) const {
  const Triplets& d = deltas[i];
  const Tensor matrix = w.rank() > 2 ? flatten(w, 1) : w;
  const Tensor sum = addmm(matrix, d.lora_P * d.lora_s, d.lora_Q, 1, options.alpha / static_cast<double>(options.r));
  return w.rank() > 2 ? reshape(sum, w.shape()) : sum;
}

std::string AdaLoRA::settings() const {
  return fmt::format("r = {}, target_r = {}, alpha = {}", options.r, options.target_r, options.alpha);
}

Tensor AdaLoRA::penalty() const {
  Tensor total = zeros({}, deltas[0].lora_P.dtype());
  const auto distance = [](const Tensor& product) {
    return sum(square(product - eye(product.size(0), -1, product.dtype())));
  };
  for (const Triplets& d : deltas)
    total = total + distance(matmul(transpose(d.lora_P, 0, 1), d.lora_P)) +
            distance(matmul(d.lora_Q, transpose(d.lora_Q, 0, 1)));
  return total * options.orthogonality;
}

int64_t AdaLoRA::budget(int64_t step) const {
  const auto n = static_cast<int64_t>(targets.size());
  if (step <= options.initial) return n * options.r;
  if (step >= options.steps - options.final) return n * options.target_r;
  const double left = 1 - static_cast<double>(step - options.initial) /
                              static_cast<double>(options.steps - options.final - options.initial);
  return n * options.target_r +
         static_cast<int64_t>(static_cast<double>(n * (options.r - options.target_r)) * left * left * left);
}

void AdaLoRA::allocate(int64_t step) {
  const NoGrad guard;
  const int64_t last = options.steps - options.final;  // the last choice
  const auto note = [&](const Parameter& w, Buffer& mean, Buffer& deviation) {
    const Tensor importance = abs(w * w.grad());
    mean = mean * options.beta1 + importance * (1 - options.beta1);
    deviation = deviation * options.beta2 + abs(importance - mean) * (1 - options.beta2);
  };
  if (step <= last) {
    for (const NamedTensor& w : named_parameters()) {
      const Tensor g = w.tensor.grad();
      if (!g.defined()) fail<ValueError>("[allocate] {} has no gradient; call backward() before", w.name);
      if (!all(isfinite(g)).item<bool>())  // which the means would not forget
        fail<ValueError>("[allocate] the gradient of {} is not finite; leave this step out", w.name);
    }
    for (Triplets& d : deltas) {
      note(d.lora_P, d.mean_P, d.deviation_P);
      note(d.lora_s, d.mean_s, d.deviation_s);
      note(d.lora_Q, d.mean_Q, d.deviation_Q);
    }
  }
  if (step == last || (step > options.initial && step < last && step % options.interval == 0))
    choose(budget(step));
  else if (step > last)  // the optimizer has moved them, if it has momentum
    for (Triplets& d : deltas) d.lora_s.copy_(d.lora_s * d.kept);
}

void AdaLoRA::choose(int64_t count) {
  std::vector<double> scores;
  for (const Triplets& d : deltas) {
    const Tensor own = d.mean_s * d.deviation_s + mean(d.mean_P * d.deviation_P, 0) + mean(d.mean_Q * d.deviation_Q, 1);
    for (double score : own.to_vector<double>()) scores.push_back(score);
  }
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return scores[a] > scores[b]; });
  std::vector<double> kept(scores.size(), 0);
  for (size_t i = 0; i < static_cast<size_t>(count); ++i) kept[order[i]] = 1;
  const auto r = static_cast<size_t>(options.r);
  for (size_t i = 0; i < deltas.size(); ++i) {
    const std::vector<double> own(kept.begin() + static_cast<std::ptrdiff_t>(i * r),
                                  kept.begin() + static_cast<std::ptrdiff_t>((i + 1) * r));
    deltas[i].kept = from_vector(own, {options.r}).to(deltas[i].lora_s.dtype());
    deltas[i].lora_s.copy_(deltas[i].lora_s * deltas[i].kept);
  }
}

std::vector<int64_t> AdaLoRA::ranks() const {
  std::vector<int64_t> result;
  for (const Triplets& d : deltas) result.push_back(static_cast<int64_t>(sum(d.kept).item()));
  return result;
}

}  // namespace cotangent::nn
