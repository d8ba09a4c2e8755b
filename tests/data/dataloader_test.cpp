#include <cotangent/data/dataloader.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include <catch2/catch.hpp>
#include <cotangent/autograd/modes.hpp>
#include <cotangent/tensor/create.hpp>

using namespace cotangent;
using data::Batch;
using data::DataLoader;
using data::TensorDataset;

namespace {

/// Example i is (i, i^2).
TensorDataset squares(int64_t n) {
  Tensor x = empty({n, 1}, float32), y = empty({n}, int64);
  for (int64_t i = 0; i < n; ++i) x.data<float>()[i] = static_cast<float>(i), y.data<int64_t>()[i] = i * i;
  return TensorDataset(x, y);
}

std::vector<int64_t> order_of(DataLoader& loader) {
  std::vector<int64_t> order;
  for (const auto& [x, y] : loader)
    for (int64_t i = 0; i < y.numel(); ++i) {
      order.push_back(static_cast<int64_t>(x.data<float>()[i]));
      CHECK(y.data<int64_t>()[i] == order.back() * order.back());
    }
  return order;
}

struct Failing : data::Dataset {
  int64_t size() const override { return 10; }
  Batch batch(std::span<const int64_t> indices) const override {
    ++calls;
    if (indices[0] >= 4) throw IOError("[test] example 4 is unreadable");
    return {ones({1}), ones({1})};
  }
  mutable std::atomic<int> calls{0};
};

}  // namespace

TEST_CASE("a loader cuts the examples into batches", "[threads]") {
  const TensorDataset set = squares(10);
  const int64_t prefetch = GENERATE(0, 1, 3);
  DataLoader loader(set, {.batch_size = 4, .prefetch = prefetch});
  CHECK(loader.size() == 3);
  std::vector<Shape> shapes;
  for (auto& [x, y] : loader) shapes.push_back(x.shape());
  CHECK(shapes == std::vector<Shape>{{4, 1}, {4, 1}, {2, 1}});
  CHECK(order_of(loader) == std::vector<int64_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});

  DataLoader dropping(set, {.batch_size = 4, .drop_last = true, .prefetch = prefetch});
  CHECK(dropping.size() == 2);
  CHECK(order_of(dropping).size() == 8);
  const TensorDataset none(zeros({0, 1}), zeros({0}, int64));
  DataLoader empty_loader(none, {.prefetch = prefetch});
  CHECK(order_of(empty_loader).empty());
}

TEST_CASE("the seed decides the order of every epoch", "[threads]") {
  const TensorDataset set = squares(50);
  DataLoader a(set, {.batch_size = 7, .shuffle = true, .seed = 3}),
      b(set, {.batch_size = 9, .shuffle = true, .seed = 3, .prefetch = 0}),
      other(set, {.batch_size = 7, .shuffle = true, .seed = 4});
  const auto first = order_of(a), second = order_of(a);
  CHECK(first != second);
  CHECK(order_of(b) == first);
  CHECK(order_of(b) == second);
  CHECK(order_of(other) != first);
  b.set_epoch(1);
  CHECK(order_of(b) == second);
  auto sorted = first;
  std::sort(sorted.begin(), sorted.end());
  for (int64_t i = 0; i < 50; ++i) CHECK(sorted[size_t(i)] == i);
}

TEST_CASE("what the data set throws reaches the loop, after the batches before", "[threads]") {
  const Failing set;
  DataLoader loader(set, {.batch_size = 2, .prefetch = GENERATE(0, 1, 5)});
  for (int round = 0; round < 2; ++round) {
    int batches = 0;
    CHECK_THROWS_WITH(
        [&] {
          for (auto& batch : loader) batches += batch.x.defined();
        }(),
        "[test] example 4 is unreadable");
    CHECK(batches == 2);
  }
  const TensorDataset small = squares(3);
  const int64_t beyond[] = {3};
  CHECK_THROWS_AS(small.batch(beyond), IndexError);
}

TEST_CASE("a loop may be left early, and loops may run at once", "[threads]") {
  const TensorDataset set = squares(100);
  DataLoader loader(set, {.batch_size = 1, .prefetch = 4});
  for (auto& batch : loader) {
    CHECK(batch.x.item() == 0);
    break;
  }
  auto first = loader.begin(), second = loader.begin();
  ++first, ++first, ++second;
  CHECK((*first).x.item() == 2);
  CHECK(second->x.item() == 1);
}

TEST_CASE("batches are made ahead, and no more than asked for", "[threads]") {
  struct Counting : data::Dataset {
    int64_t size() const override { return 100; }
    Batch batch(std::span<const int64_t>) const override {
      ++calls;
      recorded = recorded || grad_enabled();
      return {ones({1}), ones({1})};
    }
    mutable std::atomic<int> calls{0};
    mutable std::atomic<bool> recorded{false};
  } set;
  DataLoader loader(set, {.prefetch = 3});
  auto it = loader.begin();
  for (int tries = 0; tries < 1000 && set.calls < 5; ++tries) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  CHECK(set.calls == 1 + 3 + 1);  // taken, ready, and one that waits for room
  CHECK_FALSE(set.recorded);
}

TEST_CASE("loaders and data sets refuse what makes no sense") {
  const TensorDataset set = squares(3);
  CHECK_THROWS_WITH(DataLoader(set, {.batch_size = 0}), Catch::Contains("batch_size is 0"));
  CHECK_THROWS_AS(DataLoader(set, {.prefetch = -1}), ValueError);
  CHECK_THROWS_WITH(TensorDataset(ones({2}), ones({3})), Catch::Contains("x is (2,) and y is (3,)"));
  CHECK_THROWS_AS(TensorDataset(ones({}), ones({})), ShapeError);
}

TEST_CASE("a batch as large as integers get is the whole data set") {
  const TensorDataset set = squares(5);
  for (int64_t n : {int64_t{1} << 62, INT64_MAX})
    for (bool drop_last : {false, true}) {
      DataLoader loader(set, {.batch_size = n, .drop_last = drop_last});
      CHECK(loader.size() == (drop_last ? 0 : 1));
      int64_t seen = 0;
      for (const Batch& batch : loader) seen += batch.x.size(0);
      CHECK(seen == (drop_last ? 0 : 5));
    }
  CHECK_THROWS_WITH(data::random_batch(set, INT64_MAX, 1, 1), Catch::StartsWith("[random_batch]"));
}
