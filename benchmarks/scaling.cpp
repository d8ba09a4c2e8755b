// How the time and the memory of a step grow with its size: from a few elements to 1 GB of data, or to steps of two
// seconds, with one thread and with two. Prints a table of exponents and draws runs/scaling/scaling.svg.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "../examples/common/command_line.hpp"
#include "../examples/common/gnuplot.hpp"
#include "bench.hpp"

namespace {

using namespace bench;
using Clock = std::chrono::steady_clock;

struct Scaled {
  std::string name, size;  ///< what n counts
  std::function<Step(int64_t n)> make;
  double bytes_of_data, data_exponent;    ///< the data that is worked on takes bytes_of_data * n^data_exponent
  double work_exponent, memory_exponent;  ///< for large n, the work grows like n^work_exponent
  int64_t factor = 4;                     ///< from one size to the next
};

/// Of a family's workload, at another size.
Step resized(const std::vector<Workload>& family, const std::string& name, const std::vector<int64_t>& sizes) {
  const auto found = std::find_if(family.begin(), family.end(), [&](const Workload& w) { return w.name == name; });
  return found->make(sizes);
}

std::vector<Scaled> all_scaled() {
  return {
      {"element-wise chain", "elements",
       [](int64_t n) {
         const Tensor a = leaf({n}), b = leaf({n}), c = leaf({n});
         return forward_backward({a, b, c}, [=] { return ct::tanh(a * b + c) * ct::sigmoid(a); });
       },
       floats(3), 1, 1, 1},
      {"sum", "elements",
       [](int64_t n) {
         const Tensor x = leaf({n});
         return forward_backward({x}, [=] { return ct::sum(x); });
       },
       floats(1), 1, 1, 1},
      {"softmax", "rows of 512",
       [](int64_t n) {
         const Tensor x = leaf({n, 512});
         return forward_backward({x}, [=] { return ct::softmax(x, -1); });
       },
       floats(512), 1, 1, 1},
      {"matmul", "rows and columns",
       [](int64_t n) {
         const Tensor a = leaf({n, n}), b = leaf({n, n});
         return forward_backward({a, b}, [=] { return ct::matmul(a, b); });
       },
       floats(2), 2, 3, 2, 2},
      {"conv3x3", "images of 64x28x28",
       [](int64_t n) {
         const Tensor x = leaf({n, 64, 28, 28}), w = leaf({64, 64, 3, 3}), b = leaf({64});
         return forward_backward({x, w, b}, [=] { return ct::conv2d(x, w, b, {.padding = 1}); });
       },
       floats(64 * 28 * 28), 1, 1, 1},
      {"attention", "positions, 4 heads of 64",
       [](int64_t n) {
         return resized(bench::kernels(), "attention_4k", {1, 4, n, 64});
       },
       floats(3 * 4 * 64), 1, 2, 1, 2},
      {"train_mlp", "images of 28x28", [](int64_t n) { return resized(training(), "train_mlp", {n}); }, floats(28 * 28),
       1, 1, 1},
      {"train_gpt", "texts of 128", [](int64_t n) { return resized(training(), "train_gpt", {n}); }, 128 * 8, 1, 1, 1},
  };
}

struct Point {
  int64_t n;
  double data, milliseconds[2], memory;  // by threads: one, two; in bytes
};

double best_milliseconds(const Step& step, double min_time) {
  double best = 1e9, spent = 0;
  for (int i = 0; i < 2 || spent < 1e3 * min_time; ++i) {
    const auto begin = Clock::now();
    step();
    const double taken = std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
    best = std::min(best, taken), spent += taken;
  }
  return best;
}

std::vector<Point> measure(const Scaled& s, double min_time) {
  std::vector<Point> points;
  const double growth = std::pow(s.factor, s.work_exponent);
  for (int64_t n = 1;; n *= s.factor) {
    Point p{n, s.bytes_of_data * std::pow(n, s.data_exponent), {}, 0};
    if (p.data > (1 << 30)) return points;
    for (int threads : {1, 2}) {
      ct::set_num_threads(threads);
      ct::manual_seed(0);
      const int64_t before = ct::memory_stats().current_bytes;
      const Step step = s.make(n);
      step();
      ct::reset_peak_memory();
      p.milliseconds[threads - 1] = best_milliseconds(step, min_time);
      p.memory = static_cast<double>(ct::memory_stats().peak_bytes - before);
    }
    ct::empty_cache();
    points.push_back(p);
    if (p.milliseconds[1] * growth > 2000) return points;
  }
}

/// The power of n by which a quantity grew from one point to the next.
double exponent(double before, double after, int64_t factor) {
  return std::log(after / before) / std::log(static_cast<double>(factor));
}

void print(const Scaled& s, const std::vector<Point>& points) {
  std::printf("\n%s, n %s: time should grow like n^%g, memory like n^%g\n%12s %10s %12s %12s %8s %12s %9s %9s %9s\n",
              s.name.c_str(), s.size.c_str(), s.work_exponent, s.memory_exponent, "n", "data, MB", "1 thread, ms",
              "2 threads", "speed-up", "memory, MB", "exponent", "with 2", "memory");
  for (size_t i = 0; i < points.size(); ++i) {
    const Point& p = points[i];
    std::printf("%12ld %10.4g %12.5g %12.5g %8.2f %12.5g", static_cast<long>(p.n), p.data / 1e6, p.milliseconds[0],
                p.milliseconds[1], p.milliseconds[0] / p.milliseconds[1], p.memory / 1e6);
    if (i > 0) {
      const Point& q = points[i - 1];
      std::printf(" %9.2f %9.2f %9.2f", exponent(q.milliseconds[0], p.milliseconds[0], s.factor),
                  exponent(q.milliseconds[1], p.milliseconds[1], s.factor), exponent(q.memory, p.memory, s.factor));
    }
    std::puts("");
  }
}

/// The least size from which on a second thread saves at least a tenth of the time, in words.
std::string two_threads_pay(const Scaled& s, const std::vector<Point>& points) {
  size_t i = points.size();
  while (i > 0 && points[i - 1].milliseconds[1] <= 0.9 * points[i - 1].milliseconds[0]) --i;
  return i < points.size() ? std::to_string(points[i].n) + ' ' + s.size : "nowhere: not at the largest size either";
}

void summarise(const std::vector<Scaled>& chosen, const std::vector<std::vector<Point>>& points) {
  std::printf("\nexponents of n at the largest sizes\n%-20s %5s %9s %9s %8s %9s   %s\n", "", "time", "1 thread",
              "2 threads", "memory", "measured", "2 threads pay from");
  for (size_t i = 0; i < chosen.size(); ++i) {
    const Scaled& s = chosen[i];
    if (points[i].size() < 2) continue;
    const Point &p = points[i][points[i].size() - 2], &q = points[i].back();
    std::printf("%-20s %5g %9.2f %9.2f %8g %9.2f   %s\n", s.name.c_str(), s.work_exponent,
                exponent(p.milliseconds[0], q.milliseconds[0], s.factor),
                exponent(p.milliseconds[1], q.milliseconds[1], s.factor), s.memory_exponent,
                exponent(p.memory, q.memory, s.factor), two_threads_pay(s, points[i]).c_str());
  }
}

void draw(const std::vector<Scaled>& chosen, const std::vector<std::vector<Point>>& points) {
  const std::string folder = "runs/scaling", picture = folder + "/scaling.svg";
  std::filesystem::create_directories(folder);
  std::string script = "set terminal svg size 1200,560 font 'sans-serif,14' background rgb 'white'\nset output " +
                       quoted(picture) + "\n";
  int k = 0;
  for (const char* colour : {"#1155cc", "#cc3311", "#009988", "#ee7733", "#aa3377", "#666666", "#33bbee", "#99aa00"})
    script.append("set linetype ").append(std::to_string(++k)).append(" lc rgb '").append(colour).append("'\n");
  std::string time, memory;
  for (size_t i = 0; i < chosen.size(); ++i) {
    const std::string number = std::to_string(i + 1);
    script.append("$w").append(number).append(" << END\n");
    for (const Point& p : points[i]) {
      char row[100];
      std::snprintf(row, sizeof row, "%g %g %g %g\n", p.data, p.milliseconds[0] / 1e3, p.milliseconds[1] / 1e3,
                    p.memory);
      script += row;
    }
    script += "END\n";
    auto curve = [&](std::string& to, const char* columns, const char* style) {
      to.append(", $w").append(number).append(" using ").append(columns).append(" lt ").append(number).append(style);
    };
    curve(time, "1:2 with lines", " dt 2 lw 1.5 notitle");
    const std::string marked = " lw 2 ps 0.5 pt " + number;
    curve(time, "1:3 with linespoints", (marked + " title ").c_str());
    time.append(quoted(chosen[i].name)).append(" noenhanced");
    curve(memory, "1:4 with linespoints", (marked + " notitle").c_str());
  }
  script += R"(set logscale xy
set grid lc '#dddddd'
set xlabel 'data'
unset mxtics
unset mytics
set xtics ('64 B' 64, '4 KiB' 4096, '256 KiB' 2**18, '16 MiB' 2**24, '1 GiB' 2**30)
set multiplot layout 1,2
set title 'time of a step: 2 threads, dashed: 1 thread'
set key left top reverse Left samplen 2
set format y '%.0s %cs'
plot x * 1e-8 with lines lc '#bbbbbb' dt 3 title 'linear growth')" +
            time + R"(
set title 'most memory in tensors at once'
set ytics ('64 B' 64, '4 KiB' 4096, '256 KiB' 2**18, '16 MiB' 2**24, '1 GiB' 2**30)
plot x * 4 with lines lc '#bbbbbb' dt 3 notitle)" +
            memory + "\nunset multiplot\n";
  run_gnuplot(script, picture);
  std::printf("\n%s\n", picture.c_str());
}

void run(const std::string& only, double min_time) {
  std::vector<Scaled> chosen = all_scaled();
  std::erase_if(chosen, [&](const Scaled& s) { return !finds(only, s.name); });
  std::vector<std::vector<Point>> points;
  for (const Scaled& s : chosen) {
    points.push_back(measure(s, min_time));
    print(s, points.back());
    std::fflush(stdout);
  }
  if (chosen.empty()) throw std::runtime_error("no workload is called like " + only);
  summarise(chosen, points);
  draw(chosen, points);
}

}  // namespace

int main(int argc, char** argv) {
  std::string only = ".";
  double min_time = 0.1;
  CommandLine line("scaling", "Measures how time and memory grow with the size.");
  line.add("--only", only, "workloads whose name this regular expression finds");
  line.add("--min-time", min_time, "seconds for each point", kPositive);
  return line.run(argc, argv, [&] { run(only, min_time); });
}
