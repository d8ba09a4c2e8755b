// Times what people do with the library, and counts what that asks of the system. One line a workload: the median and
// the best milliseconds, then for each step, once warm, page faults, allocations of memory from the system and
// allocations on the heap.
#include <sys/resource.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>

#include "bench.hpp"

/// What scripts/check-performance counts the instructions of.
extern "C" __attribute__((noinline)) void counted_steps(const bench::Step& step, int count) {
  for (int i = 0; i < count; ++i) step();
}

namespace {

using namespace bench;
using Clock = std::chrono::steady_clock;

struct Counts {
  long page_faults, system_allocations, heap_allocations;
};
Counts counts_now() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return {usage.ru_minflt + usage.ru_majflt, static_cast<long>(ct::memory_stats().system_allocations),
          heap_allocations()};
}

struct Options {
  std::string only = ".", json;
  double min_time = 1;
  int threads = 2, steps = 0;
  bool all = false, list = false;
};

struct Measurement {
  std::vector<double> times;  // milliseconds, in order of size
  Counts before, after;
  double per_step(long Counts::*what) const {
    return static_cast<double>(after.*what - before.*what) / static_cast<double>(times.size());
  }
};

Measurement measure(const Step& step, const Options& options) {
  for (int i = 0; i < 5; ++i) step();
  Measurement m;
  if (options.steps > 0) {  // counted, not timed
    m.times.assign(static_cast<size_t>(options.steps), 0.0);
    m.before = counts_now();
    counted_steps(step, options.steps);
    m.after = counts_now();
    return m;
  }
  m.times.assign(1 << 20, 0.0);  // touched, so that it faults no pages below
  m.times.clear();
  m.before = counts_now();
  const auto start = Clock::now();
  double spent = 0;
  while ((spent < options.min_time || m.times.size() < 5) && m.times.size() < m.times.capacity()) {
    const auto begin = Clock::now();
    step();
    m.times.push_back(std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
    spent = std::chrono::duration<double>(Clock::now() - start).count();
  }
  m.after = counts_now();
  std::sort(m.times.begin(), m.times.end());
  return m;
}

std::vector<Workload> chosen(const Options& options) {
  std::vector<Workload> found;
  const std::regex pattern(options.only);
  auto take = [&](const std::vector<Workload>& family) {
    for (const Workload& w : family)
      if (std::regex_search(w.name, pattern)) found.push_back(w);
  };
  take(overhead());
  take(bench::kernels());
  take(training());
  if (options.all) take(variants());
  return found;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"Times the workloads."};
  app.add_option("--only", options.only, "those whose name this regular expression finds");
  app.add_flag("--all", options.all, "the variants too: they take several minutes");
  app.add_option("--min-time", options.min_time, "seconds for each");
  app.add_option("--steps", options.steps, "run so many steps of each, without a clock: to count what they do");
  app.add_option("--threads", options.threads, "threads to use")->check(CLI::PositiveNumber);
  app.add_option("--json", options.json, "a file for the results");
  app.add_flag("--list", options.list, "only print the names");
  CLI11_PARSE(app, argc, argv);

  try {
    const std::vector<Workload> workloads = chosen(options);
    if (options.list) {
      for (const Workload& w : workloads) std::puts(w.name.c_str());
      return 0;
    }
    if (workloads.empty()) throw std::runtime_error("no workload is called like " + options.only + "; see --list");
    ct::set_num_threads(options.threads);
    nlohmann::ordered_json results;
    for (const Workload& w : workloads) {
      ct::manual_seed(0);
      ct::reset_peak_memory();
      const Measurement m = measure(w.make(w.sizes), options);
      const double faults = m.per_step(&Counts::page_faults), system = m.per_step(&Counts::system_allocations),
                   heap = m.per_step(&Counts::heap_allocations),
                   peak = static_cast<double>(ct::memory_stats().peak_bytes) / 1e6,
                   median = m.times[m.times.size() / 2], best = m.times.front();
      std::printf(
          "%-24s %10.4f ms  best %10.4f  n=%-7zu  page faults %.3f  allocations: system %.3f, heap %.3f  "
          "peak %.1f MB\n",
          w.name.c_str(), median, best, m.times.size(), faults, system, heap, peak);
      std::fflush(stdout);
      results[w.name] = {
          {"median_ms", median},          {"best_ms", best},          {"n", m.times.size()}, {"page_faults", faults},
          {"system_allocations", system}, {"heap_allocations", heap}, {"peak_mb", peak},     {"flops", w.work.flops},
          {"bytes", w.work.bytes}};
      ct::empty_cache();
    }
    if (!options.json.empty()) {
      std::ofstream file(options.json);
      file << nlohmann::ordered_json{{"threads", options.threads}, {"results", results}}.dump(1) << '\n';
      if (!file) throw std::runtime_error("cannot write " + options.json);
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench: %s\n", error.what());
    return 1;
  }
}
