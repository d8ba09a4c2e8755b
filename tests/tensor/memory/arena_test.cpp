#include <cotangent/tensor/memory/arena_internal.hpp>

#include <catch2/catch.hpp>
#include <cstring>
#include <vector>

using cotangent::detail::Arenas;

namespace {
constexpr size_t kMega = 1 << 20;
}

TEST_CASE("blocks of an arena stay apart, whatever is taken and given back in between") {
  struct Block {
    char* data;
    size_t bytes;
    unsigned char mark;
  };
  Arenas arenas;
  std::vector<Block> live;
  uint32_t seed = 1;
  const auto random = [&](uint32_t below) { return (seed = seed * 1664525u + 1013904223u) / 65536 % below; };
  const auto intact = [](const Block& b) {  // its ends, which a neighbour would write to
    const auto at = [&](size_t i) { return static_cast<unsigned char>(b.data[i]); };
    return at(0) == b.mark && at(63) == b.mark && at(b.bytes - 1) == b.mark && at(b.bytes / 2) == b.mark;
  };
  int broken = 0, misaligned = 0;
  size_t held = 0;
  for (int i = 0; i < 4000; ++i) {
    if (live.size() < 40 && random(3) > 0) {
      const size_t bytes = 65'537 + random(60'000) * (random(4) == 0 ? 100 : 10);
      Block b{static_cast<char*>(arenas.take(bytes, true)), bytes, static_cast<unsigned char>(i)};
      misaligned += reinterpret_cast<uintptr_t>(b.data) % 64 != 0;
      for (size_t at : {size_t{0}, size_t{63}, bytes / 2, bytes - 1}) b.data[at] = static_cast<char>(b.mark);
      held += Arenas::bytes_of(b.data);
      live.push_back(b);
    } else if (!live.empty()) {
      const size_t which = random(static_cast<uint32_t>(live.size()));
      broken += !intact(live[which]);
      held -= Arenas::bytes_of(live[which].data);
      arenas.give(live[which].data);
      live[which] = live.back(), live.pop_back();
    }
    if (i % 1000 == 999) arenas.trim();
  }
  for (const Block& b : live) broken += !intact(b), held -= Arenas::bytes_of(b.data), arenas.give(b.data);
  CHECK(broken == 0);
  CHECK(misaligned == 0);
  CHECK(held == 0);
  arenas.trim();
  CHECK(arenas.idle_bytes() == 0);
}

TEST_CASE("memory of one size serves every other") {
  Arenas arenas;
  void* parts[8];
  for (void*& p : parts) p = arenas.take(2 * kMega, true);
  for (int i : {1, 3, 5, 7, 0, 2, 6, 4}) arenas.give(parts[i]);  // joined before, behind and on both sides
  CHECK(arenas.idle_bytes() >= int64_t(16 * kMega));
  const auto before = arenas.idle_bytes();
  void* whole = arenas.take(15 * kMega, false);
  REQUIRE(whole);
  CHECK(arenas.idle_bytes() == before - static_cast<int64_t>(Arenas::bytes_of(whole)));
  void* rest = arenas.take(kMega / 2, false);
  REQUIRE(rest);
  CHECK(arenas.mappings() == 1);
  arenas.give(whole), arenas.give(rest);
  CHECK(arenas.idle_bytes() == before);
  arenas.trim();
}

TEST_CASE("a request takes the smallest free block that holds it, and grows the last one") {
  Arenas arenas;
  void* large = arenas.take(8 * kMega, true);
  void* wall = arenas.take(kMega, true);
  void* small = arenas.take(3 * kMega, true);
  void* other_wall = arenas.take(kMega, true);
  arenas.give(large), arenas.give(small);
  CHECK(arenas.take(2 * kMega, false) == small);
  CHECK(arenas.take(7 * kMega, false) == large);
  void* last = arenas.take(kMega, false);
  REQUIRE(last);
  arenas.give(other_wall), arenas.give(last);
  CHECK(arenas.take(30 * kMega, false) < last);  // it begins where the free end began
  CHECK(arenas.take(size_t{1} << 40, false) == nullptr);
  CHECK(arenas.take(100 * kMega, false) == nullptr);  // more than is mapped
  void* mapped = arenas.take(100 * kMega, true);
  REQUIRE(mapped);
  CHECK(arenas.mappings() == 2);
  arenas.give(mapped);
  arenas.trim();  // the second arena is free as a whole
  CHECK(arenas.take(100 * kMega, false) == nullptr);
  static_cast<void>(wall);
}
