#include <cotangent/tensor/parallel.hpp>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include <cotangent/tensor/format_internal.hpp>

#ifdef _OPENMP
#include <omp.h>
#endif

namespace cotangent {
namespace {

int default_threads() {
#ifdef _OPENMP
  return omp_get_max_threads();
#else
  return std::max(1u, std::thread::hardware_concurrency());
#endif
}
std::atomic<int> g_threads{0};
constinit thread_local bool t_inside = false;  // of a parallel region: nested ones run on their own thread

}  // namespace

int num_threads() {
  int n = g_threads.load(std::memory_order_relaxed);
  if (n == 0) g_threads.store(n = default_threads(), std::memory_order_relaxed);
  return n;
}

void set_num_threads(int count) {
  if (count < 1) fail<ValueError>("[set_num_threads] {} threads; at least 1 is needed", count);
  g_threads = count;
}

SingleThreaded::SingleThreaded() : before_(t_inside) { t_inside = true; }
SingleThreaded::~SingleThreaded() { t_inside = before_; }

namespace detail {

int64_t task_count(int64_t work, int64_t grain) {
  if (work <= grain || t_inside) return 1;
  return std::min<int64_t>(num_threads(), work / std::max<int64_t>(grain, 1));
}

void run_tasks(int64_t count, void (*task)(void*, int64_t), void* context) {
  const int threads = static_cast<int>(std::min<int64_t>(num_threads(), count));
  if (threads <= 1 || t_inside) {
    for (int64_t i = 0; i < count; ++i) task(context, i);
    return;
  }
  // Each thread has a part of its own, the same one every time, so that what it wrote into its caches is there when the
  // next loop reads it; and when it has done that, it helps with those of others.
  struct alignas(64) Part {  // on a line of the cache of its own
    std::atomic<int64_t> next;
  };
  constexpr int kMaxParts = 32;
  const int n = std::min(threads, kMaxParts);
  Part parts[kMaxParts];
  for (int p = 0; p < n; ++p) parts[p].next.store(count * p / n, std::memory_order_relaxed);
  const auto work = [&](int thread) {
    t_inside = true;
    for (int k = 0; k < n; ++k) {
      const int p = (thread + k) % n;
      const int64_t end = count * (p + 1) / n;
      for (int64_t i; (i = parts[p].next.fetch_add(1, std::memory_order_relaxed)) < end;) task(context, i);
    }
    t_inside = false;
  };
#ifdef _OPENMP
#pragma omp parallel num_threads(threads)
  work(omp_get_thread_num());
#else
  // threads of the standard library, whose synchronisation ThreadSanitizer knows
  std::vector<std::thread> others;
  for (int t = 1; t < threads; ++t) others.emplace_back(work, t);
  work(0);
  for (std::thread& t : others) t.join();
#endif
}

}  // namespace detail
}  // namespace cotangent
