// Trains a small transformer to predict the next character of a text, and lets it write.
//
//     char_gpt                                                    trains on Debian's fortunes, and writes a sample
//     char_gpt --resume                                           goes on where the training was stopped
//     char_gpt --medusa                                           how much faster heads that guess ahead make it write
//     char_gpt --sample --prompt "The world" --temperature 0.8    only writes
//     char_gpt --recipe nanogpt --text FILE                       a training that others have made, to compare with
//
// What happens goes to runs/char_gpt/: the losses, their curve, and a checkpoint at each evaluation.
#include <chrono>
#include <cotangent/cotangent.hpp>
#include <cotangent/zoo/gpt.hpp>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "../common/command_line.hpp"
#include "../common/gnuplot.hpp"
#include "medusa.hpp"

namespace ct = cotangent;
namespace nn = cotangent::nn;
using ct::Tensor;

struct Settings {
  // These make a training what it is: a checkpoint keeps them, and --resume and --sample take them from there.
  std::string text;
  ct::zoo::GPTOptions model;
  int64_t batch_size = 16, steps = 2000, warmup = 100, eval_every = 250;
  double lr = 2e-3, beta2 = 0.95, weight_decay = 0.1, clip = 1;
  uint64_t seed = 1;

  std::string out = "runs/char_gpt", checkpoint;
  bool resume = false, sample = false, medusa = false;
  int64_t pause_at = 0;
  std::string prompt;
  int64_t tokens = 500;
  nn::SamplingOptions sampling{.temperature = 0.8, .top_k = 0, .top_p = 0.95};
  uint64_t sample_seed = 1;
  MedusaSettings heads;
};

/// Settings that go by a name. "nanogpt": what its README has for a CPU, with a loss of 1.88 on tiny Shakespeare.
void take_recipe(const std::string& name, Settings& s) {
  if (name != "nanogpt") return;
  s.model = {.width = 128, .layers = 4, .heads = 4, .context = 64, .bias = false, .tied = true, .gpt2_init = true};
  s.batch_size = 12, s.steps = 2000, s.warmup = 100, s.eval_every = 250;
  s.lr = 1e-3, s.beta2 = 0.99, s.weight_decay = 0.1, s.clip = 1;
}

/// Calls f(name, value, help) for the settings that a checkpoint keeps, with the range of those that have one.
template <class F>
void for_each_kept(Settings& s, F f) {
  f("text", s.text, "Text file in UTF-8 (default: Debian's fortunes)");
  f("attention", s.model.attention, "How characters look at those before them");
  f("position", s.model.position, "How the model knows where a character stands");
  f("width", s.model.width, "Numbers that stand for a character", kPositive);
  f("layers", s.model.layers, "How many layers the model has", kPositive);
  f("heads", s.model.heads, "Heads of each attention", kPositive);
  f("context", s.model.context, "Characters that the model sees", kPositive);
  f("dropout", s.model.dropout, "Probability of dropping a number in training");
  f("bias", s.model.bias, "Biases of linear layers and norms");
  f("tied", s.model.tied, "The head has the weights of the embedding");
  f("gpt2-init", s.model.gpt2_init, "Weights start as GPT-2's");
  f("batch-size", s.batch_size, "Windows of the text in a step", kPositive);
  f("steps", s.steps, "Steps of the training", kPositive);
  f("warmup", s.warmup, "Steps in which the learning rate rises", kPositive);
  f("eval-every", s.eval_every, "Steps between two measurements on the validation text", kPositive);
  f("lr", s.lr, "Largest learning rate", kNotNegative);
  f("beta2", s.beta2, "How much of the mean square of the gradient stays in a step");
  f("weight-decay", s.weight_decay, "How fast matrices shrink, in parts of the learning rate");
  f("clip", s.clip, "Largest norm of the gradient", kPositive);
  f("seed", s.seed, "Seed of the weights, the batches and the dropout");
}

// ---- The text ----

struct Corpus {
  ct::data::CharVocabulary vocabulary;
  Tensor train, validation;  // tokens
};

