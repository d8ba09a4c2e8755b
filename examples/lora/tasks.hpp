// What a trained model is tuned to.
#pragma once
#include <cotangent/cotangent.hpp>
#include <functional>
#include <memory>

/// tokens (B, T) -> logits (B, T, vocabulary)
using Model = std::function<cotangent::Tensor(const cotangent::Tensor&)>;

struct Task {
  virtual ~Task() = default;
  /// x (B, T) and what is to come next, y (B, T): -100 where nothing is asked.
  virtual cotangent::data::Batch batch(int64_t size, uint64_t seed, int64_t step) const = 0;
  /// How good a model is, in words and as a number.
  virtual const char* measured() const = 0;
  virtual double measure(const Model& model) const = 0;
};

/// To predict the next character of a text: its first nine tenths are to learn from, the last to measure by.
std::unique_ptr<Task> text_task(const cotangent::Tensor& tokens, int64_t length);

/// 12 symbols of 10, a sign, then the symbols again, forwards or backwards: 25 tokens of 11, of which the model sees
/// 24 at once. Each batch has 0 to `blanks` such signs before. Measured by the share of right symbols.
constexpr int64_t kCopySymbols = 10, kCopyLength = 12;
std::unique_ptr<Task> copy_task(bool backwards, int64_t blanks);

/// The loss of logits, where something is asked.
cotangent::Tensor loss_of(const cotangent::Tensor& logits, const cotangent::Tensor& y);
