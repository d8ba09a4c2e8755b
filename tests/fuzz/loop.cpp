// Runs a fuzzer where there is no libFuzzer:
//
//     fuzz_NAME [--runs N] [--seconds N] [--seed N]    inputs made from the seeds by chance, until the first limit
//     fuzz_NAME FILE...                                these inputs
//
// An input that the fuzzer does not survive is left in the file crash-NUMBER.
#include <chrono>
#include <csignal>
#include <cstring>
#include <random>

#include "fuzz.hpp"

namespace {

using Random = std::mt19937_64;

Bytes input;
uint64_t run = 0;

size_t below(Random& random, size_t n) { return n == 0 ? 0 : random() % n; }

/// Changes bytes in one of the ways that find faults: bits, numbers at an edge, pieces lost, repeated and exchanged.
void mutate(Bytes& bytes, const std::vector<Bytes>& all, Random& random) {
  const size_t at = below(random, bytes.size());
  const auto here = bytes.begin() + static_cast<std::ptrdiff_t>(at);
  const size_t length = below(random, std::min<size_t>(bytes.size() - at, size_t{1} << below(random, 8)) + 1);
  const Bytes piece(here, here + static_cast<std::ptrdiff_t>(length));
  switch (random() % 9) {
    case 0:
      if (!bytes.empty()) *here = static_cast<uint8_t>(*here ^ (1 << random() % 8));
      break;
    case 1:
      if (!bytes.empty()) *here = static_cast<uint8_t>(random());
      break;
    case 2: {  // an edge of the integers, little- or big-endian
      static constexpr uint64_t edges[] = {0,
                                           1,
                                           0x7F,
                                           0x80,
                                           0xFF,
                                           0x7FFF,
                                           0xFFFF,
                                           0x7FFFFFFF,
                                           0x80000000,
                                           0xFFFFFFFF,
                                           uint64_t{1} << 32,
                                           uint64_t{1} << 62,
                                           uint64_t{1} << 63,
                                           ~uint64_t{0}};
      const uint64_t edge = edges[random() % std::size(edges)] + (random() % 3) - 1;
      const size_t width = size_t{1} << random() % 4;
      const bool big = random() % 2 != 0;
      for (size_t i = 0; i < width && at + i < bytes.size(); ++i)
        bytes[at + i] = static_cast<uint8_t>(edge >> (8 * (big ? width - 1 - i : i)));
      break;
    }
    case 3: {  // the same as digits
      static constexpr const char* edges[] = {
          "0",    "-1", "255", "4294967296", "9223372036854775807", "18446744073709551615", "1e9",
          "null", "[]", "{}",  "\""};
      const std::string_view text = edges[random() % std::size(edges)];
      bytes.erase(here, here + static_cast<std::ptrdiff_t>(std::min<size_t>(length, 3)));
      bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(at), text.begin(), text.end());
      break;
    }
    case 4: bytes.erase(here, here + static_cast<std::ptrdiff_t>(length)); break;
    case 5: bytes.insert(here, piece.begin(), piece.end()); break;
    case 6: {
      const auto to = static_cast<std::ptrdiff_t>(below(random, bytes.size() + 1));
      bytes.insert(bytes.begin() + to, piece.begin(), piece.end());
      break;
    }
    case 7: {  // goes on as another seed
      const Bytes& other = all[below(random, all.size())];
      const size_t from = below(random, other.size());
      bytes.resize(at);
      bytes.insert(bytes.end(), other.begin() + static_cast<std::ptrdiff_t>(from), other.end());
      break;
    }
    default: bytes.resize(at); break;
  }
  if (bytes.size() > 1 << 16) bytes.resize(1 << 16);
}

void keep_input() {
  const std::string name = "crash-" + std::to_string(run);
  write_plain(name, input);
  std::fprintf(stderr, "the input is in %s\n", name.c_str());
}

}  // namespace

#if defined(__SANITIZE_ADDRESS__)
extern "C" void __sanitizer_set_death_callback(void (*)());
#endif

int main(int count, char** words) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_set_death_callback(keep_input);
#endif
  std::signal(SIGABRT, [](int) {
    keep_input();
    std::_Exit(1);
  });
  uint64_t runs = ~uint64_t{0}, seed = 1;
  double seconds = 1e9;
  bool files = false;
  for (int i = 1; i < count; ++i) {
    const std::string word = words[i];
    const auto value = [&] { return i + 1 < count ? words[++i] : "0"; };
    if (word == "--runs") {
      runs = std::stoull(value());
    } else if (word == "--seconds") {
      seconds = std::stod(value());
    } else if (word == "--seed") {
      seed = std::stoull(value());
    } else {
      files = true;
      input = read_all(word);
      LLVMFuzzerTestOneInput(input.data(), input.size());
    }
  }
  if (files) return 0;

  const std::vector<Bytes> all = seeds();
  const auto start = std::chrono::steady_clock::now();
  const auto elapsed = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); };
  for (; run < runs && elapsed() < seconds; ++run) {
    if (run < all.size()) {
      input = all[run];
    } else {
      Random random(seed * 0x9E3779B97F4A7C15 + run);
      input = all[below(random, all.size())];
      for (uint64_t changes = 1 + random() % 6; changes > 0; --changes) mutate(input, all, random);
    }
    const Bytes exact(input);  // without room behind it, so that a read past the end shows
    LLVMFuzzerTestOneInput(exact.data(), exact.size());
  }
  std::printf("%s: %llu inputs in %.1f s\n", std::filesystem::path(words[0]).filename().c_str(),
              static_cast<unsigned long long>(run), elapsed());
}
