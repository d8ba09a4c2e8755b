#include <cotangent/data/progress.hpp>

#include <catch2/catch.hpp>

using cotangent::data::progress_line;

TEST_CASE("a progress line shows rate, loss and the time left") {
  CHECK(progress_line("epoch 1/5", 450, 900, 10, 0.43119, true) ==
        "epoch 1/5 [============>           ] 450/900  45.0/s  loss 0.4312  0:10 left");
  CHECK(progress_line("test", 9, 900, 1, 1, false) == "test   9/900  9.0/s  loss 1.0000  1:39 left");
  CHECK(progress_line("e", 100, 100, 4000, 0, true) ==
        "e [========================] 100/100  0.0/s  loss 0.0000  1:06:40 in all");
  CHECK(progress_line("e", 0, 10, 0, 0, true) == "e [>                       ]  0/10  0.0/s  loss 0.0000");
  CHECK(progress_line("e", 0, 0, 0, 0, false) == "e 0/0  0.0/s  loss 0.0000  0:00 in all");
}
