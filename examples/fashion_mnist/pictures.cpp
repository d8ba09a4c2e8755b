#include "pictures.hpp"

#include <algorithm>
#include <sstream>

#include "../common/gnuplot.hpp"
#include "../common/image.hpp"

using cotangent::data::FashionMnist;

void draw_curves(const std::string& out) {
  const std::string picture = out + "/loss.svg", data = quoted(out + "/metrics.csv");
  std::ostringstream script;
  script << "set terminal svg size 900,520 font 'sans-serif,15' background rgb 'white'\n"
         << "set output " << quoted(picture) << "\n"
         << "set datafile separator ','\n"
         << "set title 'Fashion-MNIST: loss and accuracy'\n"
         << "set xrange [0:*]\nset xlabel 'step'\nset ylabel 'cross entropy'\nset y2label 'test accuracy'\n"
         << "set ytics nomirror\nset y2tics\nset y2range [0.7:1]\nset yrange [0:*]\nset grid lt 1 lc rgb '#e0e0e0'\n"
         << "set key top center horizontal\nset border lc rgb '#808080'\n"
         << "plot " << data << " skip 1 using 1:3 with lines lw 2 lc rgb '#7fb2e5' title 'training loss', " << data
         << " skip 1 using 1:4 with linespoints lw 2 pt 7 lc rgb '#1f5fa8' title 'test loss', " << data
         << " skip 1 using 1:5 axes x1y2 with linespoints lw 2 pt 5 lc rgb '#d9822b' title 'test accuracy'\n";
  run_gnuplot(script.str(), picture);
}

void draw_confusion(const FashionMnist& set, const std::vector<int64_t>& predictions, const std::string& out) {
  constexpr int64_t n = FashionMnist::classes;
  int64_t counts[n][n] = {};
  int64_t most = 1;
  for (size_t i = 0; i < predictions.size(); ++i)
    most = std::max(most, ++counts[set.labels().data<int64_t>()[i]][predictions[i]]);

  const std::string picture = out + "/confusion.svg";
  std::ostringstream script;
  script << "$counts << END\n";
  for (auto& row : counts) {
    for (int64_t count : row) script << count << ' ';
    script << '\n';
  }
  script << "END\nset terminal svg size 820,760 font 'sans-serif,14' background rgb 'white'\n"
         << "set output " << quoted(picture) << "\n"
         << "set title 'Fashion-MNIST: images of each class by what they were taken for'\n"
         << "set xlabel 'predicted'\nset ylabel 'true'\nset yrange [9.5:-0.5]\nset xrange [-0.5:9.5]\nset size square\n"
         << "set tics scale 0\nunset key\nunset colorbox\nset xtics rotate by 40 right\n"
         << "set palette defined (0 'white', 0.15 '#d6e6f5', 0.5 '#7fb2e5', 1 '#1f5fa8')\nset cbrange [0:*]\n";
  for (const char* axis : {"xtics", "ytics"}) {
    script << "set " << axis << " (";
    for (int64_t i = 0; i < n; ++i) script << (i ? ", " : "") << quoted(FashionMnist::class_name(i)) << ' ' << i;
    script << ")\n";
  }
  // the colour grows with the root of the count, so that few mistakes are seen too
  script << "plot $counts matrix using 1:2:(sqrt($3)) with image pixels, "
         << "$counts matrix using 1:2:($3 == 0 ? '' : sprintf('%d', $3)):($3 > " << most / 2
         << " ? 0xffffff : 0x202020) with labels tc rgb variable\n";
  run_gnuplot(script.str(), picture);
}

// ---- samples.png ----

void draw_samples(const FashionMnist& set, const std::vector<int64_t>& predictions, const std::string& out) {
  constexpr int columns = 8, rows = 6, zoom = 4, side = 28 * zoom, cell = side + 36,
                cell_height = side + 2 * kLineHeight + 24;
  Image image(columns * cell + 16, rows * cell_height + 16 + kLineHeight);
  const uint8_t* pixels = set.images().data<uint8_t>();
  for (int64_t k = 0; k < columns * rows && k < set.size(); ++k) {
    const int left = 8 + static_cast<int>(k % columns) * cell + (cell - side) / 2;
    const int top = 16 + static_cast<int>(k / columns) * cell_height;
    const int64_t label = set.labels().data<int64_t>()[k], predicted = predictions[static_cast<size_t>(k)];
    const bool right = label == predicted;
    image.fill(left - 4, top - 4, side + 8, side + 8, right ? kGrey : kOrange);
    for (int y = 0; y < 28; ++y)
      for (int x = 0; x < 28; ++x) {
        const auto grey = static_cast<uint8_t>(255 - pixels[(k * 28 + y) * 28 + x]);
        image.fill(left + x * zoom, top + y * zoom, zoom, zoom, {grey, grey, grey});
      }
    const int centre = left + side / 2, below = top + side + 10;
    write_text(image, FashionMnist::class_name(predicted), centre, below, right ? kBlack : kOrange);
    if (!right) write_text(image, FashionMnist::class_name(label), centre, below + kLineHeight, kBlue);
  }
  const int bottom = rows * cell_height + 12;
  write_text(image, "above: predicted. below, where that is wrong: true", image.width / 2, bottom, kBlack);
  image.write_png(out + "/samples.png");
}
