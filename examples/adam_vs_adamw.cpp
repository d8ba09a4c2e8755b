// Adam and AdamW differ in where the weight decay goes: into the gradient, or past it straight to the weights.
//
//   1. both rules, written out, and checked against the library's optimizers
//   2. a network trained at many learning rates and decays by each: two heat maps
//   3. both on their way down a badly scaled quadratic: two paths
#include <cmath>
#include <cotangent/cotangent.hpp>
#include <cstdio>
#include <filesystem>

#include "common/command_line.hpp"
#include "common/gnuplot.hpp"

namespace ct = cotangent;
using ct::Tensor;

// ---- 1. The rules ----

constexpr double kBeta1 = 0.9, kBeta2 = 0.999, kEps = 1e-8;

struct State {
  Tensor p, m = ct::zeros_like(p), v = ct::zeros_like(p);
  int t = 0;
};

void adam(State& s, const Tensor& gradient, double lr, double weight_decay) {
  ++s.t;
  const Tensor g = gradient + weight_decay * s.p;  // <-- the decay is part of g, and is divided by sqrt(v) with it
  s.m = kBeta1 * s.m + (1 - kBeta1) * g;
  s.v = kBeta2 * s.v + (1 - kBeta2) * g * g;
  const Tensor m = s.m / (1 - std::pow(kBeta1, s.t)), v = s.v / (1 - std::pow(kBeta2, s.t));
  s.p = s.p - lr * m / (ct::sqrt(v) + kEps);
}

void adamw(State& s, const Tensor& gradient, double lr, double weight_decay) {
  ++s.t;
  const Tensor& g = gradient;
  s.m = kBeta1 * s.m + (1 - kBeta1) * g;
  s.v = kBeta2 * s.v + (1 - kBeta2) * g * g;
  const Tensor m = s.m / (1 - std::pow(kBeta1, s.t)), v = s.v / (1 - std::pow(kBeta2, s.t));
  s.p = s.p - lr * m / (ct::sqrt(v) + kEps) - lr * weight_decay * s.p;  // <-- the decay, of all weights alike
}

using Rule = void (*)(State&, const Tensor&, double, double);

/// The largest difference from the library's optimizer in 100 steps.
template <class Optimizer>
double difference(Rule rule) {
  const double lr = 0.02, weight_decay = 0.3;
  State s{ct::randn({50}, ct::float64)};
  Tensor p = s.p.clone().requires_grad_();
  Optimizer optimizer({p}, {.lr = lr, .weight_decay = weight_decay});
  double largest = 0;
  for (int t = 0; t < 100; ++t) {
    const Tensor gradient = s.p + ct::randn({50}, ct::float64);
    rule(s, gradient, lr, weight_decay);
    p.set_grad(gradient);
    optimizer.step();
    largest = std::max(largest, ct::amax(ct::abs(s.p - p.detach())).item());
  }
  return largest;
}

// ---- 2. A network that must forget its start ----

// 60 points in 30 dimensions, on two sides of a plane. The weights start six times as large as they should be: the net
// fits the points at once, in one of many ways, and predicts badly. Only decay leads away from there, and the test loss
// tells how much of it took place.
struct Task {
  Tensor x, y, test_x, test_y;
};

Task make_task() {
  const int64_t dim = 30, train = 60, test = 500;
  const Tensor normal = ct::randn({dim, 1});
  const auto side = [&](const Tensor& x) { return 2 * (ct::matmul(x, normal) > 0).to(ct::float32) - 1; };
  const Tensor x = ct::randn({train, dim}), test_x = ct::randn({test, dim});
  return {x, side(x), test_x, side(test_x)};
}

template <class Optimizer>
double test_loss(const Task& task, int steps, double lr, double weight_decay) {
  ct::manual_seed(2);
  ct::nn::Sequential net(ct::nn::Linear(30, 50), ct::nn::ReLU(), ct::nn::Linear(50, 1));
  const ct::Tensors parameters = net.parameters();
  for (const Tensor& p : parameters)
    p.detach().copy_(p.shape().size() == 2 ? 6 * ct::randn(p.shape()) / std::sqrt(p.size(1)) : ct::zeros(p.shape()));
  const auto loss_of = [&](const Tensor& x, const Tensor& y) { return ct::softplus(-y * net(x)).mean(); };
  Optimizer optimizer(parameters, {.lr = lr, .weight_decay = weight_decay});
  for (int t = 0; t < steps; ++t) {
    const Tensor chosen = ct::randint(0, task.x.size(0), {32});
    optimizer.zero_grad();
    const Tensor loss = loss_of(ct::index_select(task.x, 0, chosen), ct::index_select(task.y, 0, chosen));
    check_loss(loss.item(), t + 1);
    loss.backward();
    optimizer.step();
  }
  ct::NoGrad guard;
  return loss_of(task.test_x, task.test_y).item();
}

struct Map {
  std::vector<double> lr, decay;          // the logarithms of both
  std::vector<std::vector<double>> loss;  // [decay][lr]
};

