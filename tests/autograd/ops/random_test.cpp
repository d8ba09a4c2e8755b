#include <cotangent/autograd/ops/random.hpp>

#include <limits>

#include <catch2/catch.hpp>
#include <cotangent/autograd/engine.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/parallel.hpp>

using namespace cotangent;

TEST_CASE("dropout drops a share p and divides the rest by 1 - p") {
  Generator g(1);
  const Tensor x = ones({100'000});
  const auto y = dropout(x, 0.2, true, g).to_vector<float>();
  int dropped = 0;
  for (float v : y) {
    CHECK((v == 0 || v == 1.25f));
    dropped += v == 0;
  }
  CHECK(dropped == Approx(20'000).margin(500));
  CHECK(dropout(x, 0.2, false, g).impl() == x.impl());
  CHECK(dropout(x, 0.0, true, g).impl() == x.impl());
}

TEST_CASE("dropout of everything is 0, even of infinity") {
  const Tensor x = full({10}, std::numeric_limits<double>::infinity());
  CHECK(dropout(x, 1).to_vector<float>() == std::vector<float>(10, 0.0f));
}

TEST_CASE("the gradient of dropout takes the mask of the forward pass") {
  Generator g(2);
  const Dtype dtype = GENERATE(float32, float64, bfloat16);
  const Shape shape{3, 5, 7, 11};
  Tensor x = ones(shape, dtype);
  if (GENERATE(false, true)) x = x.contiguous(MemoryFormat::channels_last);
  x.requires_grad_();
  const Tensor y = dropout(x, 0.5, true, g);
  const Tensor dy = full(shape, 3, dtype);  // row-major, whatever x is
  y.backward(dy);
  CHECK(equal(x.grad(), y.detach() * 3));
}

TEST_CASE("dropout does not depend on the threads", "[threads]") {
  const int threads = num_threads();
  const Tensor x = rand({300, 1001});
  set_num_threads(1);
  Generator g(3), same(3);
  const Tensor one = dropout(x, 0.3, true, g);
  set_num_threads(3);
  CHECK(equal(dropout(x, 0.3, true, same), one));
  set_num_threads(threads);
}
