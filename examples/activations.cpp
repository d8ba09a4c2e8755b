// Activation functions: what they look like, and what a network learns with each.
//
// Without something between them, two linear layers are one linear layer. What stands there decides how gradients flow
// back: f' multiplies them. So the picture draws f, f' and f'' of each, the derivatives computed by autograd. Then two
// spirals, wound into each other, are told apart by the same small network with each function in turn.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cotangent/cotangent.hpp>
#include <cstdio>
#include <filesystem>
#include <functional>

#include "common/command_line.hpp"
#include "common/gnuplot.hpp"

namespace ct = cotangent;
namespace nn = cotangent::nn;
using ct::Tensor;

// ---- 1. The functions ----

/// A function of each element, or one that combines several (then there is no curve to draw); and how a network gets a
/// layer of it.
struct Entry {
  std::string name;
  std::function<Tensor(const Tensor& x)> curve;
  std::function<void(nn::Sequential& net, int64_t in, int64_t out)> append;
  bool learns = true;  // whether it is expected to tell the spirals apart
  double reach = 4;    // the curve is drawn from -reach to reach
};

/// A linear layer, and the module or function behind it.
template <class F>
auto behind_linear(F make) {
  return [make](nn::Sequential& net, int64_t in, int64_t out) { net.append(nn::Linear(in, out)).append(make()); };
}

std::vector<Entry> all_entries() {
  std::vector<Entry> entries;
  for (nn::Activation f : nn::all_activations()) {
    const auto apply = [f](const Tensor& x) { return nn::activate(f, x); };
    entries.push_back({nn::name(f), nullptr, [f, apply](nn::Sequential& net, int64_t in, int64_t out) {
                         net.append(nn::Linear(in, nn::is_gated(f) ? 2 * out : out)).append(apply);
                       }});
    if (!nn::is_gated(f)) entries.back().curve = apply;
    entries.back().learns = f != nn::Activation::identity;
    if (f == nn::Activation::relu6) entries.back().reach = 8;
  }
  // those with settings or parameters of their own
  entries.push_back({"threshold", [](const Tensor& x) { return ct::threshold(x, 0.5, 0); },
                     behind_linear([] { return nn::Threshold(0.5, 0); })});
  entries.push_back({"heaviside", [](const Tensor& x) { return ct::heaviside(x); },
                     behind_linear([] { return nn::Heaviside(); }), false});
  entries.push_back(
      {"prelu", [](const Tensor& x) { return ct::leaky_relu(x, 0.25); }, behind_linear([] { return nn::PReLU(); })});
  entries.push_back({"rrelu", [](const Tensor& x) { return ct::rrelu(x); }, behind_linear([] { return nn::RReLU(); })});
  entries.push_back({"swish", [](const Tensor& x) { return ct::swish(x, 2.0); },
                     behind_linear([] { return nn::Swish({.beta = 2}); })});
  entries.push_back(
      {"maxout", nullptr, [](nn::Sequential& net, int64_t in, int64_t out) { net.append(nn::Maxout(in, out, 2)); }});
  return entries;
}

// ---- 2. Their curves ----

/// A piece of line k at the top, and its name behind it.
std::string legend(int k, const char* text) {
  const std::string number = std::to_string(k), at = std::to_string(0.34 + 0.08 * k);
  return "set arrow " + number + " from screen " + at + ",0.975 rto screen 0.03,0 nohead ls " + number +
         "\nset label " + number + " \"" + text + "\" at screen " + at + "+0.035,0.975 font ',17'\n";
}