/// All but the last tenth is for training. Both parts must be longer than the context.
Corpus read_corpus(const std::string& path, int64_t context) {
  const std::string text = path.empty() ? ct::data::read_fortunes() : ct::data::read_text(path);
  const ct::data::CharVocabulary vocabulary(text);
  const auto [train, validation] = ct::data::split_tokens(vocabulary.encode(text), 0.1);
  for (const Tensor& part : {train, validation}) ct::data::TextDataset(part, context);  // an error now, if need be
  return {vocabulary, train, validation};
}

// ---- Checkpoints ----

/// Matrices shrink, but not biases, norms, and what layers with a state have besides.
std::vector<ct::optim::Group<ct::optim::AdamWOptions>> groups(const nn::Module& model, const Settings& s) {
  const ct::optim::AdamWOptions options{.lr = s.lr, .betas = {0.9, s.beta2}, .weight_decay = 0};
  std::vector<ct::optim::Group<ct::optim::AdamWOptions>> result{{{}, options}, {{}, options}};
  result[0].options.weight_decay = s.weight_decay;
  for (const ct::NamedTensor& p : model.named_parameters())
    result[p.tensor.rank() >= 2 && p.name.ends_with("weight") ? 0 : 1].parameters.push_back(p.tensor);
  return result;
}

struct Training {
  Settings settings;
  ct::data::CharVocabulary vocabulary;
  ct::zoo::GPT model;
  ct::optim::AdamW optimizer;
  int64_t step = 0;

  Training(const Settings& s, const ct::data::CharVocabulary& v)
      : settings(s), vocabulary(v), model(v.size(), s.model), optimizer(groups(model, s)) {}

  void save() {
    ct::io::Checkpoint saved;
    saved.add("model", model.state_dict());
    saved.add("optimizer", optimizer.state_dict());
    saved.add("generator", ct::default_generator());
    saved.settings["step"] = std::to_string(step);
    saved.settings["characters"] = vocabulary.characters();
    for_each_kept(settings, [&](const char* name, const auto& value, const auto&...) {
      std::ostringstream text;
      text.precision(17);  // so that the same double is read again
      text << value;
      saved.settings[name] = text.str();
    });
    ct::io::save_checkpoint(settings.checkpoint, saved);
  }
  void load(const ct::io::Checkpoint& saved) {
    if (saved.settings.at("characters") != vocabulary.characters())
      throw ct::ValueError("the text has other characters than that of the checkpoint");
    model.load_state_dict(saved["model"]);
    optimizer.load_state_dict(saved["optimizer"]);
    saved.restore("generator", ct::default_generator());
    step = std::stoll(saved.settings.at("step"));
  }
};

/// The settings of a checkpoint in place of those of the command line. One from before a setting came lacks it: its
/// training was what the default is.
void take(const ct::io::Checkpoint& saved, Settings& settings) {
  for_each_kept(settings, [&](const char* name, auto& value, const auto&...) {
    if (!saved.settings.contains(name)) return;
    const std::string& text = saved.settings.at(name);
    if constexpr (std::is_same_v<decltype(value), std::string&>)
      value = text;
    else if (std::istringstream stream(text); !(stream >> value))
      throw ct::ValueError("the checkpoint's setting " + std::string(name) + " is " + text);
  });
}

// ---- Measuring ----

/// The mean cross entropy of a character, over all of a text.
double evaluate(ct::zoo::GPT& model, const Tensor& tokens, const Settings& settings) {
  const ct::NoGrad guard;
  model.eval();
  const ct::data::TextDataset windows(tokens, settings.model.context, settings.model.context);
  double sum = 0;
  ct::data::DataLoader loader(windows, {.batch_size = 64});
  for (const auto& [x, y] : loader)
    sum += ct::cross_entropy(model(x).flatten(0, 1), y.flatten(), {.reduction = ct::Reduction::sum}).item();
  model.train();
  return sum / static_cast<double>(windows.size() * settings.model.context);
}

/// The file of the losses, with its lines up to a step: a training that was stopped may have written more than it
/// saved.
std::ofstream open_metrics(const std::string& path, int64_t step) {
  std::string lines = "step,train_loss,validation_loss\n", line;
  std::ifstream before(path);
  std::getline(before, line);
  while (std::getline(before, line))
    if (std::atoll(line.c_str()) <= step) lines += line + "\n";
  before.close();
  std::ofstream file(path);
  file.precision(9);
  file << lines;
  return file;
}

