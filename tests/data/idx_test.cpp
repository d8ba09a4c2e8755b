#include <cotangent/data/idx.hpp>

#include <catch2/catch.hpp>

#include "files.hpp"

#include <cotangent/tests/values.hpp>

using namespace cotangent;
using data::read_idx;

TEST_CASE("read_idx reads plain and compressed files") {
  TemporaryDirectory directory;
  const auto bytes = idx_header(0x08, {2, 3}) + std::vector<uint8_t>{1, 2, 3, 4, 5, 255};
  write_plain(directory / "a", bytes);
  write_gzip(directory / "a.gz", bytes);
  for (const char* name : {"a", "a.gz"}) {
    const Tensor x = read_idx(directory / name);
    CHECK(x.shape() == Shape{2, 3});
    CHECK(x.dtype() == uint8);
    CHECK(x.to_vector<uint8_t>() == std::vector<uint8_t>{1, 2, 3, 4, 5, 255});
  }
}

TEST_CASE("read_idx reads every element type, big-endian") {
  TemporaryDirectory directory;
  auto read = [&](uint8_t type, uint32_t count, const std::vector<uint8_t>& elements) {
    write_plain(directory / "x", idx_header(type, {count}) + elements);
    return read_idx(directory / "x");
  };
  CHECK(read(0x09, 2, {0xff, 5}).to_vector<int32_t>() == std::vector<int32_t>{-1, 5});
  CHECK(read(0x0B, 2, {0xff, 0xfe, 1, 2}).to_vector<int32_t>() == std::vector<int32_t>{-2, 258});
  CHECK(read(0x0C, 1, {0x80, 0, 0, 1}).to_vector<int32_t>() == std::vector<int32_t>{-2147483647});
  CHECK(read(0x0D, 1, {0xbf, 0x80, 0, 0}).to_vector<float>() == std::vector<float>{-1});
  CHECK(read(0x0E, 1, {0x40, 0x09, 0x21, 0xfb, 0x54, 0x44, 0x2d, 0x18}).item() == 3.14159265358979312);
  CHECK(read(0x08, 0, {}).numel() == 0);
  write_plain(directory / "scalar", idx_header(0x08, {}) + std::vector<uint8_t>{7});
  CHECK(read_idx(directory / "scalar").item() == 7);
}

TEST_CASE("read_idx says what is wrong with a file") {
  TemporaryDirectory directory;
  const auto message = [&](const std::string& name) -> std::string {
    try {
      read_idx(directory / name);
    } catch (const IOError& error) {
      return error.what();
    }
    return "nothing thrown";
  };
  const auto good = idx_header(0x08, {2, 3}) + std::vector<uint8_t>(6, 9);
  CHECK_THAT(message("missing"), Catch::Contains("cannot be opened: No such file"));
  write_plain(directory / "empty", {});
  CHECK_THAT(message("empty"), Catch::Contains("holds 0 bytes"));
  write_plain(directory / "magic", {'P', 'K', 3, 4, 0, 0});
  CHECK_THAT(message("magic"), Catch::Contains("is no IDX file: it starts with 0x50 0x4b 0x03 0x04"));
  write_plain(directory / "type", idx_header(0x0A, {1}) + std::vector<uint8_t>{1});
  CHECK_THAT(message("type"), Catch::Contains("is no IDX file"));
  write_plain(directory / "rank", {0, 0, 8, 200, 0, 0, 0, 1});
  CHECK_THAT(message("rank"), Catch::Contains("is no IDX file"));
  write_plain(directory / "sizes", {0, 0, 8, 3, 0, 0, 0, 1});
  CHECK_THAT(message("sizes"), Catch::Contains("ends early: it holds 8 bytes, and the sizes alone take 16"));
  write_plain(directory / "short", {good.begin(), good.end() - 1});
  CHECK_THAT(message("short"), Catch::Contains("ends early: elements of shape (2, 3) take 6 bytes, and it holds 5"));
  write_plain(directory / "long", good + std::vector<uint8_t>{1});
  CHECK_THAT(message("long"), Catch::Contains("is too long: elements of shape (2, 3) take 6 bytes, and it holds 7"));
  write_plain(directory / "huge", idx_header(0x0E, {0xffffffff, 0xffffffff, 0xffffffff}));
  CHECK_THAT(message("huge"), Catch::Contains("ends early") && Catch::Contains("too many bytes"));

  std::vector<uint8_t> noise(5000);
  for (size_t i = 0; i < noise.size(); ++i) noise[i] = static_cast<uint8_t>(i * i * 2654435761u >> 7);
  write_gzip(directory / "good.gz", idx_header(0x08, {5000}) + noise);
  auto compressed = read_all(directory / "good.gz");
  CHECK(read_idx(directory / "good.gz").numel() == 5000);
  write_plain(directory / "cut.gz",
              {compressed.begin(), compressed.begin() + static_cast<std::ptrdiff_t>(compressed.size() / 2)});
  CHECK_THAT(message("cut.gz"), Catch::Contains("the compressed data are cut off"));
  compressed[compressed.size() / 2] ^= 0x40;
  write_plain(directory / "damaged.gz", compressed);
  CHECK_THAT(message("damaged.gz"), Catch::Contains("is damaged"));
  CHECK_THAT(message("."), Catch::Contains("is no regular file but a directory"));
}

