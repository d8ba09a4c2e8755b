#include "pictures.hpp"

#include <algorithm>
#include <cmath>
#include <cotangent/cotangent.hpp>
#include <sstream>

#include "../common/gnuplot.hpp"
#include "../common/image.hpp"

using cotangent::Tensor;

namespace {

constexpr int kZoom = 5, kSide = 28 * kZoom, kGap = 10;

/// A picture (n, n) with its corner at (left, top), in a frame: 0 is white, 1 black.
void paste(Image& image, const Tensor& picture, int left, int top, int zoom) {
  const std::vector<float> values = picture.to_vector<float>();
  const int n = static_cast<int>(picture.size(0));
  size_t i = 0;
  image.fill(left - 1, top - 1, n * zoom + 2, n * zoom + 2, kGrey);
  for (int y = 0; y < n; ++y)
    for (int x = 0; x < n; ++x) {
      const float v = std::clamp(values[i++], 0.0F, 1.0F);
      const auto grey = static_cast<uint8_t>(std::lround(255 * (1 - v)));
      image.fill(left + x * zoom, top + y * zoom, zoom, zoom, {grey, grey, grey});
    }
}

std::string decibels(double psnr) {
  char text[16];
  std::snprintf(text, sizeof text, "%.1f dB", psnr);
  return text;
}

}  // namespace

void draw_samples(const std::vector<Column>& columns, const std::string& out) {
  const int rows = static_cast<int>(columns[0].images.size(0)), row_height = kSide + kLineHeight + kGap;
  Image image(static_cast<int>(columns.size()) * (kSide + kGap) + kGap, kGap + kLineHeight + rows * row_height);
  int left = kGap;
  for (const Column& column : columns) {
    write_text(image, column.name, left + kSide / 2, kGap, kBlack);
    for (int i = 0; i < rows; ++i) {
      const int top = kGap + kLineHeight + i * row_height;
      paste(image, column.images[i][0], left, top, kZoom);
      if (!column.psnr.empty())
        write_text(image, decibels(column.psnr[static_cast<size_t>(i)]), left + kSide / 2, top + kSide + 4, kBlack);
    }
    left += kSide + kGap;
  }
  image.write_png(out + "/samples.png");
}

void draw_checkerboard(const std::vector<std::string>& networks, const std::vector<Row>& rows, const std::string& out) {
  const int columns = static_cast<int>(networks.size()), wide = kSide + 4 * kGap,
            row_height = kSide + kLineHeight + 3 * kGap;
  Image image(columns * wide + kGap, 3 * kGap + kLineHeight + static_cast<int>(rows.size()) * row_height);
  for (int c = 0; c < columns; ++c)
    write_text(image, networks[static_cast<size_t>(c)], c * wide + wide / 2, kGap, kBlack);
  int top = 3 * kGap + kLineHeight;
  for (const Row& row : rows) {
    write_text(image, row.title, image.width / 2, top, kBlack);
    int left = wide / 2 - kSide / 2;
    double range = 0;
    for (const Tensor& picture : row.pictures)
      range = std::max(range, (cotangent::max(picture) - cotangent::min(picture)).item());
    for (const Tensor& picture : row.pictures) {
      const Tensor shown = row.contrast && range > 0 ? 0.5 + (picture - picture.mean()) * (0.8 / range) : picture;
      const int n = static_cast<int>(picture.size(0)), zoom = kSide / n;
      paste(image, shown, left + (kSide - n * zoom) / 2, top + kLineHeight, zoom);
      left += wide;
    }
    top += row_height;
  }
  image.write_png(out + "/checkerboard.png");
}

void draw_curves(const std::vector<std::string>& networks, double bicubic, const std::string& out) {
  const std::string picture = out + "/psnr.svg", data = quoted(out + "/psnr.csv");
  const char* styles[] = {"dt 1 lc rgb '#d9822b'", "dt 4 lc rgb '#8a4a00'", "dt 1 lc rgb '#7fb2e5'",
                          "dt 4 lc rgb '#1f5fa8'"};
  std::ostringstream script;
  script << "set terminal svg size 900,520 font 'sans-serif,15' background rgb 'white'\n"
         << "set output " << quoted(picture) << "\n"
         << "set datafile separator ','\n"
         << "set title 'Fashion-MNIST from 14 x 14 to 28 x 28 pixels'\n"
         << "set xrange [0:*] noextend\nset xlabel 'step'\nset ylabel 'PSNR on the first test images, dB'\nset grid lt "
            "1 lc rgb '#e0e0e0'\n"
         << "set key bottom right\nset border lc rgb '#808080'\nset yrange [15:*]\n"
         << "plot " << bicubic << " lw 2 dt 2 lc rgb '#606060' title 'bicubic'";
  for (size_t i = 0; i < networks.size(); ++i)
    script << ", " << data << " skip 1 using 1:" << i + 2 << " with lines lw 2 " << styles[i % 4] << " title "
           << quoted(networks[i]);
  script << "\n";
  run_gnuplot(script.str(), picture);
}
