// Every layer of sequences in the library, side by side: which of seven small tasks it solves, what it costs in time
// and memory as sequences get longer, and what one more token costs after them. Writes the tables and pictures to
// runs/sequence_zoo/.
#include <chrono>
#include <cmath>
#include <cotangent/cotangent.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <optional>

#include "../common/command_line.hpp"
#include "cost.hpp"
#include "pictures.hpp"
#include "tasks.hpp"
#include "variants.hpp"

namespace ct = cotangent;
namespace nn = cotangent::nn;
using ct::Tensor;

struct Settings {
  std::string variants = ".*", tasks = ".*";  // regular expressions of names
  std::string out = "runs/sequence_zoo";
  int64_t steps = 1000, batch = 32;
  int64_t width = 32, heads = 4, layers = 2;
  double first_lr = 3e-3, last_lr = 1e-3;
  double max_norm = 1;              // of gradients: longer ones are cut to it
  int64_t test_length = 0;          // above 0: trained models are tested on sequences of this length as well
  int64_t copied = 6, blanks = 32;  // of selcopy
  CostSettings cost;
  uint64_t seed = 1;
  bool skip_tasks = false, skip_cost = false;
};

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// ---- The model: tokens or numbers, where they stand, two blocks around the layer in question, a score for each token
// or a number. ----

int64_t longest(const Task& task, const Settings& s) { return std::max(task.length, s.test_length); }

nn::TransformerEncoder blocks_of(const Variant& variant, const Task& task, const Settings& s) {
  std::vector<nn::TransformerEncoderLayer> layers;
  for (int64_t i = 0; i < s.layers; ++i)
    layers.emplace_back(variant.make({s.width, s.heads, task.causal, task.length, longest(task, s), i, s.layers}),
                        nn::TransformerLayerOptions{.inner = variant.family == Family::gated ? 0 : 2 * s.width,
                                                    .dropout = 0,
                                                    .activation = nn::Activation::gelu,
                                                    .norm_first = true});
  return nn::TransformerEncoder(std::move(layers), nn::LayerNorm(s.width));
}

struct Model : nn::Module {
  Model(const Variant& variant, const Task& task, const Settings& s)
      : blocks(blocks_of(variant, task, s)), scores(s.width, std::max<int64_t>(task.tokens, 1)) {
    if (task.tokens > 0)
      embedding.emplace(task.tokens, s.width);
    else
      numbers.emplace(1, s.width);
    if (variant.added == Positions::learned) learned.emplace(longest(task, s), s.width);
    if (variant.added == Positions::sinusoidal) sinusoidal.emplace(s.width);
  }
  std::optional<nn::Embedding> embedding;
  std::optional<nn::Linear> numbers;
  std::optional<nn::Embedding> learned;  // one vector a place
  std::optional<nn::SinusoidalEncoding> sinusoidal;
  nn::TransformerEncoder blocks;
  nn::Linear scores;
  COTANGENT_MODULE(embedding, numbers, learned, sinusoidal, blocks, scores)

  Tensor forward(const Tensor& sequence) {  // (B, T) -> (B, T, tokens), or (B, T, 1) of numbers
    Tensor x = embedding ? (*embedding)(sequence) : (*numbers)(sequence.unsqueeze(2));
    if (learned) x = x + (*learned)(ct::arange(x.size(1)));
    if (sinusoidal) x = (*sinusoidal)(x);
    return scores(blocks(x));
  }
};

// ---- Training, until the task is solved or the steps are over ----

/// The mean over what is asked, of the cross-entropy or of the squared error.
Tensor loss_of(const Task& task, const Tensor& output, const Tensor& answers) {
  if (task.measure != Measure::squared_error)
    return ct::cross_entropy(output.flatten(0, 1), answers.flatten(), {.ignore_index = kNotAsked});
  const Tensor asked = answers != kNotAsked;
  return ct::square(ct::where(asked, output.squeeze(2) - answers, 0)).sum() / asked.sum();
}

/// What the task's measure says of the model.
double figure_of(Model& model, const Task& task, const std::vector<Examples>& test) {
  const ct::NoGrad guard;
  model.eval();
  double sum = 0, count = 0;
  for (const auto& [x, y] : test) {
    const Tensor output = model(x);
    const double asked = ct::sum(y != kNotAsked).item();
    sum += task.measure == Measure::accuracy ? ct::sum(ct::argmax(output, -1) == y).item()
                                             : loss_of(task, output, y).item() * asked;
    count += asked;
  }
  model.train();
  return task.measure == Measure::cross_entropy ? sum / count / task.entropy - 1 : sum / count;
}

std::vector<Examples> drawn(const Task& task, int64_t batches, const Settings& s) {
  ct::Generator generator(s.seed + 2);
  std::vector<Examples> examples;
  for (int64_t i = 0; i < batches; ++i) examples.push_back(task.draw(s.batch, generator));
  return examples;
}

