// The pictures of a run. The curves are drawn by gnuplot; without it they are left out, with a word.
#pragma once
#include <cotangent/tensor/tensor.hpp>
#include <string>
#include <vector>

/// Images (N, 1, 28, 28) of one method, with its name and their PSNR (none for the original).
struct Column {
  std::string name;
  cotangent::Tensor images;
  std::vector<double> psnr;
};
/// OUT/samples.png: each image as each method enlarges it, side by side.
void draw_samples(const std::vector<Column>& columns, const std::string& out);

/// A row of pictures (n, n), one for each network.
struct Row {
  std::string title;
  cotangent::Tensors pictures;
  bool contrast;  ///< show differences from the mean, as strongly as the row allows; otherwise 0 is white and 1 black
};
/// OUT/checkerboard.png: what the networks make of a flat image and of a real one, early and late.
void draw_checkerboard(const std::vector<std::string>& networks, const std::vector<Row>& rows, const std::string& out);

/// OUT/psnr.svg: the PSNR of each network over the steps, from OUT/psnr.csv, and that of bicubic interpolation.
void draw_curves(const std::vector<std::string>& networks, double bicubic, const std::string& out);
