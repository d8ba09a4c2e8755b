// The smallest GPT: it reads names, a letter at a time, and then makes some up. microgpt_from_scratch.cpp is the same
// with nothing but tensors and their gradients, and has the same losses.
//
//     microgpt                       trains on the names of those whom Debian's fortunes quote, and makes up 20
//     microgpt --page pass.html      also writes the backward pass of one name, as a page to step through
#include <chrono>
#include <cotangent/cotangent.hpp>
#include <cstdio>
#include <fstream>

#include "common/command_line.hpp"
#include "common/names.hpp"

namespace ct = cotangent;
namespace nn = cotangent::nn;
using ct::Tensor;

constexpr int64_t kWidth = 16, kHeads = 4, kContext = 16;

struct MicroGPT : nn::Module {
  explicit MicroGPT(int64_t vocabulary) : token(vocabulary, kWidth), head(kWidth, vocabulary, {.bias = false}) {}
  nn::Embedding token, place{kContext, kWidth};
  nn::MultiHeadAttention attention{kWidth, kHeads, {.causal = true, .bias = false}};
  nn::Linear widen{kWidth, 4 * kWidth, {.bias = false}}, narrow{4 * kWidth, kWidth, {.bias = false}}, head;
  nn::RMSNorm norm{kWidth, {.eps = 1e-5, .affine = false}};
  COTANGENT_MODULE(token, place, attention, widen, narrow, head, norm)

  /// Letters (B, T) -> the scores (B, T, V) of those that may come next, after each and all before it.
  Tensor forward(const Tensor& letters) {
    Tensor x = norm(token(letters) + place(ct::arange(letters.size(1))));
    x = x + attention(norm(x));
    x = x + narrow(ct::relu(widen(norm(x))));
    return head(x);
  }
};

void run(const std::string& path, int steps, const std::string& page) {
  const std::vector<std::string> names = read_names(path);
  const ct::data::CharVocabulary vocabulary("\nabcdefghijklmnopqrstuvwxyz");  // names begin and end with a new line
  MicroGPT model(vocabulary.size());
  ct::manual_seed(1);
  for (const Tensor& p : model.parameters()) ct::normal_(p, 0, 0.08);
  const Tensor order = ct::randperm(static_cast<int64_t>(names.size()));
  ct::optim::Adam optimizer(model.parameters(), {.betas = {0.85, 0.99}});
  std::printf("%zu names, %lld parameters\n", names.size(), static_cast<long long>(model.parameter_count()));

  const auto loss_of = [&](int64_t i) {  // how surprised the model is by a letter of name i, in nats
    const auto place = static_cast<size_t>(order[i % order.numel()].item<int64_t>());
    const Tensor text = vocabulary.encode("\n" + names[place] + "\n");
    const Tensor scores = model(text.slice(0, 0, -1).unsqueeze(0));
    return ct::cross_entropy(scores.squeeze(0), text.slice(0, 1, text.numel()));
  };
  double sum = 0;
  const auto start = std::chrono::steady_clock::now();
  for (int step = 0; step < steps; ++step) {
    const Tensor loss = loss_of(step);
    optimizer.zero_grad();
    loss.backward();
    optimizer.lr() = 0.01 * (1 - static_cast<double>(step) / steps);
    optimizer.step();
    sum += loss.item();
    if ((step + 1) % 100 == 0)
      std::printf("step %4d: loss %.4f, the mean of 100\n", step + 1, std::exchange(sum, 0) / 100);
  }
  const std::chrono::duration<double, std::micro> time = std::chrono::steady_clock::now() - start;
  std::printf("%.0f us a step\n", time.count() / steps);

  for (int i = 0; i < 20; ++i) {
    const ct::NoGrad guard;
    std::string name = "\n";
    do {
      const Tensor scores = model(vocabulary.encode(name).unsqueeze(0))[0][-1];
      name += vocabulary.decode(nn::sample(scores, {.temperature = 0.5}).unsqueeze(0));
    } while (name.back() != '\n' && name.size() < kContext);
    std::printf("%s ", name.substr(1, name.find('\n', 1) - 1).c_str());
  }
  std::printf("\n");

  if (page.empty()) return;
  const ct::WatchGraph watch;  // modules and parameters have their names in the graph
  const Tensor loss = loss_of(0);
  const ct::Graph graph(loss);  // has the values that are kept, as the backward pass will free them
  std::ofstream file(page);
  file << to_html(graph, {.title = "microgpt", .steps = ct::backward_steps(loss)});
  if (!file.flush()) throw ct::IOError("--page: " + page + " can't be written");
}

int main(int argc, char** argv) {
  std::string names, page;
  int steps = 1000;
  CommandLine options("microgpt", "Trains the smallest GPT on names, and lets it make some up.", 1);
  options.add("--names", names, "A file with a name in each line (default: who is quoted by Debian's fortunes)");
  options.add("--steps", steps, "Steps of the training, of one name each", kPositive);
  options.add("--page", page, "File for the page of a backward pass");
  return options.run(argc, argv, [&] { run(names, steps, page); });
}