Result train(const Variant& variant, const Task& task, const Settings& s) {
  constexpr int64_t test_every = 50, test_batches = 16;
  ct::manual_seed(s.seed);
  ct::Generator generator(s.seed + 1);
  const std::vector<Examples> test = drawn(task, test_batches, s);

  const auto start = std::chrono::steady_clock::now();
  Result result;
  std::optional<Model> made;
  try {
    made.emplace(variant, task, s);
  } catch (const ct::ValueError& error) {  // no form with, or without, a causal mask
    result.lacking = error.what();
    return result;
  }
  Model& model = *made;
  ct::optim::Adam optimizer(model.parameters(), {.lr = s.first_lr});
  while (!result.solved && result.steps < s.steps) {
    const double done = static_cast<double>(result.steps) / static_cast<double>(s.steps);
    optimizer.lr() = s.last_lr + (s.first_lr - s.last_lr) * 0.5 * (1 + std::cos(M_PI * done));
    optimizer.zero_grad();
    const auto [x, y] = task.draw(s.batch, generator);
    const Tensor loss = loss_of(task, model(x), y);
    check_loss(loss.item(), result.steps + 1);
    loss.backward();
    result.gradient = std::max(result.gradient, ct::optim::clip_grad_norm_(model.parameters(), s.max_norm));
    optimizer.step();
    if (++result.steps % test_every == 0 || result.steps == s.steps) {
      result.figure = figure_of(model, task, test);
      result.solved = task.solved(result.figure);
    }
  }
  result.progress = std::clamp((result.figure - task.guessing) / (task.target - task.guessing), 0.0, 1.0);
  result.seconds = seconds_since(start);
  if (s.test_length > 0) {
    const std::vector<Task> others = tasks(s.test_length);
    const auto other = std::find_if(others.begin(), others.end(), [&](const Task& t) { return t.name == task.name; });
    if (other != others.end()) result.elsewhere = figure_of(model, *other, drawn(*other, test_batches, s));
  }
  return result;
}

// ---- The tables ----

std::string target_of(const Task& task) {
  Result target;
  target.figure = task.target;
  return to_string(target, task);
}

/// A line a variant, in which each task appears as it is done.
void run_tasks(std::vector<Row>& rows, const std::vector<Task>& tasks, const Settings& s) {
  std::ofstream csv(s.out + "/tasks.csv");
  csv << "variant,task,figure,target,guessing,solved,steps,seconds,largest_gradient,figure_at_test_length\n";
  std::printf(
      "Models of %lld layers of width %lld. With @ a task is solved, at that step; else this is what it came to in "
      "%lld.\n",
      static_cast<long long>(s.layers), static_cast<long long>(s.width), static_cast<long long>(s.steps));
  std::printf("%-18s", "");
  for (const Task& task : tasks) std::printf(" %8s      ", task.name.c_str());
  std::printf("\n%-18s", "target");
  for (const Task& task : tasks) std::printf(" %8s      ", target_of(task).c_str());
  std::printf("\n");
  std::vector<std::string> notes;
  for (Row& row : rows) {
    std::printf("%-18s", row.variant->name.c_str());
    for (const Task& task : tasks) {
      const Result& r = row.results.emplace_back(train(*row.variant, task, s));
      std::printf(" %8s %s%-4s", to_string(r, task).c_str(), r.solved ? "@" : " ",
                  r.solved ? std::to_string(r.steps).c_str() : "");
      std::fflush(stdout);
      csv << row.variant->name << ',' << task.name << ',' << r.figure << ',' << task.target << ',' << task.guessing
          << ',' << (r.lacking.empty() ? r.solved ? "yes" : "no" : "no form") << ',' << r.steps << ',' << r.seconds
          << ',' << r.gradient << ',' << (r.elsewhere ? std::to_string(*r.elsewhere) : "") << std::endl;
      if (r.elsewhere) {
        Result there = r;
        there.figure = *r.elsewhere;
        notes.push_back(row.variant->name + ", " + task.name + ": " + to_string(r, task) + ", at length " +
                        std::to_string(s.test_length) + ": " + to_string(there, task));
      }
      if (!r.lacking.empty()) notes.push_back(row.variant->name + ", " + task.name + ": " + r.lacking);
    }
    std::printf("\n");
  }
  for (const std::string& note : notes) std::printf("%s\n", note.c_str());
}

