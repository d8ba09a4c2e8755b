#pragma once
#include <cotangent/data/dataset.hpp>
#include <cotangent/tensor/state_dict.hpp>

namespace cotangent::data {

struct DataLoaderOptions {
  int64_t batch_size = 1;
  bool shuffle = false;  ///< another order in each epoch, decided by the seed
  uint64_t seed = 0;
  bool drop_last = false;  ///< leave out the last batch if it is smaller
  /// Threads in the background that make batches, each of them one at a time and on one core; 0 makes them when they
  /// are asked for. One is enough unless the training waits for it. At most 1024.
  int64_t workers = 1;
  /// Batches that may lie ready. So many and one for each worker are in memory, beside the one that the loop has. 0
  /// makes them when they are asked for.
  int64_t prefetch = 2;
};

/// Cuts a data set into batches, once for each loop over it:
///
///     data::DataLoader loader(train_set, {.batch_size = 64, .shuffle = true, .seed = 1});
///     for (int epoch = 0; epoch < 5; ++epoch)
///       for (const auto& [x, y] : loader) ...
///
/// A batch, with all that is random in it, is a function of the data set, the seed, the epoch and its number: not of
/// how many threads make it, or how fast the loop is. So a training can go on in the middle of an epoch:
///
///     saved.add("loader", loader.state_dict());        // io::Checkpoint; in the loop, at the end of a step
///     loader.load_state_dict(saved["loader"]);         // the next loop begins with the batch after that
///
/// The data set must outlive the loader, and the loader its loops. What the data set throws is thrown again in the
/// loop, as it is and after the batches before. A loop may be left at any time, and several may run at once.
class DataLoader {
 public:
  /// A ValueError for an option out of its range.
  explicit DataLoader(const Dataset& dataset, const DataLoaderOptions& options = {});
  explicit DataLoader(const Dataset&&, const DataLoaderOptions& = {}) = delete;  // it would be gone

  /// Batches in an epoch.
  int64_t size() const;
  /// The next loop is epoch `epoch`, from its start. Counts up by itself.
  void set_epoch(uint64_t epoch) { next_ = place_ = {epoch, 0}; }

  /// Where the loop stands that moved last: its epoch, and the batches that it got, with the one that it works on. Of a
  /// loop that reached its end, the start of the next epoch.
  StateDict state_dict() const;
  /// The next loop goes on from there. A ValueError when the batches of this loader are others: by the size of the data
  /// set, the seed, batch_size, shuffle or drop_last.
  void load_state_dict(const StateDict& state);

  class Stream;
  struct End {};
  /// Walks once. Moving on may wait for the background.
  class Iterator {
   public:
    explicit Iterator(Stream* stream);
    Iterator(Iterator&& other) noexcept : stream_(other.stream_), batch_(std::move(other.batch_)) {
      other.stream_ = nullptr;
    }
    Iterator& operator=(Iterator&&) = delete;
    ~Iterator();
    Batch& operator*() { return batch_; }
    Batch* operator->() { return &batch_; }
    Iterator& operator++();
    friend bool operator==(const Iterator& it, End) { return it.stream_ == nullptr; }

   private:
    Stream* stream_;  // nullptr at the end
    Batch batch_;
  };
  /// Starts the next epoch, or goes on with the one that was loaded.
  Iterator begin();
  End end() const { return {}; }

 private:
  struct Place {
    uint64_t epoch = 0;
    int64_t batch = 0;
  };
  std::vector<int64_t> settings() const;  // all that its batches depend on

  const Dataset* dataset_;
  DataLoaderOptions options_;
  Place next_;   // where the next loop begins
  Place place_;  // what the state says
};

}  // namespace cotangent::data
