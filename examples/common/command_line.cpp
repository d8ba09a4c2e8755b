#include "command_line.hpp"

#include <cmath>
#include <cstdlib>
#include <regex>
#include <sstream>
#include <stdexcept>

#include <CLI/CLI.hpp>
#include <cotangent/tensor/parallel.hpp>

struct CommandLine::Parser : CLI::App {
  using App::App;
  std::string title;

  CLI::Option* titled(CLI::Option* option) {
    if (!title.empty()) option->group(title);
    return option;
  }
  template <class T>
  CLI::Option* option(const std::string& name, T& value, const std::string& help) {
    return titled(add_option(name, value, help));
  }
};

namespace {

constexpr size_t kNames = 26, kHelp = 54;  // columns of --help

/// CLI11's own validators name the bounds with all 308 digits.
std::string in_words(Range range) {
  const std::string least =
      range.low == kPositive.low ? "more than 0" : "at least " + CLI::detail::to_string(range.low);
  return range.high == Range{}.high ? least : least + ", at most " + CLI::detail::to_string(range.high);
}
CLI::Validator within(Range range) {
  const auto check = [range](const std::string& text) {
    const double value = std::strtod(text.c_str(), nullptr);
    return value >= range.low && value <= range.high ? "" : text + " is not allowed; expected " + in_words(range);
  };
  return CLI::Validator(check, "");
}

std::string with_default(const char* help, const std::string& value) {
  return value.empty() ? help : std::string(help) + " (default: " + value + ')';
}

/// In lines that end between words.
std::string wrapped(const std::string& text) {
  std::istringstream words(text);
  std::string result;
  size_t length = 0;
  for (std::string word; words >> word; length += word.size()) {
    if (length > 0 && length + 1 + word.size() > kHelp)
      result += '\n', length = 0;
    else if (length > 0)
      result += ' ', ++length;
    result += word;
  }
  return result;
}

}  // namespace

CommandLine::CommandLine(const char* program, const char* description, int threads)
    : parser_(new Parser(description, program)), program_(program), threads_(threads) {
  parser_->get_formatter()->column_width(kNames);
  parser_->add_option("--threads", threads_, "Threads (default: all cores)")->check(within(kPositive));
}
CommandLine::~CommandLine() { delete parser_; }

template <class T>
void CommandLine::add(const std::string& name, T& value, const char* help, Range range) {
  const bool open = range.high == Range{}.high;
  const std::string bounds = open ? "" : std::string(help) + ", " + in_words(range);
  CLI::Option* option =
      parser_->option(name, value, with_default(open ? help : bounds.c_str(), CLI::detail::to_string(value)));
  if (range.low != Range{}.low || !open) option->check(within(range));
}
template void CommandLine::add(const std::string&, int&, const char*, Range);
template void CommandLine::add(const std::string&, int64_t&, const char*, Range);
template void CommandLine::add(const std::string&, uint64_t&, const char*, Range);
template void CommandLine::add(const std::string&, double&, const char*, Range);

void CommandLine::add(const std::string& name, std::string& value, const char* help) {
  parser_->option(name, value, with_default(help, value));
}
void CommandLine::add(const std::string& name, std::vector<std::string>& values, const char* help) {
  parser_->option(name, values, help);
}
void CommandLine::add(const std::string& name, bool& flag, const char* help) {
  const std::string names = flag ? name + ",!--no-" + name.substr(2) : name;
  parser_->titled(parser_->add_flag(names, flag, help));
}
void CommandLine::preset(const std::string& name, const std::vector<std::string>& choices, const char* help,
                         const std::function<void(const std::string&)>& f) {
  parser_->titled(parser_->add_option_function(name, f, help))->trigger_on_parse();
  allow(name, choices);
}
void CommandLine::allow(const std::string& name, const std::vector<std::string>& choices) {
  CLI::Option* option = parser_->get_option(name);
  option->check(CLI::IsMember(choices).description(""));
  option->description(option->get_description() + "; there are " + joined(choices));
}
void CommandLine::group(const char* title) { parser_->title = title; }

bool CommandLine::parse(int argc, char** argv, int& code) {
  for (CLI::Option* option : parser_->get_options()) option->description(wrapped(option->get_description()));
  try {
    parser_->parse(argc, argv);
  } catch (const CLI::ParseError& error) {  // --help comes here too
    code = parser_->exit(error);
    return false;
  }
  if (threads_ > 0) cotangent::set_num_threads(threads_);
  return true;
}

void check_loss(double loss, int64_t step) {
  if (std::isnan(loss))
    throw std::runtime_error("the loss is nan at step " + std::to_string(step) +
                             "; run it under a DetectAnomaly guard to see which op made the first one");
}

bool finds(const std::string& expression, const std::string& text) {
  return std::regex_search(text, std::regex(expression));
}

std::string joined(const std::vector<std::string>& names) { return CLI::detail::join(names, ", "); }
