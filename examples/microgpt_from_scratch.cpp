// microgpt.cpp without modules, optimizer and text: here a GPT is seven matrices, what is computed from them, and Adam.
// The library gives tensors, and records what is done with them (the tape), so that backward() finds the gradients.
#include <chrono>
#include <cmath>
#include <cotangent/cotangent.hpp>
#include <cstdio>

#include "common/command_line.hpp"
#include "common/names.hpp"

namespace ct = cotangent;
using ct::Tensor;

constexpr int64_t kWidth = 16, kHeads = 4, kHead = kWidth / kHeads, kContext = 16;
constexpr int64_t kLetters = 27;  // a border, which names begin and end with, and a to z

using Letters = std::vector<int64_t>;  // 0: the border, 1 to 26: a to z

Letters letters_of(const std::string& name) {
  Letters letters{0};
  for (const char c : name) letters.push_back(c - 'a' + 1);
  letters.push_back(0);
  return letters;
}

// ---- The model ----

struct MicroGPT {
  Tensor token, place;   // (27, 16), (16, 16): what stands for a letter, and for its place in the name
  Tensor in, out;        // (48, 16), (16, 16): queries, keys and values of all heads; what is made of their answers
  Tensor widen, narrow;  // (64, 16), (16, 64): the feed-forward
  Tensor head;           // (27, 16): the scores of what comes next
  std::vector<Tensor*> matrices() { return {&token, &place, &in, &out, &widen, &narrow, &head}; }
};

MicroGPT make_model() {
  const auto matrix = [](int64_t rows, int64_t columns) {
    Tensor m = ct::empty({rows, columns});
    ct::normal_(m, 0, 0.08);
    m.requires_grad_();
    return m;
  };
  MicroGPT m;
  m.token = matrix(kLetters, kWidth), m.place = matrix(kContext, kWidth);
  m.in = matrix(3 * kWidth, kWidth), m.out = matrix(kWidth, kWidth);
  m.widen = matrix(4 * kWidth, kWidth), m.narrow = matrix(kWidth, 4 * kWidth);
  m.head = matrix(kLetters, kWidth);
  return m;
}

Tensor map(const Tensor& x, const Tensor& weight) { return ct::matmul(x, weight.t()); }
/// Rows of length sqrt(16), so that no layer blows them up or lets them fade.
Tensor normalized(const Tensor& x) { return x / ct::sqrt(ct::mean(x * x, -1, true) + 1e-5); }
/// log of exp(x) / sum exp(x) in each row; less the largest, exp cannot overflow.
Tensor log_softmax(const Tensor& x) {
  const Tensor y = x - ct::amax(x, -1, true).detach();
  return y - ct::log(ct::sum(ct::exp(y), -1, true));
}

/// Each letter asks (q) all before it and itself (k), and takes from them (v) by how well they answer.
Tensor attention(const MicroGPT& m, const Tensor& x) {
  const int64_t T = x.size(0);
  const Tensor qkv = map(x, m.in);                                // (T, 48)
  const Tensor later = ct::triu(ct::full({T, T}, -INFINITY), 1);  // not yet written
  ct::Tensors heads;
  for (int64_t h = 0; h < kHeads; ++h) {
    const auto part = [&](int64_t i) { return qkv.narrow(1, i * kWidth + h * kHead, kHead); };  // (T, 4)
    const Tensor scores = ct::matmul(part(0), part(1).t()) / std::sqrt(kHead) + later;          // (T, T)
    heads.push_back(ct::matmul(ct::exp(log_softmax(scores)), part(2)));
  }
  return map(ct::cat(heads, 1), m.out);
}

/// T letters -> the scores (T, 27) of those that may come next.
Tensor scores(const MicroGPT& m, const Letters& letters) {
  const auto T = static_cast<int64_t>(letters.size());
  Tensor x = normalized(ct::index_select(m.token, 0, ct::from_vector(letters, {T})) + m.place.narrow(0, 0, T));
  x = x + attention(m, normalized(x));
  x = x + map(ct::relu(map(normalized(x), m.widen)), m.narrow);
  return map(x, m.head);
}

