// cotangent-gradcheck: checks the gradient rules of the op table, and prints a row for each op.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <mutex>
#include <numeric>
#include <thread>

#include <cotangent/examples/common/command_line.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/parallel.hpp>
#include <cotangent/tests/autograd/op_check.hpp>

namespace ct = cotangent;

namespace {

struct Options {
  std::vector<std::string> ops, families;
  std::string json;
  bool list = false;
  int order = 2;
  uint64_t seed = 1;
};

/// How many letters must be changed, added or left out to make one word of the other.
size_t distance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t changed = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({changed, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

/// Throws unless each of the names is among those that there are.
void check_names(const char* what, const std::vector<std::string>& names, const std::vector<std::string>& known) {
  for (const std::string& name : names) {
    const auto nearer = [&](const std::string& a, const std::string& b) {
      return distance(name, a) < distance(name, b);
    };
    const std::string& nearest = *std::min_element(known.begin(), known.end(), nearer);
    if (nearest != name)
      ct::fail<ct::ValueError>("there is no {} {}; did you mean {}? (--list shows all)", what, name, nearest);
  }
}

bool among(const std::vector<std::string>& names, const char* name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::vector<const ct::OpInfo*> chosen(const Options& options) {
  std::vector<std::string> names, families;
  for (const ct::OpInfo& op : ct::op_table()) names.push_back(op.name), families.push_back(op.family);
  check_names("op", options.ops, names);
  check_names("family", options.families, families);
  const bool all = options.ops.empty() && options.families.empty();
  std::vector<const ct::OpInfo*> ops;
  for (const ct::OpInfo& op : ct::op_table())
    if (all || among(options.ops, op.name) || among(options.families, op.family)) ops.push_back(&op);
  return ops;
}

void print_list(const std::vector<const ct::OpInfo*>& ops) {
  std::string family;
  for (const ct::OpInfo* op : ops) {
    if (family != op->family) fmt::print("{}{}:", family.empty() ? "" : "\n", op->family);
    family = op->family;
    fmt::print(" {}", op->name);
  }
  fmt::print("\n");
}

/// A share, such that only all of it is 100.
std::string percent(double share) { return share == 1 ? "100" : fmt::format("{:.2f}", std::min(100 * share, 99.99)); }

constexpr const char* kRow = "{:<38} {:>5} {:>7} {:>8} {:>9} {:>8} {:>10} {:>8}  {}\n";

void print_row(const ct::OpReport& r) {
  if (r.samples == 0) {
    fmt::print("{:<38} {:>5}  has no gradient\n", r.op->name, 0);
    return;
  }
  const std::string order =
      r.order > 2 && r.beyond_second < r.samples ? fmt::format("2-{}", r.order) : std::to_string(r.order);
  std::string verdict = name(r.verdict);
  for (const auto& [reason, count] : r.reasons) verdict += fmt::format("; {} {}", count, reason);
  fmt::print(kRow, r.op->name, order, r.samples, fmt::format("{:.1e}", r.worst_error), percent(r.certified),
             r.smallest_fault > 0 ? fmt::format("{:.1e}", r.smallest_fault) : "-", r.unresolved,
             fmt::format("{:.1f}", 1e3 * r.seconds), verdict);
}

std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (char c : text) {
    if (c == '\n')
      result += "\\n";
    else
      result += (c == '"' || c == '\\') ? fmt::format("\\{}", c) : std::string(1, c);
  }
  return result + '"';
}
std::string number(double value) { return std::isfinite(value) ? fmt::format("{:.6g}", value) : "null"; }

std::string json_row(const ct::OpReport& r) {
  std::string problems, reasons;
  for (const std::string& text : r.problems) problems += (problems.empty() ? "" : ", ") + quoted(text);
  for (const auto& [text, count] : r.reasons)
    reasons += fmt::format("{}{}: {}", reasons.empty() ? "" : ", ", quoted(text), count);
  return fmt::format(
      "{{\"family\": {}, \"op\": {}, \"order\": {}, \"samples\": {}, \"beyond_second\": {}, \"elements\": {}, "
      "\"worst_error\": {}, \"certified\": {}, \"smallest_fault\": {}, \"unresolved\": {}, \"reasons\": {{{}}}, "
      "\"problems\": [{}], \"verdict\": {}, \"seconds\": {}}}",
      quoted(r.op->family), quoted(r.op->name), r.order, r.samples, r.beyond_second, r.elements, number(r.worst_error),
      number(r.certified), number(r.smallest_fault), r.unresolved, reasons, problems,
      r.samples == 0 ? "null" : quoted(name(r.verdict)), number(r.seconds));
}

/// The reports in the order of the ops, each handed to `done` as soon as it and those before it are there.
template <class Done>
std::vector<ct::OpReport> check(const std::vector<const ct::OpInfo*>& ops, const Options& options, Done done) {
  std::vector<ct::OpReport> reports(ops.size());
  std::vector<char> ready(ops.size());
  std::atomic<size_t> next{0};
  std::mutex mutex;
  std::condition_variable changed;
  const auto work = [&] {
    const ct::SingleThreaded guard;  // the tensors are small: what pays is one thread for each op
    for (size_t i; (i = next++) < ops.size();) {
      ct::OpReport report = ct::check_op(*ops[i], options.order, options.seed);
      const std::lock_guard lock(mutex);
      reports[i] = std::move(report);
      ready[i] = true;
      changed.notify_one();
    }
  };
  std::vector<std::jthread> workers;
  for (int i = 0; i < ct::num_threads(); ++i) workers.emplace_back(work);
  for (size_t i = 0; i < ops.size(); ++i) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return ready[i]; });
    done(reports[i]);
  }
  return reports;
}

