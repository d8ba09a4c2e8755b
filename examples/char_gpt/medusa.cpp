#include "medusa.hpp"

#include <chrono>
#include <cotangent/autograd/modes.hpp>
#include <cotangent/cotangent.hpp>
#include <cotangent/zoo/medusa.hpp>
#include <cstdio>

#include "../common/command_line.hpp"

namespace ct = cotangent;
namespace nn = cotangent::nn;
namespace zoo = cotangent::zoo;
using ct::Tensor;

namespace {

void train_heads(zoo::Medusa& medusa, const Tensor& tokens, const MedusaSettings& s, uint64_t seed) {
  const ct::data::TextDataset windows(tokens, medusa.model.context);
  ct::Tensors parameters;
  for (zoo::MedusaHead& head : medusa.heads)
    for (const Tensor& p : head.parameters()) parameters.push_back(p);
  ct::optim::AdamW optimizer(parameters, {.lr = 1e-3});
  ct::optim::LRScheduler schedule(optimizer, ct::optim::CosineAnnealingLR{.T_max = s.steps});
  for (int64_t step = 0; step < s.steps; ++step) {
    const auto [x, y] = ct::data::random_batch(windows, 16, seed, static_cast<uint64_t>(step));
    optimizer.zero_grad();
    const Tensor loss = medusa.loss(x, y);
    check_loss(loss.item(), step);
    loss.backward();
    optimizer.step();
    schedule.step();
  }
}

/// The seconds of write(prompt) for all prompts, the least of three times, with what the last time wrote.
template <class Write>
double seconds_of(const ct::Tensors& prompts, ct::Tensors& texts, Write write) {
  double least = 1e30;
  for (int turn = 0; turn < 3; ++turn) {
    texts.clear();
    const auto start = std::chrono::steady_clock::now();
    for (const Tensor& prompt : prompts) texts.push_back(write(prompt));
    least = std::min(least, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return least;
}

}  // namespace

void measure_medusa(const zoo::GPT& model, const Tensor& train, const Tensor& validation, const MedusaSettings& s,
                    uint64_t seed) {
  zoo::Medusa medusa(model, s.heads);
  medusa.eval();
  train_heads(medusa, train, s, seed);

  const int64_t context = medusa.model.context;
  const ct::data::TextDataset windows(validation, context);
  const auto [x, y] = ct::data::random_batch(windows, 64, seed, 0);
  const Tensor hits = medusa.hits(x, y, std::min<int64_t>(10, medusa.model.head.weight.size(0)));
  std::printf("guesses that are right, %%: the first, and one of the first ten\n");
  for (int64_t k = 0; k < s.heads; ++k)
    std::printf("  %lld places after the next  %5.1f %5.1f\n", static_cast<long long>(k) + 1, 100 * hits[k][0].item(),
                100 * ct::sum(hits[k]).item());

  ct::Tensors prompts;
  for (int64_t i = 0; i < s.prompts; ++i)
    prompts.push_back(validation.narrow(0, i * (validation.numel() - context) / s.prompts, context / 4).unsqueeze(0));
  const double count = static_cast<double>(s.prompts * s.tokens);
  for (const double temperature : {0.0, 0.7}) {
    const nn::SamplingOptions sampling{.temperature = temperature};
    ct::Tensors plain, texts;
    ct::Generator generator(seed);
    const double alone = seconds_of(
        prompts, plain, [&](const Tensor& p) { return medusa.model.write(p, s.tokens, sampling, generator); });
    std::printf("%s\n  tree  tokens a step  us a token  speed-up%s\n  none           1.00  %10.1f      1.00\n",
                temperature == 0 ? "greedy" : "sampled at a temperature of 0.7, by typical acceptance",
                temperature == 0 ? "  texts that are the model's own" : "", 1e6 * alone / count);
    for (const int64_t size : {1, 2, 4, 8, 16, 32, 64}) {
      const zoo::MedusaTree tree = zoo::medusa_tree(hits, size);
      const zoo::MedusaOptions options{
          .acceptance = temperature == 0 ? zoo::Acceptance::greedy : zoo::Acceptance::typical, .sampling = sampling};
      int64_t steps = 0;
      const double seconds = seconds_of(prompts, texts, [&](const Tensor& p) {
        const zoo::MedusaText text = medusa.write(p, s.tokens, tree, options, generator);
        steps += text.steps;
        return text.tokens;
      });
      int64_t same = 0;
      for (size_t i = 0; i < texts.size(); ++i) same += ct::equal(texts[i], plain[i]);
      std::printf("  %4lld     %10.2f  %10.1f  %8.2f", static_cast<long long>(size),
                  3 * count / static_cast<double>(steps), 1e6 * seconds / count, alone / seconds);
      if (temperature == 0)
        std::printf("  %lld of %lld", static_cast<long long>(same), static_cast<long long>(s.prompts));
      std::printf("\n");
      std::fflush(stdout);
    }
  }
}
