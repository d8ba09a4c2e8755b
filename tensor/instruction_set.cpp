// Fills a kernel table for each instruction set that was built, and picks the best one that this processor runs.
#include <cstdlib>
#include <cstring>

#include <cotangent/tensor/kernels/kernels.hpp>

namespace cotangent::kernels {

// COTANGENT_KERNEL_FILES(X) is X(name) for each .cpp file of the kernels folder: CMake writes it.
#define COTANGENT_DECLARE(file) void fill(decltype(Table::file)& loops);
#define COTANGENT_CALL(file) fill(table.file);
#define COTANGENT_INSTRUCTION_SET(isa)                                      \
  namespace isa {                                                           \
  COTANGENT_KERNEL_FILES(COTANGENT_DECLARE)                                 \
  static void fill(Table& table) { COTANGENT_KERNEL_FILES(COTANGENT_CALL) } \
  }

#ifdef COTANGENT_KERNELS_X86
COTANGENT_INSTRUCTION_SET(v2)
COTANGENT_INSTRUCTION_SET(v3)
COTANGENT_INSTRUCTION_SET(v4)
#else
COTANGENT_INSTRUCTION_SET(portable)
#endif

namespace {

struct Choice {
  Table table{};
  const char* name;

  Choice() {
#ifdef COTANGENT_KERNELS_X86
    __builtin_cpu_init();
    const char* asked = std::getenv("COTANGENT_ISA");
    const bool v3_only = asked && std::strcmp(asked, "v3") == 0;
    const bool v2_only = asked && std::strcmp(asked, "v2") == 0;
    const bool has_v3 =
        __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
    const bool has_v4 = has_v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                        __builtin_cpu_supports("avx512cd");
    if (has_v4 && !v3_only && !v2_only) {
      name = "v4", v4::fill(table);
    } else if (has_v3 && !v2_only) {
      name = "v3", v3::fill(table);
    } else {
      name = "v2", v2::fill(table);
    }
#else
    name = "portable", portable::fill(table);
#endif
  }
};

const Choice& choice() {
  static const Choice c;
  return c;
}

}  // namespace

const Table& kernels() {
  static const Table& table = choice().table;
  return table;
}
const char* instruction_set() { return choice().name; }

}  // namespace cotangent::kernels
