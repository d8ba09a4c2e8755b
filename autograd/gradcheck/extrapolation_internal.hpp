#pragma once
// How a derivative is measured by differences, and how far the measurement can be trusted.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace cotangent::detail {

/// What two values of a function at x - h and x + h say.
struct Central {
  double value;        ///< (L(x + h) - L(x - h)) / 2h
  double left, right;  ///< (L(x) - L(x - h)) / h and (L(x + h) - L(x)) / h
  double noise;        ///< how much of `value` may be rounding
  double hidden = 0;   ///< how large a derivative may be that changes no bit
};

/// A measured derivative.
struct Difference {
  double value = std::numeric_limits<double>::quiet_NaN();
  double error = std::numeric_limits<double>::infinity();   ///< its error bar
  double noise = 0;                                         ///< how much of that is rounding
  double hidden = std::numeric_limits<double>::infinity();  ///< a derivative this large may have changed no bit
  double left = 0, right = 0;                               ///< the slopes on both sides, at the last step
  bool kink = false;                                        ///< their gap does not shrink with the step
  bool jump = false;                                        ///< it grows: the function is not continuous
  bool finite = false;                                      ///< both sides could be computed at some step
};

/// Differences at steps that are halved one after the other, extrapolated to a step of 0 (Ridders 1982, "Accurate
/// computation of F'(x) and F'(x) F''(x)"): each column of the table takes away another even power of the step.
///
/// The error bar of an entry is its distance from the two entries that it was made from, and the rounding of the last
/// difference. Where the slopes on both sides of x stay apart as the step shrinks, the bar is their gap: central
/// differences agree with each other at a kink, and mean nothing.
class Extrapolation {
 public:
  static constexpr int kRows = 24;

  /// The next step, half the one before. Returns whether more steps are of no use: rounding is all that is left.
  bool add(const Central& c) {
    best_.finite = true;
    best_.hidden = std::min(best_.hidden, c.hidden);
    if (std::isnan(best_.value)) best_.value = c.value;  // better than nothing, with a bar that says so
    const double gap = std::fabs(c.right - c.left);
    const double steeper = std::max(std::fabs(c.left), std::fabs(c.right));
    if (rows_ > 0 && !(gap <= kApart * gap_) && gap > 20 * c.noise && gap > kLeastGap * steeper)
      ++apart_, steeper_ += gap > 1.5 * gap_ ? 1 : 0;
    else
      apart_ = 0, steeper_ = 0;
    const bool bent = apart_ > 0;
    best_.left = c.left, best_.right = c.right;
    double row[kRows];
    row[0] = c.value;
    double power = 4;
    const int columns = std::min(rows_, kRows - 1);
    for (int k = 1; k <= columns; ++k, power *= 4) {
      row[k] = (power * row[k - 1] - above_[k - 1]) / (power - 1);
      const double spread = std::max(std::fabs(row[k] - row[k - 1]), std::fabs(row[k] - above_[k - 1]));
      const double error = std::max(spread, bent ? gap : 0) + c.noise;
      if (error <= best_.error) best_.value = row[k], best_.error = error, best_.noise = c.noise;
    }
    const bool ended = rows_ > 0 && best_.error <= 3 * c.noise && !bent;
    std::copy(row, row + columns + 1, above_);
    gap_ = gap;
    ++rows_;
    best_.kink = apart_ >= 3, best_.jump = best_.kink && steeper_ >= 3;
    return ended;
  }
  /// Begins a new table: the next step is not half of the last.
  void restart() { rows_ = 0, apart_ = steeper_ = 0, gap_ = 0; }
  int rows() const { return rows_; }
  const Difference& best() const { return best_; }

 private:
  static constexpr double kApart = 0.75;     // a smooth function's gap halves with the step
  static constexpr double kLeastGap = 1e-6;  // of the slopes: below that it changes nothing

  double above_[kRows] = {};
  double gap_ = 0;
  int rows_ = 0, apart_ = 0, steeper_ = 0;
  Difference best_;
};

/// The standard deviation of the noise in values of a function at places of equal distance, so close together that only
/// rounding tells them from a polynomial (More and Wild 2011, "Estimating computational noise"): differences of order k
/// of such noise have sqrt((2k)!) / k! times its deviation.
inline double noise_of(std::array<double, 8> values) {
  double noise = 0, factor = 1;  // (2k)! / k!^2
  for (size_t k = 1; k < values.size(); ++k) {
    factor *= (4 * static_cast<double>(k) - 2) / static_cast<double>(k);
    const size_t count = values.size() - k;
    double squares = 0;
    for (size_t i = 0; i < count; ++i) {
      values[i] = values[i + 1] - values[i];
      squares += values[i] * values[i];
    }
    if (k >= 3) noise = std::max(noise, std::sqrt(squares / static_cast<double>(count) / factor));
  }
  return noise;
}

/// The derivative of a function of one number, by at most `evaluations` of it: `central(h)` gives a Central at the step
/// h. `scale` is a length over which the argument is known to matter: |x|, but not 0.
///
/// The first step is a tenth of the scale. If the first two differences disagree by more than a fifth, the function
/// bends within that, and the steps go down at once to where it should not; if they agree to the last bit that rounding
/// leaves, but rounding leaves little, larger steps are tried.
template <class F>
Difference extrapolate(F&& central, double scale, int evaluations) {
  constexpr double kFirst = 0.1, kBend = 0.05, kWanted = 1e-13, kFactor = 8, kLargest = 1e4;
  Extrapolation table;
  double h = kFirst * scale, top = h, before = 0;
  int bends = 0;
  bool down = false;
  for (; evaluations >= 2; evaluations -= 2) {
    const Central c = central(h);
    if (!std::isfinite(c.value)) {  // outside the domain
      table.restart();
      h /= kFactor, down = true;
      continue;
    }
    if (table.rows() == 1 && bends < 3) {
      const double bend = std::fabs(c.value - before) / std::max(std::fabs(c.value), std::fabs(before));
      if (bend > 4 * kBend) {
        table.restart();
        h *= bend < 1 ? std::min(0.5, std::sqrt(kBend / bend)) : 0.5 / kFactor;
        ++bends, down = true;
        continue;
      }
    }
    before = c.value;
    if (table.add(c)) {
      const Difference& best = table.best();
      if (best.noise <= kWanted * std::fabs(best.value) || down || evaluations < 6 || top >= kLargest * scale) break;
      table.restart();
      h = top *= kFactor;
      continue;
    }
    h /= 2;
  }
  return table.best();
}

}  // namespace cotangent::detail