// ---- Training ----

volatile std::sig_atomic_t interrupted = 0;

/// Up along a line, then down along half a cosine to a tenth (Loshchilov and Hutter 2017): a function of the step.
ct::optim::Schedule learning_rate(const Settings& s) {
  const ct::optim::LinearLR rise{.start_factor = 1.0 / static_cast<double>(std::max<int64_t>(s.warmup, 1)),
                                 .total_iters = s.warmup};
  const ct::optim::CosineAnnealingLR fall{.T_max = std::max<int64_t>(s.steps - s.warmup, 1), .eta_min = s.lr / 10};
  return ct::optim::SequentialLR{{rise, fall}, {s.warmup}};
}

void train(Training& training, const Corpus& corpus) {
  const Settings& s = training.settings;
  const ct::data::TextDataset windows(corpus.train, s.model.context);
  const ct::optim::Schedule schedule = learning_rate(s);
  std::ofstream metrics = open_metrics(s.out + "/metrics.csv", training.step);
  std::signal(SIGINT, [](int) { interrupted = 1; });

  const int64_t last = s.pause_at > 0 ? std::min(s.pause_at, s.steps) : s.steps;
  while (training.step < last && !interrupted) {
    const int64_t until = std::min(last, (training.step / s.eval_every + 1) * s.eval_every);
    {
      ct::data::Progress progress("to step " + std::to_string(until), until - training.step);
      while (training.step < until && !interrupted) {
        const auto [x, y] = ct::data::random_batch(windows, s.batch_size, s.seed, static_cast<uint64_t>(training.step));
        for (size_t i : {0, 1}) training.optimizer.lr(i) = schedule.at(training.step, s.lr);
        training.optimizer.zero_grad();
        const Tensor loss = ct::cross_entropy(training.model(x).flatten(0, 1), y.flatten());
        check_loss(loss.item(), training.step + 1);
        loss.backward();
        ct::optim::clip_grad_norm_(training.model.parameters(), s.clip);
        training.optimizer.step();
        progress.step(loss.item());
        if (++training.step % 10 == 0) metrics << training.step << ',' << loss.item() << ",\n";
      }
    }
    if (training.step % s.eval_every == 0 || training.step == s.steps) {
      const double loss = evaluate(training.model, corpus.validation, s);
      metrics << training.step << ",," << loss << '\n';
      std::printf("step %lld: validation loss %.4f\n", static_cast<long long>(training.step), loss);
    }
    metrics.flush();
    training.save();
  }
  if (training.step < s.steps)
    std::printf("stopped at step %lld of %lld; --resume goes on\n", static_cast<long long>(training.step),
                static_cast<long long>(s.steps));
}

void draw_curve(const std::string& out) {
  const std::string picture = out + "/loss.svg", data = quoted(out + "/metrics.csv");
  run_gnuplot("set terminal svg size 900,520 font 'sans-serif,15' background rgb 'white'\nset output " +
                  quoted(picture) +
                  "\nset datafile separator ','\nset title 'Predicting the next character'\n"
                  "set xrange [0:*]\nset xlabel 'step'\nset ylabel 'cross entropy of a character'\nset grid lt 1 lc "
                  "rgb '#e0e0e0'\n"
                  "set border lc rgb '#808080'\nset key top right\nplot " +
                  data + " skip 1 using 1:2 with lines lw 2 lc rgb '#7fb2e5' title 'training', " + data +
                  " skip 1 using 1:3 with linespoints lw 2 pt 7 ps 0.6 lc rgb '#d9822b' title 'validation'\n",
              picture);
}

// ---- Writing ----

Tensor prompt_of(const ct::data::CharVocabulary& vocabulary, const Settings& s) {
  return vocabulary.encode(s.prompt.empty() ? "\n" : s.prompt).unsqueeze(0);
}

/// The prompt and what the model makes of it.
std::string write(ct::zoo::GPT& model, const ct::data::CharVocabulary& vocabulary, const Settings& s) {
  model.eval();
  ct::Generator generator(s.sample_seed);
  return vocabulary.decode(model.write(prompt_of(vocabulary, s), s.tokens, s.sampling, generator)[0]);
}

