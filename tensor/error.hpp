#pragma once
#include <exception>
#include <string>

namespace cotangent {

/// The base of everything the library throws. A message reads
///
///     [op] what is wrong, with the shapes; what would be right
///
/// and gains ` (in blocks.2.attention)` when it passes through a named module.
class Error : public std::exception {
 public:
  explicit Error(std::string message);
  const char* what() const noexcept override;

  /// Adds text to the message.
  void append(const std::string& text);
  /// Notes that the error leaves `module`, in which the module that it left before is called `name` (empty: nobody
  /// knows).
  void leave(const void* module, const std::string& name);
  /// The module that the error left last.
  const void* module() const noexcept { return module_; }

 private:
  std::string message_;
  size_t length_;  // of the message without the path
  std::string path_;
  const void* module_ = nullptr;
};

/// Shapes that do not fit together, or a rank that an op does not take.
struct ShapeError : Error {
  using Error::Error;
};
/// A dtype that an op does not take.
struct DTypeError : Error {
  using Error::Error;
};
/// An index or a dimension out of range.
struct IndexError : Error {
  using Error::Error;
};
/// Differentiation that is not possible: no history, freed history, an in-place write on a saved tensor.
struct GradError : Error {
  using Error::Error;
};
/// A file that is missing, truncated or corrupt.
struct IOError : Error {
  using Error::Error;
};
/// Any other argument outside its domain.
struct ValueError : Error {
  using Error::Error;
};

}  // namespace cotangent