/// By how much the logarithm of the decay that brings the test loss to `level` changes, while that of the rate grows by
/// 1; and the points of that line, for the picture.
double slope_at(const Map& map, double level, std::string& points) {
  double n = 0, x = 0, y = 0, xx = 0, xy = 0;
  for (size_t j = 0; j < map.lr.size(); ++j)
    for (size_t i = 0; i + 1 < map.decay.size(); ++i) {
      const double below = std::log(map.loss[i][j] / level), above = std::log(map.loss[i + 1][j] / level);
      if (!(below > 0 && above <= 0)) continue;
      const double at = map.decay[i] + (map.decay[i + 1] - map.decay[i]) * below / (below - above);
      points += std::to_string(map.lr[j]) + " " + std::to_string(at) + "\n";
      n += 1, x += map.lr[j], y += at, xx += map.lr[j] * map.lr[j], xy += map.lr[j] * at;
      break;
    }
  return n > 1 ? (n * xy - x * y) / (n * xx - x * x) : std::nan("");
}

void draw_maps(const Map (&maps)[2], const std::string (&lines)[2], double level, const std::string& path) {
  const double step = maps[0].lr[1] - maps[0].lr[0], down = maps[0].decay[1] - maps[0].decay[0];
  std::string script =
      "set terminal svg size 1060,470 font 'sans,14' background '#ffffff'\nset output " + quoted(path) + R"(
set palette defined (0 '#fff7d6', 0.35 '#f6b26b', 0.7 '#b5446e', 1 '#2d1e4f')
set logscale cb
set cbrange [0.3:3]
set cbtics (0.3, 0.5, 1, 2, '≥ 3' 3)
set tics out nomirror
set format x '10^{%g}'
set format y '10^{%g}'
set xlabel 'learning rate'
)";
  script += "set xrange [" + std::to_string(maps[0].lr.front() - step / 2) + ":" +
            std::to_string(maps[0].lr.back() + step / 2) + "]\nset yrange [" +
            std::to_string(maps[0].decay.front() - down / 2) + ":" + std::to_string(maps[0].decay.back() + down / 2) +
            "]\n";
  for (int k = 0; k < 2; ++k) {
    script += "$map" + std::to_string(k) + " << END\n";
    for (size_t i = 0; i < maps[k].decay.size(); ++i)
      for (size_t j = 0; j < maps[k].lr.size(); ++j)
        script += std::to_string(maps[k].lr[j]) + " " + std::to_string(maps[k].decay[i]) + " " +
                  std::to_string(std::min(maps[k].loss[i][j], 1e3)) + "\n";
    script += "END\n$line" + std::to_string(k) + " << END\n" + lines[k] + "END\n";
  }
  script +=
      "set multiplot\nset lmargin at screen 0.10\nset rmargin at screen 0.43\nset bmargin at screen 0.15\n"
      "set tmargin at screen 0.88\nunset colorbox\nset key bottom left textcolor '#ffffff'\n"
      "set title 'Adam: the decay is part of the gradient'\nset ylabel 'weight\\_decay' offset 0\n"
      "plot $map0 with image pixels notitle, $line0 with linespoints lc '#1155cc' lw 3 pt 7 ps 0.7 title 'test loss " +
      std::to_string(level).substr(0, 3) +
      "'\nset lmargin at screen 0.545\nset rmargin at screen 0.875\nset colorbox\nset cblabel 'test loss'\n"
      "set title 'AdamW: the weights shrink by themselves'\n"
      "set ylabel 'decay in a step,  lr · weight\\_decay' offset 0\n"
      "plot $map1 with image pixels notitle, $line1 with linespoints lc '#1155cc' lw 3 pt 7 ps 0.7 title 'test loss " +
      std::to_string(level).substr(0, 3) + "'\nunset multiplot\n";
  run_gnuplot(script, path);
}

// ---- 3. A quadratic that is 20 times as steep in y as in x, with noisy gradients ----

// Both are drawn from the minimum at c towards the origin. In AdamW what holds against the decay is the gradient in
// units of its noise, and that is alike in x and y: the path ends near the straight line from c to the origin. In Adam
// it is the gradient itself, and the steep y hardly gives way: the path ends where (1/2) weight_decay |p|^2 added to
// the loss has its minimum.
constexpr double kCurve[2] = {1, 20}, kCentre[2] = {3, 2};

std::string descend(Rule rule, int steps, double lr, double weight_decay, double (&end)[2]) {
  ct::manual_seed(5);
  const Tensor curve = ct::tensor({kCurve[0], kCurve[1]}, ct::float64);
  const Tensor centre = ct::tensor({kCentre[0], kCentre[1]}, ct::float64);
  State s{ct::tensor({-1.0, 3.2}, ct::float64)};
  std::string points;
  end[0] = end[1] = 0;
  for (int t = 0; t <= steps; ++t) {
    const std::vector<double> at = s.p.to_vector<double>();
    points += std::to_string(at[0]) + " " + std::to_string(at[1]) + "\n";
    if (t > steps / 2)
      for (int i = 0; i < 2; ++i) end[i] += at[static_cast<size_t>(i)] / std::ceil(steps / 2.0);
    rule(s, curve * (s.p - centre + 2 * ct::randn({2}, ct::float64)), lr, weight_decay);
  }
  return points;
}