void run(Settings settings) {
  if (settings.checkpoint.empty()) settings.checkpoint = settings.out + "/checkpoint.safetensors";
  ct::io::Checkpoint saved;
  if (settings.resume || settings.sample || settings.medusa)
    saved = ct::io::load_checkpoint(settings.checkpoint), take(saved, settings);
  if (settings.eval_every < 1) throw ct::ValueError("--eval-every must be at least 1");
  ct::manual_seed(settings.seed);

  if (settings.sample) {
    Training training(settings, ct::data::CharVocabulary(saved.settings.at("characters")));
    training.model.load_state_dict(saved["model"]);
    std::printf("%s\n", write(training.model, training.vocabulary, settings).c_str());
    return;
  }

  const Corpus corpus = read_corpus(settings.text, settings.model.context);
  prompt_of(corpus.vocabulary, settings);  // an error now, if need be
  Training training(settings, corpus.vocabulary);
  if (settings.medusa) {
    training.load(saved);
    measure_medusa(training.model, corpus.train, corpus.validation, settings.heads, settings.seed);
    return;
  }
  std::printf("%s\n%lld characters to train on, %lld to measure with, %lld different ones\n",
              to_string(training.model).c_str(), static_cast<long long>(corpus.train.numel()),
              static_cast<long long>(corpus.validation.numel()), static_cast<long long>(corpus.vocabulary.size()));
  if (settings.resume) training.load(saved);
  std::filesystem::create_directories(settings.out);
  const auto start = std::chrono::steady_clock::now();
  train(training, corpus);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (training.step >= std::min(settings.eval_every, settings.steps)) draw_curve(settings.out);
  std::printf("%.1f s; losses, their curve and the checkpoint are in %s\n\n%s\n", seconds, settings.out.c_str(),
              write(training.model, training.vocabulary, settings).c_str());
}

int main(int argc, char** argv) {
  Settings settings;
  CommandLine options("char_gpt",
                      "Trains a small transformer to predict the next character of a text, and lets it write.");
  options.preset("--recipe", {"nanogpt"}, "Other values of the options below, where they are not given",
                 [&](const std::string& name) { take_recipe(name, settings); });
  options.group("Training (a checkpoint keeps these)");
  for_each_kept(settings, [&](const char* name, auto& value, const char* help, auto... range) {
    options.add(std::string("--") + name, value, help, range...);
  });
  options.allow("--attention", ct::zoo::gpt_attentions());
  options.allow("--position", ct::zoo::gpt_positions());
  options.group("This run");
  options.add("--out", settings.out, "Directory for losses, their curve and the checkpoint");
  options.add("--checkpoint", settings.checkpoint, "The checkpoint (default: checkpoint.safetensors in --out)");
  options.add("--resume", settings.resume, "Go on with the training of the checkpoint");
  options.add("--sample", settings.sample, "Only write, by the model of the checkpoint");
  options.add("--pause-at", settings.pause_at, "Stop at this step, as Ctrl-C does; 0 for the end", kNotNegative);
  options.group("Writing");
  options.add("--prompt", settings.prompt, "What the model goes on from (default: a new line)");
  options.add("--tokens", settings.tokens, "Characters to write", kNotNegative);
  options.add("--temperature", settings.sampling.temperature, "0 takes the likeliest; 1 as learned", kNotNegative);
  options.add("--top-k", settings.sampling.top_k, "Only the k likeliest; 0 for all", kNotNegative);
  options.add("--top-p", settings.sampling.top_p, "Only the likeliest that have this probability together");
  options.add("--sample-seed", settings.sample_seed, "Seed of what is drawn");
  options.group("Several characters a step (Medusa)");
  options.add("--medusa", settings.medusa,
              "Train heads on the model of the checkpoint, and measure how fast they write");
  options.add("--medusa-heads", settings.heads.heads, "How many characters ahead they guess", {1});
  options.add("--medusa-steps", settings.heads.steps, "Steps of their training", {1});
  options.add("--medusa-prompts", settings.heads.prompts, "Texts that are written to measure", {1});
  options.add("--medusa-tokens", settings.heads.tokens, "Characters of each", {1});
  return options.run(argc, argv, [&] { run(settings); });
}
