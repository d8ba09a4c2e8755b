// Tensors as text, by NumPy's rules: every number as its shortest decimal that reads back, cut to kPrecision digits
// behind the point; all numbers in columns; lines of at most kLineWidth characters.
#include <cotangent/tensor/print.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <ostream>

#include <cotangent/tensor/dispatch_internal.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/join.hpp>
#include <cotangent/tensor/views.hpp>

namespace cotangent {
namespace {

constexpr int kPrecision = 4;
constexpr int64_t kThreshold = 1000;  // elements, above which only the edges are shown
constexpr int64_t kEdge = 3;
constexpr size_t kLineWidth = 75;

/// "-12.345e-06" in its parts: "-12", "345" and "-06".
struct Decimal {
  std::string whole, fraction, exponent;
};

Decimal split(const char* first, const char* last) {
  Decimal d;
  const char* e = std::find(first, last, 'e');
  const char* point = std::find(first, e, '.');
  d.whole.assign(first, point);
  if (point != e) d.fraction.assign(point + 1, e);
  if (e != last) d.exponent.assign(e + 1, last);
  return d;
}

// The shortest decimal that reads back as x, as a double.
template <class T>
double shortest(T x) {
  const float value = static_cast<float>(x);
  double decimal = static_cast<double>(value);
  char text[40];
  for (int digits = 0; digits < 8; ++digits) {
    const auto end = std::to_chars(text, text + sizeof text, value, std::chars_format::scientific, digits).ptr;
    std::from_chars(text, end, decimal);
    if (T(static_cast<float>(decimal)).bits == x.bits) break;
  }
  return decimal;
}

template <class T>
Decimal decimal_of(T x, bool scientific) {
  const auto format = scientific ? std::chars_format::scientific : std::chars_format::fixed;
  char text[400];  // of the largest double
  char* end;
  if constexpr (std::is_floating_point_v<T>)
    end = std::to_chars(text, text + sizeof text, x, format).ptr;
  else
    end = std::to_chars(text, text + sizeof text, shortest(x), format).ptr;
  Decimal d = split(text, end);
  if (d.fraction.size() <= kPrecision) return d;
  end = std::to_chars(text, text + sizeof text, static_cast<double>(x), format, kPrecision).ptr;
  d = split(text, end);
  d.fraction.erase(d.fraction.find_last_not_of('0') + 1);
  return d;
}

std::string padded(const std::string& text, size_t width) {
  return text.size() < width ? std::string(width - text.size(), ' ') + text : text;
}

// From here on a number has more digits in front of its point than are worth reading, or than the dtype has.
template <class T>
constexpr double kLarge = std::is_same_v<T, double>  ? 1e8
                          : std::is_same_v<T, float> ? 1e6
                          : std::is_same_v<T, Half>  ? 1e3
                                                     : 1e2;

// Whether numbers whose magnitudes lie in this range are too large, too small or too far apart for a column without
// exponents.
template <class T>
bool needs_exponent(double smallest, double largest) {
  return largest >= kLarge<T> || smallest < 1e-4 || largest / smallest > 1000;
}

template <class T>
std::vector<std::string> float_words(std::span<const T> values) {
  double smallest = 0, largest = 0;
  bool any = false, all_finite = true, negative_infinity = false;
  for (T x : values) {
    const double v = std::fabs(static_cast<double>(x));
    if (!std::isfinite(v)) {
      all_finite = false, negative_infinity |= static_cast<double>(x) < 0;
    } else if (v != 0) {
      smallest = any ? std::min(smallest, v) : v, largest = std::max(largest, v), any = true;
    }
  }
  const bool scientific = any && needs_exponent<T>(smallest, largest);
  std::vector<Decimal> decimals;
  size_t left = 0, right = 0, exponent = 0;
  for (T x : values) {
    if (!std::isfinite(static_cast<double>(x))) continue;
    decimals.push_back(decimal_of(x, scientific));
    const Decimal& d = decimals.back();
    left = std::max(left, d.whole.size()), right = std::max(right, d.fraction.size());
    exponent = std::max(exponent, d.exponent.size());
  }
  const size_t behind = right + (scientific ? exponent + 1 : 0);
  if (!all_finite) {
    const size_t widest = 3 + (negative_infinity ? 1 : 0);
    left = std::max(left, widest > behind + 1 ? widest - behind - 1 : 0);
  }
  std::vector<std::string> words;
  size_t next = 0;
  for (T x : values) {
    const double v = static_cast<double>(x);
    if (!std::isfinite(v)) {
      words.push_back(padded(std::isnan(v) ? "nan" : v < 0 ? "-inf" : "inf", left + behind + 1));
      continue;
    }
    Decimal& d = decimals[next++];
    d.fraction.resize(right, scientific ? '0' : ' ');
    words.push_back(padded(d.whole, left) + "." + d.fraction);
    if (scientific)
      words.back() +=
          "e" + d.exponent.substr(0, 1) + std::string(exponent - d.exponent.size(), '0') + d.exponent.substr(1);
  }
  return words;
}

/// The elements of a dense tensor as words of one width.
std::vector<std::string> words_of(const Tensor& x) {
  return dispatch(x.dtype(), [&]<class T> {
    const std::span<const T> values(x.data<T>(), static_cast<size_t>(x.numel()));
    if constexpr (!std::is_integral_v<T>) {
      return float_words(values);
    } else {
      std::vector<std::string> words;
      size_t width = 0;
      for (T v : values) {
        if constexpr (std::is_same_v<T, bool>)
          words.push_back(v ? "True" : "False"), width = x.rank() ? 5 : 0;
        else
          words.push_back(std::to_string(v)), width = std::max(width, words.back().size());
      }
      for (std::string& word : words) word = padded(word, width);
      return words;
    }
  });
}

/// Arranges the words in brackets.
struct Layout {
  Shape shape;
  bool cut[kMaxRank] = {};  // dimensions of which only the edges are there
  const std::vector<std::string>& words;
  size_t next = 0;

