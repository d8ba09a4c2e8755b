// Mixed precision: what two bytes a number cost, and what keeps them from failing.
//
// 1. Two spirals that overlap, and Fashion-MNIST, by the levels O0 to O3: loss, memory, time.
// 2. Two spirals that lie apart: the gradients become so small that float16 loses them, unless the loss is scaled.
// 3. Tiny learning rates: a step that is small beside a weight is lost, unless there is a master copy in float32.
#include <algorithm>
#include <cmath>
#include <cotangent/cotangent.hpp>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fstream>

#include "common/command_line.hpp"
#include "common/gnuplot.hpp"

namespace ct = cotangent;
namespace nn = cotangent::nn;
using ct::Tensor;
using Level = ct::PrecisionLevel;

// ---- One training for all ----

struct Recipe {
  std::string name;
  Level level;
  ct::Dtype dtype = ct::float16;
  bool scale = true, masters = true;
};

const std::vector<Recipe> kLevels = {{"O0", Level::O0},
                                     {"O1 float16", Level::O1},
                                     {"O1 bfloat16", Level::O1, ct::bfloat16},
                                     {"O2 float16", Level::O2},
                                     {"O2 bfloat16", Level::O2, ct::bfloat16},
                                     {"O3 float16", Level::O3},
                                     {"O3 bfloat16", Level::O3, ct::bfloat16}};

struct Outcome {
  std::vector<double> losses;  // of each step
  double final = 0, accuracy = 0, milliseconds = 0, megabytes = 0;
};

/// Trains `model`: go_over(step) calls step(x, y) for each batch. The memory is counted without the `data`'s bytes.
template <class Model, class GoOver>
Outcome train(Model& model, const Recipe& recipe, double lr, int64_t data, GoOver go_over) {
  ct::MixedPrecision amp(model, recipe.level, recipe.dtype, {.enabled = recipe.scale});
  ct::optim::AdamW optimizer(model.parameters(), {.lr = lr, .weight_decay = 0});
  if (recipe.masters) amp.prepare(optimizer);
  Outcome outcome;
  ct::reset_peak_memory();
  const std::clock_t start = std::clock();  // the processor's time, of all threads
  go_over([&](const Tensor& x, const Tensor& y) {
    optimizer.zero_grad();
    const Tensor loss = ct::cross_entropy(amp(model, x), y);
    amp.scaler.scale(loss).backward();
    amp.scaler.step(optimizer);
    amp.scaler.update();
    outcome.losses.push_back(loss.item());
  });
  const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  outcome.milliseconds = 1e3 * seconds / static_cast<double>(outcome.losses.size());
  outcome.megabytes = static_cast<double>(ct::memory_stats().peak_bytes - data) / 1e6;
  const size_t last = std::max<size_t>(outcome.losses.size() / 20, 1);
  for (size_t i = outcome.losses.size() - last; i < outcome.losses.size(); ++i)
    outcome.final += outcome.losses[i] / static_cast<double>(last);
  return outcome;
}

// ---- The two spirals ----

struct Points {
  Tensor x, arm;
};
/// `count` points on each of two arms that turn once.
Points spirals(int64_t count, double noise) {
  const Tensor t = ct::linspace(0.15, 1, count), angle = t * (2 * M_PI);
  const Tensor arm = ct::stack({t * ct::cos(angle), t * ct::sin(angle)}, 1) * 3;
  return {ct::cat({arm, -arm}) + noise * ct::randn({2 * count, 2}),
          ct::cat({ct::zeros({count}, ct::int64), ct::ones({count}, ct::int64)})};
}

Outcome train_spirals(const Recipe& recipe, double noise, bool fresh, int64_t count, int64_t steps, double lr) {
  ct::manual_seed(1);  // the same points and weights for all
  Points points = spirals(count, noise);
  nn::Sequential net(nn::Linear(2, 64), nn::Tanh(), nn::LayerNorm(64), nn::Linear(64, 64), nn::Tanh(),
                     nn::Linear(64, 2));
  return train(net, recipe, lr, 0, [&](auto step) {
    for (int64_t i = 0; i < steps; ++i) {
      if (fresh) points = spirals(count, noise);
      step(points.x, points.arm);
    }
  });
}

