#include "image.hpp"

#include <cctype>
#include <cotangent/tensor/error.hpp>

#define STB_IMAGE_WRITE_IMPLEMENTATION
#include <stb_image_write.h>

namespace {

/// Capital letters of 5 x 7 dots; each number is a row, its lowest bit the dot on the right.
constexpr uint8_t kLetters[26][7] = {
    {14, 17, 17, 31, 17, 17, 17}, {30, 17, 17, 30, 17, 17, 30}, {14, 17, 16, 16, 16, 17, 14},  // A B C
    {30, 17, 17, 17, 17, 17, 30}, {31, 16, 16, 30, 16, 16, 31}, {31, 16, 16, 30, 16, 16, 16},  // D E F
    {14, 17, 16, 23, 17, 17, 15}, {17, 17, 17, 31, 17, 17, 17}, {14, 4, 4, 4, 4, 4, 14},       // G H I
    {7, 2, 2, 2, 2, 18, 12},      {17, 18, 20, 24, 20, 18, 17}, {16, 16, 16, 16, 16, 16, 31},  // J K L
    {17, 27, 21, 21, 17, 17, 17}, {17, 25, 21, 19, 17, 17, 17}, {14, 17, 17, 17, 17, 17, 14},  // M N O
    {30, 17, 17, 30, 16, 16, 16}, {14, 17, 17, 17, 21, 18, 13}, {30, 17, 17, 30, 20, 18, 17},  // P Q R
    {15, 16, 16, 14, 1, 1, 30},   {31, 4, 4, 4, 4, 4, 4},       {17, 17, 17, 17, 17, 17, 14},  // S T U
    {17, 17, 17, 17, 17, 10, 4},  {17, 17, 17, 21, 21, 27, 17}, {17, 17, 10, 4, 10, 17, 17},   // V W X
    {17, 17, 10, 4, 4, 4, 4},     {31, 1, 2, 4, 8, 16, 31}};                                   // Y Z
constexpr uint8_t kDigits[10][7] = {
    {14, 17, 19, 21, 25, 17, 14}, {4, 12, 4, 4, 4, 4, 14},  {14, 17, 1, 2, 4, 8, 31},      // 0 1 2
    {31, 2, 4, 2, 1, 17, 14},     {2, 6, 10, 18, 31, 2, 2}, {31, 16, 30, 1, 1, 17, 14},    // 3 4 5
    {6, 8, 16, 30, 17, 17, 14},   {31, 1, 2, 4, 8, 8, 8},   {14, 17, 17, 14, 17, 17, 14},  // 6 7 8
    {14, 17, 17, 15, 1, 2, 12}};                                                           // 9
constexpr uint8_t kPoint[7] = {0, 0, 0, 0, 0, 12, 12}, kComma[7] = {0, 0, 0, 0, 12, 4, 8},
                  kColon[7] = {0, 12, 12, 0, 12, 12, 0};
constexpr uint8_t kMinus[7] = {0, 0, 0, 14, 0, 0, 0}, kSlash[7] = {1, 1, 2, 4, 8, 16, 16}, kSpace[7] = {};

}  // namespace

void Image::write_png(const std::string& path) const {
  if (!stbi_write_png(path.c_str(), width, height, 3, pixels.data(), 3 * width))
    throw cotangent::IOError("[write_png] " + path + " cannot be written");
}

void write_text(Image& image, const std::string& text, int centre, int y, Colour colour) {
  int x = centre - static_cast<int>(text.size()) * kLetterWidth / 2;
  for (char c : text) {
    const int letter = std::toupper(static_cast<unsigned char>(c)) - 'A';
    const uint8_t* rows = letter >= 0 && letter < 26 ? kLetters[letter]
                          : c >= '0' && c <= '9'     ? kDigits[c - '0']
                          : c == '.'                 ? kPoint
                          : c == ','                 ? kComma
                          : c == ':'                 ? kColon
                          : c == '-'                 ? kMinus
                          : c == '/'                 ? kSlash
                                                     : kSpace;
    for (int j = 0; j < 7; ++j)
      for (int i = 0; i < 5; ++i)
        if (rows[j] >> (4 - i) & 1) image.fill(x + i * kDot, y + j * kDot, kDot, kDot, colour);
    x += kLetterWidth;
  }
}
