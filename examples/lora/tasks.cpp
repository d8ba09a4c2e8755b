#include "tasks.hpp"

namespace ct = cotangent;
using ct::Tensor;

Tensor loss_of(const Tensor& logits, const Tensor& y) { return ct::cross_entropy(logits.flatten(0, 1), y.flatten()); }

namespace {

struct Text : Task {
  Text(const Tensor& tokens, int64_t length)
      : parts(ct::data::split_tokens(tokens, 0.1)),
        train(parts.train, length),
        validation(parts.validation, length, length) {}

  ct::data::Batch batch(int64_t size, uint64_t seed, int64_t step) const override {
    return ct::data::random_batch(train, size, seed, static_cast<uint64_t>(step));
  }
  const char* measured() const override { return "validation loss"; }
  double measure(const Model& model) const override {
    double sum = 0;
    ct::data::DataLoader loader(validation, {.batch_size = 64});
    for (const auto& [x, y] : loader) sum += loss_of(model(x), y).item() * static_cast<double>(x.size(0));
    return sum / static_cast<double>(validation.size());
  }

  ct::data::TokenSplit parts;
  ct::data::TextDataset train, validation;
};

struct Copy : Task {
  Copy(bool backwards_, int64_t blanks_) : backwards(backwards_), blanks(blanks_) {}

  ct::data::Batch batch(int64_t size, uint64_t seed, int64_t step) const override {
    ct::Generator generator(seed * 1'000'003 + static_cast<uint64_t>(step));
    const Tensor symbols = ct::randint(0, kCopySymbols, {size, kCopyLength}, ct::int64, generator);
    const Tensor again = backwards ? ct::flip(symbols, {1}) : symbols;
    const auto blank = [size](int64_t count) { return ct::full({size, count}, kCopySymbols, ct::int64); };
    const int64_t before = ct::randint(0, blanks + 1, {1}, ct::int64, generator).item<int64_t>();
    const Tensor all = ct::cat({blank(before), symbols, blank(1), again}, 1);
    const Tensor y = ct::cat({ct::full({size, before + kCopyLength}, -100, ct::int64), again}, 1);
    return {all.narrow(1, 0, before + 2 * kCopyLength), y};
  }
  const char* measured() const override { return "symbols right"; }
  double measure(const Model& model) const override {
    const auto [x, y] = batch(500, 12'345, 0);
    const int64_t first = x.size(1) - kCopyLength;
    const Tensor said = ct::argmax(model(x).narrow(1, first, kCopyLength), -1);
    return ct::mean((said == y.narrow(1, first, kCopyLength)).to(ct::float32)).item();
  }

  bool backwards;
  int64_t blanks;
};

}  // namespace

std::unique_ptr<Task> text_task(const Tensor& tokens, int64_t length) { return std::make_unique<Text>(tokens, length); }
std::unique_ptr<Task> copy_task(bool backwards, int64_t blanks) { return std::make_unique<Copy>(backwards, blanks); }