void draw_paths(const std::string (&paths)[2], const double (&ends)[2][2], const std::string& path) {
  std::string script =
      "set terminal svg size 900,560 font 'sans,14' background '#ffffff'\nset output " + quoted(path) + R"(
set xrange [-1.3:4.3]
set yrange [-0.35:3.7]
set samples 200
set isosamples 200
set contour base
set cntrparam levels discrete 0.25, 1, 2.5, 5, 10, 20, 40
unset surface
set table $contours
splot 0.5 * (x - 3)**2 + 10 * (y - 2)**2
unset table
set tics out nomirror
set xlabel 'x'
set ylabel 'y'
set key bottom right opaque
set title '½ (x − 3)^2 + 10 (y − 2)^2  with noisy gradients and decay'
)";
  const char* names[] = {"$adam", "$adamw"};
  for (int k = 0; k < 2; ++k) {
    script += std::string(names[k]) + " << END\n" + paths[k] + "END\n";
    script += "$end" + std::to_string(k) + " << END\n" + std::to_string(ends[k][0]) + " " + std::to_string(ends[k][1]) +
              "\nEND\n";
  }
  script += R"($centre << END
0 0
3 2
END
plot $contours using 1:2 with lines lc '#bbbbbb' notitle, \
  $centre with linespoints lc '#555555' dt 2 pt 1 ps 1.2 title 'from the minimum to the origin', \
  $adam with lines lc '#d9622b' lw 1.6 title 'Adam', $adamw with lines lc '#1155cc' lw 1.6 title 'AdamW', \
  $end0 with points lc '#8c2f00' pt 7 ps 1.3 title 'where Adam stays', \
  $end1 with points lc '#002a80' pt 5 ps 1.3 title 'where AdamW stays'
)";
  run_gnuplot(script, path);
}

void run(int steps, int size, const std::string& out) {
  std::filesystem::create_directories(out);

  ct::manual_seed(1);
  const double off[] = {difference<ct::optim::Adam>(adam), difference<ct::optim::AdamW>(adamw)};
  std::printf("the rules above and the library's differ by %.1g (Adam) and %.1g (AdamW) in 100 steps\n", off[0],
              off[1]);
  if (!(off[0] < 1e-12 && off[1] < 1e-12)) throw ct::Error("the rules differ");

  const Task task = make_task();
  Map maps[2];
  for (int k = 0; k < 2; ++k)
    for (int i = 0; i < size; ++i) {
      maps[k].lr.push_back(-3 + 2.0 * i / (size - 1));
      maps[k].decay.push_back(-4 + 3.0 * i / (size - 1));
    }
  for (int k = 0; k < 2; ++k)
    for (double log_decay : maps[k].decay) {
      maps[k].loss.emplace_back();
      for (double log_lr : maps[k].lr) {
        const double lr = std::pow(10, log_lr), decay = std::pow(10, log_decay);
        // The paper's AdamW shrinks the weights by a given part in a step. PyTorch's and ours by lr * weight_decay.
        maps[k].loss.back().push_back(k == 0 ? test_loss<ct::optim::Adam>(task, steps, lr, decay)
                                             : test_loss<ct::optim::AdamW>(task, steps, lr, decay / lr));
      }
    }
  const double level = 1;
  std::string lines[2];
  const double slopes[] = {slope_at(maps[0], level, lines[0]), slope_at(maps[1], level, lines[1])};
  if (std::isnan(slopes[0] + slopes[1]))
    std::printf("too few of the networks come near a test loss of %g to compare their decays; try more --size\n",
                level);
  else
    std::printf(
        "for the same test loss at ten times the rate, the decay must change by 10^%.2f (Adam), 10^%.2f (AdamW)\n",
        slopes[0], slopes[1]);
  draw_maps(maps, lines, level, out + "/heat_maps.svg");

  std::string paths[2];
  double ends[2][2];
  paths[0] = descend(adam, 1200, 0.02, 1, ends[0]);
  paths[1] = descend(adamw, 1200, 0.02, 0.25, ends[1]);
  std::printf("on the quadratic Adam stays at (%.2f, %.2f), AdamW at (%.2f, %.2f); the minimum is (3, 2)\n", ends[0][0],
              ends[0][1], ends[1][0], ends[1][1]);
  draw_paths(paths, ends, out + "/paths.svg");
  std::printf("pictures: %s/heat_maps.svg and paths.svg\n", out.c_str());
}

int main(int argc, char** argv) {
  int steps = 400, size = 13;
  std::string out = "runs/adam_vs_adamw";
  CommandLine options("adam_vs_adamw", "Compares Adam and AdamW.");
  options.add("--steps", steps, "How many steps to train each network", {10, 100000});
  options.add("--size", size, "How many learning rates and decays to try", {3, 101});
  options.add("--out", out, "Directory for the pictures");
  return options.run(argc, argv, [&] { run(steps, size, out); });
}
