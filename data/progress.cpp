#include <cotangent/data/progress.hpp>

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>

#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::data {
namespace {

constexpr int kLeastBar = 6;

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

/// Of the terminal.
int columns() {
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  const char* variable = std::getenv("COLUMNS");
  const int width = variable ? std::atoi(variable) : 0;
  return width > 0 ? width : 80;
}

std::string minutes(double seconds) {
  const auto s = static_cast<int64_t>(std::lround(std::min(seconds, 1e9)));
  return s < 3600 ? fmt::format("{}:{:02}", s / 60, s % 60)
                  : fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
}

std::string short_number(double x) {
  const double size = std::fabs(x);
  return size != 0 && (size < 1e-3 || size >= 1e6) ? fmt::format("{:.2e}", x) : fmt::format("{:.4f}", x);
}

bool starts_column(char c) { return (c & 0xC0) != 0x80; }  // is no continuation in UTF-8

}  // namespace

std::string progress_line(const std::string& label, int64_t done, int64_t total, double seconds, double loss,
                          int64_t not_finite, int width) {
  const double rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
  const std::string all = std::to_string(total), counts = fmt::format(" {:>{}}/{}", done, all.size(), all);
  std::string bar = ":", speed, losses, time;
  if (rate > 0) speed = rate < 1 ? fmt::format("  {:.1f} s each", 1 / rate) : fmt::format("  {:.1f}/s", rate);
  if (done > 0) losses = "  loss " + short_number(loss);
  if (not_finite > 0) losses += fmt::format(" ({} not finite)", not_finite);
  if (done >= total)
    time = fmt::format("  {} in all", minutes(seconds));
  else if (rate > 0)
    time = fmt::format("  {} left", minutes(static_cast<double>(total - done) / rate));

  const auto line = [&] { return label + bar + counts + speed + losses + time; };
  if (width <= 0) return line();
  const auto room = [&] {
    const std::string text = line();
    return width - static_cast<int>(std::count_if(text.begin(), text.end(), starts_column));
  };
  for (std::string* part : {&speed, &time})
    if (room() < 0) part->clear();
  if (const int inside = room() - 2; inside >= kLeastBar) {
    const double part = total > 0 ? static_cast<double>(done) / static_cast<double>(total) : 1;
    bar.assign(static_cast<size_t>(std::clamp(part * inside, 0.0, double(inside))), '=');
    if (done < total) bar += '>';
    bar.resize(static_cast<size_t>(inside), ' ');
    bar = " [" + bar + "]";
  }
  std::string text = line();
  for (int over = -room(); over > 0; text.pop_back()) over -= starts_column(text.back());
  return text;
}

Progress::Progress(std::string label, int64_t total)
    : label_(std::move(label)),
      total_(total),
      average_(std::numeric_limits<double>::quiet_NaN()),
      start_(now()),
      terminal_(isatty(STDOUT_FILENO) == 1) {}

Progress::~Progress() {
  if (terminal_ && drawn_) {
    if (done_ < total_) draw();
    std::fputs("\n", stdout);
    std::fflush(stdout);
  }
}

void Progress::step(double loss) {
  ++done_;
  if (std::isfinite(loss)) {
    const double weight = std::max(0.02, 1.0 / static_cast<double>(done_ - not_finite_));
    average_ = weight == 1 ? loss : average_ + weight * (loss - average_);
  } else {
    ++not_finite_;
  }
  const bool fifth = 5 * done_ / std::max<int64_t>(total_, 1) != 5 * (done_ - 1) / std::max<int64_t>(total_, 1);
  if (terminal_ ? done_ == total_ || now() - last_drawn_ > 0.1 : fifth) draw();
}

void Progress::draw() {
  last_drawn_ = now();
  // All but the last column: what is written there moves some terminals to the next line.
  const std::string line = progress_line(label_, done_, total_, last_drawn_ - start_, average_, not_finite_,
                                         terminal_ ? std::max(columns() - 1, 1) : 0);
  if (terminal_)
    std::printf("\r%s\033[K", line.c_str());
  else
    std::printf("%s\n", line.c_str());
  std::fflush(stdout);
  drawn_ = true;
}

}  // namespace cotangent::data
