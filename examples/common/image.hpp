// Pictures made of pixels, written as PNG by stb.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

struct Colour {
  uint8_t r, g, b;
};
inline constexpr Colour kBlack{30, 30, 30}, kGrey{225, 225, 225}, kOrange{200, 90, 0}, kBlue{31, 95, 168};

/// An RGB picture, white at first; what is drawn beyond its edges is left out.
struct Image {
  int width, height;
  std::vector<uint8_t> pixels;
  Image(int w, int h) : width(w), height(h), pixels(static_cast<size_t>(3 * w * h), 255) {}
  void set(int x, int y, Colour c) {
    if (x < 0 || y < 0 || x >= width || y >= height) return;
    uint8_t* p = &pixels[3 * (static_cast<size_t>(y) * static_cast<size_t>(width) + static_cast<size_t>(x))];
    p[0] = c.r, p[1] = c.g, p[2] = c.b;
  }
  void fill(int x, int y, int w, int h, Colour c) {
    for (int j = y; j < y + h; ++j)
      for (int i = x; i < x + w; ++i) set(i, j, c);
  }
  /// An IOError when the file cannot be written.
  void write_png(const std::string& path) const;
};

inline constexpr int kDot = 2, kLetterWidth = 6 * kDot, kLineHeight = 10 * kDot;

/// Centred at `centre`, with its top at y. Letters, digits, points, commas, colons, minus signs and slashes; other
/// characters are spaces.
void write_text(Image& image, const std::string& text, int centre, int y, Colour colour);