// ---- Fashion-MNIST ----

struct Net : nn::Module {
  nn::Conv2d conv1{1, 16, 3, {.padding = 1}}, conv2{16, 32, 3, {.padding = 1}};
  nn::BatchNorm2d norm1{16}, norm2{32};
  nn::Linear hidden{32 * 7 * 7, 128}, output{128, 10};
  COTANGENT_MODULE(conv1, norm1, conv2, norm2, hidden, output)

  Tensor forward(Tensor x) {                           // (B, 1, 28, 28)
    x = ct::max_pool2d(ct::relu(norm1(conv1(x))), 2);  // (B, 16, 14, 14)
    x = ct::max_pool2d(ct::relu(norm2(conv2(x))), 2);  // (B, 32, 7, 7)
    return output(ct::relu(hidden(x.flatten(1))));     // (B, 10)
  }
};

Outcome train_clothes(const Recipe& recipe, const std::string& data, int64_t steps) {
  ct::manual_seed(1);
  static const ct::data::FashionMnist train_set(ct::data::Split::train, data), test_set(ct::data::Split::test, data);
  ct::data::DataLoader loader(train_set, {.batch_size = 64, .shuffle = true, .seed = 1});
  const int64_t held = ct::memory_stats().current_bytes;
  Net model;
  Outcome outcome = train(model, recipe, 1e-3, held, [&](auto step) {
    int64_t taken = 0;
    while (taken < steps)
      for (const auto& [images, labels] : loader) {
        step(images, labels);
        if (++taken == steps) break;
      }
  });
  const ct::NoGrad guard;
  model.eval();
  model.to(ct::float32);
  ct::data::DataLoader test(test_set, {.batch_size = 250});
  double right = 0, seen = 0;
  for (const auto& [images, labels] : test) {
    right += ct::sum(ct::argmax(model(images), 1) == labels).item();
    seen += static_cast<double>(labels.numel());
    if (seen >= 5000) break;
  }
  outcome.accuracy = right / seen;
  return outcome;
}

// ---- Tables and the picture ----

template <class Train>
std::vector<Outcome> print_levels(const char* title, Train train_one) {
  std::printf("\n%s\n%-13s %9s %9s %9s %10s\n", title, "", "loss", "/ O0's", "MB held", "ms a step");
  std::vector<Outcome> outcomes;
  outcomes.reserve(kLevels.size());
  for (const Recipe& recipe : kLevels) {
    const Outcome& o = outcomes.emplace_back(train_one(recipe));
    std::printf("%-13s %9.4f %9.3f %9.2f %10.3f", recipe.name.c_str(), o.final, o.final / outcomes[0].final,
                o.megabytes, o.milliseconds);
    if (o.accuracy > 0) std::printf("   right on the test images: %.1f %%", 100 * o.accuracy);
    std::printf("\n");
    std::fflush(stdout);
  }
  return outcomes;
}

struct Curve {
  std::string name;
  Outcome outcome;
};
std::vector<Curve> print_curves(const char* title, const std::vector<Recipe>& recipes, int64_t count, int64_t steps,
                                double lr) {
  std::printf("\n%s\n", title);
  std::vector<Curve> curves;
  for (const Recipe& recipe : recipes) {
    curves.push_back({recipe.name, train_spirals(recipe, 0.06, false, count, steps, lr)});
    std::printf("%-36s loss at first %8.6f, at the end %.3g\n", recipe.name.c_str(), curves.back().outcome.losses[0],
                curves.back().outcome.final);
    std::fflush(stdout);
  }
  return curves;
}

