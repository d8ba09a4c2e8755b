#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <atomic>
#include <functional>
#include <thread>

#include "../data/files.hpp"

#include <catch2/catch.hpp>
#include <cotangent/data/idx.hpp>
#include <cotangent/data/text.hpp>
#include <cotangent/io/checkpoint.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tests/values.hpp>

using namespace cotangent;
using Catch::Contains;

namespace {

void for_each_reader(const std::function<void(const std::string&, void (*)(const std::string&))>& f) {
  f("[read_safetensors]", [](const std::string& path) { io::read_safetensors(path); });
  f("[load_checkpoint]", [](const std::string& path) { io::load_checkpoint(path); });
  f("[read_idx]", [](const std::string& path) { data::read_idx(path); });
  f("[read_text]", [](const std::string& path) { data::read_text(path); });
}
void touch(const std::string& path) { write_plain(path, {1}); }
mode_t mode_of(const std::string& path) {
  struct stat status {};
  REQUIRE(stat(path.c_str(), &status) == 0);
  return status.st_mode & 07777;
}
size_t count(const std::filesystem::path& directory) {
  return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(directory), {}));
}
void save(const std::string& path, int64_t size = 2) { io::write_safetensors(path, {{"a", ones({size})}}); }
int64_t saved(const std::string& path) { return io::read_safetensors(path).tensors["a"].numel(); }

}  // namespace

