#include <sys/resource.h>

#include <csignal>
#include <limits>

#include "../data/files.hpp"

#include <catch2/catch.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/io/safetensors.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/random.hpp>
#include <cotangent/tests/values.hpp>

using namespace cotangent;
using Catch::Contains;
using io::read_safetensors;
using io::write_safetensors;

namespace {

std::vector<uint8_t> file_of(const std::string& header, const std::vector<uint8_t>& data) {
  std::vector<uint8_t> bytes;
  for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<uint8_t>(header.size() >> (8 * i)));
  bytes.insert(bytes.end(), header.begin(), header.end());
  return bytes + data;
}
std::vector<uint8_t> from_hex(const std::string& hex) {
  std::vector<uint8_t> bytes;
  for (size_t i = 0; i < hex.size(); i += 2)
    bytes.push_back(static_cast<uint8_t>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  return bytes;
}
std::string header_of(const std::string& path) {
  const auto bytes = read_all(path);
  size_t length = 0;
  std::memcpy(&length, bytes.data(), 8);
  return {bytes.begin() + 8, bytes.begin() + 8 + static_cast<std::ptrdiff_t>(length)};
}

/// What the reader says about a file of this content.
std::string message(const std::vector<uint8_t>& bytes) {
  const TemporaryDirectory directory;
  write_plain(directory / "f", bytes);
  try {
    read_safetensors(directory / "f");
  } catch (const IOError& error) {
    return error.what();
  }
  return "nothing thrown";
}
std::string message(const std::string& header, size_t data = 0) {
  return message(file_of(header, std::vector<uint8_t>(data)));
}

}  // namespace

TEST_CASE("safetensors: what the reference implementation wrote is read") {
  const TemporaryDirectory directory;
  const std::string header =
      R"({"__metadata__":{"format":"pt","who":"Grüße \"q\""},"scalar":{"dtype":"I64","shape":[],"data_offsets":[0,8]},)"
      R"("empty":{"dtype":"F64","shape":[0,4],"data_offsets":[8,8]},"b":{"dtype":"F32","shape":[1,3],"data_offsets":[8,20]},)"
      R"("half":{"dtype":"F16","shape":[2],"data_offsets":[20,24]},"flags":{"dtype":"BOOL","shape":[3],"data_offsets":[24,27]}})";
  write_plain(directory / "f", file_of(header, from_hex("07000000000000000000c03f000000c0000050400038fffb010001")));
  const io::SafeTensors file = read_safetensors(directory / "f");
  CHECK(file.metadata == io::Metadata{{"format", "pt"}, {"who", "Grüße \"q\""}});
  REQUIRE(file.tensors.size() == 5);
  CHECK(file.tensors.begin()->name == "scalar");
  CHECK(file.tensors["scalar"].shape() == Shape{});
  CHECK(file.tensors["scalar"].item<int64_t>() == 7);
  CHECK(file.tensors["empty"].shape() == Shape{0, 4});
  CHECK(file.tensors["empty"].dtype() == float64);
  CHECK(file.tensors["b"].shape() == Shape{1, 3});
  CHECK(file.tensors["b"].to_vector<float>() == std::vector<float>{1.5f, -2.0f, 3.25f});
  CHECK(file.tensors["half"].dtype() == float16);
  CHECK(file.tensors["half"].to_vector<float>() == std::vector<float>{0.5f, -65504.0f});
  CHECK(file.tensors["flags"].to_vector<bool>() == std::vector<bool>{true, false, true});
}

