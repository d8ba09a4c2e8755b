// Times what people do with the library, and counts what that asks of the system. One line a workload: the median and
// the best milliseconds, then for each step, once warm, page faults, allocations of memory from the system and
// allocations on the heap. With --memory, how much memory the process took instead.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <string>

#include <cotangent/tensor/parallel.hpp>

#include "../examples/common/command_line.hpp"
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
  int steps = 0;
  bool all = false, list = false, memory = false;
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

/// What the system says of this process, in bytes.
double status(const std::string& key) {
  std::ifstream file("/proc/self/status");
  for (std::string word; file >> word;)
    if (double kilobytes = 0; word == key + ":" && file >> kilobytes) return 1024 * kilobytes;
  throw std::runtime_error("/proc/self/status does not tell " + key);
}

/// The most memory that the process had at once in five steps, above what it had after a first small step: but for
/// files mapped into it, as that is code. torch_peer.py measures the same.
double process_growth(const Workload& w) {
  ct::parallel_chunks(ct::num_threads(), [](int64_t) {});  // the threads are there
  ct::nn::Conv2d model(1, 4, 3);
  ct::optim::AdamW optimizer(model.parameters());
  training_step(std::move(model), std::move(optimizer),
                [x = ct::randn({2, 1, 8, 8})](ct::nn::Conv2d& m) { return ct::mean(m(x)); })();
  std::ofstream("/proc/self/clear_refs") << 5;  // forgets VmHWM, the high-water mark
  const double before = status("RssAnon");
  const Step step = w.make(w.sizes);
  for (int i = 0; i < 5; ++i) step();
  return status("VmHWM") - status("RssFile") - status("RssShmem") - before;
}

std::vector<Workload> chosen(const Options& options) {
  std::vector<Workload> found;
  auto take = [&](const std::vector<Workload>& family) {
    for (const Workload& w : family)
      if (finds(options.only, w.name)) found.push_back(w);
  };
  take(overhead());
  take(bench::kernels());
  take(bench::products());
  take(training());
  if (options.all) take(variants()), take(bench::sequences()), take(bench::decay()), take(attentions());
  return found;
}

double peak_megabytes() { return static_cast<double>(ct::memory_stats().peak_bytes) / 1e6; }

// Both print a line about the workload, and return its entry in the file of --json.

std::string time_taken(const Workload& w, const Options& options) {
  const Measurement m = measure(w.make(w.sizes), options);
  const double faults = m.per_step(&Counts::page_faults), system = m.per_step(&Counts::system_allocations),
               heap = m.per_step(&Counts::heap_allocations), peak = peak_megabytes(),
               median = m.times[m.times.size() / 2], best = m.times.front();
  std::printf(
      "%-24s %10.4f ms  best %10.4f  n=%-7zu  page faults %.3f  allocations: system %.3f, heap %.3f  "
      "peak %.1f MB\n",
      w.name.c_str(), median, best, m.times.size(), faults, system, heap, peak);
  char text[400];
  std::snprintf(
      text, sizeof text,
      "\"%s\": {\"median_ms\": %.9g, \"best_ms\": %.9g, \"n\": %zu, \"page_faults\": %g, "
      "\"system_allocations\": %g, \"heap_allocations\": %g, \"peak_mb\": %g, \"flops\": %.17g, \"bytes\": %.17g}",
      w.name.c_str(), median, best, m.times.size(), faults, system, heap, peak, w.work.flops, w.work.bytes);
  return text;
}

std::string memory_taken(const Workload& w) {
  const double process = process_growth(w) / 1e6, tensors = peak_megabytes();
  std::printf("%-24s %10.1f MB, tensors at their most %10.1f MB\n", w.name.c_str(), process, tensors);
  char text[200];
  std::snprintf(text, sizeof text, "\"%s\": {\"process_mb\": %g, \"peak_mb\": %g}", w.name.c_str(), process, tensors);
  return text;
}

void run(const Options& options) {
  const std::vector<Workload> workloads = chosen(options);
  if (options.list) {
    for (const Workload& w : workloads) std::puts(w.name.c_str());
    return;
  }
  if (workloads.empty()) throw std::runtime_error("no workload is called like " + options.only + "; see --list");
  std::string results;
  for (const Workload& w : workloads) {
    ct::manual_seed(0);
    ct::reset_peak_memory();
    results += (results.empty() ? "\n  " : ",\n  ") + (options.memory ? memory_taken(w) : time_taken(w, options));
    std::fflush(stdout);
    ct::empty_cache();
  }
  if (!options.json.empty()) {
    std::ofstream file(options.json);
    file << "{\"threads\": " << ct::num_threads() << ", \"results\": {" << results << "\n}}\n";
    if (!file) throw std::runtime_error("cannot write " + options.json);
  }
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CommandLine line("bench", "Times the workloads.");
  line.add("--only", options.only, "those whose name this regular expression finds");
  line.add("--all", options.all, "the variants too: they take several minutes");
  line.add("--min-time", options.min_time, "seconds for each");
  line.add("--steps", options.steps, "run so many steps of each, without a clock: to count what they do");
  line.add("--memory", options.memory, "how much memory the process takes for each, instead of the time");
  line.add("--json", options.json, "a file for the results");
  line.add("--list", options.list, "only print the names");
  return line.run(argc, argv, [&] { run(options); });
}
