#pragma once
#include <cotangent/data/dataset.hpp>

namespace cotangent::data {

struct DataLoaderOptions {
  int64_t batch_size = 1;
  bool shuffle = false;  ///< another order in each epoch, decided by the seed
  uint64_t seed = 0;
  bool drop_last = false;  ///< leave out the last batch if it is smaller
  int64_t prefetch = 2;    ///< batches made ahead, by a thread in the background; 0 makes them when they are asked for
};

/// Cuts a data set into batches, once for each loop over it:
///
///     data::DataLoader loader(train_set, {.batch_size = 64, .shuffle = true, .seed = 1});
///     for (int epoch = 0; epoch < 5; ++epoch)
///       for (const auto& [x, y] : loader) ...
///
/// The data set must outlive the loader. What it throws is thrown again in the loop. A loop may be left at any time,
/// and several may run at once.
class DataLoader {
 public:
  explicit DataLoader(const Dataset& dataset, const DataLoaderOptions& options = {});
  explicit DataLoader(const Dataset&&, const DataLoaderOptions& = {}) = delete;  // it would be gone

  /// Batches in an epoch.
  int64_t size() const;
  /// The next loop is epoch `epoch`, for instance to go on with a training that was stopped. Counts up by itself.
  void set_epoch(uint64_t epoch) { epoch_ = epoch; }

  class Stream;
  struct End {};
  /// Walks once. Moving on may wait for the background thread.
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
  /// Starts the next epoch.
  Iterator begin();
  End end() const { return {}; }

 private:
  const Dataset* dataset_;
  DataLoaderOptions options_;
  uint64_t epoch_ = 0;
};

}  // namespace cotangent::data
