#include "pictures.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <sstream>

#include "../common/gnuplot.hpp"

namespace {

/// Shades of the family's colour, one for each of its variants. Families differ in their dashes as well.
std::string colour(const Variant& variant) {
  constexpr int shades[][2][3] = {{{18, 60, 120}, {110, 175, 235}},   // blue
                                  {{60, 60, 60}, {190, 190, 190}},    // grey
                                  {{85, 30, 120}, {200, 150, 225}},   // purple
                                  {{10, 90, 45}, {130, 205, 120}},    // green
                                  {{150, 45, 10}, {245, 175, 80}},    // orange
                                  {{120, 10, 40}, {240, 130, 160}}};  // red
  int count = 0, place = 0;
  for (const Variant& v : variants()) {
    if (v.family != variant.family) continue;
    if (v.name == variant.name) place = count;
    ++count;
  }
  const auto& [dark, light] = shades[static_cast<size_t>(variant.family)];
  char text[8];
  int rgb[3];
  for (int c = 0; c < 3; ++c) rgb[c] = dark[c] + (light[c] - dark[c]) * place / std::max(1, count - 1);
  std::snprintf(text, sizeof text, "#%02x%02x%02x", static_cast<unsigned>(rgb[0]) & 255U,
                static_cast<unsigned>(rgb[1]) & 255U, static_cast<unsigned>(rgb[2]) & 255U);
  return text;
}

void draw_cost(const std::vector<Row>& rows, const CostSettings& s, const std::string& picture, const char* title,
               const char* unit, const std::vector<Cost> Row::*costs, double (*value)(const Cost& cost)) {
  constexpr int markers[] = {7, 5, 9, 13, 6, 4, 8, 12};  // filled, then open: circle, square, triangle, diamond
  std::ostringstream script;
  int64_t first = s.max_length, last = 0;
  double least = 1e300, most = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    script << "$v" << i << " << END\n";
    for (const Cost& cost : rows[i].*costs) {
      script << cost.length << ' ' << value(cost) << '\n';
      first = std::min(first, cost.length), last = std::max(last, cost.length);
      least = std::min(least, value(cost)), most = std::max(most, value(cost));
    }
    script << "END\n";
  }
  const double anchor = static_cast<double>(first);
  script << "set terminal svg size 1280,820 font 'sans-serif,14' background rgb 'white'\n"
         << "set output " << quoted(picture) << "\nset title " << quoted(title) << "\n"
         << "set xlabel \"length T of the sequence\\n(a curve ends where the next length would take more than "
         << s.max_seconds << " s or " << s.max_bytes / 1e9 << " GB)\"\nset ylabel " << quoted(unit) << "\n"
         << "set logscale x 2\nset logscale y 10\nset xrange [" << first << ':' << last << "]\n"
         << "set yrange [" << least / 1.5 << ':' << most * 1.5 << "]\n"
         << "set grid lt 1 lc rgb '#e8e8e8'\nset border lc rgb '#808080'\nset tics textcolor rgb '#202020'\nset format "
            "y '%g'\n"
         << "set key outside right center vertical maxrows 30 Left reverse samplen 2.5 font 'sans-serif,13'\n"
         << "plot " << least << "*x/" << anchor << " lw 1 dt 3 lc rgb '#909090' title 'grows as T', " << least << "*(x/"
         << anchor << ")**2 lw 1 dt 2 lc rgb '#909090' title 'grows as T^2'";
  for (size_t i = 0; i < rows.size(); ++i) {
    if ((rows[i].*costs).empty()) continue;
    script << ", $v" << i << " with linespoints lw 1.6 ps 0.6 pt " << markers[i % 8] << " dt "
           << 1 + static_cast<int>(rows[i].variant->family) << " lc rgb '" << colour(*rows[i].variant) << "' title "
           << quoted(rows[i].variant->name);
  }
  script << "\n";
  run_gnuplot(script.str(), picture);
}

}  // namespace

std::string to_string(const Result& result, const Task& task) {
  if (!result.lacking.empty()) return "no form";
  char text[32];
  if (task.measure == Measure::squared_error)
    std::snprintf(text, sizeof text, "%.3f", result.figure);
  else
    std::snprintf(text, sizeof text, task.measure == Measure::accuracy ? "%.1f%%" : "+%.1f%%", 100 * result.figure);
  return text;
}

void draw_costs(const std::vector<Row>& rows, const CostSettings& s, const std::string& out) {
  char size[96];
  std::snprintf(size, sizeof size, "width %lld, %lld heads, causal, one sequence", static_cast<long long>(s.width),
                static_cast<long long>(s.heads));
  draw_cost(rows, s, out + "/time.svg", (std::string("Forward and backward of one layer: ") + size).c_str(),
            "milliseconds", &Row::costs, [](const Cost& cost) { return 1e3 * cost.seconds; });
  draw_cost(rows, s, out + "/memory.svg", (std::string("Memory at the peak of it: ") + size).c_str(), "megabytes",
            &Row::costs, [](const Cost& cost) { return static_cast<double>(cost.bytes) / 1e6; });
  draw_cost(rows, s, out + "/decoding.svg", (std::string("One more token: ") + size).c_str(), "microseconds",
            &Row::decoding, [](const Cost& cost) { return 1e6 * cost.seconds; });
}

void draw_tasks(const std::vector<Row>& rows, const std::vector<Task>& tasks, const std::string& out) {
  const std::string picture = out + "/tasks.svg";
  std::ostringstream script;
  script << "$cells << END\n";
  for (size_t i = 0; i < rows.size(); ++i)
    for (size_t j = 0; j < tasks.size(); ++j) {
      const Result& r = rows[i].results[j];
      const std::string steps = r.solved ? "at " + std::to_string(r.steps) : "";
      script << j << ' ' << i << ' ' << (r.solved ? 1 : 0.8 * r.progress) << " \"" << to_string(r, tasks[j]) << "\" \""
             << steps << "\"\n";
    }
  script << "END\nset terminal svg size " << 260 + 130 * tasks.size() << ',' << 130 + 26 * rows.size()
         << " font 'sans-serif,14' background rgb 'white'\nset output " << quoted(picture) << "\n"
         << "set title \"Which layer solves which task\\n(blue: solved, at that step)\"\n"
         << "set yrange [" << rows.size() << "-0.5:-0.5]\nset xrange [-0.5:" << tasks.size() << "-0.5]\n"
         << "set tics scale 0 textcolor rgb '#202020'\nunset key\nunset colorbox\nset border lc rgb '#c0c0c0'\n"
         << "set palette defined (0 '#fdf1ea', 0.8 '#f6d9a8', 0.81 '#a9cdee', 1 '#a9cdee')\nset cbrange [0:1]\n"
         << "set xtics (";
  for (size_t j = 0; j < tasks.size(); ++j) script << (j ? ", " : "") << quoted(tasks[j].name) << ' ' << j;
  script << ")\nset ytics (";
  for (size_t i = 0; i < rows.size(); ++i) script << (i ? ", " : "") << quoted(rows[i].variant->name) << ' ' << i;
  script << ")\nplot $cells using 1:2:(0.5):(0.5):3 with boxxyerror fill solid noborder lc palette, "
         << "$cells using ($1-0.03):2:4 with labels right tc rgb '#202020', $cells using ($1+0.06):2:5 with labels "
            "left font 'sans-serif,12' tc rgb '#1f4e79'\n";
  run_gnuplot(script.str(), picture);
}
