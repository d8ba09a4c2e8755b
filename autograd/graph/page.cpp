#include <cotangent/autograd/graph/page.hpp>

#include <nlohmann/json.hpp>

#include <cotangent/autograd/graph/embedded_internal.hpp>
#include <cotangent/autograd/graph/statistics.hpp>
#include <cotangent/autograd/graph/text_internal.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent {
namespace {

using nlohmann::json;

/// What the page says of a tensor: text, or null for what is not known.
json known(const Tensor& x) {
  constexpr int64_t kFew = 24;  // elements that are shown themselves
  if (!x.defined()) return nullptr;
  json result = {{"text", to_string(statistics(x))}};
  if (x.numel() > 0 && x.numel() <= kFew) result["elements"] = to_string(x.detach());
  return result;
}

json known(const GraphNode& node, const GraphOutput& y) {
  if (!y.value.defined())
    return {{"text", node.released ? "not known: what was kept is freed" : "not known: nobody keeps it"}};
  if (y.value.version() != y.version) return {{"text", "not known: it was kept, and written in place since"}};
  return known(y.value);
}

json describe(const Graph& graph, size_t place) {
  const GraphNode& node = graph.nodes()[place];
  json result = {{"op", node.op},
                 {"leaf", node.is_leaf},
                 {"name", detail::names_text(node)},
                 {"saved", detail::saved_text(node)},
                 {"line", node.line},
                 {"order", node.order}};
  result["modules"] = json::array();
  for (const GraphModule& m : node.modules) result["modules"].push_back({m.name, m.type});
  result["inputs"] = json::array();
  for (const GraphInput& x : node.inputs) result["inputs"].push_back({x.node, x.output});
  result["outputs"] = json::array();
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    const GraphOutput& y = node.outputs[i];
    result["outputs"].push_back({{"shape", fmt::format("{}", y.shape)},
                                 {"dtype", fmt::format("{}", y.dtype)},
                                 {"name", y.name},
                                 {"value", known(node, y)},
                                 {"grad", known(graph.grad(place, static_cast<int>(i)))}});
  }
  return result;
}

json describe(const Graph& graph, const BackwardStep& step) {
  json result = {{"node", graph.find(step.node)}, {"arrived", json::array()}, {"sent", json::array()}};
  for (const Tensor& g : step.arrived) result["arrived"].push_back(known(g));
  for (const BackwardStep::Sent& sent : step.sent)
    result["sent"].push_back({{"input", sent.input},
                              {"to", graph.find(sent.to)},
                              {"output", sent.output},
                              {"gradient", known(sent.gradient)},
                              {"before", known(sent.before)}});
  return result;
}

/// A text in a <script>: nothing in it ends that.
std::string script(const json& data) {
  std::string text = data.dump(-1, ' ', true, json::error_handler_t::replace), safe;
  for (const char c : text) safe += c == '<' ? "\\u003c" : std::string(1, c);
  return safe;
}

}  // namespace

std::string to_html(const Graph& graph, const PageOptions& options) {
  json data = {{"title", options.title}, {"note", options.note},   {"nodes", json::array()},
               {"steps", json::array()}, {"roots", json::array()}, {"contracts", json::object()}};
  for (size_t i = 0; i < graph.nodes().size(); ++i) {
    data["nodes"].push_back(describe(graph, i));
    const std::string& op = graph.nodes()[i].op;
    if (!data["contracts"].contains(op)) data["contracts"][op] = detail::op_contract(op);
  }
  for (const GraphInput& root : graph.roots())
    if (root.node >= 0) data["roots"].push_back(root.node);
  for (const BackwardStep& step : options.steps) data["steps"].push_back(describe(graph, step));

  // the page is page.html with the other files, and the data, in their places
  std::string page;
  for (const detail::EmbeddedFile* file = detail::kPageFiles; !file->name.empty(); ++file)
    if (file->name == "page.html") page = file->text;
  const auto put = [&page](const std::string& place, std::string_view text) {
    const size_t at = page.find(place);
    if (at != std::string::npos) page.replace(at, place.size(), text);
  };
  for (const detail::EmbeddedFile* file = detail::kPageFiles; !file->name.empty(); ++file)
    put("/* " + std::string(file->name) + " */", file->text);
  put("/* data */", script(data));
  return page;
}

}  // namespace cotangent
