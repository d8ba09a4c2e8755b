// A mixture of experts that finds out by itself which of four laws a point follows.
//
// The points of the plane lie in four clusters, and in each the answer is another linear function. One linear layer
// cannot be all four; four of them with a router that sends each point to one can, if each takes a cluster. Nothing
// says so to the router. Without noise and a loss that spread the points some experts are never asked, get no gradient,
// and stay what they were: the mixture has collapsed. docs/mixture_of_experts.md has the formulas.
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
  int64_t steps = 1500, starts = 20, batch = 256;
  double lr = 1e-2, spread = 0.5;
  std::string out = "runs/mixture_of_experts";
};

constexpr int64_t kClusters = 4;

// ---- 1. The task ----

struct Task {
  Tensor centres, weights, offsets;  // (4, 2), (4, 2, 2), (4, 2)
};

Task make_task() {
  ct::Generator g(11);
  return {ct::tensor({{1.5, 1.5}, {-1.5, 1.5}, {-1.5, -1.5}, {1.5, -1.5}}),
          ct::randn({kClusters, 2, 2}, ct::float32, g), ct::randn({kClusters, 2}, ct::float32, g)};
}

struct Batch {
  Tensor x, y, cluster;  // (n, 2), (n, 2), (n)
};

Batch draw(const Task& task, int64_t count, double spread, ct::Generator& g) {
  const Tensor cluster = ct::randint(0, kClusters, {count}, ct::int64, g);
  const auto own = [&](const Tensor& table) { return ct::index_select(table, 0, cluster); };
  const Tensor x = own(task.centres) + spread * ct::randn({count, 2}, ct::float32, g);
  return {x, ct::matmul(own(task.weights), x.unsqueeze(2)).squeeze(2) + own(task.offsets), cluster};
}

// ---- 2. Training ----

struct Kind {
  const char* name;
  int64_t experts;
  nn::MixtureOptions options;
};

constexpr const char *kWithout = "1 of 4 (Switch)", *kWith = "1 of 4, noise, balance 1";

std::vector<Kind> kinds() {
  using enum nn::Gating;
  return {{"one expert", 1, {.balance = 0, .z = 0}},
          {kWithout, 4, {.balance = 0}},
          {"1 of 4, balance 0.01", 4, {}},
          {"1 of 4, balance 1", 4, {.balance = 1}},
          {"1 of 4, balance 3", 4, {.balance = 3}},
          {"1 of 4, noise", 4, {.noise = 1, .balance = 0}},
          {"1 of 4, noise, balance 0.01", 4, {.noise = 1}},
          {"1 of 4, noise, balance 0.1", 4, {.noise = 1, .balance = 0.1}},
          {kWith, 4, {.noise = 1, .balance = 1}},
          {"the same, capacity 1.25", 4, {.capacity_factor = 1.25, .noise = 1, .balance = 1}},
          {"2 of 4 (GShard)", 4, {.gating = gshard_top_2, .balance = 0}},
          {"2 of 4, balance 1", 4, {.gating = gshard_top_2, .balance = 1}},
          {"2 of 4, noise, balance 1", 4, {.gating = gshard_top_2, .noise = 1, .balance = 1}},
          {"2 of 4, noisy", 4, {.gating = noisy_top_k, .balance = 0}},
          {"2 of 4, noisy, balance 0.3", 4, {.gating = noisy_top_k, .balance = 0.3}},
          {"all 4 (dense)", 4, {.gating = dense}}};
}

struct Outcome {
  double error = 0, purity = 0;
  int collapsed = 0;            // experts that are the first choice of less than 1 % of the points
  std::vector<int64_t> chosen;  // the first choice of each test point
};

Outcome train_and_test(const Kind& kind, const Task& task, const Batch& test, const Settings& s, uint64_t seed) {
  ct::manual_seed(seed);
  ct::Generator points(seed + 100);
  nn::MixtureOfExperts model(2, nn::repeat(kind.experts, [] { return nn::Sequential(nn::Linear(2, 2)); }),
                             kind.options);
  ct::optim::Adam optimizer(model.parameters(), {.lr = s.lr});
  for (int64_t step = 0; step < s.steps; ++step) {
    const Batch batch = draw(task, s.batch, s.spread, points);
    optimizer.zero_grad();
    const nn::MixtureOutput y = model(batch.x);
    const Tensor loss = ct::mse_loss(y.output, batch.y) + y.loss;
    check_loss(loss.item(), step);
    loss.backward();
    optimizer.step();
  }

  model.router.options.capacity_factor = 0;  // for the test every point finds a place
  model.eval();
  const ct::NoGrad guard;
  Outcome outcome;
  outcome.error = ct::mse_loss(model(test.x).output, test.y).item();
  const Tensor first = kind.options.gating == nn::Gating::dense ? ct::argmax(model.router(test.x).gates, 1)
                                                                : model.router(test.x).experts.select(1, 0);
  outcome.chosen = first.to_vector<int64_t>();
  // counts[e][c]: points of cluster c whose first choice is e
  const Tensor counts = ct::matmul(ct::one_hot(first, kind.experts).t().to(ct::float64),
                                   ct::one_hot(test.cluster, kClusters).to(ct::float64));
  const auto all = static_cast<double>(test.x.size(0));
  outcome.purity = ct::sum(ct::amax(counts, {1})).item() / all;
  outcome.collapsed = static_cast<int>(ct::sum(ct::sum(counts, {1}) < 0.01 * all).item());
  return outcome;
}

