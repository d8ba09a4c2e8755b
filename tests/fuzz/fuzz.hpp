#pragma once
// What the fuzzers share. Each is a file NAME_fuzzer.cpp that gives seeds() and LLVMFuzzerTestOneInput. It is run by
// clang's libFuzzer, which follows the branches that an input takes, or by the plain loop in loop.cpp, for any
// compiler.
#include <cotangent/tensor/error.hpp>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "../data/files.hpp"

using Bytes = std::vector<uint8_t>;

/// Inputs that are right, to start from.
std::vector<Bytes> seeds();

/// Does something with an input, and ends the process when the library does other than it promises.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

[[noreturn]] inline void broken(const std::string& what) {
  std::fprintf(stderr, "broken promise: %s\n", what.c_str());
  std::abort();
}
inline void promise(bool holds, const char* what) {
  if (!holds) broken(what);
}

/// Whether f returns. It may throw an E whose text begins with `start`, and nothing else.
template <class E, class F>
bool succeeds(std::string_view start, const F& f) {
  try {
    f();
    return true;
  } catch (const E& error) {
    if (!std::string_view(error.what()).starts_with(start)) broken("an error that begins " + std::string(error.what()));
  } catch (const std::exception& error) {
    broken("an exception of another kind: " + std::string(error.what()));
  }
  return false;
}

/// A directory for files that are written anew for each input: in memory where there is such a place, as saving waits
/// for the disk.
inline const TemporaryDirectory& directory() {
  if (std::filesystem::is_directory("/dev/shm")) setenv("TMPDIR", "/dev/shm", 0);
  static const TemporaryDirectory made;
  return made;
}
inline std::string file_of(const char* name, const Bytes& bytes) {
  std::string path = directory() / name;
  write_plain(path, bytes);
  return path;
}
