// The pictures of a run. The curves and the matrix are drawn by gnuplot; without it they are left out, with a word.
#pragma once
#include <cotangent/data/fashion_mnist.hpp>
#include <string>
#include <vector>

/// OUT/loss.svg: the losses and the accuracy over the steps, from OUT/metrics.csv.
void draw_curves(const std::string& out);

/// OUT/confusion.svg: how many images of each class were taken for which.
void draw_confusion(const cotangent::data::FashionMnist& set, const std::vector<int64_t>& predictions,
                    const std::string& out);

/// OUT/samples.png: the first images with what they were taken for; mistakes are red, with what is right below.
void draw_samples(const cotangent::data::FashionMnist& set, const std::vector<int64_t>& predictions,
                  const std::string& out);
