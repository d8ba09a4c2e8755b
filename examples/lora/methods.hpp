// The ways to fine-tune a model, each run on one task.
#pragma once
#include <cotangent/zoo/gpt.hpp>

#include "tasks.hpp"

struct Training {
  int64_t steps = 500, batch_size = 16, rank = 8, length = 16;
  double lr = 1;  ///< times the usual rate of each way
  uint64_t seed = 1;
};

/// What came of one way.
struct Outcome {
  std::string name;
  int64_t trained = 0;  ///< parameters
  double before = 0, after = 0, seconds = 0;
  double merged = -1;               ///< the largest difference of a logit of merged weights; below 0 where none can be
  cotangent::StateDict state = {};  ///< what was trained
};

/// Their names: full, lora, ..
const std::vector<std::string>& methods();
/// Tunes a copy of the model. What was trained with "lora" fits lora_options().
Outcome fine_tune(const std::string& method, const cotangent::zoo::GPT& model, const Task& task, const Training& t);
cotangent::nn::LoRAOptions lora_options(const Training& t);

/// Trains the model itself, and returns the seconds.
double train(cotangent::zoo::GPT& model, const Task& task, const Training& t, double lr);