/// A line a variant, of what `measure` finds at doubled lengths: each in so many columns as `print` makes of it.
template <class Print>
void run_lengths(const char* title, const char* file, int columns, std::vector<Row>& rows,
                 std::vector<Cost> Row::*found, std::vector<Cost> (*measure)(const Variant&, const CostSettings&),
                 const Settings& s, Print print) {
  std::ofstream csv(s.out + "/" + file);
  csv << "variant,length,seconds,bytes\n";
  std::printf("\n%s, one layer of width %lld, at doubled lengths\n%-18s", title, static_cast<long long>(s.cost.width),
              "");
  for (int64_t length = s.cost.min_length; length <= s.cost.max_length; length *= 2)
    std::printf(" %*lld", columns, static_cast<long long>(length));
  std::printf("\n");
  for (Row& row : rows) {
    row.*found = measure(*row.variant, s.cost);
    std::printf("%-18s", row.variant->name.c_str());
    for (const Cost& cost : row.*found) {
      print(cost);
      csv << row.variant->name << ',' << cost.length << ',' << cost.seconds << ',' << cost.bytes << std::endl;
    }
    std::printf("%s\n", (row.*found).empty() ? " none" : "");
    std::fflush(stdout);
  }
}

void run_costs(std::vector<Row>& rows, const Settings& s) {
  run_lengths("Forward and backward: ms / MB", "cost.csv", 13, rows, &Row::costs, measure_cost, s,
              [](const Cost& c) { std::printf(" %7.3g/%-5.3g", 1e3 * c.seconds, static_cast<double>(c.bytes) / 1e6); });
  run_lengths("One more token after so many: us (none where it does not stream)", "decoding.csv", 8, rows,
              &Row::decoding, measure_decoding, s, [](const Cost& c) { std::printf(" %8.3g", 1e6 * c.seconds); });
}

int main(int argc, char** argv) {
  Settings settings;
  bool check = false;
  CommandLine options(
      "sequence_zoo",
      "Trains every layer of sequences on seven small tasks, and measures its time and memory against the length.");
  std::vector<std::string> layers, things;
  for (const Variant& variant : variants()) layers.push_back(variant.name);
  for (const Task& task : tasks()) things.push_back(task.name);
  const auto help = [](const char* what, const std::vector<std::string>& names) {
    return std::string(what) + ", by a regular expression that is found in their names: " + joined(names);
  };
  options.add("--variants", settings.variants, help("Which layers", layers).c_str());
  options.add("--tasks", settings.tasks, help("Which tasks", things).c_str());
  options.add("--steps", settings.steps, "Most steps of training a task", kPositive);
  options.add("--batch-size", settings.batch, "Sequences in a step", kPositive);
  options.add("--width", settings.width, "Numbers that stand for a token", kPositive);
  options.add("--layers", settings.layers, "Layers of a model", kPositive);
  options.add("--lr", settings.first_lr, "Learning rate at the start", kPositive);
  options.add("--last-lr", settings.last_lr, "and at the end, after half a cosine", kPositive);
  options.add("--max-norm", settings.max_norm, "Longest gradient: longer ones are cut to it", kPositive);
  options.add(
      "--test-length", settings.test_length,
      "Test the trained models on sequences of this length as well, in tasks of any length, as shift and markov",
      Range{64});
  options.add("--copied", settings.copied, "Symbols of selcopy", kPositive);
  options.add("--blanks", settings.blanks, "Blanks of selcopy, among which they are", Range{0});
  options.add("--max-length", settings.cost.max_length, "Longest sequence of which time and memory are measured",
              Range{128});
  options.add("--max-seconds", settings.cost.max_seconds, "Seconds of the longest forward and backward to be measured",
              kPositive);
  options.add("--seed", settings.seed, "Seed of the weights and the examples");
  options.add("--out", settings.out, "Directory for tables and pictures");
  options.add("--skip-tasks", settings.skip_tasks, "Measure time and memory alone");
  options.add("--skip-cost", settings.skip_cost, "Train alone");
  options.add("--check", check, "Only test whether the examples of the tasks are right");
  return options.run(argc, argv, [&] {
    if (check) {
      check_tasks();
      std::printf("The tasks are what they should be.\n");
      return;
    }
    std::vector<Row> rows;
    for (const Variant& variant : variants())
      if (finds(settings.variants, variant.name)) rows.push_back({&variant, {}, {}, {}});
    std::vector<Task> chosen;
    for (const Task& task : tasks(0, settings.copied, settings.blanks))
      if (finds(settings.tasks, task.name)) chosen.push_back(task);
    if (rows.empty())
      throw ct::ValueError("no layer has a name like " + settings.variants + "; there are " + joined(layers));
    if (chosen.empty())
      throw ct::ValueError("no task has a name like " + settings.tasks + "; there are " + joined(things));

    std::filesystem::create_directories(settings.out);
    const auto start = std::chrono::steady_clock::now();
    if (!settings.skip_tasks) {
      run_tasks(rows, chosen, settings);
      draw_tasks(rows, chosen, settings.out);
    }
    if (!settings.skip_cost) {
      run_costs(rows, settings);
      draw_costs(rows, settings.cost, settings.out);
    }
    std::printf("%.0f s; tables and pictures are in %s\n", seconds_since(start), settings.out.c_str());
  });
}