/// A panel each: f thick, f' thin, f'' dashed.
void draw(const std::vector<Entry>& entries, const std::string& picture) {
  std::vector<Entry> drawn;
  std::copy_if(entries.begin(), entries.end(), std::back_inserter(drawn),
               [](const Entry& e) { return e.curve != nullptr; });
  const size_t columns = 6, rows = (drawn.size() + columns - 1) / columns;
  std::string script = "set terminal svg size 1320," + std::to_string(60 + 200 * rows) +
                       " font 'Helvetica,13' background 'white'\nset output " + quoted(picture) +
                       "\nset multiplot layout " + std::to_string(rows) + "," + std::to_string(columns) +
                       " rowsfirst margins 0.03,0.985,0.03,0.93 spacing 0.025,0.055\n"
                       "set style line 1 lw 3 lc rgb '#1f4e9c'\nset style line 2 lw 1.5 lc rgb '#e08a1e'\n"
                       "set style line 3 lw 1.5 dt 2 lc rgb '#444444'\n" +
                       legend(1, "f") + legend(2, "f'") + legend(3, "f''") +
                       "set xtics scale 0.5; set ytics scale 0.5\n"
                       "set xzeroaxis lt 1 lc rgb '#bbbbbb'; set yzeroaxis lt 1 lc rgb '#bbbbbb'\n"
                       "unset key\n";
  for (const Entry& entry : drawn) {
    Tensor x = ct::linspace(-entry.reach, entry.reach, 801, ct::float64).requires_grad_();
    const Tensor f = entry.curve(x);
    // create_graph records the backward pass as well, so that its result can be differentiated in turn
    const Tensor slope = ct::grad({f.sum()}, {x}, {.create_graph = true})[0];
    const Tensor bend = slope.requires_grad() ? ct::grad({slope.sum()}, {x}, {.allow_unused = true})[0] : Tensor();
    const auto column = [](const Tensor& t) {
      return t.defined() ? t.to_vector<double>() : std::vector<double>(801, 0.0);
    };
    const std::vector<double> at = column(x), values = column(f), first = column(slope), second = column(bend);
    script += "$data << END\n";
    for (size_t i = 0; i < at.size(); ++i) {
      char line[160];
      std::snprintf(line, sizeof line, "%.3f %.6g %.6g %.6g\n", at[i], values[i], first[i], second[i]);
      script += line;
    }
    const std::string r = std::to_string(entry.reach);
    script += "END\nr = " + r +
              "; set xrange [-r:r]; set yrange [-r/2:0.8*r]; set xtics -r,r/2; set ytics -r/2,r/4\nset title " +
              quoted(entry.name) +
              " noenhanced offset 0,-0.7\nplot $data using 1:4 with lines ls 3, $data using 1:3 with lines ls 2, "
              "$data using 1:2 with lines ls 1\nunset label\nunset arrow\n";
  }
  run_gnuplot(script + "unset multiplot\n", picture);
}

// ---- 3. Two spirals ----

struct Points {
  Tensor x, arm;
};
/// `count` points on each of two arms that turn once, with some noise.
Points spirals(int64_t count) {
  const Tensor t = ct::linspace(0.15, 1, count), angle = t * (2 * M_PI);
  const Tensor arm = ct::stack({t * ct::cos(angle), t * ct::sin(angle)}, 1) * 3;
  return {ct::cat({arm, -arm}) + 0.06 * ct::randn({2 * count, 2}),
          ct::cat({ct::zeros({count}, ct::int64), ct::ones({count}, ct::int64)})};
}

struct Outcome {
  double loss, accuracy, seconds;
};
Outcome train(const Entry& entry, int steps, int64_t width) {
  ct::manual_seed(1);  // the same points for all
  const Points seen = spirals(100), others = spirals(100);
  nn::Sequential net;
  entry.append(net, 2, width);
  entry.append(net, width, width);
  net.append(nn::Linear(width, 2));
  ct::optim::AdamW optimizer(net.parameters(), {.lr = 1e-2, .weight_decay = 0});
  const auto start = std::chrono::steady_clock::now();
  double last = 0;
  for (int step = 0; step < steps; ++step) {
    optimizer.zero_grad();
    const Tensor loss = ct::cross_entropy(net(seen.x), seen.arm);
    check_loss(loss.item(), step + 1);
    loss.backward();
    optimizer.step();
    last = loss.item();
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  net.eval();
  ct::NoGrad guard;
  const double right = ct::mean((ct::argmax(net(others.x), 1) == others.arm).to(ct::float64)).item();
  return {last, right, seconds};
}

void run(int steps, int64_t width, const std::vector<std::string>& only, const std::string& out) {
  const std::vector<Entry> entries = all_entries();
  std::filesystem::create_directories(out);
  draw(entries, out + "/activations.svg");

  std::printf("%-14s %10s %10s %9s\n", "activation", "loss", "accuracy", "seconds");
  int learned = 0, expected = 0;
  for (const Entry& entry : entries) {
    if (!only.empty() && std::find(only.begin(), only.end(), entry.name) == only.end()) continue;
    const Outcome outcome = train(entry, steps, width);
    std::printf("%-14s %10.2g %9.1f%% %9.2f\n", entry.name.c_str(), outcome.loss, 100 * outcome.accuracy,
                outcome.seconds);
    std::fflush(stdout);
    expected += entry.learns;
    learned += entry.learns && outcome.accuracy >= 0.95;
  }
  std::printf("%d of %d tell the spirals apart (95%% of 200 new points)\n", learned, expected);
}

int main(int argc, char** argv) {
  int steps = 1000;
  int64_t width = 32;
  std::string out = "runs/activations";
  std::vector<std::string> only;
  CommandLine options("activations", "Draws activation functions, and trains a network on two spirals with each.");
  options.add("--steps", steps, "How many steps to train", kPositive);
  options.add("--width", width, "Units in each of the two hidden layers", kPositive);
  options.add("--only", only, "The activations to train with, instead of all");
  std::vector<std::string> names;
  for (const Entry& entry : all_entries()) names.push_back(entry.name);
  options.allow("--only", names);
  options.add("--out", out, "Directory for the picture");
  return options.run(argc, argv, [&] { run(steps, width, only, out); });
}
