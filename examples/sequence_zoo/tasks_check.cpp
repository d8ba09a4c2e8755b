// Whether the examples of the tasks are what tasks.hpp says. Run as a test by --check.
#include <cmath>
#include <cotangent/cotangent.hpp>
#include <set>

#include "../common/markov.hpp"
#include "tasks.hpp"

namespace ct = cotangent;
using ct::Tensor;

namespace {

void expect(bool holds, const std::string& task, const char* what) {
  if (!holds) throw ct::Error("[" + task + "] " + what);
}

struct Rows {  // x and y as numbers
  Rows(const Examples& e)
      : batch(e.x.size(0)), length(e.x.size(1)), x_(e.x.to_vector<double>()), y_(e.y.to_vector<double>()) {}
  int64_t batch, length;
  double x(int64_t b, int64_t t) const { return x_[static_cast<size_t>(b * length + t)]; }
  double y(int64_t b, int64_t t) const { return y_[static_cast<size_t>(b * length + t)]; }

 private:
  std::vector<double> x_, y_;
};

/// The answer at place t of a row from what stands there before it (and, for shift, from nothing else), or kNotAsked.
double answer(const std::string& task, const Rows& rows, int64_t b, int64_t t) {
  if (task == "copy") return t < 20 ? kNotAsked : rows.x(b, t - 20);
  if (task == "shift") return t < 3 ? kNotAsked : rows.x(b, t - 3);
  if (task == "induct") {
    if (t + 1 < rows.length) return kNotAsked;
    for (int64_t s = 0; s + 1 < rows.length; ++s)
      if (rows.x(b, s) == 15) return rows.x(b, s + 1);
  }
  if (task == "mqar") {
    if (t < 2 * rows.length / 3) return kNotAsked;
    for (int64_t s = 0; s < 2 * rows.length / 3; s += 2)
      if (rows.x(b, s) == rows.x(b, t)) return rows.x(b, s + 1);
  }
  if (task == "selcopy") {
    if (t < 38) return kNotAsked;
    int64_t symbols = 0;
    for (int64_t s = 0; s < 38; ++s)
      if (rows.x(b, s) < 8 && symbols++ == t - 38) return rows.x(b, s);
  }
  if (task == "delay") return t < 32 ? kNotAsked : rows.x(b, t - 32);
  if (task == "markov") {
    if (t == 0) return kNotAsked;
    return t + 1 < rows.length ? rows.x(b, t + 1) : rows.y(b, t);
  }
  return -1;
}

void check_source() {
  const MarkovSource source(6, 1);
  const double h = source.entropy_rate(), h1 = source.entropy_after_one(), h0 = source.entropy_of_one();
  expect(h > 0 && h < h1 && h1 < h0 && h0 < std::log(6.0), "markov", "who knows more is surprised less");
  ct::Generator generator(5);
  const Tensor s = source.draw(4096, 66, generator), surprisal = source.surprisal(s);
  // rows are independent: the mean over them has this standard error
  const Tensor by_row = ct::mean(surprisal, 1);
  const double error = std::sqrt(ct::var(by_row).item() / 4096);
  expect(std::fabs(by_row.mean().item() - h) < 4 * error && error < 0.01 * h, "markov",
         "the mean surprisal is the entropy rate");
  // stationary: the first symbol comes as often as the last
  for (int64_t c = 0; c < 6; ++c) {
    const double first = (s.select(1, 0) == c).to(ct::float64).mean().item(),
                 last = (s.select(1, 65) == c).to(ct::float64).mean().item();
    expect(std::fabs(first - last) < 4 * std::sqrt(2 * 0.25 / 4096), "markov", "the source is stationary");
  }
}

}  // namespace

void check_tasks() {
  std::vector<Task> all = tasks();
  for (const Task& task : tasks(64)) all.push_back(task);
  for (const Task& task : all) {
    ct::Generator one(7), two(7);
    std::set<int64_t> lengths;
    for (int i = 0; i < 20; ++i) {
      const Examples e = task.draw(8, one), again = task.draw(8, two);
      expect(ct::sum(e.x != again.x).item() == 0 && ct::sum(e.y != again.y).item() == 0, task.name,
             "a seed gives the same examples");
      const Rows rows(e);
      lengths.insert(rows.length);
      expect(rows.length <= task.length, task.name, "no sequence is longer than the longest");
      for (int64_t b = 0; b < rows.batch; ++b) {
        int64_t asked = 0;
        for (int64_t t = 0; t < rows.length; ++t) {
          asked += rows.y(b, t) != kNotAsked;
          if (task.tokens > 0) {
            expect(rows.x(b, t) >= 0 && rows.x(b, t) < task.tokens, task.name, "tokens lie in their range");
            expect(rows.y(b, t) < task.tokens, task.name, "answers are tokens");
          }
          expect(rows.y(b, t) == answer(task.name, rows, b, t), task.name, "the answers follow from the tokens");
        }
        expect(asked > 0, task.name, "something is asked");
      }
    }
    expect(*lengths.rbegin() == task.length && (lengths.size() > 1) == (task.name == "mqar"), task.name, "lengths");
  }
  check_source();
}
