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
#ifdef _OPENMP
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
  for (int64_t i = 0; i < count; ++i) {
    t_inside = true;
    task(context, i);
    t_inside = false;
  }
#else
  // threads of the standard library, whose synchronisation ThreadSanitizer knows
  std::atomic<int64_t> next{0};
  auto work = [&] {
    t_inside = true;
    for (int64_t i = next++; i < count; i = next++) task(context, i);
    t_inside = false;
  };
  std::vector<std::thread> others;
  for (int t = 1; t < threads; ++t) others.emplace_back(work);
  work();
  for (std::thread& t : others) t.join();
#endif
}

}  // namespace detail
}  // namespace cotangent
