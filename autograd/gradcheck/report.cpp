#include <cotangent/autograd/gradcheck/report.hpp>

#include <algorithm>
#include <array>
#include <cmath>

#include <cotangent/tensor/format_internal.hpp>

namespace cotangent {

double GradcheckRow::absolute_error() const {
  const double error = std::fabs(analytic - numeric);
  return std::isnan(error) ? INFINITY : error;
}

double GradcheckRow::relative_error() const {
  const double error = absolute_error(), size = std::max(std::fabs(analytic), std::fabs(numeric));
  return error == 0 ? 0 : std::isfinite(error) ? error / size : INFINITY;
}

std::string GradcheckReport::to_string(int max_rows) const {
  std::string text = fmt::format("gradcheck {}: worst relative error {:.2g}, order {}, {} elements",
                                 ok() ? "passed" : "FAILED", worst_error, order, elements);
  if (directions > 0) text += fmt::format(" and {} directions", directions);
  text += fmt::format("; {}\n", checked);
  for (const std::string& problem : problems) text += fmt::format("  problem: {}\n", problem);
  if (bad_elements > 0) {
    std::vector<std::array<std::string, 9>> table;
    table.push_back({"order", "where", "index", "x", "analytic", "numeric", "abs error", "rel error", ""});
    const size_t shown = std::min(rows.size(), static_cast<size_t>(std::max(max_rows, 0)));
    for (size_t i = 0; i < shown; ++i) {
      const GradcheckRow& r = rows[i];
      table.push_back({fmt::format("{}{}", r.order, r.recorded ? " (create_graph)" : ""), r.input,
                       cotangent::to_string(r.index), fmt::format("{:.6g}", r.x), fmt::format("{:.10g}", r.analytic),
                       fmt::format("{:.10g}", r.numeric), fmt::format("{:.2g}", r.absolute_error()),
                       fmt::format("{:.2g}", r.relative_error()), r.note});
    }
    std::array<size_t, 9> widths{};
    for (const auto& line : table)
      for (size_t c = 0; c < line.size(); ++c) widths[c] = std::max(widths[c], line[c].size());
    for (const auto& line : table) {
      std::string row = " ";
      for (size_t c = 0; c < line.size(); ++c)
        row +=
            c < 3 || c == 8 ? fmt::format(" {:<{}}", line[c], widths[c]) : fmt::format(" {:>{}}", line[c], widths[c]);
      row.erase(row.find_last_not_of(' ') + 1);
      text += row + "\n";
    }
    if (bad_elements > static_cast<int64_t>(shown))
      text += fmt::format("  ... and {} more of {} bad elements\n", bad_elements - static_cast<int64_t>(shown),
                          bad_elements);
  }
  for (const std::string& line : diagnosis) text += fmt::format("  {}\n", line);
  return text;
}

}  // namespace cotangent