TEST_CASE("safetensors: every dtype comes back bit for bit, in order, from views too") {
  const TemporaryDirectory directory;
  nn::StateDict state;
  const Tensor numbers = randn({3, 4, 5}, float64) * 50;
  for (const Dtype dtype : {boolean, uint8, float16, bfloat16, int32, float32, int64, float64})
    state.add(std::string("t.") + name(dtype), numbers.to(dtype));
  state.add("turned", numbers.permute({2, 0, 1}).slice(0, 1, 4));
  state.add("wide", ones({1}).expand({3, 2}));
  state.add("none", zeros({2, 0, 3}, uint8));
  state.add("one", tensor(std::numeric_limits<double>::quiet_NaN()));
  state.add("\"quoted\"\n\u00e9", zeros({1}));
  const io::Metadata metadata{{"a", ""}, {"b \\ \t", "line\nline"}};
  write_safetensors(directory / "f", state, metadata);
  const io::SafeTensors file = read_safetensors(directory / "f");
  CHECK(file.metadata == metadata);
  REQUIRE(file.tensors.size() == state.size());
  auto expected = state.begin();
  for (const auto& [name, tensor] : file.tensors) {
    INFO(name);
    CHECK(name == expected->name);
    CHECK(tensor.dtype() == expected->tensor.dtype());
    CHECK(tensor.shape() == expected->tensor.shape());
    const Tensor dense = expected->tensor.contiguous();
    const auto bytes = static_cast<size_t>(dense.numel() * item_size(dense.dtype()));
    CHECK(std::memcmp(tensor.raw_data(), dense.raw_data(), bytes) == 0);
    ++expected;
  }

  write_safetensors(directory / "empty", {});
  CHECK(read_safetensors(directory / "empty").tensors.empty());
}

TEST_CASE("safetensors: the header is as the format says, and the data are aligned") {
  const TemporaryDirectory directory;
  const nn::StateDict state{{"flag", ones({3}, boolean)}, {"w", ones({2, 1}, float32)}, {"x", ones({}, float64)}};
  write_safetensors(directory / "f", state, {{"k", "v"}});
  const std::string header = header_of(directory / "f");
  CHECK(header.size() % 8 == 0);
  CHECK(
      header.substr(0, header.find_last_not_of(' ') + 1) ==
      R"({"__metadata__":{"k":"v"},"flag":{"dtype":"BOOL","shape":[3],"data_offsets":[16,19]},)"
      R"("w":{"dtype":"F32","shape":[2,1],"data_offsets":[8,16]},"x":{"dtype":"F64","shape":[],"data_offsets":[0,8]}})");
}

