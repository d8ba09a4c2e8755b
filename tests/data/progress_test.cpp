#include <cotangent/data/progress.hpp>

#include <cmath>
#include <limits>

#include <catch2/catch.hpp>

using cotangent::data::Progress;
using cotangent::data::progress_line;

namespace {
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN(), kInfinity = std::numeric_limits<double>::infinity();
}

TEST_CASE("a progress line shows rate, loss and the time left") {
  CHECK(progress_line("epoch 1/5", 450, 900, 10, 0.43119, 0, 76) ==
        "epoch 1/5 [============>           ] 450/900  45.0/s  loss 0.4312  0:10 left");
  CHECK(progress_line("test", 9, 900, 1, 1, 0, 0) == "test:   9/900  9.0/s  loss 1.0000  1:39 left");
  CHECK(progress_line("e", 100, 100, 4000, 0, 0, 78) ==
        "e [========================] 100/100  40.0 s each  loss 0.0000  1:06:40 in all");
  CHECK(progress_line("e", 0, 10, 0, kNaN, 0, 34) == "e [>                       ]  0/10");
  CHECK(progress_line("e", 0, 0, 0, kNaN, 0, 0) == "e: 0/0  0:00 in all");
  CHECK(progress_line("e", 1, 2, 1, 3.14e-5, 0, 0) == "e: 1/2  1.0/s  loss 3.14e-05  0:01 left");
  CHECK(progress_line("e", 1, 2, 1, -2.5e7, 0, 0) == "e: 1/2  1.0/s  loss -2.50e+07  0:01 left");
  CHECK(progress_line("e", 4, 8, 2, 0.5, 3, 0) == "e: 4/8  2.0/s  loss 0.5000 (3 not finite)  0:02 left");
}

TEST_CASE("a progress line is as wide as it should be, whatever must be left out") {
  const auto at = [](int width) { return progress_line("epoch 1/5", 450, 900, 10, 0.43119, 0, width); };
  for (const int width : {58, 59, 80, 120, 400}) CHECK(at(width).size() == static_cast<size_t>(width));
  CHECK(at(57) == "epoch 1/5: 450/900  45.0/s  loss 0.4312  0:10 left");  // too narrow for a bar
  CHECK(at(48) == "epoch 1/5: 450/900  loss 0.4312  0:10 left");
  CHECK(at(40) == "epoch 1/5 [===>   ] 450/900  loss 0.4312");
  CHECK(at(31) == "epoch 1/5: 450/900  loss 0.4312");
  CHECK(at(20) == "epoch 1/5: 450/900  ");
  CHECK(at(1) == "e");
  // a letter of two bytes takes one column
  CHECK(progress_line("\xc3\xa9poque", 1, 2, 0, 1, 0, 32) == "\xc3\xa9poque [===>  ] 1/2  loss 1.0000");
  CHECK(progress_line("\xc3\xa9\xc3\xa9", 1, 2, 0, 1, 0, 1) == "\xc3\xa9");
  CHECK(progress_line("e", INT64_MAX / 2, INT64_MAX, 1e-9, 1, 0, 100).size() <= 100);
}

TEST_CASE("losses that are not finite do not enter the average") {
  Progress progress("test", 1000);
  CHECK(std::isnan(progress.average_loss()));
  progress.step(kNaN);
  CHECK(std::isnan(progress.average_loss()));
  for (const double loss : {1.0, kInfinity, 3.0, kNaN, -kInfinity}) progress.step(loss);
  CHECK(progress.average_loss() == 2);
}
