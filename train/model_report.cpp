#include <cotangent/train/model_report.hpp>

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

#include <cotangent/tensor/format_internal.hpp>

namespace cotangent {

bool ModelReport::has(const std::string& name) const {
  return std::any_of(findings.begin(), findings.end(), [&](const ModelFinding& f) { return f.name == name; });
}

std::string ModelReport::to_string() const {
  std::string text = ok() ? "check_model: nothing found" : fmt::format("check_model: {} findings", findings.size());
  text += fmt::format("; the loss was {:.6g}, and {:.6g} after a step; the norm of the gradient was {:.3g}\n", loss,
                      loss_after, gradient);
  for (const ModelFinding& f : findings) {
    constexpr size_t kShown = 8;
    std::string places;
    for (size_t i = 0; i < f.where.size() && i < kShown; ++i) places += (i ? ", " : "") + f.where[i];
    if (f.where.size() > kShown) places += fmt::format(", and {} more", f.where.size() - kShown);
    text += fmt::format("\n  {}{}{}\n    {}\n    {}\n", f.name, places.empty() ? "" : ": ", places, f.seen, f.advice);
  }
  return text;
}

std::string ModelReport::to_json() const {
  using nlohmann::ordered_json;
  const auto number = [](double v) -> ordered_json {  // JSON has no NaN and no infinity
    if (std::isfinite(v)) return v;
    return std::isnan(v) ? "NaN" : v > 0 ? "Infinity" : "-Infinity";
  };
  ordered_json list = ordered_json::array();
  for (const ModelFinding& f : findings)
    list.push_back({{"name", f.name}, {"where", f.where}, {"seen", f.seen}, {"advice", f.advice}});
  const ordered_json report = {{"ok", ok()},
                               {"loss", number(loss)},
                               {"loss_after", number(loss_after)},
                               {"gradient", number(gradient)},
                               {"findings", list}};
  return report.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace cotangent
