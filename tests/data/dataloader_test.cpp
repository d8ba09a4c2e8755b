#include <cotangent/data/dataloader.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "files.hpp"

#include <catch2/catch.hpp>
#include <cotangent/autograd/modes.hpp>
#include <cotangent/io/checkpoint.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/parallel.hpp>
#include <cotangent/tests/values.hpp>

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

void wait(int64_t ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

/// Example i with noise, of which a part comes from the default generator; some batches take their time.
struct Noisy : data::Dataset {
  int64_t size() const override { return 23; }
  Batch batch(std::span<const int64_t> indices, Generator& generator) const override {
    wait(indices[0] % 4);
    const Tensor x = from_span(indices, {static_cast<int64_t>(indices.size())});
    return {rand(x.shape(), float32, generator) + rand(x.shape()), x};
  }
};

/// All numbers of the batches that a loop gives.
Values numbers_of(DataLoader& loader, int64_t slow = 0) {
  Values numbers;
  for (const auto& [x, y] : loader) {
    for (const Tensor& t : {x, y})
      for (const double value : to_values(t)) numbers.push_back(value);
    wait(slow);
  }
  return numbers;
}

struct Failing : data::Dataset {
  int64_t size() const override { return 10; }
  Batch batch(std::span<const int64_t> indices, Generator&) const override {
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

TEST_CASE("random examples are the same for any timing and number of workers", "[threads]") {
  const Noisy set;
  const auto epochs = [&](int64_t workers, int64_t prefetch, int64_t slow) {
    manual_seed(5);
    DataLoader loader(set, {.batch_size = 3, .shuffle = true, .seed = 7, .workers = workers, .prefetch = prefetch});
    Values numbers;
    for (int epoch = 0; epoch < 2; ++epoch) {
      const Values of_epoch = numbers_of(loader, slow);
      numbers.insert(numbers.end(), of_epoch.begin(), of_epoch.end());
    }
    numbers.push_back(rand({}).item());  // what others draw is not disturbed
    return numbers;
  };
  const Values expected = epochs(0, 0, 0);
  REQUIRE(expected.size() == 4 * 23 + 1);
  const auto batch = [&](int64_t epoch, int64_t i) {  // its noise
    const auto first = expected.begin() + 46 * epoch + 6 * i;
    return Values(first, first + 3);
  };
  CHECK(batch(0, 0) != batch(0, 1));
  CHECK(batch(0, 0) != batch(1, 0));
  for (const int64_t workers : {1, 4})
    for (const int64_t prefetch : {1, 3})
      for (const int64_t slow : {0, 2}) CHECK(epochs(workers, prefetch, slow) == expected);
  const auto drawn = [&](uint64_t step) { return to_values(data::random_batch(set, 4, 1, step).x); };
  CHECK(drawn(3) == drawn(3));
  CHECK(drawn(3) != drawn(4));
}

TEST_CASE("a loader goes on in the middle of an epoch, bit for bit", "[threads]") {
  const Noisy set;
  const auto workers = GENERATE(0, 1, 4);
  const data::DataLoaderOptions options{.batch_size = 3, .shuffle = true, .seed = 7, .workers = workers};
  DataLoader whole(set, options);
  const Values first = numbers_of(whole), second = numbers_of(whole), third = numbers_of(whole);
  for (const int64_t stop : {1, 4, 8}) {  // of 8 batches
    const TemporaryDirectory directory;
    Values numbers;
    {
      DataLoader loader(set, options);
      numbers_of(loader);
      int64_t count = 0;
      for (const auto& [x, y] : loader) {
        for (const Tensor& t : {x, y})
          for (const double value : to_values(t)) numbers.push_back(value);
        if (++count == stop) break;
      }
      io::Checkpoint checkpoint;
      checkpoint.add("loader", loader.state_dict());
      io::save_checkpoint(directory / "c", checkpoint);
      CHECK(numbers_of(loader) == third);  // a loop that was left is over
    }
    DataLoader loader(set, options);
    loader.load_state_dict(io::load_checkpoint(directory / "c")["loader"]);
    CHECK(loader.state_dict()["place"].to_vector<int64_t>() == std::vector<int64_t>{1, stop});
    const Values rest = numbers_of(loader);
    CHECK(rest.size() == static_cast<size_t>(2 * std::max<int64_t>(23 - 3 * stop, 0)));
    numbers.insert(numbers.end(), rest.begin(), rest.end());
    CHECK(numbers == second);
    CHECK(loader.state_dict()["place"].to_vector<int64_t>() == std::vector<int64_t>{2, 0});
    CHECK(numbers_of(loader) == third);
    loader.set_epoch(0);
    CHECK(numbers_of(loader) == first);
  }
}

TEST_CASE("a loader refuses the state of one with other batches") {
  const TensorDataset set = squares(10), larger = squares(11);
  DataLoader loader(set, {.batch_size = 4, .seed = 1});
  const StateDict state = loader.state_dict();
  CHECK_THROWS_WITH(DataLoader(set, {.batch_size = 3, .seed = 2}).load_state_dict(state),
                    "[load_state_dict] the state is of a DataLoader of 10 examples, batch_size 4, shuffle false, "
                    "drop_last false and seed 1; this one has 10 examples, batch_size 3, shuffle false, drop_last "
                    "false and seed 2, and so other batches");
  CHECK_THROWS_AS(DataLoader(larger, {.batch_size = 4, .seed = 1}).load_state_dict(state), ValueError);
  CHECK_THROWS_AS(DataLoader(set, {.batch_size = 4, .shuffle = true, .seed = 1}).load_state_dict(state), ValueError);
  CHECK_THROWS_AS(DataLoader(set, {.batch_size = 4, .seed = 1, .drop_last = true}).load_state_dict(state), ValueError);
  DataLoader(set, {.batch_size = 4, .seed = 1, .workers = 3, .prefetch = 5}).load_state_dict(state);
  CHECK_THROWS_WITH(loader.load_state_dict({}), Catch::Contains("this is not the state of a DataLoader"));
  const Tensor settings = state["settings"];
  loader.load_state_dict({{"place", from_vector(std::vector<int64_t>{0, -7}, {2})}, {"settings", settings}});
  CHECK(order_of(loader).size() == 10);
  loader.load_state_dict({{"place", from_vector(std::vector<int64_t>{0, 7}, {2})}, {"settings", settings}});
  CHECK(order_of(loader).empty());
}

TEST_CASE("what the data set throws reaches the loop, after the batches before", "[threads]") {
  const Failing set;
  DataLoader loader(set, {.batch_size = 2, .workers = GENERATE(1, 4), .prefetch = GENERATE(0, 1, 5)});
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
  CHECK_THROWS_AS(small.batch(beyond, default_generator()), IndexError);
}

TEST_CASE("a loop may be left early, and loops may run at once", "[threads]") {
  const TensorDataset set = squares(100);
  DataLoader loader(set, {.batch_size = 1, .workers = GENERATE(1, 4), .prefetch = 4});
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
    Batch batch(std::span<const int64_t>, Generator&) const override {
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

TEST_CASE("exceptions of any kind reach the loop as they are, again if it asks again", "[threads]") {
  struct Odd {
    int64_t number;
  };
  struct : data::Dataset {
    int64_t size() const override { return 100; }
    Batch batch(std::span<const int64_t> indices, Generator&) const override {
      if (indices[0] >= 7) throw Odd{indices[0]};
      wait(7 - indices[0]);  // the later ones are ready first
      return {ones({1}), ones({1})};
    }
  } set;
  DataLoader loader(set, {.workers = GENERATE(0, 1, 4), .prefetch = 8});
  auto it = loader.begin();
  for (int i = 0; i < 6; ++i) ++it;
  for (int tries = 0; tries < 2; ++tries) {
    int64_t number = 0;
    try {
      ++it;
    } catch (const Odd& odd) {
      number = odd.number;
    }
    CHECK(number == 7);
  }
}

TEST_CASE("workers are as many as asked for, each on one core, and make no more batches than fit", "[threads]") {
  struct Watched : data::Dataset {
    int64_t size() const override { return 40; }
    Batch batch(std::span<const int64_t>, Generator&) const override {
      ++calls;
      const int now = ++running;
      for (int seen = most; seen < now && !most.compare_exchange_weak(seen, now);) {
      }
      alone = alone && detail::task_count(1 << 20, 1) == 1;
      wait(1);
      --running;
      return {ones({1}), ones({1})};
    }
    mutable std::atomic<int> calls{0}, running{0}, most{0};
    mutable std::atomic<bool> alone{true};
  } set;
  DataLoader loader(set, {.workers = 3, .prefetch = 2});
  int taken = 0;
  for ([[maybe_unused]] const Batch& batch : loader) {
    CHECK(set.calls <= ++taken + 2 + 3);
    if (taken < 4) wait(20);
  }
  CHECK(set.calls == 40);
  CHECK(set.most <= 3);
  CHECK(set.alone);
}

TEST_CASE("loaders and data sets refuse what makes no sense") {
  const TensorDataset set = squares(3);
  CHECK_THROWS_WITH(DataLoader(set, {.batch_size = 0}), Catch::Contains("batch_size is 0"));
  CHECK_THROWS_AS(DataLoader(set, {.prefetch = -1}), ValueError);
  CHECK_THROWS_WITH(DataLoader(set, {.workers = -1}), "[DataLoader] workers is -1; it must be from 0 to 1024");
  CHECK_THROWS_AS(DataLoader(set, {.workers = INT64_MAX}), ValueError);
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
