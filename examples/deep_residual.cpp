// What a deep stack learns, by how its layers add their branches to what goes through them.
//
// Each sequence is to be given backwards: a token looks at its mirror image, which one attention layer can do. Here 24
// narrow layers do it, trained by Adam at a constant rate from the first step on. With normalizations behind the sums
// (post-norm, the original) that goes badly, unless the rate rises slowly at first; normalizations before the branches,
// DeepNorm, and layers that start as the identity (ReZero, Fixup) need no such care.
#include <algorithm>
#include <cmath>
#include <cotangent/cotangent.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "common/command_line.hpp"
#include "common/gnuplot.hpp"

namespace ct = cotangent;
namespace nn = cotangent::nn;
using ct::Tensor;

struct Settings {
  int64_t steps = 400, depth = 24, width = 32, length = 16, batch = 16, warmup = 200, seed = 1;
  double lr = 1e-3;
  std::string out = "runs/deep_residual";
};

constexpr int64_t kTokens = 16, kHeads = 2;

struct Layout {
  const char *name, *colour;
  bool norm_first, norm_at_end, warm;
  nn::ResidualOptions residual;
};

std::vector<Layout> layouts(int64_t depth) {
  return {{"post-norm", "#c03030", false, false, false, {}},
          {"post-norm, warm-up", "#e0a030", false, false, true, {}},
          {"pre-norm", "#1f5fa8", true, true, false, {}},
          {"DeepNorm", "#2d7d46", false, false, false, nn::deep_norm(depth)},
          {"ReZero", "#8040a0", false, true, false, nn::rezero()},
          {"Fixup", "#404040", false, true, false, nn::fixup(depth)}};
}

struct Model : nn::Module {
  nn::Embedding tokens, places;
  nn::TransformerEncoder blocks;
  nn::Linear head;
  COTANGENT_MODULE(tokens, places, blocks, head)
  Model(const Layout& l, const Settings& s)
      : tokens(kTokens, s.width),
        places(s.length, s.width),
        blocks(
            nn::repeat(s.depth,
                       [&] {
                         return nn::TransformerEncoderLayer(
                             s.width, kHeads,
                             {.inner = 2 * s.width, .dropout = 0, .norm_first = l.norm_first, .residual = l.residual});
                       }),
            l.norm_at_end ? nn::AnyNorm(nn::LayerNorm(s.width)) : nn::AnyNorm()),
        head(s.width, kTokens) {}
  Tensor embedded(const Tensor& x) { return tokens(x) + places(ct::arange(x.size(1))); }
  Tensor forward(const Tensor& x) { return head(blocks(embedded(x))); }
};

Tensor loss_of(const Tensor& scores, const Tensor& x) {
  return ct::cross_entropy(ct::flatten(scores, 0, 1), ct::flatten(ct::flip(x, {1})));
}

/// The size of the loss's gradient by what goes into each layer.
std::vector<double> gradients_by_layer(Model& model, const Tensor& x) {
  ct::Tensors between{model.embedded(x)};
  for (auto& layer : model.blocks.layers) between.push_back(layer(between.back()));
  const Tensor y = model.blocks.norm ? model.blocks.norm(between.back()) : between.back();
  std::vector<double> sizes;
  for (const Tensor& g : ct::grad({loss_of(model.head(y), x)}, between)) sizes.push_back(ct::norm(g).item());
  return sizes;
}

struct Curve {
  std::vector<double> gradients, losses;
  double accuracy = 0;
};

Curve train(const Layout& layout, const Settings& s) {
  ct::manual_seed(static_cast<uint64_t>(s.seed));
  ct::Generator examples(static_cast<uint64_t>(s.seed) + 100);
  const auto draw = [&](int64_t count) { return ct::randint(0, kTokens, {count, s.length}, ct::int64, examples); };
  Model model(layout, s);
  Curve curve;
  curve.gradients = gradients_by_layer(model, draw(s.batch));
  ct::optim::Adam optimizer(model.parameters(), {.lr = s.lr});
  for (int64_t step = 0; step < s.steps; ++step) {
    const double part = static_cast<double>(step + 1) / static_cast<double>(s.warmup);
    if (layout.warm) optimizer.groups()[0].options.lr = s.lr * std::min(1.0, part);
    const Tensor x = draw(s.batch);
    optimizer.zero_grad();
    const Tensor loss = loss_of(model(x), x);
    check_loss(loss.item(), step);
    loss.backward();
    optimizer.step();
    curve.losses.push_back(loss.item());
  }
  model.eval();
  ct::NoGrad guard;
  const Tensor x = draw(64);
  curve.accuracy = ct::mean((ct::argmax(model(x), 2) == ct::flip(x, {1})).to(ct::float64)).item();
  return curve;
}