TEST_CASE("safetensors: a damaged file is an error that says where") {
  const TemporaryDirectory directory;
  CHECK_THAT(error_of([&] { read_safetensors(directory / "missing"); }), Contains("cannot be opened: No such file"));
  CHECK_THAT(error_of([&] { read_safetensors(directory.path.string()); }), Contains("is no regular file"));
  CHECK_THAT(error_of([] { read_safetensors("/dev/zero"); }), Contains("is no regular file"));
  CHECK_THAT(message(std::vector<uint8_t>{}), Contains("holds 0 bytes"));
  CHECK_THAT(message(std::vector<uint8_t>{1, 2, 3}), Contains("holds 3 bytes"));
  CHECK_THAT(message(std::vector<uint8_t>(8, 0xff)), Contains("cut short or no safetensors file"));
  CHECK_THAT(message(from_hex("0a00000000000000") + from_hex("7b7d")),
             Contains("takes 10 bytes, and the file holds 10"));
  CHECK_THAT(message(from_hex("0000000000000000")), Contains("does not start with a brace"));
  CHECK_THAT(message(" {}"), Contains("does not start with a brace"));
  CHECK(message("{}   \n") == "nothing thrown");

  CHECK_THAT(message("{"), Contains("is no JSON: it goes wrong at its byte 2"));
  CHECK_THAT(message("{} x"), Contains("is no JSON"));
  CHECK_THAT(message("{\"a\xff\":1}"), Contains("is no JSON"));
  CHECK_THAT(message(R"({"a":1})"), Contains("has a number where it must not be, in a"));
  CHECK_THAT(message(R"({"a":"b"})"), Contains("has a string where"));
  CHECK_THAT(message(R"({"a":[]})"), Contains("has an array where"));
  CHECK_THAT(message(R"({"a":null})"), Contains("has null where"));
  CHECK_THAT(message(R"({"a":{"dtype":true}})"), Contains("has a boolean where"));
  CHECK_THAT(message(R"({"a":{"shape":[-1]}})"), Contains("has a negative number where"));
  CHECK_THAT(message(R"({"a":{"shape":[1.0]}})"), Contains("has a fraction where"));
  CHECK_THAT(message(R"({"a":{"shape":[[1]]}})"), Contains("has an array where"));
  CHECK_THAT(message(R"({"a":{"shape":[{}]}})"), Contains("has an object where"));
  CHECK_THAT(message(R"({"a":{"shape":"1"}})"), Contains("has a string where"));
  CHECK_THAT(message(R"({"a":{"shape":{}}})"), Contains("has an object where"));
  CHECK_THAT(message(R"({"__metadata__":{"a":1}})"), Contains("has a number where it must not be, in __metadata__"));
  CHECK_THAT(message(R"({"__metadata__":{"a":{}}})"), Contains("has an object where"));
  std::string deep = "{\"a\":";
  for (int i = 0; i < 100000; ++i) deep += '[';
  CHECK_THAT(message(deep), Contains("has an array where"));

  const std::string rest = R"("dtype":"U8","shape":[2],"data_offsets":[0,2]})";
  CHECK_THAT(message(R"({"a":{)" + rest + R"(,"a":{)" + rest + "}", 2), Contains("names a twice"));
  CHECK_THAT(message(R"({"__metadata__":{},"__metadata__":{}})"), Contains("names __metadata__ twice"));
  CHECK_THAT(message(R"({"__metadata__":{"a":"b","a":"c"}})"), Contains("has a twice in its metadata"));
  CHECK_THAT(message(R"({"a":{"shape":[1],"shape":[2]}})"), Contains("gives shape of a twice"));
  CHECK_THAT(message(R"({"a":{"stride":[1],)" + rest + "}", 2), Contains("gives a a field stride"));
  CHECK_THAT(message(R"({"a":{"dtype":"U8","shape":[2]}})", 2), Contains("lacks dtype, shape or data_offsets of a"));
  CHECK_THAT(message(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0]}})", 2), Contains("gives 1 offsets for a"));
  CHECK_THAT(message(R"({"a":{"dtype":"F8_E4M3","shape":[2],"data_offsets":[0,2]}})", 2),
             Contains("holds a as F8_E4M3; Cotangent has F64"));
  CHECK_THAT(message(R"({"a":{"dtype":"U8","shape":[1,1,1,1,1,1,1,1,1,1,1,1,1],"data_offsets":[0,1]}})", 1),
             Contains("holds a of rank 13"));
  CHECK_THAT(message(R"({"a":{"dtype":"U8","shape":[9223372036854775808],"data_offsets":[0,1]}})", 1),
             Contains("gives a a dimension of 9223372036854775808"));
}

TEST_CASE("safetensors: offsets must fit the data, the shapes and each other") {
  const auto two = [](const char* a, const char* b, size_t data) {
    return message(std::string(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":)") + a +
                       R"(},"b":{"dtype":"I32","shape":[1],"data_offsets":)" + b + "}}",
                   data);
  };
  CHECK(two("[0,2]", "[2,6]", 6) == "nothing thrown");
  CHECK(two("[4,6]", "[0,4]", 6) == "nothing thrown");
  CHECK_THAT(two("[0,2]", "[1,5]", 6), Contains("b begins at 1 of the data, and the one before ends at 2"));
  CHECK_THAT(two("[0,2]", "[3,7]", 7), Contains("b begins at 3 of the data, and the one before ends at 2"));
  CHECK_THAT(two("[1,3]", "[3,7]", 7), Contains("a begins at 1 of the data, and the one before ends at 0"));
  CHECK_THAT(two("[0,3]", "[3,7]", 7), Contains("a, of U8 (2,), does not fit the offsets 0 to 3"));
  CHECK_THAT(two("[0,2]", "[2,0]", 6), Contains("does not fit the offsets 2 to 0") || Contains("begins at 2"));
  CHECK_THAT(two("[0,2]", "[2,6]", 5), Contains("ends early: its tensors take 6 bytes, and it holds 5"));
  CHECK_THAT(two("[0,2]", "[2,6]", 7), Contains("is too long: its tensors take 6 bytes, and it holds 7"));
  CHECK_THAT(two("[0,2]", "[2,18446744073709551615]", 6), Contains("does not fit the offsets"));
  CHECK_THAT(message(R"({"a":{"dtype":"F64","shape":[4611686018427387904,4],"data_offsets":[0,0]}})"),
             Contains("does not fit the offsets"));  // 2^67 bytes are 0 modulo 2^64
  CHECK_THAT(message(R"({"a":{"dtype":"F64","shape":[0,9223372036854775807],"data_offsets":[0,0]}})"),
             Contains("does not fit the offsets"));
  CHECK_THAT(message(file_of(R"({"a":{"dtype":"BOOL","shape":[2],"data_offsets":[0,2]}})", {1, 2})),
             Contains("a is BOOL, and a byte of it is neither 0 nor 1"));
}

