#include <cotangent/autograd/graph/text.hpp>

#include <algorithm>
#include <array>

#include <cotangent/autograd/graph/text_internal.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent {

std::string detail::bytes_text(int64_t bytes) {
  if (bytes < 1000) return fmt::format("{} B", bytes);
  double value = static_cast<double>(bytes);
  const char* unit = "";
  for (const char* next : {"kB", "MB", "GB", "TB"}) {
    unit = next;
    if ((value /= 1000) < 999.5) break;
  }
  return fmt::format("{:.3g} {}", value, unit);
}

std::string detail::outputs_text(const GraphNode& node) {
  std::string text;
  for (const GraphOutput& y : node.outputs) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", y.dtype, y.shape);
  return text;
}

std::string detail::names_text(const GraphNode& node) {
  std::string text;
  for (const GraphOutput& y : node.outputs)
    if (!y.name.empty()) text += (text.empty() ? "" : ", ") + y.name;
  return text;
}

std::string detail::saved_text(const GraphNode& node) {
  if (node.released) return "what it kept is freed";
  std::string text;
  int64_t bytes = 0;
  for (const GraphSaved& saved : node.saved) {
    text += fmt::format("{}{} {}{}", text.empty() ? "" : ", ", saved.is_output ? "output" : "input", saved.index,
                        saved.written_since ? " (written in place since)" : "");
    bytes += saved.bytes;
  }
  return text.empty() ? text : "keeps " + bytes_text(bytes) + ": " + text;
}

std::string to_string(const Graph& graph) {
  using Row = std::array<std::string, 6>;
  std::vector<Row> rows;
  size_t leaves = 0;
  const auto& nodes = graph.nodes();
  for (const GraphNode& node : nodes) {
    Row row;
    row[0] = fmt::format("{:>{}}", rows.size(), std::to_string(nodes.size() - 1).size());
    row[1] = node.op;
    if (const std::string name = detail::names_text(node); !name.empty()) row[1] += " " + name;
    row[2] = detail::outputs_text(node);
    for (const GraphInput& x : node.inputs) {
      row[3] += row[3].empty() ? "from " : ", ";
      row[3] += x.node < 0 ? "-" : std::to_string(x.node);
      if (x.node >= 0 && nodes[static_cast<size_t>(x.node)].outputs.size() > 1) row[3] += fmt::format(".{}", x.output);
    }
    row[4] = detail::saved_text(node);
    if (const std::string module = node.module(); !module.empty()) row[5] = "in " + module;
    if (!node.line.empty()) row[5] += (row[5].empty() ? "at " : ", at ") + node.line;
    leaves += node.is_leaf;
    rows.push_back(std::move(row));
  }
  if (rows.empty()) return "no history\n";

  std::array<size_t, 6> widths{};
  for (const Row& row : rows)
    for (size_t k = 0; k < row.size(); ++k) widths[k] = std::max(widths[k], row[k].size());
  std::string text;
  for (const Row& row : rows) {
    std::string line;
    for (size_t k = 0; k < row.size(); ++k)
      if (widths[k] > 0) line += fmt::format("{:<{}}  ", row[k], widths[k]);
    text += line.substr(0, line.find_last_not_of(' ') + 1) + '\n';
  }
  const auto count = [](size_t n, const char* one, const char* many) {
    return fmt::format("{} {}", n, n == 1 ? one : many);
  };
  return text + fmt::format("{} and {}; {} are kept for the backward pass\n", count(rows.size() - leaves, "op", "ops"),
                            count(leaves, "leaf", "leaves"), detail::bytes_text(graph.saved_bytes()));
}

namespace {

/// A string of Graphviz.
std::string in_quotes(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    if (c == '\n')
      result += "\\n";
    else if (c != '\r' && c != '\0')
      result += c;
  }
  return result + '"';
}

/// A module, with the nodes that are in it and in no module within it.
struct Cluster {
  GraphModule module;
  std::vector<size_t> nodes;
  std::vector<Cluster> inner;

  void add(const GraphNode& node, size_t place, size_t depth) {
    if (depth == node.modules.size()) return nodes.push_back(place);
    for (Cluster& c : inner)
      if (c.module == node.modules[depth]) return c.add(node, place, depth + 1);
    inner.push_back({node.modules[depth], {}, {}});
    inner.back().add(node, place, depth + 1);
  }
};

struct DotWriter {
  const Graph& graph;
  std::string text = {};
  int clusters = 0;

  void write(const Cluster& cluster, const std::string& indent) {
    for (const size_t place : cluster.nodes) write(graph.nodes()[place], place, indent);
    for (const Cluster& c : cluster.inner) {
      const std::string& name = c.module.name;
      text += fmt::format("{}subgraph cluster_{} {{\n{}  label = {};\n", indent, clusters++, indent,
                          in_quotes(name.empty() ? c.module.type : name + ": " + c.module.type));
      write(c, indent + "  ");
      text += indent + "}\n";
    }
  }
  void write(const GraphNode& node, size_t place, const std::string& indent) {
    const std::string name = detail::names_text(node);
    std::string label = node.is_leaf && !name.empty() ? name : name.empty() ? node.op : node.op + " " + name;
    label += "\n" + detail::outputs_text(node);
    text += fmt::format("{}n{} [label = {}{}];\n", indent, place, in_quotes(label),
                        node.is_leaf ? ", fillcolor = \"#e6f2e6\", style = \"filled,rounded\"" : "");
  }
};

}  // namespace

std::string to_dot(const Graph& graph) {
  Cluster all;
  for (size_t i = 0; i < graph.nodes().size(); ++i) all.add(graph.nodes()[i], i, 0);
  DotWriter writer{graph};
  writer.text =
      "digraph {\n  node [shape = box, style = filled, fillcolor = white, fontname = \"sans-serif\", fontsize = 10];\n"
      "  edge [fontname = \"sans-serif\", fontsize = 8, color = \"#666666\"];\n"
      "  graph [fontname = \"sans-serif\", fontsize = 10, style = rounded, color = \"#999999\"];\n";
  writer.write(all, "  ");
  for (size_t i = 0; i < graph.nodes().size(); ++i)
    for (const GraphInput& x : graph.nodes()[i].inputs) {
      if (x.node < 0) continue;
      const bool several = graph.nodes()[static_cast<size_t>(x.node)].outputs.size() > 1;
      writer.text +=
          fmt::format("  n{} -> n{}{};\n", x.node, i, several ? fmt::format(" [label = \"output {}\"]", x.output) : "");
    }
  return writer.text + "}\n";
}

}  // namespace cotangent