  static void extend(std::string& text, std::string& line, const std::string& word, size_t width,
                     const std::string& indent) {
    if (line.size() + word.size() > width && line.size() > indent.size()) {
      line.erase(line.find_last_not_of(' ') + 1);
      text += line + "\n";
      line = indent;
    }
    line += word;
  }

  // Dimension d and those within, where every line begins with `indent` and `width` characters are left.
  std::string brackets(int d, const std::string& indent, size_t width) {
    if (d == shape.rank()) return words[next++];
    const bool innermost = d + 1 == shape.rank();
    const std::string gap(static_cast<size_t>(shape.rank() - d - 1), '\n');
    std::string text, line = indent;
    for (int64_t i = 0; i < shape[d]; ++i) {
      const bool skipped = cut[d] && i == kEdge;
      if (innermost) {
        if (skipped) extend(text, line, "...", width - 1, indent), line += ' ';
        extend(text, line, brackets(d + 1, indent + ' ', width - 1), width - 1, indent);
        if (i + 1 < shape[d]) line += ' ';
      } else {
        if (skipped) text.append(indent).append("...").append(gap);
        text.append(indent).append(brackets(d + 1, indent + ' ', width - 1));
        if (i + 1 < shape[d]) text += gap;
      }
    }
    if (innermost) text += line;
    return "[" + text.substr(indent.size()) + "]";
  }
};

}  // namespace

std::string to_string(const Tensor& x) {
  if (!x.defined()) return "undefined";
  if (x.numel() == 0) return x.rank() == 1 ? "[]" : fmt::format("[], shape {}", x.shape());
  Tensor shown = x;
  bool cut[kMaxRank] = {};
  for (int d = 0; x.numel() > kThreshold && d < x.rank(); ++d) {
    const int64_t n = x.shape()[d];
    if (n <= 2 * kEdge) continue;
    cut[d] = true;
    const Tensor edges[] = {raw::slice("to_string", shown, d, 0, kEdge, 1),
                            raw::slice("to_string", shown, d, n - kEdge, n, 1)};
    shown = raw::cat("to_string", edges, d);
  }
  shown = raw::contiguous(shown);
  const std::vector<std::string> words = words_of(shown);
  Layout layout{.shape = shown.shape(), .words = words};
  std::copy(std::begin(cut), std::end(cut), layout.cut);
  return layout.brackets(0, " ", kLineWidth);
}

std::ostream& operator<<(std::ostream& out, const Tensor& x) { return out << to_string(x); }

}  // namespace cotangent
