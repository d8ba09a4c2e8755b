// Attention beyond the length that it was trained at, by how its weights are normalised.
//
// A sequence of n tokens names n/2 keys, each twice: once with its value, and once with a blank in its place, which is
// to be filled in. So a blank needs one token of all, however many there are. Gated attention units are trained at one
// length with squared rectified scores, divided by the number of tokens, by that number as it was in training, or by
// the sum of their row, and with softmax; and tested at others. Nothing tells a model where a token stands.
//
// The article kexue.fm/archives/9019 found that weights divided by the length of the moment carry over worst: what is
// attended to does not grow with n, and neither should the divisor.
#include <algorithm>
#include <cotangent/cotangent.hpp>
#include <cstdio>
#include <filesystem>
#include <sstream>

#include "common/command_line.hpp"
#include "common/gnuplot.hpp"

namespace ct = cotangent;
namespace nn = cotangent::nn;
using ct::Tensor;

struct Settings {
  int64_t steps = 800, length = 64, width = 64, batch = 16, seed = 1;
  double lr = 2e-3;
  std::string out = "runs/length_generalisation";
};

constexpr int64_t kKeys = 256, kValues = 16;

// ---- 1. The task ----

struct Batch {
  Tensor keys, values;  // (B, n); the value kValues is the blank
  Tensor blanks;        // places of the blanks in (B n)
  Tensor answers;       // their values
};

Batch draw_batch(int64_t count, int64_t length, ct::Generator& generator) {
  std::vector<int64_t> keys, values, blanks, answers;
  const int64_t half = length / 2;
  for (int64_t b = 0; b < count; ++b) {
    const auto own = ct::randperm(kKeys, ct::int64, generator).to_vector<int64_t>();
    const auto value = ct::randint(0, kValues, {half}, ct::int64, generator).to_vector<int64_t>();
    for (const int64_t place : ct::randperm(length, ct::int64, generator).to_vector<int64_t>()) {
      const auto which = static_cast<size_t>(place % half);
      const bool blank = place < half;
      if (blank) blanks.push_back(static_cast<int64_t>(keys.size())), answers.push_back(value[which]);
      keys.push_back(own[which]), values.push_back(blank ? kValues : value[which]);
    }
  }
  const auto tokens = [&](const std::vector<int64_t>& x) { return ct::from_vector(x, {count, length}); };
  const auto listed = [](const std::vector<int64_t>& x) {
    return ct::from_vector(x, {static_cast<int64_t>(x.size())});
  };
  return {tokens(keys), tokens(values), listed(blanks), listed(answers)};
}

// ---- 2. The model ----

struct Kind {
  const char* name;
  nn::GatedWeights weights;
  bool fixed;  // the divisor stays at the length of training
};
constexpr Kind kKinds[] = {{"by the length", nn::GatedWeights::squared_relu, false},
                           {"by the length in training", nn::GatedWeights::squared_relu, true},
                           {"by the sum of the row", nn::GatedWeights::squared_relu_by_row, false},
                           {"softmax", nn::GatedWeights::softmax, false}};

struct Block : nn::Module {
  nn::LayerNorm norm;
  nn::GatedAttentionUnit unit;
  COTANGENT_MODULE(norm, unit)
  Block(int64_t width, const nn::GatedAttentionUnitOptions& options) : norm(width), unit(width, options) {}
  Tensor forward(const Tensor& x) { return x + unit(norm(x)); }
};

struct Model : nn::Module {
  nn::Embedding keys, values;
  std::vector<Block> blocks;
  nn::LayerNorm norm;
  nn::Linear head;
  COTANGENT_MODULE(keys, values, blocks, norm, head)
  Model(const Kind& kind, const Settings& s)
      : keys(kKeys, s.width), values(kValues + 1, s.width), norm(s.width), head(s.width, kValues) {
    for (int i = 0; i < 2; ++i)
      blocks.emplace_back(s.width, nn::GatedAttentionUnitOptions{.key_width = s.width,
                                                                 .weights = kind.weights,
                                                                 .length = kind.fixed ? s.length : 0,
                                                                 .relative_bias = false});
  }
  /// The scores of the values at the blanks.
  Tensor forward(const Batch& batch) {
    Tensor x = keys(batch.keys) + values(batch.values);
    for (Block& block : blocks) x = block(x);
    return head(norm(ct::index_select(ct::flatten(x, 0, 1), 0, batch.blanks)));
  }
};

// ---- 3. Training at one length, testing at several ----

struct Outcome {
  int64_t length;
  double loss, accuracy;
};

