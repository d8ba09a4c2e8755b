#include "command_line.hpp"

#include <cmath>
#include <cstdlib>
#include <regex>
#include <stdexcept>

#include <CLI/CLI.hpp>
#include <cotangent/tensor/parallel.hpp>

struct CommandLine::Parser : CLI::App {
  using App::App;
  std::string title;

  template <class T>
  CLI::Option* option(const std::string& name, T& value, const char* help) {
    CLI::Option* option = add_option(name, value, help)->capture_default_str();
    if (!title.empty()) option->group(title);
    return option;
  }
};

namespace {

/// CLI11's own validators name the bounds with all 308 digits.
CLI::Validator within(Range range) {
  const bool open = range.high == Range{}.high;
  std::string what = range.low == kPositive.low ? "more than 0" : "at least " + CLI::detail::to_string(range.low);
  if (!open) what += ", at most " + CLI::detail::to_string(range.high);
  const auto check = [range, what](const std::string& text) {
    const double value = std::strtod(text.c_str(), nullptr);
    return value >= range.low && value <= range.high ? std::string() : text + " is not allowed; expected " + what;
  };
  return CLI::Validator(check, what);
}

}  // namespace

CommandLine::CommandLine(const char* program, const char* description, int threads)
    : parser_(new Parser(description, program)), program_(program), threads_(threads) {
  parser_->add_option("--threads", threads_, "Threads (default: all cores)")->check(within(kPositive));
}
CommandLine::~CommandLine() { delete parser_; }

template <class T>
void CommandLine::add(const std::string& name, T& value, const char* help, Range range) {
  CLI::Option* option = parser_->option(name, value, help);
  if (range.low != Range{}.low || range.high != Range{}.high) option->check(within(range));
}
template void CommandLine::add(const std::string&, int&, const char*, Range);
template void CommandLine::add(const std::string&, int64_t&, const char*, Range);
template void CommandLine::add(const std::string&, uint64_t&, const char*, Range);
template void CommandLine::add(const std::string&, double&, const char*, Range);

void CommandLine::add(const std::string& name, std::string& value, const char* help) {
  parser_->option(name, value, help);
}
void CommandLine::add(const std::string& name, std::vector<std::string>& values, const char* help) {
  parser_->option(name, values, help);
}
void CommandLine::add(const std::string& name, bool& flag, const char* help) {
  CLI::Option* option = parser_->add_flag(name, flag, help);
  if (!parser_->title.empty()) option->group(parser_->title);
}
void CommandLine::allow(const std::string& name, const std::vector<std::string>& choices) {
  parser_->get_option(name)->check(CLI::IsMember(choices));
}
void CommandLine::group(const char* title) { parser_->title = title; }

bool CommandLine::parse(int argc, char** argv, int& code) {
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
