#pragma once
#include <cstdint>
#include <string>

namespace cotangent::data {

/// Shows how far a loop is, on stdout:
///
///     epoch 1/5 [=========>          ]  450/938   85.2/s  loss 0.4312  0:05 left
///
/// On a terminal the line is redrawn, ten times a second at most. Elsewhere a plain line is printed at each fifth of
/// the way.
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

  /// One more is done. The loss that is shown is an average of the last ones.
  void step(double loss);
  double average_loss() const { return average_; }

 private:
  void draw();

  std::string label_;
  int64_t total_, done_ = 0;
  double average_ = 0, start_, last_drawn_ = 0;
  bool terminal_, drawn_ = false;
};

/// The line that Progress draws.
std::string progress_line(const std::string& label, int64_t done, int64_t total, double seconds, double loss, bool bar);

}  // namespace cotangent::data
