#include <cotangent/tensor/processor_internal.hpp>

#include <catch2/catch.hpp>
#include <fstream>
#include <string>

using cotangent::raw::processor;

namespace {

/// The first number of a file, in bytes where a K follows it; or 0 where the system has no such file.
int64_t number_in(const std::string& path) {
  std::ifstream file(path);
  int64_t number = 0;
  char unit = 0;
  if (file >> number && file >> unit && unit == 'K') number <<= 10;
  return file || file.eof() ? number : 0;
}

}  // namespace

TEST_CASE("the facts of the processor are in order, and cut up what other files ask for") {
  const auto& p = processor();
  CHECK(p.first_cache >= cotangent::raw::kLeastFirstCache);
  CHECK(p.second_cache > p.first_cache);
  CHECK(p.last_cache >= p.second_cache);
  CHECK((p.page >= 4096 && (p.page & (p.page - 1)) == 0));
  CHECK((p.huge_page > p.page && p.huge_page % p.page == 0));
  CHECK((p.stays_in_first() > p.first_cache / 2 && p.stays_in_first() < p.first_cache));
  CHECK((p.streams_from() >= p.second_cache / 2 && p.streams_from() <= 16 << 20));
}

TEST_CASE("the facts of the processor are those of the system") {
  const auto& p = processor();
  const std::string caches = "/sys/devices/system/cpu/cpu0/cache/index";
  const int64_t first = number_in(caches + "0/size"), second = number_in(caches + "2/size"),
                huge = number_in("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size");
  if (first > 0) CHECK(p.first_cache == first);
  if (second > 0) CHECK(p.second_cache == second);
  if (huge > 0) CHECK(p.huge_page == huge);
}