void draw(const std::string& out, const std::vector<std::pair<std::string, std::vector<Curve>>>& panels) {
  std::string script = "set terminal svg size 1100,480 font 'sans-serif,14' background rgb 'white'\nset output " +
                       quoted(out + "/mixed_precision.svg") +
                       "\nset multiplot layout 1,2\nset logscale y\nset format y '%g'\nset xlabel 'step'\n"
                       "set ylabel 'cross-entropy'\nset key bottom left samplen 2\nset grid lt 1 lc rgb '#e8e8e8'\n"
                       "set border lc rgb '#808080'\n"
                       "colours = '#404040 #2d7d46 #c03030 #1f5fa8 #e08a1e'\n";
  for (size_t p = 0; p < panels.size(); ++p) {
    const std::string file = out + "/panel" + std::to_string(p) + ".csv";
    std::ofstream csv(file);
    const auto& curves = panels[p].second;
    const size_t steps = curves[0].outcome.losses.size();
    for (size_t i = 0; i < steps; i += steps / 250 + 1) {
      csv << i + 1;
      for (const Curve& c : curves) csv << ' ' << std::max(c.outcome.losses[i], 1e-9);
      csv << '\n';
    }
    script += "set title " + quoted(panels[p].first) + "\nset xtics " + std::to_string(std::max<size_t>(steps / 5, 1)) +
              "\nplot ";
    for (size_t c = 0; c < curves.size(); ++c)
      script += quoted(file) + " using 1:" + std::to_string(c + 2) + " with lines lw 2 dt " + std::to_string(c + 1) +
                " lc rgb word(colours, " + std::to_string(c + 1) + ") title " + quoted(curves[c].name) + ", ";
    script += "\n";
  }
  run_gnuplot(script + "unset multiplot\n", out + "/mixed_precision.svg");
}

void run(int64_t steps, int64_t clothes, const std::string& data, const std::string& out) {
  std::filesystem::create_directories(out);
  if (clothes > 0) ct::data::FashionMnist(ct::data::Split::test, data);  // an error now, if need be
  const auto levels = print_levels("Two spirals that overlap, 1000 new points a step", [&](const Recipe& recipe) {
    return train_spirals(recipe, 0.5, true, 500, steps, 3e-3);
  });
  double furthest = 0;
  for (size_t i = 1; i < 5; ++i) furthest = std::max(furthest, std::fabs(levels[i].final / levels[0].final - 1));
  std::printf("O1 and O2 end within %.2f %% of float32\n", 100 * furthest);

  if (clothes > 0)
    print_levels("Fashion-MNIST, a small convolutional network, batches of 64",
                 [&](const Recipe& recipe) { return train_clothes(recipe, data, clothes); });

  const auto scaled = print_curves(
      "Without a scale, small gradients are lost: two spirals that lie apart, 20000 points",
      {{"float32", Level::O0}, {"O2 float16, scaled", Level::O2}, {"O2 float16, S = 1", Level::O2, ct::float16, false}},
      10000, std::max<int64_t>(steps / 2, 1), 3e-3);
  const auto masters = print_curves("Without a master copy, small steps are lost: a rate of 2e-5",
                                    {{"float32", Level::O0},
                                     {"O2 bfloat16, master copy", Level::O2, ct::bfloat16},
                                     {"O2 bfloat16, no master copy", Level::O2, ct::bfloat16, true, false},
                                     {"O2 float16, master copy", Level::O2},
                                     {"O2 float16, no master copy", Level::O2, ct::float16, false, false}},
                                    100, 2 * steps, 2e-5);
  const auto gain = [&](size_t i) { return masters[i].outcome.losses[0] - masters[i].outcome.final; };
  std::printf("without a master copy bfloat16 gains %.0f %% of what float32 gains, and float16 %.0f %%\n",
              100 * gain(2) / gain(0), 100 * gain(4) / gain(0));
  draw(out, {{"The loss scaled, or not", scaled}, {"With a master copy of the weights, or without", masters}});
  std::printf("the picture is in %s\n", out.c_str());
}

int main(int argc, char** argv) {
  int64_t steps = 1000, clothes = 300;
  std::string out = "runs/mixed_precision", data;
  CommandLine options("mixed_precision", "Trains in float32, float16 and bfloat16, and shows what fails.", 1);
  options.add("--steps", steps, "Steps on the spirals", kPositive);
  options.add("--clothes", clothes, "Steps on Fashion-MNIST; 0 leaves it out", kNotNegative);
  options.add("--data", data, "Directory of Fashion-MNIST's four IDX files (default: Debian's dataset-fashion-mnist)");
  options.add("--out", out, "Directory for the picture");
  return options.run(argc, argv, [&] { run(steps, clothes, data, out); });
}
