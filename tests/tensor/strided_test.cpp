#include <catch2/catch.hpp>

#include <cotangent/cotangent.hpp>
#include <cotangent/tensor/strided.hpp>

using namespace cotangent;

namespace {

struct RandomInteger {
  uint64_t state;
  int operator()(int n) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<int>((state >> 33) % static_cast<uint64_t>(n));
  }
};

/// The offsets of three operands at every index, by an odometer.
std::vector<std::array<int64_t, 3>> naive(const Shape& shape, const Strides (&strides)[3]) {
  std::vector<std::array<int64_t, 3>> all;
  for (int64_t i = 0; i < shape.product(); ++i) {
    std::array<int64_t, 3> at{};
    int64_t rest = i;
    for (int d = shape.rank() - 1; d >= 0; --d) {
      for (size_t k = 0; k < 3; ++k) at[k] += rest % shape[d] * strides[k][d];
      rest /= shape[d];
    }
    all.push_back(at);
  }
  std::sort(all.begin(), all.end());
  return all;
}

}  // namespace

TEST_CASE("a strided walk visits what nested loops visit") {
  RandomInteger random{1};
  for (int trial = 0; trial < 500; ++trial) {
    const int rank = random(5);
    Shape shape = Dims::filled(rank, 1);
    for (int64_t& size : shape) size = random(8) == 0 ? 0 : 1 + random(4);
    Strides strides[3];
    for (Strides& s : strides) {
      s = contiguous_strides(shape);
      for (int swap = random(3); rank > 1 && swap > 0; --swap) {  // a permuted dense tensor
        std::array<int64_t, 5> order{};
        for (int d = 0; d < rank; ++d) order[size_t(d)] = d;
        std::swap(order[size_t(random(rank))], order[size_t(random(rank))]);
        int64_t step = 1;
        for (int d = rank - 1; d >= 0; --d)
          s[int(order[size_t(d)])] = step, step *= std::max<int64_t>(shape[int(order[size_t(d)])], 1);
      }
      for (int d = 0; d < rank; ++d)
        if (random(4) == 0) s[d] = 0;
      if (random(3) == 0)
        for (int d = 0; d < rank; ++d) s[d] *= 2;
    }
    std::vector<std::array<int64_t, 3>> seen;
    const StridedWalk<3> walk(shape, {&strides[0], &strides[1], &strides[2]});
    const auto body = [&](const auto& at, int64_t n) {
      REQUIRE(n > 0);
      for (int64_t i = 0; i < n; ++i)
        seen.push_back(
            {at[0] + i * walk.inner_stride(0), at[1] + i * walk.inner_stride(1), at[2] + i * walk.inner_stride(2)});
    };
    CHECK(walk.numel() == shape.product());
    // in pieces, cut at random
    for (int64_t first = 0; first < walk.numel();) {
      const int64_t last = std::min<int64_t>(walk.numel(), first + 1 + random(7));
      walk.run_range(first, last, body);
      first = last;
    }
    walk.run_range(0, 0, body);
    std::sort(seen.begin(), seen.end());
    CHECK(seen == naive(shape, strides));
  }
}

TEST_CASE("a strided walk merges what is dense together") {
  const Shape shape{2, 3, 4};
  const Strides dense = contiguous_strides(shape), repeated{0, 4, 1};
  CHECK(StridedWalk<1>(shape, {&dense}).inner_size() == 24);
  CHECK(StridedWalk<2>(shape, {&dense, &repeated}).inner_size() == 12);
  const Strides transposed{1, 2, 6};
  CHECK(StridedWalk<2>(shape, {&transposed, &transposed}).inner_size() == 24);
  CHECK(StridedWalk<2>(shape, {&transposed, &transposed}).inner_stride(0) == 1);
}
