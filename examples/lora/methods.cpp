#include "methods.hpp"

#include <algorithm>
#include <chrono>

#include "../common/command_line.hpp"

namespace ct = cotangent;
namespace nn = cotangent::nn;
using ct::Tensor;

namespace {

const std::vector<std::string> kMatrices{"in_proj_weight", "out_proj.weight", "linear1.weight", "linear2.weight"};

/// Adam with a rate that rises in 20 steps and falls along half a cosine; penalty() is added to the loss, and
/// after(step) called behind each step of the optimizer.
template <class M, class P, class F>
double run(M& model, const ct::Tensors& parameters, const Task& task, const Training& t, double lr, P penalty,
           F after) {
  ct::optim::AdamW optimizer(parameters, {.lr = lr, .betas = {0.9, 0.99}, .weight_decay = 0});
  const ct::optim::Schedule schedule = ct::optim::SequentialLR{
      {ct::optim::LinearLR{.start_factor = 0.05, .total_iters = 20},
       ct::optim::CosineAnnealingLR{.T_max = std::max<int64_t>(t.steps - 20, 1), .eta_min = lr / 20}},
      {20}};
  const auto start = std::chrono::steady_clock::now();
  for (int64_t step = 1; step <= t.steps; ++step) {
    const auto [x, y] = task.batch(t.batch_size, t.seed, step);
    optimizer.lr() = schedule.at(step - 1, lr);
    optimizer.zero_grad();
    Tensor loss = loss_of(model(x), y);
    check_loss(loss.item(), step);
    penalty(loss);
    loss.backward();
    ct::optim::clip_grad_norm_(parameters, 1);
    optimizer.step();
    after(step);
  }
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

constexpr auto nothing = [](const auto&) {};

template <class M>
double measured(const Task& task, M& model) {
  const ct::NoGrad guard;
  model.eval();
  const double result = task.measure([&](const Tensor& x) { return model(x); });
  model.train();
  return result;
}

int64_t count(const ct::Tensors& parameters) {
  int64_t n = 0;
  for (const Tensor& p : parameters) n += p.numel();
  return n;
}

Outcome tune_all(const ct::zoo::GPT& given, const Task& task, const Training& t) {
  ct::zoo::GPT model = given.clone();
  model.requires_grad_();
  Outcome o{.name = "full", .trained = count(model.parameters()), .before = measured(task, model)};
  o.seconds = train(model, task, t, 1e-3);
  o.after = measured(task, model);
  o.state = model.state_dict();
  return o;
}

template <class T>
Outcome tune(const std::string& name, const ct::zoo::GPT& given, const Task& task, const Training& t, double lr,
             const typename T::Options& options) {
  ct::zoo::GPT plain = given.clone();
  auto model = nn::tune<T>(plain, options);
  const ct::Tensors parameters = model.tuner.parameters();
  Outcome o{.name = name, .trained = count(parameters), .before = measured(task, plain)};
  if constexpr (std::is_same_v<T, nn::AdaLoRA>)
    o.seconds = run(
        model, parameters, task, t, lr * t.lr, [&](Tensor& loss) { loss = loss + model.tuner.penalty() * 0.1; },
        [&](int64_t step) { model.tuner.allocate(step); });
  else
    o.seconds = run(model, parameters, task, t, lr * t.lr, nothing, nothing);
  if constexpr (std::is_same_v<T, nn::Prefix>) model.tuner.fold();
  o.after = measured(task, model);
  o.state = model.tuner.state_dict();
  if constexpr (std::is_base_of_v<nn::WeightTuner, T>) {
    const ct::NoGrad guard;
    model.eval();
    const Tensor x = task.batch(4, t.seed + 1, 0).x, beside = model(x);
    model.merge();
    o.merged = ct::max(ct::abs(model.base(x) - beside)).item();
  }
  return o;
}

}  // namespace

double train(ct::zoo::GPT& model, const Task& task, const Training& t, double lr) {
  return run(model, model.parameters(), task, t, lr * t.lr, nothing, nothing);
}

nn::LoRAOptions lora_options(const Training& t) { return {.r = t.rank, .alpha = 2 * static_cast<double>(t.rank)}; }

const std::vector<std::string>& methods() {
  static const std::vector<std::string> names{"full",    "lora",   "lora-all", "adalora", "svd",
                                              "adapter", "prefix", "prompt",   "ia3"};
  return names;
}

Outcome fine_tune(const std::string& method, const ct::zoo::GPT& model, const Task& task, const Training& t) {
  nn::LoRAOptions lora = lora_options(t);
  if (method == "full") return tune_all(model, task, t);
  if (method == "lora") return tune<nn::LoRA>(method, model, task, t, 5e-3, lora);
  lora.targets = kMatrices;
  if (method == "lora-all") return tune<nn::LoRA>(method, model, task, t, 5e-3, lora);
  if (method == "svd") {  // what full fine-tuning has changed in the matrices, as a LoRA of that rank
    const Outcome all = tune_all(model, task, t);
    lora.alpha = static_cast<double>(lora.r);
    auto tuned = nn::tune<nn::LoRA>(model.clone(), lora);
    ct::StateDict matrices;
    for (const auto& target : tuned.tuner.targets) matrices.add(target.name, all.state[target.name]);
    tuned.tuner.load_state_dict(nn::svd_delta(matrices, model.state_dict(), t.rank));
    return {.name = method,
            .trained = tuned.tuner.parameter_count(),
            .before = all.before,
            .after = measured(task, tuned),
            .seconds = all.seconds,
            .state = tuned.tuner.state_dict()};
  }
  if (method == "adalora")
    return tune<nn::AdaLoRA>(method, model, task, t, 5e-3,
                             {.targets = kMatrices,
                              .r = t.rank * 3 / 2,
                              .target_r = t.rank,
                              .alpha = 3 * static_cast<double>(t.rank),
                              .steps = t.steps,
                              .initial = t.steps / 10,
                              .final = t.steps * 3 / 10});
  if (method == "adapter") return tune<nn::Adapter>(method, model, task, t, 2e-3, {});
  if (method == "prefix") return tune<nn::Prefix>(method, model, task, t, 2e-3, {.length = t.length});
  if (method == "prompt") return tune<nn::Prompt>(method, model, task, t, 5e-2, {.length = t.length});
  return tune<nn::IA3>(method, model, task, t, 2e-2, {});
}