std::vector<Outcome> train_and_test(const Kind& kind, const Settings& s, const std::vector<int64_t>& lengths) {
  ct::manual_seed(static_cast<uint64_t>(s.seed));
  ct::Generator examples(static_cast<uint64_t>(s.seed) + 100), others(7);
  Model model(kind, s);
  ct::optim::Adam optimizer(model.parameters(), {.lr = s.lr});
  ct::optim::LRScheduler schedule(optimizer, ct::optim::CosineAnnealingLR{.T_max = s.steps});
  for (int64_t step = 0; step < s.steps; ++step) {
    const Batch batch = draw_batch(s.batch, s.length, examples);
    optimizer.zero_grad();
    const Tensor loss = ct::cross_entropy(model(batch), batch.answers);
    check_loss(loss.item(), step);
    loss.backward();
    optimizer.step();
    schedule.step();
  }
  model.eval();
  ct::NoGrad guard;
  std::vector<Outcome> outcomes;
  for (const int64_t length : lengths) {
    const Batch batch = draw_batch(std::max<int64_t>(8192 / length, 1), length, others);
    const Tensor scores = model(batch);
    outcomes.push_back({length, ct::cross_entropy(scores, batch.answers).item(),
                        ct::mean((ct::argmax(scores, 1) == batch.answers).to(ct::float64)).item()});
  }
  return outcomes;
}

void draw(const std::vector<std::vector<Outcome>>& rows, const Settings& s, const std::string& picture) {
  constexpr const char* colours[] = {"#c85a00", "#1f5fa8", "#2d7d46", "#404040"};
  std::ostringstream script;
  for (size_t k = 0; k < rows.size(); ++k) {
    script << "$k" << k << " << END\n";
    for (const Outcome& o : rows[k]) script << o.length << ' ' << 100 * o.accuracy << ' ' << o.loss << '\n';
    script << "END\n";
  }
  script << "set terminal svg size 1080,480 font 'sans-serif,14' background rgb 'white'\nset output " << quoted(picture)
         << "\nset multiplot layout 1,2\nset logscale x 2\nset xlabel 'tokens n'\nset grid lt 1 lc rgb '#e8e8e8'\n"
         << "set border lc rgb '#808080'\nset arrow from " << s.length << ",graph 0 to " << s.length
         << ",graph 1 nohead dt 2 lc rgb '#909090'\n";
  for (int panel = 0; panel < 2; ++panel) {
    script << (panel == 0
                   ? "set title 'blanks filled in rightly, %'\nset key bottom left Left reverse\nset yrange [0:102]\n"
                   : "set title 'cross-entropy, nats'\nunset key\nset yrange [*:*]\nset logscale y\n")
           << "plot ";
    for (size_t k = 0; k < rows.size(); ++k)
      script << (k ? ", " : "") << "$k" << k << " using 1:" << panel + 2 << " with linespoints lw 2 pt 7 ps .6 lc rgb '"
             << colours[k] << "' title " << quoted(kKinds[k].name);
    script << '\n';
  }
  script << "unset multiplot\n";
  run_gnuplot(script.str(), picture);
}

void run(const Settings& s) {
  std::filesystem::create_directories(s.out);
  const std::vector<int64_t> lengths = {8, 16, 32, 64, 128, 256, 512};
  std::printf("trained at %lld tokens; blanks filled in rightly, %%, and cross-entropy\n%-26s",
              static_cast<long long>(s.length), "weights");
  for (const int64_t length : lengths) std::printf("  n = %-5lld    ", static_cast<long long>(length));
  std::vector<std::vector<Outcome>> rows;
  for (const Kind& kind : kKinds) {
    rows.push_back(train_and_test(kind, s, lengths));
    std::printf("\n%-26s", kind.name);
    for (const Outcome& o : rows.back()) std::printf("  %5.1f %7.3f ", 100 * o.accuracy, o.loss);
    std::fflush(stdout);
  }
  draw(rows, s, s.out + "/length_generalisation.svg");
  std::printf("\nthe picture is in %s\n", s.out.c_str());
}

int main(int argc, char** argv) {
  Settings s;
  CommandLine options("length_generalisation", "Trains attention at one length and tests it at others.");
  options.add("--steps", s.steps, "How many steps to train", kPositive);
  options.add("--length", s.length, "Tokens of a sequence in training", {2, 512});
  options.add("--width", s.width, "Width of the model", kPositive);
  options.add("--batch", s.batch, "Sequences in a batch", kPositive);
  options.add("--lr", s.lr, "The learning rate at the start, of a half cosine", kPositive);
  options.add("--seed", s.seed, "Of the starting values and the sequences");
  options.add("--out", s.out, "Directory for the picture");
  return options.run(argc, argv, [&] { run(s); });
}
