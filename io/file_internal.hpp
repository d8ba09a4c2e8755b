// Private: how files are opened, read and replaced. `who` is the function that the user called: errors bear its name.
#pragma once
#include <sys/stat.h>

#include <exception>
#include <new>
#include <optional>
#include <string>
#include <string_view>

#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::io {

/// Calls f. What the standard library throws in it, or a function that the user did not call, leaves as an IOError.
template <class F>
auto with_errors(const char* who, const std::string& path, const F& f) -> decltype(f()) {
  try {
    return f();
  } catch (const Error& error) {
    if (std::string_view(error.what()).starts_with(fmt::format("[{}]", who))) throw;
    fail<IOError>("[{}] {}: {}", who, path, error.what());
  } catch (const std::bad_alloc&) {
    fail<IOError>("[{}] there is not enough memory for {}", who, path);
  } catch (const std::exception& error) {
    fail<IOError>("[{}] {}: {}", who, path, error.what());
  }
}

/// What a file is that starts so, in words: "a zip archive, as torch.save and numpy.savez write"; nullptr when it is
/// nothing that we know. Asked after it has turned out not to be what was wanted.
const char* kind_of(std::string_view start);

/// What the system knows an open file by; closed at the end.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor();
  operator int() const { return number_; }  // -1 where opening failed

 private:
  int number_;
};

/// A regular file that is read. An IOError for one that is missing, and for all else that has a name: a FIFO or a
/// device might block, or never end.
class InputFile {
 public:
  InputFile(const char* who, const std::string& path);
  int descriptor() const { return descriptor_; }
  /// In bytes; 0 for files of /proc, whatever they hold.
  uint64_t size() const { return size_; }
  /// Reads up to `bytes`, fewer at the end of the file alone, and returns how many.
  size_t read(void* to, size_t bytes, uint64_t offset) const;
  /// All of it. An IOError, before memory is taken, when it is larger than what memory_limit() leaves.
  std::string text() const;

 private:
  const char* who_;
  std::string path_;
  Descriptor descriptor_;
  uint64_t size_ = 0;
};

/// A file that is written beside its place under another name, and takes its place at the end or disappears: whoever
/// looks sees the old one or the new one, whole. It keeps the mode of the old one, and where `path` is a symbolic link
/// it takes the place of what that points at. What a process that was killed left beside the place is removed.
class OutputFile {
 public:
  OutputFile(const char* who, const std::string& path);
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  ~OutputFile();
  void write(const void* from, size_t bytes);
  /// Gives the file its place. On return the disk has it.
  void finish();

 private:
  void discard();
  [[noreturn]] void give_up() const;

  const char* who_;
  std::string path_, place_;          // as the user named it, and where it lies
  std::optional<struct ::stat> old_;  // of what lies there
  std::string name_;                  // until the file is finished
  int descriptor_ = -1;
};

}  // namespace cotangent::io
