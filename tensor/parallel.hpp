#pragma once
#include <cstdint>
#include <type_traits>

namespace cotangent {

inline constexpr int kMaxThreads = 1024;

/// How many threads kernels use: the cores of the machine (or OMP_NUM_THREADS) unless set.
int num_threads();
/// From 1 to kMaxThreads, else a ValueError. Results do not depend on it, bit for bit.
void set_num_threads(int count);

/// While it lives, kernels that this thread calls use no other thread: for work beside the training, as loading data
/// is.
class SingleThreaded {
 public:
  SingleThreaded();
  ~SingleThreaded();
  SingleThreaded(const SingleThreaded&) = delete;
  SingleThreaded& operator=(const SingleThreaded&) = delete;

 private:
  bool before_;
};

namespace detail {
/// Runs task(context, i) for each i in [0, count), on several threads when called outside a parallel region.
void run_tasks(int64_t count, void (*task)(void* context, int64_t i), void* context);
/// How many tasks it pays to cut `work` into, at `grain` each: 1 inside a parallel region.
int64_t task_count(int64_t work, int64_t grain);
}  // namespace detail

/// Long parts of a range begin at multiples of this: a vector loop over each then ends where it would end without cuts,
/// and no element is computed by the scalar code of a loop's end for one number of threads only, with other rounding.
inline constexpr int64_t kParallelAlign = 64;

/// Calls body(first, last) on parts of [begin, end) of about `grain` each at least, at once. For work whose parts do
/// not meet: where the cuts lie depends on the number of threads. The first exception that leaves `body`, on whichever
/// thread, reaches the caller, when the calls that had begun by then have ended; the others are left out.
template <class Body>
void parallel_for(int64_t begin, int64_t end, int64_t grain, Body&& body) {
  const int64_t tasks = detail::task_count(end - begin, grain);
  if (tasks <= 1) {
    if (begin < end) body(begin, end);
    return;
  }
  struct Context {
    Body& body;
    int64_t begin, end, tasks;
    int64_t cut(int64_t i) const {
      const int64_t n = end - begin, at = n * i / tasks;
      return i == tasks ? end : begin + (n / tasks >= 32 * kParallelAlign ? at - at % kParallelAlign : at);
    }
  } context{body, begin, end, tasks};
  detail::run_tasks(
      tasks,
      [](void* p, int64_t i) {
        const Context& c = *static_cast<Context*>(p);
        c.body(c.cut(i), c.cut(i + 1));
      },
      &context);
}

/// Calls body(chunk) for each chunk in [0, chunks), at once. The caller fixes the chunks by the size of the work alone
/// and combines their results in order: so a reduction is bitwise the same for any number of threads. Exceptions are as
/// with parallel_for.
template <class Body>
void parallel_chunks(int64_t chunks, Body&& body) {
  detail::run_tasks(
      chunks, [](void* p, int64_t i) { (*static_cast<std::remove_reference_t<Body>*>(p))(i); },
      const_cast<void*>(static_cast<const void*>(&body)));
}

}  // namespace cotangent
