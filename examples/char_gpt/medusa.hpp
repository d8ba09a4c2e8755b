#pragma once
#include <cotangent/zoo/gpt.hpp>

struct MedusaSettings {
  int64_t heads = 3, steps = 500, prompts = 8, tokens = 200;
};

/// Trains Medusa's heads on a model, which stays as it is, and tells how many tokens a step they give and how much time
/// that saves, by the size of the tree, beside the model alone.
void measure_medusa(const cotangent::zoo::GPT& model, const cotangent::Tensor& train,
                    const cotangent::Tensor& validation, const MedusaSettings& settings, uint64_t seed);