TEST_CASE("files: pipes, devices, sockets and directories are errors in every reader") {
  const TemporaryDirectory directory;
  const std::string pipe = directory / "pipe", there = directory / "socket";
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  const int listener = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  there.copy(address.sun_path, sizeof address.sun_path - 1);
  REQUIRE(bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  for_each_reader([&](const std::string& name, void (*read)(const std::string&)) {
    const auto said = [&](const std::string& path) { return error_of([&] { read(path); }); };
    CHECK_THAT(said(pipe), Contains(name) && Contains("is no regular file but a pipe"));
    CHECK_THAT(said("/dev/zero"), Contains(name) && Contains("is no regular file but a device"));
    CHECK_THAT(said("/dev/null"), Contains(name) && Contains("is no regular file but a device"));
    CHECK_THAT(said(directory.path), Contains(name) && Contains("is no regular file but a directory"));
    CHECK_THAT(said(there), Contains(name) && Contains("cannot be opened"));
    CHECK_THAT(said(directory / "missing"), Contains(name) && Contains("cannot be opened: No such file"));
    CHECK_THAT(said(""), Contains(name) && Contains("cannot be opened: No such file"));
    CHECK_THAT(said(std::string(5000, 'x')), Contains(name) && Contains("File name too long"));
    CHECK_THAT(said(directory / "socket/x"), Contains(name) && Contains("Not a directory"));
  });
  close(listener);
}

TEST_CASE("files: not enough memory is an error in every reader") {
  const TemporaryDirectory directory;
  const std::string path = directory / "f";
  const auto size = static_cast<off_t>(1) << 30;
  const auto make = [&](const std::vector<uint8_t>& start) {  // and zeros, which take no room on the disk
    write_plain(path, start);
    REQUIRE(truncate(path.c_str(), size) == 0);
  };
  const auto said = [&](void (*read)(const std::string&)) {
    const LittleMemory little(size_t{1} << 26);
    return error_of([&] { read(path); });
  };
  if (!LittleMemory::works) return;
  make({});
  CHECK_THAT(said([](const std::string& name) { data::read_text(name); }), Contains("[read_text]"));
  make(idx_header(0x08, {static_cast<uint32_t>(size - 8)}));
  CHECK_THAT(said([](const std::string& name) { data::read_idx(name); }), Contains("[read_idx]"));
  std::string header = R"({"a":{"dtype":"U8","shape":[1073741720],"data_offsets":[0,1073741720]}})";
  header.resize(96, ' ');
  std::vector<uint8_t> start(8);
  start[0] = 96;
  make(start + std::vector<uint8_t>(header.begin(), header.end()));
  CHECK_THAT(said([](const std::string& name) { io::read_safetensors(name); }), Contains("[read_safetensors]"));
}

TEST_CASE("files: one that is larger than the memory is an error before memory is taken") {
  struct Limit {
    const int64_t before = memory_limit();
    explicit Limit(int64_t more) { set_memory_limit(memory_stats().current_bytes + more); }
    ~Limit() { set_memory_limit(before); }
  };
  const TemporaryDirectory directory;
  const std::string path = directory / "sparse";
  constexpr off_t size = 1 << 28;
  write_plain(path, {});
  REQUIRE(truncate(path.c_str(), size) == 0);
  const Limit limit(1 << 20);
  CHECK_THROWS_AS(data::read_text(path), IOError);
  const auto room = Contains("has 268435456 bytes, and there is memory for 1048576 (memory_limit())");
  CHECK_THAT(error_of([&] { data::read_text(path); }), Contains("[read_text] ") && room);
  CHECK_THAT(error_of([&] { data::read_fortunes(directory.path); }), Contains("[read_fortunes] ") && room);

  // A text takes more as characters and as tokens than as bytes.
  const std::string text(1 << 19, 'a');
  CHECK_THAT(error_of([&] { data::CharVocabulary{text}; }),
             Contains("[CharVocabulary] there is no memory for 2097152"));
  CHECK_THAT(error_of([&] { data::CharVocabulary("a").encode(text); }), Contains("[encode] there is no memory for"));
}

TEST_CASE("files: those of other formats are called what they are") {
  const TemporaryDirectory directory;
  const std::string path = directory / "model.pt";
  const auto check = [&](const std::string& start, const char* kind) {
    write_plain(path, std::vector<uint8_t>(start.begin(), start.end()));
    for (const bool checkpoint : {false, true})
      CHECK_THAT(error_of([&] { checkpoint ? void(io::load_checkpoint(path)) : void(io::read_safetensors(path)); }),
                 Contains(checkpoint ? "[load_checkpoint] " : "[read_safetensors] ") &&
                     Contains("model.pt is no safetensors file, but " + std::string(kind) + "; ") &&
                     Contains("safetensors.torch.save_file(model.state_dict(), path)"));
  };
  const std::string zeros(100, '\0');
  check("epoch,loss\n1,0.5\n", "text");
  check("abc", "text");
  check("{\"weights\": [1, 2, 3], \"of\": \"a model that somebody saved as JSON, and that is long enough\"}", "text");
  check(
      "Gr\xc3\xbc\xc3\x9f"
      "e aus M\xc3\xbcnchen\n",
      "text");
  check("PK\x03\x04" + std::string("\0\0\x08\x08", 4) + zeros, "a zip archive, as torch.save and numpy.savez write");
  check("\x80\x02\x8a\nl\xfc\x9c" + zeros, "a pickle, as torch.save once wrote");
  check("\x1f\x8b\x08\x08" + std::string("\0\1\2\3", 4) + zeros, "a file that gzip compressed");
  check("\x93NUMPY\x01" + zeros, "an array, as numpy.save writes");
  check("\x89HDF\r\n\x1a\n" + zeros, "an HDF5 file, as Keras writes");
  CHECK_THAT(error_of([&] { data::read_idx(path); }),
             Contains("is no IDX file: it starts with 0x89") && Contains("; it may be an HDF5 file"));

  // What begins like another kind by chance, and is ours.
  std::string header = "{}";
  header.resize(0x8b1f, ' ');
  write_plain(path,
              std::vector<uint8_t>{0x1f, 0x8b, 0, 0, 0, 0, 0, 0} + std::vector<uint8_t>(header.begin(), header.end()));
  CHECK(io::read_safetensors(path).tensors.empty());
}

TEST_CASE("files: metadata of many words are read in a time that grows like their number") {
  const TemporaryDirectory directory;
  std::string header = "{\"__metadata__\":{";
  for (int i = 300'000; i-- > 0;) header += "\"" + std::to_string(1'000'000 + i) + (i > 0 ? "\":\"\"," : "\":\"\"}}");
  std::vector<uint8_t> bytes(8);
  for (size_t i = 0; i < 8; ++i) bytes[i] = static_cast<uint8_t>(header.size() >> (8 * i));
  write_plain(directory / "f", bytes + std::vector<uint8_t>(header.begin(), header.end()));
  const io::SafeTensors file = io::read_safetensors(directory / "f");
  CHECK(file.metadata.size() == 300'000);
  CHECK(file.metadata.begin()->name == "1000000");
}

TEST_CASE("files: saving keeps the mode of what was there") {
  const TemporaryDirectory directory;
  const std::string path = directory / "f";
  const mode_t mask = umask(022);
  save(path);
  CHECK(mode_of(path) == 0644);
  for (const mode_t mode : {0600, 0664, 0444, 0640}) {
    chmod(path.c_str(), mode);
    save(path, mode);
    CHECK(mode_of(path) == mode);
    CHECK(saved(path) == mode);
  }
  umask(mask);
  CHECK(count(directory.path) == 1);
}

TEST_CASE("files: saving follows symbolic links") {
  const TemporaryDirectory directory;
  namespace fs = std::filesystem;
  fs::create_directory(directory / "far");
  save(directory / "far/f");
  fs::create_symlink("f", directory / "far/near");
  fs::create_symlink("far/near", directory / "link");
  fs::create_symlink(directory / "far/new", directory / "to_nothing");
  save(directory / "link", 5);
  CHECK(fs::is_symlink(directory / "link"));
  CHECK(fs::is_symlink(directory / "far/near"));
  CHECK(saved(directory / "far/f") == 5);
  save(directory / "to_nothing", 6);
  CHECK(fs::is_symlink(directory / "to_nothing"));
  CHECK(saved(directory / "far/new") == 6);
  CHECK(count(directory.path) == 3);
  CHECK(count(directory / "far") == 3);

  fs::create_symlink("b", directory / "a");
  fs::create_symlink("a", directory / "b");
  CHECK_THAT(error_of([&] { save(directory / "a"); }), Contains("a symbolic link that leads round in a circle"));
  CHECK_THAT(error_of([&] { saved(directory / "a"); }), Contains("cannot be opened: Too many levels"));
  fs::create_symlink("/dev/null", directory / "device");
  CHECK_THAT(error_of([&] { save(directory / "device"); }), Contains("is no regular file but a device"));
}

TEST_CASE("files: what a killed saving left is gone after the next one, and what lives stays") {
  const TemporaryDirectory directory;
  const std::string path = directory / "f";
  // Left by this process's number, as in a container where numbers repeat, and by others.
  std::vector<std::string> left{path + ".1-1.tmp", path + ".999999999-17.tmp"};
  for (int i = 0; i < 400; ++i)
    left.push_back(path + "." + std::to_string(getpid()) + "-" + std::to_string(i) + ".tmp");
  for (const std::string& name : left) touch(name);
  const std::vector<std::string> others{path + ".tmp", path + "..tmp", path + ".a-1.tmp", path + "x.1-1.tmp",
                                        directory / "g.1-1.tmp"};
  for (const std::string& name : others) touch(name);

  const auto alive = [&] {
    std::vector<int> locked;
    for (const std::string& name : left) {
      locked.push_back(open(name.c_str(), O_RDWR));
      REQUIRE(flock(locked.back(), LOCK_EX) == 0);
    }
    return locked;
  }();
  save(path);
  CHECK(count(directory.path) == 1 + left.size() + others.size());
  for (const int file : alive) close(file);
  save(path, 3);
  CHECK(saved(path) == 3);
  CHECK(count(directory.path) == 1 + others.size());
  for (const std::string& name : others) CHECK(std::filesystem::exists(name));
}

TEST_CASE("files: savings of one file at the same time are each whole", "[threads]") {
  const TemporaryDirectory directory;
  const std::string path = directory / "f";
  std::vector<std::thread> threads;
  std::atomic<int> failures = 0;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 25; ++i) try {
          save(path, 1000 + t);
          if (saved(path) < 1000) ++failures;
        } catch (const Error&) {
          ++failures;
        }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(failures == 0);
  CHECK(count(directory.path) == 1);
}
