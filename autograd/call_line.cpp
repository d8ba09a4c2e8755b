// Where the program called the op that is being recorded: the innermost frame of the stack that is not the library's.
// libbacktrace, which comes with GCC, walks the stack and reads the debug information, also that of inlined calls;
// without it nobody knows.
#include <filesystem>
#include <string_view>

#include <cotangent/autograd/observer_internal.hpp>

#if defined(COTANGENT_HAS_BACKTRACE) && __has_include(<backtrace.h>)  // other compilers have no such header
#include <backtrace.h>
#endif

namespace cotangent::detail {

#ifdef BACKTRACE_H
namespace {

constexpr std::string_view kRooms[] = {"tensor/", "autograd/", "nn/", "optim/", "data/", "io/", "train/"};
// Sources of this library that are on the stack: they tell where it lies.
constexpr std::string_view kSources[] = {"autograd/call_line.cpp", "autograd/gradcheck/tape_probe.cpp",
                                         "autograd/anomaly.cpp", "autograd/node.cpp"};

struct Frames {
  std::string root;  // where the library's sources are, if it has debug information itself
  std::string line;
};

bool in_a_room(std::string_view path) {
  for (const std::string_view room : kRooms)
    if (path.starts_with(room)) return true;
  return false;
}

bool is_ours(const Frames& frames, std::string_view path) {
  if (!frames.root.empty() && path.starts_with(frames.root) && in_a_room(path.substr(frames.root.size()))) return true;
  constexpr std::string_view kHeaders = "/cotangent/";
  for (size_t at = path.find(kHeaders); at != std::string_view::npos; at = path.find(kHeaders, at + 1))
    if (path.ends_with(".hpp") && in_a_room(path.substr(at + kHeaders.size()))) return true;
  return path.find("/include/c++/") != std::string_view::npos;
}

void ignore(void*, const char*, int) {}

backtrace_state* state() {
  static backtrace_state* const made = backtrace_create_state(nullptr, 1, ignore, nullptr);
  return made;
}

constexpr size_t kMaxCalls = 256;
int visit_call(void* data, uintptr_t address) {
  auto& calls = *static_cast<std::vector<uintptr_t>*>(data);
  calls.push_back(address);
  return calls.size() == kMaxCalls;
}

int visit(void* data, uintptr_t, const char* file, int line, const char*) {
  Frames& frames = *static_cast<Frames*>(data);
  if (!file) return 0;
  std::string path = std::filesystem::path(file).lexically_normal();
  while (path.starts_with("../")) path.erase(0, 3);  // from a build folder in that of the sources
  if (in_a_room(path)) return 0;
  for (const std::string_view source : kSources)
    if (path.ends_with(source)) frames.root = path.substr(0, path.size() - source.size());
  if (is_ours(frames, path)) return 0;
  frames.line = path + ":" + std::to_string(line);
  return 1;
}

}  // namespace

std::vector<uintptr_t> call_stack() {
  std::vector<uintptr_t> calls;
  if (state()) backtrace_simple(state(), 0, visit_call, ignore, &calls);
  return calls;
}

std::string call_line(std::span<const uintptr_t> calls) {
  Frames frames;
  for (const uintptr_t address : calls)
    if (backtrace_pcinfo(state(), address, visit, ignore, &frames)) break;
  // a program without debug information ends in the code of the C library that starts it, or a thread of it, which may
  // have some
  for (const std::string_view start : {"libc_start", "nptl/"})
    if (frames.line.find(start) != std::string::npos) return {};
  return frames.line;
}
#else
std::vector<uintptr_t> call_stack() { return {}; }
std::string call_line(std::span<const uintptr_t>) { return {}; }
#endif

}  // namespace cotangent::detail
