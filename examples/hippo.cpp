// What a state remembers: HiPPO's three memories listen to a signal, and are asked for it afterwards.
//
// Each holds N numbers, and nothing else of what it heard. They are coefficients of the best approximation, in the
// least squares, by N polynomials or waves: of all of the past (legs), or of a window of it (legt, fourier). The
// picture shows the signal, and what each memory says of it at the end; the table, how far off that is for each N.
#include <cmath>
#include <cotangent/cotangent.hpp>
#include <cstdio>
#include <filesystem>
#include <iterator>
#include <string>
#include <vector>

#include "common/command_line.hpp"
#include "common/gnuplot.hpp"

namespace ct = cotangent;
namespace nn = cotangent::nn;
using ct::Tensor;

/// Slow and quick waves with random phases, and a jump.
Tensor signal(int64_t samples) {
  const Tensor t = ct::linspace(0, 1, samples, ct::float64);
  Tensor u = ct::where(t > 0.62, ct::full_like(t, 0.8), -0.3);
  for (int k = 1; k <= 6; ++k) {
    const double phase = 2 * M_PI * ct::rand({}, ct::float64).item<double>();
    u = u + ct::sin(t * (4 * M_PI * k) + phase) * (0.7 / k);
  }
  return u;
}

struct Memory {
  const char* name;
  nn::HippoMeasure measure;
  double window;  // the part of the signal that it covers
};
constexpr Memory kMemories[] = {{"legs: all of the past", nn::HippoMeasure::legs, 1},
                                {"legt: the last third", nn::HippoMeasure::legt, 1.0 / 3},
                                {"fout: the last third, by waves", nn::HippoMeasure::fout, 1.0 / 3}};

/// What a memory of n numbers says of the part that it covers.
Tensor remembered(const Memory& memory, int64_t n, const Tensor& u, const Tensor& s) {
  nn::HiPPO hippo(n, {.measure = memory.measure,
                      .window = memory.window,
                      .step = 1 / static_cast<double>(u.numel()),
                      .dtype = ct::float64});
  const Tensor c = hippo(u);
  return hippo.reconstruct(c[-1], s);
}

constexpr int64_t kSizes[] = {8, 24, 64};

void run(int64_t samples, const std::string& out) {
  std::filesystem::create_directories(out);
  const std::string picture = out + "/hippo.svg";
  ct::manual_seed(4);
  const Tensor u = signal(samples);
  std::string script = "set terminal svg size 1200,900 font 'Helvetica,14' background 'white'\nset output " +
                       quoted(picture) +
                       "\nset multiplot layout 3,1 margins 0.05,0.98,0.05,0.95 spacing 0,0.07\n"
                       "set xrange [0:1]; set yrange [-2.2:2.6]; set key top left horizontal\n"
                       "set style line 1 lw 5 lc rgb '#cccccc'\nset style line 2 lw 1.5 lc rgb '#e08a1e'\n"
                       "set style line 3 lw 1.5 lc rgb '#1f4e9c'\nset style line 4 lw 1.5 lc rgb '#2b8a3e'\n";
  std::printf("%-30s", "rms error");
  for (int64_t n : kSizes) std::printf("  %4lld numbers", static_cast<long long>(n));
  std::printf("\n");
  for (const Memory& memory : kMemories) {
    const int64_t first = samples - std::llround(memory.window * static_cast<double>(samples)), count = samples - first;
    const Tensor heard = u.narrow(0, first, count);
    // in the middle of each sample, as the memory heard them
    const double half = 0.5 / static_cast<double>(count);
    const Tensor s = ct::linspace(half, 1 - half, count, ct::float64);
    std::vector<std::vector<double>> columns;
    std::printf("%-30s", memory.name);
    for (int64_t n : kSizes) {
      const int64_t odd = memory.measure == nn::HippoMeasure::fout ? n / 2 * 2 + 1 : n;
      const Tensor said = remembered(memory, odd, u, s);
      columns.push_back(said.to_vector<double>());
      std::printf("  %12.4f", std::sqrt(ct::mean(ct::square(said - heard)).item<double>()));
    }
    std::printf("\n");
    const std::vector<double> all = u.to_vector<double>();
    script += "$data << END\n";
    for (int64_t i = 0; i < samples; ++i) {
      script += std::to_string(static_cast<double>(i) / static_cast<double>(samples)) + " " +
                std::to_string(all[static_cast<size_t>(i)]);
      for (const auto& column : columns)
        script += i < first ? " NaN" : " " + std::to_string(column[static_cast<size_t>(i - first)]);
      script += "\n";
    }
    script += "END\nset title " + quoted(memory.name) + "\nplot $data using 1:2 with lines ls 1 title 'the signal'";
    for (size_t k = 0; k < std::size(kSizes); ++k)
      script += ", $data using 1:" + std::to_string(k + 3) + " with lines ls " + std::to_string(k + 2) + " title '" +
                std::to_string(kSizes[k]) + " numbers'";
    script += "\n";
  }
  run_gnuplot(script + "unset multiplot\n", picture);
}

int main(int argc, char** argv) {
  int64_t samples = 3000;
  std::string out = "runs/hippo";
  CommandLine options("hippo", "Draws what memories of a few numbers know of a signal that went by.");
  options.add("--samples", samples, "The length of the signal", kPositive);
  options.add("--out", out, "Directory for the picture");
  return options.run(argc, argv, [&] { run(samples, out); });
}