TEST_CASE("safetensors: no change of a byte, and no cut, does more harm than an error") {
  const TemporaryDirectory directory;
  const nn::StateDict state{{"a", randn({2, 3})}, {"b", ones({3}, boolean)}};
  write_safetensors(directory / "f", state, {{"k", "v"}});
  const auto good = read_all(directory / "f");
  const auto survive = [](const std::vector<uint8_t>& bytes) {
    const std::string said = message(bytes);
    CHECK((said == "nothing thrown" || said.starts_with("[read_safetensors]")));
    return said;
  };
  for (size_t length = 0; length < good.size(); ++length)
    CHECK(survive({good.begin(), good.begin() + static_cast<std::ptrdiff_t>(length)}) != "nothing thrown");
  for (size_t i = 0; i < good.size(); ++i)
    for (const int flip : {0x01, 0x10, 0x80}) {
      auto bytes = good;
      bytes[i] = static_cast<uint8_t>(bytes[i] ^ flip);
      survive(bytes);
    }
}

TEST_CASE("safetensors: what cannot be written leaves nothing behind, and what was there") {
  const TemporaryDirectory directory;
  const std::string path = directory / "f";
  const auto files = [&] {
    size_t count = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(directory.path)) ++count;
    return count;
  };
  write_safetensors(path, {{"a", ones({2})}});
  write_safetensors(path, {{"a", zeros({3})}});  // replaced
  CHECK(read_safetensors(path).tensors["a"].numel() == 3);
  CHECK(files() == 1);

  CHECK_THAT(error_of([&] { write_safetensors(directory / "no/f", {}); }), Contains("cannot be written: No such file"));
  CHECK_THAT(error_of([&] { write_safetensors(directory.path.string(), {}); }), Contains("is no regular file"));
  CHECK_THAT(error_of([&] { write_safetensors("/dev/null", {}); }), Contains("is no regular file"));
  CHECK_THAT(error_of([&] { write_safetensors(path, {{"a", Tensor()}}); }), Contains("a is undefined"));
  CHECK_THAT(error_of([&] { write_safetensors(path, {{"__metadata__", ones({1})}}); }), Contains("no tensor can be"));
  CHECK_THAT(error_of([&] { write_safetensors(path, {{"\xff", ones({1})}}); }), Contains("is no UTF-8"));
  CHECK_THAT(error_of([&] { write_safetensors(path, {}, {{"a", "\xc3"}}); }), Contains("is no UTF-8"));

  // A disk that is full at 4096 bytes.
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit small = before;
  small.rlim_cur = 4096;
  setrlimit(RLIMIT_FSIZE, &small);
  const std::string said = error_of([&] { write_safetensors(path, {{"a", zeros({5000})}}); });
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  CHECK_THAT(said, Contains("cannot be written: File too large"));

  CHECK(files() == 1);
  CHECK(read_safetensors(path).tensors["a"].numel() == 3);
}
