// The command line of a program, by CLI11, which takes seconds to compile and is therefore seen by command_line.cpp
// alone.
#pragma once
#include <cstdint>
#include <cstdio>
#include <exception>
#include <functional>
#include <limits>
#include <string>
#include <vector>

/// The numbers that an option takes.
struct Range {
  double low = std::numeric_limits<double>::lowest(), high = std::numeric_limits<double>::max();
};
inline constexpr Range kPositive{std::numeric_limits<double>::denorm_min()}, kNotNegative{0};

/// The options of a program: each writes to a variable, whose value before is the default that --help shows.
///
///     CommandLine options("fashion_mnist", "Trains a small convolutional network.");
///     options.add("--epochs", epochs, "Passes over the training images", kPositive);
///     return options.run(argc, argv, [&] { train(epochs); });
///
/// Each program has --threads too.
class CommandLine {
 public:
  /// `threads` of 0: one for each core.
  CommandLine(const char* program, const char* description, int threads = 0);
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;
  ~CommandLine();

  /// A number: int, int64_t, uint64_t or double.
  template <class T>
  void add(const std::string& name, T& value, const char* help, Range range = {});
  void add(const std::string& name, std::string& value, const char* help);
  void add(const std::string& name, std::vector<std::string>& values, const char* help);
  /// Without a value: true when it is given. One that is true by itself is made false by --no-NAME.
  void add(const std::string& name, bool& flag, const char* help);
  /// Names of whole sets of values: f(name) writes them, before those of other options, wherever it is given.
  void preset(const std::string& name, const std::vector<std::string>& choices, const char* help,
              const std::function<void(const std::string&)>& f);
  /// The texts that an option takes, which --help lists.
  void allow(const std::string& name, const std::vector<std::string>& choices);
  /// The title in --help of the options that follow.
  void group(const char* title);

  /// Reads the command line and does the work. What that throws ends the program with `program: message`.
  template <class F>
  int run(int argc, char** argv, F work) {
    int code = 0;
    if (!parse(argc, argv, code)) return code;
    try {
      work();
      return 0;
    } catch (const std::exception& error) {
      std::fprintf(stderr, "%s: %s\n", program_, error.what());
      return 1;
    }
  }

 private:
  bool parse(int argc, char** argv, int& code);

  struct Parser;
  Parser* parser_;
  const char* program_;
  int threads_;
};

/// Throws when the loss of this step of a training is NaN: what follows would be for nothing.
void check_loss(double loss, int64_t step);
/// Whether a regular expression is found in a text. Throws when it is none.
bool finds(const std::string& expression, const std::string& text);
/// "a, b, c"
std::string joined(const std::vector<std::string>& names);
