#include <cotangent/io/file_internal.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include <cotangent/tensor/memory/allocator.hpp>

namespace cotangent::io {
namespace {

namespace fs = std::filesystem;

/// An IOError for what is no regular file.
void check_regular(const char* who, const std::string& path, mode_t mode) {
  if (S_ISREG(mode)) return;
  fail<IOError>("[{}] {} is no regular file but {}", who, path,
                S_ISDIR(mode)    ? "a directory"
                : S_ISFIFO(mode) ? "a pipe"
                : S_ISSOCK(mode) ? "a socket"
                                 : "a device");
}

bool is_text(std::string_view start) {
  return std::all_of(start.begin(), start.end(), [](char c) {
    const auto byte = static_cast<uint8_t>(c);
    return (byte >= 0x20 && byte != 0x7F && byte < 0xF5) || (byte >= '\t' && byte <= '\r');
  });
}

/// What a chain of symbolic links points at, be it there or not.
fs::path behind_links(const char* who, fs::path path) {
  for (int links = 0; links < 40; ++links) {
    std::error_code none;
    const fs::path to = fs::read_symlink(path, none);
    if (none) return path;
    path = path.parent_path() / to;
  }
  fail<IOError>("[{}] {} is a symbolic link that leads round in a circle", who, path.string());
}

fs::path directory_of(const fs::path& path) { return path.has_parent_path() ? path.parent_path() : fs::path("."); }

constexpr const char* kEnding = ".tmp";  // of a file that is not finished: PLACE.PROCESS-COUNT.tmp

/// Removes the unfinished files of savings that were killed. One that goes on holds the lock on its own.
void remove_left_over(const fs::path& place) {
  const std::string start = place.filename().string() + ".";
  std::error_code error;
  for (fs::directory_iterator at(directory_of(place), error), end; !error && at != end; at.increment(error)) {
    const fs::path& path = at->path();
    const std::string name = path.filename().string();
    if (!name.starts_with(start) || !name.ends_with(kEnding) || name.size() <= start.size() + std::strlen(kEnding) ||
        name.find_first_not_of("0123456789-", start.size()) != name.size() - std::strlen(kEnding))
      continue;
    const Descriptor file(open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (file >= 0 && flock(file, LOCK_EX | LOCK_NB) == 0) unlink(path.c_str());
  }
}

/// Locks a new file; false when another process took it for left over before that. Where the file system has no locks,
/// nobody does.
bool claim(int file) {
  if (flock(file, LOCK_EX | LOCK_NB) != 0) return errno != EWOULDBLOCK;
  struct stat status {};
  return fstat(file, &status) == 0 && status.st_nlink > 0;
}

}  // namespace

const char* kind_of(std::string_view start) {
  constexpr std::pair<std::string_view, const char*> kinds[] = {
      {"PK\x03\x04", "a zip archive, as torch.save and numpy.savez write"},
      {"\x80\x02", "a pickle, as torch.save once wrote"},
      {"\x80\x03", "a pickle"},
      {"\x80\x04", "a pickle"},
      {"\x80\x05", "a pickle"},
      {"\x93NUMPY", "an array, as numpy.save writes"},
      {"\x89HDF", "an HDF5 file, as Keras writes"},
      {"GGUF", "a GGUF file, as llama.cpp reads"},
      {"\x1F\x8B", "a file that gzip compressed"},
  };
  for (const auto& [beginning, what] : kinds)
    if (start.starts_with(beginning)) return what;
  return !start.empty() && is_text(start) ? "text" : nullptr;
}

Descriptor::~Descriptor() {
  if (number_ >= 0) close(number_);
}

InputFile::InputFile(const char* who, const std::string& path)
    : who_(who),
      path_(path),
      descriptor_(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)) {  // a pipe would wait for a writer
  struct stat status {};
  if (descriptor_ < 0 || fstat(descriptor_, &status) != 0)
    fail<IOError>("[{}] {} cannot be opened: {}", who, path, std::strerror(errno));
  check_regular(who, path, status.st_mode);
  size_ = static_cast<uint64_t>(status.st_size);
}

size_t InputFile::read(void* to, size_t bytes, uint64_t offset) const {
  size_t done = 0;
  while (done < bytes) {
    const ssize_t n = pread(descriptor_, static_cast<char*>(to) + done, std::min(bytes - done, size_t{1} << 30),
                            static_cast<off_t>(offset + done));
    if (n == 0) break;
    if (n > 0)
      done += static_cast<size_t>(n);
    else if (errno != EINTR)
      fail<IOError>("[{}] {} cannot be read: {}", who_, path_, std::strerror(errno));
  }
  return done;
}

std::string InputFile::text() const {
  const int64_t room = std::max<int64_t>(memory_limit() - memory_stats().current_bytes, 0);
  if (size_ > static_cast<uint64_t>(room))  // the system might give the memory, and end the process when it is written
    fail<IOError>("[{}] {} has {} bytes, and there is memory for {} (memory_limit())", who_, path_, size_, room);
  std::string all(size_, '\0');
  all.resize(read(all.data(), all.size(), 0));
  char more[4096];
  while (const size_t n = read(more, sizeof more, all.size())) all.append(more, n);
  return all;
}

OutputFile::OutputFile(const char* who, const std::string& path)
    : who_(who), path_(path), place_(behind_links(who, path).string()) {
  if (struct stat status{}; stat(place_.c_str(), &status) == 0) {
    check_regular(who, path, status.st_mode);
    old_ = status;
  }
  remove_left_over(place_);
  static std::atomic<unsigned> count = 0;
  do {
    discard();
    name_ = fmt::format("{}.{}-{}{}", place_, getpid(), ++count, kEnding);
    descriptor_ = open(name_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, old_ ? 0600 : 0666);
    if (descriptor_ < 0 && errno != EEXIST) give_up();
  } while (descriptor_ < 0 || !claim(descriptor_));
}

OutputFile::~OutputFile() { discard(); }

void OutputFile::discard() {
  if (descriptor_ < 0) return;
  if (!name_.empty()) unlink(name_.c_str());
  close(std::exchange(descriptor_, -1));
}

void OutputFile::give_up() const { fail<IOError>("[{}] {} cannot be written: {}", who_, path_, std::strerror(errno)); }

void OutputFile::write(const void* from, size_t bytes) {
  const char* p = static_cast<const char*>(from);
  while (bytes > 0) {
    const ssize_t n = ::write(descriptor_, p, std::min<size_t>(bytes, size_t{1} << 30));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) give_up();
    p += n, bytes -= static_cast<size_t>(n);
  }
}

void OutputFile::finish() {
  if (old_) {  // the owner as far as we may
    [[maybe_unused]] const bool kept =
        fchown(descriptor_, old_->st_uid, old_->st_gid) == 0 || fchown(descriptor_, uid_t(-1), old_->st_gid) == 0;
    if (fchmod(descriptor_, old_->st_mode & 07777) != 0) give_up();
  }
  if (fsync(descriptor_) != 0 || rename(name_.c_str(), place_.c_str()) != 0) give_up();
  name_.clear();
  const Descriptor directory(open(directory_of(place_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory >= 0 && fsync(directory) != 0 && errno != EINVAL) give_up();  // EINVAL: not on this file system
}

}  // namespace cotangent::io
