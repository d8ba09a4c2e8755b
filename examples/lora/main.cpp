// Fine-tunes a trained model with few parameters, in all ways that the library has, and compares them.
//
//     char_gpt --text prose.txt                  trains the model: runs/char_gpt/checkpoint.safetensors
//     lora --text poems.txt                      tunes it to another text
//     lora --task reversal                       trains a model that copies, and tunes it to write backwards
//
// The table, a picture and what was trained (the change as a file of its own) go to runs/lora/.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "../common/command_line.hpp"
#include "../common/gnuplot.hpp"
#include "methods.hpp"

namespace ct = cotangent;
namespace nn = cotangent::nn;

struct Settings {
  std::string task = "text", base = "runs/char_gpt/checkpoint.safetensors", text, methods = ".*", out = "runs/lora";
  std::string prompt = "\n";
  int64_t tokens = 300, base_steps = 1200;
  Training training;
};

/// A model of char_gpt, with its characters.
struct Base {
  ct::data::CharVocabulary vocabulary;
  ct::zoo::GPT model;
};

Base read_base(const std::string& path) {
  const ct::io::Checkpoint saved = ct::io::load_checkpoint(path);
  const auto number = [&](const char* name) { return std::stoll(saved.settings.at(name)); };
  const auto flag = [&](const char* name, bool old) {  // a checkpoint from before there was a choice lacks it
    return saved.settings.contains(name) ? number(name) != 0 : old;
  };
  const ct::data::CharVocabulary vocabulary(saved.settings.at("characters"));
  ct::zoo::GPT model(vocabulary.size(), {.attention = saved.settings.at("attention"),
                                         .position = saved.settings.at("position"),
                                         .width = number("width"),
                                         .layers = number("layers"),
                                         .heads = number("heads"),
                                         .context = number("context"),
                                         .bias = flag("bias", true),
                                         .tied = flag("tied", false)});
  model.load_state_dict(saved["model"]);
  return {vocabulary, model};
}

/// The tokens of a text, without the characters that the vocabulary lacks.
ct::Tensor tokens_of(const std::string& path, const ct::data::CharVocabulary& vocabulary) {
  const std::string text = ct::data::read_text(path), known = vocabulary.characters();
  std::string kept;
  for (size_t i = 0; i < text.size();) {
    size_t end = i + 1;
    while (end < text.size() && (text[end] & 0xC0) == 0x80) ++end;  // the other bytes of a code point
    if (known.find(text.substr(i, end - i)) != std::string::npos) kept += text.substr(i, end - i);
    i = end;
  }
  return vocabulary.encode(kept);
}

void draw(const std::string& out, const char* measured, double before) {
  const std::string picture = out + "/methods.svg", data = quoted(out + "/methods.csv");
  run_gnuplot(
      "set terminal svg size 900,520 font 'sans-serif,15' background rgb 'white'\nset output " + quoted(picture) +
          "\nset datafile separator ','\nset title 'after tuning; the dotted line: before'\nset logscale x\nset xlabel "
          "'trained parameters'\nset ylabel " +
          quoted(measured) + "\nset grid lt 1 lc rgb '#e0e0e0'\nset border lc rgb '#808080'\nunset key\n" +
          "set offsets graph 0.12, graph 0.12, graph 0.08, graph 0.08\nplot " + std::to_string(before) +
          " with lines dt 2 lc rgb '#808080', " + data + " skip 1 using 2:5 with points pt 7 lc rgb '#d9822b', " +
          data + " skip 1 using 2:5:1 with labels rotate by 30 left offset 0.4,0.6\n",
      picture);
}

/// Runs the methods and prints the table; that of "lora", if it was among them.
ct::StateDict compare(const ct::zoo::GPT& model, const Task& task, const Settings& s) {
  const auto all = static_cast<double>(model.parameter_count());
  std::filesystem::create_directories(s.out);
  std::ofstream table(s.out + "/methods.csv");
  table << "method,trained,share,before,after,seconds,merged\n";
  std::printf("\n%-9s %9s %7s  %-22s %9s  %s\n", "", "trained", "share", task.measured(), "ms a step",
              "merged weights differ by");
  ct::StateDict lora;
  double before = 0;
  for (const std::string& name : methods()) {
    if (!finds(s.methods, name)) continue;
    const Outcome o = fine_tune(name, model, task, s.training);
    const double share = static_cast<double>(o.trained) / all;
    std::printf("%-9s %9lld %6.2f%%  %.4f -> %.4f %15.1f  %s\n", name.c_str(), static_cast<long long>(o.trained),
                100 * share, o.before, o.after, 1000 * o.seconds / static_cast<double>(s.training.steps),
                o.merged < 0 ? "" : std::to_string(o.merged).c_str());
    std::fflush(stdout);
    table << name << ',' << o.trained << ',' << share << ',' << o.before << ',' << o.after << ',' << o.seconds << ','
          << o.merged << '\n';
    before = o.before;
    ct::io::write_safetensors(s.out + "/" + name + ".safetensors", o.state);
    if (name == "lora") lora = o.state;
  }
  table.close();
  draw(s.out, task.measured(), before);
  return lora;
}

