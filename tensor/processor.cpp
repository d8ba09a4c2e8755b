#include <unistd.h>

#include <algorithm>

#include <cotangent/tensor/processor_internal.hpp>

namespace cotangent::raw {
namespace {

/// What the system says, or `otherwise` where it does not know.
int64_t asked([[maybe_unused]] int name, int64_t otherwise) {
  const long value = sysconf(name);
  return value > 0 ? value : otherwise;
}

Processor find_out() {
  Processor p{kLeastFirstCache, 1 << 20, 16 << 20, asked(_SC_PAGESIZE, 4096), 0, false};
  p.huge_page = p.page / int64_t{sizeof(void*)} * p.page;
#ifdef _SC_LEVEL1_DCACHE_SIZE
  p.first_cache = std::max(asked(_SC_LEVEL1_DCACHE_SIZE, p.first_cache), kLeastFirstCache);
  p.second_cache = asked(_SC_LEVEL2_CACHE_SIZE, p.second_cache);
  // which may be that of a whole socket, of which a core reaches a part
  p.last_cache = std::min(asked(_SC_LEVEL3_CACHE_SIZE, p.last_cache), int64_t{32} << 20);
#endif
#ifdef __x86_64__
  __builtin_cpu_init();
  p.reads_near = __builtin_cpu_is("amd");
#endif
  return p;
}

}  // namespace

const Processor& processor() {
  static const Processor p = find_out();
  return p;
}

}  // namespace cotangent::raw
