// Makes calls by chance, with extreme integers, dtypes and layouts, of all functions that take sizes and of the op
// table:
//
//     fuzz_calls [--runs N] [--seconds N] [--seed N] [--first N]    until the first limit; --first repeats a run
//
// Each must return within seconds or throw a cotangent::Error that begins with the name of a function. One that does
// not ends the program, which says which run of which call it was.
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "calls.hpp"

using namespace cotangent;

namespace {

const char* now = "nothing";
int64_t run = 0;

void died(int signal) {
  char text[200];
  const int length = std::snprintf(text, sizeof text, "run %lld, a call of %s, ended by signal %d (%s)\n",
                                   static_cast<long long>(run), now, signal, strsignal(signal));
  static_cast<void>(!write(2, text, static_cast<size_t>(length)));
  _exit(1);
}

// A sample of the op table with other dtypes and layouts, integers among them that are extreme, and its gradient.
void call_op(const OpInfo& op, Draw& draw) {
  const Sample& sample = op.samples[static_cast<size_t>(draw.below(static_cast<int64_t>(op.samples.size())))];
  Tensors inputs = make_inputs(sample.inputs, static_cast<uint64_t>(draw.below(1 << 20)));
  for (Tensor& x : inputs) {
    if (x.dtype() == int64 && x.numel() > 0 && draw.below(2)) {
      x = x.clone();
      x.data<int64_t>()[draw.below(x.numel())] = draw.integer();
    }
    if (draw.below(4) == 0) x = draw.varied(x);
  }
  if (draw.below(2))
    sample.call(inputs);
  else
    evaluate(sample, inputs, draw.below(2));
}

}  // namespace

int main(int count, char** words) {
  int64_t runs = INT64_MAX;
  uint64_t seed = 1;
  double seconds = 1e9;
  for (int i = 1; i < count; i += 2) {
    const std::string word = words[i], value = i + 1 < count ? words[i + 1] : "";
    if (word == "--runs" && !value.empty()) {
      runs = std::stoll(value);
    } else if (word == "--seconds" && !value.empty()) {
      seconds = std::stod(value);
    } else if (word == "--seed" && !value.empty()) {
      seed = std::stoull(value);
    } else if (word == "--first" && !value.empty()) {
      run = std::stoll(value);
    } else {
      std::printf("fuzz_calls [--runs N] [--seconds N] [--seed N] [--first N]\n");
      return word == "--help" ? 0 : 2;
    }
  }
  for (int signal : {SIGALRM, SIGFPE, SIGBUS, SIGILL}) std::signal(signal, died);
#ifndef __SANITIZE_ADDRESS__
  std::signal(SIGSEGV, died);
  std::signal(SIGABRT, died);
#endif
  set_memory_limit(int64_t{256} << 20);
  const auto start = std::chrono::steady_clock::now();
  const auto elapsed = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); };
  const auto first = run;
  int64_t errors = 0;
  for (runs = runs > INT64_MAX - first ? INT64_MAX : first + runs; run < runs && elapsed() < seconds; ++run) {
    Draw draw(seed * 0x9e3779b97f4a7c15u + static_cast<uint64_t>(run));
    const bool of_table = draw.below(3) == 0;
    const OpInfo& op = op_table()[static_cast<size_t>(draw.below(static_cast<int64_t>(op_table().size())))];
    const Call& call = calls()[static_cast<size_t>(draw.below(static_cast<int64_t>(calls().size())))];
    now = of_table ? op.name : call.name;
    alarm(30);
    try {
      if (of_table)
        call_op(op, draw);
      else
        call.make(draw);
    } catch (const Error& error) {
      ++errors;
      if (error.what()[0] != '[') {
        std::fprintf(stderr, "run %lld, a call of %s: the error does not begin with a name: %s\n",
                     static_cast<long long>(run), now, error.what());
        return 1;
      }
    } catch (const std::exception& other) {
      std::fprintf(stderr, "run %lld, a call of %s, throws what is no Error: %s\n", static_cast<long long>(run), now,
                   other.what());
      return 1;
    }
  }
  alarm(0);
  std::printf("fuzz_calls: %lld calls, of which %lld were refused, in %.1f s\n", static_cast<long long>(run - first),
              static_cast<long long>(errors), elapsed());
}