/// How surprised the model is by a letter, in nats: -log of the probability that it gave to the one that came.
Tensor loss(const MicroGPT& m, const Letters& name) {
  const auto T = static_cast<int64_t>(name.size()) - 1;
  const Tensor came = ct::from_vector(Letters(name.begin() + 1, name.end()), {T, 1});
  return -ct::mean(ct::gather(log_softmax(scores(m, Letters(name.begin(), name.end() - 1))), 1, came));
}

// ---- Training ----

/// Adam: steps of about the learning rate, whatever the size of the gradient. `mean` and `square` fade.
struct Moments {
  Tensor mean, square;
};
void adam(Tensor& p, Moments& of, int step, double lr) {
  const double beta1 = 0.85, beta2 = 0.99;
  const ct::NoGrad guard;  // the update itself is not to be differentiated
  of.mean = beta1 * of.mean + (1 - beta1) * p.grad();
  of.square = beta2 * of.square + (1 - beta2) * p.grad() * p.grad();
  const int t = step + 1;  // both began at 0, and are too small by these factors
  const Tensor mean = of.mean / (1 - std::pow(beta1, t)), square = of.square / (1 - std::pow(beta2, t));
  p -= lr * mean / (ct::sqrt(square) + 1e-8);
  p.set_grad(Tensor());
}

/// A letter by its probability, where likely ones gain.
int64_t draw(const Tensor& scores) {
  const Tensor p = ct::exp(log_softmax(scores / 0.5));
  double rest = ct::rand({}).item();
  int64_t letter = 0;
  while (letter + 1 < kLetters && (rest -= p[letter].item()) > 0) ++letter;
  return letter;
}

void run(const std::string& path, int steps) {
  const std::vector<std::string> names = read_names(path);
  ct::manual_seed(1);
  MicroGPT model = make_model();
  const Tensor order = ct::randperm(static_cast<int64_t>(names.size()));
  std::vector<Moments> moments;
  for (const Tensor* p : model.matrices()) moments.push_back({ct::zeros_like(*p), ct::zeros_like(*p)});

  double sum = 0;
  const auto start = std::chrono::steady_clock::now();
  for (int step = 0; step < steps; ++step) {
    const Tensor cost =
        loss(model, letters_of(names[static_cast<size_t>(order[step % order.numel()].item<int64_t>())]));
    cost.backward();  // fills in the grad() of every matrix
    const double lr = 0.01 * (1 - static_cast<double>(step) / steps);
    for (size_t i = 0; i < moments.size(); ++i) adam(*model.matrices()[i], moments[i], step, lr);
    sum += cost.item();
    if ((step + 1) % 100 == 0)
      std::printf("step %4d: loss %.4f, the mean of 100\n", step + 1, std::exchange(sum, 0) / 100);
  }
  const std::chrono::duration<double, std::micro> time = std::chrono::steady_clock::now() - start;
  std::printf("%.0f us a step\n", time.count() / steps);

  const ct::NoGrad guard;
  for (int i = 0; i < 20; ++i) {
    std::string name;
    for (Letters letters{0}; letters.size() < kContext; name += static_cast<char>('a' + letters.back() - 1)) {
      letters.push_back(draw(scores(model, letters)[-1]));
      if (letters.back() == 0) break;
    }
    std::printf("%s ", name.c_str());
  }
  std::printf("\n");
}

int main(int argc, char** argv) {
  std::string names;
  int steps = 1000;
  CommandLine options("microgpt_from_scratch",
                      "Trains the smallest GPT on names, by tensors and their gradients alone.", 1);
  options.add("--names", names, "A file with a name in each line (default: who is quoted by Debian's fortunes)");
  options.add("--steps", steps, "Steps of the training, of one name each", kPositive);
  return options.run(argc, argv, [&] { run(names, steps); });
}
