#pragma once
// What a step of a training changes, and how it is put back.
#include <cotangent/nn/module.hpp>
#include <cotangent/optim/optimizer.hpp>
#include <cotangent/tensor/random.hpp>

namespace cotangent::detail {

class SavedTraining : nn::Members {
 public:
  SavedTraining(nn::Module& model, optim::Optimizer& optimizer);
  /// Puts everything back.
  ~SavedTraining() override;
  SavedTraining(const SavedTraining&) = delete;
  SavedTraining& operator=(const SavedTraining&) = delete;

  const Generator::State& generator() const { return generator_; }
  /// The value that a parameter had.
  const Tensor& value(const Tensor& parameter) const;
  void clear_gradients();
  /// Buffers of the values that they had, for a forward pass that may change them.
  void start_forward();
  /// Takes a step of the optimizer back.
  void go_back();

 private:
  struct Kept {
    Tensor parameter, value, gradient;
  };
  struct Place {
    nn::Buffer* member;
    Tensor before;
  };
  void parameter(const std::string&, nn::Parameter& p) override { keep(p); }
  void buffer(const std::string&, nn::Buffer& b) override {
    if (b.defined()) buffers_.push_back({&b, b});
  }
  void keep(const Tensor& p);

  optim::Optimizer& optimizer_;
  std::vector<Kept> kept_;
  std::vector<Place> buffers_;
  StateDict state_;
  std::vector<double> rates_;
  Generator::State generator_;
};

}  // namespace cotangent::detail
