#include <cotangent/data/dataloader.hpp>

#include <algorithm>
#include <bit>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <numeric>
#include <thread>
#include <utility>

#include <cotangent/autograd/modes.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/parallel.hpp>

namespace cotangent::data {
namespace {

constexpr int64_t kMostWorkers = 1024;

/// The stream of an epoch's order, and behind it those of its batches, 2^32 blocks each.
Generator generator_of(uint64_t seed, uint64_t epoch, int64_t stream) {
  return Generator(Generator::State{seed ^ (epoch * 0x9E3779B97F4A7C15u),  // far apart for neighbouring epochs
                                    static_cast<uint64_t>(stream) << 32});
}

}  // namespace

/// One epoch: the order, and the batches that are made or ready.
class DataLoader::Stream {
 public:
  Stream(DataLoader& loader, const Place& from)
      : loader_(loader),
        options_(loader.options_),
        epoch_(from.epoch),
        order_(static_cast<size_t>(loader.dataset_->size())),
        batches_(loader.size()),
        taken_(from.batch),
        next_(from.batch) {
    std::iota(order_.begin(), order_.end(), 0);
    if (options_.shuffle) {
      Generator generator = generator_of(options_.seed, epoch_, 0);
      order_ = randperm(static_cast<int64_t>(order_.size()), int64, generator).to_vector<int64_t>();
    }
    const int64_t left = batches_ - taken_, workers = std::min(options_.workers, left);
    if (options_.prefetch == 0 || workers == 0) return;
    slots_.resize(static_cast<size_t>(workers + std::min(options_.prefetch, left - workers)));
    workers_.reserve(static_cast<size_t>(workers));
    try {
      for (int64_t i = 0; i < workers; ++i) workers_.emplace_back([this] { work(); });
    } catch (const std::exception&) {
      // The system has no thread left: those that there are make the batches, or else the loop does.
    }
  }
  ~Stream() {
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    changed_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }

  /// False when there are no more.
  bool next(Batch& batch) {
    if (taken_ == batches_) {
      loader_.place_ = {epoch_ + 1, 0};
      return false;
    }
    if (workers_.empty()) {
      batch = make(taken_);
      ++taken_;
    } else {
      std::unique_lock lock(mutex_);
      Slot& slot = slot_of(taken_);
      changed_.wait(lock, [&] { return slot.ready; });
      if (slot.error) std::rethrow_exception(slot.error);
      batch = std::exchange(slot, {}).batch;
      ++taken_;
      lock.unlock();
      changed_.notify_all();
    }
    loader_.place_ = {epoch_, taken_};
    return true;
  }

 private:
  struct Slot {
    Batch batch;
    std::exception_ptr error;
    bool ready = false;
  };
  Slot& slot_of(int64_t i) { return slots_[static_cast<size_t>(i) % slots_.size()]; }

  Batch make(int64_t i) const {
    const NoGrad no_grad;
    Generator generator = generator_of(options_.seed, epoch_, i + 1);
    const UseGenerator guard(generator);
    const int64_t first = i * options_.batch_size;
    const int64_t count = std::min(options_.batch_size, static_cast<int64_t>(order_.size()) - first);
    return loader_.dataset_->batch(std::span(order_).subspan(static_cast<size_t>(first), static_cast<size_t>(count)),
                                   generator);
  }

  void work() {
    const SingleThreaded guard;  // the other cores train
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(
          lock, [&] { return stopped_ || next_ == batches_ || next_ - taken_ < static_cast<int64_t>(slots_.size()); });
      if (stopped_ || next_ == batches_) return;
      const int64_t i = next_++;
      lock.unlock();
      Slot made;
      made.ready = true;
      try {
        made.batch = make(i);
      } catch (...) {
        made.error = std::current_exception();
      }
      lock.lock();
      slot_of(i) = std::move(made);
      changed_.notify_all();
    }
  }

  DataLoader& loader_;
  const DataLoaderOptions options_;
  const uint64_t epoch_;
  std::vector<int64_t> order_;
  const int64_t batches_;
  std::mutex mutex_;  // of what follows
  std::condition_variable changed_;
  std::vector<Slot> slots_;  // batch i goes to slot i, counted round
  int64_t taken_;            // by the loop
  int64_t next_;             // to be begun
  bool stopped_ = false;
  std::vector<std::thread> workers_;
};

DataLoader::DataLoader(const Dataset& dataset, const DataLoaderOptions& options)
    : dataset_(&dataset), options_(options) {
  if (options.batch_size < 1)
    fail<ValueError>("[DataLoader] batch_size is {}; it must be at least 1", options.batch_size);
  if (options.workers < 0 || options.workers > kMostWorkers)
    fail<ValueError>("[DataLoader] workers is {}; it must be from 0 to {}", options.workers, kMostWorkers);
  if (options.prefetch < 0) fail<ValueError>("[DataLoader] prefetch is {}; it must be 0 or more", options.prefetch);
}

int64_t DataLoader::size() const {
  const int64_t n = dataset_->size(), b = options_.batch_size;
  return n / b + (!options_.drop_last && n % b != 0);
}

std::vector<int64_t> DataLoader::settings() const {
  return {dataset_->size(), options_.batch_size, options_.shuffle, options_.drop_last,
          std::bit_cast<int64_t>(options_.seed)};
}

StateDict DataLoader::state_dict() const {
  const std::vector<int64_t> place{std::bit_cast<int64_t>(place_.epoch), place_.batch}, settings = this->settings();
  return {{"place", from_vector(place, {2})}, {"settings", from_vector(settings, {5})}};
}

void DataLoader::load_state_dict(const StateDict& state) {
  const Tensor &place = state.get("place"), &settings = state.get("settings");
  const auto holds = [](const Tensor& x, int64_t count) {
    return x.defined() && x.dtype() == int64 && x.shape() == Shape{count};
  };
  if (state.size() != 2 || !holds(place, 2) || !holds(settings, 5))
    fail<ValueError>("[load_state_dict] this is not the state of a DataLoader; load what state_dict() of one gave");
  const auto in_words = [](const std::vector<int64_t>& s) {
    return fmt::format("{} examples, batch_size {}, shuffle {}, drop_last {} and seed {}", s[0], s[1], s[2] != 0,
                       s[3] != 0, std::bit_cast<uint64_t>(s[4]));
  };
  const std::vector<int64_t> saved = settings.to_vector<int64_t>(), own = this->settings();
  if (saved != own)
    fail<ValueError>("[load_state_dict] the state is of a DataLoader of {}; this one has {}, and so other batches",
                     in_words(saved), in_words(own));
  const std::vector<int64_t> at = place.to_vector<int64_t>();
  next_ = place_ = {std::bit_cast<uint64_t>(at[0]), std::clamp<int64_t>(at[1], 0, size())};
}

DataLoader::Iterator DataLoader::begin() {
  place_ = std::exchange(next_, {next_.epoch + 1, 0});
  return Iterator(new Stream(*this, place_));
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
