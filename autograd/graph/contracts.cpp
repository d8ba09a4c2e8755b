#include <cctype>

#include <cotangent/autograd/graph/embedded_internal.hpp>

namespace cotangent::detail {
namespace {

std::string_view next_line(std::string_view& text) {
  const size_t end = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

/// Whether a line declares this function: "Tensor relu(const Tensor& x);"
bool declares(std::string_view line, std::string_view op) {
  if (line.empty() || !std::isalpha(static_cast<unsigned char>(line[0]))) return false;
  const size_t open = line.find('(');
  if (open == std::string_view::npos || open < op.size() + 1) return false;
  return line.substr(open - op.size(), op.size()) == op && line[open - op.size() - 1] == ' ';
}

/// A comment is of all declarations that follow it without an empty line.
std::string contract_in(std::string_view header, std::string_view op) {
  std::string comment;
  bool goes_on = false;
  while (!header.empty()) {
    const std::string_view line = next_line(header);
    if (line.starts_with("///")) {
      if (!goes_on) comment.clear();
      goes_on = true;
      comment.append(line.substr(std::min<size_t>(line.starts_with("/// ") ? 4 : 3, line.size()))).append("\n");
      continue;
    }
    goes_on = false;
    if (line.empty()) comment.clear();
    if (!comment.empty() && declares(line, op)) return comment;
  }
  return {};
}

}  // namespace

std::string op_contract(std::string_view op) {
  // complex::mul is in a header of that namespace; a name without one may be, too, where it is no other's
  std::string scope = "\nnamespace cotangent";
  const size_t end = op.find("::");
  if (end != std::string_view::npos) {
    scope.append("::").append(op.substr(0, end));
    op.remove_prefix(end + 2);
  }
  scope += " {";
  const auto in_headers = [&](std::string_view name, bool any_scope) {
    for (const EmbeddedFile* file = kOpHeaders; !file->name.empty(); ++file)
      if (any_scope || file->text.find(scope) != std::string_view::npos)
        if (std::string contract = contract_in(file->text, name); !contract.empty()) return contract;
    return std::string();
  };
  const auto of = [&](std::string_view name) {
    std::string contract = in_headers(name, false);
    return contract.empty() && end == std::string_view::npos ? in_headers(name, true) : contract;
  };
  std::string contract = of(op);
  if (contract.empty()) contract = of(std::string(op) + "2d");                            // any number of dimensions
  if (contract.empty() && op.ends_with('_')) contract = of(op.substr(0, op.size() - 1));  // in place
  return contract;
}

}  // namespace cotangent::detail