/// The mean of up to ten losses up to `step`.
double smoothed(const std::vector<double>& losses, size_t step) {
  const size_t from = step < 10 ? 0 : step - 9;
  double sum = 0;
  for (size_t i = from; i <= step; ++i) sum += losses[i];
  return sum / static_cast<double>(step + 1 - from);
}

void draw(const std::vector<Layout>& all, const std::vector<Curve>& curves, const std::string& picture) {
  std::ostringstream script;
  for (size_t k = 0; k < curves.size(); ++k) {
    script << "$loss" << k << " << END\n";
    const size_t count = curves[k].losses.size(), stride = std::max<size_t>(count / 100, 1);
    for (size_t i = 0; i < count; i += stride) script << i << ' ' << smoothed(curves[k].losses, i) << '\n';
    script << "END\n$gradient" << k << " << END\n";
    for (size_t i = 0; i < curves[k].gradients.size(); ++i) script << i << ' ' << curves[k].gradients[i] << '\n';
    script << "END\n";
  }
  script << "set terminal svg size 1080,480 font 'sans-serif,14' background rgb 'white'\nset output " << quoted(picture)
         << "\nset multiplot layout 1,2\nset grid lt 1 lc rgb '#e8e8e8'\nset border lc rgb '#808080'\n";
  for (const char* what : {"loss", "gradient"}) {
    const bool loss = what[0] == 'l';
    script << (loss
                   ? "set title 'cross-entropy in training, nats'\nset xlabel 'step'\nunset key\nset yrange [0:*]\n"
                   : "set title 'norm of the gradient by what goes into each layer, at the start'\nset xlabel 'layer'\n"
                     "set key top right\nset logscale y\nset format y '10^{%T}'\nset yrange [*:*]\n")
           << "plot ";
    for (size_t k = 0; k < curves.size(); ++k)
      script << (k ? ", " : "") << '$' << what << k << " using 1:2 with lines lw 2 lc rgb '" << all[k].colour << "' dt "
             << k % 2 + 1 << " title " << quoted(all[k].name);  // some lie upon others
    script << '\n';
  }
  script << "unset multiplot\n";
  run_gnuplot(script.str(), picture);
}

void run(const Settings& s) {
  std::filesystem::create_directories(s.out);
  std::ofstream table(s.out + "/losses.csv");
  table << "layout,step,loss\n";
  const std::vector<Layout> all = layouts(s.depth);
  std::vector<Curve> curves;
  std::printf(
      "%lld layers of width %lld; a guess has the loss %.2f\n"
      "fading: the gradient's norm at the start, before the first layer, over that behind the last\n"
      "%-20s %10s %10s %12s\n",
      static_cast<long long>(s.depth), static_cast<long long>(s.width), std::log(double(kTokens)), "layout", "loss",
      "accuracy", "fading");
  for (const Layout& layout : all) {
    curves.push_back(train(layout, s));
    const Curve& c = curves.back();
    for (size_t i = 0; i < c.losses.size(); ++i)
      table << '"' << layout.name << "\"," << i << ',' << c.losses[i] << '\n';
    std::printf("%-20s %10.4f %9.1f%% %12.3g\n", layout.name, smoothed(c.losses, c.losses.size() - 1), 100 * c.accuracy,
                c.gradients.front() / c.gradients.back());
    std::fflush(stdout);
  }
  draw(all, curves, s.out + "/deep_residual.svg");
  std::printf("the picture is in %s\n", s.out.c_str());
}

int main(int argc, char** argv) {
  Settings s;
  CommandLine options("deep_residual", "Trains a deep narrow transformer under each layout of its residuals.", 1);
  options.add("--steps", s.steps, "How many steps to train", kPositive);
  options.add("--depth", s.depth, "How many layers the model has", kPositive);
  options.add("--width", s.width, "Width of the model, an even number", kPositive);
  options.add("--length", s.length, "Tokens of a sequence", kPositive);
  options.add("--batch", s.batch, "Sequences in a batch", kPositive);
  options.add("--lr", s.lr, "The learning rate", kPositive);
  options.add("--warmup", s.warmup, "Steps over which the rate rises, where it does", kPositive);
  options.add("--seed", s.seed, "Seed of the starting values and the sequences");
  options.add("--out", s.out, "Directory for the picture and the table");
  return options.run(argc, argv, [&] { run(s); });
}