TEST_CASE("read_idx takes from a compressed file what its header promises, and no more") {
  TemporaryDirectory directory;
  const auto header = idx_header(0x0B, {50'000, 3});  // more than is read at a time
  std::vector<uint8_t> elements(300'000);
  for (size_t i = 0; i < elements.size(); ++i) elements[i] = static_cast<uint8_t>(i * i >> 3);
  write_gzip(directory / "good", header + elements);
  const auto values = read_idx(directory / "good").to_vector<int32_t>();
  REQUIRE(values.size() == 150'000);
  for (size_t i = 0; i < values.size(); i += 7)
    REQUIRE(values[i] == static_cast<int16_t>(elements[2 * i] << 8 | elements[2 * i + 1]));

  const auto message = [&](const std::vector<uint8_t>& bytes) {
    write_gzip(directory / "x", bytes);
    return error_of([&] { read_idx(directory / "x"); });
  };
  using Catch::Contains;
  elements.pop_back();
  CHECK_THAT(message(header + elements), Contains("ends early: elements of shape (50000, 3) take 300000 bytes, and it "
                                                  "holds 299999"));
  CHECK_THAT(message(header + elements + std::vector<uint8_t>(2)), Contains("is too long") && Contains("holds more"));
  CHECK_THAT(message(idx_header(0x0E, {0xffffffff})), Contains("ends early") && Contains("it holds at most"));
  CHECK_THAT(message(idx_header(0x0E, {0xffffffff, 0xffffffff, 0xffffffff, 0})), Contains("too many bytes"));
  CHECK_THAT(message(idx_header(0x0E, {0, 0xffffffff, 0xffffffff, 0xffffffff})), Contains("too many bytes"));
  CHECK_THAT(message(idx_header(0x09, {0, 0xffffffff, 0xffffffff})), Contains("too many bytes"));  // found by fuzz_idx
  CHECK_THAT(message({0, 0, 8}), Contains("holds 3 bytes"));
  CHECK_THAT(message({0, 0, 8, 2, 0, 0, 0, 1}), Contains("holds 8 bytes, and the sizes alone take 12"));

  // 256 MB of zeros in 250 kB, where 6 bytes are promised
  write_gzip(directory / "bomb", idx_header(0x08, {2, 3}) + std::vector<uint8_t>(size_t{1} << 28));
  const LittleMemory little(size_t{1} << 26);
  CHECK_THAT(error_of([&] { read_idx(directory / "bomb"); }), Contains("is too long"));
}
