#include <cotangent/autograd/gradcheck/report.hpp>

#include <algorithm>
#include <array>
#include <cmath>

#include <cotangent/tensor/format_internal.hpp>

namespace cotangent {

const char* name(Verdict verdict) {
  switch (verdict) {
    case Verdict::pass: return "pass";
    case Verdict::fail: return "fail";
    case Verdict::inconclusive: break;
  }
  return "inconclusive";
}

double GradcheckRow::absolute_error() const {
  const double error = std::fabs(analytic - numeric);
  return std::isnan(error) ? INFINITY : error;
}

double GradcheckRow::relative_error() const {
  const double error = absolute_error(), size = std::max(std::fabs(analytic), std::fabs(numeric));
  return error == 0 ? 0 : std::isfinite(error) ? error / size : INFINITY;
}

namespace {

std::string table_of(const std::vector<GradcheckRow>& rows, size_t shown) {
  std::vector<std::array<std::string, 10>> table;
  table.push_back({"order", "where", "index", "x", "analytic", "numeric", "error bar", "abs error", "rel error", ""});
  for (size_t i = 0; i < shown; ++i) {
    const GradcheckRow& r = rows[i];
    table.push_back({fmt::format("{}{}", r.order, r.recorded ? " (create_graph)" : ""), r.input,
                     cotangent::to_string(r.index), fmt::format("{:.6g}", r.x), fmt::format("{:.10g}", r.analytic),
                     fmt::format("{:.10g}", r.numeric), fmt::format("{:.1g}", r.error_bar),
                     fmt::format("{:.2g}", r.absolute_error()), fmt::format("{:.2g}", r.relative_error()), r.note});
  }
  std::array<size_t, 10> widths{};
  for (const auto& line : table)
    for (size_t c = 0; c < line.size(); ++c) widths[c] = std::max(widths[c], line[c].size());
  std::string text;
  for (const auto& line : table) {
    std::string row = " ";
    for (size_t c = 0; c < line.size(); ++c)
      row += c < 3 || c == 9 ? fmt::format(" {:<{}}", line[c], widths[c]) : fmt::format(" {:>{}}", line[c], widths[c]);
    row.erase(row.find_last_not_of(' ') + 1);
    text += row + "\n";
  }
  return text;
}

// "blame: [mul], input 1, in blocks.2.fc1, at model.cpp:31: ..."
std::string line_of(const GradcheckBlame& blame) {
  if (blame.op.empty()) return "no op is to blame: " + blame.evidence;
  std::string text = fmt::format("blame: [{}]", blame.op);
  if (blame.input >= 0) text += fmt::format(", input {}", blame.input);
  if (!blame.module.empty()) text += ", in " + blame.module;
  if (!blame.file.empty()) text += fmt::format(", at {}:{}", blame.file, blame.line);
  return text + ": " + blame.evidence;
}

}  // namespace

std::string GradcheckReport::to_string(int max_rows) const {
  const char* verdicts[] = {"passed", "FAILED", "is INCONCLUSIVE"};
  std::string text = fmt::format("gradcheck {}: worst relative error {:.2g}, order {}, {} elements",
                                 verdicts[static_cast<int>(verdict)], worst_error, order, elements);
  if (directions > 0) text += fmt::format(" and {} directions", directions);
  text += fmt::format("; {}\n", checked);
  if (!inputs.empty()) {
    text += fmt::format("  certified: {:.4g} % of the elements", 100 * certified);
    if (smallest_fault > 0)
      text += fmt::format("; a relative error of {:.2g} in any of them would show", smallest_fault);
    text += "\n";
  }
  for (const std::string& problem : problems)
    if (std::none_of(diagnosis.begin(), diagnosis.end(),
                     [&](const std::string& line) { return line.ends_with(problem); }))
      text += fmt::format("  problem: {}\n", problem);
  const size_t most = static_cast<size_t>(std::max(max_rows, 0));
  if (bad_elements > 0) {
    const size_t shown = std::min(rows.size(), most);
    text += table_of(rows, shown);
    if (bad_elements > static_cast<int64_t>(shown))
      text += fmt::format("  ... and {} more of {} bad elements\n", bad_elements - static_cast<int64_t>(shown),
                          bad_elements);
  }
  for (const std::string& line : diagnosis) text += fmt::format("  {}\n", line);
  if (!blame.op.empty() || !blame.evidence.empty()) text += "  " + line_of(blame) + "\n";
  for (const GradcheckInput& part : inputs)
    if (part.verdict == Verdict::inconclusive)
      text += fmt::format("  {}, order {}, is inconclusive: {}\n", part.input, part.order, part.reason);
  if (verdict == Verdict::inconclusive && !unresolved.empty())
    text += "  unresolved:\n" + table_of(unresolved, std::min(unresolved.size(), most));
  return text;
}

}  // namespace cotangent
