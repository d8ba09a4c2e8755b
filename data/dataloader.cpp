#include <cotangent/data/dataloader.hpp>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <numeric>
#include <thread>

#include <cotangent/autograd/modes.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/parallel.hpp>
#include <cotangent/tensor/random.hpp>

namespace cotangent::data {

/// One epoch: the order, and the batches that are ready.
class DataLoader::Stream {
 public:
  Stream(const Dataset& dataset, std::vector<int64_t> order, int64_t batches, const DataLoaderOptions& options)
      : dataset_(dataset), order_(std::move(order)), batches_(batches), options_(options) {
    if (options_.prefetch > 0 && batches_ > 0) thread_ = std::thread([this] { work(); });
  }
  ~Stream() {
    {
      std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
  }

  /// False when there are no more.
  bool next(Batch& batch) {
    if (taken_ == batches_) return false;
    if (!thread_.joinable()) {
      batch = make(taken_++);
      return true;
    }
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !ready_.empty() || error_; });
    if (ready_.empty()) std::rethrow_exception(error_);
    batch = std::move(ready_.front());
    ready_.pop_front();
    ++taken_;
    lock.unlock();
    changed_.notify_all();
    return true;
  }

 private:
  Batch make(int64_t i) const {
    NoGrad guard;
    const int64_t first = i * options_.batch_size;
    const int64_t last = first + std::min(options_.batch_size, static_cast<int64_t>(order_.size()) - first);
    return dataset_.batch(std::span(order_).subspan(static_cast<size_t>(first), static_cast<size_t>(last - first)));
  }

  void work() {
    const SingleThreaded guard;  // the other cores train
    try {
      for (int64_t i = 0; i < batches_; ++i) {
        Batch batch = make(i);
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return stopped_ || static_cast<int64_t>(ready_.size()) < options_.prefetch; });
        if (stopped_) return;
        ready_.push_back(std::move(batch));
        lock.unlock();
        changed_.notify_all();
      }
    } catch (...) {
      std::lock_guard lock(mutex_);
      error_ = std::current_exception();
      changed_.notify_all();
    }
  }

  const Dataset& dataset_;
  const std::vector<int64_t> order_;
  const int64_t batches_;
  const DataLoaderOptions options_;
  int64_t taken_ = 0;
  std::mutex mutex_;  // of what follows
  std::condition_variable changed_;
  std::deque<Batch> ready_;
  std::exception_ptr error_;
  bool stopped_ = false;
  std::thread thread_;
};

DataLoader::DataLoader(const Dataset& dataset, const DataLoaderOptions& options)
    : dataset_(&dataset), options_(options) {
  if (options.batch_size < 1)
    fail<ValueError>("[DataLoader] batch_size is {}; it must be at least 1", options.batch_size);
  if (options.prefetch < 0) fail<ValueError>("[DataLoader] prefetch is {}; it must be 0 or more", options.prefetch);
}

int64_t DataLoader::size() const {
  const int64_t n = dataset_->size(), b = options_.batch_size;
  return n / b + (!options_.drop_last && n % b != 0);
}

DataLoader::Iterator DataLoader::begin() {
  const int64_t n = dataset_->size();
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  const uint64_t epoch = epoch_++;
  if (options_.shuffle) {
    Generator generator(options_.seed ^ (epoch * 0x9E3779B97F4A7C15u));  // far apart for neighbouring epochs
    order = randperm(n, int64, generator).to_vector<int64_t>();
  }
  return Iterator(new Stream(*dataset_, std::move(order), size(), options_));
}

DataLoader::Iterator::Iterator(Stream* stream) : stream_(stream) {
  try {
    ++*this;
  } catch (...) {
    delete stream_;
    throw;
  }
}
DataLoader::Iterator::~Iterator() { delete stream_; }

DataLoader::Iterator& DataLoader::Iterator::operator++() {
  if (stream_ && !stream_->next(batch_)) {
    delete stream_;
    stream_ = nullptr;
    batch_ = {};
  }
  return *this;
}

}  // namespace cotangent::data
