// Measures what this machine can do at most: float32 multiply-adds out of registers, and the bandwidth of a[i] = b[i] +
// s * c[i] on arrays that fit into a cache, and on larger ones. (What the system says of its caches is not asked: on a
// virtual machine it is not what a program gets.)
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include <cotangent/tensor/kernels/vector.hpp>
#include <cotangent/tensor/parallel.hpp>
#include <cotangent/tensor/product_plan_internal.hpp>

#include "../examples/common/command_line.hpp"

namespace {

using Clock = std::chrono::steady_clock;

using cotangent::kernels::kVectorBytes;
using Vector = float __attribute__((vector_size(kVectorBytes)));
constexpr int kChains = 10;  // in flight at once: more than the latency times the units, and all fit in registers

/// The least seconds that f() takes, tried for a while.
template <class F>
double best_time(F f) {
  double best = 1e9;
  const auto start = Clock::now();
  while (std::chrono::duration<double>(Clock::now() - start).count() < 0.5) {
    const auto begin = Clock::now();
    f();
    best = std::min(best, std::chrono::duration<double>(Clock::now() - begin).count());
  }
  return best;
}

float multiply_add(int64_t rounds) {
  Vector sums[kChains], a = {}, b = {};
  a += 0.999f, b += 0.001f;
  for (int i = 0; i < kChains; ++i) sums[i] = a + static_cast<float>(i);  // all different, or one would do for all
  for (int64_t i = 0; i < rounds; ++i)
    for (Vector& s : sums) s = s * a + b;
  float total = 0;
  for (const Vector& s : sums)
    for (int lane = 0; lane < kVectorBytes / 4; ++lane) total += s[lane];
  return total;
}

double peak_gflops(int threads) {
  constexpr int64_t rounds = 1'000'000;
  std::vector<float> results(static_cast<size_t>(threads));
  const double seconds = best_time([&] {
    cotangent::parallel_chunks(threads, [&](int64_t t) { results[static_cast<size_t>(t)] = multiply_add(rounds); });
  });
  return 2.0 * threads * rounds * kChains * (kVectorBytes / 4) / seconds / 1e9;
}

double bandwidth(int threads, int64_t bytes) {  // of the three arrays together
  const int64_t n = bytes / 12 / threads * threads;
  std::vector<float> a(static_cast<size_t>(n)), b(a), c(a);
  const int64_t repeats = std::max<int64_t>(1, (64 << 20) / bytes);
  const double seconds = best_time([&] {
    cotangent::parallel_chunks(threads, [&](int64_t t) {
      const int64_t first = n / threads * t, last = first + n / threads;
      for (int64_t r = 0; r < repeats; ++r) {
        const float s = static_cast<float>(r + 1);
        float* to = a.data();
        const float *x = b.data(), *y = c.data();
#pragma GCC ivdep
        for (int64_t i = first; i < last; ++i) to[i] = x[i] + s * y[i];
        asm volatile("" : : "r"(to) : "memory");
      }
    });
  });
  return static_cast<double>(repeats * n * 12) / seconds / 1e9;
}

void run(const std::string& json) {
  const int threads = cotangent::num_threads();
  const double gflops = peak_gflops(threads);
  const char* products = cotangent::raw::product_plan_name();
  std::printf("%d threads: %.0f GFLOP/s in float32; products cut up as %s; GB/s over", threads, gflops, products);
  std::string bandwidths;
  for (int64_t megabytes : {1, 4, 16, 64, 256}) {
    const double gbs = bandwidth(threads, megabytes << 20);
    char text[80];
    std::snprintf(text, sizeof text, "%s{\"bytes\": %ld, \"gbs\": %g}", bandwidths.empty() ? "" : ", ",
                  static_cast<long>(megabytes << 20), gbs);
    bandwidths += text;
    std::printf(" %ld MB: %.0f%s", static_cast<long>(megabytes), gbs, megabytes == 256 ? "\n" : ",");
    std::fflush(stdout);
  }
  if (json.empty()) return;
  std::ofstream(json) << "{\"threads\": " << threads << ", \"gflops\": " << gflops << ", \"products\": \"" << products
                      << "\", \"bandwidths\": [" << bandwidths << "]}\n";
}

}  // namespace

int main(int argc, char** argv) {
  std::string json;
  CommandLine options("limits", "Measures the machine's limits.");
  options.add("--json", json, "a file for the results");
  return options.run(argc, argv, [&] { run(json); });
}
