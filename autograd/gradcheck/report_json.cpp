// Apart from report.cpp, as the library for JSON takes seconds to compile.
#include <cmath>

#include <nlohmann/json.hpp>

#include <cotangent/autograd/gradcheck/report.hpp>

namespace cotangent {
namespace {

using nlohmann::ordered_json;

/// JSON has no NaN and no infinity.
ordered_json number(double v) {
  if (std::isfinite(v)) return v;
  return std::isnan(v) ? "NaN" : v > 0 ? "Infinity" : "-Infinity";
}

ordered_json sizes(const Shape& shape) { return std::vector<int64_t>(shape.begin(), shape.end()); }

ordered_json json_of(const GradcheckRow& r) {
  return {{"order", r.order},
          {"recorded", r.recorded},
          {"input", r.input},
          {"index", sizes(r.index)},
          {"x", number(r.x)},
          {"analytic", number(r.analytic)},
          {"numeric", number(r.numeric)},
          {"error_bar", number(r.error_bar)},
          {"absolute_error", number(r.absolute_error())},
          {"relative_error", number(r.relative_error())},
          {"note", r.note}};
}

ordered_json json_of(const GradcheckInput& part) {
  return {{"order", part.order},
          {"input", part.input},
          {"shape", sizes(part.shape)},
          {"verdict", name(part.verdict)},
          {"elements", part.elements},
          {"certified", part.certified},
          {"failed", part.failed},
          {"unresolved", part.unresolved},
          {"largest", number(part.largest)},
          {"smallest_fault", number(part.smallest_fault)},
          {"reason", part.reason}};
}

template <class T>
ordered_json list_of(const std::vector<T>& parts) {
  ordered_json list = ordered_json::array();
  for (const T& part : parts) list.push_back(json_of(part));
  return list;
}

}  // namespace

std::string GradcheckReport::to_json() const {
  const ordered_json report = {{"ok", ok()},
                               {"verdict", name(verdict)},
                               {"order", order},
                               {"elements", elements},
                               {"directions", directions},
                               {"worst_error", number(worst_error)},
                               {"certified", number(certified)},
                               {"smallest_fault", number(smallest_fault)},
                               {"bad_elements", bad_elements},
                               {"rows", list_of(rows)},
                               {"unresolved", list_of(unresolved)},
                               {"inputs", list_of(inputs)},
                               {"problems", problems},
                               {"diagnosis", diagnosis},
                               {"blame",
                                {{"op", blame.op},
                                 {"input", blame.input},
                                 {"module", blame.module},
                                 {"file", blame.file},
                                 {"line", blame.line},
                                 {"evidence", blame.evidence}}},
                               {"checked", checked}};
  return report.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace cotangent
