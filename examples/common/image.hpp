// Pictures made of pixels, written as PNG by stb. One source file of a program defines STB_IMAGE_WRITE_IMPLEMENTATION
// before it includes this.
#pragma once
#include <stb_image_write.h>

#include <cctype>
#include <cotangent/tensor/error.hpp>
#include <cstdint>
#include <string>
#include <vector>

struct Colour {
  uint8_t r, g, b;
};
inline constexpr Colour kBlack{30, 30, 30}, kRed{200, 30, 30}, kGreen{30, 120, 60};

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
  void write_png(const std::string& path) const {
    if (!stbi_write_png(path.c_str(), width, height, 3, pixels.data(), 3 * width))
      throw cotangent::IOError("[write_png] " + path + " cannot be written");
  }
};

/// Capital letters of 5 x 7 dots; each number is a row, its lowest bit the dot on the right.
inline constexpr uint8_t kLetters[26][7] = {
    {14, 17, 17, 31, 17, 17, 17}, {30, 17, 17, 30, 17, 17, 30}, {14, 17, 16, 16, 16, 17, 14},  // A B C
    {30, 17, 17, 17, 17, 17, 30}, {31, 16, 16, 30, 16, 16, 31}, {31, 16, 16, 30, 16, 16, 16},  // D E F
    {14, 17, 16, 23, 17, 17, 15}, {17, 17, 17, 31, 17, 17, 17}, {14, 4, 4, 4, 4, 4, 14},       // G H I
    {7, 2, 2, 2, 2, 18, 12},      {17, 18, 20, 24, 20, 18, 17}, {16, 16, 16, 16, 16, 16, 31},  // J K L
    {17, 27, 21, 21, 17, 17, 17}, {17, 25, 21, 19, 17, 17, 17}, {14, 17, 17, 17, 17, 17, 14},  // M N O
    {30, 17, 17, 30, 16, 16, 16}, {14, 17, 17, 17, 21, 18, 13}, {30, 17, 17, 30, 20, 18, 17},  // P Q R
    {15, 16, 16, 14, 1, 1, 30},   {31, 4, 4, 4, 4, 4, 4},       {17, 17, 17, 17, 17, 17, 14},  // S T U
    {17, 17, 17, 17, 17, 10, 4},  {17, 17, 17, 21, 21, 27, 17}, {17, 17, 10, 4, 10, 17, 17},   // V W X
    {17, 17, 10, 4, 4, 4, 4},     {31, 1, 2, 4, 8, 16, 31}};                                   // Y Z
inline constexpr uint8_t kDigits[10][7] = {
    {14, 17, 19, 21, 25, 17, 14}, {4, 12, 4, 4, 4, 4, 14},  {14, 17, 1, 2, 4, 8, 31},      // 0 1 2
    {31, 2, 4, 2, 1, 17, 14},     {2, 6, 10, 18, 31, 2, 2}, {31, 16, 30, 1, 1, 17, 14},    // 3 4 5
    {6, 8, 16, 30, 17, 17, 14},   {31, 1, 2, 4, 8, 8, 8},   {14, 17, 17, 14, 17, 17, 14},  // 6 7 8
    {14, 17, 17, 15, 1, 2, 12}};                                                           // 9
inline constexpr uint8_t kPoint[7] = {0, 0, 0, 0, 0, 12, 12};
inline constexpr uint8_t kMinus[7] = {0, 0, 0, 14, 0, 0, 0}, kSlash[7] = {1, 1, 2, 4, 8, 16, 16}, kSpace[7] = {};
inline constexpr int kDot = 2, kLetterWidth = 6 * kDot, kLineHeight = 10 * kDot;

/// Centred at `centre`, with its top at y. Letters, digits, points, minus signs and slashes; other characters are
/// spaces.
inline void write_text(Image& image, const std::string& text, int centre, int y, Colour colour) {
  int x = centre - static_cast<int>(text.size()) * kLetterWidth / 2;
  for (char c : text) {
    const int letter = std::toupper(static_cast<unsigned char>(c)) - 'A';
    const uint8_t* rows = letter >= 0 && letter < 26 ? kLetters[letter]
                          : c >= '0' && c <= '9'     ? kDigits[c - '0']
                          : c == '.'                 ? kPoint
                          : c == '-'                 ? kMinus
                          : c == '/'                 ? kSlash
                                                     : kSpace;
    for (int j = 0; j < 7; ++j)
      for (int i = 0; i < 5; ++i)
        if (rows[j] >> (4 - i) & 1) image.fill(x + i * kDot, y + j * kDot, kDot, kDot, colour);
    x += kLetterWidth;
  }
}
