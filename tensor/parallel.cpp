#include <cotangent/tensor/parallel.hpp>

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstdlib>
#include <exception>
#include <memory>
#include <string_view>
#include <thread>
#include <utility>

#include <cotangent/tensor/format_internal.hpp>

namespace cotangent {
namespace {

/// OMP_NUM_THREADS, which every numerical library heeds, or the cores that this process may use.
int default_threads() {
  if (const char* set = std::getenv("OMP_NUM_THREADS")) {
    const std::string_view text(set);
    int count = 0;
    std::from_chars(text.data(), text.data() + text.size(), count);
    if (count >= 1) return std::min(count, kMaxThreads);
  }
  cpu_set_t cores;
  if (sched_getaffinity(0, sizeof cores, &cores) == 0) return CPU_COUNT(&cores);
  const int count = static_cast<int>(std::thread::hardware_concurrency());  // more cores than a cpu_set_t can name
  return std::clamp(count, 1, kMaxThreads);
}
std::atomic<int> g_threads{0};
constinit thread_local bool t_inside = false;  // of a parallel region: nested ones run on their own thread

/// A thread and those that help it with its loops. A loop is one line of the cache, which the caller writes and the
/// helpers watch. Each thread has a part of the loop of its own, the same one every time, so that what it wrote into
/// its caches is there when the next loop reads it; when it has done that, it helps with those of others. So nobody
/// waits for a helper that is late or does not come: its part is done by those that are there.
///
/// Tasks are numbered on from loop to loop. Who comes late to a loop finds all its numbers taken, and can do no harm:
/// the only other thing to agree on is how many tasks each helper has finished.
///
/// What a task throws is kept, and thrown once more by the caller: the first of it. The tasks that nobody has begun by
/// then are counted as finished, and not run.
class Team {
 public:
  explicit Team(int size) : size_(size), lanes_(new Lane[static_cast<size_t>(size)]) {}
  int size() const { return size_; }

  static std::shared_ptr<Team> start(int size) {
    const auto team = std::make_shared<Team>(size);
    try {
      for (int t = 1; t < size; ++t) std::thread([team, t] { team->help(t); }).detach();
    } catch (const std::exception&) {
      // The system has no thread or memory left: the others do the work.
    }
    return team;
  }
  void stop() { publish(nullptr, nullptr, 1); }

  void run(int64_t count, void (*task)(void*, int64_t), void* context) {
    const Loop loop = publish(task, context, count);
    for (int part = 0; part < size_; ++part) finished_ += take(loop, part);
    const auto all_finished = [&] {
      int64_t finished = finished_;
      for (int t = 1; t < size_; ++t) finished += lanes_[t].finished.load(std::memory_order_acquire);
      return finished == loop.end;
    };
    for (int looks = 0; !all_finished(); ++looks) rest(looks);
    if (failed_.load(std::memory_order_relaxed)) {
      failed_.store(false, std::memory_order_relaxed);
      std::rethrow_exception(std::exchange(failure_, nullptr));
    }
  }

 private:
  struct Loop {
    void (*task)(void*, int64_t);
    void* context;
    int64_t first, end;  // the numbers of its tasks
  };
  struct Lane {                                    // of a thread, on lines of the cache of their own
    alignas(64) std::atomic<int64_t> next{0};      // task of its part
    alignas(64) std::atomic<int64_t> finished{0};  // tasks since the team began
  };
  // Looks at what another thread is to write: 20 us of them at once, and then, while nobody else wants the core, more.
  static constexpr int kQuickLooks = 1000, kLooks = 3000;

  static void rest(int looks) {
    if (looks >= kQuickLooks) return std::this_thread::yield();
#ifdef __x86_64__
    __builtin_ia32_pause();
#endif
  }

  /// What this thread has stored past the caches is there before what it stores next: no other store waits for it.
  static void end_streams() {
#ifdef __x86_64__
    __builtin_ia32_sfence();
#endif
  }

  Loop publish(void (*task)(void*, int64_t), void* context, int64_t count) {
    const int64_t first = end_.load(std::memory_order_relaxed);
    task_.store(task, std::memory_order_relaxed);
    context_.store(context, std::memory_order_relaxed);
    first_.store(first, std::memory_order_relaxed);
    end_.store(first + count);
    if (sleepers_.load() > 0) end_.notify_all();
    return {task, context, first, first + count};
  }

