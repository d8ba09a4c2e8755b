#pragma once
#include <cstdint>
#include <string>

namespace cotangent::data {

/// Shows how far a loop is, on stdout:
///
///     epoch 1/5 [=========>          ] 450/938  85.2/s  loss 0.4312  0:05 left
///
/// On a terminal the line is as wide as that, and is redrawn, ten times a second at most. Elsewhere a plain line
/// without a bar is printed at each fifth of the way.
///
///     data::Progress progress("epoch 1/5", loader.size());
///     for (...) { ...; progress.step(loss); }
class Progress {
 public:
  Progress(std::string label, int64_t total);
  /// Draws the end, if it was not reached.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// One more is done. The loss that is shown is an average of the last ones. Those that are not finite do not enter
  /// it: the line says how many they were.
  void step(double loss);
  /// NaN before the first loss that is finite.
  double average_loss() const { return average_; }

 private:
  void draw();

  std::string label_;
  int64_t total_, done_ = 0, not_finite_ = 0;
  double average_, start_, last_drawn_ = 0;
  bool terminal_, drawn_ = false;
};

/// The line that Progress draws: up to `width` columns, which a bar fills where it finds room. Where they are few, the
/// rate is left out, then the time, and then the end of the line. A width of 0: no bar, and all the rest.
std::string progress_line(const std::string& label, int64_t done, int64_t total, double seconds, double loss,
                          int64_t not_finite, int width);

}  // namespace cotangent::data