/// Whether no op failed.
bool run(const Options& options) {
  const std::vector<const ct::OpInfo*> ops = chosen(options);
  if (options.list) {
    print_list(ops);
    return true;
  }
  const bool table = options.json != "-";
  const auto start = std::chrono::steady_clock::now();
  if (table) fmt::print(kRow, "op", "order", "samples", "error", "certified", "fault", "unresolved", "ms", "verdict");
  const std::vector<ct::OpReport> reports = check(ops, options, [&](const ct::OpReport& report) {
    if (table) print_row(report), std::fflush(stdout);
  });
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();

  int counts[3] = {}, without = 0;
  std::string json;
  for (const ct::OpReport& r : reports) {
    (r.samples == 0 ? without : counts[static_cast<int>(r.verdict)]) += 1;
    json += (json.empty() ? "[\n" : ",\n") + json_row(r);
  }
  json += "\n]\n";
  const auto [passed, failed, inconclusive] = counts;
  if (table) {
    fmt::print("\n{} passed, {} failed, {} inconclusive; {} have no gradient; {:.1f} s\n", passed, failed, inconclusive,
               without, seconds);
    for (const ct::OpReport& r : reports) {
      if (!r.reason.empty()) fmt::print("\n{}\n", r.reason);
      for (const std::string& text : r.problems) fmt::print("\n{}\n", text);
    }
  }
  if (options.json == "-") {
    fmt::print("{}", json);
  } else if (!options.json.empty()) {
    std::FILE* file = std::fopen(options.json.c_str(), "w");
    if (!file || std::fputs(json.c_str(), file) < 0 || std::fclose(file) != 0)
      ct::fail<ct::IOError>("{} cannot be written", options.json);
  }
  return failed == 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  bool good = true;
  CommandLine line(
      "cotangent-gradcheck",
      "Compares the gradients of the library's functions with differences, at the samples of the op table, "
      "and prints a row for each op:\n"
      "  order       derivatives that were checked; 2-3: the third of small samples alone\n"
      "  samples     ways to call it\n"
      "  error       the worst relative error\n"
      "  certified   the percentage of elements that were measured to be right\n"
      "  fault       the relative error that would have been caught in any of these\n"
      "  unresolved  elements that could not be measured\n"
      "  verdict     pass, fail or inconclusive; what is wrong, or why nothing can be said, is told below "
      "the table\n"
      "It exits with 1 if an op fails.");
  line.add("--op", options.ops, "These ops only");
  line.add("--family", options.families, "The ops of these families only");
  line.add("--list", options.list, "Print the names of families and ops, and check nothing");
  line.add("--order", options.order, "Derivatives to check; beyond the second of small samples alone", {1, 4});
  line.add("--seed", options.seed, "Of the inputs, cotangents and directions");
  line.add("--json", options.json,
           "Write the rows as JSON to this file; - writes them to the output, instead of a table");
  const int code = line.run(argc, argv, [&] { good = run(options); });
  return good ? code : 1;
}