  void help(int thread) {
    t_inside = true;
    std::atomic<int64_t>& finished = lanes_[thread].finished;
    for (int64_t seen = 0;;) {
      for (int looks = 0; end_.load(std::memory_order_relaxed) == seen; ++looks) {
        if (looks < kLooks) {
          rest(looks);
        } else {
          ++sleepers_;
          end_.wait(seen);
          --sleepers_;
        }
      }
      // Should the caller be writing the next loop just now, the numbers of this one are all taken.
      Loop loop;
      loop.end = seen = end_.load(std::memory_order_acquire);
      loop.first = first_.load(std::memory_order_relaxed);
      loop.task = task_.load(std::memory_order_relaxed);
      loop.context = context_.load(std::memory_order_relaxed);
      if (!loop.task) return;
      const int parts = loop.end - loop.first > size_ ? size_ : 1;  // a part of one task is begun at once
      for (int k = 0; k < parts; ++k)
        if (const int64_t taken = take(loop, (thread + k) % size_)) {
          end_streams();
          finished.store(finished.load(std::memory_order_relaxed) + taken, std::memory_order_release);
        }
    }
  }

  /// Does what is left of a part. Returns how many tasks that was.
  int64_t take(const Loop& loop, int part) {
    const int64_t count = loop.end - loop.first, end = loop.first + count * (part + 1) / size_;
    std::atomic<int64_t>& next = lanes_[part].next;
    int64_t taken = 0, i = loop.first + count * part / size_;
    for (int64_t seen = next.load(std::memory_order_relaxed); (i = std::max(i, seen)) < end;) {
      if (!next.compare_exchange_weak(seen, i + 1, std::memory_order_relaxed)) continue;
      if (!failed_.load(std::memory_order_relaxed)) run_task(loop, i - loop.first);
      ++i;
      ++taken;
    }
    return taken;
  }

  void run_task(const Loop& loop, int64_t i) noexcept {
    try {
      loop.task(loop.context, i);
    } catch (...) {
      if (!failed_.exchange(true, std::memory_order_relaxed)) failure_ = std::current_exception();
    }
  }

  const int size_;
  const std::unique_ptr<Lane[]> lanes_;
  int64_t finished_ = 0;  // tasks, by the caller
  std::atomic<bool> failed_{false};
  std::exception_ptr failure_;
  std::atomic<int> sleepers_{0};
  alignas(64) std::atomic<int64_t> end_{0};
  std::atomic<int64_t> first_{0};
  std::atomic<void (*)(void*, int64_t)> task_{nullptr};
  std::atomic<void*> context_{nullptr};
};

/// The team of this thread.
struct OwnTeam {
  std::shared_ptr<Team> team;
  Team& of(int size) {
    if (!team || team->size() != size) {
      stop();
      team = Team::start(size);
    }
    return *team;
  }
  void stop() {
    if (team) std::exchange(team, nullptr)->stop();
  }
  ~OwnTeam() {
    stop();
    t_inside = true;  // what still runs on this thread runs alone
  }
};
thread_local OwnTeam t_team;

/// A child process has the thread that called fork(), and none that helps it: its next loop starts a team anew.
[[maybe_unused]] const int g_at_fork = pthread_atfork(nullptr, nullptr, [] { t_team.team.reset(); });

}  // namespace

int num_threads() {
  int n = g_threads.load(std::memory_order_relaxed);
  if (n == 0) g_threads.store(n = default_threads(), std::memory_order_relaxed);
  return n;
}

void set_num_threads(int count) {
  if (count < 1 || count > kMaxThreads)
    fail<ValueError>("[set_num_threads] {} threads; 1 to {} are possible", count, kMaxThreads);
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
  const int threads = num_threads();
  if (threads <= 1 || count <= 1 || t_inside) {
    for (int64_t i = 0; i < count; ++i) task(context, i);
    return;
  }
  Team& team = t_team.of(threads);
  const SingleThreaded inside;
  team.run(count, task, context);
}

}  // namespace detail
}  // namespace cotangent
