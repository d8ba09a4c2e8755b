// The pictures of the zoo, by gnuplot; without it they are left out, with a word.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "cost.hpp"
#include "tasks.hpp"

/// How a variant did on a task.
struct Result {
  double figure = 0;    // by the task's measure
  double progress = 0;  // from guessing, 0, to the target, 1
  bool solved = false;
  int64_t steps = 0;
  double seconds = 0;
  double gradient = 0;              // the largest norm of all parameters' in training
  std::optional<double> elsewhere;  // the figure with sequences of another length
  std::string lacking;              // not empty: why the variant can't try
};

struct Row {
  const Variant* variant;
  std::vector<Result> results;  // in the order of the tasks
  std::vector<Cost> costs;      // of a whole pass
  std::vector<Cost> decoding;   // of one more token
};

/// OUT/tasks.svg: the table of who solves what.
void draw_tasks(const std::vector<Row>& rows, const std::vector<Task>& tasks, const std::string& out);
/// OUT/time.svg, OUT/memory.svg and OUT/decoding.svg: a curve a variant over the length.
void draw_costs(const std::vector<Row>& rows, const CostSettings& settings, const std::string& out);

/// "99.8%", "+2.1%" above an entropy, or "0.031" of a variance.
std::string to_string(const Result& result, const Task& task);