void tune_text(const Settings& s) {
  if (s.text.empty()) throw ct::ValueError("--text: name the text to tune to");
  Base base = read_base(s.base);
  const int64_t length = base.model.context - s.training.length;
  if (length < 1)
    throw ct::ValueError("--length " + std::to_string(s.training.length) + " must be below the model's context, " +
                         std::to_string(base.model.context));
  const auto task = text_task(tokens_of(s.text, base.vocabulary), length);
  const ct::Tensor prompt = base.vocabulary.encode(s.prompt).unsqueeze(0);
  std::printf("%s", to_string(base.model).c_str());
  const ct::StateDict lora = compare(base.model, *task, s);

  const auto write = [&](const char* title) {
    ct::Generator generator(s.training.seed);
    const ct::Tensor written =
        base.model.write(prompt, s.tokens, {.temperature = 0.8, .top_k = 0, .top_p = 0.95}, generator);
    std::printf("\n---- %s ----\n%s\n", title, base.vocabulary.decode(written[0]).c_str());
  };
  base.model.eval();
  write("the model as it was");
  if (lora.empty()) return;
  auto tuned = nn::tune<nn::LoRA>(base.model, lora_options(s.training));
  tuned.tuner.load_state_dict(lora);
  tuned.merge();  // the weights are the model's
  write("the same with the LoRA merged");
  tuned.unmerge();
  std::printf("\nthe tables, a picture and what was trained are in %s\n", s.out.c_str());
}

void tune_reversal(const Settings& s) {
  ct::zoo::GPT model(kCopySymbols + 1,
                     {.width = 64, .layers = 2, .heads = 4, .context = 2 * kCopyLength + s.training.length});
  // With blanks before the symbols the model learns to copy from any place: a prompt moves all others on.
  const auto copying = copy_task(false, s.training.length), reversal = copy_task(true, 0);
  Training t = s.training;
  t.batch_size = 32;
  t.steps = s.base_steps;
  const double seconds = train(model, *copying, t, 2e-3);
  const Model call = [&](const ct::Tensor& x) { return model(x); };
  std::printf("after %lld steps, %.0f s: of copies %.4f of the symbols are right, of reversals %.4f\n",
              static_cast<long long>(t.steps), seconds, copying->measure(call), reversal->measure(call));
  compare(model, *reversal, s);
}

int main(int argc, char** argv) {
  Settings s;
  CommandLine options("lora", "Fine-tunes a trained model with few parameters, in several ways.");
  options.add("--task", s.task, "A text, or writing backwards by a model that copies");
  options.allow("--task", {"text", "reversal"});
  options.add("--base", s.base, "The model to tune to a text: a checkpoint of char_gpt");
  options.add("--text", s.text, "The text to tune it to, in UTF-8");
  options.add("--methods", s.methods, "Which ways, as a regular expression");
  options.add("--steps", s.training.steps, "Steps of each training", {1});
  options.add("--base-steps", s.base_steps, "Steps in which the model learns to copy", {1});
  options.add("--batch-size", s.training.batch_size, "Examples in a step", {1});
  options.add("--rank", s.training.rank, "r of LoRA, and of AdaLoRA at the end", {1});
  options.add("--length", s.training.length, "Places of a prefix or a prompt", {1});
  options.add("--lr", s.training.lr, "Learning rates, as multiples of the usual ones", kPositive);
  options.add("--seed", s.training.seed, "Seed of weights, batches and the sample");
  options.add("--out", s.out, "Directory for tables, picture and what was trained");
  options.add("--prompt", s.prompt, "What the model goes on from");
  options.add("--tokens", s.tokens, "Characters to write", kNotNegative);
  return options.run(argc, argv, [&] {
    if (std::ranges::none_of(methods(), [&](const std::string& name) { return finds(s.methods, name); }))
      throw ct::ValueError("no way has a name like " + s.methods + "; there are " + joined(methods()));
    ct::manual_seed(s.training.seed);
    s.task == "text" ? tune_text(s) : tune_reversal(s);
  });
}
