#include <cotangent/data/progress.hpp>

#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdio>

#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::data {
namespace {

constexpr int kBarWidth = 24;

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

std::string minutes(double seconds) {
  const auto s = static_cast<int64_t>(std::lround(seconds));
  return s < 3600 ? fmt::format("{}:{:02}", s / 60, s % 60)
                  : fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
}

}  // namespace

std::string progress_line(const std::string& label, int64_t done, int64_t total, double seconds, double loss,
                          bool bar) {
  std::string line = label;
  if (bar) {
    const auto filled = static_cast<size_t>(total > 0 ? kBarWidth * done / total : kBarWidth);
    std::string inside(filled, '=');
    if (done < total) inside += '>';
    inside.resize(kBarWidth, ' ');
    line += " [" + inside + "]";
  }
  const std::string all = std::to_string(total);
  const double rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
  line += fmt::format(" {:>{}}/{}  {:.1f}/s  loss {:.4f}", done, all.size(), all, rate, loss);
  if (done >= total)
    line += fmt::format("  {} in all", minutes(seconds));
  else if (rate > 0)
    line += fmt::format("  {} left", minutes(static_cast<double>(total - done) / rate));
  return line;
}

Progress::Progress(std::string label, int64_t total)
    : label_(std::move(label)), total_(total), start_(now()), terminal_(isatty(STDOUT_FILENO) == 1) {}

Progress::~Progress() {
  if (terminal_ && drawn_) {
    if (done_ < total_) draw();
    std::fputs("\n", stdout);
    std::fflush(stdout);
  }
}

void Progress::step(double loss) {
  ++done_;
  const double weight = std::max(0.02, 1.0 / static_cast<double>(done_));
  average_ += weight * (loss - average_);
  const bool fifth = 5 * done_ / std::max<int64_t>(total_, 1) != 5 * (done_ - 1) / std::max<int64_t>(total_, 1);
  if (terminal_ ? done_ == total_ || now() - last_drawn_ > 0.1 : fifth) draw();
}

void Progress::draw() {
  last_drawn_ = now();
  const std::string line = progress_line(label_, done_, total_, last_drawn_ - start_, average_, terminal_);
  if (terminal_)
    std::printf("\r%s\033[K", line.c_str());
  else
    std::printf("%s\n", line.c_str());
  std::fflush(stdout);
  drawn_ = true;
}

}  // namespace cotangent::data
