#include <cotangent/autograd/observer_internal.hpp>

#include <algorithm>

namespace cotangent::detail {

constinit thread_local Observer* t_observer = nullptr;
constinit Surroundings g_surroundings;

Observer::Observer() : around_(t_observer) { t_observer = this; }
Observer::~Observer() { t_observer = around_; }
void Observer::recorded(Node&, std::span<const TensorRef>, std::span<const Tensor>) {}
void Observer::arrived(uint64_t, Node&) {}
void Observer::sent(uint64_t, Node&, int, const Tensor&, const Tensor&) {}

void note_origin(Node& node) {
  NodeExtras& extras = node.make_extras();
  if (g_surroundings.modules && extras.modules.empty()) extras.modules = g_surroundings.modules();
  if (g_surroundings.line && extras.line.empty()) extras.line = g_surroundings.line();
}

void note_parameters(Node& node) {
  if (!g_surroundings.parameter) return;
  for (int i = 0; i < node.edge_count; ++i) {
    const Node* leaf = node.edges()[i].node;
    if (!leaf || !leaf->is_leaf()) continue;
    std::vector<std::string>& names = node.make_extras().parameters;
    names.resize(static_cast<size_t>(node.edge_count));
    names[static_cast<size_t>(i)] = g_surroundings.parameter(leaf);
  }
}

ModuleName next_module(std::string_view& modules) {
  const size_t end = std::min(modules.find('/'), modules.size());
  const std::string_view first = modules.substr(0, end);
  modules.remove_prefix(std::min(end + 1, modules.size()));
  const size_t colon = first.find(':');
  return colon == std::string_view::npos ? ModuleName{"", first}
                                         : ModuleName{first.substr(0, colon), first.substr(colon + 1)};
}

std::string noted_line(const Node& node) {
  if (!node.extras) return {};
  return node.extras->line.empty() ? call_line(node.extras->calls) : node.extras->line;
}

std::string origin_text(const Node& node) {
  if (!node.extras) return {};
  std::string path;
  for (std::string_view rest = node.extras->modules; !rest.empty();)
    if (const std::string_view name = next_module(rest).name; !name.empty())
      path.append(path.empty() ? "" : ".").append(name);
  std::string text = path.empty() ? "" : "in " + path;
  if (const std::string line = noted_line(node); !line.empty()) text += (text.empty() ? "at " : ", at ") + line;
  return text.empty() ? text : " (" + text + ")";
}

}  // namespace cotangent::detail
