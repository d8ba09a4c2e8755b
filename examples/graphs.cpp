// The tape, to look at: the graphs of a two-layer network and of a small transformer, as text, as pages for a browser,
// and for Graphviz.
//
//     graphs --out pictures
//     dot -Tsvg pictures/two_layers.dot > two_layers.svg
#include <cotangent/cotangent.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "common/command_line.hpp"

namespace ct = cotangent;
namespace nn = cotangent::nn;
using ct::Tensor;

struct TwoLayers : nn::Module {
  nn::Linear fc1{2, 4}, fc2{4, 1};
  COTANGENT_MODULE(fc1, fc2)
  Tensor forward(const Tensor& x) { return fc2(ct::relu(fc1(x))); }
};

struct Language : nn::Module {
  explicit Language(int64_t layers)
      : encoder(nn::repeat(static_cast<size_t>(layers), [] {
          return nn::TransformerEncoderLayer(32, 4, {.inner = 64, .dropout = 0, .norm_first = true});
        })) {}
  nn::Embedding tokens{50, 32};
  nn::TransformerEncoder encoder;
  nn::Linear head{32, 50};
  COTANGENT_MODULE(tokens, encoder, head)
  Tensor forward(const Tensor& x) { return head(encoder(tokens(x))); }
};

void write(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path) << text;
  std::printf("%s, %.0f kB\n", path.filename().c_str(), static_cast<double>(text.size()) / 1000);
}

void run(const std::filesystem::path& out, int64_t layers) {
  std::filesystem::create_directories(out);
  ct::manual_seed(1);
  const ct::WatchGraph watch;  // modules and parameters have their names in the graph

  // ---- two layers, before and after the backward pass ----
  TwoLayers net;
  const Tensor x = ct::randn({8, 2}), y = x.select(1, 0).unsqueeze(1) * x.select(1, 1).unsqueeze(1);
  const Tensor loss = ct::mse_loss(net(x), y);
  loss.set_name("loss");
  const ct::Graph graph(loss);  // has the values that are kept, as the backward pass will free them
  std::printf("%s\n", to_string(graph).c_str());
  write(out / "two_layers_before.html", to_html(graph, {.title = "two layers, before the backward pass"}));
  write(out / "two_layers.dot", to_dot(graph));
  const std::vector<ct::BackwardStep> steps = ct::backward_steps(loss);
  write(out / "two_layers_after.html", to_html(graph, {.title = "two layers", .steps = steps}));
  for (const ct::BackwardStep& step : steps)
    for (const ct::BackwardStep::Sent& sent : step.sent) {
      const ct::GraphNode& to = graph.nodes()[static_cast<size_t>(graph.find(sent.to))];
      std::printf("%-8s %s %s: %s\n", step.op.c_str(), sent.before.defined() ? "adds to" : "gives",
                  to.is_leaf ? to.outputs[0].name.c_str() : to.op.c_str(),
                  to_string(ct::statistics(sent.gradient)).c_str());
    }

  // ---- a transformer ----
  Language model(layers);
  const Tensor text = ct::randint(0, 50, {2, 16});
  const Tensor logits = model(text.slice(1, 0, 15));
  const Tensor cost = ct::cross_entropy(logits.reshape({-1, 50}), text.slice(1, 1, 16).reshape({-1}));
  const ct::Graph large(cost);
  write(out / "transformer.html", to_html(large, {.title = "a small transformer", .steps = ct::backward_steps(cost)}));
  write(out / "transformer.dot", to_dot(large));

  // ---- what was recorded before a forward pass threw ----
  nn::Sequential wrong(nn::Linear(2, 4), nn::ReLU(), nn::Linear(5, 1));
  const ct::WatchGraph watched;
  try {
    wrong(x);
  } catch (const ct::Error& error) {
    write(out / "partial.html", to_html(watched.graph(), {.title = "a forward pass that threw", .note = error.what()}));
  }
  std::printf("the pages are in %s\n", out.c_str());
}

int main(int argc, char** argv) {
  std::string out = "graphs";
  int64_t layers = 2;
  CommandLine options("graphs", "Writes pages that show the graphs of a two-layer network and of a small transformer.");
  options.add("--out", out, "Directory for the pages");
  options.add("--layers", layers, "Of the transformer", kPositive);
  return options.run(argc, argv, [&] { run(out, layers); });
}