// ---- 3. The picture ----

std::string points_of(const Batch& test, const Outcome& outcome) {
  std::ostringstream rows;
  const auto x = test.x.to_vector<double>();
  for (size_t n = 0; n < outcome.chosen.size() && n < 1500; ++n)
    rows << x[2 * n] << ' ' << x[2 * n + 1] << ' ' << outcome.chosen[n] << '\n';
  return rows.str();
}

void run(const Settings& s) {
  std::filesystem::create_directories(s.out);
  const Task task = make_task();
  ct::Generator others(7);
  const Batch test = draw(task, 4000, s.spread, others);
  std::printf("%lld starts each; mean (worst)\n%-28s %20s %20s   %s\n", static_cast<long long>(s.starts), "mixture",
              "squared error", "purity, %", "collapsed experts of each start");
  std::vector<Outcome> alone, together;  // of each start, without and with noise and the balance loss
  for (const Kind& kind : kinds()) {
    double error = 0, worst_error = 0, purity = 0, worst_purity = 1;
    std::string collapsed;
    for (int64_t start = 0; start < s.starts; ++start) {
      const Outcome o = train_and_test(kind, task, test, s, static_cast<uint64_t>(start));
      error += o.error / static_cast<double>(s.starts), worst_error = std::max(worst_error, o.error);
      purity += o.purity / static_cast<double>(s.starts), worst_purity = std::min(worst_purity, o.purity);
      collapsed += " " + std::to_string(o.collapsed);
      if (kind.name == kWithout) alone.push_back(o);
      if (kind.name == kWith) together.push_back(o);
    }
    std::printf("%-28s %10.4f (%7.4f) %10.1f (%7.1f)  %s\n", kind.name, error, worst_error, 100 * purity,
                100 * worst_purity, collapsed.c_str());
    std::fflush(stdout);
  }
  const auto worst = std::min_element(alone.begin(), alone.end(),
                                      [](const Outcome& a, const Outcome& b) { return a.purity < b.purity; });
  const Outcome& same = together[static_cast<size_t>(worst - alone.begin())];
  const std::string picture = s.out + "/mixture_of_experts.svg";
  std::ostringstream script;
  script
      << "$alone << END\n"
      << points_of(test, *worst) << "END\n$together << END\n"
      << points_of(test, same)
      << "END\nset terminal svg size 960,500 font 'sans-serif,14' background rgb 'white'\nset output "
      << quoted(picture)
      << "\nset multiplot layout 1,2\nset size ratio -1\nset xrange [-3.5:3.5]; set yrange [-3.5:3.5]\n"
         "set border lc rgb '#808080'\nset grid lt 1 lc rgb '#f0f0f0'\nunset key\nunset colorbox\nset cbrange [0:3]\n"
         "set palette defined (0 '#1f5fa8', 1 '#c85a00', 2 '#2d7d46', 3 '#7a3f98')\n"
         "set title 'The start that is worst without noise and balance'\n"
         "plot $alone using 1:2:3 with points pt 7 ps .35 palette\n"
         "set title 'The same start with both'\nplot $together using 1:2:3 with points pt 7 ps .35 palette\n"
         "unset multiplot\n";
  run_gnuplot(script.str(), picture);
  std::printf("the picture is in %s\n", s.out.c_str());
}

int main(int argc, char** argv) {
  Settings s;
  CommandLine options("mixture_of_experts", "Trains mixtures of experts on points that follow four laws.", 1);
  options.add("--steps", s.steps, "Steps of each training", kPositive);
  options.add("--starts", s.starts, "Trainings of each mixture, each from other starting values", kPositive);
  options.add("--batch", s.batch, "Points in a step", kPositive);
  options.add("--lr", s.lr, "The learning rate", kPositive);
  options.add("--spread", s.spread, "Standard deviation of a cluster", kPositive);
  options.add("--out", s.out, "Directory for the picture");
  return options.run(argc, argv, [&] { run(s); });
}
